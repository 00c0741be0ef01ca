"""The command line: words and flags only. A family of commands has a module, which is loaded when one is asked for."""

import argparse
import gc
import io
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final, NoReturn

from tollbook import __version__
from tollbook.cli.flags import INTERRUPTED
from tollbook.core.errors import TollbookError
from tollbook.core.text import printable

_COMMANDS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "what was spent": {
        "report": ("report", "reads Bedrock invocation logs and says who spent what"),
        "prices": ("prices", "shows the price book, or reads AWS's price list into it"),
        "athena": ("athena", "prints what makes a table of logs in S3, for Athena"),
        "iam": ("iam", "prints the IAM policy that reading a source needs, or the server for what it keeps"),
    },
    "what it means": {
        "explain": ("answers", "says why days cost more or less than others"),
        "forecast": ("answers", "says where the month ends"),
        "anomalies": ("answers", "finds days and hours that cost far more than usual"),
        "what-if": ("answers", "says what the same tokens would have cost elsewhere"),
        "budget": ("answers", "says how much of the budgets is spent; for schedulers, too"),
        "hygiene": ("answers", "says what to see to: untagged calls, root, API keys, prompts in the logs"),
        "reconcile": ("answers", "puts the estimate beside what AWS billed"),
    },
    "a client for any MCP server": {
        "connect": ("client", "talks with a server at a prompt, or line by line"),
        "call": ("client", "calls a tool"),
        "tools": ("client", "lists tools, or describes one"),
        "resources": ("client", "lists resources, or prints one"),
        "prompts": ("client", "lists prompts, or prints one"),
        "info": ("client", "says who a server is and what it can do"),
        "login": ("client", "logs in at a server and keeps the login"),
        "logout": ("client", "ends a login"),
        "status": ("client", "says who is logged in where, and for how long"),
    },
    "a server": {
        "serve": ("serve", "answers MCP clients: Claude, Cursor, VS Code and others"),
        "keys": ("keys", "makes, lists and revokes API keys"),
    },
    "a server on AWS": {
        "deploy": ("deploy", "makes or changes all that it needs there; shows the plan first"),
        "destroy": ("deploy", "removes all of it again"),
        "doctor": ("doctor", "finds what is wrong, along the whole chain, and says what to do"),
    },
}
"""By group: a command's name, its module, in which a function of that name (`what_if` of `what-if`) says what it takes,
and what it does."""


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
        code = INTERRUPTED
    except Exception as fault:  # no traceback reaches a user
        what = printable(f"{type(fault).__name__}: {fault} ({_place_of(fault)})")
        print(
            f"tollbook: This is a fault of tollbook's own. Please report it, with what you typed: {what}",
            file=sys.stderr,
        )
        code = 1
    gc.freeze()  # all that is left goes with the process; the last look for cycles would cost 20 ms
    sys.exit(code)


def main(words: Sequence[str]) -> int:
    """Does what `words` say; gives the exit code.

    0: fine. 1: the work failed. 2: it was asked wrongly. 3: a login is needed. 5: a tool answered with an error.
    """
    options = _options(words)
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


def _options(words: Sequence[str]) -> argparse.Namespace:
    """What `words` ask for. Leaves if they ask for help, or for nothing that there is."""
    name = words[0] if words else ""
    module = next((group[name][0] for group in _COMMANDS.values() if name in group), None)
    if module is None:
        program = _program()
        program.parse_args(words)
        program.error("a command comes first; write its options after it")
    parser = argparse.ArgumentParser(f"tollbook {name}", allow_abbrev=False)
    getattr(import_module(f"{__name__}.{module}"), name.replace("-", "_"))(parser)
    if parser.get_default("do") is None:  # it has commands of its own, between whose words options cannot stand
        return parser.parse_args(words[1:])
    return parser.parse_intermixed_args(words[1:])


def _program() -> argparse.ArgumentParser:
    """The program without a command: says which there are."""
    parser = argparse.ArgumentParser(
        "tollbook",
        usage="tollbook [-h] [--version] COMMAND ...",
        description="What Amazon Bedrock cost, and who spent it: ask on the command line or from any MCP client.",
        epilog="'tollbook COMMAND --help' says what a command takes.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tollbook {__version__}")
    names = [name for group in _COMMANDS.values() for name in group]
    parser.add_argument("command", metavar="COMMAND", choices=names, help=argparse.SUPPRESS)
    width = max(map(len, names))
    for title, group in _COMMANDS.items():
        parser.add_argument_group(title, "\n".join(f"{name:{width}}  {what}" for name, (_, what) in group.items()))
    return parser


def _place_of(fault: Exception) -> str:
    """Where in the code it was raised."""
    import traceback

    where = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{os.path.basename(where.filename)}:{where.lineno}"
