"""`tollbook report`."""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tollbook.app.aws_settings import AWS_SETTINGS
from tollbook.cli.flags import add_setting
from tollbook.core.errors import UsageError
from tollbook.sources.named import USUAL, one_kind
from tollbook.spend.query import DIMENSIONS, dimensions_of

if TYPE_CHECKING:
    from tollbook.spend.report import Report

_FORMATS = ("table", "text", "json", "csv", "markdown")
_TEXT_NEEDS = ("day", "region", "model", "principal")


def report(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = "Reads Amazon Bedrock model invocation logs and says who spent what, in dollars."
    parser.epilog = (
        "Without --days, --since or --until, files are reported whole, and logs on AWS for today. Days that are over "
        "are read once: what was kept of them answers later questions."
    )
    parser.set_defaults(do=_report)
    parser.add_argument(
        "source",
        nargs="*",
        metavar="SOURCE",
        help="a file, a folder, a glob, or - for standard input: JSON lines, gzip, an S3 delivery tree, or what "
        "'aws logs filter-log-events' prints. Or on AWS: cloudwatch:LOG_GROUP (events: and insights: name the way to "
        f"read it), s3://BUCKET/PREFIX, athena:DATABASE.TABLE (default: {USUAL})",
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
    aws = parser.add_argument_group("logs on AWS")
    for setting in AWS_SETTINGS:
        is_regions = setting.name == "regions"
        add_setting(aws, msgspec.structs.replace(setting, other_flags=("--region",)) if is_regions else setting)
    aws.add_argument("--account", default="", metavar="ACCOUNT", help="only this one, of twelve digits")
    aws.add_argument("--fresh", action="store_true", help="read kept days anew")
    aws.add_argument("--yes", action="store_true", help="go on whatever it costs")


def _report(options: argparse.Namespace) -> int:
    from tollbook.app.reports import FromAws, Span, report, report_from_aws

    by = dimensions_of(options.by)
    also = _TEXT_NEEDS if options.format == "text" else ("day", "model")
    span = Span(options.days, options.since, options.until, options.tz, options.now)
    sources = one_kind(options.source or [USUAL])
    with _progress() as progress:
        if sources[0].kind == "files":
            if options.account or options.fresh:
                raise UsageError("--account and --fresh are for logs on AWS. Of files, ask --by account.")
            answer = report(
                options.source, span, by, also, price_file=options.prices, names_file=options.names, progress=progress
            )
        else:
            given = {setting.name: getattr(options, setting.name) for setting in AWS_SETTINGS}
            answer = report_from_aws(
                sources,
                span,
                by,
                also,
                given=FromAws(given, options.account, options.fresh, options.yes),
                environment=os.environ,
                price_file=options.prices,
                names_file=options.names,
                progress=progress,
                agree=_agree,
            )
    _print(answer, options.format, options.top)
    if options.format == "csv":
        _print_beside(answer)
    return 1 if answer.unread else 0


def _agree(what: str) -> bool:
    """Asks at a terminal; elsewhere nobody agrees."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"Reading takes {what}. Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


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
