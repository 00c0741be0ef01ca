"""Budgets: what a month, a week or a day may cost, how much of it is spent, and when it will be used up."""

import difflib
from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from tollbook.core.errors import UsageError
from tollbook.core.text import printable
from tollbook.spend.answers.basis import Basis, basis_of
from tollbook.spend.answers.forecast import (
    costs_by_day,
    days_of_evidence,
    days_with_calls,
    expected_of,
    forecast_window,
    left_of,
    past_of,
    silence_of,
    whole_days,
)
from tollbook.spend.answers.money import total, usd
from tollbook.spend.answers.outlook import LEAST_DAYS
from tollbook.spend.model import label
from tollbook.spend.pricing import Status
from tollbook.spend.query import TAG
from tollbook.spend.report import Group, Report
from tollbook.spend.sight import fits
from tollbook.spend.window import Window, start_of

Per = Literal["month", "week", "day"]
State = Literal["ok", "warning", "over"]

MOST_BUDGETS: Final = 50
_LONGEST_NAME: Final = 64
_LONGEST_VALUE: Final = 256
_MOST_USD: Final = Decimal(10**9)
_LEAST: Final = Decimal("0.01")
_PERIODS: Final = ("month", "week", "day")
_SELECTORS: Final = ("principal", "model", "tag")
_KEYS: Final = ("usd", "per", "warn", *_SELECTORS)
_BURN_DAYS: Final = 7
_MOST_NEAR: Final = 3
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A limit for some calls, or for all where none of `principal`, `model` and `tag_key` is given.

    A `*` in what is wanted stands for any characters, or none; all else must be the whole name.

    Attributes:
        usd: the limit of each period.
        per: a calendar month, a week from Monday on (ISO 8601) or a day.
        warn: the share of the limit from which on it is a warning; above 0, at most 1.
        principal: whose calls, such as `role/rag-api`; upper and lower case are told apart.
        model: of which model, by its id or its short name, in any case.
        tag_key, tag_value: calls whose request metadata say so; upper and lower case are told apart.
    """

    name: str
    usd: Decimal
    per: Per = "month"
    warn: Decimal = Decimal("0.8")
    principal: str = ""
    model: str = ""
    tag_key: str = ""
    tag_value: str = ""

    @property
    def by(self) -> tuple[str, ...]:
        """The dimension it looks at, beside the day."""
        if self.principal:
            return ("principal",)
        if self.model:
            return ("model",)
        return (f"{TAG}{self.tag_key}",) if self.tag_key else ()

    def holds(self, value: str | None) -> bool:
        """Whether calls with `value` in the dimension `by` count."""
        if value is None:
            return False
        if self.model:
            wanted = self.model.casefold()
            return any(fits(wanted.split("*"), name.casefold()) for name in (value, label(value)))
        return fits((self.principal or self.tag_value).split("*"), value)


def read_budgets(document: Mapping[str, Any], name: str) -> tuple[Budget, ...]:
    """The budgets that `document` holds, in its order: by name, what `docs/answers.md` describes.

    Args:
        document: the table `budgets` of a TOML file, or the same as JSON.
        name: where it comes from, for messages.

    Raises:
        UsageError: something in it cannot be used; every problem is told.
    """
    if not isinstance(document, Mapping):
        raise UsageError(f"{name}: budgets must be a table, such as [budgets.team] with usd = 100.")
    if not document:
        raise UsageError(f"{name} holds no budgets. Write one there, such as [budgets.all] with usd = 100.")
    if len(document) > MOST_BUDGETS:
        raise UsageError(f"{name} holds {len(document)} budgets, and {MOST_BUDGETS} are the most. Leave some out.")
    found, problems = [], []
    for key, value in document.items():
        try:
            found.append(_budget(key, value))
        except ValueError as fault:
            problems.append(f"budgets.{_shown(key)}: {fault}")
    if problems:
        raise UsageError(f"{name} holds budgets that cannot be used:", problems)
    return tuple(found)


def _budget(name: str, value: object) -> Budget:
    if not name.strip() or len(name) > _LONGEST_NAME:
        raise ValueError(f"A name takes 1 to {_LONGEST_NAME} characters.")
    if not isinstance(value, Mapping):
        raise ValueError('A budget is a table, such as usd = 100 and per = "month".')
    for key in value:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key).lower(), _KEYS, 1)
            rest = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(_KEYS)}."
            raise ValueError(f"There is no key {_shown(str(key))}. {rest}")
    if "usd" not in value:
        raise ValueError("It lacks its limit. Add usd, such as usd = 100.")
    given = [key for key in _SELECTORS if key in value]
    if len(given) > 1:
        raise ValueError(f"It has {' and '.join(given)}, and only one of them may be. Make a budget of each.")
    tag_key, tag_value = _tag(value["tag"]) if "tag" in value else ("", "")
    return Budget(
        name=name,
        usd=_number("usd", value["usd"], _MOST_USD, "100"),
        per=_per(value.get("per", "month")),
        warn=_number("warn", value.get("warn", Decimal("0.8")), Decimal(1), "0.8"),
        principal=_text("principal", value["principal"]) if "principal" in value else "",
        model=_text("model", value["model"]) if "model" in value else "",
        tag_key=tag_key,
        tag_value=tag_value,
    )


def _number(key: str, value: object, most: Decimal, example: str) -> Decimal:
    wanted = f"{key} takes a number from {_LEAST} to {most:,}, such as {key} = {example}"
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        kind = "quoted" if isinstance(value, str) else "something else"
        raise ValueError(f"{wanted}; this one is {kind}.")
    number = Decimal(str(value))
    if not number.is_finite() or not _LEAST <= number <= most:
        raise ValueError(f"{wanted}, and not {_shown(str(value))}.")
    return number


def _per(value: object) -> Per:
    if value in _PERIODS:
        return value
    raise ValueError(f"per takes {', '.join(_PERIODS)}, and not {_shown(value)}.")


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_VALUE:
        raise ValueError(f"{key} takes a text of 1 to {_LONGEST_VALUE} characters.")
    return value


def _tag(value: object) -> tuple[str, str]:
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError('tag takes one key of the request metadata with its value, such as tag = {team = "growth"}.')
    ((key, wanted),) = value.items()
    return _text("the key of tag", key), _text(f"tag.{_shown(key)}", wanted)


def _shown(value: object) -> str:
    text = printable(value) if isinstance(value, str) else type(value).__name__
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetBurn:
    """How a budget stands in the period of `now`.

    Attributes:
        selects: whose calls, in words: `all`, `principal role/rag-api`.
        first, last: the period.
        spent_usd: its calls up to now, today's included; 0 where none of them has a price, see `is_unknown`.
        spent_share: of the limit; may be above 1.
        burn_per_day_usd: the mean of the last seven whole days, or of as many as there are; None of none.
        forecast_usd: what the period will probably cost; None under seven whole days with a price, and for part of the
            calls.
        exhausted_on: the day on which the limit was or will be reached; None where it will not be in this period,
            and where that cannot be told.
        state: `over` from the limit on; `warning` from `warn` on, or where the forecast is above the limit.
        is_at_least: something could not be read or priced, so that every figure is too low.
        unpriced_calls: its calls of the period that have no price.
        is_unknown: it has calls in the period, and none of them has a price: nothing is known of what is spent.
        is_matched: whether any call that was read counts for it; true where nothing was read.
        near: where none does, up to three names in the log that look like the one that is wanted.
        is_own_part: only the calls that whoever asks may see are counted; others may spend of it too.
        daily_usd: what the last whole days cost, up to 28, the oldest first.
    """

    name: str
    selects: str
    per: Per
    first: date
    last: date
    limit_usd: Decimal
    warn_share: Decimal
    spent_usd: Decimal
    spent_share: Decimal
    burn_per_day_usd: Decimal | None
    forecast_usd: Decimal | None
    exhausted_on: date | None
    state: State
    is_at_least: bool
    unpriced_calls: int
    is_unknown: bool
    is_matched: bool
    near: tuple[str, ...]
    is_own_part: bool
    daily_usd: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """How budgets stand, those that need attention first.

    Attributes:
        now: in the zone of the question.
        is_all: whether whoever asks sees all calls. Else only the budgets are told for which calls of his count in
            this period: that there are others is not his to know.
        state: the worst of them; `ok` where there are none.
        last_call_on: the last day with calls, up to today, whatever budget they count for; None without any.
        silent_days: whole days after it, which count as $0: were the logs late, they would look the same.
    """

    basis: Basis
    now: datetime
    is_all: bool
    state: State
    budgets: tuple[BudgetBurn, ...]
    last_call_on: date | None
    silent_days: int
    schema: Literal["tollbook.budgets/1"] = "tollbook.budgets/1"


_STATES: Final[tuple[State, ...]] = ("over", "warning", "ok")


def budgets_by(budgets: Iterable[Budget]) -> tuple[str, ...]:
    """The dimensions of a report that `burn_of` needs."""
    return tuple(dict.fromkeys(("day", *(name for budget in budgets for name in budget.by))))


def budgets_window(budgets: Iterable[Budget], now: datetime, zone: ZoneInfo) -> Window:
    """What is read for `budgets`: eight weeks of whole days, the whole periods so far, and today up to `now`."""
    window = forecast_window(now, zone)
    today = now.astimezone(zone).date()
    since = [start_of(_period(budget.per, today)[0], zone) for budget in budgets]
    return Window(min([*since, *filter(None, [window.since])]), window.until, zone)


def burn_of(report: Report, budgets: Sequence[Budget], now: datetime) -> Burn:
    """How `budgets` stand at `now`.

    Args:
        report: by `budgets_by(budgets)` at least, over `budgets_window`.
    """
    zone = report.query.window.zone
    today = now.astimezone(zone).date()
    is_all = report.query.sight.is_all
    calls = _Calls(report, today)
    found = []
    for budget in budgets:
        groups = calls.of(budget)
        if is_all or _has_calls(groups, *_period(budget.per, today)):
            found.append(_burn(calls, budget, groups, now))
    found.sort(key=lambda burn: (_STATES.index(burn.state), -burn.spent_share, burn.name))
    state = found[0].state if found else "ok"
    return Burn(
        basis=basis_of(report),
        now=now.astimezone(zone),
        is_all=is_all,
        state=state,
        budgets=tuple(found),
        last_call_on=calls.silence.last_call_on,
        silent_days=calls.silence.days,
    )


class _Calls:
    """The calls of a report, grouped once for all budgets that tell them apart by the same dimension."""

    def __init__(self, report: Report, today: date) -> None:
        self.report = report
        self.whole = whole_days(report, today)
        self.silence = silence_of(report, today)
        self._grouped: dict[tuple[str, ...], list[Group]] = {}

    def of(self, budget: Budget) -> list[Group]:
        """Those that count for `budget`, by day."""
        groups = self._grouped.get(budget.by)
        if groups is None:
            groups = self._grouped[budget.by] = self.report.grouped(("day", *budget.by))
        if not budget.by:
            return groups
        held = {name for name in {group.values[1] for group in groups} if budget.holds(name)}
        return [group for group in groups if group.values[1] in held]


def _has_calls(groups: Iterable[Group], first: date, last: date) -> bool:
    return any(group.sum.calls and first <= _day(group) <= last for group in groups)


def _day(group: Group) -> date:
    return date.fromisoformat(group.values[0] or "")


def _burn(calls: _Calls, budget: Budget, groups: Sequence[Group], now: datetime) -> BudgetBurn:
    report, whole = calls.report, calls.whole
    zone = report.query.window.zone
    today = now.astimezone(zone).date()
    first, last = _period(budget.per, today)
    costs = costs_by_day(groups)
    period = [first + step * _DAY for step in range((last - first).days + 1)]
    spent = total(costs.get(day, Decimal(0)) for day in period if day <= today)
    past = past_of(costs, days_with_calls(groups), whole)
    is_all = report.query.sight.is_all
    served = [group for group in groups if group.sum.calls]
    priced = [group for group in served if group.sum.usd is not None]
    is_unknown = _has_calls(served, first, last) and not _has_calls(priced, first, last)
    is_matched = bool(groups) or not budget.by or not report.rows
    daily: dict[date, Decimal] = {}
    evidence = days_of_evidence(past, calls.silence)
    if is_all and past is not None and evidence >= LEAST_DAYS and priced:
        over = set(whole)
        coming = expected_of(past, [day for day in period if day not in over], costs, {today: left_of(now, zone)})
        daily = {day: costs.get(day, Decimal(0)) if day in over else coming[day] for day in period}
    forecast = usd(total(daily.values())) if daily else None
    recent = [costs.get(day, Decimal(0)) for day in whole[-_BURN_DAYS:]]
    return BudgetBurn(
        name=budget.name,
        selects=_selects(budget),
        per=budget.per,
        first=first,
        last=last,
        limit_usd=usd(budget.usd),
        warn_share=budget.warn,
        spent_usd=usd(spent),
        spent_share=(spent / budget.usd).quantize(Decimal("0.0001")),
        burn_per_day_usd=usd(total(recent) / len(recent)) if recent and (priced or not served) else None,
        forecast_usd=forecast,
        exhausted_on=_exhausted_on(daily or costs, period, today, budget.usd, bool(daily)) if is_all else None,
        state=_state(budget, spent, forecast),
        is_at_least=bool(report.unread) or any(_is_unpriced(group, first) for group in groups),
        unpriced_calls=_unpriced_calls(report, budget, groups, first),
        is_unknown=is_unknown,
        is_matched=is_matched,
        near=() if is_matched else _near(report, budget),
        is_own_part=not is_all,
        daily_usd=tuple(usd(costs.get(day, Decimal(0))) for day in whole[-28:]),
    )


def _period(per: Per, today: date) -> tuple[date, date]:
    if per == "day":
        return today, today
    if per == "week":
        first = today - today.weekday() * _DAY
        return first, first + 6 * _DAY
    return today.replace(day=1), today.replace(day=monthrange(today.year, today.month)[1])


def _exhausted_on(
    daily: Mapping[date, Decimal], period: Sequence[date], today: date, limit: Decimal, foretold: bool
) -> date | None:
    """The first day up to which `daily` adds up to `limit`."""
    so_far = Decimal(0)
    for day in period:
        so_far += daily.get(day, Decimal(0)) if foretold or day <= today else 0
        if so_far >= limit:
            return day
    return None


def _unpriced_calls(report: Report, budget: Budget, groups: Iterable[Group], first: date) -> int:
    found = {group.values for group in groups if _is_unpriced(group, first)}
    rows = report.valued(("day", *budget.by)) if found else ()
    return sum(row.unpriced_calls for row, _, values in rows if values in found)


def _near(report: Report, budget: Budget) -> tuple[str, ...]:
    """Names in the log that look like the one that `budget` wants and nothing has."""
    wanted = (budget.principal or budget.model or budget.tag_value).casefold().replace("*", "")
    values = sorted({value for group in report.grouped(budget.by) if (value := group.values[0])})
    names = {name: name.casefold() for value in values for name in [label(value) if budget.model else value]}
    alike = [name for name, plain in names.items() if wanted and (wanted in plain or plain in wanted)]
    by_plain = {plain: name for name, plain in names.items()}
    close = [by_plain[plain] for plain in difflib.get_close_matches(wanted, list(by_plain), _MOST_NEAR)]
    return tuple(dict.fromkeys([*alike, *close]))[:_MOST_NEAR]


def _is_unpriced(group: Group, first: date) -> bool:
    return Status.UNPRICED in group.sum.statuses and _day(group) >= first


def _state(budget: Budget, spent: Decimal, forecast: Decimal | None) -> State:
    if spent >= budget.usd:
        return "over"
    return "warning" if spent >= budget.warn * budget.usd or (forecast or 0) > budget.usd else "ok"


def _selects(budget: Budget) -> str:
    if budget.tag_key:
        return f"{TAG}{budget.tag_key}={budget.tag_value}"
    if budget.principal or budget.model:
        return f"principal {budget.principal}" if budget.principal else f"model {budget.model}"
    return "all calls"
