"""One request to an ASGI app and its answer on the way back."""

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any, Final, Protocol

from tollbook.hosting.runtime import framing
from tollbook.hosting.runtime.events import HttpRequest, buffered
from tollbook.hosting.runtime.framing import Failure, TooLarge, Unusable
from tollbook.hosting.runtime.streaming_api import RuntimeApi, Streamed

Message = MutableMapping[str, Any]

_log: Final = logging.getLogger(__name__)
_PLAIN: Final = [(b"content-type", b"text/plain; charset=utf-8")]
_LARGEST_BUFFERED: Final = 6_000_000
"""Bytes of an answer that is one document, a little less than there may be:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


class Exchange(Protocol):
    """What an app is given, and what ends it."""

    async def receive(self) -> Message: ...

    async def send(self, message: Message) -> None: ...

    async def finish(self, failure: Failure | None, within_s: float) -> None:
        """Ends the answer, whatever there is of it, and waits until it is taken.

        Args:
            failure: why the app did not end it.
            within_s: after so many seconds it is given up.
        """
        ...


class _Request:
    """The way in, and what both ways out have in common."""

    def __init__(self, api: RuntimeApi, invocation_id: str, request: HttpRequest) -> None:
        self._api, self._id, self._is_rest = api, invocation_id, request.is_rest
        self._body: bytes | None = request.body
        self._start: Message = {}
        self._is_whole = False
        self._gone = asyncio.Event()

    async def receive(self) -> Message:
        """The body at once; then, when the answer is whole or nobody wants it, that the client has gone."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Raises RuntimeError where ASGI's order is not kept."""
        match message["type"]:
            case "http.response.start" if not self._start:
                self._start = message
            case "http.response.body" if self._start and not self._is_whole:
                self._is_whole = not message.get("more_body", False)
                await self._take(message.get("body", b""))
                if self._is_whole:
                    self._gone.set()
            case kind:
                raise RuntimeError(f"An ASGI app sent {kind} when it was not its turn.")

    async def _take(self, data: bytes) -> None:
        raise NotImplementedError

    def _replace(self, failure: Failure | None) -> bytes:
        """Begins an answer for an app that began none; its body."""
        is_late = failure is not None and failure.kind == "Function.Deadline"
        self._start = {"status": 504 if is_late else 500, "headers": _PLAIN}
        return b"The server took too long." if is_late else b"Internal Server Error"


class Streaming(_Request):
    """Posts the answer while the app makes it."""

    def __init__(self, api: RuntimeApi, invocation_id: str, request: HttpRequest) -> None:
        super().__init__(api, invocation_id, request)
        self._out: Streamed | None = None
        self._has_ended = False

    async def _take(self, data: bytes) -> None:
        out = self._out
        if out is None:
            data = self._prelude() + data
            out = await self._begin()
        if self._is_whole:
            self._has_ended = True
            await out.end(data)
        else:
            await out.send(data)

    async def finish(self, failure: Failure | None, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                out = self._out if self._has_ended else await self._end(failure)
        except TimeoutError:
            out, within_s = self._out, 0  # it takes nothing any more
        if out is not None and not await out.accepted(within_s):
            _log.warning("an answer was not taken", extra={"invocation": self._id})

    async def _end(self, failure: Failure | None) -> Streamed:
        if self._out is None:
            body = self._replace(failure)
            out = await self._begin()
            await out.end(self._prelude() + body)
        else:
            out = self._out
            failure = failure or Failure("Function.Incomplete", "The app left its answer unfinished.")
            await out.end(trailers=framing.failure_trailers(failure))
        return out

    async def _begin(self) -> Streamed:
        self._out = await self._api.stream(self._id)
        self._out.ended.add_done_callback(lambda _: self._gone.set())
        return self._out

    def _prelude(self) -> bytes:
        status, headers = self._start["status"], self._start.get("headers", ())
        return framing.prelude(status, headers, is_rest=self._is_rest)


class Buffered(_Request):
    """Keeps the answer until it is whole."""

    def __init__(self, api: RuntimeApi, invocation_id: str, request: HttpRequest) -> None:
        super().__init__(api, invocation_id, request)
        self._parts: list[bytes] = []
        self._size = 0

    async def _take(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > _LARGEST_BUFFERED:
            self._parts.clear()
            raise TooLarge(f"An answer that is not streamed may have at most {_LARGEST_BUFFERED:,} bytes.")
        self._parts.append(data)

    async def finish(self, failure: Failure | None, within_s: float) -> None:
        if not self._is_whole or failure is not None:
            self._parts = [self._replace(failure)]
        status, headers = self._start["status"], self._start.get("headers", ())
        document = buffered(status, headers, b"".join(self._parts), is_rest=self._is_rest)
        try:
            async with asyncio.timeout(within_s):
                await self._api.answer(self._id, document)
        except TimeoutError:
            raise Unusable("The Runtime API takes no answer.") from None
