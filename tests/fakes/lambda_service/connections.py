"""HTTP/1.1 over asyncio, as a server speaks it: every byte of a response goes out when it is there."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple, TypeVar

import h11

Result = TypeVar("Result")
Headers = Iterable[tuple[str, str]]
_PIECE: Final = 64 << 10


class Gone(Exception):
    """The other end has left, or speaks no HTTP."""


class TooLarge(Exception):
    """A body is larger than it may be."""


class Request(NamedTuple):
    """The head of a request, with its headers in the letters and the order in which they came."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for each, value in self.headers if each.lower() == name.lower()]

    def value(self, name: str) -> str:
        """The last value of a header; empty if there is none."""
        return (self.values(name) or [""])[-1]


class Connection:
    """One connection, with one request at a time.

    Attributes:
        trailers: what came after the last body that was read, by lower-case name.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.SERVER)
        self._has_body = True
        self.trailers: dict[str, str] = {}

    async def request(self) -> Request | None:
        """The next request; None if no more come.

        Raises:
            Gone: what comes is no request.
        """
        if self._http.our_state is h11.DONE:
            async for _ in self.parts():  # of the last one, if nobody read its body
                pass
            self._http.start_next_cycle()
        elif self._http.our_state is not h11.IDLE:
            return None
        event = await self._next()
        if not isinstance(event, h11.Request):
            return None
        headers = tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers.raw_items())
        self._has_body = event.method != b"HEAD"
        return Request(event.method.decode("ascii"), event.target.decode("ascii"), headers)

    async def parts(self) -> AsyncIterator[bytes]:
        """The body of the request, as it comes.

        Raises:
            Gone: it ends too early.
        """
        if self._http.their_state is not h11.SEND_BODY:
            return
        while isinstance(event := await self._next(), h11.Data):
            yield bytes(event.data)
        if not isinstance(event, h11.EndOfMessage):
            raise Gone
        self.trailers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}

    async def body(self, most: int) -> bytes:
        """The whole body of the request, which is read to its end however long it is.

        Raises:
            Gone: it ends too early.
            TooLarge: it has more than `most` bytes.
        """
        whole, size = bytearray(), 0
        async for part in self.parts():
            size += len(part)
            if size <= most:
                whole += part
        if size > most:
            raise TooLarge
        return bytes(whole)

    async def answer(self, status: int, headers: Headers = (), body: bytes = b"") -> None:
        """Sends a whole response."""
        await self.begin(status, (*headers, ("Content-Length", str(len(body)))))
        await self.send(body)
        await self.end()

    async def begin(self, status: int, headers: Headers) -> None:
        """Sends the head of a response."""
        self._has_body &= status not in (204, 304)
        await self._send(h11.Response(status_code=status, headers=list(headers)))

    async def send(self, data: bytes) -> None:
        """Sends a part of the body, where the response has one at all: RFC 9110 §6.4.1."""
        if data and self._has_body:
            await self._send(h11.Data(data))

    async def end(self) -> None:
        """Ends the response."""
        await self._send(h11.EndOfMessage())

    async def unless_left(self, work: Awaitable[Result]) -> Result:
        """What comes of `work`.

        Raises:
            Gone: the other end has left before; and `work` is cancelled.
        """
        working, leaving = asyncio.ensure_future(work), asyncio.create_task(self._left())
        try:
            await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise Gone
        finally:
            working.cancel()
            leaving.cancel()
            await asyncio.gather(working, leaving, return_exceptions=True)

    def cut(self) -> None:
        """Ends the connection at once, whatever is still to be said."""
        self._writer.transport.abort()

    def reset(self) -> None:
        """Ends the connection at once, with what TCP calls a reset: RFC 9293 §3.10.7."""
        lingers_not = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingers_not)
        self.cut()

    async def close(self) -> None:
        """Ends the connection when all is sent."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _left(self) -> None:
        while data := await self._read():
            self._http.receive_data(data)  # a request that waits for its turn

    async def _next(self) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._read())
        except h11.RemoteProtocolError as fault:
            raise Gone from fault
        return event

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(_PIECE)
        except ConnectionError:
            return b""

    async def _send(self, event: h11.Event) -> None:
        try:
            self._writer.write(self._http.send(event) or b"")
            await self._writer.drain()
        except (ConnectionError, h11.LocalProtocolError) as fault:
            raise Gone from fault


@asynccontextmanager
async def listening(serve: Callable[[Connection, Request], Awaitable[None]]) -> AsyncIterator[int]:
    """Answers the requests of whoever comes to a free port of 127.0.0.1, which it gives, until the end of the block.

    Args:
        serve: answers a request; if it raises Gone the connection is cut.
    """
    open_now: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_now.add(task)
        connection = Connection(reader, writer)
        try:
            while (request := await connection.request()) is not None:
                await serve(connection, request)
            await connection.close()
        except (Gone, asyncio.CancelledError):
            pass
        finally:
            connection.cut()
            open_now.discard(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=2048)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(open_now):
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)
        await server.wait_closed()
