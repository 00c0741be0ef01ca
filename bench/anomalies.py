#!/usr/bin/env python3
"""What is found of spikes planted in generated hourly costs, and how much of what is told is a false alarm.

    anomalies.py [--weeks 100] [--floor 1] [--table]

`bench/README.md` says what is measured; `--table` writes the result there.
"""

import argparse
import math
import platform
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from typing import Final
from zoneinfo import ZoneInfo

from gate_processes import say, write_into_readme
from tollbook.spend import prices
from tollbook.spend.answers.anomalies import ANOMALIES_BY, Anomaly, anomalies_of, anomalies_window
from tollbook.spend.query import Query
from tollbook.spend.report import report_of
from tollbook.spend.tally import Counted
from tollbook.spend.usage import RowKey, Usage, UsageRow

_NOW: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
_ZONE: Final = ZoneInfo("UTC")
_DAYS: Final = 7
_CELLS: Final = 20
_PLANTS: Final = 6
_MODELS: Final = (
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "us.anthropic.claude-opus-4-5-20251101-v1:0",
    "us.amazon.nova-pro-v1:0",
)
_OFFICE: Final = (1, 1, 1, 1, 1, 2, 4, 12, 25, 32, 32, 30, 24, 28, 32, 32, 28, 20, 12, 8, 6, 4, 2, 1)
_NIGHT: Final = (30, 40, 40, 30, 8, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 10, 20)
_EVEN: Final = (12,) * 24
FACTORS: Final = (1.5, 2.0, 3.0, 5.0, 10.0)
SHAPES: Final = ("an hour", "three hours", "a day")
CAUSES: Final = ("more_calls", "more_tokens_per_call", "dearer_tokens")
_DEAREST: Final = 3.0  # an output token costs about five times an input token, and some of them are output already
_FIRST_SEED: Final = 1_000  # thresholds were tuned on weeks 0 to 89; none of them counts here


@dataclass(frozen=True, slots=True)
class Cell:
    """A principal with a model, and how he calls it.

    Attributes:
        rate: mean calls an hour.
        growth: a day.
        noise: of the hourly rate, log-normal.
        burst: the share of hours in which a batch runs; 0 for who calls all the time.
        step: the factor of what has changed for good, and the days since; a change of the past is no anomaly.
        begins: the first day of calls; None for who has always called.
    """

    who: str
    model: str
    rate: float
    hours: Sequence[int]
    weekend: float
    growth: float
    noise: float
    tokens: int
    burst: float = 0.0
    step: tuple[float, int] = (1.0, 0)
    begins: date | None = None


@dataclass(frozen=True, slots=True)
class Plant:
    """A spike.

    Attributes:
        usd: what it added.
    """

    cell: Cell
    day: date
    hours: range
    factor: float
    shape: str
    cause: str
    usd: list[Decimal] = field(default_factory=list)

    def is_at(self, hour: datetime) -> bool:
        return hour.date() == self.day and hour.hour in self.hours

    def is_found_by(self, one: Anomaly) -> bool:
        if (one.principal, one.day) != (self.cell.who, self.day):
            return False
        if one.hour is None:
            return True
        return any(one.hour + timedelta(hours=more) in self._moments() for more in range(one.hours))

    def _moments(self) -> set[datetime]:
        return {datetime(self.day.year, self.day.month, self.day.day, hour, tzinfo=UTC) for hour in self.hours}


def cells(dice: random.Random) -> list[Cell]:
    found = []
    for number in range(_CELLS):
        step = (dice.choice((0.5, 1.8)), dice.randrange(14, 30)) if number % 10 == 1 else (1.0, 0)
        found.append(
            Cell(
                who=f"role/team-{number}",
                model=dice.choice(_MODELS),
                rate=math.exp(dice.uniform(math.log(0.3), math.log(300))),
                hours=dice.choice((_OFFICE, _OFFICE, _NIGHT, _EVEN)),
                weekend=dice.choice((0.1, 0.3, 0.8, 1.0)),
                growth=dice.uniform(-0.005, 0.015),
                noise=dice.uniform(0.1, 0.35),
                tokens=round(math.exp(dice.uniform(math.log(500), math.log(20_000)))),
                burst=dice.uniform(0.05, 0.15) if number % 10 == 0 else 0.0,
                step=step,
            )
        )
    return found


def plants(dice: random.Random, of: Sequence[Cell]) -> list[Plant]:
    """Spikes in different cells on the days looked at; of today, in hours that are over."""
    found = []
    for cell in dice.sample([cell for cell in of if not cell.burst], _PLANTS):
        shape, day = dice.choice(SHAPES), _NOW.date() - timedelta(days=dice.randrange(_DAYS))
        last = _NOW.hour if day == _NOW.date() else 24
        if shape == "a day" and last == 24:
            hours = range(24)
        else:
            shape = "an hour" if shape == "a day" else shape
            length = 1 if shape == "an hour" else 3
            # Where it works: three times nothing is nothing.
            starts = [hour for hour in range(last - length + 1) if cell.hours[hour] * 4 > max(cell.hours)]
            if not starts:
                continue
            start = dice.choice(starts)
            hours = range(start, start + length)
        factor = dice.choice(FACTORS)
        cause = dice.choice(CAUSES if factor <= _DEAREST else CAUSES[:2])
        found.append(Plant(cell, day, hours, factor, shape, cause))
    return found


