"""How budgets stand, in words."""

from collections.abc import Iterator
from datetime import date

from tollbook.core.text import printable
from tollbook.spend.answers.budgets import BudgetBurn, Burn
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
        faults=tuple(faults(burn.basis)),
        notes=tuple(map(printable, burn.basis.notes)),
    )


def _lead(burn: Burn) -> str:
    if not burn.budgets:
        whose = "" if burn.is_all else " for which calls of yours count"
        return f"There is no budget{whose}."
    number = counted(len(burn.budgets), "budget")
    over = sum(each.state == "over" for each in burn.budgets)
    near = sum(each.state == "warning" for each in burn.budgets)
    if not over + near:
        return f"{number}, {'within its limit' if len(burn.budgets) == 1 else 'all within their limits'}."
    parts = [f"{over} over the limit"] * bool(over) + [f"{near} near {'it' if over else 'the limit'}"] * bool(near)
    return f"{number}: {', '.join(parts)}."


def _sentence(each: BudgetBurn) -> str:
    least = "at least " if each.is_at_least else ""
    own = "you have spent" if each.is_own_part else "spent"
    spent = f"{own} {least}{dollars(each.spent_usd)} of {dollars(each.limit_usd)} ({each.spent_share:.0%})"
    return f"{printable(each.name)} ({printable(each.selects)}): {spent} {_PERIOD[each.per]}{_outlook(each)}."


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
                each.state,
                each.daily_usd,
                each.spent_usd,
                each.limit_usd,
                each.spent_share,
                each.burn_per_day_usd,
                each.forecast_usd,
                each.exhausted_on,
            )
            for each in burn.budgets
        )
        yield Grid("Budgets", _COLUMNS, rows)
