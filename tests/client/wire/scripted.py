"""A server of bytes: it takes HTTP requests on a real socket, and a test writes what comes back."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

SESSION: Final = "session-4e1f0c"
"""The id that `in_session` gives; nothing a user reads may hold it."""


class Asked(NamedTuple):
    """A request as it came; the names of its headers are lower-case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def what(self) -> str:
        """The method of the message, or of the request where it has none."""
        return str(self.json.get("method", "an answer")) if self.body else self.method


Script = Callable[[Asked, asyncio.StreamWriter], Awaitable[bytes | None]]
"""Gives the bytes of a response, after which the connection stays open; or writes itself, after which it is closed."""


class Scripted:
    """A server that runs.

    Attributes:
        url: of its endpoint.
        asked: the requests that came, in their order.
        connections: how many were made.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.connections = 0

    @property
    def heard(self) -> list[str]:
        """What was asked, in short."""
        return [each.what for each in self.asked]


@asynccontextmanager
async def scripted(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Scripted]:
    """A server on a free port of 127.0.0.1, until the end of the block."""
    server = Scripted()
    running: set[asyncio.Task[Any]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            while asked := await _request(reader):
                server.asked.append(asked)
                reply = await script(asked, writer)
                if reply is None:
                    break
                writer.write(reply)
                await writer.drain()
        except asyncio.CancelledError:
            writer.transport.abort()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            running.discard(task)
            writer.close()
            with suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()

    listening = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    scheme, port = "https" if tls else "http", listening.sockets[0].getsockname()[1]
    server.url = f"{scheme}://127.0.0.1:{port}/mcp"
    try:
        yield server
    finally:
        listening.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> Asked | None:
    """The next request of a connection; None at its end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    return Asked(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


def response(
    status: int = 200, body: bytes | str | dict[str, Any] = b"", kind: str = "application/json", **headers: str
) -> bytes:
    """A whole response; underscores in the names of headers are hyphens."""
    whole = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    return head(status, kind, content_length=str(len(whole)), **headers) + whole


def head(status: int = 200, kind: str = "text/event-stream", **headers: str) -> bytes:
    """The head of a response, the rest of which is as long as the connection lasts unless `content_length` is given."""
    lines = [f"HTTP/1.1 {status} Whatever", *([f"content-type: {kind}"] if kind else ())]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("utf-8")


def event(message: Any, event_id: str | None = None) -> bytes:
    """A message as an event of a stream; bytes are sent as they are."""
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return (b"" if event_id is None else f"id: {event_id}\n".encode()) + b"data: " + data + b"\n\n"


def result(asked: Asked, **fields: Any) -> dict[str, Any]:
    """The answer to a request."""
    return {"jsonrpc": "2.0", "id": asked.json["id"], "result": fields}


def fault(asked: Asked, code: int, message: str, **fields: Any) -> dict[str, Any]:
    """The error that answers a request."""
    error = {"code": code, "message": message, **({"data": fields} if fields else {})}
    return {"jsonrpc": "2.0", "id": asked.json.get("id"), "error": error}


CAPABILITIES: Final[Mapping[str, Any]] = {"tools": {}, "resources": {}, "prompts": {}, "completions": {}}
TOOLS: Final = [
    {"name": "once", "inputSchema": {"type": "object"}},
    {"name": "reads", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}},
]


def in_session(then: Script, session: str | None = SESSION, **more: Any) -> Script:
    """A server of the handshake era with the tools `once` and `reads`, of which the second may be repeated.

    Args:
        then: what comes back to everything but the beginning and the list of tools.
        session: the id it gives; None: it keeps no sessions.
        more: capabilities.
    """

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        match asked.what:
            case "server/discover":
                return response(400, fault(asked, -32600, "Bad Request: no session"))
            case "initialize":
                started = result(
                    asked,
                    protocolVersion="2025-11-25",
                    capabilities={**CAPABILITIES, **more},
                    serverInfo={"name": "scripted", "version": "1"},
                )
                return response(200, started, **({"mcp_session_id": session} if session else {}))
            case "notifications/initialized":
                return response(202)
            case "tools/list":
                return response(200, result(asked, tools=TOOLS))
        return await then(asked, writer)

    return script


def alone(then: Script, **more: Any) -> Script:
    """The same server in the modern era, in which every request stands alone."""

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        match asked.what:
            case "server/discover":
                found = result(asked, supportedVersions=["2026-07-28"], capabilities={**CAPABILITIES, **more})
                return response(200, found)
            case "tools/list":
                return response(200, result(asked, tools=TOOLS))
        return await then(asked, writer)

    return script


def always(reply: bytes) -> Script:
    """A server that gives the same bytes to whatever it is asked."""

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        return reply

    return script
