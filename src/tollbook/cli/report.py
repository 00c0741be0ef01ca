"""`tollbook report`."""

import argparse
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from tollbook.spend.query import DIMENSIONS, dimensions_of

if TYPE_CHECKING:
    from tollbook.spend.report import Report

_FORMATS = ("table", "text", "json", "csv", "markdown")
_TEXT_NEEDS = ("day", "region", "model", "principal")


def report(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = "Reads Amazon Bedrock model invocation logs and says who spent what, in dollars."
    parser.epilog = "Without --days, --since or --until, files are reported whole."
    parser.set_defaults(do=_report)
    parser.add_argument(
        "source",
        nargs="+",
        metavar="SOURCE",
        help="a file, a folder, a glob, or - for standard input: JSON lines, gzip, an S3 delivery tree, or what "
        "'aws logs filter-log-events' prints",
    )
    when = parser.add_argument_group("which time")
    when.add_argument("--days", type=int, metavar="N", help="today and the N-1 whole days before it")
    when.add_argument("--since", metavar="TIME", help="from this date or instant on (2026-11-20, 2026-11-20T09:00Z)")
    when.add_argument("--until", metavar="TIME", help="up to the end of this date, or to just before this instant")
    when.add_argument("--now", metavar="TIME", help="the moment that --days counts back from (default: now)")
    when.add_argument("--tz", default="UTC", metavar="ZONE", help="whose days and hours (default: UTC)")
    what = parser.add_argument_group("what to show")
    what.add_argument(
        "--by",
        default="principal",
        metavar="DIMENSIONS",
        help=f"what to group by, separated by commas: {', '.join(DIMENSIONS)}, tag:KEY (default: principal)",
    )
    what.add_argument("--format", choices=_FORMATS, default="table", help="how to print it (default: table)")
    what.add_argument(
        "--top", type=_count, default=20, metavar="N", help="groups the table lists, 0 for all (default: 20)"
    )
    money = parser.add_argument_group("what it means")
    money.add_argument(
        "--prices", type=Path, metavar="FILE", help="rates of your own, which go before the price book's"
    )
    money.add_argument("--names", type=Path, metavar="FILE", help="which models opaque ids stand for")


def _report(options: argparse.Namespace) -> int:
    from tollbook.app.reports import Span, report

    by = dimensions_of(options.by)
    also = _TEXT_NEEDS if options.format == "text" else ("day", "model")
    span = Span(options.days, options.since, options.until, options.tz, options.now)
    with _progress() as progress:
        answer = report(
            options.source, span, by, also, price_file=options.prices, names_file=options.names, progress=progress
        )
    _print(answer, options.format, options.top)
    if options.format == "csv":
        _print_beside(answer)
    return 0


def _print_beside(report: "Report") -> None:
    """What a table of figures cannot say goes beside it."""
    from tollbook.spend.render.words import faults, reasons

    for line in (*faults(report), *reasons(report), *report.notes):
        print(line, file=sys.stderr)


def _print(report: "Report", form: str, top: int) -> None:
    if form == "table":
        from rich.console import Console

        from tollbook.spend.render.terminal import show

        show(report, Console(highlight=False, markup=False, emoji=False), top)
        return
    from tollbook.spend.render import machine, plain

    forms: dict[str, Callable[[Report], str]] = {
        "json": machine.as_json,
        "csv": machine.as_csv,
        "text": plain.as_text,
        "markdown": plain.as_markdown,
    }
    sys.stdout.write(forms[form](report))


def _progress() -> AbstractContextManager[Callable[[int, int], None]]:
    if not sys.stderr.isatty():
        return nullcontext(lambda _done, _total: None)
    from tollbook.progress import reading

    return reading()


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number from 0 on is wanted, not '{text}'")
    return int(text)
