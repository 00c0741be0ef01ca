"""The dashboard in words, for who sees no page."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from tollbook.core.text import printable
from tollbook.spend.answers.overview import Line, Lines, Overview
from tollbook.spend.pricing import Status
from tollbook.spend.render.amounts import Amounts
from tollbook.spend.render.answers.anomalies import telling_of_anomalies
from tollbook.spend.render.answers.explain import telling_of_explain
from tollbook.spend.render.answers.forecast import telling_of_forecast
from tollbook.spend.render.telling import Cell, Column, Grid, Telling
from tollbook.spend.render.words import counted, dollars, faults, percent, stretch

_MOST_ROWS: Final = 20


def telling_of_overview(overview: Overview) -> Telling:
    """`overview` in words."""
    period = overview.basis.period
    return Telling(
        title="Amazon Bedrock spend: overview",
        asked=stretch(period.since, period.until, ZoneInfo(period.tz)),
        lead=_lead(overview.total, len(overview.days)),
        sentences=tuple(_sentences(overview)),
        grids=(
            _grid("By model", "Model", overview.models, overview.total),
            _grid("By principal", "Principal", overview.principals, overview.total),
        ),
        faults=tuple(faults(overview.basis)),
        notes=tuple(map(printable, overview.basis.notes)),
    )


def _lead(total: Line, days: int) -> str:
    if total.usd is None:
        return f"Nothing of {counted(total.calls, 'call')} has a price."
    least = "at least " if Status.UNPRICED in total.status else ""
    errors = f", and {counted(total.errors, 'call')} failed" if total.errors else ""
    amounts = Amounts.up_to(total.usd)
    cost = amounts.dollars(amounts.rounded(total.usd))
    lead = f"{least}{cost} for {counted(total.calls, 'call')} in {counted(days, 'day')}{errors}."
    return lead[0].upper() + lead[1:]


def _sentences(overview: Overview) -> Iterator[str]:
    if overview.explanation is not None:
        telling = telling_of_explain(overview.explanation)
        yield f"{telling.asked}: {telling.lead}"
        yield from overview.explanation.cautions
    if overview.forecast is not None:
        yield telling_of_forecast(overview.forecast).lead
    if overview.anomalies is not None:
        yield telling_of_anomalies(overview.anomalies).lead
    total = overview.total
    if total.cache_hit_rate is not None and total.cache_saving_usd is not None:
        saved = dollars(abs(total.cache_saving_usd))
        how = f"saved {saved}" if total.cache_saving_usd >= 0 else f"cost {saved} more than it saved"
        yield f"{percent(total.cache_hit_rate)} of the prompt tokens were read from the cache, which {how}."


def _grid(title: str, noun: str, lines: Lines, total: Line) -> Grid:
    columns = (
        Column(noun, "name"),
        Column("By day", "trend", is_detail=True),
        Column("Calls", "count"),
        Column("Cost", "usd"),
        Column("Share", "share"),
        Column("From cache", "share", is_detail=True),
    )
    amounts = Amounts.up_to(total.usd or Decimal(0))
    shown, rest = lines.top[:_MOST_ROWS], (*lines.top[_MOST_ROWS:], *((lines.rest,) if lines.rest else ()))
    named = [(line.label, line) for line in shown]
    if rest:
        named.append((counted(len(lines.top) - len(shown) + lines.others, "other"), _together(rest)))
    priced = [line.usd for _, line in named if line.usd is not None]
    costs = iter(amounts.adding_up(amounts.rounded(total.usd or Decimal(0)), priced) if priced else ())
    rows = tuple(
        _row(name, line, total, None if line.usd is None else amounts.cell(next(costs))) for name, line in named
    )
    whole = None if total.usd is None else amounts.cell(amounts.rounded(total.usd))
    return Grid(title, columns, rows, _row("all", total, total, whole))


def _together(lines: Sequence[Line]) -> Line:
    """What a row for all of `lines` shows."""
    priced = [line.usd for line in lines if line.usd is not None]
    return replace(
        lines[0],
        calls=sum(line.calls for line in lines),
        usd=sum(priced, Decimal(0)) if priced else None,
        cache_hit_rate=None,
        daily_millionths=tuple(map(sum, zip(*(line.daily_millionths for line in lines), strict=True))),
    )


def _row(name: str, line: Line, total: Line, cost: Cell) -> tuple[Cell, ...]:
    share = line.usd / total.usd if line.usd is not None and total.usd else None
    daily = tuple(Decimal(each).scaleb(-6) for each in line.daily_millionths)
    return (name, daily, line.calls, cost, share, line.cache_hit_rate)
