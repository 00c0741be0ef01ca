"""Where the month ends, in words."""

from datetime import date
from decimal import Decimal
from typing import Final

from tollbook.core.text import printable
from tollbook.spend.answers.forecast import Backtest, Forecast
from tollbook.spend.render.telling import Column, Grid, Telling
from tollbook.spend.render.words import counted, dollars, faults

_COLUMNS = (
    Column("Day", "day"),
    Column("Cost so far", "usd"),
    Column("From", "usd", is_detail=True),
    Column("Expected", "usd"),
    Column("To", "usd", is_detail=True),
)
LEVEL: Final = "the last two weeks without their highest and lowest days, each weekday by its own share of a week"
"""What is taken to go on: see `spend.answers.outlook`."""


def telling_of_forecast(forecast: Forecast) -> Telling:
    """`forecast` in words."""
    return Telling(
        title="Amazon Bedrock spend: where the month ends",
        asked=f"{forecast.first:%B %Y} {forecast.basis.period.tz}, seen from {_moment(forecast)}",
        lead=_lead(forecast),
        sentences=tuple(_sentences(forecast)),
        grids=tuple(_grids(forecast)),
        faults=tuple(faults(forecast.basis)),
        notes=tuple(map(printable, forecast.basis.notes)),
    )


def _lead(forecast: Forecast) -> str:
    month, more = f"{forecast.first:%B %Y}", " or more" if forecast.is_at_least else ""
    if not any(day.mid_usd is not None for day in forecast.days):
        return f"{month} has cost {dollars(forecast.mid_usd)}{more}."
    sure = f"{forecast.confidence:.0%} likely between {dollars(forecast.low_usd)} and {dollars(forecast.high_usd)}"
    return f"{month} will cost about {dollars(forecast.mid_usd)}{more}: {sure}."


def _sentences(forecast: Forecast) -> list[str]:
    share = f" ({forecast.so_far_usd / forecast.mid_usd:.0%} of it)" if forecast.mid_usd else ""
    today = f", {dollars(forecast.today_usd)} of it today up to {forecast.now:%H:%M}" if forecast.today_usd else ""
    said = caution_of(forecast.last_call_on, forecast.silent_days)
    said.append(f"So far it has cost {dollars(forecast.so_far_usd)}{share}{today}.")
    left = [day for day in forecast.days if day.mid_usd is not None]
    if coming := [day for day in left if day.day >= forecast.now.date()]:
        rest = sum((day.mid_usd or Decimal(0) for day in coming), Decimal(0))
        each = f"{dollars(rest / len(coming))} a day"
        usual = f"the median of the last seven whole days is {dollars(forecast.usual_day_usd)}"
        whole = "today taken as a whole day"
        said.append(f"{counted(len(coming), 'day')} to come, {whole}: {each} expected; {usual}.")
        said.append(f"What is expected is the level of {LEVEL}.")
    if unread := [day for day in left if day.day < forecast.now.date()]:
        said.append(f"{counted(len(unread), 'day')} of the month not read, and estimated like those to come.")
    if forecast.is_at_least:
        said.append("Something could not be read or priced, so that every figure is too low.")
    said.append(_tried(forecast))
    return said


def caution_of(last_call_on: date | None, silent_days: int) -> list[str]:
    """What is to be said where the days that were read end without calls: a sentence, or none."""
    if not silent_days:
        return []
    if last_call_on is None:
        return ["No call counted here is logged at all in the days that were read."]
    since = "the whole day since counts" if silent_days == 1 else f"the {silent_days} whole days since count"
    return [
        f"No call counted here is logged after {last_call_on:%b} {last_call_on.day}: {since} as $0. "
        "If the logs are late, ask again when they are there."
    ]


def _tried(forecast: Forecast) -> str:
    """How well the same rule would have done."""
    tested, whole = forecast.backtest, counted(forecast.whole_days, "whole day")
    if tested is None:
        return f"It rests on {whole}: too few to try the same rule on, so the interval is a guess."
    if tested.error_share is None:
        return f"It rests on {whole}, most of which cost nothing: how far off it would have been cannot be told."
    ahead = f"the {tested.days} days that followed" if tested.days > 1 else "the day that followed"
    trials = f"on {counted(len(tested.trials), 'day')} before" if len(tested.trials) > 1 else "on one day before"
    return (
        f"It rests on {whole}. Asked {trials} about {ahead}, it would have been off by "
        f"{_off(tested)} in the median; {tested.covered_share:.0%} of the outcomes lay in its interval."
    )


def _off(tested: Backtest) -> str:
    return f"{tested.error_share:.0%}"


def _grids(forecast: Forecast) -> list[Grid]:
    open_days = [day for day in forecast.days if day.mid_usd is not None]
    rows = tuple((day.day, day.usd, day.low_usd, day.mid_usd, day.high_usd) for day in open_days)
    return [Grid("The days to come", _COLUMNS, rows)] if rows else []


def _moment(forecast: Forecast) -> str:
    return f"{forecast.now:%b} {forecast.now.day}, {forecast.now:%H:%M}"
