#!/usr/bin/env python3
"""How far off a forecast is, by several simple ways, on generated series of daily costs.

    forecast.py [--series 300] [--table]

`bench/README.md` says what is measured; `--table` writes the result there.
"""

import argparse
import math
import platform
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from statistics import fmean, median
from typing import Final

from gate_processes import write_into_readme
from tollbook.spend.answers.outlook import CONFIDENCE, MOST_DAYS, Outlook, Past, expected

_FIRST: Final = date(2026, 6, 1)
_DAYS: Final = 130
_AHEAD: Final = (3, 9, 16, 24)
_PASTS: Final = (7, 9, 14, 21, 28, 56)
_WEEKS: Final = {
    "office": (1.0, 1.05, 1.05, 1.0, 0.9, 0.25, 0.2),
    "product": (1.0, 1.0, 1.0, 1.0, 1.05, 0.85, 0.8),
    "workdays": (1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0),
    "even": (1.0,) * 7,
}

# Series


def steady(dice: random.Random) -> list[float]:
    return _series(dice)


def even(dice: random.Random) -> list[float]:
    return _series(dice, week="even")


def workdays(dice: random.Random) -> list[float]:
    return _series(dice, week="workdays")


def noisy(dice: random.Random) -> list[float]:
    return _series(dice, noise=0.45)


def growing(dice: random.Random) -> list[float]:
    rate = dice.uniform(0.004, 0.015)
    return [usd * math.exp(rate * day) for day, usd in enumerate(_series(dice))]


def falling(dice: random.Random) -> list[float]:
    rate = dice.uniform(0.004, 0.012)
    return [usd * math.exp(-rate * day) for day, usd in enumerate(_series(dice))]


def step(dice: random.Random) -> list[float]:
    when, factor = dice.randrange(60, 120), dice.choice((0.4, 0.6, 1.6, 2.5))
    return [usd * (factor if day >= when else 1) for day, usd in enumerate(_series(dice))]


def holidays(dice: random.Random) -> list[float]:
    off: set[int] = set()
    for _ in range(4):
        start = dice.randrange(_DAYS)
        off |= set(range(start, start + dice.choice((1, 2, 4))))
    return [usd * (0.25 if day in off else 1) for day, usd in enumerate(_series(dice))]


def spikes(dice: random.Random) -> list[float]:
    return [usd * (dice.uniform(2.5, 6) if dice.random() < 0.05 else 1) for usd in _series(dice)]


def _series(dice: random.Random, week: str = "", noise: float = 0.15) -> list[float]:
    """Daily dollars with a weekday pattern, log-normal noise, and a little of it that lasts."""
    pattern = _WEEKS[week or dice.choice(("office", "product"))]
    level, lasting, found = dice.lognormvariate(4, 1), 0.0, []
    for day in range(_DAYS):
        lasting = 0.6 * lasting + dice.gauss(0, 0.05)
        found.append(level * pattern[day % 7] * math.exp(lasting + dice.gauss(0, noise)))
    return found


KINDS: Final[tuple[Callable[[random.Random], list[float]], ...]] = (
    steady,
    even,
    workdays,
    noisy,
    growing,
    falling,
    step,
    holidays,
    spikes,
)

# Ways

Way = Callable[[Past, Sequence[date]], list[float]]
Mean = Callable[[Sequence[float]], float]


def flat(days: int, mean: Mean) -> Way:
    return lambda past, coming: [mean(past.usd[-days:])] * len(coming)


def weekdays(days: int, mean: Mean) -> Way:
    """That of the same weekday over the last `days`."""

    def way(past: Past, coming: Sequence[date]) -> list[float]:
        found = defaultdict(list)
        for number in range(max(0, len(past.usd) - days), len(past.usd)):
            found[past.day(number).weekday()].append(past.usd[number])
        return [mean(found[day.weekday()]) for day in coming]

    return way


