"""The report on a terminal: what it cost by day and model, then who, sorted by money."""

import math
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

import msgspec
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tollbook.spend.pricing import Status
from tollbook.spend.render.bars import EIGHTHS, PALETTE, QUIET, bar, sparkline
from tollbook.spend.render.words import (
    compact,
    cost,
    counted,
    dollars,
    faults,
    percent,
    period,
    reasons,
    shown,
    total_cost,
)
from tollbook.spend.report import Report, Sum

_WIDE: Final = 110  # columns from which the token figures fit
_NARROW: Final = 30  # columns below which there is no chart
_REASONS: Final = 5


def show(report: Report, console: Console, top: int) -> None:
    """Prints `report`.

    Args:
        top: how many groups to list; the others are added up in one line. 0 lists all.
    """
    console.print(_heading(report))
    for fault in faults(report):
        console.print(Text(f"! {fault}", style="bold yellow"))
    if len(report.days) > 1 and report.total.usd and console.width >= _NARROW:
        console.print()
        _print_chart(report, console)
    if report.groups:
        console.print(_table(report, console.width, top))
    for line in _footnotes(report):
        text = line.lstrip()
        console.print(Padding(Text(text, style="dim"), (0, 0, 0, 2 + len(line) - len(text)), expand=False))


def _footnotes(report: Report) -> Iterator[str]:
    statuses = report.total.statuses
    if statuses - {Status.EXACT, Status.UNPRICED}:
        yield "~ rests on an assumption, named below"
    if Status.UNPRICED in statuses:
        yield "≥ leaves out what has no price:"
    why = list(reasons(report))
    yield from (f"  {line}" for line in why[:_REASONS])
    if len(why) > _REASONS:
        yield f"  and {len(why) - _REASONS} more, in --format text"
    yield from report.notes


def _heading(report: Report) -> Text:
    total = report.total
    text = Text.assemble(
        ("Amazon Bedrock spend", "bold"), (f"  {period(report)}\n", "dim"), (total_cost(report), "bold")
    )
    facts = []
    if total.usd and (days := len(report.days)) > 1:
        facts.append(f"{dollars(total.usd / days)}/day")
    facts.append(counted(total.calls, "call"))
    if total.errors:
        facts.append(counted(total.errors, "error"))
    if total.cache_hit_rate:
        saved = f", {'saved' if total.saving >= 0 else 'lost'} {dollars(abs(total.saving))}" if total.saving else ""
        facts.append(f"cache hit {percent(total.cache_hit_rate)}{saved}")
    return text.append(f"  {' · '.join(facts)}", style="dim")


class _Series(msgspec.Struct, frozen=True):
    """A model's dollars, a figure for each column of the chart."""

    name: str
    colour: str
    columns: tuple[float, ...]


def _print_chart(report: Report, console: Console) -> None:
    height = 12 if console.width >= _WIDE else 10
    by_model = report.grouped(("model",))
    models = [group for group in by_model if group.sum.usd]
    room = console.width - len(dollars(report.total.usd or Decimal(0))) - 2
    spans = _spans(report.days, room)
    names = shown(by_model, ("model",))
    series = [
        _Series(names[group.values], colour, _columns([group.sum], spans))
        for group, colour in zip(models, PALETTE[: -1 if len(models) > len(PALETTE) else None], strict=False)
    ]
    if others := models[len(series) :]:
        series.append(_Series(f"{len(others)} others", PALETTE[-1], _columns([group.sum for group in others], spans)))
    for line in _chart(series, spans, room, height, console.no_color or not console.is_terminal):
        console.print(line)
    _print_legend(series, console)


def _spans(days: Sequence[date], room: int) -> list[Sequence[date]]:
    """`days`, one to a column; several where there are more days than columns."""
    together = math.ceil(len(days) / room)
    return [days[start : start + together] for start in range(0, len(days), together)]


def _columns(sums: Sequence[Sum], spans: Sequence[Sequence[date]]) -> tuple[float, ...]:
    return tuple(float(sum(total.by_day.get(day, Decimal(0)) for total in sums for day in span)) for span in spans)


