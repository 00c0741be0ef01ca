"""The dashboard in words, for who sees no page."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from tollbook.core.text import printable
from tollbook.spend.answers.overview import Line, Lines, Overview
from tollbook.spend.pricing import Status
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
    lead = f"{least}{dollars(total.usd)} for {counted(total.calls, 'call')} in {counted(days, 'day')}{errors}."
    return lead[0].upper() + lead[1:]


def _sentences(overview: Overview) -> Iterator[str]:
    if overview.explanation is not None:
        telling = telling_of_explain(overview.explanation)
        yield f"{telling.asked}: {telling.lead}"
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
    rows = tuple(_row(line.label, line, total) for line in lines.top[:_MOST_ROWS])
    left = len(lines.top) - len(rows) + lines.others
    return Grid(title, columns, rows, _row("all", total, total), left)


def _row(name: str, line: Line, total: Line) -> tuple[Cell, ...]:
    share = line.usd / total.usd if line.usd is not None and total.usd else None
    daily = tuple(Decimal(each).scaleb(-6) for each in line.daily_millionths)
    return (name, daily, line.calls, line.usd, share, line.cache_hit_rate)
