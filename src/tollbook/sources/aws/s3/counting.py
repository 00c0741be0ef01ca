"""Records of files in S3, counted for the stretches of time they belong to."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import IO, Final, cast

import msgspec

from tollbook.sources.aws.delivery import hours_of
from tollbook.sources.aws.s3.objects import Body, Object
from tollbook.sources.blocks import Truncated, inflated, whole_lines
from tollbook.sources.reading import Stretch, Taken, Watch
from tollbook.sources.seen import SeenIds
from tollbook.spend.model import Named
from tollbook.spend.query import Query
from tollbook.spend.record import Reason
from tollbook.spend.tally import Tally
from tollbook.spend.window import Window

# In us-east-1, for S3 Standard: https://aws.amazon.com/s3/pricing/. Reading from outside of the bucket's region
# costs data transfer besides, and objects that a key of KMS encrypts may cost a request of it each.
_USD_PER_LIST: Final = Decimal("0.005") / 1000
_USD_PER_GET: Final = Decimal("0.0004") / 1000
_HOUR: Final = timedelta(hours=1)


def usd_of(lists: int, gets: int) -> Decimal:
    """What so many requests cost."""
    return lists * _USD_PER_LIST + gets * _USD_PER_GET


class Shelf(msgspec.Struct, frozen=True):
    """What was delivered in one hour.

    Attributes:
        requests: that it took to list it.
        fault: why it could not be listed; empty if it could.
    """

    hour: datetime
    folder: str
    objects: tuple[Object, ...] = ()
    requests: int = 0
    fault: str = ""

    @property
    def size(self) -> int:
        """In bytes, as they lie there."""
        return sum(found.size for found in self.objects)


class Desk:
    """Counts the records of one stretch. For any thread."""

    def __init__(self, stretch: Stretch, query: Query, seen: SeenIds, names: Mapping[str, Named] | None) -> None:
        within = msgspec.structs.replace(query, window=Window(stretch.since, stretch.until, query.window.zone))
        self.stretch = stretch
        self._turn = threading.Lock()
        # Two, because what is no record belongs to the hour of its file, and is counted there alone.
        self._own, self._late = (Tally(within, seen.claim, names) for _ in range(2))
        self._notes: Counter[str] = Counter()
        self._lost: Counter[tuple[str, str]] = Counter()
        self._files = self._bytes = self._lists = self._gets = 0

    def count(self, block: bytes, *, is_own: bool) -> None:
        """Counts the records in `block`, which holds whole lines of a file of its own hours or of those after."""
        with self._turn:
            (self._own if is_own else self._late).read(block)

    def reject(self, reason: Reason) -> None:
        """Counts a line that is no record."""
        with self._turn:
            self._own.reader.reject(reason)

    def note(self, sentence: str) -> None:
        """Takes something that happened to one file."""
        with self._turn:
            self._notes[sentence] += 1

    def lose(self, what: str, why: str) -> None:
        """Takes a `file` or an `hour` that could not be read, and a sentence that says why."""
        with self._turn:
            self._lost[what, why] += 1

    def pay(self, *, bytes_: int = 0, lists: int = 0, gets: int = 0) -> None:
        """Takes what reading took."""
        with self._turn:
            self._bytes += bytes_
            self._lists += lists
            self._gets += gets

    def expect(self, files: int) -> None:
        """Takes how many files its hours, and those after, hold."""
        self._files += files

    def taken(self) -> Taken:
        """What was counted."""
        counted, late = self._own.counted(), self._late.counted()
        late.rejected.clear()
        counted.add(late)
        counted.outside = 0  # records of the stretches beside it
        day = f"{self.stretch.since:%Y-%m-%d}"
        among = {"file": f" of {self._files:,}", "hour": ""}
        lost = sorted(self._lost.items())
        return Taken(
            counted,
            tuple(f"{_of(number, 'file')} of {day}: {sentence}" for sentence, number in sorted(self._notes.items())),
            tuple(f"{_of(number, what)}{among[what]} of {day}: {sentence}" for (what, sentence), number in lost),
            self._bytes,
            self._lists + self._gets,
            usd_of(self._lists, self._gets),
        )


def _of(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class Pile(msgspec.Struct, frozen=True):
    """The files of an hour, and the desks that they are counted at.

    Attributes:
        owner: the desk of the stretch that the hour lies in, if that is read.
    """

    shelf: Shelf
    desks: tuple[Desk, ...]
    owner: Desk | None

    @property
    def payer(self) -> Desk:
        return self.owner or self.desks[0]

    def lose(self, what: str, why: str) -> None:
        """See `Desk`."""
        for desk in self.desks:
            desk.lose(what, why)

    def count(self, body: Body, watch: Watch) -> None:
        """Counts the records of one file.

        Args:
            watch: told of the records; of the bytes, `body` tells.

        Raises:
            ClientError, BotoCoreError, Halted: as `body` does.
        """

        def too_long() -> None:
            if self.owner:
                self.owner.reject(Reason.TOO_LONG)

        try:
            for block in whole_lines(inflated(cast("IO[bytes]", body)), too_long):
                for desk in self.desks:
                    desk.count(block, is_own=desk is self.owner)
                watch.tell(0, block.count(b"\n"))
        except Truncated as fault:
            self.payer.note(f"no whole gzip file ({fault}); what came before that was counted")


def piles(shelves: Sequence[Shelf], desks: Sequence[Desk]) -> Iterator[Pile]:
    """The files of each hour, with the desks of the stretches that look there."""
    looking: dict[datetime, list[Desk]] = {shelf.hour: [] for shelf in shelves}
    for desk in desks:
        for hour in hours_of(desk.stretch):
            looking[hour].append(desk)
    for shelf in shelves:
        there = looking[shelf.hour]
        inside = (desk for desk in there if desk.stretch.since - _HOUR < shelf.hour < desk.stretch.until)
        pile = Pile(shelf, tuple(there), next(inside, None))
        pile.payer.pay(lists=shelf.requests)
        for desk in there:
            desk.expect(len(shelf.objects))
        if shelf.fault:
            pile.lose("hour", shelf.fault)
        yield pile