def _chart(
    series: Sequence[_Series], spans: Sequence[Sequence[date]], room: int, height: int, colourless: bool
) -> list[Text]:
    """Stacked columns in eighths of a line, with an axis of dollars and one of days."""
    sums = [sum(figures) for figures in zip(*(one.columns for one in series), strict=True)]
    if colourless:  # without colours the stack says nothing
        series = [_Series("", "", tuple(sums))]
    ticks = _ticks(max(sums))
    labels = {round((1 - tick / ticks[-1]) * height): _axis_label(tick) for tick in ticks}
    gutter = max(map(len, labels.values()))
    width = max(1, min(8, room // len(spans)))
    bar = max(1, width - 1)
    lines = []
    for row in range(height):
        line = Text(f"{labels.get(row, ''):>{gutter}} ", style="dim")
        for column in range(len(spans)):
            glyph, style = _cell(series, column, height - 1 - row, ticks[-1] / height)
            line.append(glyph * bar, style=style).append(" " * (width - bar))
        lines.append(line)
    lines.append(Text(f"{labels[height]:>{gutter}} {'─' * (width * len(spans))}", style="dim"))
    lines.append(Text(_day_labels(spans, gutter + 1, width, bar), style="dim"))
    return lines


def _cell(series: Sequence[_Series], column: int, row: int, unit: float) -> tuple[str, str]:
    """The glyph and style of a cell `row` lines above the axis, each line `unit` dollars high."""
    floor, base = row * unit, 0.0
    parts: list[tuple[float, str]] = []  # eighths of the cell and their colour, from below
    for one in series:
        top = base + one.columns[column]
        if (filled := (min(top, floor + unit) - max(base, floor)) / unit * 8) > 0:
            parts.append((filled, one.colour))
        base = top
    filled = sum(eighths for eighths, _ in parts)
    if not parts or (filled < 0.5 and row):
        return " ", ""
    largest = sorted(parts, reverse=True)[:2]
    if filled < 7.5:  # the top of the column, in the colour that fills most of it
        return EIGHTHS[max(1, round(filled))], largest[0][1]
    if len(largest) == 1:
        return "█", largest[0][1]
    below, above = sorted(largest, key=parts.index)
    share = round(below[0] / (below[0] + above[0]) * 8)
    return EIGHTHS[min(7, max(1, share))], f"{below[1]} on {above[1]}"


def _ticks(highest: float) -> list[float]:
    """Round figures from 0 to `highest` or just beyond, in at most five steps."""
    power = 10.0 ** math.floor(math.log10(highest / 5))
    step = next(size for factor in (1, 2, 2.5, 5, 10, 20) if highest / (size := factor * power) <= 5)
    return [step * count for count in range(math.ceil(highest / step) + 1)]


def _axis_label(tick: float) -> str:
    digits = 0 if tick == int(tick) else max(1, 1 - math.floor(math.log10(tick)))
    return f"${tick:,.{digits}f}"


def _day_labels(spans: Sequence[Sequence[date]], gutter: int, width: int, bar: int) -> str:
    """Labels below their columns, as many as fit, the last day's first."""
    every = max(1, math.ceil(8 / width))
    end = gutter + width * len(spans)
    line = [" "] * end
    for column in range(len(spans) - 1, -1, -every):
        day = spans[column][0]
        text = f"{day:%b} {day.day}"
        start = max(0, min(gutter + column * width + bar // 2 - len(text) // 2, end - len(text)))
        line[start : start + len(text)] = text
    return "".join(line).rstrip()


def _print_legend(series: Sequence[_Series], console: Console) -> None:
    line = Text()
    for one in series:
        amount = dollars(Decimal(sum(one.columns)).quantize(Decimal("0.0001")))
        entry = Text.assemble(("■ ", one.colour), f"{one.name} ", (amount, "dim"))
        if line and line.cell_len + entry.cell_len + 3 > console.width:
            console.print(line)
            line = Text()
        line.append("   " if line else "").append_text(entry)
    console.print(line)


def _table(report: Report, width: int, top: int) -> Table:
    """The groups, the dearest first, with trend and share; the token figures where there is room."""
    wide, total, days = width >= _WIDE, report.total, report.days
    trends = len(days) > 1 and not {"day", "hour"} & set(report.by)
    table = Table(
        box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False, expand=True, header_style="dim", footer_style="bold"
    )
    title = ", ".join(name.replace("_", " ") for name in report.by)
    table.add_column(title[:1].upper() + title[1:], "Total", overflow="ellipsis", no_wrap=True, ratio=1, min_width=18)
    if trends:
        table.add_column("Trend", no_wrap=True)
    table.add_column("Calls", f"{total.calls:,}", justify="right", no_wrap=True)
    if wide:
        table.add_column("Errors", f"{total.errors:,}", justify="right", no_wrap=True)
        table.add_column("Input", compact(total.input), justify="right", no_wrap=True)
        table.add_column("Cached", compact(total.cache_read), justify="right", no_wrap=True)
        table.add_column("Output", compact(total.output), justify="right", no_wrap=True)
    table.add_column("Cost", cost(total), justify="right", style="bold", no_wrap=True)
    table.add_column("Share", "100.0%" if total.usd else "", justify="right", no_wrap=True)
    names = shown(report.groups, report.by)
    listed = report.groups[: top or None]
    for group in listed:
        table.add_row(*_row(names[group.values], group.sum, report, wide, trends))
    if rest := report.groups[len(listed) :]:
        together = Sum()
        for group in rest:
            together.take(group.sum)
        table.add_row(*_row(f"{len(rest)} more (--top 0)", together, report, wide, trends), style="dim")
    return table


def _row(name: str, group: Sum, report: Report, wide: bool, trends: bool) -> list[Text | str]:
    cells: list[Text | str] = [Text(name)]
    if trends:
        cells.append(_trend(group, report.days, 16 if wide else 14))
    cells.append(f"{group.calls:,}")
    if wide:
        cells += [f"{group.errors:,}", compact(group.input), compact(group.cache_read), compact(group.output)]
    return [*cells, cost(group), _share(group.usd or Decimal(0), report, wide)]


def _trend(group: Sum, days: Sequence[date], room: int) -> Text:
    return Text(sparkline(_columns([group], _spans(days, room))), style=QUIET)


def _share(usd: Decimal, report: Report, wide: bool) -> Text | str:
    if not report.total.usd or not usd:
        return ""
    share, room = usd / report.total.usd, 12 if wide else 8
    return Text.assemble((f"{bar(share, room)} ", QUIET), f"{percent(share):>6}")
