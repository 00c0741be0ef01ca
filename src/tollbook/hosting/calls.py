"""Requests at work in this instance, and who listens to them."""

import asyncio
import logging
import secrets
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any, Final

from tollbook.core.errors import StoreDown
from tollbook.hosting import jsonrpc
from tollbook.hosting.answers import Refusal, Scope
from tollbook.hosting.journal import BEAT_S, Event, Journal
from tollbook.hosting.jsonrpc import Id, Params, Request
from tollbook.hosting.sdk import Client, Fault, Kernel
from tollbook.hosting.settings import HostSettings

_log: Final = logging.getLogger(__name__)

_PULSE_S: Final = 1.0
_ANSWER_POLL_S: Final = 0.25
LOG_LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


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
        journal: where its events are kept; None where nothing can be resumed.
        outcome: `result`, `tool_error`, `error` or `cancelled`, of the last request that was answered.
        code: the JSON-RPC error that it was answered with.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        scope: Scope,
        client: Client,
        kernel: Kernel,
        settings: HostSettings,
        journal: Journal | None = None,
        log_level: str | None = None,
    ) -> None:
        self.id = secrets.token_urlsafe(12)
        self.requests, self.client, self.journal = requests, client, journal
        self.outcome, self.code = "", 0
        self.is_over = False
        self.started = self.last_heard = asyncio.get_running_loop().time()
        self._scope, self._kernel, self._settings = scope, kernel, settings
        self._least = LOG_LEVELS.index(log_level) if log_level in LOG_LEVELS else 0
        self._events: list[Event] = []
        self._kept, self._seq = 0, 0
        self._listeners: list[Listener] = []
        self._questions: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._emitting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._why: str | None = None

    @property
    def request_ids(self) -> tuple[Id, ...]:
        return tuple(request.id for request in self.requests)

    def start(self, done: Callable[["Call"], None]) -> None:
        """Begins the work; `done` is told its end."""
        self._task = asyncio.create_task(self._work())
        self._task.add_done_callback(lambda _task: done(self))

    async def join(self) -> None:
        """Waits for the end of the work."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    def cancel(self, why: str) -> None:
        """Ends the work; `why` is a sentence for the client, should he still listen."""
        if self._task is not None and self._why is None and not self.is_over:
            self._why = why
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
        assert self.journal is not None, "only a client with a session is asked"  # noqa: S101
        question = f"ask-{secrets.token_urlsafe(12)}"
        answered: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._questions[question] = answered
        try:
            async with asyncio.timeout(timeout_s or self._settings.answer_wait_s):
                await self.journal.asked(question)
                await self._emit(jsonrpc.request(question, method, params))
                while True:
                    await asyncio.wait((answered,), timeout=_ANSWER_POLL_S)
                    if answered.done():
                        return await answered
                    if (reply := await self.journal.reply(question)) is not None:
                        return reply
        finally:
            del self._questions[question]

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
        left = list(self.requests)
        try:
            while left:
                data = await self._outcome(left[0])
                request = left.pop(0)
                await self._emit(data, answers=request.id, is_last=not left)
        except asyncio.CancelledError:
            if self._why is None or self._task is None:
                raise
            self._task.uncancel()
            self.outcome, self.code = "cancelled", jsonrpc.CANCELLED
            for number, request in enumerate(left, 1):
                data = jsonrpc.error(request.id, jsonrpc.CANCELLED, self._why)
                await self._emit(data, answers=request.id, is_last=number == len(left))
        finally:
            self.is_over = True
            for listener in self._listeners:
                listener.wake()

    async def _outcome(self, request: Request) -> bytes:
        try:
            result = await self._kernel.answer(self._scope, request, self.client, self)
        except Fault as fault:
            self.outcome, self.code = "error", fault.code
            return jsonrpc.error(request.id, fault.code, str(fault), fault.data)
        self.outcome, self.code = "tool_error" if result.get("isError") else "result", 0
        return jsonrpc.result(request.id, result)

    async def _emit(
        self, data: bytes, *, is_news: bool = False, answers: Id | None = None, is_last: bool = False
    ) -> None:
        async with self._emitting:  # what a handler's own tasks send stays in order
            self._seq += 1
            event = Event(self._seq, data, is_news, is_last, answers)
            # It is kept before it is sent: what a client has seen, it can resume from.
            await self._keep(event)
            self._events.append(event)
            for listener in self._listeners:
                listener.wake()

    async def _keep(self, event: Event) -> None:
        self._kept += len(event.data)
        dropped = []
        if self._kept > self._settings.kept_bytes:
            for old in [old for old in self._events if old.is_news]:
                dropped.append(old)
                self._events.remove(old)
                self._kept -= len(old.data)
                if self._kept <= self._settings.kept_bytes:
                    break
        if self.journal is None:
            return
        try:
            await self.journal.write(self.id, event)
            for old in dropped:
                await self.journal.drop(self.id, old)
        except StoreDown as fault:
            # Whoever listens still hears it; only coming back for it is lost.
            _log.warning("an event could not be kept", extra={"reason": str(fault)})


class Calls:
    """The calls that run in this instance."""

    def __init__(self, settings: HostSettings) -> None:
        self._settings = settings
        self._calls: dict[str, Call] = {}
        self._pulse: asyncio.Task[None] | None = None
        self._is_closed = False

    def check_room(self) -> None:
        """Refuses another call where there is no room for one."""
        if self._is_closed:
            raise Refusal(503, "This instance is stopping. Try again.", jsonrpc.INTERNAL_ERROR, headers=_SOON)
        if len(self._calls) >= self._settings.running_calls:
            raise Refusal(503, "Too many calls are running. Try again later.", jsonrpc.INTERNAL_ERROR, headers=_SOON)

    def start(self, call: Call) -> None:
        """Lets `call` run, and looks after it."""
        self._calls[call.id] = call
        call.start(self._forget)
        if self._pulse is None:
            self._pulse = asyncio.create_task(self._watch())

    def find(self, call_id: str, session_id: str) -> Call | None:
        call = self._calls.get(call_id)
        return call if call is not None and call.client.session_id == session_id else None

    def of(self, session_id: str) -> Sequence[Call]:
        """The calls of one session."""
        return [call for call in self._calls.values() if call.client.session_id == session_id]

    def _forget(self, call: Call) -> None:
        del self._calls[call.id]

    async def drain(self) -> None:
        """Waits for the calls that run, then ends what still does. No new one begins."""
        self._is_closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_s):
                for call in list(self._calls.values()):
                    await call.join()
        for call in list(self._calls.values()):
            call.cancel("The instance that worked on this call was stopped. Call again.")
        for call in list(self._calls.values()):
            await call.join()
        if self._pulse is not None:
            self._pulse.cancel()

    async def _watch(self) -> None:
        """Looks after the calls once a second while there are any."""
        beats = 0
        while self._calls:
            await asyncio.sleep(_PULSE_S)
            beats += 1
            must_beat = beats % BEAT_S == 0
            for call, looked in [
                (call, asyncio.create_task(self._look(call, must_beat))) for call in list(self._calls.values())
            ]:
                try:
                    await looked
                except StoreDown as fault:
                    _log.warning(
                        "a running call could not be looked after", extra={"reason": str(fault), "call": call.id}
                    )
        self._pulse = None

    async def _look(self, call: Call, must_beat: bool) -> None:
        now = asyncio.get_running_loop().time()
        if now - call.started > self._settings.call_limit_s:
            call.cancel(f"The call took longer than {self._settings.call_limit_s:g} s, which is all it may.")
        if (journal := call.journal) is None:
            return
        if await journal.cancelled(call.request_ids) is not None:
            call.cancel("Request cancelled")
        elif must_beat and not await journal.beat(call.id, call.request_ids):
            call.cancel("The session was ended.")
        elif (
            not call.is_heard
            and now - call.last_heard > self._settings.unheard_s
            and not await journal.is_heard(call.id)
        ):
            call.cancel(f"Nobody listened for {self._settings.unheard_s:g} s.")


_SOON: Final = ((b"retry-after", b"1"),)
