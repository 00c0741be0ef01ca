"""Commands from a pipe or a file, a line each: no prompt, nobody to ask."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from typing import Final

from tollbook.client.protocol import Answer, Elicitation
from tollbook.client.repl.commands import run
from tollbook.client.repl.conversation import Conversation
from tollbook.client.repl.history import KeptLines
from tollbook.client.repl.setup import Setup
from tollbook.client.screen import Screen

_CHUNK: Final = 1 << 16


async def obey(setup: Setup, screen: Screen, clock: Callable[[], float], commands: int) -> int:
    """Does each line until they end or `quit` comes; gives the exit code of the first that failed, or 0."""
    talk = Conversation(setup, screen, clock, _Script(), KeptLines(setup.history))
    first_failure = 0
    try:
        async for line in _lines(commands):
            if not line.lstrip().startswith("#"):
                code = await run(talk, line)
                first_failure = first_failure or code
            if talk.is_over:
                break
    finally:
        await talk.disconnect()
    return first_failure


class _Script:
    """A script cannot be asked."""

    is_there = False

    async def agrees(self, question: str) -> bool:  # noqa: ARG002
        return False

    async def elicit(self, asked: Elicitation, who: str) -> Answer:  # noqa: ARG002
        return Answer(action="decline")


async def _lines(descriptor: int) -> AsyncIterator[str]:
    """The lines of a file, while the event loop runs on.

    A thread reads them, since not everything that can be read can be waited for: a plain file or /dev/null cannot. It
    is left behind where `quit` comes before the end.
    """
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes] = asyncio.Queue()

    def read() -> None:
        chunk = b"more"
        while chunk:
            try:
                chunk = os.read(descriptor, _CHUNK)
            except OSError:
                chunk = b""
            try:
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)
            except RuntimeError:  # the loop is closed: no one waits any more
                return

    threading.Thread(target=read, daemon=True).start()
    rest = b""
    while chunk := await chunks.get():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").rstrip("\r")
    if rest:
        yield rest.decode(errors="replace")
