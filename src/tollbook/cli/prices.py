"""`tollbook prices`."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from tollbook.core.text import json_safe, printable


def prices(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = "What a token costs, since when, and who says so."
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
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
