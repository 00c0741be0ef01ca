"""Which records were read before: exactly, in eight bytes each, and for several processes together.

A record is known by a keyed 64-bit hash of its account, region and request id. The odds that two different
records of a million share one are 3 in 100 million. The hashes stand in open-addressing tables in memory
that processes forked later share. The first table is sized for the records expected, but for no more than
`IDS_IN_MEMORY`; when it is full another follows, in a file that the operating system may write out. So memory
that cannot be given back stays bounded, whatever their number.
"""

import mmap
import os
import tempfile
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

from tollbook.core.errors import SourceError

IDS_IN_MEMORY: Final = 10_000_000
"""The most ids that the first table, in memory, is made for (about 130 MB); further tables are files on disk."""

_LOAD: Final = 0.6  # of a table's places; at 0.6 a miss looks at 3.6 places on average (Knuth, TAOCP 6.4)
_BYTES: Final = 8
_LEAST_IDS: Final = 250_000  # 3 MB, of which only what is used is taken
# A hash of 0 counts as 1, since 0 marks an empty place.


class SeenIds:
    """Hashes that were claimed, shared with every process that is forked after this was made.

    Hashes are those of `hash`, whose key is the process's own and is inherited by forking.
    """

    def __init__(self, expected: int, lock: AbstractContextManager[object]) -> None:
        """Tables for about `expected` ids. A wrong guess costs memory or time, never an id.

        Args:
            lock: held while claiming; a lock of the forked processes where there are several.
        """
        self._lock = lock
        self._first = min(max(expected, _LEAST_IDS), IDS_IN_MEMORY)
        self._state = memoryview(mmap.mmap(-1, 2 * _BYTES)).cast("Q")  # tables; ids in the last of them
        self._state[0] = 1
        self._tables = [memoryview(mmap.mmap(-1, self._places(0) * _BYTES)).cast("q")]
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        with suppress(OSError):  # few need it
            self._folder = tempfile.TemporaryDirectory(prefix="tollbook-ids-", ignore_cleanup_errors=True)

    def __enter__(self) -> "SeenIds":
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder:
            self._folder.cleanup()

    def claim(self, hashes: list[int]) -> list[bool]:
        """For each of `hashes`, in order, whether it is claimed now for the first time.

        Raises:
            SourceError: there is no room on the disk for another table.
        """
        with self._lock:
            while len(self._tables) < self._state[0]:
                self._tables.append(self._on_disk(len(self._tables)))
            if len(self._tables) > 1:
                return [self._claim(value or 1) for value in hashes]
            # The same as `_claim`, for the one table that there usually is, and a quarter of a microsecond faster.
            (table,) = self._tables
            places, free = len(table), int(len(table) * _LOAD) - self._state[1]
            if free <= len(hashes):
                return [self._claim(value or 1) for value in hashes]
            answers = []
            for value in hashes:
                value = value or 1
                place = value % places
                while (found := table[place]) and found != value:
                    place = place + 1 if place + 1 < places else 0
                if not found:
                    table[place] = value
                answers.append(not found)
            self._state[1] += sum(answers)
            return answers

    def _claim(self, value: int) -> bool:
        for table in self._tables:
            places = len(table)
            place = value % places
            while found := table[place]:
                if found == value:
                    return False
                place = place + 1 if place + 1 < places else 0
        table[place] = value
        self._state[1] += 1
        if self._state[1] >= int(places * _LOAD):
            self._tables.append(self._on_disk(len(self._tables)))
            self._state[0], self._state[1] = len(self._tables), 0
        return True

    def _places(self, number: int) -> int:
        """Every table holds as many ids as all before it together, so there are few."""
        return int(self._first / _LOAD) << max(0, number - 1)

    def _on_disk(self, number: int) -> memoryview:
        size = self._places(number) * _BYTES
        if self._folder is None:
            raise SourceError("There is no folder for temporary files to keep request ids in. Set TMPDIR to one.")
        try:
            with Path(self._folder.name, str(number)).open("a+b") as file:
                # Reserved now: a disk that fills up later would end the process, not raise an error.
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
                else:
                    file.truncate(size)
                return memoryview(mmap.mmap(file.fileno(), size)).cast("q")
        except OSError as fault:
            message = f"No room for {size >> 20} MB of request ids in {self._folder.name}. Set TMPDIR to a larger disk."
            raise SourceError(message) from fault
