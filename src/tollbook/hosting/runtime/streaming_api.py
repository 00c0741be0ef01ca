"""The Runtime API, asked by an event loop: responses go out while they are made.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import h11

from tollbook.hosting.runtime import framing
from tollbook.hosting.runtime.framing import Failure, Next, Unusable

_log: Final = logging.getLogger(__name__)

_ACCEPTED: Final = 202
_PIECE: Final = 64 << 10


class RuntimeApi:
    """One connection at a time, kept from invocation to invocation. Its methods raise Unusable."""

    def __init__(self, address: str) -> None:
        """
        Args:
            address: host and port, as AWS_LAMBDA_RUNTIME_API has them.
        """
        self._address = address
        self._host, _, port = address.partition(":")
        self._port = int(port or 80)
        self._line: _Line | None = None

    async def next(self) -> tuple[Next, bytes]:
        """Waits for an invocation, as long as it takes; what it is about, and its event."""
        response, event = await self._ask("GET", framing.NEXT)
        if response.status_code != 200:
            raise Unusable(f"The Runtime API answered {response.status_code} instead of an invocation.")
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in response.headers}
        return framing.next_of(headers), event

    async def answer(self, invocation_id: str, body: bytes) -> None:
        """Ends an invocation with a response that is whole."""
        headers = (("Content-Type", "application/json"), ("Content-Length", str(len(body))))
        await self._ask("POST", framing.response_of(invocation_id), headers, body)

    async def fail(self, invocation_id: str, failure: Failure) -> None:
        """Ends an invocation with an error."""
        document = framing.failure_document(failure)
        headers = (*framing.failure_headers(failure), ("Content-Length", str(len(document))))
        await self._ask("POST", framing.error_of(invocation_id), headers, document)

    async def stream(self, invocation_id: str) -> "Streamed":
        """Begins a response."""
        line = await self._open()
        return Streamed(line, self._request("POST", framing.response_of(invocation_id), framing.STREAMED))

    def close(self) -> None:
        if self._line is not None:
            self._line.close()

    async def _ask(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> tuple[h11.Response, bytes]:
        line = await self._open()
        try:
            await line.send(self._request(method, target, headers), h11.Data(body), h11.EndOfMessage())
            response, content = await line.response()
        except (OSError, h11.RemoteProtocolError) as fault:
            line.close()
            if line.is_kept:  # and its end was not noticed before
                return await self._ask(method, target, headers, body)
            raise Unusable(f"The Runtime API at {self._address} does not answer.") from fault
        if response.status_code >= framing.BROKEN:
            raise Unusable(f"The Runtime API answered {response.status_code}.")
        if response.status_code not in (200, _ACCEPTED):
            _log.error("the Runtime API refused an answer", extra={"status": response.status_code})
        return response, content

    def _request(self, method: str, target: str, headers: Iterable[tuple[str, str]]) -> h11.Request:
        return h11.Request(method=method, target=target, headers=[("Host", self._address), *headers])

    async def _open(self) -> "_Line":
        if self._line is None or not self._line.begin_again():
            try:
                self._line = _Line(*await asyncio.open_connection(self._host, self._port))
            except OSError as fault:
                raise Unusable(f"The Runtime API at {self._address} cannot be reached.") from fault
        return self._line


class _Line:
    """A connection and the state of its HTTP.

    Attributes:
        is_kept: there was a request before.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.CLIENT)
        self.is_kept = False

    def begin_again(self) -> bool:
        """Whether another request can go over it."""
        if self._http.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE} and not self._reader.at_eof():
            self._http.start_next_cycle()
            self.is_kept = True
            return True
        self.close()
        return False

    async def send(self, *events: h11.Event) -> None:
        """Sends, and waits while the other end is slow to take it."""
        if self._writer.is_closing():
            raise ConnectionResetError
        self._writer.write(b"".join(self._http.send(event) or b"" for event in events))
        await self._writer.drain()

    async def response(self) -> tuple[h11.Response, bytes]:
        """Waits for a whole response."""
        response, parts = None, []
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_PIECE))
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and response is not None:
                return response, b"".join(parts)
            elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                raise ConnectionResetError

    def close(self) -> None:
        self._writer.transport.abort()  # nobody waits for what may be unsent


class Streamed:
    """A response that goes out while it is made.

    Attributes:
        is_whole: its end was sent.
        ended: done as soon as the API has said its word, or has gone: before the response's end, nobody wants the rest.
    """

    def __init__(self, line: _Line, request: h11.Request) -> None:
        self._line, self.is_whole = line, False
        self._unsent: list[h11.Event] = [request]
        self.ended: asyncio.Task[int] = asyncio.create_task(self._watch())

    async def send(self, data: bytes) -> None:
        """Sends some bytes; nothing, where nobody takes them any more."""
        if data:
            self._unsent.append(h11.Data(data))
            await self._flush()

    async def end(self, data: bytes = b"", trailers: Sequence[tuple[str, str]] = ()) -> None:
        """Sends the last bytes."""
        if data:
            self._unsent.append(h11.Data(data))
        self._unsent.append(h11.EndOfMessage(headers=list(trailers)))
        self.is_whole = True
        await self._flush()

    async def accepted(self, within_s: float) -> bool:
        """Whether the API took the response, as it says once it has all of it."""
        await asyncio.wait((self.ended,), timeout=within_s)
        status = self.ended.result() if self.ended.done() else 0
        if status >= framing.BROKEN:
            raise Unusable(f"The Runtime API answered {status}.")
        return status == _ACCEPTED

    async def _flush(self) -> None:
        events, self._unsent = self._unsent, []
        if not self.ended.done():
            with suppress(OSError, h11.LocalProtocolError):  # then `ended` says so
                await self._line.send(*events)

    async def _watch(self) -> int:
        """The status that the API answers with; 0 if it does not."""
        try:
            return (await self._line.response())[0].status_code
        except (OSError, h11.RemoteProtocolError):
            return 0
