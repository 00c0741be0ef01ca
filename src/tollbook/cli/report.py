"""`tollbook report`."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from tollbook.cli import asking
from tollbook.core.errors import UsageError
from tollbook.spend.query import DIMENSIONS, Query, dimensions_of

if TYPE_CHECKING:
    from tollbook.spend.report import Report

_FORMATS = ("table", "text", "json", "csv", "markdown", "html")
_TEXT_NEEDS = ("day", "region", "model", "principal")
_BY = "principal"
_PAGE_DAYS = 30


def report(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = "Reads Amazon Bedrock model invocation logs and says who spent what, in dollars."
    parser.epilog = (
        "Without --days, --since or --until, files are reported whole, and logs on AWS for today, as html for 30 days. "
        "Days that are over are read once: what was kept of them answers later questions."
    )
    parser.set_defaults(do=_report)
    asking.add_source(parser)
    when = parser.add_argument_group("which time")
    asking.add_days(when, "today and the N-1 whole days before it")
    asking.add_span(when)
    asking.add_now(when)
    what = parser.add_argument_group("what to show")
    what.add_argument(
        "--by",
        metavar="DIMENSIONS",
        help=f"what to group by, separated by commas: {', '.join(DIMENSIONS)}, tag:KEY (default: {_BY})",
    )
    what.add_argument(
        "--format",
        choices=_FORMATS,
        default="table",
        help="how to print it; html is a page for a browser, with charts (default: table)",
    )
    what.add_argument(
        "--top", type=_count, default=20, metavar="N", help="groups the table lists, 0 for all (default: 20)"
    )
    asking.add_meaning(parser)
    asking.add_aws(parser)


def _report(options: argparse.Namespace) -> int:
    if options.format == "html":
        return _page(options)
    by = dimensions_of(_BY if options.by is None else options.by)
    also = _TEXT_NEEDS if options.format == "text" else ("day", "model")
    logs, span = asking.logs_of(options), asking.span_of(options)
    if not logs.are_files:
        span = span.or_days(1)
    window = span.window()
    if span.days is None and span.now is not None:
        raise UsageError("--now is the moment that --days counts back from. Give --days too, or leave it out.")
    with asking.reading(logs) as read:
        answer = read(Query(window, tuple(dict.fromkeys((*by, *also)))), by)
    _print(answer, options.format, options.top)
    if options.format == "csv":
        _print_beside(answer)
    return 1 if answer.unread else 0


def _page(options: argparse.Namespace) -> int:
    """Writes the dashboard."""
    if options.by is not None:
        raise UsageError("--format html is a page that shows days, models and principals at once. Leave out --by.")
    if sys.stdout.isatty():
        raise UsageError("Send it to a file: tollbook report … --format html > spend.html")
    from tollbook.app.answers import dashboard
    from tollbook.spend.render.dashboard.page import html_of
    from tollbook.spend.render.words import faults

    logs, span = asking.logs_of(options), asking.span_of(options)
    if not logs.are_files:
        span = span.or_days(_PAGE_DAYS)
    with asking.reading(logs) as read:
        answer = dashboard(read, span)
    sys.stdout.write(html_of(answer))
    for line in faults(answer.basis):
        print(line, file=sys.stderr)
    return 1 if answer.basis.unread else 0


def _print_beside(report: "Report") -> None:
    """What a table of figures cannot say goes beside it."""
    from tollbook.spend.render.words import faults, reasons

    for line in (*faults(report), *reasons(report), *report.notes):
        print(line, file=sys.stderr)


def _print(report: "Report", form: str, top: int) -> None:
    if form == "table":
        from tollbook.spend.render.terminal import show

        show(report, asking.console(), top)
        return
    from tollbook.spend.render import machine, plain

    forms: dict[str, Callable[[Report], str]] = {
        "json": machine.as_json,
        "csv": machine.as_csv,
        "text": plain.as_text,
        "markdown": plain.as_markdown,
    }
    sys.stdout.write(forms[form](report))


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number from 0 on is wanted, not '{text}'")
    return int(text)
