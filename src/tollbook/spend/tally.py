"""Records to rows, while they are read: memory depends on the rows, not on the records."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Final

from tollbook.spend.body import LIFETIME_MARKS, TIER_MARK, BodyFacts, facts_of
from tollbook.spend.principal import principal_of, session_of
from tollbook.spend.query import Query
from tollbook.spend.record import Input, LogRecord, Output, Reason, RecordReader
from tollbook.spend.usage import CONTEXT_STEPS, RowKey, Trait, Usage, UsageRow

Claim = Callable[[list[int]], Sequence[object]]
"""Takes the hashes of records' identities and answers, in their order, which are claimed for the first time."""

_Key = tuple[tuple[int, int], str, int, int, str, str | None, tuple[str | None, ...] | None, tuple[str | None, ...]]
"""UTC day and start; tier, context step, traits, invoked model, principal, tags; and the fields taken as they are."""

Counts = list[int]
"""Records, input, output, cache reads, cache writes, writes for an hour."""

_QUARTER_S: Final = 900
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = _EPOCH.toordinal()
_MOST_ARNS_KEPT: Final = 4096

# Plain integers: IntFlag's operators cost a microsecond each, and here they would run for every record.
_READS, _WRITES, _LIFETIME_UNSEEN = int(Trait.READS_CACHE), int(Trait.WRITES_CACHE), int(Trait.LIFETIME_UNSEEN)
_GROSS, _TIER_UNSEEN = int(Trait.GROSS), int(Trait.TIER_UNSEEN)
_NO_INPUT, _NO_OUTPUT, _NO_FACTS = Input(), Output(), BodyFacts()
_FIRST_STEP: Final = CONTEXT_STEPS[0]
_ASKED: Final = {"accountId": "account", "inferenceRegion": "inference_region", "operation": "operation"}
_identity_of = attrgetter("accountId", "region", "requestId")


class Tally:
    """Counts what a query asks for.

    Attributes:
        reader: what decodes, and counts the lines that are no records.
        duplicates: records that were counted before.
        outside: records that lie outside the query's window.
    """

    def __init__(self, query: Query, claim: Claim) -> None:
        self.reader = RecordReader(with_tags=bool(query.tags))
        self.duplicates = 0
        self.outside = 0
        self._query = query
        self._claim = claim
        self._buckets: dict[int, tuple[int, int]] = {}
        self._rows: dict[_Key, Counts] = {}
        self._folded: dict[str | None, str] = {}
        by = query.by
        self._fold = session_of if "session" in by else principal_of if "principal" in by else None
        self._asked_names = [name for name, dimension in _ASKED.items() if dimension in by]
        self._asked = attrgetter("modelId", "region", "errorCode", *self._asked_names)

    def read(self, block: bytes) -> None:
        """Counts the records in `block`, which holds whole lines."""
        self._count(self.reader.read(block), TIER_MARK in block)

    def read_each(self, texts: Sequence[bytes]) -> None:
        """Counts the records among `texts`, each the JSON of one record or of one CloudWatch event."""
        self._count(self.reader.read_each(texts), True)

    def _count(self, records: list[LogRecord], tiers_in_sight: bool) -> None:  # noqa: C901 - see below
        kept = list(self._settled(records))
        hashes = [hash(_identity_of(record)) for record in kept if record.requestId]
        first = iter(self._claim(hashes))
        rows, buckets, tags = self._rows, self._buckets, self._query.tags
        asked_of, fold, folded = self._asked, self._fold, self._folded
        # This loop runs for every record, and most of tollbook's time is spent in it and in the decoding
        # before it: hence the long body, the local names and the dictionaries of what was worked out before.
        for record in kept:
            if record.requestId and not next(first):
                self.duplicates += 1
                continue
            given, made = record.input or _NO_INPUT, record.output or _NO_OUTPUT
            fresh, output = given.inputTokenCount or 0, made.outputTokenCount or 0
            read, write, hour = given.cacheReadInputTokenCount or 0, given.cacheWriteInputTokenCount or 0, 0
            operation, body, facts = record.operation, made.outputBodyJson, _NO_FACTS
            traits, context, invoked, who, metadata = 0, 0, "", None, None

            if not (body and operation) or operation.startswith("InvokeModel"):
                traits = _TIER_UNSEEN
            elif tiers_in_sight:
                facts = facts_of(bytes(body))
            if read or write:
                if read:
                    traits |= _READS
                if "openai." in record.modelId and fresh >= read + write:  # type: ignore[operator]
                    fresh -= read + write
                    traits |= _GROSS
                if write:
                    if facts is _NO_FACTS and (text := bytes(body)) and any(mark in text for mark in LIFETIME_MARKS):
                        facts = facts_of(text)
                    traits |= _WRITES if facts.one_hour_writes is not None else _WRITES | _LIFETIME_UNSEEN
                    hour = min(write, facts.one_hour_writes or 0)
            if fresh + read + write > _FIRST_STEP:
                context = max(step for step in CONTEXT_STEPS if fresh + read + write > step)
            if "prompt-router/" in record.modelId:  # type: ignore[operator]
                invoked = (facts_of(bytes(body)) if facts is _NO_FACTS else facts).invoked_model
            if fold is not None:
                arn = record.identity.arn if record.identity else None
                who = folded.get(arn)
                if who is None:
                    if len(folded) >= _MOST_ARNS_KEPT:
                        folded.clear()
                    who = folded[arn] = fold(arn)
            if tags:
                found = record.requestMetadata or {}  # type: ignore[attr-defined]
                metadata = tuple(found.get(key) for key in tags)

            time = record.timestamp
            quarter = ((time.toordinal() - _EPOCH_DAY) * 24 + time.hour) * 4 + time.minute // 15  # type: ignore[union-attr]
            bucket = buckets.get(quarter) or self._bucket(quarter)
            key = (bucket, facts.tier, context, traits, invoked, who, metadata, asked_of(record))
            counts = rows.get(key)
            if counts is None:
                rows[key] = [1, fresh, output, read, write, hour]
            else:
                counts[0] += 1
                counts[1] += fresh
                counts[2] += output
                counts[3] += read
                counts[4] += write
                counts[5] += hour

    def _settled(self, records: list[LogRecord]) -> Iterator[LogRecord]:
        """The records that have a model and a time within the window."""
        window, settled = self._query.window, self.reader.settled
        since, until = window.since, window.until
        for record in records:
            time = record.timestamp
            if not record.modelId or time.__class__ is not datetime or time.tzinfo is not UTC:
                found = settled(record)
                if found is None:
                    continue
                record, time = found, found.timestamp
            if (since and time < since) or (until and time >= until):  # type: ignore[operator]
                self.outside += 1
            else:
                yield record

    def _bucket(self, quarter: int) -> tuple[int, int]:
        instant = _instant(quarter)
        local = instant.astimezone(self._query.window.zone)
        by_hour = self._query.by_hour
        start = int(local.replace(minute=0, second=0).timestamp()) if by_hour else local.toordinal()
        bucket = self._buckets[quarter] = (instant.toordinal(), start)
        return bucket

    def counted(self) -> "Counted":
        """All that was counted so far."""
        return Counted(
            self._rows,
            tuple(self._asked_names),
            self.duplicates,
            self.outside,
            self.reader.rejected,
            self.reader.permission_lines,
            min(self._buckets, default=None),
            max(self._buckets, default=None),
        )


