"""Records in this process, for tests and for a single instance."""

import time
from bisect import bisect_left, insort
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Final

from tollbook.core.stores import Clock, Record
from tollbook.hosting.stores import checked, keys_between

_SWEPT_AT_ONCE: Final = 100
_SPARE: Final = 1000  # ends of what is gone that are no reason to clean up


class _Partition:
    __slots__ = ("keys", "records")

    def __init__(self) -> None:
        self.keys: list[str] = []  # in order
        self.records: dict[str, Record] = {}


class MemoryStore:
    """A `Store` that ends with the process. A write forgets what has expired, a little at a time."""

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self._partitions: dict[str, _Partition] = {}
        self._size = 0
        self._ends: list[tuple[float, str, str]] = []  # a heap: when which record expires, if it is still there

    @property
    def held(self) -> int:
        """How many records are held, with those that have expired and were not swept."""
        return self._size

    async def add(self, record: Record) -> bool:
        checked(record)
        now = self._clock()
        if self._at(record.partition, record.key, now):
            return False
        self._set(record, now)
        return True

    async def replace(self, record: Record) -> bool:
        checked(record)
        now = self._clock()
        if not self._at(record.partition, record.key, now):
            return False
        self._set(record, now)
        return True

    async def put(self, record: Record) -> None:
        checked(record)
        self._set(record, self._clock())

    async def get(self, partition: str, key: str) -> Record | None:
        return self._at(partition, key, self._clock())

    async def list(self, partition: str, prefix: str = "", after: str = "") -> Sequence[Record]:
        held = self._partitions.get(partition)
        if held is None:
            return []
        now, (first, last) = self._clock(), keys_between(prefix, after)
        keys = held.keys[bisect_left(held.keys, first) : bisect_left(held.keys, last)]
        records = (held.records[key] for key in keys if key != after)
        return [record for record in records if record.expires > now]

    async def count(self, partition: str) -> int:
        held, now = self._partitions.get(partition), self._clock()
        return sum(record.expires > now for record in held.records.values()) if held else 0

    async def remove(self, partition: str, key: str) -> bool:
        now = self._clock()
        found = self._at(partition, key, now)
        if found:
            self._drop(partition, key)
        self._sweep(now)
        return found is not None

    async def clear(self, partition: str) -> None:
        held = self._partitions.pop(partition, None)
        self._size -= len(held.keys) if held else 0
        self._sweep(self._clock())

    async def aclose(self) -> None:
        self._partitions.clear()
        self._ends.clear()
        self._size = 0

    def _at(self, partition: str, key: str, now: float) -> Record | None:
        held = self._partitions.get(partition)
        found = held.records.get(key) if held else None
        return found if found and found.expires > now else None

    def _set(self, record: Record, now: float) -> None:
        held = self._partitions.get(record.partition)
        if held is None:
            held = self._partitions[record.partition] = _Partition()
        if record.key not in held.records:
            insort(held.keys, record.key)
            self._size += 1
        held.records[record.key] = record
        heappush(self._ends, (record.expires, record.partition, record.key))
        self._sweep(now)

    def _drop(self, partition: str, key: str) -> None:
        held = self._partitions[partition]
        del held.records[key]
        del held.keys[bisect_left(held.keys, key)]
        self._size -= 1
        if not held.keys:
            del self._partitions[partition]

    def _sweep(self, now: float) -> None:
        ends = self._ends
        for _ in range(_SWEPT_AT_ONCE):
            if not ends or ends[0][0] > now:
                break
            expires, partition, key = heappop(ends)
            held = self._partitions.get(partition)
            if held and (record := held.records.get(key)) and record.expires == expires:
                self._drop(partition, key)
        if len(ends) > 2 * self._size + _SPARE:
            partitions = self._partitions.items()
            ends[:] = [(each.expires, name, key) for name, held in partitions for key, each in held.records.items()]
            heapify(ends)
