"""A server with whatever a script may meet, and the program run against it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, TextContent

from tests.hosting.serving import PATIENCE_S, SetClock, Stage, serving
from tollbook.core.caller import Caller
from tollbook.hosting import HostSettings, host
from tollbook.hosting.answers import Refusal, Scope
from tollbook.hosting.app import anyone
from tollbook.hosting.stores.memory import MemoryStore

EVIL: Final = "red \x1b[31m, title \x1b]0;x\x07, bidi \u202e, end\ttab"
PICTURE: Final = bytes(range(256))
CREDENTIAL: Final = "canary-0f2b77"


class Ran(NamedTuple):
    """What a run of the program came to."""

    code: int
    out: str
    err: str


def shop(stage: Stage) -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer("shop", version="7", log_level="ERROR")

    @server.tool()
    async def echo(text: str, times: int = 1, tags: list[str] | None = None) -> str:
        """Says it again.

        And more.
        """
        return " ".join([text] * times + (tags or []))

    @server.tool()
    async def evil() -> str:
        return f"{EVIL}\nsecond line"

    @server.tool()
    async def figures() -> dict[str, Any]:
        return {"stars": 10**24, "text": EVIL}

    @server.tool()
    async def fails() -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text="No stock.")], is_error=True)

    @server.tool()
    async def waits(ctx: Context[Any, Any]) -> str:
        await ctx.report_progress(1, 4, "begun")
        await stage.wait()
        return "done"

    @server.tool()
    async def sent(ctx: Context[Any, Any]) -> str:
        """The headers of the request that are of interest."""
        headers = ctx.headers or {}
        return f"{headers.get('x-team')} {headers.get('authorization')}"

    @server.resource("shop://list", mime_type="text/csv")
    async def listed() -> str:
        return "a,b\n1,2\n"

    @server.resource("shop://picture", mime_type="image/png")
    async def picture() -> bytes:
        return PICTURE

    @server.resource("shop://items/{number}")
    async def item(number: str) -> str:
        return f"item {number}"

    @server.prompt()
    async def hail(name: str, tone: str = "kind") -> str:
        """Hails someone."""
        return f"Hail {name}, {tone}ly."

    return server


@asynccontextmanager
async def open_shop(
    stage: Stage, settings: HostSettings | None = None, *, needs_token: bool = False
) -> AsyncIterator[str]:
    """The shop's URL."""
    clock = SetClock()
    authenticate = _known if needs_token else anyone
    async with serving(host(shop(stage), MemoryStore(clock), settings, authenticate=authenticate, clock=clock)) as url:
        try:
            yield url
        finally:
            stage.go.set()


async def _known(scope: Scope) -> Caller:
    if (b"authorization", f"Bearer {CREDENTIAL}".encode()) in scope["headers"]:
        return Caller("ann")
    raise Refusal(401, "A token is needed.", headers=((b"www-authenticate", b"Bearer"),))


class Program:
    """`tollbook WORDS`, as a script runs it: nothing of its streams is a terminal.

    Args:
        folder: where it runs; what the user keeps lies there too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def __call__(self, *words: str, stdin: bytes = b"", **variables: str) -> Ran:
        process = await self.start(*words, **variables)
        return await self.end(process, stdin)

    async def start(self, *words: str, **variables: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tollbook", *words),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            cwd=self.folder,
            env=environment(self.folder, variables),
        )

    async def end(self, process: asyncio.subprocess.Process, stdin: bytes = b"") -> Ran:
        async with asyncio.timeout(6 * PATIENCE_S):
            out, err = await process.communicate(stdin)
        return Ran(process.returncode or 0, out.decode("utf-8", "surrogateescape"), err.decode())


def environment(folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """What the program has around it: nothing that this machine's user has set or kept."""
    ours = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH") or "COVERAGE" in name}
    return {**ours, "HOME": str(folder), "XDG_DATA_HOME": str(folder / "data"), "TERM": "xterm-256color", **variables}