def newcomer(dice: random.Random) -> Cell:
    """A team that begins on one of the days looked at."""
    begins = _NOW.date() - timedelta(days=dice.randrange(1, _DAYS))
    rate = math.exp(dice.uniform(math.log(3), math.log(300)))
    return Cell("role/team-new", dice.choice(_MODELS), rate, _EVEN, 1.0, 0.0, 0.2, 3_000, begins=begins)


def rows(dice: random.Random, of: Sequence[Cell], planted: Sequence[Plant]) -> Iterator[UsageRow]:
    """Hourly rows of all cells over the window that an answer reads."""
    window = anomalies_window(_DAYS, _NOW, _ZONE)
    if window.since is None:
        return
    for cell in of:
        mean = sum(cell.hours) / 24
        drift = 0.0
        hour = window.since
        while hour < _NOW:
            age = (_NOW - hour).days
            drift = 0.8 * drift + dice.gauss(0, 0.05)
            rate = cell.rate * cell.hours[hour.hour] / mean * math.exp(drift + dice.gauss(0, cell.noise))
            rate *= math.exp(-cell.growth * age) * (cell.weekend if hour.weekday() > 4 else 1)
            rate *= cell.step[0] if age <= cell.step[1] else 1
            if cell.burst:
                rate = rate / cell.burst if dice.random() < cell.burst else 0.0
            rate = 0.0 if cell.begins and hour.date() < cell.begins else rate
            calls, size = _poisson(dice, rate), cell.tokens * dice.lognormvariate(0, 0.1)
            plain = Usage(calls, 0, round(calls * size), round(calls * size / 8))
            plant = next((plant for plant in planted if plant.cell is cell and plant.is_at(hour)), None)
            usage = plain if plant is None else _spiked(plain, plant)
            if usage.calls:
                yield UsageRow(_key(cell, hour), usage)
            hour += timedelta(hours=1)


def _spiked(usage: Usage, plant: Plant) -> Usage:
    """`usage` times the factor: by more calls, by longer ones, or by dearer tokens, more of which are output."""
    factor = plant.factor
    if plant.cause == "more_calls":
        return Usage(round(usage.calls * factor), 0, round(usage.input * factor), round(usage.output * factor))
    if plant.cause == "more_tokens_per_call":
        return Usage(usage.calls, 0, round(usage.input * factor), round(usage.output * factor))
    moved = min(usage.input, round((factor - 1) * (usage.input + 5 * usage.output) / 4))
    return Usage(usage.calls, 0, usage.input - moved, usage.output + moved)


def _poisson(dice: random.Random, rate: float) -> int:
    if rate > 50:
        return max(0, round(dice.gauss(rate, math.sqrt(rate))))
    number, product, limit = 0, dice.random(), math.exp(-rate)
    while product > limit:
        number, product = number + 1, product * dice.random()
    return number


def _key(cell: Cell, hour: datetime) -> RowKey:
    return RowKey(
        utc_day=hour.toordinal(),
        start=int(hour.timestamp()),
        failed=False,
        model_id=cell.model,
        region="us-east-1",
        tier="",
        context=0,
        invoked="",
        who=cell.who,
        account=None,
        inference_region=None,
        operation=None,
        error=None,
        tags=None,
    )


@dataclass(slots=True)
class Score:
    """What was planted and told in all weeks.

    Attributes:
        planted, found: by shape and factor; only spikes that add the floor at least.
        small: spikes that add less.
        told, right: anomalies by kind, and those of them that lie at a spike.
        causes, named: spikes found by cause, and those whose cause was named.
        newcomers, met: teams that began and cost the floor on a day, and those that were told.
        of_batches: false alarms of batches that run at random hours.
        quiet: anomalies told in the same weeks without spikes and newcomers.
    """

    planted: Counter[tuple[str, float]] = field(default_factory=Counter)
    found: Counter[tuple[str, float]] = field(default_factory=Counter)
    small: int = 0
    told: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    newcomers: int = 0
    met: int = 0
    of_batches: int = 0
    quiet: Counter[str] = field(default_factory=Counter)


Costs = dict[tuple[str, datetime], Decimal]


class Judged:
    """Weeks and what is told of them, all of one floor."""

    def __init__(self, floor: Decimal) -> None:
        self.floor = floor
        self._book = prices.load()
        self._query = Query(anomalies_window(_DAYS, _NOW, _ZONE), ANOMALIES_BY)

    def of(self, seed: int, cells: Sequence[Cell], planted: Sequence[Plant]) -> tuple[Sequence[Anomaly], Costs]:
        """What is told, and what each principal's hours cost."""
        found = list(rows(random.Random(f"rows {seed}"), cells, planted))
        report = report_of(Counted(others=found), self._query, ANOMALIES_BY, self._book, {})
        costs: Costs = {}
        for row in report.rows:
            key = row.usage_row.key
            costs[key.who or "", datetime.fromtimestamp(key.start, UTC)] = row.usd or Decimal(0)
        return anomalies_of(report, _DAYS, _NOW, self.floor).anomalies, costs


