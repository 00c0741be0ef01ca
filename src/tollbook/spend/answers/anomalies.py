"""What stands out: days and hours on which a model cost one principal far more than it usually does.

`usual` has the statistics. `bench/anomalies.py` measures what is found and how often it is a false alarm, and
`bench/README.md` has the table.

Only what is dearer than usual is told; whoever wants to know what has become less asks `explain`.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import log
from typing import Final, Literal
from zoneinfo import ZoneInfo

from tollbook.spend.answers.basis import Basis, basis_of
from tollbook.spend.answers.cells import HOUR, NOTHING, Cell, Clock, Cost, cells_of, clock_of, together
from tollbook.spend.answers.forecast import silence_of, whole_days
from tollbook.spend.answers.money import total, usd
from tollbook.spend.answers.usual import Usual, level_of, usual_day, usual_hour
from tollbook.spend.report import Report
from tollbook.spend.window import Window, last_days, start_of

ANOMALIES_BY: Final = ("hour", "model", "principal")
HISTORY_DAYS: Final = 42
"""Whole days before a day by which it is judged, however much else was read."""
THRESHOLD: Final = 3.5
"""Of the modified z-score of a day; the one that its authors recommend."""
HOUR_THRESHOLD: Final = 5.0
"""Of that of an hour: there are 24 times as many of them to be wrong about."""
LEAST_DAYS: Final = 7
MOST_TOLD: Final = 200
"""Whole days of history without which a cell is not judged: for so long it is new."""

_NEW_FACTOR: Final = 3

_TREND_DAYS: Final = 28
_DAY: Final = timedelta(days=1)

Cause = Literal["more_calls", "more_tokens_per_call", "dearer_tokens", "new"]
"""What of it has grown the most beside the usual: calls, tokens a call, or dollars a token; or there is no usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """A day or some hours that stand out, of one model and one principal, or of all together.

    Attributes:
        day: the local day.
        hour: the first hour of those that stand out; None where the day as a whole does.
        hours: how many hours, one after another; 0 where it is the day.
        model, principal: None where it is the whole, of which only days are judged, and only those are told of which
            the others explain less than half.
        usual_usd: the median of its history, at the level of late; 0 of what is new. The history is that of the same
            weekday (and hour), or of workdays or weekends on which there were calls: the one that speaks more for it.
        excess_usd: what it cost above that.
        z: the modified z-score, of several hours the highest; None of what is new.
        usual_calls: the median of the history.
        daily_usd: what the days up to this one cost, up to 28, the oldest first.
    """

    day: date
    hour: datetime | None
    hours: int
    model: str | None
    principal: str | None
    cost_usd: Decimal
    usual_usd: Decimal
    excess_usd: Decimal
    z: Decimal | None
    calls: int
    usual_calls: int
    cause: Cause
    daily_usd: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomalies:
    """What stands out, the dearest first.

    Attributes:
        now: in the zone of the question.
        first, last: the days looked at; of today, the hours that are over.
        history_days: whole days before `first`, from the first one with records.
        floor_usd: the excess below which nothing is told.
        threshold, hour_threshold: of the modified z-score of days and of hours.
        by_hour: whether hours were looked at, besides days.
        cells: how many pairs of model and principal had calls on the days looked at.
        excess_usd: what all that stands out of single pairs cost more than usual.
        anomalies: at most `MOST_TOLD`.
        others: how many more there are.
        last_call_on: the last day with calls, up to today; None without any.
        silent_days: whole days after it, which count as $0.
    """

    basis: Basis
    now: datetime
    first: date
    last: date
    history_days: int
    floor_usd: Decimal
    threshold: Decimal
    hour_threshold: Decimal
    by_hour: bool
    cells: int
    excess_usd: Decimal
    anomalies: tuple[Anomaly, ...]
    others: int
    last_call_on: date | None
    silent_days: int
    schema: Literal["tollbook.anomalies/1"] = "tollbook.anomalies/1"


def anomalies_window(days: int, now: datetime, zone: ZoneInfo) -> Window:
    """What is read to judge today and the `days` - 1 whole days before it: those, and six weeks before the first.

    Raises:
        UsageError: `days` is below 1 or far too large.
    """
    window = last_days(days, now, zone)
    first = now.astimezone(zone).date() - (days - 1 + HISTORY_DAYS) * _DAY
    return Window(start_of(first, zone), window.until, zone)


