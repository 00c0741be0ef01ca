"""What each principal spent with each model, by day and by hour: the cells that anomalies are looked for in."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Final

from tollbook.spend.report import Report

HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Cost:
    """What was spent in an hour or on a day."""

    usd: Decimal
    calls: int
    tokens: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.usd + other.usd, self.calls + other.calls, self.tokens + other.tokens)


NOTHING: Final = Cost(Decimal(0), 0, 0)


@dataclass(frozen=True)
class Clock:
    """The hours that are over and have calls.

    Attributes:
        local: by the instant in UTC, the same in the zone of the question. Two instants are one hour of the clock when
            it goes back, and Python takes those for equal.
    """

    local: Mapping[datetime, datetime]

    @cached_property
    def of_day(self) -> Mapping[date, Sequence[datetime]]:
        """By local day, the instants of it in order."""
        found: dict[date, list[datetime]] = defaultdict(list)
        for instant in sorted(self.local):
            found[self.local[instant].date()].append(instant)
        return found


def clock_of(report: Report, now: datetime) -> Clock:
    if not report.query.by_hour:
        return Clock({})
    instants = (datetime.fromtimestamp(start, UTC) for start in {row.usage_row.key.start for row in report.rows})
    zone = report.query.window.zone
    return Clock({instant: instant.astimezone(zone) for instant in instants if instant + HOUR <= now})


@dataclass(frozen=True)
class Cell:
    """The calls of one model by one principal, or all of them.

    Attributes:
        days, hours: where there are calls; hours by their instant, and only of reports by hour.
        unpriced: days on which nothing has a price, which are no history and are not judged.
    """

    model: str | None
    principal: str | None
    clock: Clock
    days: Mapping[date, Cost]
    hours: Mapping[datetime, Cost]
    unpriced: frozenset[date] = frozenset()

    def day(self, day: date) -> Cost:
        return self.days.get(day, NOTHING)

    @cached_property
    def by_clock(self) -> Mapping[tuple[date, int], Cost]:
        """By day and hour of the clock; the hour that comes twice when it goes back, once."""
        found: dict[tuple[date, int], Cost] = {}
        for instant, cost in self.hours.items():
            hour = self.clock.local[instant]
            place = (hour.date(), hour.hour)
            found[place] = found[place] + cost if place in found else cost
        return found


def cells_of(report: Report, clock: Clock) -> list[Cell]:
    by_hour = report.query.by_hour
    days: dict[tuple[str, str], dict[date, Cost]] = defaultdict(dict)
    hours: dict[tuple[str, str], dict[datetime, Cost]] = defaultdict(dict)
    unpriced: dict[tuple[str, str], set[date]] = defaultdict(set)
    for row, day, (model, principal) in report.valued(("model", "principal")):
        key, usage = (model or "", principal or ""), row.usage_row.usage
        if row.usd is None:
            if usage.calls:
                unpriced[key].add(day)
            continue
        cost = Cost(row.usd, usage.calls, usage.tokens)
        if by_hour:
            instant = datetime.fromtimestamp(row.usage_row.key.start, UTC)
            if instant not in clock.local:
                continue
            hours[key][instant] = hours[key].get(instant, NOTHING) + cost
        days[key][day] = days[key].get(day, NOTHING) + cost
    return [
        Cell(*key, clock, days[key], hours[key], frozenset(unpriced[key] - set(days[key])))
        for key in sorted({*days, *unpriced})
    ]


def together(cells: Iterable[Cell], clock: Clock) -> Cell:
    days: dict[date, Cost] = defaultdict(lambda: NOTHING)
    for cell in cells:
        for day, cost in cell.days.items():
            days[day] += cost
    return Cell(None, None, clock, dict(days), {})
