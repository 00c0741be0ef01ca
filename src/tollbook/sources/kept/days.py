"""A day that was read, as it is kept: what it holds, what it is found by, and how it is written down.

A day is kept as an envelope: eight bytes that name the form, a digest, and what the digest is of, compressed. It holds
its rows in columns, and once what several rows have in common. Whoever can write to the place where days are kept can
change figures; the digest tells damage, not intent.

Source: https://github.com/msgpack/msgpack/blob/master/spec.md; RFC 1952 (gzip), RFC 7693 (BLAKE2)
"""

import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final, Protocol

import msgspec
from isal import igzip, isal_zlib
from msgspec.structs import astuple

from tollbook.sources.reading import Place, Taken
from tollbook.spend.ledger import folded, needs_quarters
from tollbook.spend.model import Named, model_of
from tollbook.spend.query import Query
from tollbook.spend.record import Reason
from tollbook.spend.tally import Counted
from tollbook.spend.usage import RowKey, Usage, UsageRow

_log: Final = logging.getLogger(__name__)

SCHEMA: Final = 1
"""To be raised whenever days that were kept before would be written, or counted, otherwise today."""
LARGEST: Final = 64 << 20
"""Bytes of a day, compressed or not: some hundred thousand rows. A larger one is not kept."""

_FORM: Final = b"tollday%d" % SCHEMA
_DIGEST: Final = 16  # bytes
_LEVEL: Final = 2  # of isal's 0 to 3
_INFLATE_ERROR: Final[type[Exception]] = isal_zlib.error  # type: ignore[assignment]  # isal's stub types an instance
_QUARTER_S: Final = 900
_QUARTERS: Final = 96  # of a day
_ACCOUNT: Final = re.compile(r"\d{12}")
_REGION: Final = re.compile(r"[a-z0-9-]{1,40}")
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9]+")
_LONGEST_NAME: Final = 60  # characters; S3 takes 1,024 bytes of a key in all


class Key(msgspec.Struct, frozen=True):
    """What a kept day is asked for by; made by `key_of`.

    Attributes:
        tags: the keys of request metadata that the rows are to tell, in the order in which they do when they are read.
        quarters: the rows must tell the quarters of an hour. Where they need not, they may.
    """

    place: Place
    day: date
    tags: tuple[str, ...]
    quarters: bool

    @property
    def name(self) -> str:
        """Where the day is kept: `v1/ACCOUNT/REGION/DAY/PLACE.DIGEST`, in letters, digits, `.`, `-` and `/` alone.

        The order of the tags makes no difference. Nor do the quarters: a day that tells them takes the place of one
        that does not.
        """
        place = self.place
        known_by = [SCHEMA, place.account, place.region, place.name, self.day.isoformat(), sorted(self.tags)]
        digest = hashlib.sha256(json.dumps(known_by).encode()).hexdigest()[:32]
        slug = _NO_NAME.sub("-", place.name).strip("-")[:_LONGEST_NAME]
        return f"v{SCHEMA}/{place.account or 'any'}/{place.region}/{self.day.isoformat()}/{slug}.{digest}"


def key_of(place: Place, day: date, quarters: bool, tags: Sequence[str]) -> Key:
    """What a day of `place` is kept by.

    Args:
        day: of UTC.
        tags: the keys of request metadata that rows tell, in order.

    Raises:
        ValueError: the account is not known, though a name such as `place`'s may be found in others; or the account or
            the region is none.
    """
    is_unique = place.name.startswith(
        "s3://"
    )  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    if not (_ACCOUNT.fullmatch(place.account) or (is_unique and not place.account)):
        raise ValueError("days are kept by the number of an account")
    if not _REGION.fullmatch(place.region):
        raise ValueError("days are kept by the name of a region")
    return Key(place, day, tuple(tags), quarters)


class KeptDay(msgspec.Struct, frozen=True):
    """A whole day of UTC, read without a hole.

    Attributes:
        rows: of the ledger; see `spend.ledger`.
        tags: the keys of request metadata that the rows tell, in order.
        quarters: the rows tell the quarters of an hour.
        engine: what read it.
        blind_to: sentences on what that cannot see, whatever the records.
        notes: sentences on what the figures do not tell.
        rejected, duplicates, tokenless, permission_lines: see `Counted`; of the whole day.
        openai: the ids of models whose calls were counted as OpenAI's are; see `counts_alike`.
        read_at: in UTC.
        bytes: what reading took.
    """

    day: date
    rows: tuple[UsageRow, ...]
    tags: tuple[str, ...]
    quarters: bool
    engine: str
    blind_to: tuple[str, ...]
    notes: tuple[str, ...]
    rejected: Mapping[Reason, int]
    duplicates: int
    tokenless: int
    permission_lines: int
    openai: tuple[str, ...]
    read_at: datetime
    bytes: int