def anomalies_of(report: Report, days: int, now: datetime, floor_usd: Decimal = Decimal(1)) -> Anomalies:
    """What stands out today and on the `days` - 1 days before it.

    Args:
        report: by `ANOMALIES_BY`; by day instead of hour, days alone are judged.
        floor_usd: the least excess that is told.
    """
    zone = report.query.window.zone
    today = now.astimezone(zone).date()
    whole = whole_days(report, today)
    clock = clock_of(report, now)
    cells = cells_of(report, clock)
    called = sorted({day for cell in cells for day in (*cell.days, *cell.unpriced)})
    silence = silence_of(report, today)
    whole = [day for day in whole if day >= (called[0] if called else today)]
    asked = [today - step * _DAY for step in range(days - 1, -1, -1)]
    judge = _Judge(clock, whole, called, today, float(floor_usd))
    found: list[Anomaly] = []
    for cell in cells:
        found += judge.of(cell, asked)
    everything = together(cells, clock)
    begun_of_late = {day: judge.cost_of_new(cells, day) for day in asked}
    found += _unexplained(judge.of(everything, asked), found, begun_of_late)
    found.sort(key=lambda one: (-one.excess_usd, one.day, one.hours, one.model or "", one.principal or ""))
    return Anomalies(
        basis=basis_of(report),
        now=now.astimezone(zone),
        first=asked[0],
        last=asked[-1],
        history_days=sum(day < asked[0] for day in whole),
        floor_usd=usd(floor_usd),
        threshold=Decimal(str(THRESHOLD)),
        hour_threshold=Decimal(str(HOUR_THRESHOLD)),
        by_hour=report.query.by_hour,
        cells=sum(any(day in cell.days for day in asked) for cell in cells),
        excess_usd=usd(total(one.excess_usd for one in found if one.model is not None)),
        anomalies=tuple(found[:MOST_TOLD]),
        others=max(0, len(found) - MOST_TOLD),
        last_call_on=silence.last_call_on,
        silent_days=silence.days,
    )


def _unexplained(whole: Iterable[Anomaly], parts: Sequence[Anomaly], new: Mapping[date, Decimal]) -> Iterator[Anomaly]:
    """Those of `whole` less than half of which is explained: by the `parts` on that day, and by what is `new` then."""
    for one in whole:
        explained = total(part.excess_usd for part in parts if part.day == one.day and part.cause != "new")
        if (explained + new[one.day]) * 2 < one.excess_usd:
            yield one


