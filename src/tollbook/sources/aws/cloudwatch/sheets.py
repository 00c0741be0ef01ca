"""Which stretch of time an event is counted for.

A record counts where its own time lies. The time of its event is a little later, or earlier. So a stretch takes in
the events of a margin on either side as well, and of those only the records that are its own.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

import msgspec

from tollbook.sources.aws.cloudwatch.pages import Event, count
from tollbook.sources.reading import Stretch, Taken
from tollbook.spend.model import Named
from tollbook.spend.query import Query
from tollbook.spend.tally import Claim, Counted, Tally
from tollbook.spend.window import Window

EARLIER: Final = timedelta(seconds=60)
LATER: Final = timedelta(minutes=15)
"""How far before a stretch, and after it, its records may have their events."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


class _Sheet:
    """What is counted of one stretch. Times are in milliseconds since 1970."""

    def __init__(self, stretch: Stretch, query: Query, claim: Claim, names: Mapping[str, Named]) -> None:
        own = msgspec.structs.replace(query, window=Window(stretch.since, stretch.until, query.window.zone))
        self.within, self.margin = Tally(own, claim, names), Tally(own, claim, names)
        self.since, self.until = _ms(stretch.since), _ms(stretch.until)
        self.begins, self.ends = max(0, _ms(stretch.since - EARLIER)), _ms(stretch.until + LATER)
        self.bytes = self.requests = 0

    def counted(self) -> Counted:
        margin = self.margin.counted()
        # Lines there that are no records are its neighbour's.
        margin.rejected.clear()
        margin.permission_lines = 0
        counted = self.within.counted()
        counted.add(margin)
        counted.outside = 0
        return counted


class Sheets:
    """What is counted of several stretches. For one thread at a time."""

    def __init__(self, stretches: Sequence[Stretch], query: Query, claim: Claim, names: Mapping[str, Named]) -> None:
        """
        Args:
            claim: shared by all, so that a record that comes again counts once.
        """
        self._sheets = [_Sheet(stretch, query, claim, names) for stretch in stretches]
        edges = {edge for sheet in self._sheets for edge in (sheet.begins, sheet.since, sheet.until, sheet.ends)}
        self._edges = sorted(edges)
        self._tallies = [self._counting(edge) for edge in self._edges]

    def spans(self) -> list[tuple[int, int]]:
        """The time of all events that may belong to a stretch, in milliseconds since 1970, from and to just before."""
        spans: list[tuple[int, int]] = []
        for begins, ends in sorted((sheet.begins, sheet.ends) for sheet in self._sheets):
            if spans and begins <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(ends, spans[-1][1]))
            else:
                spans.append((begins, ends))
        return spans

    def count(self, events: Sequence[Event]) -> None:
        """Counts the records among `events`."""
        for place, some in _runs(events, self._edges):
            for tally in self._tallies[place - 1] if place else ():
                count(some, tally)

    def took(self, time: int, size: int) -> None:
        """Puts a request for events from `time` on, and the bytes of its answer, to the account of a stretch."""
        for sheet in self._sheets:
            if sheet.begins <= time < sheet.ends:
                sheet.bytes += size
                sheet.requests += 1
                return

    def taken(self, unread: Iterable[tuple[int, int, str]]) -> list[Taken]:
        """What was counted of each stretch.

        Args:
            unread: times from and to just before which no events were read, and a sentence that says why.
        """
        missing = sorted(unread)
        return [
            Taken(sheet.counted(), unread=tuple(_sentences(sheet, missing)), bytes=sheet.bytes, requests=sheet.requests)
            for sheet in self._sheets
        ]

    def _counting(self, edge: int) -> list[Tally]:
        """The tallies for events from `edge` to the next one."""
        found = []
        for sheet in self._sheets:
            if sheet.since <= edge < sheet.until:
                found.append(sheet.within)
            elif sheet.begins <= edge < sheet.ends:
                found.append(sheet.margin)
        return found


def _runs(events: Sequence[Event], edges: Sequence[int]) -> Iterator[tuple[int, Sequence[Event]]]:
    """`events`, parted where the time passes an edge; each part with the number of edges before it."""
    if not events:
        return
    times = [event.timestamp for event in events]
    first, last = bisect_right(edges, min(times)), bisect_right(edges, max(times))
    if first == last:
        yield first, events
        return
    for place, some in groupby(events, lambda event: bisect_right(edges, event.timestamp)):
        yield place, list(some)


def _sentences(sheet: _Sheet, missing: Iterable[tuple[int, int, str]]) -> Iterator[str]:
    """What of the stretch could not be read, a sentence for each reason."""
    causes: dict[str, list[tuple[int, int]]] = {}
    for start, end, cause in missing:
        if start < sheet.until and end > sheet.since:
            start, end = max(start, sheet.since), min(end, sheet.until)
        else:  # only late or early events are missing
            start, end = max(start, sheet.begins), min(end, sheet.ends)
        if start >= end:
            continue
        ranges = causes.setdefault(cause, [])
        if ranges and start <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(end, ranges[-1][1]))
        else:
            ranges.append((start, end))
    for cause, ranges in causes.items():
        times = ", ".join(f"{_time(start)} to {_time(end + 999)}" for start, end in ranges)
        yield f"{cause.rstrip('.')}; what lies in {times} UTC is missing."


def _time(ms: int) -> str:
    return f"{_EPOCH + ms * _MS:%Y-%m-%d %H:%M:%S}"


def _ms(time: datetime) -> int:
    """Rounded down: CloudWatch counts whole milliseconds."""
    return (time - _EPOCH) // _MS
