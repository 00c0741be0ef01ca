"""The era from 2025-03-26 to 2025-11-25: `initialize`, sessions, and streams that can be resumed.

Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tollbook.core import jsonrpc
from tollbook.core.jsonrpc import INVALID_PARAMS, Notification, Request, Response
from tollbook.core.stores import LARGEST_VALUE, Clock, Store
from tollbook.hosting import sdk
from tollbook.hosting.answers import ACCEPTED, Answer, Exchange, Headers, Refusal
from tollbook.hosting.call import LOG_LEVELS, Call
from tollbook.hosting.calls import Calls
from tollbook.hosting.edge import check_takes_both, check_takes_stream
from tollbook.hosting.journal import Journal
from tollbook.hosting.sessions import Session, Sessions
from tollbook.hosting.settings import HostSettings
from tollbook.hosting.streams import (
    EventStream,
    answer_alone,
    follow,
    follow_from_afar,
    leaving,
    listening,
    place_of,
)

_AT_ONCE: Final = frozenset(
    {
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "completion/complete",
        "logging/setLevel",
    }
)
"""Answered with JSON where that comes first, and not kept: who lost the answer asks again, at no cost."""

_LARGEST_BATCH: Final = 32
_BATCHES: Final = "2025-03-26"
"""The one revision with batches: https://modelcontextprotocol.io/specification/2025-03-26/basic#batching"""


