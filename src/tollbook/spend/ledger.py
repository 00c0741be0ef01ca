"""Rows in the one form in which days are kept, and from it the rows of any question that they can answer.

Kept rows tell the hour of UTC, or the quarter of one, and every dimension but sessions and tags that nobody
configured. So a later question in another time zone, grouped otherwise, or priced anew needs no reading.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import attrgetter, or_
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from tollbook.spend.query import TAG, Query
from tollbook.spend.tally import Counted, place_in_time
from tollbook.spend.usage import UNSEEN, RowKey, Usage, UsageRow
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
_FIELDS: Final = {"who": "principal"} | {name: name for name in ("account", "inference_region", "operation", "error")}
"""Fields of a row's key that are None unless their dimension is needed."""
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
    return query.quarters or not has_whole_hours(query.window.zone)


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
        query: one that `can_answer` lets through, and whose window begins and ends on the grid of `rows`.
        tags: the keys whose values the rows tell, in order.
    """
    form = _Form(query, tags)
    fields_of = form.fields_of
    alike: dict[int, defaultdict[object, list[UsageRow]]] = defaultdict(lambda: defaultdict(list))
    within: dict[int, defaultdict[object, list[UsageRow]] | None] = {}
    for row in rows:  # there may be a million
        key = row.key
        if key.start not in within:
            place = form.place(key.start)
            within[key.start] = None if place is None else alike[place]
        groups = within[key.start]
        if groups is not None:
            groups[fields_of(key)].append(row)
    found: dict[RowKey, list[UsageRow]] = defaultdict(list)
    for place, groups in alike.items():
        for group in groups.values():
            found[form.key_of(group[0].key, place)] += group
    starts = [start for start, groups in within.items() if groups is not None]
    return Counted(
        others=[_sum(key, group) for key, group in found.items()],
        first=datetime.fromtimestamp(min(starts), UTC) if starts else None,
        last=datetime.fromtimestamp(max(starts), UTC) if starts else None,
    )


class _Form:
    """How the keys of a query's rows are made from those of the ledger.

    Attributes:
        fields_of: what else than its `start` tells a key of the ledger from others, for the query.
    """

    def __init__(self, query: Query, tags: Sequence[str]) -> None:
        needed, window = query.needed, query.window
        left_out = [field for field, dimension in _FIELDS.items() if dimension not in needed]
        self._query = query
        self._since = -math.inf if window.since is None else window.since.timestamp()
        self._until = math.inf if window.until is None else window.until.timestamp()
        self._left_out: dict[str, None] = dict.fromkeys(left_out)
        self._has_tier = "tier" in needed
        self._tags = [tags.index(key) for key in query.tags]
        unread = {"start", *left_out, *(() if self._tags else ("tags",))}
        self.fields_of = attrgetter(*(field for field in RowKey.__struct_fields__ if field not in unread))

    def place(self, start: int) -> int | None:
        """The `start` of the query's row that a row of the ledger belongs to; None outside of the window."""
        if not self._since <= start < self._until:
            return None
        return place_in_time(datetime.fromtimestamp(start, UTC), self._query)

    def key_of(self, key: RowKey, place: int) -> RowKey:
        """The key of the query's row that begins at `place`."""
        told = key.tags or ()  # not every way of reading sees tags
        return msgspec.structs.replace(
            key,
            start=place,
            tier="" if key.tier == UNSEEN and not self._has_tier else key.tier,
            tags=tuple([told[tag] if tag < len(told) else None for tag in self._tags]) or None,
            **self._left_out,
        )


def _sum(key: RowKey, rows: Sequence[UsageRow]) -> UsageRow:
    if len(rows) == 1:
        return UsageRow(key, rows[0].usage, rows[0].traits)
    usages = zip(*[msgspec.structs.astuple(row.usage) for row in rows], strict=True)
    return UsageRow(key, Usage(*map(sum, usages)), reduce(or_, [row.traits for row in rows]))