def kept_of(
    taken: Taken,
    key: Key,
    *,
    engine: str,
    blind_to: Sequence[str],
    read_at: datetime,
    names: Mapping[str, Named] | None = None,
) -> KeptDay:
    """The day `key` from what was read of it with `ledger_query`.

    Args:
        names: what opaque model ids stood for when it was read.
    """
    counted = taken.counted
    rows = tuple(counted.rows())
    return KeptDay(
        day=key.day,
        rows=rows,
        tags=key.tags,
        quarters=key.quarters,
        engine=engine,
        blind_to=tuple(blind_to),
        notes=taken.notes,
        rejected={reason: number for reason, number in sorted(counted.rejected.items()) if number},
        duplicates=counted.duplicates,
        tokenless=counted.tokenless,
        permission_lines=counted.permission_lines,
        openai=_openai(rows, names),
        read_at=read_at.astimezone(UTC),
        bytes=taken.bytes,
    )


def counts_alike(day: KeptDay, names: Mapping[str, Named]) -> bool:
    """Whether its calls would be counted today as they were.

    Cached tokens are taken out of the input of OpenAI's models while the records are read; so what an opaque id stands
    for must have been known by then.
    """
    return day.openai == _openai(day.rows, names)


def _openai(rows: Sequence[UsageRow], names: Mapping[str, Named] | None) -> tuple[str, ...]:
    ids = {row.key.model_id for row in rows}
    return tuple(sorted(each for each in ids if model_of(each, names).vendor == "openai"))


def counted_of(day: KeptDay, query: Query) -> Counted:
    """What `day` tells of `query`, which `ledger.can_answer` must let through.

    What is no row (rejected lines, copies, calls without tokens) is told of the whole day, even where the window
    begins or ends within it.

    Raises:
        ValueError: the query needs the quarters of an hour, and the day does not tell them.
    """
    if needs_quarters(query) and not day.quarters:
        raise ValueError("the day does not tell the quarters of an hour")
    counted = folded(day.rows, query, day.tags)
    midnight, window = datetime.combine(day.day, time.min, UTC), query.window
    is_before = window.until is not None and window.until <= midnight
    is_after = window.since is not None and window.since >= midnight + timedelta(days=1)
    if not (is_before or is_after):
        counted.duplicates, counted.tokenless = day.duplicates, day.tokenless
        counted.permission_lines = day.permission_lines
        counted.rejected.update(day.rejected)
    return counted


class KeptDays(Protocol):
    """Keeps days, for any thread, and for several processes at once."""

    def find(self, keys: Sequence[Key]) -> Mapping[Key, KeptDay]:
        """The days that are kept, among `keys`. One that is damaged, or in another form, is not.

        Raises:
            StoreDown: the store cannot be reached, or refuses; in a sentence that says what to do.
        """
        ...

    def keep(self, entries: Mapping[Key, KeptDay]) -> None:
        """Keeps days, instead of those that were kept by the same names. One above `LARGEST` is left out.

        Raises:
            StoreDown: the store cannot be reached, or refuses.
        """
        ...


def encoded(key: Key, day: KeptDay) -> bytes | None:
    """What is kept of `day`: always the same bytes for the same day. None if it cannot be kept, which is logged."""
    try:
        content = _encoder.encode(_written(key, day))
    except (ValueError, OverflowError) as fault:  # of another day; a number beyond 64 bits; half a character
        _log.warning("The day %s is not kept: %s.", key.name, type(fault).__name__)
        return None
    if len(content) > LARGEST:
        _log.warning(
            "The day %s is not kept: it takes %d MB, of %d at most.", key.name, len(content) >> 20, LARGEST >> 20
        )
        return None
    content = igzip.compress(content, _LEVEL, mtime=0)
    return _FORM + _digest_of(content) + content


