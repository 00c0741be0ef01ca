"""`tollbook connect`: a prompt that talks to a server, or its commands line by line from a pipe."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from tollbook.client.repl.logins import AuthMethod, Logins
from tollbook.client.repl.setup import Setup

if TYPE_CHECKING:
    from tollbook.client.screen import Screen

__all__ = ["AuthMethod", "Logins", "Setup", "connect"]


def connect(setup: Setup, screen: "Screen", clock: Callable[[], float], commands: int | None = None) -> int:
    """Talks until the user leaves.

    Args:
        clock: seconds that never go back, as time.monotonic gives them.
        commands: the file descriptor that holds commands, a line each; None: a person types them at a terminal, which
            is the standard input and output.

    Returns: the exit code: 0 at a terminal; else that of the first command that failed, or 0.
    """
    if commands is None:
        from tollbook.client.repl.prompt import converse

        return asyncio.run(converse(setup, screen, clock))
    from tollbook.client.repl.piped import obey

    return asyncio.run(obey(setup, screen, clock, commands))
