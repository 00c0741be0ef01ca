"""Runs an ASGI app: its lifespan once, then one invocation at a time, each answered while its answer is made."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, Final, TypeVar

import msgspec

from tollbook.hosting.invocation import INVOCATION, Invocation
from tollbook.hosting.runtime import snapshot
from tollbook.hosting.runtime.context import LambdaContext, hand_on
from tollbook.hosting.runtime.events import HttpRequest, UnknownEvent, read_event
from tollbook.hosting.runtime.exchange import Buffered, Exchange, Streaming
from tollbook.hosting.runtime.framing import Failure, Next, Unusable
from tollbook.hosting.runtime.lifespan import App, lifespan
from tollbook.hosting.runtime.streaming_api import RuntimeApi

Result = TypeVar("Result")

_log: Final = logging.getLogger(__name__)

_WIND_UP: Final = (4.0, 0.25)
"""Before the end, in seconds, or as a part of what is left if that is less: when the app should have ended."""
_HARD_STOP: Final = (1.0, 0.15)
"""The same: when what still runs is cancelled."""
_CLEANING: Final = 0.25
"""Which part of the time after the hard stop is given to what was cancelled."""
_TAKING: Final = 0.5
"""Which part of what is left is given to whoever takes the answer."""


async def run(app: App, address: str, *, is_buffered: bool | None = None) -> None:
    """Serves invocations until the process is told to stop.

    Args:
        address: of the Runtime API.
        is_buffered: whether answers are sent as one document; None decides by what each event shows.

    Raises:
        CannotStart: the app cannot; nothing was asked for yet.
        Unusable: the Runtime API is not there any more, or the loop itself failed.
    """
    api = RuntimeApi(address)
    try:
        async with lifespan(app) as state:
            snapshot.wait(os.environ, address)
            stop = _told_to_stop()
            while (came := await _first(api.next, stop)) is not None:
                invocation, event = came
                try:
                    await _Work(app, api, invocation, state, is_buffered).serve(event)
                except Exception as fault:
                    if not isinstance(fault, Unusable):
                        _log.error("the loop failed", exc_info=fault, extra={"invocation": invocation.id})
                    raise Unusable("The process ends, since it cannot answer.") from fault
    finally:
        api.close()


async def _first(ask: Callable[[], Awaitable[Result]], stop: "asyncio.Future[None]") -> Result | None:
    """What `ask` gives; None, if the process is told to stop before that."""
    if stop.done():
        return None
    waiting = asyncio.ensure_future(ask())
    await asyncio.wait((waiting, stop), return_when=asyncio.FIRST_COMPLETED)
    if waiting.done():
        return waiting.result()
    waiting.cancel()
    return None


def _told_to_stop() -> "asyncio.Future[None]":
    """Done at SIGTERM, which Lambda sends to a process that has extensions, before it ends it.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown
    """
    loop = asyncio.get_running_loop()
    told: asyncio.Future[None] = loop.create_future()
    loop.add_signal_handler(signal.SIGTERM, told.cancel)
    return told


class _Work:
    """One invocation."""

    def __init__(
        self, app: App, api: RuntimeApi, invocation: Next, state: dict[str, Any], is_buffered: bool | None
    ) -> None:
        self._app, self._api, self._invocation = app, api, invocation
        self._state, self._is_buffered = state, is_buffered
        left_s = max(0, invocation.deadline_ms / 1000 - time.time())
        self._end = asyncio.get_running_loop().time() + left_s
        self._deadline = self._end - min(_WIND_UP[0], left_s * _WIND_UP[1])
        self._hard_stop = self._end - min(_HARD_STOP[0], left_s * _HARD_STOP[1])
        self._beside: set[asyncio.Future[Any]] = set()
        self._is_over = False

    async def serve(self, event: bytes) -> None:
        """Answers it; returns when nothing of it is at work any more, or when its time is up."""
        hand_on(self._invocation.trace_id, os.environ)
        try:
            request = read_event(msgspec.json.decode(event))
        except (ValueError, RecursionError) as fault:
            _log.warning("an event was refused", extra={"reason": type(fault).__name__})
            sentence = str(fault) if isinstance(fault, UnknownEvent) else "The event cannot be read."
            await self._api.fail(self._invocation.id, Failure("Function.UnknownEvent", sentence))
            return
        exchange = self._exchange(request)
        task = asyncio.create_task(self._run(request, exchange))
        task.add_done_callback(_note)
        if is_late := not await self._have_ended({task}):
            await self._stop({task})
        left_s = max(self._end - asyncio.get_running_loop().time(), 0)
        await exchange.finish(_failure_of(task, is_late), left_s * _TAKING)
        while self._beside and await self._have_ended(self._beside):
            pass  # meanwhile there may be more
        self._is_over = True
        await self._stop(self._beside)

    def _exchange(self, request: HttpRequest) -> Exchange:
        is_buffered = not request.can_stream if self._is_buffered is None else self._is_buffered
        kind = Buffered if is_buffered else Streaming
        return kind(self._api, self._invocation.id, request)

    async def _run(self, request: HttpRequest, exchange: Exchange) -> None:
        scope = request.scope
        scope["state"] = self._state.copy()
        scope["aws.context"] = LambdaContext(self._invocation, os.environ)
        about = Invocation(self._invocation.id, self._deadline, self._hard_stop, self._wait_until)
        scope["extensions"] = {INVOCATION: about}
        await self._app(scope, exchange.receive, exchange.send)

    def _wait_until(self, work: "asyncio.Task[Any] | Coroutine[Any, Any, Any]") -> None:
        if self._is_over:
            raise RuntimeError("The invocation is over: nobody waits for this any more.")
        task = asyncio.ensure_future(work)
        task.add_done_callback(_note)
        task.add_done_callback(self._beside.discard)
        self._beside.add(task)

    async def _have_ended(self, tasks: "Collection[asyncio.Future[Any]]") -> bool:
        """Waits until `tasks` have ended, or until the hard stop."""
        left_s = self._hard_stop - asyncio.get_running_loop().time()
        return not (await asyncio.wait(tasks, timeout=max(left_s, 0)))[1]

    async def _stop(self, tasks: "Collection[asyncio.Future[Any]]") -> None:
        """Cancels what still runs, and gives it little time for that."""
        late = [task for task in tasks if not task.done()]
        if not late:
            return
        _log.error("the function's time is up", extra={"invocation": self._invocation.id})
        for task in late:
            task.cancel()
        await asyncio.wait(late, timeout=(self._end - self._hard_stop) * _CLEANING)


def _note(task: "asyncio.Future[Any]") -> None:
    """Logs what a task failed with: its kind and its place, and not its words."""
    if not task.cancelled() and (fault := task.exception()) is not None:
        _log.error("the app failed", exc_info=fault)


def _failure_of(task: "asyncio.Task[None]", is_late: bool) -> Failure | None:
    """Why an app gave no whole answer, if it did not; the log has more."""
    if is_late:
        return Failure("Function.Deadline", "The time was up before the answer was whole.", is_late=True)
    if task.cancelled() or task.exception() is not None:
        return Failure("Function.AppFailed", "The app failed; its log says more.")
    return None
