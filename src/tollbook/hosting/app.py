"""The ASGI app: what every request passes, in this order.

Host and Origin, the path, authentication, the method, the body and its JSON; then the era that it belongs to.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from tollbook.core import jsonrpc
from tollbook.core.caller import ANYONE, Caller, set_caller
from tollbook.core.errors import StoreDown
from tollbook.core.stores import Clock, Store
from tollbook.hosting import sdk
from tollbook.hosting.answers import Answer, Exchange, Left, Page, Receive, Refusal, Scope, Send, no_method
from tollbook.hosting.calls import Calls
from tollbook.hosting.edge import Edge, preflight
from tollbook.hosting.handshake import Handshake
from tollbook.hosting.metrics import Meter, Metrics
from tollbook.hosting.modern import Modern, check_version, is_modern
from tollbook.hosting.settings import HostSettings

_log: Final = logging.getLogger(__name__)
_HEALTHY: Final = Answer(200, b'{"status":"ok"}')

Authenticate = Callable[[Scope], Awaitable[Caller]]
"""Says who sent a request, from its ASGI scope; raises Refusal if that is not proven."""


async def anyone(_scope: Scope) -> Caller:
    """Where nothing need be proven."""
    return ANYONE


def host(
    server: sdk.AnyServer,
    store: Store,
    settings: HostSettings | None = None,
    *,
    authenticate: Authenticate = anyone,
    pages: Mapping[str, Page] | None = None,
    metrics: Metrics | None = None,
    clock: Clock = time.time,
) -> "Host":
    """An ASGI app that serves `server`, in every era of the protocol, beside any number of others like it.

    `subscriptions/listen` is taken away from the server: nothing that never ends is served.

    Args:
        server: an `MCPServer`, or the SDK's low-level `Server`.
        store: where sessions and the events of running calls lie; instances that share it serve each other's.
        authenticate: who sent a request; asked before anything is done for it.
        pages: what else is served, by path, and to everyone: what a client must read before it can log in.
        metrics: is told of each call of a tool; `tollbook.hosting.embedded_metrics` writes them for CloudWatch.
        clock: that of the store.
    """
    return Host(sdk.Kernel(server), store, settings or HostSettings(), authenticate, pages or {}, metrics, clock)


class Host:
    """See `host`."""

    def __init__(
        self,
        kernel: sdk.Kernel,
        store: Store,
        settings: HostSettings,
        authenticate: Authenticate,
        pages: Mapping[str, Page],
        metrics: Metrics | None,
        clock: Clock,
    ) -> None:
        self._kernel, self._store, self._settings = kernel, store, settings
        self._authenticate, self._pages = authenticate, pages
        self._edge = Edge(settings)
        self._calls = Calls(settings, Meter(metrics, kernel.tools))
        self._modern = Modern(kernel, self._calls, settings)
        self._handshake = Handshake(kernel, self._calls, store, settings, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(Exchange(scope, receive, send))

    async def drain(self) -> None:
        """Lets running calls finish for `drain_s` seconds, then ends them with an error; no new one begins.

        It is done when the app's lifespan ends; call it before, where connections end earlier than that.
        """
        await self._calls.drain()

    async def _live(self, receive: Receive, send: Send) -> None:
        """ASGI's lifespan, which is also the server's own."""
        await receive()
        phase = "startup"
        try:
            async with self._kernel.running() as state:
                self._kernel.start(state)
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await receive()
                await self._calls.drain()
        except Exception as fault:
            _log.exception("the server's lifespan failed")
            said = {"type": f"lifespan.{phase}.failed", "message": type(fault).__name__}
        else:
            said = {"type": "lifespan.shutdown.complete"}
        await self._store.aclose()
        await send(said)

    async def _serve(self, exchange: Exchange) -> None:
        trace = exchange.trace
        try:
            await self._answer(exchange)
        except Refusal as refusal:
            trace.outcome, trace.code, trace.reason = "refused", refusal.code, refusal.reason
            await exchange.answer(refusal.answer(exchange.request_id))
        except jsonrpc.Malformed as fault:
            trace.outcome, trace.code = "refused", fault.code
            await exchange.answer(Refusal(400, str(fault), fault.code).answer(fault.request_id))
        except Left:
            trace.outcome = "left"
        except StoreDown as fault:
            trace.outcome = "refused"
            _log.warning("the session store is down", extra={"reason": str(fault)})
            await _fail(exchange, 503, "The server's store cannot be reached just now. Try again.")
        except Exception:
            trace.outcome = "refused"
            _log.exception("a request failed")
            await _fail(exchange, 500, "Internal server error")
        finally:
            trace.write()

    async def _answer(self, exchange: Exchange) -> None:
        exchange.also = self._edge.check(exchange)
        method, path = exchange.scope["method"], exchange.path
        if path == "/healthz" and method in ("GET", "HEAD"):
            await exchange.answer(_HEALTHY)
            return
        page = self._pages.get(path)
        if path != self._settings.path:
            exchange.trace.path = "other" if page is None else path
        if page is None and path != self._settings.path:
            raise Refusal(404, f"There is nothing here. The MCP endpoint is {self._settings.path}.")
        if method == "OPTIONS":
            await exchange.answer(preflight())
            return
        if page is not None:
            await page(exchange)
            return
        exchange.caller = await self._authenticate(exchange.scope)
        set_caller(exchange.caller)
        if exchange.caller.is_proven:
            exchange.trace.caller = exchange.caller.owner[:12]
            sdk.tell_caller(exchange.caller)
        version = exchange.header(b"mcp-protocol-version")
        if version is None or version in sdk.HANDSHAKE_VERSIONS:
            await self._in_handshake_era(exchange, method)
        elif method == "POST":
            await self._modern.post(exchange, (await self._document(exchange))[1])
        else:
            check_version(version)
            raise no_method("POST")

    async def _in_handshake_era(self, exchange: Exchange, method: str) -> None:
        exchange.trace.era = "handshake"
        match method:
            case "POST":
                body, document = await self._document(exchange)
                if is_modern(document):  # it says so itself, and lacks the header that must say it too
                    await self._modern.post(exchange, document)
                else:
                    await self._handshake.post(exchange, body, document)
            case "GET":
                await self._handshake.get(exchange)
            case "DELETE":
                await self._handshake.delete(exchange)
            case _:
                raise no_method("POST", "GET", "DELETE")

    async def _document(self, exchange: Exchange) -> tuple[bytes, Any]:
        body = await self._edge.body(exchange)
        return body, jsonrpc.parsed(body, self._settings.deepest_body)


async def _fail(exchange: Exchange, status: int, message: str) -> None:
    """Answers with an error, unless an answer has begun: then all that is left is to end it."""
    if exchange.trace.status:
        await exchange.send({"type": "http.response.body", "body": b""})
        return
    await exchange.answer(Refusal(status, message, jsonrpc.INTERNAL_ERROR).answer(exchange.request_id))
