"""What stands between a client and a good server, and spoils one thing: as gateways and proxies do when they are set up
wrongly. It runs in the server's own process, in front of its app."""

import asyncio
import email.utils
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from tollbook.hosting.answers import Receive, Scope, Send

Headers = Mapping[str, str]


class Refusal(msgspec.Struct, frozen=True):
    """What it answers itself."""

    status: int
    body: bytes = b"{}"
    headers: Headers = {}


class Request(NamedTuple):
    """As it came; the names of headers are lower-case."""

    method: str
    path: str
    headers: Headers


class BreakingGateway:
    """Passes all through as it is, until a test sets one of these.

    Attributes:
        refuses: what it answers itself; None for what it lets through.
        headers: those of a response, as it passes them on.
        documents: what it makes of JSON documents, by their paths.
        hides: names of request headers that the server does not get to see.
        buffers: holds each answer back until it is whole.
        held: is set once something was held back.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.refuses: Callable[[Request], Refusal | None] = lambda _: None
        self.headers: Callable[[Headers], Headers] = lambda headers: headers
        self.documents: dict[str, Callable[[Any], Any]] = {}
        self.hides: set[str] = set()
        self.buffers = False
        self.held = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request = Request(str(scope["method"]), str(scope["path"]), headers)
        refusal = self.refuses(request)
        if refusal is not None:
            await _answer(send, refusal)
            return
        kept = [(name, value) for name, value in scope["headers"] if name.decode("latin-1") not in self.hides]
        change = self.documents.get(request.path)
        passing = _Passing(self, send, change)
        await self._app({**scope, "headers": kept}, receive, passing)


class _Passing:
    """One answer on its way."""

    def __init__(self, gateway: BreakingGateway, send: Send, change: Callable[[Any], Any] | None) -> None:
        self._gateway, self._send, self._change = gateway, send, change
        self._start: dict[str, Any] = {}
        self._parts: list[bytes] = []

    async def __call__(self, event: Any) -> None:
        holds = self._gateway.buffers or self._change is not None
        if event["type"] == "http.response.start":
            found = {name.decode("latin-1"): value.decode("latin-1") for name, value in event["headers"]}
            found.setdefault("date", _date())
            self._start = {**event, "headers": _encoded(self._gateway.headers(found))}
            if not holds:
                await self._send(self._start)
            return
        if not holds:
            await self._send(event)
            return
        self._parts.append(event.get("body", b""))
        if event.get("body") and self._gateway.buffers:
            self._gateway.held.set()
        if event.get("more_body"):
            return
        body = b"".join(self._parts)
        if self._change is not None:
            body = json.dumps(self._change(json.loads(body))).encode()
        headers = [(name, value) for name, value in self._start["headers"] if name != b"content-length"]
        await self._send({**self._start, "headers": [*headers, (b"content-length", b"%d" % len(body))]})
        await self._send({"type": "http.response.body", "body": body})


async def _answer(send: Send, refusal: Refusal) -> None:
    given = {"content-type": "application/json", "content-length": str(len(refusal.body)), "date": _date()}
    headers = {**given, **refusal.headers}
    await send({"type": "http.response.start", "status": refusal.status, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": refusal.body})


def _date() -> str:
    return email.utils.formatdate(usegmt=True)


def _encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
