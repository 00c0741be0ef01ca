"""The command line: words and flags only."""

import argparse
import gc
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tollbook import __version__
from tollbook.core.errors import TollbookError
from tollbook.core.text import json_safe, printable
from tollbook.spend.query import DIMENSIONS, dimensions_of

if TYPE_CHECKING:
    from tollbook.core.settings import Setting
    from tollbook.spend.report import Report

_FORMATS = ("table", "text", "json", "csv", "markdown")
_TEXT_NEEDS = ("day", "region", "model", "principal")
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def run() -> NoReturn:
    """The program `tollbook`."""
    gc.disable()  # a short life without cycles; looking for them would cost a third of it
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal's encoding lacks is shown as its code
            stream.reconfigure(errors="backslashreplace")
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has gone; Python would complain once more when it closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except Exception as fault:  # no traceback reaches a user
        where = traceback.extract_tb(fault.__traceback__)[-1]
        what = printable(f"{type(fault).__name__}: {fault} ({Path(where.filename).name}:{where.lineno})")
        print(
            f"tollbook: This is a fault of tollbook's own. Please report it, with what you typed: {what}",
            file=sys.stderr,
        )
        code = 1
    sys.exit(code)


def main(words: Sequence[str]) -> int:
    """Does what `words` say; gives the exit code: 0 fine, 1 the work failed, 2 it was asked wrongly."""
    options = _parser().parse_args(words)
    try:
        return int(options.do(options))
    except TollbookError as fault:
        print(
            f"tollbook: {printable(fault.message)}",
            *(f"  {printable(line)}" for line in fault.more),
            sep="\n",
            file=sys.stderr,
        )
        return fault.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "tollbook", description="What Amazon Bedrock cost, and who spent it.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"tollbook {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_report(commands)
    _add_prices(commands)
    _add_serve(commands)
    _add_keys(commands)
    return parser


def _add_report(commands: Any) -> None:
    report = commands.add_parser(
        "report",
        help="reads Bedrock invocation logs and says who spent what",
        description="Reads Amazon Bedrock model invocation logs and says who spent what, in dollars.",
        epilog="Without --days, --since or --until, files are reported whole.",
        allow_abbrev=False,
    )
    report.set_defaults(do=_report)
    report.add_argument(
        "source",
        nargs="+",
        metavar="SOURCE",
        help="a file, a folder, a glob, or - for standard input: JSON lines, gzip, an S3 delivery tree, or what "
        "'aws logs filter-log-events' prints",
    )
    when = report.add_argument_group("which time")
    when.add_argument("--days", type=int, metavar="N", help="today and the N-1 whole days before it")
    when.add_argument("--since", metavar="TIME", help="from this date or instant on (2026-11-20, 2026-11-20T09:00Z)")
    when.add_argument("--until", metavar="TIME", help="up to the end of this date, or to just before this instant")
    when.add_argument("--now", metavar="TIME", help="the moment that --days counts back from (default: now)")
    when.add_argument("--tz", default="UTC", metavar="ZONE", help="whose days and hours (default: UTC)")
    what = report.add_argument_group("what to show")
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
    money = report.add_argument_group("what it means")
    money.add_argument(
        "--prices", type=Path, metavar="FILE", help="rates of your own, which go before the price book's"
    )
    money.add_argument("--names", type=Path, metavar="FILE", help="which models opaque ids stand for")


def _add_prices(commands: Any) -> None:
    prices = commands.add_parser(
        "prices",
        help="shows the price book, or reads AWS's price list into it",
        description="What a token costs, since when, and who says so.",
        allow_abbrev=False,
    )
    actions = prices.add_subparsers(title="commands", metavar="COMMAND", required=True)
    shown = actions.add_parser(
        "show",
        help="prints rates and their sources",
        description="Prints the rates on record and the sources they were read in.",
        allow_abbrev=False,
    )
    shown.set_defaults(do=_show_prices)
    shown.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="part of a model's id, in any case; with a prefix such as us.anthropic, what that profile costs",
    )
    shown.add_argument("--prices", type=Path, metavar="FILE", help="rates of your own, which go before the book's")
    shown.add_argument("--json", action="store_true", help="print a price file, which --prices reads")
    refreshed = actions.add_parser(
        "refresh",
        help="reads AWS's price list",
        description="Reads AWS's price list for us-east-1 and keeps what is new in it.",
        allow_abbrev=False,
    )
    refreshed.set_defaults(do=_refresh_prices)
    refreshed.add_argument(
        "--from",
        dest="origin",
        metavar="FILE|URL",
        help="another offer file of AWS, here or at an https address, such as that of another region",
    )


def _add_serve(commands: Any) -> None:
    from tollbook.app.settings import GROUPS

    serve = commands.add_parser(
        "serve",
        help="answers MCP clients: Claude, Cursor, VS Code and others",
        description="Serves the report to MCP clients, over HTTP at http://127.0.0.1:3000/mcp or with --stdio.",
        epilog="Each setting can be given by its variable in the environment too; a flag goes before it.",
        allow_abbrev=False,
    )
    serve.set_defaults(do=_serve)
    serve.add_argument("--stdio", action="store_true", help="serve one local host on the standard input and output")
    for title, settings in GROUPS.items():
        group = serve.add_argument_group(title)
        for setting in settings:
            _add_setting(group, setting)


