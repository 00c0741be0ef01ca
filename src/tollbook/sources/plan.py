"""Which days a question takes from those kept, which it reads to be kept, and what it reads only for itself. Pure."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import msgspec

from tollbook.core.errors import UsageError
from tollbook.sources.reading import Stretch
from tollbook.spend.ledger import can_answer, is_on_grid, needs_quarters
from tollbook.spend.query import Query
from tollbook.spend.window import MOST_DAYS

ALLOWANCE: Final = timedelta(hours=6)
"""How long after a day's end its records may still be delivered. CloudWatch and S3 mostly take minutes."""

_AHEAD: Final = timedelta(minutes=15)  # clocks differ
_HALF: Final = timedelta(hours=12)
_DAY: Final = timedelta(days=1)


class Plan(msgspec.Struct, frozen=True):
    """What a question needs.

    Attributes:
        closed: days of UTC, whole, that can be kept.
        anew: stretches that are read each time.
        quarters: kept rows must tell the quarters of an hour.
    """

    closed: tuple[date, ...]
    anew: tuple[Stretch, ...]
    quarters: bool


def plan(query: Query, now: datetime, tags: Sequence[str] | None) -> Plan:
    """What `query` needs.

    A day that is asked about for less than a half is read for that part alone: reading it whole would cost more
    than keeping it saves.

    Args:
        now: aware; nothing is read that lies after it.
        tags: the keys of request metadata that kept rows tell; None where no days are kept.

    Raises:
        UsageError: the window has no beginning, or more days than logs are kept for.
    """
    quarters = needs_quarters(query)
    keeps = tags is not None and can_answer(query, tags)
    closed: list[date] = []
    anew: list[Stretch] = []
    for part in _days(query, now):
        midnight = datetime.combine(part.since.date(), time.min, UTC)
        is_closed = midnight + _DAY + ALLOWANCE <= now
        fits = is_on_grid(part.since, quarters=quarters) and is_on_grid(part.until, quarters=quarters)
        if keeps and is_closed and fits and part.until - part.since >= _HALF:
            closed.append(midnight.date())
        else:
            anew.append(part)
    return Plan(tuple(closed), tuple(anew), quarters)


def whole_day(day: date) -> Stretch:
    """A day of UTC."""
    midnight = datetime.combine(day, time.min, UTC)
    return Stretch(midnight, midnight + _DAY)


def _days(query: Query, now: datetime) -> Iterator[Stretch]:
    """The window up to now, cut at the midnights of UTC."""
    since = query.window.since
    if since is None:
        raise UsageError("Logs on AWS have no first day: say how far back with --days or --since.")
    until = min(query.window.until or now + _AHEAD, now + _AHEAD)
    if until - since > MOST_DAYS * _DAY:
        raise UsageError(f"From {since:%Y-%m-%d} on are more than {MOST_DAYS} days. Give a later --since.")
    while since < until:
        midnight = datetime.combine(since.date(), time.min, UTC) + _DAY
        yield Stretch(since, min(midnight, until))
        since = midnight