@dataclass(slots=True)
class Counted:
    """What one or several tallies counted.

    Attributes:
        first_quarter, last_quarter: the quarter hours since 1970 of the first and the last record.
    """

    _rows: dict[_Key, Counts] = field(default_factory=dict)
    _asked: tuple[str, ...] = ()
    duplicates: int = 0
    outside: int = 0
    rejected: Counter[Reason] = field(default_factory=Counter)
    permission_lines: int = 0
    first_quarter: int | None = None
    last_quarter: int | None = None

    def add(self, other: "Counted") -> None:
        """Takes in what another tally of the same query counted."""
        if not self._rows:
            self._rows, self._asked = other._rows, other._asked
        else:
            for key, counts in other._rows.items():
                mine = self._rows.get(key)
                self._rows[key] = counts if mine is None else [a + b for a, b in zip(mine, counts, strict=True)]
        self.duplicates += other.duplicates
        self.outside += other.outside
        self.rejected += other.rejected
        self.permission_lines += other.permission_lines
        quarters = (self.first_quarter, self.last_quarter, other.first_quarter, other.last_quarter)
        known = [quarter for quarter in quarters if quarter is not None]
        self.first_quarter, self.last_quarter = min(known, default=None), max(known, default=None)

    def rows(self) -> Iterator[UsageRow]:
        """The rows, in no order. A record with an error code is an error, any other a call."""
        places = {name: place for place, name in enumerate(self._asked, 3)}
        account, inference, operation = (places.get(name) for name in _ASKED)
        for ((day, start), tier, context, traits, invoked, who, tags, fields), (records, *tokens) in self._rows.items():
            key = RowKey(
                day,
                start,
                fields[0] or "",
                fields[1],
                fields[2],
                tier,
                context,
                traits,
                invoked,
                who,
                None if account is None else fields[account],
                None if inference is None else fields[inference],
                None if operation is None else fields[operation],
                tags,
            )
            yield UsageRow(key, Usage(0, records, *tokens) if key.error else Usage(records, 0, *tokens))

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """From the quarter hour of the first record to the end of the last one's."""
        if self.first_quarter is None or self.last_quarter is None:
            return None
        return _instant(self.first_quarter), _instant(self.last_quarter + 1)


def _instant(quarter: int) -> datetime:
    return _EPOCH + timedelta(seconds=quarter * _QUARTER_S)
