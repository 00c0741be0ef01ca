"""What a day or an hour usually costs a cell, and how far above that a cost lies.

The modified z-score of Iglewicz and Hoaglin, "How to Detect and Handle Outliers" (1993): how far a cost lies above the
median of its history, in units of the median deviation from it; with a least deviation, since costs are sums of calls
that come by chance. The figures are tuned by `bench/anomalies.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import sqrt
from statistics import median
from typing import Final

from tollbook.spend.answers.cells import NOTHING, Cell, Cost

_LEAST_DAY_SCALE: Final = 0.15  # of the usual cost: nothing is so steady that a little more is news
_LEAST_HOUR_SCALE: Final = 0.2
_CALLS_SCALE: Final = 1.5  # by how much calls that come by chance scatter, beside a Poisson distribution
_LEAST_VALUES: Final = 4
_ENOUGH_HOURS: Final = 16
_SIGMA: Final = 1.4826  # a median deviation times this is the standard deviation of a normal distribution
_WEEK: Final = 7
_SATURDAY: Final = 5


@dataclass(frozen=True, slots=True)
class Usual:
    """What was usual, by some history.

    Attributes:
        usd: dollars, at the level of late.
        z: how far above it a cost lies.
    """

    usd: float
    z: float
    history: Sequence[Cost]

    @property
    def calls(self) -> float:
        return median(one.calls for one in self.history)


def usual_day(cell: Cell, day: date, past: Sequence[date], level: float) -> Usual:
    """What `day` usually costs `cell`: what its weekday costs, or such days on which there are calls at all.

    Args:
        past: the whole days before it, a week or more.
        level: see `level_of`.
    """
    kind = _of_kind(day, past)
    called = [before for before in kind if before in cell.days]
    histories = [_alike(day, past), called if len(called) >= _LEAST_VALUES else kind]
    costs = [[cell.day(before) for before in days] for days in histories]
    return _least(cell.day(day), costs, level, _LEAST_DAY_SCALE)


def usual_hour(cell: Cell, cost: Cost, hour: datetime, past: Sequence[date], level: float) -> Usual:
    """What an hour like the local `hour`, which did cost `cost`, usually costs `cell`; by the same rule."""
    day = hour.date()
    same = [cell.by_clock.get((before, hour.hour), NOTHING) for before in _alike(day, past)]
    return _least(cost, [same, _running(cell, hour, _of_kind(day, past))], level, _LEAST_HOUR_SCALE)


def _of_kind(day: date, past: Sequence[date]) -> Sequence[date]:
    """Those of `past` that are workdays like `day`, or weekends like it; all where they are few."""
    found = [before for before in past if (before.weekday() < _SATURDAY) == (day.weekday() < _SATURDAY)]
    return found if len(found) >= _LEAST_VALUES else past


def _alike(day: date, past: Sequence[date]) -> Sequence[date]:
    """Those of `past` on the same weekday; where they are few, those of its kind."""
    found = [before for before in past if before.weekday() == day.weekday()]
    return found if len(found) >= _LEAST_VALUES else _of_kind(day, past)


def _running(cell: Cell, hour: datetime, days: Sequence[date]) -> list[Cost]:
    """What such an hour costs on `days` when there are calls at all: batches are no news, at whatever hour they run."""
    found = [cost for day in days if (cost := cell.by_clock.get((day, hour.hour)))]
    if len(found) < _ENOUGH_HOURS:
        found = [cost for day in days for other in range(24) if (cost := cell.by_clock.get((day, other)))]
    if len(found) < _LEAST_VALUES:
        return [cell.by_clock.get((day, hour.hour), NOTHING) for day in days]
    return found


def _least(cost: Cost, histories: Iterable[Sequence[Cost]], level: float, least_scale: float) -> Usual:
    """What is usual by that history beside which `cost` stands out the least."""
    return min((_usual(cost, history, level, least_scale) for history in histories), key=lambda usual: usual.z)


def _usual(cost: Cost, history: Sequence[Cost], level: float, least_scale: float) -> Usual:
    values = [float(one.usd) for one in history]
    middle = median(values)
    usual = middle * level
    deviation = _SIGMA * median(abs(value - middle) for value in values) * level
    calls, own = sum(one.calls for one in history), float(cost.usd) / max(1, cost.calls)
    each = (sum(values) / calls if calls else own) or own
    chance = _CALLS_SCALE * each * sqrt(max(1.0, usual / each)) if each else 0.0
    scale = max(deviation, chance, usual * least_scale)
    return Usual(usual, (float(cost.usd) - usual) / scale if scale > 0 else 0.0, history)


def level_of(cell: Cell, past: Sequence[date]) -> float:
    """How far the last seven days lie above what is usual on their weekdays; at least 1.

    So growth is no news, nor is a new level after some days. A week without work does not make the next one news.
    """
    costs = {day: float(cell.day(day).usd) for day in past}
    weekdays = [[usd for day, usd in costs.items() if day.weekday() == weekday] for weekday in range(_WEEK)]
    usual = [median(values) if values else 0.0 for values in weekdays]
    ratios = [costs[day] / usual[day.weekday()] for day in past[-_WEEK:] if usual[day.weekday()] > 0]
    return max(1.0, median(ratios)) if ratios else 1.0