def _add_setting(parser: argparse._ActionsContainer, setting: "Setting") -> None:
    default = "" if setting.default is None else f" (default: {setting.default})"
    parser.add_argument(
        *setting.flags,
        dest=setting.name,
        metavar=setting.metavar,
        help=f"{setting.what}{default} [{setting.variable}]".replace("%", "%%"),
    )


def _add_keys(commands: Any) -> None:
    from tollbook.app.settings import SETTINGS

    keys = commands.add_parser(
        "keys",
        help="makes, lists and revokes API keys",
        description="API keys, for programs that cannot log in. The server accepts those that lie in its own store.",
        allow_abbrev=False,
    )
    actions = keys.add_subparsers(title="commands", metavar="COMMAND", required=True)
    created = actions.add_parser(
        "create",
        help="makes a key and prints it, this once",
        description="Makes an API key and prints it alone on the standard output. It is shown this once.",
        allow_abbrev=False,
    )
    created.set_defaults(do=_create_key)
    created.add_argument("--owner", required=True, metavar="NAME", help="whose it is; the subject of its requests")
    created.add_argument(
        "--scopes",
        metavar="SCOPES",
        help="what it allows, separated by blanks or commas (default: what the server requires) [OAUTH_REQUIRED_SCOPE]",
    )
    created.add_argument(
        "--expires",
        default="90d",
        metavar="WHEN",
        help="when it ends: 90d, 12h, or its last day in UTC as 2027-01-31; 366d at most (default: 90d)",
    )
    created.add_argument(
        "--claim",
        action="append",
        default=[],
        dest="claims",
        metavar="NAME=VALUE",
        help="what else is said of its owner, such as email=ana@example.com; may be given several times",
    )
    listed = actions.add_parser(
        "list",
        help="lists the keys",
        description="Lists the API keys: also those that were revoked or ended in the last 30 days.",
        allow_abbrev=False,
    )
    listed.set_defaults(do=_list_keys)
    listed.add_argument("--json", action="store_true", help="print a JSON array")
    revoked = actions.add_parser(
        "revoke",
        help="ends a key now",
        description="Revokes an API key: from then on, every server refuses it.",
        allow_abbrev=False,
    )
    revoked.set_defaults(do=_revoke_key)
    revoked.add_argument("key", metavar="ID", help="its id, as 'tollbook keys list' shows it")
    for action in (created, listed, revoked):
        for setting in SETTINGS:
            if setting.name == "session_store":
                _add_setting(action, setting)


def _serve(options: argparse.Namespace) -> int:
    from tollbook.app.serve import serve, serve_stdio
    from tollbook.app.settings import SETTINGS

    flags = {setting.name: getattr(options, setting.name) for setting in SETTINGS}
    (serve_stdio if options.stdio else serve)(flags)
    return 0


def _create_key(options: argparse.Namespace) -> int:
    from tollbook.app.keys import about, create_key, key_store

    store = key_store(options.session_store)
    text, key = create_key(options.owner, options.scopes, options.expires, options.claims, store)
    print(text)
    for line in about(key, store):
        print(line, file=sys.stderr)
    return 0


def _list_keys(options: argparse.Namespace) -> int:
    from tollbook.app.keys import key_store, keys_as_json, list_keys, show_keys

    store, now = key_store(options.session_store), datetime.now(UTC).timestamp()
    keys = list_keys(store)
    if options.json:
        sys.stdout.write(keys_as_json(keys, now))
    elif keys:
        from rich.console import Console

        show_keys(keys, now, Console(highlight=False, markup=False, emoji=False))
    else:
        print(f"No API key lies in {printable(store)}. 'tollbook keys create --owner NAME --scopes SCOPES' makes one.")
    return 0


def _revoke_key(options: argparse.Namespace) -> int:
    from tollbook.app.keys import key_store, revoke_key

    key = revoke_key(options.key, key_store(options.session_store))
    done = "was revoked before" if key.revoked is not None else "is revoked: no server with this store accepts it now"
    print(f"The API key {key.id} of {printable(key.owner)} {done}.")
    return 0


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


def _show_prices(options: argparse.Namespace) -> int:
    from tollbook.app.price_list import prices_of

    rates, notes = prices_of(options.model, options.prices)
    if options.json:
        from tollbook.spend.prices.file import written

        sys.stdout.write(json_safe(written(rates).decode()))
        return 0
    from rich.console import Console

    from tollbook.spend.render.price_table import show_prices

    show_prices(rates, notes, Console(highlight=False, markup=False, emoji=False))
    return 0


def _refresh_prices(options: argparse.Namespace) -> int:
    from tollbook.app.price_list import refresh_prices
    from tollbook.spend.render.price_table import refreshed

    done = refresh_prices(options.origin, datetime.now(UTC))
    for line in refreshed(done.offers, done.prices):
        print(line)
    if done.prices.begun:
        print(f"New: {done.prices.begun:,}. They were added to {printable(str(done.path))}.")
    else:
        print(f"Nothing is new. {printable(str(done.path))} stays as it was.")
    return 0


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
