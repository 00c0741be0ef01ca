"""A reverse proxy that sends each request to the next backend in turn, whatever connection it came on.

It is made for tests: plain HTTP/1.1 on the loopback, every byte passed on as it comes, in both directions. Each request
has its own connection on either side, so that the turn changes with every request and an answer needs no parsing.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

LARGEST_HEAD: Final = 64 * 1024
"""Bytes of a request's head."""

CHUNK: Final = 64 * 1024

BAD_GATEWAY: Final = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
"""The answer when no one listens where the turn is."""


class RoundRobin:
    """Listens on a free port of 127.0.0.1, in a thread of its own, from `with` to its end.

    Attributes:
        port: where it listens.
        backends: ports on 127.0.0.1, in the order of their turns; may be changed while it runs.
        requests: how many requests each backend's port was given.
    """

    def __init__(self, backends: Sequence[int]) -> None:
        self.port = 0
        self.backends = list(backends)
        self.requests: Counter[int] = Counter()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="round robin", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._listens.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=LARGEST_HEAD)
        self.port = server.sockets[0].getsockname()[1]
        self._listens.set()
        await self._ended.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await server.wait_closed()

    async def _accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        try:
            await self._forward(client, to_client)
            to_client.close()
        except (asyncio.IncompleteReadError, ConnectionError):
            to_client.transport.abort()  # the client went before its request was whole
        except asyncio.CancelledError:
            to_client.transport.abort()
            raise
        finally:
            self._connections.discard(connection)
            with suppress(ConnectionError):
                await to_client.wait_closed()

    def passed_on(self, head: bytes) -> bytes:
        """What a backend is sent of a request's head."""
        return head

    async def _forward(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        head = await client.readuntil(b"\r\n\r\n")
        backend = self.backends[self.requests.total() % len(self.backends)]
        self.requests[backend] += 1
        try:
            answer, to_backend = await asyncio.open_connection("127.0.0.1", backend)
        except ConnectionError:
            to_client.write(BAD_GATEWAY)
            return
        try:
            to_backend.write(self.passed_on(_last_of_its_connection(head)))
            async with asyncio.TaskGroup() as both_ways:
                request = both_ways.create_task(_copy(client, to_backend))
                result = both_ways.create_task(_copy(answer, to_client))
                request.add_done_callback(lambda _: result.cancel())  # the client hung up
                result.add_done_callback(lambda _: request.cancel())
        finally:
            to_backend.transport.abort()


def _last_of_its_connection(head: bytes) -> bytes:
    """The head with `Connection: close` in place of what it says of its connection."""
    lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith((b"connection:", b"keep-alive:"))]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(CHUNK):
            target.write(data)
            await target.drain()
