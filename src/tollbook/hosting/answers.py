"""One HTTP request, and what is answered without any work: constant sentences, as JSON-RPC errors."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec

from tollbook.core import jsonrpc
from tollbook.core.caller import ANYONE
from tollbook.hosting.invocation import invocation_of
from tollbook.hosting.log import Trace

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
"""ASGI's, as https://asgi.readthedocs.io/en/latest/specs/www.html has them."""

Headers = tuple[tuple[bytes, bytes], ...]

JSON: Final = (b"content-type", b"application/json")


def header_of(scope: Scope, name: bytes) -> str | None:
    """The first header of that lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


class Answer(msgspec.Struct, frozen=True):
    """A whole response."""

    status: int
    body: bytes = b""
    headers: Headers = ()


class Exchange:
    """One HTTP request and where its response goes.

    Attributes:
        also: headers that its response has whatever it is.
        request_id: of the message in it, once that is known: its answer must carry it, an error's too.
        invocation: what brought it, where something like AWS Lambda did.
    """

    __slots__ = ("also", "caller", "invocation", "receive", "request_id", "scope", "send", "trace")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.receive = scope, receive
        self.caller, self.trace = ANYONE, Trace()
        self.invocation = invocation_of(scope)
        if self.invocation is not None:
            self.trace.invocation = self.invocation.id
        self.also: Headers = ()
        self.request_id: jsonrpc.Id | None = None

        async def send_with(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.trace.status = message["status"]
                if self.also:
                    message["headers"] = [*message["headers"], *self.also]
            await send(message)

        self.send: Send = send_with

    @property
    def path(self) -> str:
        """What was asked for, below the place where the app is mounted: a stage of API Gateway, for example."""
        path: str = self.scope["path"]
        root = self.scope.get("root_path", "")
        return path.removeprefix(root) if path.startswith(f"{root}/") else path

    def header(self, name: bytes) -> str | None:
        """The first header of that lower-case name."""
        return header_of(self.scope, name)

    async def answer(self, answer: Answer) -> None:
        """Sends a whole response."""
        length = (b"content-length", b"%d" % len(answer.body))
        headers = [*((JSON,) if answer.body else ()), length, *answer.headers]
        await self.send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": answer.body})


Page = Callable[[Exchange], Awaitable[None]]
"""Answers the requests for one path besides the MCP endpoint, whatever their method, but for OPTIONS."""


class Refusal(Exception):
    """A request is answered with an error at once.

    Attributes:
        reason: what the log is told besides, in a word or two.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: int = jsonrpc.INVALID_REQUEST,
        *,
        headers: Headers = (),
        data: object = None,
        reason: str = "",
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers, self.data, self.reason = status, code, headers, data, reason

    def answer(self, request_id: jsonrpc.Id | None) -> Answer:
        return Answer(self.status, jsonrpc.error(request_id, self.code, str(self), self.data), self.headers)


def check_method(exchange: Exchange, *allowed: str) -> None:
    """Refuses every method but those: RFC 9110 §15.5.6."""
    if exchange.scope["method"] not in allowed:
        raise no_method(*allowed)


def no_method(*allowed: str) -> Refusal:
    """What a request by any method but those is answered with."""
    names = ", ".join(allowed)
    return Refusal(405, f"Only {names} here.", headers=((b"allow", names.encode()),))


class Left(Exception):
    """The client has gone, or takes nothing: there is nobody to answer."""


ACCEPTED: Final = Answer(202)