def scored(weeks: int, floor: Decimal) -> Score:
    score, judged = Score(), Judged(floor)
    for seed in range(_FIRST_SEED, _FIRST_SEED + weeks):
        dice = random.Random(f"week {seed}")
        of = cells(dice)
        planted, new = plants(dice, of), newcomer(dice)
        quiet, before = judged.of(seed, of, ())
        score.quiet.update(map(_kind, quiet))
        told, after = judged.of(seed, [*of, new], planted)
        for plant in planted:
            _count(score, plant, told, _added(plant, before, after), floor)
        days: dict[date, Decimal] = defaultdict(Decimal)
        for (who, hour), usd in after.items():
            days[hour.date()] += usd if who == new.who else 0
        if max(days.values()) >= floor:
            score.newcomers += 1
            score.met += any(one.principal == new.who for one in told)
        for one in told:
            is_right = one.principal == new.who or any(plant.is_found_by(one) for plant in planted)
            score.told[_kind(one)] += 1
            score.right[_kind(one)] += is_right
            score.of_batches += not is_right and any(cell.who == one.principal for cell in of if cell.burst)
        if not seed % 10:
            say(f"week {seed - _FIRST_SEED} of {weeks}")
    return score


def _count(score: Score, plant: Plant, told: Sequence[Anomaly], added: Decimal, floor: Decimal) -> None:
    if added < floor:
        score.small += 1
        return
    place = (plant.shape, plant.factor)
    score.planted[place] += 1
    if hits := [one for one in told if plant.is_found_by(one)]:
        score.found[place] += 1
        score.causes[plant.cause] += 1
        score.named[plant.cause] += any(one.cause == plant.cause for one in hits)


def _added(plant: Plant, before: Costs, after: Costs) -> Decimal:
    keys = [(who, hour) for who, hour in after if who == plant.cell.who and plant.is_at(hour)]
    return sum((after[key] - before.get(key, Decimal(0)) for key in keys), Decimal(0))


def _kind(one: Anomaly) -> str:
    if one.model is None:
        return "the whole"
    return "new" if one.cause == "new" else "a day" if one.hour is None else "hours"


def tables(score: Score, weeks: int) -> Iterator[str]:
    yield f"| found of spikes | {' | '.join(f'× {factor:g}' for factor in FACTORS)} |"
    yield f"| --- |{' ---: |' * len(FACTORS)}"
    for shape in SHAPES:
        cells = (_of(score.found[shape, factor], score.planted[shape, factor]) for factor in FACTORS)
        yield f"| {shape} | {' | '.join(cells)} |"
    yield ""
    yield "| told | right | false alarms, of 20 cells in a week | in a week without spikes |"
    yield "| --- | ---: | ---: | ---: |"
    for kind, number in sorted(score.told.items()):
        wrong, quiet = (number - score.right[kind]) / weeks, score.quiet[kind] / weeks
        yield f"| {kind} | {_of(score.right[kind], number)} | {wrong:.2f} | {quiet:.2f} |"
    wrong_in_all = score.told.total() - score.right.total()
    wrong, quiet = wrong_in_all / weeks, score.quiet.total() / weeks
    yield f"| all | {_of(score.right.total(), score.told.total())} | {wrong:.2f} | {quiet:.2f} |"
    yield ""
    named = ", ".join(f"{cause.replace('_', ' ')} {_of(score.named[cause], score.causes[cause])}" for cause in CAUSES)
    yield f"- The cause was named rightly: {named}."
    yield f"- Of the false alarms, those of the two batches: {_of(score.of_batches, wrong_in_all)}."
    yield f"- Teams that began: {_of(score.met, score.newcomers)} were told."
    yield f"- Spikes that added less than the floor, and do not count: {score.small}."


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole} = {part / whole:.0%}" if whole else "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=100, metavar="N", help="generated weeks (default: 100)")
    parser.add_argument("--floor", type=Decimal, default=Decimal(1), metavar="USD", help="least excess (default: 1)")
    parser.add_argument("--table", action="store_true", help="write the result into bench/README.md")
    options = parser.parse_args()
    versions = f"Python {platform.python_version()}, tollbook {version('tollbook')}"
    command = f"python bench/anomalies.py --weeks {options.weeks} --floor {options.floor}"
    score = scored(options.weeks, options.floor)
    lines = [f"{datetime.now(UTC):%Y-%m-%d}; {versions}; `{command}`", "", *tables(score, options.weeks)]
    print("\n".join(lines))
    if options.table:
        write_into_readme("anomalies", lines)


if __name__ == "__main__":
    main()
