"""What an answer rests on: the stretch of time, whose calls, and all that is missing from its figures."""

from dataclasses import dataclass
from datetime import datetime

from tollbook.spend.report import Report
from tollbook.spend.window import Window


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
        tuple(UnpricedModel(entry.model, entry.why, entry.calls, entry.tokens) for entry in report.unpriced),
        {str(reason): count for reason, count in report.rejected.items()},
        report.duplicates,
        report.unread,
        report.notes,
    )


def period_of(window: Window) -> Period:
    """`window` in its own zone."""
    since, until = (time and time.astimezone(window.zone) for time in (window.since, window.until))
    return Period(since, until, window.zone.key)
