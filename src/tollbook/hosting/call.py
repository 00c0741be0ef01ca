"""The requests of one POST at work."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from tollbook.core import jsonrpc
from tollbook.core.errors import StoreDown
from tollbook.core.jsonrpc import Id, Params, Request
from tollbook.hosting.journal import Journal
from tollbook.hosting.metrics import Measured, Meter
from tollbook.hosting.outflow import Outflow
from tollbook.hosting.sdk import Fault
from tollbook.hosting.settings import HostSettings

_log: Final = logging.getLogger(__name__)

_ANSWER_POLL_S: Final = 0.25
LOG_LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

Handler = Callable[[Request, "Call"], Awaitable[dict[str, Any]]]
"""Gives the result of a request, or raises Fault; what is to be said meanwhile goes to the call."""


class Call:
    """The requests of one POST at work; the SDK's `Outlet` for them.

    Attributes:
        id: tells it from every other call of every session.
        beats: how often its instance said that it lives.
        started, last_beat: when it began, and when its instance last said that it lives, by the loop's clock.
        journal: where its events are kept; None where nothing can be resumed.
        out: what it says to its client.
        outcome: `result`, `tool_error`, `error` or `cancelled`, of the last request that was answered.
        code: the JSON-RPC error that it was answered with.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        session_id: str | None,
        handle: Handler,
        settings: HostSettings,
        journal: Journal | None = None,
        log_level: str | None = None,
        *,
        caller_id: str = "",
    ) -> None:
        self.id = secrets.token_urlsafe(12)
        self.session_id, self.journal, self.caller_id = session_id, journal, caller_id
        self.request_ids = tuple(request.id for request in requests)
        self.outcome, self.code = "", 0
        self.out = Outflow(self.id, settings.kept_bytes, journal)
        self.started = self.last_beat = asyncio.get_running_loop().time()
        self.beats = 0
        self._requests, self._handle, self._answer_wait_s = requests, handle, settings.answer_wait_s
        self._least = LOG_LEVELS.index(log_level) if log_level in LOG_LEVELS else 0
        self._questions: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._done: Callable[[Call], None]
        self._meter: Meter
        self._measured: Measured | None = None
        self._answered_so_far = 0
        self._is_given_up = False
        self._why: str | None = None
        self._unwanted: set[Id] = set()
        self._answering: Id | None = None

    @property
    def has_begun(self) -> bool:
        return self._task is not None

    def start(self, done: Callable[["Call"], None], meter: Meter) -> None:
        """Begins the work; `done` is told its end, and `meter` what it took."""
        self._done, self._meter = done, meter
        self._task = asyncio.create_task(self._work())
        self._task.add_done_callback(lambda _task: done(self))

    async def join(self) -> None:
        """Waits for the end of the work."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    def cancel(self, why: str, *, keeps: bool = True) -> None:
        """Ends the work; `why` is a sentence for the client, should he still listen, or come back where it is kept."""
        self.out.keeps = self.out.keeps and keeps
        self._why = self._why or why
        self._interrupt(self._answering)

    def cancel_request(self, request_id: Id) -> None:
        """Ends the work on one request; those beside it go on."""
        self._unwanted.add(request_id)
        self._interrupt(request_id)

    async def give_up(self) -> None:
        """Answers what is unanswered with why it was cancelled. A handler that does not heed that is left to itself."""
        self._is_given_up = True
        self.outcome, self.code = "cancelled", jsonrpc.CANCELLED
        unanswered = self.request_ids[self._answered_so_far :]
        for number, request_id in enumerate(unanswered, 1):
            data = jsonrpc.error(request_id, jsonrpc.CANCELLED, self._why or "The call was given up.")
            await self.out.put(data, answers=request_id, is_last=number == len(unanswered))
        self.out.close()
        self._done(self)
        if self._measured is not None:
            self._measured.end(self.outcome)
            await self._meter.tell(self._measured)

    def _interrupt(self, request_id: Id | None) -> None:
        # Only the server's handler is interrupted, and once: an answer that is there already is still sent, and what
        # the handler does in its end is left to it.
        if self._task is None or self._answering is None or self._answering != request_id:
            return
        if not self._task.cancelling():
            self._task.cancel()

    # What its requests do: the SDK's Outlet.

    async def notify(self, method: str, params: Params | None) -> None:
        if method == "notifications/message" and params and params.get("level") in LOG_LEVELS[: self._least]:
            return
        await self.out.put(jsonrpc.notification(method, params), is_news=True)

    async def ask(self, method: str, params: Params | None, timeout_s: float | None) -> Mapping[str, Any]:
        journal = self.journal
        if journal is None:
            raise TimeoutError  # no answer could find its way back
        question = await journal.ask()
        answered: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._questions[question] = answered
        try:
            async with asyncio.timeout(timeout_s or self._answer_wait_s):
                await self.out.put(jsonrpc.request(question, method, params))
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
        self.out.send_away()

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
                with self._meter.measuring(request) as self._measured:
                    data = await self._answered(request)
                    self._measured.end(self.outcome)
                    await self.out.put(data, answers=request.id, is_last=number == len(self._requests))
                if self._is_given_up:
                    return
                self._answered_so_far = number
                await self._meter.tell(self._measured)
            await self.out.keep_the_rest()
        finally:
            self.out.close()

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
            result = await self._handle(request, self)
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
