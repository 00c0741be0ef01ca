"""The client of `gate.py` and `soak.py`: MCP on bare sockets, whose calls are bytes made beforehand.

Nothing here knows more of HTTP than these servers say: an answer has a Content-Length or comes in chunks.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

HANDSHAKE: Final = "2025-11-25"
MODERN: Final = "2026-07-28"
_NAMES: Final = tuple(f"Ada-{number}" for number in range(10, 42))  # ids of calls as well
_CLIENT: Final = {"name": "gate", "version": "1"}
_FINE: Final = (b"HTTP/1.1 200 ", b"HTTP/1.1 202 ", b"HTTP/1.1 204 ")


class _Closed(Exception):
    """The server hung up before its answer was whole."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a client saw in one window.

    Attributes:
        latencies_s: of every call, in no order.
    """

    wall_s: float
    latencies_s: Sequence[float]


class Connection(asyncio.Protocol):
    """One kept-alive connection with one request on it at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answered: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self.host = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.host = f"127.0.0.1:{transport.get_extra_info('peername')[1]}"

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._answered is not None and _is_whole(self._received):
            self._answered.set_result(bytes(self._received))
            self._received.clear()
            self._answered = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None:
            self._answered.set_exception(exc or _Closed(bytes(self._received)))
            self._answered = None

    async def ask(self, request: bytes) -> bytes:
        """Sends a request and gives the whole response as it was on the wire."""
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _is_whole(response: bytearray) -> bool:
    end = response.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = response[:end].lower()
    at = head.find(b"content-length:")
    if at >= 0:
        return len(response) >= end + 4 + int(head[at + 15 :].partition(b"\r")[0])
    if b"transfer-encoding: chunked" in head:
        return response.endswith(b"\r\n0\r\n\r\n")
    return True  # 202 or 204


class Client:
    """One client of a server, in one era: its connection and its calls of `greet`, as bytes."""

    def __init__(self, connection: Connection, era: str, token: str = "") -> None:
        self._connection, self._era = connection, era
        self._credential = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: dict[str, str] = {}
        self._calls: list[tuple[bytes, bytes]] = []
        self._next = 0

    async def open(self) -> None:
        """Says what the era wants to be said before the first call."""
        if self._era == HANDSHAKE:
            params = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": _CLIENT}
            answer = await self._ask(_message("initialize", "i", params), {})
            self._session = {"MCP-Protocol-Version": HANDSHAKE}
            if (session := _header(answer, "mcp-session-id")) is not None:  # without one, the server keeps none
                self._session["Mcp-Session-Id"] = session
            await self._ask({"jsonrpc": "2.0", "method": "notifications/initialized"}, self._session)

    async def discover(self) -> None:
        """The first thing that a client of 2026-07-28 asks."""
        await self._ask(_message("server/discover", "d", {"_meta": _META}), _modern_headers("server/discover"))

    async def end(self) -> None:
        """Ends the session, if there is one."""
        if "Mcp-Session-Id" in self._session:
            answer = await self._connection.ask(self._request("DELETE", self._session, b""))
            if not answer.startswith(_FINE):
                raise SystemExit(f"DELETE was answered with {answer!r}")
            self._session, self._calls = {}, []

    async def close(self) -> None:
        """Ends the session and the connection."""
        try:
            await self.end()
        finally:
            self._connection.close()

    async def greet(self) -> None:
        """Calls the tool once, with another name than the last time, and looks whether that was greeted."""
        if not self._calls:
            self._calls = [(self._call(name), f"Hello, {name}!".encode()) for name in _NAMES]
        request, expected = self._calls[self._next % len(_NAMES)]
        self._next += 1
        answer = await self._connection.ask(request)
        if expected not in answer or not answer.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"{expected!r} was expected, not {answer!r}")

    async def greet_until(self, end: float) -> list[float]:
        """Calls until then; gives how long each call took."""
        latencies, clock = [], time.perf_counter
        began = clock()
        while began < end:
            await self.greet()
            now = clock()
            latencies.append(now - began)
            began = now
        return latencies

    def _call(self, name: str) -> bytes:
        params: dict[str, Any] = {"name": "greet", "arguments": {"name": name}}
        if self._era == HANDSHAKE:
            headers = self._session
        else:
            params["_meta"] = _META
            headers = {**_modern_headers("tools/call"), "Mcp-Name": "greet"}
        return self._request("POST", headers, _body(_message("tools/call", name, params)))

    async def _ask(self, message: dict[str, Any], headers: dict[str, str]) -> bytes:
        answer = await self._connection.ask(self._request("POST", headers, _body(message)))
        if not answer.startswith(_FINE) or b'"error":' in answer:
            raise SystemExit(f"{message['method']} was answered with {answer!r}")
        return answer

    def _request(self, method: str, headers: dict[str, str], body: bytes) -> bytes:
        return _request(self._connection.host, method, {**self._credential, **headers}, body)


_META: Final = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": _CLIENT,
}


@asynccontextmanager
async def clients(port: int, era: str, number: int, token: str = "") -> AsyncIterator[Sequence[Client]]:
    """So many clients, each on a connection of its own and with that access token, if any, ready to call."""
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(number):
            _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
            client = Client(connection, era, token)
            stack.push_async_callback(client.close)
            await client.open()
            opened.append(client)
        yield opened


async def load(callers: Sequence[Client], seconds: float) -> Load:
    """All of them calling at once for so long; what is under way then still counts."""
    began = time.perf_counter()
    found = await asyncio.gather(*(client.greet_until(began + seconds) for client in callers))
    return Load(time.perf_counter() - began, [latency for latencies in found for latency in latencies])


def greeting(host: str, token: str) -> bytes:
    """A call of the tool in the era of 2026-07-28, with that access token."""
    message = _message("tools/call", "1", {"name": "greet", "arguments": {"name": "Ada"}, "_meta": _META})
    headers = {"Authorization": f"Bearer {token}", **_modern_headers("tools/call"), "Mcp-Name": "greet"}
    return _request(host, "POST", headers, _body(message))


async def greetings(callers: Sequence[Client], each: int) -> None:
    """So many calls of each."""

    async def some(client: Client) -> None:
        for _ in range(each):
            await client.greet()

    await asyncio.gather(*map(some, callers))


def _message(method: str, request_id: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def _modern_headers(method: str) -> dict[str, str]:
    return {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}


def _body(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def _request(host: str, method: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [
        f"{method} /mcp HTTP/1.1",
        f"Host: {host}",
        "Accept: application/json, text/event-stream",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _header(response: bytes, name: str) -> str | None:
    for line in response.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]:
        field, _, value = line.partition(":")
        if field.lower() == name:
            return value.strip()
    return None
