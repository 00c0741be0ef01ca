"""The answer: rows grouped and added up, and all that could not be counted or priced beside them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, cached_property
from typing import Final

import msgspec

from tollbook.core.text import printable
from tollbook.spend.model import Model, Named, label
from tollbook.spend.prices import STANDARD, PriceBook
from tollbook.spend.pricing import PricedRow, Status, priced
from tollbook.spend.principal import UNKNOWN, without_session
from tollbook.spend.query import TAG, Query
from tollbook.spend.record import Reason
from tollbook.spend.tally import Counted
from tollbook.spend.usage import UNSEEN, Usage, UsageRow
from tollbook.spend.window import days_of, start_of

NOT_IN_THESE_LOGS: Final = "not in these logs: bedrock-mantle, batch, async"
"""Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html lists the
operations of `bedrock-runtime` that are logged; others are not."""

Values = tuple[str | None, ...]


class Sum:
    """Calls, tokens and money, added up row by row.

    Attributes:
        by_day: dollars by local day.
    """

    __slots__ = (
        "_priced",
        "_saving",
        "_usd",
        "by_day",
        "cache_read",
        "cache_write",
        "calls",
        "errors",
        "input",
        "output",
        "statuses",
    )

    def __init__(self) -> None:
        self.calls = self.errors = self.input = self.output = self.cache_read = self.cache_write = 0
        self.statuses: set[Status] = set()
        self.by_day: dict[date, Decimal] = {}
        self._usd = self._saving = Decimal(0)
        self._priced = False

    def add(self, row: PricedRow, day: date) -> None:
        """Takes in a row of the local `day`."""
        self._count(row.usage_row.usage)
        self.statuses |= row.statuses
        if row.usd is not None and row.saving is not None:
            self._priced = True
            self._usd += row.usd
            self._saving += row.saving
            self.by_day[day] = self.by_day.get(day, Decimal(0)) + row.usd

    def take(self, other: "Sum") -> None:
        """Takes in what another sum holds, but for its days."""
        self._count(other)
        self.statuses |= other.statuses
        self._priced |= other._priced
        self._usd += other._usd
        self._saving += other._saving

    def _count(self, more: "Usage | Sum") -> None:
        self.calls += more.calls
        self.errors += more.errors
        self.input += more.input
        self.output += more.output
        self.cache_read += more.cache_read
        self.cache_write += more.cache_write

    @property
    def tokens(self) -> int:
        """All tokens, of whatever kind."""
        return self.input + self.output + self.cache_read + self.cache_write

    @property
    def usd(self) -> Decimal | None:
        """Dollars of the priced part; None only where calls were served and nothing in them is priced."""
        return self._usd if self._priced or not self.calls else None

    @property
    def saving(self) -> Decimal | None:
        """What the cache saved in the priced part, less what filling it cost; may be negative."""
        return self._saving if self._priced or not self.calls else None

    @property
    def cache_hit_rate(self) -> Decimal | None:
        """The share, 0 to 1, of prompt tokens that were read from the cache; None without prompt tokens."""
        prompt = self.input + self.cache_read + self.cache_write
        return Decimal(self.cache_read) / prompt if prompt else None


class Group(msgspec.Struct, frozen=True):
    """The rows that share `values`, one for each dimension; None where a record has none."""

    values: Values
    sum: Sum


class Unpriced(msgspec.Struct, frozen=True):
    """Calls of one model that have no price, for one reason."""

    model: str
    why: str
    calls: int
    tokens: int


class Report(msgspec.Struct, frozen=True, dict=True):
    """What was asked, and the answer.

    Attributes:
        since, until: the window; where it was left open, the whole days on which records lie, or None
            where there are none.
        by: the dimensions to group by.
        rejected: lines that are no records, by reason.
        duplicates: records that came again.
        notes: sentences that belong beside the figures.
        unread: sentences on what could not be read, and is missing from every figure.
    """

    since: datetime | None
    until: datetime | None
    query: Query
    by: tuple[str, ...]
    rows: tuple[PricedRow, ...]
    rejected: Mapping[Reason, int]
    duplicates: int
    notes: tuple[str, ...]
    unread: tuple[str, ...] = ()

    @cached_property
    def total(self) -> Sum:
        groups = self.grouped(())
        return groups[0].sum if groups else Sum()

    @cached_property
    def groups(self) -> list[Group]:
        return self.grouped(self.by)

    def grouped(self, by: tuple[str, ...]) -> list[Group]:
        """The rows by the dimensions `by`, in order of time where that is among them, then of money."""
        sums: dict[Values, Sum] = defaultdict(Sum)
        for row, day, values in self.valued(by):
            sums[values].add(row, day)
        times = [place for place, name in enumerate(by) if name in ("day", "hour")]

        def order(group: Group) -> tuple[object, ...]:
            total = group.sum
            when = [_instant(group.values[place] or "") for place in times]
            names = [(value is not None, value or "") for value in group.values]
            return (*when, -(total.usd or 0), -total.tokens, -total.calls, names)

        return sorted((Group(values, total) for values, total in sums.items()), key=order)

    def valued(self, by: tuple[str, ...]) -> Iterator[tuple[PricedRow, date, Values]]:
        """Each row with its local day and its values of the dimensions `by`."""
        values_of = _values_of(by, self.query)
        days: dict[int, date] = {}
        for row in self.rows:
            start = row.usage_row.key.start
            day = days.get(start)
            if day is None:
                day = days[start] = local_day(start, self.query)
            yield row, day, values_of(row, day)

    @cached_property
    def days(self) -> list[date]:
        """The local days of the window, in order; of an open one, the days with records."""
        if self.since is None or self.until is None:
            return sorted(self.total.by_day)
        return list(days_of(self.since, self.until, self.query.window.zone))

    @cached_property
    def unpriced(self) -> list[Unpriced]:
        """What has no price, the most tokens first."""
        found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for row in self.rows:
            if row.unpriced_calls:
                counts = found[row.model.id, row.why]
                counts[0] += row.unpriced_calls
                counts[1] += row.unpriced_tokens
        entries = (Unpriced(*key, *counts) for key, counts in found.items())
        return sorted(entries, key=lambda entry: (-entry.tokens, -entry.calls, entry.model, entry.why))


def report_of(
    counted: Counted,
    query: Query,
    by: tuple[str, ...],
    book: PriceBook,
    names: Mapping[str, Named],
    notes: Iterable[str] = (),
    always: Iterable[str] = (),
    unread: Iterable[str] = (),
) -> Report:
    """The answer to `query` from what was counted.

    Whoever reads the logs, this is where what may not be seen is left out: rows, and all that was counted or noted
    over every record.

    Args:
        by: the dimensions to group by, among the query's.
        names: what opaque model ids stand for.
        notes: sentences on what could not be read, for whoever sees all.
        always: sentences that tell nothing of any record, for everyone.
        unread: sentences on what could not be read and is missing from the figures, for everyone.
    """
    window = query.window
    since, until = window.since, window.until
    usage_rows: Iterable[UsageRow] = counted.rows()
    first, last = (time and time.astimezone(window.zone).date() for time in (counted.first, counted.last))
    if not query.sight.is_all:
        usage_rows = _seen(usage_rows, query)
        days = [local_day(row.key.start, query) for row in usage_rows]
        first, last = min(days, default=None), max(days, default=None)
        counted, notes = Counted(), ()
        unread = [_SOME_UNREAD] if list(unread) else []
    if first is not None and last is not None:
        since = since or start_of(first, window.zone)
        until = until or start_of(last + timedelta(days=1), window.zone)
    rows = tuple(_let_through(priced(usage_rows, book, names), query))
    rejected = {reason: count for reason, count in sorted(counted.rejected.items()) if count}
    every_note = (*notes, *always, *_notes(counted, rows, query))
    return Report(since, until, query, by, rows, rejected, counted.duplicates, every_note, tuple(unread))


def _seen(rows: Iterable[UsageRow], query: Query) -> Sequence[UsageRow]:
    """Those of `rows` that whoever asks may see."""
    sight, keys = query.sight, query.tags
    return [row for row in rows if sight.sees(row.key.who, dict(zip(keys, row.key.tags or (), strict=False)))]


def _let_through(rows: Iterable[PricedRow], query: Query) -> Iterable[PricedRow]:
    """Those of `rows` that the query's filter lets through."""
    only = query.only
    if not only.dimensions:
        return rows
    (principal_of,) = _getters_of(("principal",), query)

    @cache
    def is_model(model: Model) -> bool:
        return _any_holds((model.id, label(model.id), model.profile), only.model)

    return (
        row
        for row in rows
        if only.region in ("", row.usage_row.key.region)
        and only.account in ("", row.usage_row.key.account)
        and is_model(row.model)
        and _any_holds((principal_of(row, date.min) or "",), only.principal)
    )


