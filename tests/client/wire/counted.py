"""A server with a tool of every kind of annotation, which counts its calls; in the test's loop, or killable.

As a program it serves on a socket that it is handed: `python -m tests.client.wire.counted FD FILE STORE`.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp_types import ToolAnnotations

from tests.fakes.processes import free_port
from tests.hosting.serving import _say
from tollbook.hosting import host
from tollbook.hosting.stores import open_store

REPEATABLE: Final = ("reads", "repeats")
"""What may be called twice."""
ONLY_ONCE: Final = ("once", "destroys", "adds")
_KINDS: Final = {
    "reads": ToolAnnotations(read_only_hint=True),
    "repeats": ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True),
    "once": None,
    "destroys": ToolAnnotations(destructive_hint=True),
    "adds": ToolAnnotations(destructive_hint=False, read_only_hint=False, idempotent_hint=False),
}
STEPS: Final = 3


def counted_server(count: Callable[[str], int]) -> MCPServer[Any]:
    """Its tools say how far they are, in letters of several bytes too.

    Args:
        count: is told the name of a tool that is called, and gives how often it has been.
    """
    server: MCPServer[Any] = MCPServer("counted", version="1", log_level="ERROR")

    def add(name: str) -> None:
        @server.tool(name=name, annotations=_KINDS[name])
        async def tool(ctx: Context[Any, Any], waits: bool = False) -> str:
            number = count(name)
            for step in range(1, STEPS + 1):
                await ctx.report_progress(step, STEPS, f"schön {step} €")
                await _say(ctx, "info", f"Schritt {step} 🐝")
            if waits and number == 1:
                await asyncio.Event().wait()
            return f"call {number}"

    for name in _KINDS:
        add(name)
    return server


WHAT_IT_SAYS: Final = [
    each
    for step in range(1, STEPS + 1)
    for each in (("progress", step, STEPS, f"schön {step} €"), ("log", "info", f"Schritt {step} 🐝"))
]
"""As a host sees it."""


class Calls(Counter[str]):
    """How often each tool was called, where it runs in the test's own process."""

    def __call__(self, name: str) -> int:
        self[name] += 1
        return self[name]


class Killable:
    """That server in a process of its own, which begins anew at the same address.

    Attributes:
        url: of its endpoint.
        process: the last one.
    """

    def __init__(self, folder: Path, store: str = "memory") -> None:
        self._folder, self._store = folder, store
        self.calls_file = folder / "calls"
        self.calls_file.touch()
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}/mcp"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def calls(self) -> list[str]:
        """The tools that were called, over all processes."""
        return self.calls_file.read_text().split()

    def start(self) -> None:
        """Connections are taken from now on, and wait for the process."""
        with (
            (self._folder / "instance-counted.log").open("ab") as log,
            socket.create_server(("127.0.0.1", self._port)) as listening,
        ):
            fd = listening.fileno()
            command = [sys.executable, "-m", "tests.client.wire.counted", str(fd), str(self.calls_file), self._store]
            self.process = subprocess.Popen(
                command, pass_fds=[fd], stdout=log, stderr=log, cwd=Path(__file__).parents[3], env=dict(os.environ)
            )

    def kill(self) -> None:
        """As if its machine went away: `kill -9`."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def _count_in(file: Path) -> Callable[[str], int]:
    def count(name: str) -> int:
        with file.open("a") as calls:
            calls.write(f"{name}\n")
        return file.read_text().split().count(name)

    return count


if __name__ == "__main__":
    fd, counts, where = sys.argv[1:]
    app = host(counted_server(_count_in(Path(counts))), open_store(where))
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[socket.socket(fileno=int(fd))])
