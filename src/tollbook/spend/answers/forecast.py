"""Where the month ends: what it has cost so far, and what its other days will probably cost."""

from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import fmean, median
from typing import Final, Literal
from zoneinfo import ZoneInfo

from tollbook.core.errors import UsageError
from tollbook.spend.answers import outlook
from tollbook.spend.answers.basis import Basis, basis_of
from tollbook.spend.answers.money import total, usd
from tollbook.spend.answers.outlook import CONFIDENCE, LEAST_DAYS, MOST_DAYS, Outlook, Past, Span
from tollbook.spend.pricing import Status
from tollbook.spend.report import Group, Report
from tollbook.spend.window import Window, start_of

FORECAST_BY: Final = ("day",)

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastDay:
    """A day of the month.

    Attributes:
        usd: what it cost; of today, what it has cost so far; None of days that are to come or were not read.
        low_usd, mid_usd, high_usd: what the whole day will probably cost; None of days that are over and were read.
    """

    day: date
    usd: Decimal | None
    low_usd: Decimal | None = None
    mid_usd: Decimal | None = None
    high_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What would have been said on a day before, by the whole days up to then.

    Attributes:
        first: the first of the days foretold.
        low_usd, high_usd: the interval that could have been given then.
        error_share: how far off it was, as a share of what came; None where nothing came.
    """

    first: date
    said_usd: Decimal
    low_usd: Decimal
    high_usd: Decimal
    came_usd: Decimal
    error_share: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """How well the same rule would have done on the days that were read.

    Attributes:
        days: how many days each trial looked ahead.
        error_share: the median of the trials' errors; None where nothing came in more than half of them.
        covered_share: how many of the outcomes lay in the interval that could have been given then.
    """

    days: int
    trials: tuple[Trial, ...]
    error_share: Decimal | None
    covered_share: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Where the month of `now` ends.

    Attributes:
        now: in the zone of the question.
        first, last: the month.
        so_far_usd: what it has cost, today's part included.
        today_usd: today's part.
        low_usd, mid_usd, high_usd: the whole month: the estimate, and the interval in which `confidence` of all such
            estimates should end.
        is_at_least: something could not be read or priced, so that every figure is too low.
        usual_day_usd: the median of the last seven whole days.
        whole_days: how many the estimate rests on: from the first to the last one with calls.
        days: every day of the month.
        backtest: None where there are too few days to try it.
        last_call_on: the last day with calls, today among them.
        silent_days: whole days after it, which count as $0: were the logs late, they would look the same.
    """

    basis: Basis
    now: datetime
    first: date
    last: date
    so_far_usd: Decimal
    today_usd: Decimal
    low_usd: Decimal
    mid_usd: Decimal
    high_usd: Decimal
    confidence: Decimal
    is_at_least: bool
    usual_day_usd: Decimal
    whole_days: int
    days: tuple[ForecastDay, ...]
    backtest: Backtest | None
    last_call_on: date | None
    silent_days: int
    schema: Literal["tollbook.forecast/1"] = "tollbook.forecast/1"


def forecast_window(now: datetime, zone: ZoneInfo) -> Window:
    """What a forecast reads: eight weeks of whole days, the whole month so far, and today up to `now`."""
    today = now.astimezone(zone).date()
    first = min(today.replace(day=1), today - MOST_DAYS * _DAY)
    return Window(start_of(first, zone), now, zone)


