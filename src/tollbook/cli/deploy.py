"""`tollbook deploy` and `tollbook destroy`."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tollbook.app.deployed import EVERY_OPTION, SERVER_GROUPS
from tollbook.deploy.image.engines import ENGINES
from tollbook.deploy.plan.document import defaults
from tollbook.deploy.plan.options import GROUPS, PLACE, TEAM_FILE, YES, Option
from tollbook.deploy.template import template


def deploy(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = (
        "Takes an AWS account from nothing to a server that Claude, Cursor and VS Code can use, or changes the one "
        "that is there. Shows what it would do, and asks before it does anything."
    )
    parser.epilog = (
        "What is not said stays as it is on the running stack. An empty text unsets something: --domain-name ''."
    )
    parser.set_defaults(do=_deploy)
    acting = parser.add_argument_group("how")
    acting.add_argument("--dry-run", action="store_true", help="show what would be done, what it may cost, and stop")
    acting.add_argument(
        "--permissions", action="store_true", help="print the IAM policy that whoever does it needs, and stop"
    )
    acting.add_argument("--yes", action="store_true", help="do not ask")
    acting.add_argument("--no-check", action="store_true", help="do not try the server in the end")
    _add_config(acting)
    acting.add_argument(
        "--engine",
        default="",
        metavar="NAME",
        help=f"what builds the image: {', '.join(ENGINES)} (default: any of them)",
    )
    acting.add_argument("--project", metavar="FOLDER", help="the project of --app, with its lock file (default: here)")
    for title, options in (*GROUPS.items(), *SERVER_GROUPS.items()):
        group = parser.add_argument_group(title)
        for option in options:
            _add(group, option)


def destroy(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = (
        "Removes what 'tollbook deploy' made: the server, its image, and what it keeps. Lists it all, and asks first."
    )
    parser.set_defaults(do=_destroy)
    parser.add_argument(
        "--keep-data", action="store_true", help="leave the table, the bucket, the user pool and the logs"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what there is, and stop")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    _add_config(parser)
    for option in PLACE:
        _add(parser, option)


def _deploy(options: argparse.Namespace) -> int:
    from tollbook.app.deploy import Orders, deploy

    orders = Orders(
        is_dry=options.dry_run,
        is_for_policy=options.permissions,
        agrees=options.yes,
        checks=not options.no_check,
        engine=options.engine,
        project=Path(options.project) if options.project else None,
    )
    return deploy(_said(options, EVERY_OPTION), options.config, orders)


def _destroy(options: argparse.Namespace) -> int:
    from tollbook.app.deploy import destroy

    return destroy(
        _said(options, PLACE),
        options.config,
        keeps_data=options.keep_data,
        is_dry=options.dry_run,
        agrees=options.yes,
    )


def _add_config(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        help=f"a file that says the same for a team (default: ./{TEAM_FILE}, if it is there)",
    )


def _add(parser: argparse._ActionsContainer, option: Option) -> None:
    setting = option.setting
    usual = defaults(template()).get(option.parameter)
    is_said = "(default:" in setting.what
    what = f"{setting.what} (default: {usual})" if usual and not is_said else setting.what
    shape: dict[str, Any] = {"nargs": "?", "const": YES} if option.is_switch else {}
    parser.add_argument(
        *setting.flags, dest=option.name, metavar=setting.metavar, help=what.replace("%", "%%"), **shape
    )


def _said(options: argparse.Namespace, every: Iterable[Option]) -> Mapping[str, str | None]:
    return {option.name: getattr(options, option.name) for option in every}
