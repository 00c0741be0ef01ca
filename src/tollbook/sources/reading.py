"""What every place of logs on AWS offers: what reading will cost, rows for a query, and what it cannot see."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import msgspec

from tollbook.spend.query import Query
from tollbook.spend.tally import Counted


class Halted(Exception):
    """Nobody waits for the answer any more."""


class Place(msgspec.Struct, frozen=True, order=True):
    """Where logs lie.

    Attributes:
        account: of twelve digits; empty for that of the credentials at hand while it is not known.
        region: such as `eu-west-1`.
        name: a log group, or `s3://bucket/prefix`, or `DATABASE.TABLE` of Athena.
    """

    account: str
    region: str
    name: str

    def __str__(self) -> str:
        what = f"log group '{self.name}'" if not self.name.startswith("s3://") else self.name
        return f"{what} in {self.region}" + (f" of account {self.account}" if self.account else "")


class Stretch(msgspec.Struct, frozen=True, order=True):
    """The instants, in UTC, from `since` to just before `until`."""

    since: datetime
    until: datetime


class Estimate(msgspec.Struct, frozen=True):
    """What a reading will come to, judged beforehand.

    Attributes:
        bytes: that the source will scan, as it counts them.
        usd: what AWS will charge for it, at list price; 0 where it charges nothing.
        seconds: about how long it takes.
        basis: what it was judged by, in a few words.
    """

    bytes: int = 0
    requests: int = 0
    usd: Decimal = Decimal(0)
    seconds: float = 0.0
    basis: str = ""


class Taken(msgspec.Struct, frozen=True):
    """What was read of one stretch.

    Attributes:
        counted: rows in the form of the query asked.
        notes: sentences on what the figures do not tell; for whoever sees all.
        unread: sentences on what of the stretch could not be read; empty if all of it was.
        bytes, requests, usd: what it took.
    """

    counted: Counted
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    bytes: int = 0
    requests: int = 0
    usd: Decimal = Decimal(0)


class Watch:
    """Watches over a reading: hears how far it has come, and says when it is to stop. For any thread."""

    def __init__(self, tell: Callable[[int, int], None] = lambda _bytes, _records: None) -> None:
        """
        Args:
            tell: takes the bytes and the records that were read since it was last called; one thread at a time.
        """
        self._tell, self._turn = tell, threading.Lock()
        self._halted = threading.Event()

    def halt(self) -> None:
        """Makes every `go_on` and `wait` raise, now and later."""
        self._halted.set()

    def go_on(self) -> None:
        """
        Raises:
            Halted: the reading is to stop.
        """
        if self._halted.is_set():
            raise Halted

    def wait(self, seconds: float) -> None:
        """Waits so long.

        Raises:
            Halted: the reading is to stop; at once.
        """
        if self._halted.wait(seconds):
            raise Halted

    def tell(self, bytes_: int, records: int) -> None:
        """Says what was read since the last time."""
        with self._turn:
            self._tell(bytes_, records)


class Source(Protocol):
    """One way to read one place.

    Attributes:
        engine: what reads, in a word or two, such as `Logs Insights`.
        blind_to: sentences on what this way of reading cannot see, whatever the records.
    """

    @property
    def engine(self) -> str: ...

    @property
    def place(self) -> Place: ...

    @property
    def blind_to(self) -> tuple[str, ...]: ...

    def estimate(self, stretches: Sequence[Stretch], watch: Watch) -> Estimate:
        """What reading `stretches` will come to.

        Raises:
            SourceError: the place does not exist or may not be read, in a sentence that says what to do.
            Halted: see `Watch`.
        """
        ...

    def read(self, stretches: Sequence[Stretch], query: Query, watch: Watch) -> Sequence[Taken]:
        """Counts, for each of `stretches` in their order, the records whose own time lies in it.

        Args:
            query: its window is not looked at, but for the zone.

        Raises:
            SourceError: nothing could be read at all. What fails in the middle is `unread` of its stretch.
            Halted: see `Watch`; no request is begun after it.
        """
        ...


class Choice(msgspec.Struct, frozen=True):
    """The way in which a place is read, and why this one."""

    source: Source
    why: str


class Spot(Protocol):
    """A place, before it is known how to read it."""

    @property
    def place(self) -> Place: ...

    @property
    def since(self) -> datetime | None:
        """Before that, it holds nothing any more; None where nobody knows, or before it was located."""
        ...

    def locate(self, watch: Watch) -> Place:
        """The place, its account known.

        Raises:
            SourceError: it does not exist, or may not be looked at.
        """
        ...

    def choose(self, stretches: Sequence[Stretch], watch: Watch) -> Choice:
        """How to read `stretches` of it.

        Raises:
            SourceError: as `locate` does.
        """
        ...
