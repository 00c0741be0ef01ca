"""The requests of one POST at work, and who listens to them."""

import asyncio
import logging
import secrets
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any, Final

from tollbook.core.errors import StoreDown
from tollbook.hosting import jsonrpc
from tollbook.hosting.journal import Event, Journal, key_of
from tollbook.hosting.jsonrpc import Id, Params, Request
from tollbook.hosting.sdk import Fault
from tollbook.hosting.settings import HostSettings

_log: Final = logging.getLogger(__name__)

_ANSWER_POLL_S: Final = 0.25
_PAUSES_S: Final = (0.2, 1.0, 3.0, 6.0)  # before each try to keep an answer that the store did not take
LOG_LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


Answer = Callable[[Request, "Call"], Awaitable[dict[str, Any]]]
"""Gives the result of a request, or raises Fault; what is to be said meanwhile goes to the call."""


class Listener:
    """One response that carries the events of a call, from a place in its stream on."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.has_left = False
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    def leave(self) -> None:
        """Whoever listened has gone, or is sent away."""
        self.has_left = True
        self._woken.set()

    async def wait(self, timeout_s: float) -> bool:
        """Waits for news, or for the listener's leave; False after `timeout_s` seconds of neither."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


class Call:
    """The requests of one POST at work; the SDK's `Outlet` for them.

    Attributes:
        id: tells it from every other call of every session.
        beats: how often its instance said that it lives.
        started, last_heard, last_beat: when it began, when its last listener went, and when its instance last said that
            it lives, by the loop's clock.
        journal: where its events are kept; None where nothing can be resumed.
        keeps: whether they still are: of an ended session nothing is.
        outcome: `result`, `tool_error`, `error` or `cancelled`, of the last request that was answered.
        code: the JSON-RPC error that it was answered with.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        session_id: str | None,
        answer: Answer,
        settings: HostSettings,
        journal: Journal | None = None,
        log_level: str | None = None,
    ) -> None:
        self.id = secrets.token_urlsafe(12)
        self.session_id, self.journal = session_id, journal
        self.request_ids = tuple(request.id for request in requests)
        self.outcome, self.code = "", 0
        self.is_over = self._has_ended = False
        self.keeps = journal is not None
        self.started = self.last_heard = self.last_beat = asyncio.get_running_loop().time()
        self.beats = 0
        self._requests, self._answer, self._settings = requests, answer, settings
        self._least = LOG_LEVELS.index(log_level) if log_level in LOG_LEVELS else 0
        self._events: list[Event] = []
        self._kept, self._seq = 0, 0
        self._unkept: list[Event] = []
        self._listeners: list[Listener] = []
        self._questions: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._emitting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._why: str | None = None
        self._unwanted: set[Id] = set()
        self._answering: Id | None = None

    @property
    def has_begun(self) -> bool:
        return self._task is not None

    def start(self, done: Callable[["Call"], None]) -> None:
        """Begins the work; `done` is told its end."""
        self._task = asyncio.create_task(self._work())
        self._task.add_done_callback(lambda _task: done(self))

    async def join(self) -> None:
        """Waits for the end of the work."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    def cancel(self, why: str, *, keeps: bool = True) -> None:
        """Ends the work; `why` is a sentence for the client, should he still listen, or come back where it is kept."""
        self.keeps = self.keeps and keeps
        self._why = self._why or why
        self._interrupt(self._answering)

    def cancel_request(self, request_id: Id) -> None:
        """Ends the work on one request; those beside it go on."""
        self._unwanted.add(request_id)
        self._interrupt(request_id)

    def _interrupt(self, request_id: Id | None) -> None:
        # Only the server's handler is interrupted, and once: an answer that is there already is still sent, and what
        # the handler does in its end is left to it.
        if self._task is None or self._answering is None or self._answering != request_id:
            return
        if not self._task.cancelling():
            self._task.cancel()

    # What its listeners do.

    def listen(self, after: int = 0) -> Listener:
        listener = Listener(after)
        self._listeners.append(listener)
        if self._events or self.is_over:
            listener.wake()
        return listener

    def unlisten(self, listener: Listener) -> None:
        self._listeners.remove(listener)
        self.last_heard = asyncio.get_running_loop().time()

    @property
    def is_heard(self) -> bool:
        return bool(self._listeners)

    def news(self, listener: Listener) -> Sequence[Event]:
        """What `listener` has not had."""
        events = self._events[bisect_right(self._events, listener.after, key=attrgetter("seq")) :]
        if events:
            listener.after = events[-1].seq
        return events

    @property
    def sole_answer(self) -> bytes | None:
        """The answer, if nothing went before it."""
        return self._events[0].data if len(self._events) == 1 and self._events[0].is_last else None

    # What its requests do: the SDK's Outlet.

    async def notify(self, method: str, params: Params | None) -> None:
        if method == "notifications/message" and params and params.get("level") in LOG_LEVELS[: self._least]:
            return
        await self._emit(jsonrpc.notification(method, params), is_news=True)

    async def ask(self, method: str, params: Params | None, timeout_s: float | None) -> Mapping[str, Any]:
        journal = self.journal
        if journal is None:
            raise TimeoutError  # no answer could find its way back
        question = await journal.ask()
        answered: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._questions[question] = answered
        try:
            async with asyncio.timeout(timeout_s or self._settings.answer_wait_s):
                await self._emit(jsonrpc.request(question, method, params))
                while True:
                    await asyncio.wait((answered,), timeout=_ANSWER_POLL_S)
                    if answered.done():
                        return await answered
                    with suppress(StoreDown):  # it may be there when it is looked for next
                        if (reply := await journal.reply(question)) is not None:
                            return reply
        finally:
            del self._questions[question]
            with suppress(StoreDown):
                await journal.withdraw(question)

    async def detach(self) -> None:
        for listener in self._listeners:
            listener.leave()

    def answered(self, question: str, body: Mapping[str, Any]) -> bool:
        """Takes in the client's answer to a question, if it was asked here."""
        waiting = self._questions.get(question)
        if waiting is None:
            return False
        if not waiting.done():
            waiting.set_result(body)
        return True

    async def _work(self) -> None:
        try:
            for number, request in enumerate(self._requests, 1):
                data = await self._answered(request)
                await self._emit(data, answers=request.id, is_last=number == len(self._requests))
            await self._keep_the_rest()
        finally:
            self.is_over = True
            for listener in self._listeners:
                listener.wake()

    async def _answered(self, request: Request) -> bytes:
        try:
            if (why := self._why_not(request)) is None:
                self._answering = request.id
                return await self._result(request)
        except asyncio.CancelledError:
            if (why := self._why_not(request)) is None:
                raise  # it is the instance that ends
        finally:
            self._answering = None
            while self._task is not None and self._task.cancelling() and self._why_not(request):
                self._task.uncancel()
        self.outcome, self.code = "cancelled", jsonrpc.CANCELLED
        return jsonrpc.error(request.id, jsonrpc.CANCELLED, why)

    def _why_not(self, request: Request) -> str | None:
        """Why a request is not wanted, if it is not."""
        return self._why or ("Request cancelled" if request.id in self._unwanted else None)

    async def _result(self, request: Request) -> bytes:
        try:
            result = await self._answer(request, self)
            data = jsonrpc.result(request.id, result)
        except Fault as fault:
            self.outcome, self.code = "error", fault.code
            return jsonrpc.error(request.id, fault.code, str(fault), fault.data)
        except Exception:
            _log.exception("a result could not be written")
            self.outcome, self.code = "error", jsonrpc.INTERNAL_ERROR
            return jsonrpc.error(request.id, jsonrpc.INTERNAL_ERROR, "Internal server error")
        self.outcome, self.code = "tool_error" if result.get("isError") else "result", 0
        return data

    async def _emit(
        self, data: bytes, *, is_news: bool = False, answers: Id | None = None, is_last: bool = False
    ) -> None:
        async with self._emitting:  # what a handler's own tasks send stays in order
            if self._has_ended:
                return  # a task of the handler's outlived it
            self._has_ended = is_last
            self._seq += 1
            event = Event(self._seq, data, is_news, is_last, None if answers is None else key_of(answers))
            # It is kept before it is sent: what a client has seen, it can resume from. Where the store is down, whoever
            # listens still hears it.
            dropped = self._make_room(event)
            if not await self._keep(event, dropped) and not is_news:
                self._unkept.append(event)
            self._events.append(event)
            for listener in self._listeners:
                listener.wake()

    def _make_room(self, event: Event) -> Sequence[Event]:
        """The oldest progress and log entries, as many as must go for `event` to be kept."""
        self._kept += len(event.data)
        dropped = []
        while self._kept > self._settings.kept_bytes:
            oldest = next((place for place, old in enumerate(self._events) if old.is_news), None)
            if oldest is None:
                break
            dropped.append(self._events.pop(oldest))
            self._kept -= len(dropped[-1].data)
        return dropped

    async def _keep(self, event: Event, dropped: Sequence[Event] = ()) -> bool:
        if self.journal is None or not self.keeps:
            return True
        try:
            await self.journal.write(self.id, event)
            for old in dropped:
                await self.journal.drop(self.id, old)
        except StoreDown as fault:
            _log.warning("an event could not be kept", extra={"reason": str(fault)})
            return False
        except Exception:
            _log.exception("an event could not be kept")
        return True

    async def _keep_the_rest(self) -> None:
        """Tries for a while to keep the answers that the store did not take."""
        for pause_s in _PAUSES_S:
            if not self._unkept:
                return
            await asyncio.sleep(pause_s)
            self._unkept = [event for event in self._unkept if not await self._keep(event)]
