"""Records to rows, while they are read: memory depends on the rows, not on the records."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Final

import msgspec

from tollbook.spend.body import facts_of, one_hour_writes
from tollbook.spend.model import Model, Named, model_of
from tollbook.spend.principal import principal_of, session_of
from tollbook.spend.query import Query
from tollbook.spend.record import Input, LogRecord, Output, Reason, RecordReader
from tollbook.spend.usage import CONTEXT_STEPS, UNSEEN, RowKey, Trait, Usage, UsageRow
from tollbook.spend.window import YEARS, has_whole_hours

Claim = Callable[[list[int]], Sequence[object]]
"""Takes the hashes of records' identities and answers, in their order, which are claimed for the first time."""

# Plain integers: IntFlag's operators cost a microsecond each, and here they would run for every record.
_LIFETIME_UNSEEN, _GROSS, _TIER_UNSEEN = int(Trait.LIFETIME_UNSEEN), int(Trait.GROSS), int(Trait.TIER_UNSEEN)
_NO_INPUT, _NO_OUTPUT = Input(), Output()
_FIRST_STEP: Final = CONTEXT_STEPS[0]
_QUARTER, _HOUR_LONG, _ONE_DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
_FIRST_INSTANT: Final = datetime.min.replace(tzinfo=UTC)
_LAST_INSTANT: Final = datetime.max.replace(tzinfo=UTC)
_MOST_ARNS_KEPT: Final = 4096
_identity_of = attrgetter("accountId", "region", "requestId")

# Fields of a record that are only looked at if a query asks for them.
_ASKED: Final = {
    "account": "accountId",
    "inference_region": "inferenceRegion",
    "operation": "operation",
    "error": "errorCode",
}

# Models that are counted in ways of their own.
_PLAIN, _OPENAI, _ROUTED = 1, 2, 3
# Their answers do not tell the service tier.
_UNSEEN_TIERS: Final = frozenset({"InvokeModel", "InvokeModelWithResponseStream", None, ""})

_Fields = tuple[str | None, ...]
_Key = tuple[tuple[int, int], _Fields, str | None, tuple[str, int, str, _Fields | None] | None]
"""UTC day and start; modelId, region and the fields asked for; who; and, for few, tier, context step, invoked
model and tags."""

_Counts = list[int]
"""In the order below; those from `_ERRORS` on are of calls that failed."""
_CALLS, _INPUT, _OUTPUT, _READ, _WRITE, _HOUR, _READING, _WRITING, _BOTH, _TRAITS = range(10)
_ERRORS, _LOST_INPUT, _LOST_OUTPUT, _LOST_READ, _LOST_WRITE = range(10, 15)
_NONE: Final = (0,) * 15