def forecast_of(report: Report, now: datetime) -> Forecast:
    """Where the month of `now` ends, by the calls of `report`.

    Days of the month that were not read are estimated like those to come.

    Raises:
        UsageError: no call has a price, or less than seven whole days lie between the first record and the last.
    """
    if report.total.usd is None:
        raise UsageError(_nothing_priced(report.total.calls))
    zone = report.query.window.zone
    today = now.astimezone(zone).date()
    groups = report.grouped(("day",))
    costs = costs_by_day(groups)
    past = past_of(costs, days_with_calls(groups), whole_days(report, today))
    silence = silence_of(report, today)
    evidence = days_of_evidence(past, silence)
    if past is None or evidence < LEAST_DAYS:
        raise UsageError(_too_few(evidence))
    first = today.replace(day=1)
    last = today.replace(day=monthrange(today.year, today.month)[1])
    month = [first + step * _DAY for step in range((last - first).days + 1)]
    over = set(whole_days(report, today))
    open_days = [day for day in month if day not in over]
    view = Outlook(past)
    spent = {day: costs.get(day, Decimal(0)) for day in open_days}
    usual = dict(zip(open_days, view.expected(open_days), strict=True))
    left = {today: left_of(now, zone)}
    spans = {day: _span(view, {day: usual[day]}, spent, left) for day in open_days}
    whole = _span(view, usual, spent, left)
    known = total(costs.get(day, Decimal(0)) for day in month if day in over)
    return Forecast(
        basis=basis_of(report),
        now=now.astimezone(zone),
        first=first,
        last=last,
        so_far_usd=usd(total(costs.get(day, Decimal(0)) for day in month if day <= today)),
        today_usd=usd(costs.get(today, Decimal(0))),
        low_usd=usd(known + _money(whole.low)),
        mid_usd=usd(known + _money(whole.mid)),
        high_usd=usd(known + _money(whole.high)),
        confidence=_share(CONFIDENCE),
        is_at_least=bool(report.unread) or Status.UNPRICED in report.total.statuses,
        usual_day_usd=usd(_money(median(past.usd[-7:]))),
        whole_days=evidence,
        days=tuple(_day(day, costs, spans.get(day), today if today in report.days else None) for day in month),
        backtest=_backtest(Outlook(past.part(0, evidence)), len(open_days)),
        last_call_on=silence.last_call_on,
        silent_days=silence.days,
    )


def _nothing_priced(calls: int) -> str:
    found = "The only call" if calls == 1 else f"None of the {calls:,} calls"
    return (
        f"{found} in these days has {'no' if calls == 1 else 'a'} price, so that nothing can be foretold. "
        "A report by model says why; a price file can add prices."
    )


def _too_few(days: int) -> str:
    found = {0: "is no whole day", 1: "is only 1 whole day"}.get(days, f"are only {days} whole days")
    return (
        f"There {found} of records before today, and a forecast needs {LEAST_DAYS}. "
        "Ask again when there are more, or read a source that reaches further back."
    )


@dataclass(frozen=True, slots=True)
class Silence:
    """How the days that were read end.

    Attributes:
        last_call_on: the last day with calls, up to today; None without any.
        days: whole days after it: were the logs late, they would look the same.
    """

    last_call_on: date | None
    days: int


def silence_of(report: Report, today: date) -> Silence:
    """The whole days without any call at the end of `report`."""
    last = max((day for day in days_with_calls(report.grouped(("day",))) if day <= today), default=None)
    return Silence(last, sum(last is None or day > last for day in whole_days(report, today)))


def whole_days(report: Report, today: date) -> list[date]:
    """The days before `today` that were read from their first instant to their last, in order."""
    zone = report.query.window.zone
    since, until = report.since, report.until
    if since is None or until is None:
        return []
    return [
        day
        for day in report.days
        if day < today and start_of(day, zone) >= since and start_of(day + _DAY, zone) <= until
    ]


def costs_by_day(groups: Iterable[Group]) -> dict[date, Decimal]:
    """What `groups`, whose first dimension is the day, cost by day."""
    found: dict[date, Decimal] = {}
    for group in groups:
        for day, amount in group.sum.by_day.items():
            found[day] = found.get(day, Decimal(0)) + amount
    return found


def days_with_calls(groups: Iterable[Group]) -> set[date]:
    """The days on which `groups`, whose first dimension is the day, have calls, priced or not."""
    return {date.fromisoformat(group.values[0] or "") for group in groups}


