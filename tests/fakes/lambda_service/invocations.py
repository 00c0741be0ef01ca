"""One invocation of a function: its event on the way in, its response on the way out."""

import asyncio
import base64
import json
import secrets
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final, Literal, NamedTuple

LARGEST_EVENT: Final = 6 << 20
"""Bytes of an event, and of a response that is not streamed.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""
LARGEST_STREAM: Final = 200 << 20
"""Bytes of a response that is streamed. Beyond the first 6 MB it is slowed down, which is not played.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
"""

_UNREAD: Final = 16  # parts that may wait for whoever reads the response

Mode = Literal["buffered", "streaming"]


class FunctionError(Exception):
    """A function answered with an error, or not to the end.

    Attributes:
        kind: `Sandbox.Timedout` for example.
        document: what the function said of it.
    """

    def __init__(self, kind: str, document: bytes) -> None:
        super().__init__(kind)
        self.kind, self.document = kind, document

    @property
    def message(self) -> str:
        """Its `errorMessage`, if it has one."""
        try:
            return str(json.loads(self.document)["errorMessage"])
        except (ValueError, LookupError, TypeError):
            return ""


def platform_error(kind: str, message: str) -> FunctionError:
    """An error that Lambda itself reports."""
    return FunctionError(kind, json.dumps({"errorType": kind, "errorMessage": message}).encode())


class Trailers(NamedTuple):
    """What ended a response that failed while it was streamed.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
    """

    error_type: str
    error_body: bytes


class Invocation:
    """See the module.

    Attributes:
        id, trace_id: as the function is told.
        event: as JSON.
        instance: the number of the one that has it; -1 before.
        mode, content_type: of the response, as the runtime says; before that, empty.
        trailers: None if it ended without.
        failure: why it did not end well, if it did not.
        size: bytes of the response so far.
        begun: the runtime began to post a response, or an error.
        answered: the response has ended, well or not.
        over: the runtime is done with it: it asked for the next, or is dead.
        left: nobody waits for the response any more.
    """

    def __init__(self, event: bytes, trace_id: str) -> None:
        self.id, self.trace_id, self.event = str(uuid.uuid4()), trace_id, event
        self.instance = -1
        self.mode: Mode | Literal[""] = ""
        self.content_type = ""
        self.trailers: Trailers | None = None
        self.failure: FunctionError | None = None
        self.size = 0
        self.begun, self.answered, self.over, self.left = (asyncio.Event() for _ in range(4))
        self._parts: deque[bytes] = deque()
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._when_left: Callable[[], None] = lambda: None

    # Whoever invoked the function

    async def parts(self) -> AsyncIterator[bytes]:
        """The response, as it comes.

        Raises:
            FunctionError: there is none, or no more of it.
        """
        while self._parts or not self.answered.is_set():
            if self._parts:
                yield self._parts.popleft()
                self._room.set()
            else:
                self._news.clear()
                await self._news.wait()
        if self.failure is not None:
            raise self.failure

    async def whole(self) -> bytes:
        """The whole response.

        Raises:
            FunctionError: there is none.
        """
        return b"".join([part async for part in self.parts()])

    def leave(self) -> None:
        """Waits for the response no more."""
        self.left.set()
        self._room.set()
        self._when_left()

    # The Runtime API

    def when_left(self, do: Callable[[], None]) -> None:
        """Does something when nobody waits for the response any more, or at once."""
        self._when_left = do
        if self.left.is_set():
            do()

    def begin(self, mode: Mode, content_type: str) -> None:
        self.mode, self.content_type = mode, content_type
        self.begun.set()

    async def put(self, part: bytes) -> None:
        """Takes a part of the response, once there is room for it; it is dropped if nobody waits for it."""
        self.size += len(part)
        while len(self._parts) >= _UNREAD and not self.left.is_set():
            self._room.clear()
            await self._room.wait()
        if not self.left.is_set():
            self._parts.append(part)
            self._news.set()

    def end(self, trailers: dict[str, str]) -> None:
        """The response is whole; or, by its trailers, it is not."""
        kind = trailers.get("lambda-runtime-function-error-type")
        if kind is not None:
            body = base64.b64decode(trailers.get("lambda-runtime-function-error-body", ""))
            self.trailers = Trailers(kind, body)
            self.failure = FunctionError(kind, body)
        self._close()

    def fail(self, failure: FunctionError) -> None:
        """There is no response, or no more of it. What was said before counts."""
        if not self.answered.is_set():
            self.failure = failure
        self.begun.set()
        self._close()

    def _close(self) -> None:
        self.answered.set()
        self._news.set()


def a_trace_id(now_s: float, parent: str = "") -> str:
    """A tracing header, all of whose requests are sampled.

    Source: https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
    """
    root = f"1-{int(now_s):08x}-{secrets.token_hex(12)}"
    return f"Root={root};Parent={parent or secrets.token_hex(8)};Sampled=1"