def decoded(key: Key, blob: bytes) -> KeptDay | None:
    """The day in `blob`. None if it is damaged or not that of `key`, which is logged, or too coarse for it."""
    try:
        day = _read(key, blob)
    except (ValueError, EOFError, IndexError, OverflowError, msgspec.MsgspecError, _INFLATE_ERROR) as fault:
        _log.warning("The kept day %s cannot be used, and is read anew: %s.", key.name, type(fault).__name__)
        return None
    return day if day.quarters or not key.quarters else None


_Index = Annotated[int, msgspec.Meta(ge=0)]
_MEASURES: Final = len(Usage.__struct_fields__)


class _Kind(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What is in a row's key besides its time, in the same order."""

    failed: bool
    model_id: str
    region: str | None
    tier: str
    context: int
    invoked: str
    who: str | None
    account: str | None
    inference_region: str | None
    operation: str | None
    error: str | None
    tags: tuple[str | None, ...] | None


class _Written(msgspec.Struct, array_like=True, frozen=True):
    """A day in columns; a row is what stands at the same place of each.

    Attributes:
        name: the key's.
        day: without its rows.
        kind: which of `kinds`.
        quarter: of the day, from 0.
        usages: a column for each field of `Usage`.
    """

    name: str
    day: KeptDay
    kinds: list[_Kind]
    kind: list[_Index]
    quarter: list[_Index]
    usages: Annotated[list[list[_Index]], msgspec.Meta(min_length=_MEASURES, max_length=_MEASURES)]
    traits: list[Annotated[int, msgspec.Meta(ge=0, lt=256)]]


_encoder: Final = msgspec.msgpack.Encoder(order="deterministic")
_decoder: Final = msgspec.msgpack.Decoder(_Written)


def _written(key: Key, day: KeptDay) -> _Written:
    if not _is_of(day, key):
        raise ValueError("another day's")
    kinds: dict[_Kind, int] = {}
    usages = [astuple(row.usage) for row in day.rows]
    return _Written(
        key.name,
        msgspec.structs.replace(day, rows=()),
        kind=[kinds.setdefault(_kind_of(row.key), len(kinds)) for row in day.rows],
        kinds=list(kinds),
        quarter=[_quarter_of(row.key, day.day) for row in day.rows],
        usages=[[usage[number] for usage in usages] for number in range(_MEASURES)],
        traits=[row.traits for row in day.rows],
    )


def _read(key: Key, blob: bytes) -> KeptDay:
    head = len(_FORM) + _DIGEST
    content = blob[head:]
    if not blob.startswith(_FORM) or blob[len(_FORM) : head] != _digest_of(content):
        raise ValueError("of another form, or damaged")
    inflating = isal_zlib.decompressobj(wbits=31)
    content = inflating.decompress(content, LARGEST)
    if not inflating.eof:
        raise ValueError("too large")
    written = _decoder.decode(content)
    day = written.day
    if written.name != key.name or not _is_of(day, key):
        raise ValueError("another day's")
    first, ordinal = _midnight(day.day), day.day.toordinal()
    starts = [first + _QUARTER_S * number for number in range(_QUARTERS)]
    kinds = [astuple(kind) for kind in written.kinds]
    columns = zip(written.kind, written.quarter, written.traits, *written.usages, strict=True)
    rows = [
        UsageRow(RowKey(ordinal, starts[quarter], *kinds[kind]), Usage(*usage), traits)
        for kind, quarter, traits, *usage in columns
    ]
    return msgspec.structs.replace(day, rows=tuple(rows))


def _is_of(day: KeptDay, key: Key) -> bool:
    return day.day == key.day and sorted(day.tags) == sorted(key.tags)


def _kind_of(key: RowKey) -> _Kind:
    return _Kind(
        key.failed,
        key.model_id,
        key.region,
        key.tier,
        key.context,
        key.invoked,
        key.who,
        key.account,
        key.inference_region,
        key.operation,
        key.error,
        key.tags,
    )


def _quarter_of(key: RowKey, day: date) -> int:
    quarter, rest = divmod(key.start - _midnight(day), _QUARTER_S)
    if rest or not 0 <= quarter < _QUARTERS or key.utc_day != day.toordinal():
        raise ValueError("a row of another day")
    return quarter


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time.min, UTC).timestamp())


def _digest_of(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST).digest()