@dataclass(frozen=True)
class _Judge:
    """Compares costs with their history: the days before a day, as many for each.

    Attributes:
        whole: the whole days that were read, in order.
        called: the days on which there are any calls, in order.
    """

    clock: Clock
    whole: Sequence[date]
    called: Sequence[date]
    today: date
    floor_usd: float

    def of(self, cell: Cell, asked: Sequence[date]) -> list[Anomaly]:
        """What stands out of `cell` on the days `asked`."""
        found: list[Anomaly] = []
        for day in asked:
            if day not in cell.days:
                continue
            past = self._past(cell, day)
            if len(past) < LEAST_DAYS:
                found += self._new(cell, day, past)
            elif day != self.today and (anomaly := self._day(cell, day, past)):
                found.append(anomaly)
            elif cell.model is not None:
                found += self._hours(cell, day, past)
        return found

    def cost_of_new(self, cells: Iterable[Cell], day: date) -> Decimal:
        """What those of `cells` cost on `day` that are too new to be judged."""
        return total(
            cell.day(day).usd for cell in cells if day in cell.days and len(self._past(cell, day)) < LEAST_DAYS
        )

    def _past(self, cell: Cell, day: date) -> list[date]:
        """The whole days before `day` that are history of `cell`."""
        first = self._first(cell, day)
        return [past for past in self._history(day) if past >= first and past not in cell.unpriced]

    def _history(self, day: date) -> Sequence[date]:
        """The whole days by which `day` is judged, from the first one among them with any calls."""
        start = day - HISTORY_DAYS * _DAY
        place = bisect_left(self.called, start)
        begun = self.called[place] if place < len(self.called) else day
        return self.whole[bisect_left(self.whole, begun) : bisect_left(self.whole, day)]

    def _first(self, cell: Cell, day: date) -> date:
        """The first day with calls of `cell` among those by which `day` is judged, or `day`."""
        return next((past for past in self._history(day) if past in cell.days or past in cell.unpriced), day)

    def _new(self, cell: Cell, day: date, past: Sequence[date]) -> Iterator[Anomaly]:
        """What has not been seen before, though there is history in which it could have been."""
        history, first, week = self._history(day), self._first(cell, day), LEAST_DAYS * _DAY
        if cell.model is None or not history or first - history[0] < week or day - first >= week:
            return
        cost, highest = cell.day(day), max((cell.day(before).usd for before in past), default=Decimal(0))
        if float(cost.usd) >= self.floor_usd and cost.usd >= _NEW_FACTOR * highest:
            yield _anomaly(cell, day, cost, None, first)

    def _day(self, cell: Cell, day: date, past: Sequence[date]) -> Anomaly | None:
        cost = cell.day(day)
        if float(cost.usd) < self.floor_usd:
            return None
        found = usual_day(cell, day, past, level_of(cell, past))
        is_told = self._is_told(cost, found, THRESHOLD)
        return _anomaly(cell, day, cost, found, self._first(cell, day)) if is_told else None

    def _hours(self, cell: Cell, day: date, past: Sequence[date]) -> Iterator[Anomaly]:
        """Hours that stand out on a day that does not; those in a row as one."""
        run: Anomaly | None = None
        level: float | None = None
        for instant in self.clock.of_day.get(day, ()):
            cost, hour = cell.hours.get(instant, NOTHING), self.clock.local[instant]
            if not cost.calls or float(cost.usd) < self.floor_usd:
                continue
            level = level_of(cell, past) if level is None else level
            found = usual_hour(cell, cost, hour, past, level)
            if not self._is_told(cost, found, HOUR_THRESHOLD):
                continue
            one = replace(_anomaly(cell, day, cost, found, self._first(cell, day)), hour=hour, hours=1)
            if run is None:
                run = one
            elif run.hour is not None and run.hour.astimezone(UTC) + run.hours * HOUR == instant:
                run = _joined(run, one)
            else:
                yield run
                run = one
        if run is not None:
            yield run

    def _is_told(self, cost: Cost, found: Usual, threshold: float) -> bool:
        return found.z > threshold and float(cost.usd) - found.usd >= self.floor_usd


def _cause(cost: Cost, usual: Usual) -> Cause:
    before = sum(usual.history, NOTHING)
    if not (usual.calls and before.tokens and before.usd and cost.tokens and cost.calls and cost.usd):
        return "more_calls"
    growth: dict[Cause, float] = {
        "more_calls": log(cost.calls / usual.calls),
        "more_tokens_per_call": log(cost.tokens / cost.calls / (before.tokens / before.calls)),
        "dearer_tokens": log(float(cost.usd) / cost.tokens / (float(before.usd) / before.tokens)),
    }
    return max(growth, key=lambda cause: growth[cause])


def _anomaly(cell: Cell, day: date, cost: Cost, usual: Usual | None, first: date) -> Anomaly:
    """`cost` of that day, or of an hour of it; None as `usual` where it is new. `first` is where its history begins."""
    usual_usd = usd(Decimal(usual.usd if usual else 0))
    trend = [day - step * _DAY for step in range(_TREND_DAYS - 1, -1, -1)]
    return Anomaly(
        day=day,
        hour=None,
        hours=0,
        model=cell.model,
        principal=cell.principal,
        cost_usd=usd(cost.usd),
        usual_usd=usual_usd,
        excess_usd=usd(cost.usd) - usual_usd,
        z=Decimal(usual.z).quantize(Decimal("0.1")) if usual else None,
        calls=cost.calls,
        usual_calls=round(usual.calls) if usual else 0,
        cause=_cause(cost, usual) if usual else "new",
        daily_usd=tuple(usd(cell.day(before).usd) for before in trend if before >= first),
    )


def _joined(run: Anomaly, more: Anomaly) -> Anomaly:
    return replace(
        run,
        hours=run.hours + 1,
        cost_usd=run.cost_usd + more.cost_usd,
        usual_usd=run.usual_usd + more.usual_usd,
        excess_usd=run.excess_usd + more.excess_usd,
        z=max(run.z or Decimal(0), more.z or Decimal(0)),
        calls=run.calls + more.calls,
        usual_calls=run.usual_calls + more.usual_calls,
        cause=run.cause if run.excess_usd >= more.excess_usd else more.cause,
    )
