"""One reading of a log group by FilterLogEvents: threads that fetch the pages of slices, and count what they hold."""

import threading
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tollbook.core.errors import SourceError
from tollbook.sources.aws.cloudwatch.pace import Clock, Pace
from tollbook.sources.aws.cloudwatch.pages import BODY, BrokenPage, Event, Page, page_of
from tollbook.sources.aws.cloudwatch.sheets import Sheets
from tollbook.sources.aws.cloudwatch.slices import Slice, Slices
from tollbook.sources.aws.trouble import is_passing, is_throttling, translated
from tollbook.sources.reading import Halted, Place, Taken, Watch

ACTION: Final = "logs:FilterLogEvents"

_LATENCY_S: Final = 0.15  # of a page, about; so many slices keep the pace to begin with
_LOOKS_EVERY_S: Final = 0.1  # for a halt, while others read


class Patience(msgspec.Struct, frozen=True):
    """How long a request that fails in passing is made again.

    Attributes:
        tries: of one page, at most.
        seconds: for one page, from the first try to the last; and without any page at all.
    """

    tries: int = 40
    seconds: float = 120.0


PATIENCE: Final = Patience()


class _Lost(Exception):
    """A page cannot be had.

    Attributes:
        cause: a sentence.
        for_all: the next request would fare no better.
    """

    def __init__(self, cause: str, *, for_all: bool = False) -> None:
        super().__init__(cause)
        self.cause, self.for_all = cause, for_all


class Sweep:
    """One reading."""

    def __init__(
        self,
        client: Any,
        place: Place,
        group: Mapping[str, str],
        sheets: Sheets,
        pace: Pace,
        watch: Watch,
        *,
        workers: int,
        patience: Patience,
        clock: Clock,
    ) -> None:
        """
        Args:
            client: of CloudWatch Logs, that gives bytes; see `pages.keep_bytes`.
            group: the parameters of a request that name the log group.
            workers: threads.
        """
        self._client, self._place, self._group = client, place, group
        self._sheets, self._pace, self._watch = sheets, pace, watch
        self._patience, self._clock = patience, clock
        self._turn = threading.Lock()  # held while counting: threads would only be in each other's way
        self._ended = threading.Event()
        self._over = False
        self._unread: list[tuple[int, int, str]] = []
        self._faults: list[BaseException] = []
        self._pages, self._at_work = 0, workers
        self._last_page = clock()
        at_first = max(1, min(workers, round(pace.rate * _LATENCY_S)))
        self._slices = Slices(sheets.spans(), at_first, pace.free_in)

    def run(self) -> list[Taken]:
        """Reads all.

        Raises:
            SourceError: nothing could be read.
            Halted: see `Watch`.
        """
        # Daemons: one that hangs in a request is left to itself; it begins no other.
        crew = [threading.Thread(target=self._work, name="FilterLogEvents", daemon=True) for _ in range(self._at_work)]
        try:
            for member in crew:
                member.start()
            while not self._ended.wait(_LOOKS_EVERY_S):
                self._watch.go_on()
        finally:
            self._end()
        self._watch.go_on()
        if self._faults:
            raise self._faults[0]
        if self._unread and not self._pages:
            raise SourceError(self._unread[0][2])
        return self._sheets.taken(self._unread)

    def _work(self) -> None:
        try:
            while piece := self._slices.take():
                try:
                    self._read(piece)
                except _Lost as lost:
                    self._lose(piece, lost)
                finally:
                    self._slices.give_back(piece)
        except Halted:
            pass
        except BaseException as fault:
            self._faults.append(fault)
            self._ended.set()
        finally:
            with self._turn:
                self._at_work -= 1
                if not self._at_work:
                    self._ended.set()

    def _read(self, piece: Slice) -> None:
        """Reads the next page of `piece`."""
        since = piece.position
        page, size = self._page(piece)
        events: Sequence[Event] = page.events
        with self._turn:
            if self._over:
                return
            if piece.is_again([event.eventId or event.message for event in events]):
                events = ()
            until = self._slices.pass_page(piece, [event.timestamp for event in events], page.nextToken)
            self._sheets.count([event for event in events if event.timestamp < until])
            self._sheets.took(since, size)
            self._pages += 1
        self._watch.tell(size, len(events))
        if piece.circles:
            raise _Lost(f"Cannot read {self._place}: one page leads to another in a circle. Ask again.")

    def _page(self, piece: Slice) -> tuple[Page, int]:
        """The next page of `piece`, and how many bytes it took.

        Raises:
            _Lost: it cannot be had.
        """
        question: dict[str, Any] = {**self._group, "startTime": piece.start, "endTime": piece.asked_until - 1}
        if piece.token is not None:
            question["nextToken"] = piece.token
        began = self._clock()
        for tries in count(1):
            self._pace.turn(self._watch)
            if self._over:
                raise Halted
            try:
                body = self._client.filter_log_events(**question)[BODY]
                with self._turn:
                    page = page_of(body)
            except (ClientError, BotoCoreError, ResponseParserError, BrokenPage) as fault:
                with self._turn:
                    self._sheets.took(piece.position, 0)
                self._consider(fault, tries, began)
                self._watch.wait(self._pace.pause(tries))
            else:
                self._pace.succeeded()
                self._last_page = self._clock()
                return page, len(body)
        raise AssertionError

    def _consider(self, fault: Exception, tries: int, began: float) -> None:
        """Whether what failed is worth a further try.

        Raises:
            _Lost: it is not.
        """
        if is_throttling(fault):
            self._pace.throttled()
        elif not isinstance(fault, BrokenPage) and not is_passing(fault):
            raise _Lost(self._told(fault), for_all=True)
        now, longest = self._clock(), self._patience.seconds
        if now - self._last_page >= longest:
            raise _Lost(self._told(fault), for_all=True)
        if tries >= self._patience.tries or now - began >= longest:
            raise _Lost(self._told(fault))

    def _told(self, fault: Exception) -> str:
        try:
            with translated(self._place, ACTION):
                raise fault
        except SourceError as told:
            return str(told)
        except BrokenPage:
            return f"Cannot read {self._place}: what came is no page of events. Ask again."

    def _lose(self, piece: Slice, lost: _Lost) -> None:
        """Takes note that the rest of `piece` cannot be read, and of all others neither if that is so."""
        with self._turn:
            if self._over:
                return
            self._unread.append((*self._slices.give_up(piece), lost.cause))
        if lost.for_all:
            self._unread += [(start, end, lost.cause) for start, end in self._end()]
            self._ended.set()

    def _end(self) -> list[tuple[int, int]]:
        """Counts no further page and begins no further request; gives from where to where events were not read."""
        with self._turn:
            self._over = True
        return self._slices.close()