class Tally:
    """Counts what a query asks for.

    Attributes:
        reader: what decodes, and counts the lines that are no records.
    """

    def __init__(self, query: Query, claim: Claim, names: Mapping[str, Named] | None = None) -> None:
        """Counts nothing yet.

        Args:
            names: what opaque model ids stand for: how a call is counted depends on its model's vendor.
        """
        self._names = names
        self.reader = RecordReader(with_tags=bool(query.tags))
        self._query = query
        self._claim = claim
        self._duplicates = 0
        self._outside = 0
        self._tokenless = 0
        self._in_quarters = query.quarters or not has_whole_hours(query.window.zone)
        self._buckets: dict[int, tuple[int, int]] = {}
        self._specials: dict[str, int] = {}
        self._rows: dict[_Key, _Counts] = {}
        self._folded: dict[str | None, str] = {}
        needed = query.needed
        self._fold = fold_of(query)
        self._unseen_tier = UNSEEN if "tier" in needed else ""
        self._asked = tuple(name for name in _ASKED if name in needed)
        self._fields_of = attrgetter("modelId", "region", *(_ASKED[name] for name in self._asked))

    def read(self, block: bytes, one_by_one: Callable[[], Iterable[bytes]] | None = None) -> None:
        """Counts the records in `block`, which holds whole lines.

        Args:
            one_by_one: see `RecordReader.read`.
        """
        self._count(self.reader.read(block, one_by_one))

    def read_each(self, texts: Sequence[bytes]) -> None:
        """Counts the records among `texts`, each the JSON of one record or of one CloudWatch event."""
        self._count(self.reader.read_each(texts))

    def _count(self, records: list[LogRecord]) -> None:  # noqa: C901 - for speed, see below
        rows, buckets, folded = self._rows, self._buckets, self._folded
        fields_of, fold, tags, unseen_tier = self._fields_of, self._fold, self._query.tags, self._unseen_tier
        in_quarters, specials, hides_tier = self._in_quarters, self._specials, _UNSEEN_TIERS.__contains__
        # This loop runs for every record, and most of tollbook's time is spent in it and in the decoding
        # before it. Hence the local names, and the detours that few records take.
        for record in self._new(self._within(records)):
            given, made = record.input or _NO_INPUT, record.output or _NO_OUTPUT
            fresh, output = given.inputTokenCount or 0, made.outputTokenCount or 0
            read, write, hour = given.cacheReadInputTokenCount or 0, given.cacheWriteInputTokenCount or 0, 0
            body, model_id = made.outputBodyJson, record.modelId
            tier, traits, detail = "", 0, None
            special = specials.get(model_id)
            if special is None:
                special = specials[model_id] = _special(model_of(model_id, self._names))
            if body is None or hides_tier(record.operation):
                tier, traits = unseen_tier, _TIER_UNSEEN
            elif body.__class__ is list or body.serviceTier or body.service_tier:  # type: ignore[union-attr]
                tier = facts_of(body).tier
            if read or write:
                if special == _OPENAI and fresh >= read + write:
                    fresh -= read + write
                    traits |= _GROSS
                if write:
                    told = one_hour_writes(body)
                    if told is None:
                        traits |= _LIFETIME_UNSEEN
                    else:
                        hour = min(write, told)
            prompt = fresh + read + write
            if prompt > _FIRST_STEP or tier or special == _ROUTED or tags:
                context = max((step for step in CONTEXT_STEPS if prompt > step), default=0)
                invoked = facts_of(body).invoked_model if special == _ROUTED else ""
                metadata = getattr(record, "requestMetadata", None) or {}
                detail = (tier, context, invoked, tuple(map(metadata.get, tags)) if tags else None)

            who = None
            if fold is not None:
                arn = record.identity.arn if record.identity else None
                who = folded.get(arn)
                if who is None:
                    if len(folded) >= _MOST_ARNS_KEPT:
                        folded.clear()
                    who = folded[arn] = fold(arn)
            time = record.timestamp if record.timestamp.tzinfo is UTC else _in_utc(record.timestamp)
            slot = time.toordinal() * 24 + time.hour
            if in_quarters:
                slot = slot * 4 + time.minute // 15
            bucket = buckets.get(slot) or self._bucket(slot)
            if bucket is None:
                self.reader.reject(Reason.BAD_TIMESTAMP)
                continue
            key = (bucket, fields_of(record), who, detail)
            counts = rows.get(key)
            if counts is None:
                counts = rows[key] = [*_NONE]
            if record.errorCode:
                counts[_ERRORS] += 1
                counts[_LOST_INPUT] += fresh
                counts[_LOST_OUTPUT] += output
                counts[_LOST_READ] += read
                counts[_LOST_WRITE] += write
                continue
            if not (prompt or output):
                self._tokenless += 1
            counts[0] += 1
            counts[1] += fresh
            counts[2] += output
            counts[_TRAITS] |= 1 << traits
            if read:
                counts[3] += read
                counts[_READING] += 1
                counts[_BOTH] += write > 0
            if write:
                counts[4] += write
                counts[5] += hour
                counts[_WRITING] += 1

    def _within(self, records: list[LogRecord]) -> list[LogRecord]:
        """Those of `records` that lie in the window."""
        window = self._query.window
        if window.is_open:
            return records
        since, until = window.since or _FIRST_INSTANT, window.until or _LAST_INSTANT
        kept = [record for record in records if since <= record.timestamp < until]
        self._outside += len(records) - len(kept)
        return kept

    def _new(self, records: list[LogRecord]) -> list[LogRecord]:
        """Those of `records` that were not counted before; one without a request id is always new."""
        answers = self._claim([hash(_identity_of(record)) for record in records if record.requestId])
        if all(answers):
            return records
        first = iter(answers)
        kept = [record for record in records if not record.requestId or next(first)]
        self._duplicates += len(records) - len(kept)
        return kept

    def _bucket(self, slot: int) -> tuple[int, int] | None:
        """Where the records of a slot belong; None if it lies outside of all `YEARS`."""
        instant = self._instant(slot)
        if instant.year not in YEARS:
            return None
        bucket = self._buckets[slot] = (instant.toordinal(), place_in_time(instant, self._query))
        return bucket

    def _instant(self, slot: int) -> datetime:
        """The first instant of a slot: of an hour or, where the zone needs it, a quarter of one, from year 1 on."""
        length = _QUARTER if self._in_quarters else _HOUR_LONG
        return _FIRST_INSTANT + (slot * length - _ONE_DAY)  # ordinals count from 1

    def counted(self) -> "Counted":
        """All that was counted so far."""
        return Counted(
            self._rows,
            self._asked,
            self._duplicates,
            self._outside,
            self._tokenless,
            self.reader.rejected,
            self.reader.permission_lines,
            self._instant(min(self._buckets)) if self._buckets else None,
            self._instant(max(self._buckets)) if self._buckets else None,
        )