def past_of(costs: Mapping[date, Decimal], called: set[date], whole: Sequence[date]) -> Past | None:
    """The `whole` days from the first one with calls; a day without calls among them cost nothing."""
    first = min(called, default=None)
    days = [day for day in whole if first is not None and day >= first]
    return Past(days[0], tuple(float(costs.get(day, 0)) for day in days)) if days else None


def days_of_evidence(past: Past | None, silence: Silence) -> int:
    """How many of the days of `past` tell something: those up to the last one with any call."""
    return max(0, len(past.usd) - silence.days) if past else 0


def left_of(now: datetime, zone: ZoneInfo) -> float:
    """The share of the local day of `now` that is to come, 0 to 1."""
    today = now.astimezone(zone).date()
    start, end = start_of(today, zone), start_of(today + _DAY, zone)
    return (end - now) / (end - start)


def expected_of(
    past: Past, days: Sequence[date], spent: Mapping[date, Decimal], left: Mapping[date, float]
) -> dict[date, Decimal]:
    """What each of `days` will probably cost.

    Args:
        spent: what they have cost already.
        left: of a day that has begun, the share that is to come: as much of the usual comes on top of what is spent.
    """
    mids = zip(days, outlook.expected(past, days), strict=True)
    return {day: max(Decimal(mid), spent.get(day, Decimal(0)) + Decimal(mid * left.get(day, 0.0))) for day, mid in mids}


def _span(
    view: Outlook, usual: Mapping[date, float], spent: Mapping[date, Decimal], left: Mapping[date, float]
) -> Span:
    """What the days of `usual` will probably cost together: the interval of the sum is narrower than theirs.

    Args:
        usual: dollars of each day.
        spent, left: as of `expected_of`.
    """
    share = view.share(len(usual)) if usual else 0.0
    # Of a day that was read in part it is not known how much of it: it costs the usual, or what was found.
    whole = {day: usd if day in left else max(usd, float(spent[day])) for day, usd in usual.items()}
    begun = _around(sum(usd * left.get(day, 1.0) for day, usd in whole.items()), share)
    before = _around(sum(whole.values()), share)
    known, found = (float(sum(spent[day] for day in days)) for days in (usual.keys() & left.keys(), usual))
    low, mid, high = (
        max(one, known + other, found)
        for one, other in ((before.low, begun.low), (before.mid, begun.mid), (before.high, begun.high))
    )
    return Span(low, mid, high)


def _around(mid: float, share: float) -> Span:
    return Span(mid * (1 - share), mid, mid * (1 + share))


def _day(day: date, costs: Mapping[date, Decimal], span: Span | None, today: date | None) -> ForecastDay:
    if span is None:
        return ForecastDay(day=day, usd=usd(costs.get(day, Decimal(0))))
    so_far = usd(costs.get(day, Decimal(0))) if day == today else None
    low, mid, high = (usd(_money(amount)) for amount in (span.low, span.mid, span.high))
    return ForecastDay(day=day, usd=so_far, low_usd=low, mid_usd=mid, high_usd=high)


def _backtest(view: Outlook, wanted: int) -> Backtest | None:
    ahead = view.tried(max(1, wanted))
    if not ahead:
        return None
    found = view.trials(ahead)
    middle = median(trial.error for trial in found)
    return Backtest(
        days=ahead,
        trials=tuple(map(_trial, found)),
        error_share=_share(middle) if middle != float("inf") else None,
        covered_share=_share(fmean(trial.said.low <= trial.came <= trial.said.high for trial in found)),
    )


def _trial(trial: outlook.Trial) -> Trial:
    said = trial.said
    return Trial(
        first=trial.day,
        said_usd=usd(_money(said.mid)),
        low_usd=usd(_money(said.low)),
        high_usd=usd(_money(said.high)),
        came_usd=usd(_money(trial.came)),
        error_share=_share(trial.error) if trial.came else None,
    )


def _money(amount: float) -> Decimal:
    return Decimal(amount)


def _share(value: float) -> Decimal:
    return Decimal(value).quantize(Decimal("0.0001"))
