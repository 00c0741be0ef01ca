"""Words that all have in common who ask about logs: which logs, which time, at which prices."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tollbook.app.aws_settings import AWS_SETTINGS
from tollbook.cli.flags import add_setting
from tollbook.sources.named import USUAL

if TYPE_CHECKING:
    from rich.console import Console

    from tollbook.app.reports import Logs, Read, Span

_NOW = "the moment that --days counts back from (default: now)"


def add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        nargs="*",
        metavar="SOURCE",
        help="a file, a folder, a glob, or - for standard input: JSON lines, gzip, an S3 delivery tree, or what "
        "'aws logs filter-log-events' prints. Or on AWS: cloudwatch:LOG_GROUP (events: and insights: name the way to "
        f"read it), s3://BUCKET/PREFIX, athena:DATABASE.TABLE (default: {USUAL})",
    )


def add_days(when: argparse._ArgumentGroup, what: str) -> None:
    when.add_argument("--days", type=int, metavar="N", help=what)


def add_span(when: argparse._ArgumentGroup) -> None:
    when.add_argument("--since", metavar="TIME", help="from this date or instant on (2026-11-20, 2026-11-20T09:00Z)")
    when.add_argument("--until", metavar="TIME", help="up to the end of this date, or to just before this instant")


def add_now(when: argparse._ArgumentGroup, what: str = _NOW) -> None:
    when.add_argument("--now", metavar="TIME", help=what)
    when.add_argument("--tz", default="UTC", metavar="ZONE", help="whose days and hours (default: UTC)")


def add_meaning(parser: argparse.ArgumentParser) -> None:
    """Prices and names."""
    money = parser.add_argument_group("what it means")
    money.add_argument(
        "--prices", type=Path, metavar="FILE", help="rates of your own, which go before the price book's"
    )
    money.add_argument("--names", type=Path, metavar="FILE", help="which models opaque ids stand for")


def add_aws(parser: argparse.ArgumentParser) -> None:
    aws = parser.add_argument_group("logs on AWS")
    for setting in AWS_SETTINGS:
        is_regions = setting.name == "regions"
        add_setting(aws, msgspec.structs.replace(setting, other_flags=("--region",)) if is_regions else setting)
    aws.add_argument("--account", default="", metavar="ACCOUNT", help="only this one, of twelve digits")
    aws.add_argument("--fresh", action="store_true", help="read kept days anew")
    aws.add_argument("--yes", action="store_true", help="go on whatever it costs")


def span_of(options: argparse.Namespace) -> "Span":
    """The time that `options` ask for; what a command does not take is not asked for."""
    from tollbook.app.reports import Span

    days, since, until = (getattr(options, name, None) for name in ("days", "since", "until"))
    return Span(days, since, until, options.tz, options.now)


def logs_of(options: argparse.Namespace) -> "Logs":
    """The logs that `options` name."""
    from tollbook.app.reports import Logs

    return Logs(
        options.source,
        options.prices,
        options.names,
        {setting.name: getattr(options, setting.name) for setting in AWS_SETTINGS},
        options.account,
        options.fresh,
        options.yes,
    )


@contextmanager
def reading(logs: "Logs") -> "Iterator[Read]":
    """What reads `logs`, with a bar on a terminal for as long as it does."""
    from tollbook.app.reports import report

    with _progress() as progress:
        yield partial(report, logs, environment=os.environ, progress=progress, agree=agree)


def console() -> "Console":
    """The terminal, or whatever standard output is. Nothing in a text is taken for colours, links or faces."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:  # rich would end the program as failed; `cli.run` knows better
            raise BrokenPipeError

    return Output(highlight=False, markup=False, emoji=False)


def agree(what: str) -> bool:
    """Asks at a terminal; elsewhere nobody agrees."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"Reading takes {what}. Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _progress() -> AbstractContextManager[Callable[[int, int], None]]:
    if not sys.stderr.isatty():
        return nullcontext(lambda _done, _total: None)
    from tollbook.progress import reading as bar

    return bar()