def _any_holds(names: Iterable[str], part: str) -> bool:
    return any(part.casefold() in name.casefold() for name in names)


def _notes(counted: Counted, rows: Iterable[PricedRow], query: Query) -> Iterable[str]:
    only, sight = query.only, query.sight
    if not sight.is_all:
        yield f"only {sight.words}; nothing is told of other calls, of lines that are no records, or of copies"
    if asked := only.dimensions:
        values = ", ".join(f"{name} {printable(getattr(only, name))}" for name in asked)
        rest = "; rejected lines, duplicates and what is left out count all that was read" if sight.is_all else ""
        yield f"only calls with {values}{rest}"
    if counted.outside:
        yield f"left out, since they lie outside the window: {counted.outside:,} records"
    if counted.tokenless:
        yield f"served without any tokens in the log: {counted.tokenless:,} calls, which cost nothing here"
    if counted.permission_lines:
        yield f"skipped, since they are no calls: {counted.permission_lines:,} lines of Bedrock's permission check"
    statuses = {status for row in rows for status in row.statuses}
    yield from (sentence for status, sentence in _MEANINGS.items() if status in statuses)
    yield NOT_IN_THESE_LOGS
    yield "an estimate at list price, before discounts, credits and taxes"


_SOME_UNREAD: Final = "some of the logs, so that every figure may be too low; whoever sees all is told which"

