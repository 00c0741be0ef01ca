"""`tollbook doctor`."""

import argparse
import sys
from typing import Final

from tollbook.cli.flags import add_setting
from tollbook.client.settings import CONNECTION_SETTINGS
from tollbook.core.errors import UsageError
from tollbook.core.settings import seconds, words

_PATIENCE: Final = "10"
_RETENTION: Final = "90"


def doctor(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = (
        "Looks at the whole chain, from AWS's logs to a host's login, and says what is wrong and what to do: the "
        "account, the server at URL, or both of what STACK deployed. Without either, the account alone."
    )
    parser.epilog = (
        "Exit codes: 0 nothing is wrong, 1 something is, 2 asked wrongly, 3 a login is needed to see the rest, "
        "130 interrupted."
    )
    parser.set_defaults(do=_doctor)
    parser.add_argument(
        "target",
        nargs="?",
        default="",
        metavar="URL|STACK",
        help="the server's address, such as http://127.0.0.1:3000/mcp, or a stack of 'tollbook deploy'",
    )
    parser.add_argument("--json", action="store_true", dest="is_json", help="print one JSON document")
    aws = parser.add_argument_group("AWS; with a URL it is looked at only if one of these is given")
    aws.add_argument("--source", default="", metavar="SOURCE", help="what tollbook reads, as for 'tollbook iam'")
    aws.add_argument(
        "--region",
        default="",
        metavar="REGIONS",
        help="whose logging is looked at, separated by commas; a STACK is in the first; where that is the only one, "
        "the regions that it reads count (default: for a STACK what ./tollbook.toml says, else the profile's)",
    )
    aws.add_argument(
        "--profile",
        default="",
        metavar="NAME",
        help="of AWS's settings on this machine (default: for a STACK what ./tollbook.toml says)",
    )
    logging = parser.add_argument_group("model invocation logging")
    logging.add_argument(
        "--switch-on-logging",
        action="store_true",
        help="switch it on where it is off: a log group, a role that may write to it, and Bedrock's setting, without "
        "prompts and answers; what is set already is never changed",
    )
    logging.add_argument(
        "--retention-days",
        default=_RETENTION,
        metavar="N",
        help=f"how long a log group that is made keeps its records (default: {_RETENTION})",
    )
    logging.add_argument("--yes", action="store_true", dest="is_agreed", help="do not ask before")
    connection = parser.add_argument_group("the server")
    connection.add_argument(
        "--header", action="append", default=[], metavar="NAME:VALUE", help="send this too; may be given several times"
    )
    connection.add_argument(
        "--patience",
        default=_PATIENCE,
        metavar="S",
        help=f"how long each answer of it may take (default: {_PATIENCE})",
    )
    for setting in CONNECTION_SETTINGS:
        if setting.name in ("token", "auth_method"):
            add_setting(connection, setting)


def _doctor(options: argparse.Namespace) -> int:
    import os

    from tollbook.app.doctor import Wish
    from tollbook.app.doctor import doctor as look
    from tollbook.client.settings import read_client_settings
    from tollbook.client.targets import header_of

    flags = {name: getattr(options, name, None) for name in ("token", "auth_method")}
    if flags["token"] == "-":  # noqa: S105 - it stands for the standard input
        flags["token"] = sys.stdin.readline().strip()
    settings = read_client_settings(os.environ, flags)
    wish = Wish(
        target=options.target,
        source=options.source,
        regions=words(options.region),
        profile=options.profile,
        switches_on=options.switch_on_logging,
        retention_days=_read("--retention-days", options.retention_days),
        is_agreed=options.is_agreed,
        is_json=options.is_json,
        patience_s=_patience(options.patience),
        headers=dict(map(header_of, options.header)),
    )
    return look(wish, settings)


def _read(flag: str, text: str) -> int:
    from tollbook.doctor.switch_on import read_retention

    try:
        return read_retention(text)
    except ValueError as fault:
        raise UsageError(f"{flag}: {fault}") from fault


def _patience(text: str) -> float:
    try:
        return seconds(0.1, 300)(text)
    except ValueError as fault:
        raise UsageError(f"--patience: {fault}") from fault
