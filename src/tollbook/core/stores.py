"""What several instances share: small records that expire, kept in partitions and in order.

A session, an event of a running call, a page of a report: each is one record. Whoever writes a new store
implements `Store` and runs `tests/hosting/stores` against it.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

LARGEST_VALUE: Final = 350_000
"""Bytes of a value that every store takes. DynamoDB's items end at 400 KB, names and keys included.
Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""

Clock = Callable[[], float]
"""The seconds since 1970 in UTC, as `time.time` gives them."""


class Record(msgspec.Struct, frozen=True):
    """One record.

    Attributes:
        partition: what is listed, counted and removed together; 1 to 512 characters of printable ASCII.
        key: unique in its partition, whose records are in the order of their keys' code points; as long.
        value: at most `LARGEST_VALUE` bytes.
        expires: when it ceases to exist, in seconds since 1970; finite. No method shows it from then on.
    """

    partition: str
    key: str
    value: bytes
    expires: float


class Blobs(Protocol):
    """Records that are asked for one by one, and that every instance sees at once: a read shows every write that ended
    before it began.

    Every method raises StoreDown if they cannot be reached or an error is answered, after at most a few seconds.
    A write raises ValueError if the value is too large.
    """

    async def put(self, record: Record) -> None:
        """Writes `record` in any case."""
        ...

    async def get(self, partition: str, key: str) -> Record | None:
        """The record, or None."""
        ...

    async def aclose(self) -> None:
        """Lets go of what is held; nothing is used afterwards."""
        ...


class Store(Blobs, Protocol):
    """Records that can also be listed, counted, and written on a condition.

    What reads a partition raises StoreDown after at most a few seconds for each page of it.
    """

    async def add(self, record: Record) -> bool:
        """Writes `record` unless its key is taken; says whether it did. Of two at once, one does."""
        ...

    async def replace(self, record: Record) -> bool:
        """Writes `record` only where its key is taken; says whether it did. It never brings back what was removed."""
        ...

    async def list(self, partition: str, prefix: str = "", after: str = "") -> Sequence[Record]:
        """The records whose key begins with `prefix` and comes after `after`, in the order of their keys."""
        ...

    async def count(self, partition: str) -> int:
        """How many records the partition holds."""
        ...

    async def remove(self, partition: str, key: str) -> bool:
        """Removes a record; says whether there was one. Of two at once, one says so."""
        ...

    async def clear(self, partition: str) -> None:
        """Removes every record of the partition."""
        ...