_MEANINGS = {
    Status.ASSUMED_5M: "assumed_5m: cache writes of unseen lifetime, priced as for 5 minutes; an hour costs more",
    Status.ASSUMED_TIER: "assumed_tier: priced at the standard service tier; the log or the book tells no other",
    Status.ASSUMED_REGION: "assumed_region: priced as in the US regions; the book has no rate for the region",
    Status.GROSS_ASSUMED: "gross_assumed: OpenAI input counts hold the cached tokens too; they were subtracted",
}


@cache
def _instant(time: str) -> datetime:
    """A day's or an hour's text as it sorts: when the clocks go back, the texts of hours do not."""
    return datetime.fromisoformat(time)


def local_day(start: int, query: Query) -> date:
    """The day, in the zone of `query`, of rows that begin at `start`: see `RowKey.start`."""
    if query.by_hour:
        return datetime.fromtimestamp(start, query.window.zone).date()
    return date.fromordinal(start)


_Value = Callable[[PricedRow, date], str | None]


def _getters_of(by: tuple[str, ...], query: Query) -> list[_Value]:
    def hour(row: PricedRow, _: date) -> str:
        return datetime.fromtimestamp(row.usage_row.key.start, query.window.zone).isoformat()

    def tag(key: str) -> _Value:
        place = query.tags.index(key)
        return lambda row, _: (row.usage_row.key.tags or ())[place]

    has_sessions = "session" in query.needed

    def principal(row: PricedRow, _: date) -> str:
        who = row.usage_row.key.who or UNKNOWN
        return without_session(who) if has_sessions else who

    own = {"hour": hour, "principal": principal}
    return [own.get(name) or _VALUES.get(name) or tag(name.removeprefix(TAG)) for name in by]


def _values_of(by: tuple[str, ...], query: Query) -> Callable[[PricedRow, date], Values]:
    getters = _getters_of(by, query)
    return lambda row, day: tuple([value(row, day) for value in getters])


def _tier(row: PricedRow, _: date) -> str:
    tier = row.usage_row.key.tier
    return UNKNOWN if tier == UNSEEN else tier or STANDARD


_VALUES: Mapping[str, _Value] = {
    "day": lambda _, day: day.isoformat(),
    "model": lambda row, _: row.model.id,
    "vendor": lambda row, _: row.model.vendor or None,
    "scope": lambda row, _: row.model.scope,
    "profile": lambda row, _: row.model.profile or None,
    "session": lambda row, _: row.usage_row.key.who,
    "account": lambda row, _: row.usage_row.key.account or UNKNOWN,
    "region": lambda row, _: row.usage_row.key.region or UNKNOWN,
    "inference_region": lambda row, _: row.usage_row.key.inference_region or row.usage_row.key.region or UNKNOWN,
    "operation": lambda row, _: row.usage_row.key.operation or UNKNOWN,
    "error": lambda row, _: row.usage_row.key.error,
    "tier": _tier,
}
