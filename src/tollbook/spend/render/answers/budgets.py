"""How budgets stand, in words."""

from collections.abc import Iterator
from datetime import date

from tollbook.core.text import printable
from tollbook.spend.answers.budgets import BudgetBurn, Burn
from tollbook.spend.render.answers.forecast import LEVEL, caution_of
from tollbook.spend.render.telling import Column, Grid, Telling
from tollbook.spend.render.words import counted, dollars, faults

_COLUMNS = (
    Column("Budget", "name"),
    Column("Whose", "name", is_detail=True),
    Column("State", "words"),
    Column("Last days", "trend", is_detail=True),
    Column("Spent", "usd"),
    Column("Limit", "usd"),
    Column("Used", "share"),
    Column("A day", "usd", is_detail=True),
    Column("Forecast", "usd"),
    Column("Used up", "day"),
)
_PERIOD = {"month": "this month", "week": "this week", "day": "today"}


def telling_of_budgets(burn: Burn) -> Telling:
    """`burn` in words."""
    moment = f"{burn.now:%b} {burn.now.day}, {burn.now:%Y %H:%M}"
    return Telling(
        title="Amazon Bedrock spend: budgets",
        asked=f"as of {moment} {burn.basis.period.tz}",
        lead=_lead(burn),
        sentences=tuple(_sentence(each) for each in burn.budgets),
        grids=tuple(_grids(burn)),
        faults=(*caution_of(burn.last_call_on, burn.silent_days), *faults(burn.basis)),
        notes=(*_notes(burn), *map(printable, burn.basis.notes)),
    )


def _lead(burn: Burn) -> str:
    if not burn.budgets:
        whose = "" if burn.is_all else " for which calls of yours count"
        return f"There is no budget{whose}."
    late = ""
    if burn.silent_days and burn.last_call_on is not None:
        late = f" No call counted here is logged after {burn.last_call_on:%b} {burn.last_call_on.day}."
    return f"{_states(burn)}{late}"


def _states(burn: Burn) -> str:
    number, is_one = counted(len(burn.budgets), "budget"), len(burn.budgets) == 1
    over = sum(each.state == "over" for each in burn.budgets)
    near = sum(each.state == "warning" for each in burn.budgets)
    unknown = sum(each.is_unknown for each in burn.budgets)
    if not over + near + unknown:
        return f"{number}, {'within its limit' if is_one else 'all within their limits'}."
    parts = [(over, "over the limit"), (near, f"near {'it' if over else 'the limit'}"), (unknown, "without any price")]
    said = [words if is_one else f"{times} {words}" for times, words in parts if times]
    return f"{number}{',' if is_one else ':'} {', '.join(said)}."


def _notes(burn: Burn) -> Iterator[str]:
    if any(each.forecast_usd is not None for each in burn.budgets):
        yield f"a day of late: the mean of the last seven whole days; expected: the level of {LEVEL}"


def _sentence(each: BudgetBurn) -> str:
    whose = f"{printable(each.name)} ({printable(each.selects)})"
    limit, period = dollars(each.limit_usd), _PERIOD[each.per]
    if each.is_unknown:
        calls = "its only call has" if each.unpriced_calls == 1 else f"its {each.unpriced_calls:,} calls have"
        own = "you have spent" if each.is_own_part else "is spent"
        return f"{whose}: how much {own} of {limit} {period} is not known: {calls} no price."
    least = "at least " if each.is_at_least else ""
    own = "you have spent" if each.is_own_part else "spent"
    spent = f"{own} {least}{dollars(each.spent_usd)} of {limit} ({each.spent_share:.0%})"
    return f"{whose}: {spent} {period}{_outlook(each)}{_mismatch(each) or '.'}"


def _mismatch(each: BudgetBurn) -> str:
    if each.is_matched:
        return ""
    near = f" The log has {', '.join(map(printable, each.near))}." if each.near else ""
    return f"; no call that was read matches it: is the name right?{near}"


def _outlook(each: BudgetBurn) -> str:
    said = ""
    if each.exhausted_on is not None and each.state == "over":
        said = f"; the limit was reached {_on(each.exhausted_on)}"
    elif each.exhausted_on is not None:
        said = f"; used up {_on(each.exhausted_on)}"
    if each.burn_per_day_usd:
        said += f"; {dollars(each.burn_per_day_usd)} a day of late"
    if each.forecast_usd is not None:
        said += f"; {dollars(each.forecast_usd)} expected by its end"
    return said


def _on(day: date) -> str:
    return f"on {day:%b} {day.day}"


def _grids(burn: Burn) -> Iterator[Grid]:
    if burn.budgets:
        rows = tuple(
            (
                each.name,
                each.selects,
                "no price" if each.is_unknown else each.state,
                each.daily_usd,
                None if each.is_unknown else each.spent_usd,
                each.limit_usd,
                None if each.is_unknown else each.spent_share,
                each.burn_per_day_usd,
                each.forecast_usd,
                each.exhausted_on,
            )
            for each in burn.budgets
        )
        yield Grid("Budgets", _COLUMNS, rows)
