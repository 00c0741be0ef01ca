"""`tollbook connect`, `call` and its siblings, `login`, `logout`, `status`."""

import argparse
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tollbook.cli.flags import INTERRUPTED, add_setting
from tollbook.client.settings import CONNECTION_SETTINGS, LOGIN_SETTINGS
from tollbook.core.settings import Setting

if TYPE_CHECKING:
    from tollbook.app.client import Client
    from tollbook.client.connection import Connection
    from tollbook.client.oneshot import Found, Say

_TARGET = (
    "a URL, a name from an mcp.json, or a command that serves on its standard input and output, as "
    "'stdio:npx -y @modelcontextprotocol/server-everything'"
)
_ITS_DEFAULT = " (default: http://127.0.0.1:3000/mcp) [MCP_SERVER_URL]"
_CONFIG = "the mcp.json to look up names in (default: the first of .mcp.json, mcp.json, .vscode/mcp.json and "
_ARGUMENTS = (
    "days=7, several of a name for a list; name:=JSON; all of them as one JSON object; - for such an object on the "
    "standard input"
)
_EXITS = "Exit codes: 0 fine, 1 failed, 2 asked wrongly, 3 a login is needed{}, 130 interrupted."


def call(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = "Calls a tool of an MCP server and prints what it answers."
    parser.epilog = _EXITS.format(", 5 the tool answered with an error")
    parser.add_argument("target", metavar="TARGET", help=_TARGET)
    parser.add_argument("tool", metavar="TOOL", help="its name")
    parser.add_argument("words", nargs="*", metavar="NAME=VALUE", help=_ARGUMENTS)
    _one_shot(parser, _call)


def tools(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = "Lists the tools of an MCP server, or tells all that is known of one."
    _target(parser)
    parser.add_argument("name", nargs="?", metavar="NAME", help="the tool to tell of")
    _one_shot(parser, _tools)


def resources(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = "Lists the resources of an MCP server, or prints what one holds."
    _target(parser)
    parser.add_argument("uri", nargs="?", metavar="URI", help="the resource to read")
    _one_shot(parser, _resources)


def prompts(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = "Lists the prompts of an MCP server, or prints the messages of one."
    _target(parser)
    parser.add_argument("name", nargs="?", metavar="NAME", help="the prompt to get")
    parser.add_argument("words", nargs="*", metavar="NAME=VALUE", help="its arguments, as for 'tollbook call'")
    _one_shot(parser, _prompts)


def info(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = "Says who an MCP server is, what it can do, and which revision of MCP is spoken with it."
    _target(parser)
    _one_shot(parser, _info)


def connect(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = (
        "Talks with an MCP server: at a terminal with a prompt, else the commands are read from the standard input, "
        "a line each. 'help' there says which there are."
    )
    _target(parser)
    parser.add_argument("--verbose", action="store_true", help="show what goes over the wire [MCP_CLIENT_DEBUG]")
    _connection(parser)
    _settings(parser.add_argument_group("how to log in, where that is asked for"), LOGIN_SETTINGS)
    parser.set_defaults(do=_connect)


def login(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = "Logs in at an MCP server, in the browser, and keeps the login for 'call' and 'connect'."
    _target(parser)
    ways = parser.add_argument_group("in another way").add_mutually_exclusive_group()
    ways.add_argument(
        "--paste", action="store_true", help="the browser is on another machine: copy the address that it ends at"
    )
    ways.add_argument(
        "--machine",
        action="store_true",
        help="a program logs in as itself, with --client-id, --issuer, and --client-key or OAUTH_CLIENT_SECRET",
    )
    ways.add_argument("--user", metavar="NAME", help="log in at Cognito with a password, which is asked for")
    _config(parser)
    _settings(parser.add_argument_group("how"), LOGIN_SETTINGS)
    parser.set_defaults(do=_login)


def logout(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = "Takes the login at an MCP server back, and forgets it."
    _target(parser)
    _config(parser)
    parser.set_defaults(do=_logout)


def status(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = (
        "Says who is logged in at an MCP server, with which scopes and for how long; or at all of them."
    )
    parser.add_argument(
        "target", nargs="?", metavar="TARGET", help=f"{_TARGET} (default: all that there is a login at)"
    )
    _config(parser)
    parser.set_defaults(do=_status)


def _target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", metavar="TARGET", help=_TARGET + _ITS_DEFAULT)


def _config(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"{_CONFIG}.cursor/mcp.json that has the name)")


def _settings(parser: argparse._ActionsContainer, settings: Iterable[Setting]) -> None:
    for setting in settings:
        add_setting(parser, setting)


def _connection(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which server, and how")
    _config(group)
    group.add_argument(
        "--header",
        action="append",
        default=[],
        dest="headers",
        metavar="'NAME: VALUE'",
        help="a header to send with every request; may be given several times",
    )
    _settings(group, CONNECTION_SETTINGS)


def _one_shot(parser: argparse.ArgumentParser, do: Callable[[argparse.Namespace], int]) -> None:
    printing = parser.add_argument_group("what is printed")
    printing.add_argument("--json", action="store_true", help="the answer as the server sent it")
    talk = printing.add_mutually_exclusive_group()
    talk.add_argument("--quiet", action="store_true", help="nothing but the answer, and why there is none")
    talk.add_argument(
        "--verbose",
        action="store_true",
        help="also log lines and progress where the standard error is no terminal, and what goes over the wire",
    )
    _connection(parser)
    parser.epilog = parser.epilog or _EXITS.format("")
    parser.set_defaults(do=do)


def _client(options: argparse.Namespace) -> "Client":
    from tollbook.app.client import Client

    names = {setting.name for setting in (*CONNECTION_SETTINGS, *LOGIN_SETTINGS)}
    flags = {name: value for name, value in vars(options).items() if name in names}
    return Client(options.target, flags, headers=getattr(options, "headers", ()), config=options.config)


def _ask(options: argparse.Namespace, what: str, question: "Callable[[Connection, Say], Awaitable[Found]]") -> int:
    from tollbook.app.client import Form, ask

    form = Form(is_json=options.json, is_quiet=options.quiet, is_verbose=options.verbose)
    try:
        return ask(_client(options), what, question, form)
    except KeyboardInterrupt:
        print("tollbook: Interrupted; the server was told.", file=sys.stderr)
        return INTERRUPTED


def _call(options: argparse.Namespace) -> int:
    from tollbook.app.client import stdin_for
    from tollbook.client.oneshot import call

    stdin = stdin_for(options.words)
    return _ask(options, options.tool, lambda server, say: call(server, options.tool, options.words, stdin, say))


def _tools(options: argparse.Namespace) -> int:
    from tollbook.client.oneshot import tools

    return _ask(options, "tools", lambda server, _: tools(server, options.name))


def _resources(options: argparse.Namespace) -> int:
    from tollbook.client.oneshot import resources

    return _ask(options, "resources", lambda server, _: resources(server, options.uri))


def _prompts(options: argparse.Namespace) -> int:
    from tollbook.app.client import stdin_for
    from tollbook.client.oneshot import prompts

    stdin = stdin_for(options.words)
    return _ask(options, "prompts", lambda server, _: prompts(server, options.name, options.words, stdin))


def _info(options: argparse.Namespace) -> int:
    from tollbook.client.oneshot import info

    return _ask(options, "info", lambda server, _: info(server))


def _connect(options: argparse.Namespace) -> int:
    from tollbook.app.client import connect

    return connect(_client(options), is_verbose=options.verbose)


def _login(options: argparse.Namespace) -> int:
    from tollbook.app.client import log_in
    from tollbook.app.logins import Manner

    manner = Manner(user=options.user, is_program=options.machine, pastes=options.paste)
    return log_in(_client(options), manner)


def _logout(options: argparse.Namespace) -> int:
    from tollbook.app.client import log_out

    return log_out(_client(options))


def _status(options: argparse.Namespace) -> int:
    from tollbook.app.client import status

    return status(_client(options))
