"""All that the dashboard shows, in one document: who and what by day, what changed, what comes, what stands out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from tollbook.core.errors import UsageError
from tollbook.spend.answers.anomalies import Anomalies, anomalies_of, anomalies_window
from tollbook.spend.answers.basis import Basis, basis_of
from tollbook.spend.answers.explain import Explanation, explanation_of, hull
from tollbook.spend.answers.forecast import Forecast, forecast_of, forecast_window
from tollbook.spend.answers.money import usd
from tollbook.spend.model import label
from tollbook.spend.pricing import Status
from tollbook.spend.report import Group, Report, Sum, local_day
from tollbook.spend.window import Window, last_days, start_of

OVERVIEW_BY: Final = ("day", "model", "principal")
MOST_LINES: Final = 100
MOST_ANOMALIES: Final = 20

_DAY: Final = timedelta(days=1)
_WEEK: Final = 7
_FEWEST_TO_JUDGE_BY: Final = 14  # days of history, where all that was read is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some of a line's calls: the names and meanings are those of `Line`."""

    name: str
    label: str
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    usd: Decimal | None
    status: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Calls that have something in common, added up.

    Attributes:
        name: as the log has it: a model's id, or a principal; empty for the sum of many.
        label: what to call it: a model's short name where no other has it.
        usd: what the priced part cost; None where nothing is priced.
        status: how sure the prices are, see `spend.pricing.Status`; sorted.
        cache_saving_usd: what the cache saved in the priced part, less what filling it cost; may be negative.
        cache_hit_rate: the share of prompt tokens that were read from the cache; None without prompt tokens.
        daily_millionths: millionths of a dollar, on each of the overview's days.
        models: what a principal's calls consist of; empty where that was left out.
    """

    name: str
    label: str
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    usd: Decimal | None
    status: tuple[str, ...]
    cache_saving_usd: Decimal | None
    cache_hit_rate: Decimal | None
    daily_millionths: tuple[int, ...]
    models: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A table that stays small.

    Attributes:
        top: those that cost most, in order of it.
        others: how many more there are.
        rest: those others added up; None where there are none.
    """

    top: tuple[Line, ...]
    others: int
    rest: Line | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What Bedrock cost, for a page that shows it.

    Attributes:
        now: when it was asked, in the zone of the question.
        days: the local days shown, in order.
        whole_days: how many of them are over: all, or all but today.
        unpriced_days: those of them on which calls have no price.
        total: all calls of those days.
        explanation: whole days up to the last one shown against as many before them, whole weeks where there are any;
            None where there are no two days, or no records of those before.
        forecast: None where there are too few days for it, or none of this month.
        anomalies: the dearest, at most `MOST_ANOMALIES`; None where there are too few days to judge by.
    """

    basis: Basis
    now: datetime
    days: tuple[date, ...]
    whole_days: int
    unpriced_days: tuple[date, ...]
    total: Line
    models: Lines
    principals: Lines
    explanation: Explanation | None
    forecast: Forecast | None
    anomalies: Anomalies | None
    schema: Literal["tollbook.overview/1"] = "tollbook.overview/1"


def overview_window(days: int, now: datetime, zone: ZoneInfo) -> Window:
    """What to read for an overview of today and the `days` - 1 days before it: what those are compared with, and what
    the forecast and the anomalies of the same days are told by. It ends at `now`.

    Raises:
        UsageError: there are no or too many days, see `spend.window.last_days`.
    """
    last_days(days, now, zone)
    compared = last_days(2 * _compared(max(days, _WEEK)) + 1, now, zone)
    read = hull(hull(compared, forecast_window(now, zone)), anomalies_window(days, now, zone))
    return Window(read.since, now, zone)


def overview_of(report: Report, now: datetime, days: int | None = None, *, is_detailed: bool = True) -> Overview:
    """The overview of a report by `OVERVIEW_BY`.

    Args:
        now: of days that are over, their last instant: the last second of a day counts as its end.
        days: show today and this many days less one before it, of the `overview_window` that was read; None shows all
            that was read, and compares the later half of it with the former.
        is_detailed: each principal has its `models`; a page inside of a host asks for them instead.
    """
    shown = shown_days(report, now, days)
    part = narrowed(report, shown)
    zone = report.query.window.zone
    today = _today(now, zone)
    whole = sum(day < today for day in shown)
    return Overview(
        basis=basis_of(part),
        now=now.astimezone(zone),
        days=shown,
        whole_days=whole,
        unpriced_days=tuple(_unpriced_days(part)),
        total=_line("", "", part.total, shown),
        models=_lines(part.grouped(("model",)), shown, {}, are_models=True),
        principals=_lines(part.grouped(("principal",)), shown, _models_within(part) if is_detailed else {}),
        explanation=_explanation(report, shown, now, days),
        forecast=_forecast(report, now),
        anomalies=_anomalies(report, shown, now, days),
    )


def shown_days(report: Report, now: datetime, days: int | None = None) -> tuple[date, ...]:
    """The days to show: the last `days` of them up to today, or all that was read."""
    if days is None:
        return tuple(report.days)
    today = now.astimezone(report.query.window.zone).date()
    return tuple(today - back * _DAY for back in reversed(range(days)))


def narrowed(report: Report, days: Sequence[date]) -> Report:
    """The part of `report` on the local `days`, which follow one another."""
    if not days:
        return report
    return _within(report, Window(*_ends(days, report.query.window.zone), report.query.window.zone))


def _within(report: Report, window: Window) -> Report:
    """The part of `report` that lies in `window`, which consists of whole days."""
    starts = [start for start in (report.since, window.since) if start]
    ends = [end for end in (report.until, window.until) if end]
    since, until = max(starts, default=None), min(ends, default=None)
    if since is None or until is None:
        return report
    zone = window.zone
    first, end = since.astimezone(zone).date(), (until - timedelta(microseconds=1)).astimezone(zone).date()
    rows = tuple(row for row in report.rows if first <= local_day(row.usage_row.key.start, report.query) <= end)
    return msgspec.structs.replace(report, since=since, until=max(since, until), rows=rows)


def _ends(days: Sequence[date], zone: ZoneInfo) -> tuple[datetime, datetime]:
    return start_of(days[0], zone), start_of(days[-1] + _DAY, zone)


def _compared(whole: int) -> int:
    """How many of `whole` days to compare: whole weeks where there are any, so that weekdays are alike in both."""
    return whole - whole % _WEEK if whole >= _WEEK else whole


def _today(now: datetime, zone: ZoneInfo) -> date:
    """The day that is not over."""
    return (now + timedelta(seconds=1)).astimezone(zone).date()


def _explanation(report: Report, shown: Sequence[date], now: datetime, days: int | None) -> Explanation | None:
    zone = report.query.window.zone
    today = _today(now, zone)
    whole = [day for day in shown if day < today]
    span = _compared(len(whole) // 2 if days is None else max(len(whole), _WEEK))
    if not span:
        return None
    end = today if days else whole[-1] + _DAY
    first, middle, last = (start_of(end - times * span * _DAY, zone) for times in (2, 1, 0))
    if not _within(report, Window(first, middle, zone)).rows:
        return None
    return explanation_of(report, Window(first, middle, zone), Window(middle, last, zone), now)


def _unpriced_days(report: Report) -> Iterator[date]:
    for group in report.grouped(("day",)):
        if Status.UNPRICED in group.sum.statuses:
            yield date.fromisoformat(group.values[0] or "")


def _forecast(report: Report, now: datetime) -> Forecast | None:
    try:
        found = forecast_of(_within(report, forecast_window(now, report.query.window.zone)), now)
    except UsageError:  # too few days
        return None
    return replace(found, backtest=found.backtest and replace(found.backtest, trials=()))  # many, and not shown


def _anomalies(report: Report, shown: Sequence[date], now: datetime, days: int | None) -> Anomalies | None:
    today = now.astimezone(report.query.window.zone).date()
    first = shown[0] if days and shown else None if len(shown) <= _FEWEST_TO_JUDGE_BY else shown[_FEWEST_TO_JUDGE_BY]
    if first is None or first > today:
        return None
    asked = (today - first).days + 1
    try:
        found = anomalies_of(_within(report, anomalies_window(asked, now, report.query.window.zone)), asked, now)
    except UsageError:  # so long ago that nothing is judged
        return None
    told = found.anomalies[:MOST_ANOMALIES]
    return replace(found, anomalies=told, others=found.others + len(found.anomalies) - len(told))


def _models_within(report: Report) -> Mapping[str, Sequence[Group]]:
    """By principal, its models."""
    found: dict[str, list[Group]] = {}
    for group in report.grouped(("principal", "model")):
        found.setdefault(group.values[0] or "", []).append(Group(group.values[1:], group.sum))
    return found


def _lines(
    groups: Sequence[Group], days: Sequence[date], within: Mapping[str, Sequence[Group]], *, are_models: bool = False
) -> Lines:
    """`groups` by one dimension, in order of money; `within` has what each consists of."""
    labels = _labels(groups) if are_models else {}
    top, others = groups[:MOST_LINES], groups[MOST_LINES:]
    lines = []
    for group in top:
        name = group.values[0] or ""
        lines.append(_line(name, labels.get(name, name), group.sum, days, _parts(within.get(name, ()))))
    return Lines(top=tuple(lines), others=len(others), rest=_line("", "", _added(others), days) if others else None)


def _parts(models: Sequence[Group]) -> tuple[Part, ...]:
    labels = _labels(models)
    return tuple(
        Part(
            name=name,
            label=labels[name],
            calls=group.sum.calls,
            errors=group.sum.errors,
            input_tokens=group.sum.input,
            output_tokens=group.sum.output,
            cache_read_tokens=group.sum.cache_read,
            cache_write_tokens=group.sum.cache_write,
            usd=None if group.sum.usd is None else usd(group.sum.usd),
            status=tuple(sorted(group.sum.statuses)),
        )
        for group in models
        for name in [group.values[0] or ""]
    )


def _added(groups: Sequence[Group]) -> Sum:
    rest = Sum()
    for group in groups:
        rest.take(group.sum)
        for day, amount in group.sum.by_day.items():
            rest.by_day[day] = rest.by_day.get(day, Decimal(0)) + amount
    return rest


def _labels(groups: Sequence[Group]) -> dict[str, str]:
    """For models, their short names where they tell them apart."""
    labels = {name: label(name) for name in (group.values[0] or "" for group in groups)}
    times = Counter(labels.values())
    return {name: words if times[words] == 1 else name for name, words in labels.items()}


def _line(name: str, words: str, total: Sum, days: Sequence[date], models: tuple[Part, ...] = ()) -> Line:
    rate = total.cache_hit_rate
    return Line(
        name=name,
        label=words,
        calls=total.calls,
        errors=total.errors,
        input_tokens=total.input,
        output_tokens=total.output,
        cache_read_tokens=total.cache_read,
        cache_write_tokens=total.cache_write,
        usd=None if total.usd is None else usd(total.usd),
        status=tuple(sorted(total.statuses)),
        cache_saving_usd=None if total.saving is None else usd(total.saving),
        cache_hit_rate=None if rate is None else round(rate, 6),
        daily_millionths=tuple(int(usd(total.by_day.get(day, Decimal(0))).scaleb(6)) for day in days),
        models=models,
    )
