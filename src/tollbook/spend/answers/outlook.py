"""What coming days will probably cost, from what whole days have cost.

A day is its weekday's usual share of a week, times the level of late; both are made so that single dear days move them
little. How far off that is, is tried on the past itself. `bench/forecast.py` measures it beside other simple ways, and
`bench/README.md` has the table.

Dollars are floats here: these are estimates, and sums of money stay with those who ask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import accumulate
from math import ceil, sqrt
from statistics import fmean, median
from typing import Final

LEAST_DAYS: Final = 7
"""Whole days without which nothing is said: each weekday must have been seen."""
MOST_DAYS: Final = 56
"""Whole days that are looked back on; what is older tells little of the next month."""
CONFIDENCE: Final = 0.8
"""How often the outcome should lie between `low` and `high`."""

_WEEK: Final = 7
_LEVEL_DAYS: Final = 14
_TRIMMED: Final = 0.15  # of the days that the level is taken from, at either end
_GUESS: Final = 0.3  # the half width of an interval, as a share, before there is any trial
_WIDENING: Final = 0.3  # the power by which an interval grows where it is to reach further than the trials
_TRIED: Final = 3  # trials reach so far that there are at least this many times as many days as they look ahead


@dataclass(frozen=True, slots=True)
class Past:
    """What whole days cost, one after another without a gap.

    Attributes:
        first: the first of them.
        usd: dollars, a figure for each day.
    """

    first: date
    usd: tuple[float, ...]

    def day(self, number: int) -> date:
        return self.first + timedelta(days=number)

    def part(self, start: int, end: int) -> "Past":
        return Past(self.day(start), self.usd[start:end])


@dataclass(frozen=True, slots=True)
class Span:
    """An estimate in dollars: between `low` and `high` in `CONFIDENCE` of all cases."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True, slots=True)
class Trial:
    """What would have been said on a past day, and what came.

    Attributes:
        day: the first of the days foretold, by the whole days before it.
        said: dollars of the days foretold, with the interval that could have been given then.
        came: what they cost.
    """

    day: date
    said: Span
    came: float

    @property
    def error(self) -> float:
        """How far off it was, as a share of what came; infinite where nothing came and something was said."""
        gap = abs(self.said.mid - self.came)
        return gap / self.came if self.came else (float("inf") if gap else 0.0)


def expected(past: Past, days: Sequence[date]) -> list[float]:
    """What each of `days` will probably cost, by the last eight weeks of `past`, which must be a week at least."""
    recent = past.part(max(0, len(past.usd) - MOST_DAYS), len(past.usd))
    shares = _weekday_shares(recent)
    level = _level(recent, shares)
    return [level * shares[day.weekday()] for day in days]


def _weekday_shares(past: Past) -> list[float]:
    """From Monday to Sunday, what the day costs beside the mean day of the week around it; their mean is 1."""
    found: list[list[float]] = [[] for _ in range(_WEEK)]
    sums = list(accumulate(past.usd, initial=0.0))
    for number, usd in enumerate(past.usd):
        start = min(max(0, number - _WEEK // 2), len(past.usd) - _WEEK)
        around = sums[start + _WEEK] - sums[start]
        if around > 0:
            found[past.day(number).weekday()].append(usd / around)
    shares = [median(values) if values else 0.0 for values in found]
    mean = fmean(shares)
    return [share / mean for share in shares] if mean > 0 else [1.0] * _WEEK


def _level(past: Past, shares: Sequence[float]) -> float:
    """What a mean day costs of late: the mean of the last days but for the highest and the lowest."""
    numbers = range(max(0, len(past.usd) - _LEVEL_DAYS), len(past.usd))
    levels = sorted(past.usd[n] / share for n in numbers if (share := shares[past.day(n).weekday()]) > 0)
    cut = round(len(levels) * _TRIMMED)
    return fmean(levels[cut : len(levels) - cut]) if levels else 0.0


class Outlook:
    """What is to be expected after `past`, a week or more.

    The interval is symmetric, as a share of what is expected: of the errors that trials had, the one that
    `CONFIDENCE` of them stay within, and a guess besides, which counts as much as one stretch that was tried.
    """

    def __init__(self, past: Past) -> None:
        self._past = past.part(max(0, len(past.usd) - MOST_DAYS), len(past.usd))

    def expected(self, days: Sequence[date]) -> list[float]:
        """What each of `days` will probably cost."""
        return expected(self._past, days)

    def trials(self, ahead: int) -> list[Trial]:
        """For each day with a week before it and `ahead` whole days to come, what would have been said of those."""
        usd = self._past.usd
        found = []
        for number in range(LEAST_DAYS, len(usd) - ahead + 1):
            mid, share = self._said[number][ahead], self._share(number, ahead)
            span = Span(mid * (1 - share), mid, mid * (1 + share))
            found.append(Trial(self._past.day(number), span, sum(usd[number : number + ahead])))
        return found

    def tried(self, wanted: int) -> int:
        """How many days trials can look ahead where `wanted` are to be foretold; 0 where there is no day to try."""
        return _tried(len(self._past.usd), wanted)

    def share(self, ahead: int) -> float:
        """The half width of the interval around the cost of `ahead` days, as a share of it; at most 1."""
        return self._share(len(self._past.usd), ahead)

    def _share(self, number: int, ahead: int) -> float:
        """The same as it would have been after the first `number` days."""
        tried = _tried(number, ahead)
        if not tried:
            return _GUESS
        usd = self._past.usd
        errors = []
        for origin in range(LEAST_DAYS, number - tried + 1):
            said = self._said[origin][tried]
            if said > 0:
                errors.append(abs(sum(usd[origin : origin + tried]) - said) / said)
        if not errors:
            return _GUESS
        rank = min(len(errors), ceil((len(errors) + 1) * CONFIDENCE))
        seen = sorted(errors)[rank - 1] * (ahead / tried) ** _WIDENING
        stretches = len(errors) / tried
        return min(1.0, sqrt((stretches * seen**2 + _GUESS**2) / (stretches + 1)))

    @cached_property
    def _said(self) -> dict[int, list[float]]:
        """For each day with a week before it, what would have been said of the first 0, 1, 2, … days from it on."""
        days = [self._past.day(number) for number in range(len(self._past.usd))]
        return {
            number: list(accumulate(expected(self._past.part(0, number), days[number:]), initial=0.0))
            for number in range(LEAST_DAYS, len(days))
        }


def _tried(number: int, wanted: int) -> int:
    room = number - LEAST_DAYS
    return min(wanted, max(1, (room + 1) // _TRIED)) if room > 0 else 0
