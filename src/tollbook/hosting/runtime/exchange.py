"""One request to an ASGI app, and its answer on the way back."""

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any, Final

from tollbook.hosting.runtime import framing
from tollbook.hosting.runtime.events import HttpRequest, buffered
from tollbook.hosting.runtime.framing import Failure, TooLarge, Unusable
from tollbook.hosting.runtime.streaming_api import RuntimeApi, Streamed

Message = MutableMapping[str, Any]

_log: Final = logging.getLogger(__name__)
_PLAIN: Final[Message] = {"status": 500, "headers": [(b"content-type", b"text/plain; charset=utf-8")]}
_LARGEST_BUFFERED: Final = 6 << 20
"""Bytes of an answer that is one document: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


class Exchange:
    """What an app is given, and what ends it. How the answer goes out is a subclass's affair."""

    def __init__(self, api: RuntimeApi, invocation_id: str, request: HttpRequest) -> None:
        self._api, self._id, self._is_rest = api, invocation_id, request.is_rest
        self._body: bytes | None = request.body
        self._head: Message | None = None
        self._is_whole = False
        self._over = asyncio.Event()  # the answer is whole, or nobody wants it

    async def receive(self) -> Message:
        """The body at once; then, when the answer is whole or nobody wants it, that the client has gone."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """
        Raises:
            RuntimeError: it was not the turn of that message.
            TooLarge: it has more than may be.
        """
        match message["type"]:
            case "http.response.start" if self._head is None:
                self._head = message
            case "http.response.body" if self._head is not None and not self._is_whole:
                is_last = not message.get("more_body", False)
                await self._take(self._head, message.get("body", b""), is_last)
                if is_last:
                    self._is_whole = True
                    self._over.set()
            case kind:
                raise RuntimeError(f"An ASGI app sent {kind} when it was not its turn.")

    async def finish(self, failure: Failure | None, within_s: float) -> None:
        """Ends the answer, whatever there is of it, and waits until it is taken.

        Args:
            failure: why the app did not end it.
            within_s: after so many seconds it is given up.
        """
        raise NotImplementedError

    async def _take(self, head: Message, data: bytes, is_last: bool) -> None:
        raise NotImplementedError

    async def _replace(self, failure: Failure | None) -> None:
        """Answers for an app that did not."""
        is_late = failure is not None and failure.is_late
        head = {**_PLAIN, "status": 504} if is_late else _PLAIN
        await self._take(head, b"The server took too long." if is_late else b"Internal Server Error", True)


class Streaming(Exchange):
    """Posts the answer while the app makes it."""

    def __init__(self, api: RuntimeApi, invocation_id: str, request: HttpRequest) -> None:
        super().__init__(api, invocation_id, request)
        self._out: Streamed | None = None

    async def _take(self, head: Message, data: bytes, is_last: bool) -> None:
        out = self._out
        if out is None:
            data = framing.prelude(head["status"], head.get("headers", ()), is_rest=self._is_rest) + data
            out = self._out = await self._api.stream(self._id)
            out.ended.add_done_callback(lambda _: self._over.set())
        await (out.end(data) if is_last else out.send(data))

    async def finish(self, failure: Failure | None, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                if self._out is None:
                    await self._replace(failure)
                elif not self._out.is_whole:
                    failure = failure or Failure("Function.Incomplete", "The app left its answer unfinished.")
                    await self._out.end(trailers=framing.failure_trailers(failure))
        except TimeoutError:
            within_s = 0  # it takes nothing any more
        if self._out is not None and not await self._out.accepted(within_s):
            _log.warning("an answer was not taken", extra={"invocation": self._id})


class Buffered(Exchange):
    """Keeps the answer until it is whole, and posts it then."""

    def __init__(self, api: RuntimeApi, invocation_id: str, request: HttpRequest) -> None:
        super().__init__(api, invocation_id, request)
        self._parts: list[bytes] = []
        self._size = 0
        self._is_posted = False

    async def _take(self, head: Message, data: bytes, is_last: bool) -> None:
        self._size += len(data)
        if self._size > _LARGEST_BUFFERED:
            self._parts.clear()
            raise TooLarge("The answer is too large to be sent as one document.")
        self._parts.append(data)
        if is_last:
            body = b"".join(self._parts)
            document = buffered(head["status"], head.get("headers", ()), body, is_rest=self._is_rest)
            if len(document) > _LARGEST_BUFFERED:
                raise TooLarge("The answer is too large to be sent as one document.")
            self._is_posted = True
            await self._api.answer(self._id, document)

    async def finish(self, failure: Failure | None, within_s: float) -> None:
        self._over.set()
        if self._is_posted:
            return
        self._parts, self._size = [], 0
        try:
            async with asyncio.timeout(within_s):
                await self._replace(failure)
        except TimeoutError:
            raise Unusable("The Runtime API takes no answer.") from None
