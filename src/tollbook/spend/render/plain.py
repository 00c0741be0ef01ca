"""Text and Markdown: for people, in mails, tickets and models' answers."""

from collections.abc import Iterator
from decimal import Decimal

from tollbook.core.text import printable
from tollbook.spend.render.words import NONE, cost, counted, dollars, faults, percent, period, reasons, total_cost
from tollbook.spend.report import Group, Report

SECTIONS = {"Daily Totals": "day", "Region Summary": "region", "Model Summary": "model", "User Summary": "principal"}


def as_text(report: Report) -> str:
    """Totals, then days, regions, models and users, a line each: a plain layout for mails and tickets."""
    days = f"Past {counted(len(report.days), 'day')}" if report.days else "No days"
    regions = ", ".join(printable(group.values[0] or "") for group in report.grouped(("region",))) or "no region"
    lines = head(report, f"{days} - {regions}")
    for title, dimension in SECTIONS.items():
        lines += ["", f"--- {title} ---", *(line(group) for group in report.grouped((dimension,)))]
    return "\n".join([*lines, "", "--- Notes ---", *remarks(report)]) + "\n"


def shortened(text: str, most: int | None) -> str:
    """`text`, or the beginning of it and `…`: no more than `most` characters."""
    return text if most is None or len(text) <= most else f"{text[: most - 1]}…"


def head(report: Report, asked: str) -> list[str]:
    """The title, with what was `asked`, and the totals."""
    total = report.total
    return [
        f"Bedrock Daily Usage Report ({asked})",
        f"Total Requests: {total.calls}",
        f"Total Input Tokens: {total.input}",
        f"Total Completion Tokens: {total.output}",
        f"Total Tokens: {total.input + total.output}",
        f"Total Cache Read Tokens: {total.cache_read}",
        f"Total Cache Write Tokens: {total.cache_write}",
        f"Total Errors: {total.errors}",
        f"Total Cost: {total_cost(report)}",
        f"Cache Hit Rate: {percent(total.cache_hit_rate or Decimal(0))}",
        f"Cache Saving: {'unpriced' if total.saving is None else dollars(total.saving)}",
    ]


def remarks(report: Report) -> Iterator[str]:
    """What belongs beside the figures."""
    for fault in faults(report):
        yield fault
        if fault.startswith("unpriced"):
            yield from (f"  {reason}" for reason in reasons(report))
    yield from report.notes


def line(group: Group, most: int | None = None) -> str:
    """A group's values, of each no more than `most` characters, and its figures."""
    total, names = group.sum, (NONE if value is None else printable(value) for value in group.values)
    return (
        f"{', '.join(shortened(name, most) for name in names)}: "
        f"Requests={total.calls}, Input={total.input}, Completion={total.output}, Total={total.input + total.output}, "
        f"Cache Read={total.cache_read}, Cache Write={total.cache_write}, Errors={total.errors}, Cost={cost(total)}"
    )


_MEASURES = ("calls", "errors", "input", "output", "cache read", "cache write", "cost", "cache saving")


def as_markdown(report: Report) -> str:
    """A heading, a table of the groups, and the notes as a list."""
    total = report.total
    hit = "" if total.cache_hit_rate is None else f", cache hit rate {percent(total.cache_hit_rate)}"
    lines = [
        f"## Amazon Bedrock spend, {period(report)}",
        "",
        f"**{total_cost(report)}** for {total.calls:,} calls, {total.errors:,} errors{hit}.",
        "",
        f"| {' | '.join((*report.by, *_MEASURES))} | status |",
        f"|{' --- |' * len(report.by)}{' ---: |' * len(_MEASURES)} --- |",
    ]
    for group in report.groups:
        values = [escaped(value) for value in group.values]
        figures = (
            group.sum.calls,
            group.sum.errors,
            group.sum.input,
            group.sum.output,
            group.sum.cache_read,
            group.sum.cache_write,
        )
        saving = "" if group.sum.saving is None else dollars(group.sum.saving)
        status = ", ".join(sorted(group.sum.statuses))
        cells = [*values, *(f"{figure:,}" for figure in figures), cost(group.sum), saving, status]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"- {escaped(line)}" for line in (*faults(report), *reasons(report), *report.notes))]
    return "\n".join(lines) + "\n"


def escaped(value: str | None) -> str:
    """`value` as Markdown shows it letter for letter: nothing in a log field is a link, an image or HTML."""
    text = "(none)" if value is None else printable(value)
    for char in "\\`*_[]<>|!#":
        text = text.replace(char, f"\\{char}")
    return text.replace("&", "&amp;")
