"""Responses that carry the events of a call while it runs."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from tollbook.hosting import sse
from tollbook.hosting.answers import Answer, Exchange, Headers, Left, Receive
from tollbook.hosting.call import Call
from tollbook.hosting.calls import Calls
from tollbook.hosting.journal import LEASE_S, Event, Journal
from tollbook.hosting.outflow import Listener

QUIET_S: Final = 15.0
"""After so many seconds without an event a comment is sent."""
RETRY_MS: Final = 500

_EVENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{16}\.[0-9]{1,8}")
_STALLED_S: Final = 60.0  # a client that takes nothing for so long has gone
_PIECE: Final = 64 << 10
_POLL_S: Final = 0.3  # how often the events of a call that runs elsewhere are looked for

_HEADERS: Final = (
    (b"content-type", sse.MEDIA_TYPE.encode()),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


class EventStream:
    """One response of server-sent events."""

    def __init__(self, exchange: Exchange, call_id: str | None = None, headers: Headers = ()) -> None:
        self._send, self._headers, self._call_id = exchange.send, headers, call_id
        self.has_begun = False

    async def prime(self, after: int) -> None:
        """Sends the place from which the client can resume."""
        await self._write(sse.priming(f"{self._call_id}.{after}", RETRY_MS))

    async def events(self, events: Sequence[Event]) -> None:
        await self._write(b"".join(sse.message(event.data, self._id(event)) for event in events))

    async def comment(self) -> None:
        await self._write(sse.COMMENT)

    async def end(self) -> None:
        await self._write(b"", more=False)

    def _id(self, event: Event) -> str | None:
        return None if self._call_id is None else f"{self._call_id}.{event.seq}"

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        if not self.has_begun:
            self.has_begun = True
            headers = [*_HEADERS, *self._headers]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        # In pieces, so that a client who takes nothing is noticed and little is held for him.
        for start in range(0, len(data) or 1, _PIECE):
            await self._send_piece(data[start : start + _PIECE], more or start + _PIECE < len(data))

    async def _send_piece(self, piece: bytes, more: bool) -> None:
        try:
            async with asyncio.timeout(_STALLED_S):
                await self._send({"type": "http.response.body", "body": piece, "more_body": more})
        except TimeoutError:
            raise Left from None


def place_of(event_id: str) -> tuple[str, int] | None:
    """The call and the place in its stream that a Last-Event-ID names; None if it is none of ours."""
    call_id, _, seq = event_id.rpartition(".")
    return (call_id, int(seq)) if _EVENT_ID.fullmatch(event_id) else None


@asynccontextmanager
async def listening(call: Call, receive: Receive, after: int = 0) -> AsyncIterator[Listener]:
    """A listener to `call` that leaves when its client does."""
    listener = call.out.listen(after)
    try:
        async with leaving(listener, receive):
            yield listener
    finally:
        call.out.unlisten(listener)


async def answer_alone(
    calls: Calls, call: Call, exchange: Exchange, status_of: Callable[[int], int], headers: Headers = ()
) -> None:
    """Runs a call that ends with its connection: its answer as JSON if it comes first, else a stream.

    Args:
        status_of: the HTTP status for a JSON-RPC error's code; 0 is none.

    Raises:
        Refusal: there is no room for it.
    """
    await calls.start(call, exchange.invocation)
    async with listening(call, exchange.receive) as listener:
        try:
            has_news = await listener.wait(QUIET_S)
            if (data := call.out.sole_answer) is not None:
                await exchange.answer(Answer(status_of(call.code), data, headers))
            elif not listener.has_left:
                stream = EventStream(exchange, headers=headers)
                if not has_news:
                    await stream.comment()
                await follow(call, listener, stream)
        finally:
            exchange.trace.outcome, exchange.trace.code = call.outcome or "left", call.code
            call.cancel("The client has left.")


async def follow(call: Call, listener: Listener, stream: EventStream) -> None:
    """Sends the events of a call that runs here until it has ended or its listener leaves."""
    while True:
        is_over = call.out.is_over  # asked first: what came before the end is news
        events = call.out.news(listener)
        if events:
            await stream.events(events)
        if is_over or listener.has_left or (events and events[-1].is_last):
            break
        if not await listener.wait(QUIET_S):
            await stream.comment()
    await stream.end()


async def follow_from_afar(
    journal: Journal, call_id: str, listener: Listener, stream: EventStream, kept: Sequence[Event]
) -> None:
    """Sends the events of a call that ran or runs in another instance, as the store shows them.

    Args:
        kept: those from the place of the listener on, that place included, as they were just now.
    """
    now = asyncio.get_running_loop().time
    heard, quiet_since = float("-inf"), float("-inf")
    lease, seen_at = None, now()
    while not listener.has_left:
        news = [event for event in kept if event.seq > listener.after]
        if news:
            await stream.events(news)
            listener.after, quiet_since = news[-1].seq, now()
        if kept and kept[-1].is_last:
            break
        latest = await journal.lease(call_id)
        if latest is None:
            break
        if latest != lease:
            lease, seen_at = latest, now()
        # A lease is watched, rather than its time compared with ours: clocks differ.
        if now() - seen_at > LEASE_S or journal.has_long_lapsed(latest):
            await journal.bury(call_id, latest)
        elif now() - heard > journal.hears_every_s:
            await journal.hear(call_id)
            heard = now()
        if now() - quiet_since > QUIET_S:
            await stream.comment()
            quiet_since = now()
        await listener.wait(_POLL_S)
        kept = await journal.events(call_id, listener.after)
    await stream.end()


@asynccontextmanager
async def leaving(listener: Listener, receive: Receive) -> AsyncIterator[None]:
    """Lets `listener` leave when its client does."""
    gone = asyncio.create_task(_gone(receive, listener))
    try:
        yield
    finally:
        gone.cancel()


async def _gone(receive: Receive, listener: Listener) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.leave()