def place_in_time(instant: datetime, query: Query) -> int:
    """The `start` of a row, in the form of `query`, for the hour or quarter of one that begins at `instant`."""
    local = instant.astimezone(query.window.zone)
    if not query.by_hour:
        return local.toordinal()
    return int((local if query.quarters else local.replace(minute=0, second=0)).timestamp())


class Counted(msgspec.Struct):
    """What one or several tallies counted.

    Attributes:
        others: rows that were counted elsewhere, in the form of the same query.
        duplicates: records that were counted before.
        outside: records that lie outside the query's window.
        tokenless: calls that were served and have no tokens.
        rejected: lines that are no records, by reason.
        permission_lines: see `RecordReader`.
        first, last: the beginnings of the hours, or quarters of one, of the first and the last record.
    """

    _rows: dict[_Key, _Counts] = {}
    _asked: tuple[str, ...] = ()
    duplicates: int = 0
    outside: int = 0
    tokenless: int = 0
    rejected: Counter[Reason] = msgspec.field(default_factory=Counter)
    permission_lines: int = 0
    first: datetime | None = None
    last: datetime | None = None
    others: list[UsageRow] = []

    def add(self, other: "Counted") -> None:
        """Takes in what another tally of the same query counted."""
        if not self._rows:
            self._rows, self._asked = other._rows, other._asked
        else:
            for key, counts in other._rows.items():
                mine = self._rows.get(key)
                if mine is None:
                    self._rows[key] = counts
                else:
                    traits = mine[_TRAITS] | counts[_TRAITS]
                    mine[:] = [a + b for a, b in zip(mine, counts, strict=True)]
                    mine[_TRAITS] = traits
        self.duplicates += other.duplicates
        self.outside += other.outside
        self.tokenless += other.tokenless
        self.rejected += other.rejected
        self.permission_lines += other.permission_lines
        self.others += other.others
        if other.first is not None and other.last is not None:
            self.first = min(self.first or other.first, other.first)
            self.last = max(self.last or other.last, other.last)

    def rows(self) -> Iterator[UsageRow]:
        """The rows, in no order: those of calls that were served, and those of calls that failed."""
        places = {name: place for place, name in enumerate(self._asked, 2)}
        account, inference, operation, error = (places.get(name) for name in _ASKED)
        for ((day, start), fields, who, detail), counts in self._rows.items():
            tier, context, invoked, tags = detail or ("", 0, "", None)

            key = RowKey(
                utc_day=day,
                start=start,
                failed=False,
                model_id=fields[0] or "",
                region=fields[1],
                tier=tier,
                context=context,
                invoked=invoked,
                who=who,
                account=None if account is None else fields[account],
                inference_region=None if inference is None else fields[inference],
                operation=None if operation is None else fields[operation],
                error=(None if error is None else fields[error]) or None,
                tags=tags,
            )
            if counts[_CALLS]:
                yield UsageRow(key, Usage(counts[_CALLS], 0, *counts[_INPUT:_TRAITS]), counts[_TRAITS])
            if counts[_ERRORS]:
                yield UsageRow(msgspec.structs.replace(key, failed=True), Usage(0, *counts[_ERRORS:]))
        yield from self.others


def fold_of(query: Query) -> Callable[[str | None], str] | None:
    """What makes of an ARN what rows tell of who called; None where they tell nothing."""
    sight, needed = query.sight, query.needed
    if "session" not in needed:
        return principal_of if "principal" in needed else None
    if sight.is_all or sight.tags:
        return session_of

    def seen(arn: str | None) -> str:
        """The same, but for those who are not seen: there may be millions of them, and all are one."""
        who = session_of(arn)
        return who if sight.sees(who, {}) else ""

    return seen


def _special(model: Model) -> int:
    return _ROUTED if model.kind == "router" else _OPENAI if model.vendor == "openai" else _PLAIN


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:  # in the first or the last hours that datetime knows
        return time.replace(tzinfo=UTC)