class Handshake:
    """Serves the requests of this era."""

    def __init__(self, kernel: sdk.Kernel, calls: Calls, store: Store, settings: HostSettings, clock: Clock) -> None:
        self._kernel, self._calls, self._store = kernel, calls, store
        self._settings, self._clock = settings, clock
        self._sessions = Sessions(store, settings, clock)

    async def post(self, exchange: Exchange, body: bytes, document: object) -> None:
        """Answers one POST.

        Raises:
            Refusal: it is malformed, its session is not there, or there is no room.
            StoreDown: the store is.
        """
        if isinstance(document, list):
            check_takes_both(exchange)
            await self._batch(exchange, document)
            return
        message = jsonrpc.message_of(document)
        if not isinstance(message, Response):
            exchange.trace.asks(message.method, message.params)
        if isinstance(message, Request):
            exchange.request_id = message.id
        check_takes_both(exchange)
        if isinstance(message, Request) and message.method == "initialize":
            await self._initialize(exchange, message)
            return
        session = await self._session(exchange)
        match message:
            case Request(method="ping"):
                await self._ping(exchange, session, message)
            case Request() if message.method in _AT_ONCE:
                call = self._call(exchange, session, (message,))
                await answer_alone(self._calls, call, exchange, lambda _code: 200, _session_header(session))
            case Request():
                await self._answer(exchange, session, (message,))
            case _:
                await self._take_in(exchange, session, message, body)
                await exchange.answer(ACCEPTED)

    async def get(self, exchange: Exchange) -> None:
        """Resumes a stream.

        Raises:
            Refusal: there is no such stream.
            StoreDown: the store is.
        """
        last = exchange.header(b"last-event-id")
        if last is None:
            raise Refusal(
                405,
                "This server opens no streams of its own. GET resumes a call's stream: send Last-Event-ID.",
                headers=((b"allow", b"POST, DELETE"),),
            )
        check_takes_stream(exchange)
        exchange.trace.asks("resume", None)
        session = await self._session(exchange)
        journal = self._journal(session)
        place = place_of(last)
        lease = None if place is None else await journal.lease(place[0])
        if place is None or lease is None:
            raise _nothing_kept()
        call_id, after = place
        stream = EventStream(exchange, call_id, _session_header(session))
        if (here := self._calls.find(call_id, session.id)) is not None:
            async with listening(here, exchange.receive, after) as listener:
                await stream.comment()  # the client sees at once that it is heard
                try:
                    await follow(here, listener, stream)
                finally:
                    exchange.trace.outcome = "" if here.out.has_ended else "left"
            return
        kept = await journal.events(call_id, max(after - 1, 0))
        if not kept and after > 0 and any(event.is_last for event in await journal.events(call_id, 0)):
            raise _nothing_kept()  # the call ended before the event that is named
        with self._calls.follower(session.id, after, exchange.invocation) as follower:
            async with leaving(follower, exchange.receive):
                await follow_from_afar(journal, call_id, follower, stream, kept)
                exchange.trace.outcome = "left" if follower.has_left else ""

    async def delete(self, exchange: Exchange) -> None:
        """Ends a session and its calls.

        Raises:
            Refusal: there is none.
            StoreDown: the store is.
        """
        exchange.trace.asks("end", None)
        session = await self._session(exchange)
        for call in self._calls.of(session.id):
            call.cancel("The session was ended.", keeps=False)
        await self._sessions.end(session)
        await exchange.answer(Answer(200))

    async def _initialize(self, exchange: Exchange, request: Request) -> None:
        params = request.params or {}
        try:
            result, version = await self._kernel.initialize(exchange.scope, request, sdk.NOWHERE)
        except sdk.Fault as fault:
            raise Refusal(400, str(fault), fault.code, data=fault.data) from fault
        if not self._kernel.keeps_log_level:
            result.setdefault("capabilities", {}).setdefault("logging", {})
        session = await self._sessions.open(
            exchange.caller, version, params.get("clientInfo"), params.get("capabilities")
        )
        exchange.trace.within(session.id)
        exchange.trace.outcome = "result"
        await exchange.answer(Answer(200, jsonrpc.result(request.id, result), _session_header(session)))

    async def _session(self, exchange: Exchange) -> Session:
        session_id = exchange.header(b"mcp-session-id")
        if session_id is None:
            raise Refusal(400, "Mcp-Session-Id is missing. Initialize a session first.")
        exchange.trace.within(session_id)
        return await self._sessions.find(exchange.caller, session_id)

    async def _ping(self, exchange: Exchange, session: Session, request: Request) -> None:
        """It is answered even where there is no room for work."""
        try:
            result = await self._kernel.answer(exchange.scope, request, _client_of(session), sdk.NOWHERE)
        except sdk.Fault as fault:
            exchange.trace.outcome, exchange.trace.code = "error", fault.code
            data = jsonrpc.error(request.id, fault.code, str(fault), fault.data)
        else:
            exchange.trace.outcome, data = "result", jsonrpc.result(request.id, result)
        await exchange.answer(Answer(200, data, _session_header(session)))

    async def _answer(self, exchange: Exchange, session: Session, requests: Sequence[Request]) -> None:
        call = self._call(exchange, session, requests, self._journal(session))
        await self._calls.start(call, exchange.invocation)
        stream = EventStream(exchange, call.id, _session_header(session))
        async with listening(call, exchange.receive) as listener:
            if session.version == sdk.PRIMED_VERSION:
                await stream.prime(0)
            else:
                await stream.comment()  # an older client takes an event without data for a broken one
            try:
                await follow(call, listener, stream)
            finally:
                exchange.trace.outcome = call.outcome if call.out.has_ended else "left"
                exchange.trace.code = call.code

    def _call(
        self, exchange: Exchange, session: Session, requests: Sequence[Request], journal: Journal | None = None
    ) -> Call:
        async def answer(request: Request, call: Call) -> dict[str, Any]:
            if request.method == "logging/setLevel" and not self._kernel.keeps_log_level:
                return await self._set_log_level(session, request)
            return await self._kernel.answer(exchange.scope, request, _client_of(session), call)

        return Call(
            requests, session.id, answer, self._settings, journal, session.log_level, caller_id=exchange.caller.id
        )

    async def _batch(self, exchange: Exchange, documents: list[Any]) -> None:
        """A batch's requests are answered one after the other, on one stream."""
        session = await self._session(exchange)
        exchange.trace.asks("batch", None)
        if session.version != _BATCHES:
            raise Refusal(400, f"Only revision {_BATCHES} has batches. Send one message at a time.")
        if not 0 < len(documents) <= _LARGEST_BATCH:
            raise Refusal(400, f"A batch holds 1 to {_LARGEST_BATCH} messages.")
        messages = [jsonrpc.message_of(document) for document in documents]
        requests = [message for message in messages if isinstance(message, Request)]
        if any(request.method == "initialize" for request in requests):
            raise Refusal(400, "initialize may not be part of a batch.")
        for message, document in zip(messages, documents, strict=True):
            if not isinstance(message, Request):
                await self._take_in(exchange, session, message, jsonrpc.written(document))
        if requests:
            await self._answer(exchange, session, requests)
        else:
            await exchange.answer(ACCEPTED)

    async def _take_in(
        self, exchange: Exchange, session: Session, message: Notification | Response, body: bytes
    ) -> None:
        """What is owed no answer: a notification, or the client's answer to a question of ours."""
        match message:
            case Response():
                exchange.trace.asks("answer", None)
                if any(call.answered(str(message.id), message.body) for call in self._calls.of(session.id)):
                    return
                if len(body) > LARGEST_VALUE:
                    raise Refusal(413, f"An answer may have at most {LARGEST_VALUE:,} bytes.")
                await self._journal(session).answer(str(message.id), body)
            case Notification(method="notifications/cancelled"):
                request_id = (message.params or {}).get("requestId")
                if not jsonrpc.is_id(request_id):
                    raise Refusal(400, "requestId must be a string or an integer.", INVALID_PARAMS)
                here = [call for call in self._calls.of(session.id) if request_id in call.request_ids]
                for call in here:
                    call.cancel_request(request_id)
                if not here:
                    await self._journal(session).mark_cancelled(request_id)
            case Notification():
                client = _client_of(session)
                await self._kernel.hear(exchange.scope, message.method, message.params, client, sdk.NOWHERE)

    async def _set_log_level(self, session: Session, request: Request) -> dict[str, Any]:
        """It holds from the next call on, wherever that runs."""
        level = (request.params or {}).get("level")
        if level not in LOG_LEVELS:
            raise sdk.Fault(INVALID_PARAMS, f"level must be one of {', '.join(LOG_LEVELS)}.")
        await self._sessions.keep(msgspec.structs.replace(session, log_level=level))
        return {}

    def _journal(self, session: Session) -> Journal:
        return Journal(self._store, session.id, self._settings, self._clock)


def _nothing_kept() -> Refusal:
    """Not 404: that would say that the session has ended."""
    return Refusal(400, "Nothing is kept of the call that this Last-Event-ID belongs to.")


def _client_of(session: Session) -> sdk.Client:
    return sdk.Client(session.version, session.client, session.capabilities, session.id)


def _session_header(session: Session) -> Headers:
    return ((b"mcp-session-id", session.id.encode("ascii")),)
