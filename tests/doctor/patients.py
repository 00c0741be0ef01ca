"""Servers for the doctor to look at, healthy until a test spoils something, and what he says of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, cast

from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from tests.auth_servers.issuer import SCOPE, Issuer
from tests.fakes.breaking_gateway import BreakingGateway
from tests.hosting.serving import PATIENCE_S, serving
from tollbook.core.caller import Caller
from tollbook.doctor.chain import chain
from tollbook.doctor.finding import Finding
from tollbook.hosting import host
from tollbook.hosting.answers import Exchange, Page, Scope
from tollbook.hosting.app import Host, anyone
from tollbook.hosting.auth.gate import Gate
from tollbook.hosting.auth.settings import auth_settings_from
from tollbook.hosting.stores.memory import MemoryStore

RESOURCE: Final = "/.well-known/oauth-protected-resource"


class Watch:
    """Tells how much time went by: none, but for what a slow tool says that it takes.

    Attributes:
        is_read: is set whenever somebody reads it, as the doctor does when the first word reaches him.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.is_read = asyncio.Event()

    def __call__(self) -> float:
        self.is_read.set()
        return self.now


class Patient(NamedTuple):
    """A server.

    Attributes:
        gateway: what can be spoiled on the way to it.
        issuer: whose tokens it takes.
    """

    url: str
    gateway: BreakingGateway
    issuer: Issuer
    watch: Watch

    @property
    def token(self) -> str:
        """A good one."""
        return self.issuer.token(aud=self.url)

    @property
    def origin(self) -> str:
        return self.url.removesuffix("/mcp")

    async def examined(self, **given: Any) -> list[Finding]:
        return await examined(self.url, **{"elapsed": self.watch, **given})


@asynccontextmanager
async def protected(issuer: Issuer, *, is_open: bool = False, tool: str = "multi-greet") -> AsyncIterator[Patient]:
    """A server that wants a token of `issuer`.

    Args:
        is_open: or none at all.
        tool: the name of its tool, which speaks up two seconds before its result.
    """
    store, watch = MemoryStore(time.time), Watch()
    gates: list[Gate] = []
    pages: dict[str, Page] = {RESOURCE: _nothing_yet}  # known once the address is

    async def authenticate(scope: Scope) -> Caller:
        return await gates[0].authenticate(scope)

    app = host(
        _server(tool, watch, lambda: gateway),
        store,
        authenticate=anyone if is_open else authenticate,
        pages=pages,
        clock=time.time,
    )
    gateway = BreakingGateway(app)
    async with serving(cast(Host, gateway)) as url:
        environment = {"OAUTH_ISSUER": issuer.url, "PUBLIC_URL": url, "OAUTH_REQUIRED_SCOPE": SCOPE}
        gates.append(Gate(auth_settings_from(environment), store, clock=time.time))
        pages.clear()
        pages.update({} if is_open else gates[0].pages)
        yield Patient(url, gateway, issuer, watch)


async def _nothing_yet(exchange: Exchange) -> None:
    raise AssertionError


def _server(tool: str, watch: Watch, gateway: Callable[[], BreakingGateway]) -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer("patient", version="1", log_level="ERROR")

    @server.tool(name=tool)
    async def slow(name: str, ctx: Context[Any, Any]) -> str:
        """Speaks up, goes on once that was heard or held back, and takes two seconds for the rest."""
        watch.is_read.clear()
        await ctx.report_progress(0, 1)
        async with asyncio.timeout(PATIENCE_S):
            waiting = [asyncio.ensure_future(event.wait()) for event in (watch.is_read, gateway().held)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for each in waiting:
                each.cancel()
        watch.now += 2
        return f"Good morning, {name}!"

    return server


async def examined(url: str, **given: Any) -> list[Finding]:
    """All that the doctor finds at `url`."""
    asked: Mapping[str, Any] = {"now": time.time, "elapsed": Watch(), "patience_s": 5.0, **given}
    return [finding async for finding in chain(url, **asked)]


def cause(findings: list[Finding]) -> Finding:
    """What failed first."""
    return next(each for each in findings if each.status == "failed")


def found(findings: list[Finding], check: str) -> Finding:
    return next(each for each in findings if each.check == check)


def statuses(findings: list[Finding], *but: str) -> set[str]:
    return {each.status for each in findings if each.check not in but}
