"""Rows in the one form in which days are kept, and from it the rows of any question that they can answer.

Kept rows tell the hour of UTC, or the quarter of one, and every dimension but sessions and tags that nobody
configured. So a later question in another time zone, grouped otherwise, or priced anew needs no reading.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from tollbook.spend.query import TAG, Query
from tollbook.spend.tally import Counted, place_in_time
from tollbook.spend.usage import UNSEEN, RowKey, UsageRow
from tollbook.spend.window import Window, has_whole_hours

KEPT: Final = (
    "hour",
    "model",
    "principal",
    "account",
    "region",
    "inference_region",
    "operation",
    "error",
    "tier",
)
"""The dimensions of kept rows; besides them, tags."""
_DERIVED: Final = {"day", "vendor", "scope", "profile"}
"""What follows from those."""
_QUARTER, _HOUR = timedelta(minutes=15), timedelta(hours=1)


def ledger_query(since: datetime, until: datetime, tags: Sequence[str] = (), *, quarters: bool = False) -> Query:
    """The query whose rows are kept.

    Args:
        tags: keys of request metadata.
        quarters: rows tell the quarter of an hour, as some time zones need it.
    """
    by = (*KEPT, *(f"{TAG}{key}" for key in tags))
    return Query(Window(since, until, ZoneInfo("UTC")), by, quarters=quarters)


def needs_quarters(query: Query) -> bool:
    """Whether rows by the hour of UTC are too coarse for the days and hours of `query`."""
    return not has_whole_hours(query.window.zone)


def can_answer(query: Query, tags: Sequence[str]) -> bool:
    """Whether kept rows that tell `tags` hold all that `query` needs."""
    known = {*KEPT, *_DERIVED, *(f"{TAG}{key}" for key in tags)}
    return {*query.needed, *(f"{TAG}{key}" for key in query.tags)} <= known


def is_on_grid(time: datetime, *, quarters: bool) -> bool:
    """Whether `time` is the beginning of an hour, or of a quarter of one, of UTC."""
    return not (time - datetime(1970, 1, 1, tzinfo=UTC)) % (_QUARTER if quarters else _HOUR)


def folded(rows: Iterable[UsageRow], query: Query, tags: Sequence[str] = ()) -> Counted:
    """What `rows` of the ledger tell of `query`, those outside of its window left out.

    Args:
        rows: their `start` is the instant, in seconds since 1970, at which their hour or quarter begins.
        tags: the keys whose values the rows tell, in order.
    """
    since = None if query.window.since is None else query.window.since.timestamp()
    until = None if query.window.until is None else query.window.until.timestamp()
    form = _Form(query, tags)
    found: dict[RowKey, UsageRow] = {}
    first: int | None = None
    last: int | None = None
    for row in rows:
        start = row.key.start
        if (since is not None and start < since) or (until is not None and start >= until):
            continue
        first = start if first is None else min(first, start)
        last = start if last is None else max(last, start)
        key = form.key_of(row.key)
        known = found.get(key)
        found[key] = (
            UsageRow(key, row.usage, row.traits)
            if known is None
            else UsageRow(key, known.usage + row.usage, known.traits | row.traits)
        )
    return Counted(
        others=list(found.values()),
        first=None if first is None else datetime.fromtimestamp(first, UTC),
        last=None if last is None else datetime.fromtimestamp(last, UTC),
    )


class _Form:
    """How the keys of a query's rows are made from those of the ledger."""

    def __init__(self, query: Query, tags: Sequence[str]) -> None:
        needed = query.needed
        self._query = query
        self._places = [tags.index(key) for key in query.tags]
        self._starts: dict[int, int] = {}
        self._left_out = {
            field: None for field in ("account", "inference_region", "operation", "error") if field not in needed
        }
        self._has_who = "principal" in needed or "session" in needed
        self._has_tier = "tier" in needed

    def key_of(self, key: RowKey) -> RowKey:
        start = self._starts.get(key.start)
        if start is None:
            start = self._starts[key.start] = place_in_time(datetime.fromtimestamp(key.start, UTC), self._query)
        given = key.tags or ()
        return msgspec.structs.replace(
            key,
            start=start,
            who=key.who if self._has_who else None,
            tier="" if key.tier == UNSEEN and not self._has_tier else key.tier,
            tags=tuple([given[place] if place < len(given) else None for place in self._places]) or None,
            **self._left_out,
        )