def trend(past: Past, coming: Sequence[date]) -> list[float]:
    """What tollbook says, on a robust (Theil and Sen's) line through the logarithms of the last four weeks."""
    days = [past.day(number) for number in range(len(past.usd))]
    plain = expected(past, days)
    ratios = [
        (number, math.log(past.usd[number] / plain[number]))
        for number in range(max(0, len(days) - 28), len(days))
        if past.usd[number] > 0 and plain[number] > 0
    ]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for place, a in enumerate(ratios) for b in ratios[place + 1 :]]
    slope = median(slopes) if slopes else 0.0
    start = median(ratio - slope * number for number, ratio in ratios) if ratios else 0.0
    numbers = range(len(days), len(days) + len(coming))
    return [usd * math.exp(start + slope * number) for usd, number in zip(expected(past, coming), numbers, strict=True)]


OURS: Final = "weekday's share × level of two weeks (tollbook)"
WAYS: Final[Mapping[str, Way]] = {
    "mean of seven days": flat(7, fmean),
    "median of four weeks": flat(28, median),
    "the same weekday a week ago": weekdays(7, fmean),
    "weekday medians of eight weeks": weekdays(56, median),
    "weekday medians of four weeks": weekdays(28, median),
    "weekday means of four weeks": weekdays(28, fmean),
    OURS: expected,
    "the same with a trend": trend,
}


@dataclass(frozen=True, slots=True)
class Case:
    past: Past
    coming: Sequence[date]
    came: float


def cases(kind: Callable[[random.Random], list[float]], number: int, past: int) -> Iterator[Case]:
    """`number` series of a kind, each with `past` days before some day and some days after it."""
    for seed in range(number):
        dice = random.Random(f"{kind.__name__} {seed}")
        usd = kind(dice)
        now, ahead = dice.randrange(85, 100), dice.choice(_AHEAD)
        days = [_FIRST + timedelta(days=now + more) for more in range(ahead)]
        first = _FIRST + timedelta(days=now - past)
        yield Case(Past(first, tuple(usd[now - past : now])), days, sum(usd[now : now + ahead]))


def errors(way: Way, found: Sequence[Case]) -> list[float]:
    return [abs(sum(way(case.past, case.coming)) - case.came) / case.came for case in found]


def ways_table(number: int) -> Iterator[str]:
    found = {kind.__name__: list(cases(kind, number, MOST_DAYS)) for kind in KINDS}
    yield f"| way | {' | '.join(found)} | mean |"
    yield f"| --- |{' ---: |' * (len(found) + 1)}"
    for name, way in WAYS.items():
        medians = [median(errors(way, each)) for each in found.values()]
        yield f"| {name} | {' | '.join(f'{error:.1%}' for error in (*medians, fmean(medians)))} |"


def interval_table(number: int) -> Iterator[str]:
    yield "| whole days before | off by, median | half width, median | outcomes inside |"
    yield "| ---: | ---: | ---: | ---: |"
    for days in _PASTS:
        found = [case for kind in KINDS for case in cases(kind, number, days)]
        off, widths, inside = errors(expected, found), [], []
        for case in found:
            mid, share = sum(expected(case.past, case.coming)), Outlook(case.past).share(len(case.coming))
            widths.append(share)
            inside.append(abs(case.came - mid) <= share * mid)
        yield f"| {days} | {median(off):.1%} | {median(widths):.1%} | {fmean(inside):.0%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=300, metavar="N", help="series of each kind (default: 300)")
    parser.add_argument("--table", action="store_true", help="write the result into bench/README.md")
    options = parser.parse_args()
    versions = f"Python {platform.python_version()}, tollbook {version('tollbook')}"
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}; {versions}; `python bench/forecast.py --series {options.series}`",
        "",
        "How far off the sum of the coming days was, median of the series of a kind, after eight weeks:",
        "",
        *ways_table(options.series),
        "",
        f"tollbook's interval of {CONFIDENCE:.0%}, all kinds together:",
        "",
        *interval_table(max(1, options.series // 3)),
    ]
    print("\n".join(lines))
    if options.table:
        write_into_readme("forecast", lines)


if __name__ == "__main__":
    main()
