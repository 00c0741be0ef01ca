"""What an answer rests on: the stretch of time, whose calls, and all that is missing from its figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tollbook.spend.report import Report, Unpriced
from tollbook.spend.window import Window

_MOST_UNPRICED: Final = 100


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time.

    Attributes:
        since, until: aware, in the zone `tz`; `until` is just after the last instant. None where nothing was asked for
            and no record was found.
        tz: the IANA time zone whose days are meant.
    """

    since: datetime | None
    until: datetime | None
    tz: str


@dataclass(frozen=True, slots=True)
class UnpricedModel:
    """Calls of one model that no source gives a price for, for one reason."""

    model: str
    why: str
    calls: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Basis:
    """What an answer rests on. The names are those of `Report`, so that the same sentences say both.

    Attributes:
        period: all that was read; the parts that are compared are in the answer.
        whose: whose calls were counted, such as `all calls`.
        status: how sure the prices are, see `spend.pricing.Status`; sorted.
        unpriced: the most tokens first; of more than a hundred models the last entry is the sum of the others.
        rejected: lines that are no records, by reason.
        duplicates: records that came again.
        unread: sentences on what could not be read and is missing from every figure.
        notes: sentences that belong beside the figures.
    """

    period: Period
    whose: str
    status: tuple[str, ...]
    unpriced: tuple[UnpricedModel, ...]
    rejected: dict[str, int]
    duplicates: int
    unread: tuple[str, ...]
    notes: tuple[str, ...]


def basis_of(report: Report) -> Basis:
    """What any answer from `report` rests on."""
    window = Window(report.since, report.until, report.query.window.zone)
    return Basis(
        period_of(window),
        report.query.sight.words,
        tuple(sorted(report.total.statuses)),
        tuple(_unpriced(report.unpriced)),
        {str(reason): count for reason, count in report.rejected.items()},
        report.duplicates,
        report.unread,
        report.notes,
    )


def _unpriced(entries: Sequence[Unpriced]) -> Iterator[UnpricedModel]:
    """All of them, so that their calls add up: of very many, the lesser ones together."""
    for entry in entries[:_MOST_UNPRICED]:
        yield UnpricedModel(entry.model, entry.why, entry.calls, entry.tokens)
    if rest := entries[_MOST_UNPRICED:]:
        calls, tokens = sum(entry.calls for entry in rest), sum(entry.tokens for entry in rest)
        yield UnpricedModel(
            f"{len(rest)} more models", "no source gives a price for them, or not for all of it", calls, tokens
        )


def period_of(window: Window) -> Period:
    """`window` in its own zone."""
    since, until = (time and time.astimezone(window.zone) for time in (window.since, window.until))
    return Period(since, until, window.zone.key)
