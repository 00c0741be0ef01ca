"""Runs an ASGI app: its lifespan once, then one invocation at a time, each answered while its answer is made."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import msgspec

from tollbook.hosting.invocation import INVOCATION, Invocation
from tollbook.hosting.runtime import events, snapshot
from tollbook.hosting.runtime.context import LambdaContext
from tollbook.hosting.runtime.exchange import Buffered, Exchange, Streaming
from tollbook.hosting.runtime.framing import Failure, Next
from tollbook.hosting.runtime.lifespan import App, lifespan
from tollbook.hosting.runtime.streaming_api import RuntimeApi

Result = TypeVar("Result")

_log: Final = logging.getLogger(__name__)

TRACE_ID: Final = "_X_AMZN_TRACE_ID"
"""Where AWS's SDKs look for it: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html"""
_WIND_UP: Final = (4.0, 0.25)
"""Before the end, in seconds, or as a part of what is left if that is less: when the app should have ended."""
_HARD_STOP: Final = (1.0, 0.15)
"""The same: when what still runs is cancelled."""
_CLEANING: Final = 0.3
"""Which part of the time after the hard stop is given to what was cancelled."""


async def run(app: App, address: str, *, is_buffered: bool | None = None) -> None:
    """Serves invocations until the process is told to stop.

    Args:
        address: of the Runtime API.
        is_buffered: whether answers are sent as one document; None decides by what each event shows.

    Raises:
        CannotStart: the app cannot; nothing was asked for yet.
        Unusable: the Runtime API is not there any more.
    """
    api = RuntimeApi(address)
    try:
        async with lifespan(app) as state:
            snapshot.wait(os.environ, address)
            stop = _told_to_stop()
            while (came := await _first(api.next(), stop)) is not None:
                invocation, event = came
                await _Work(app, api, invocation, state, is_buffered).serve(event)
    finally:
        api.close()


async def _first(wanted: Coroutine[Any, Any, Result], stop: asyncio.Future[None]) -> Result | None:
    """What `wanted` gives; None, if the process is told to stop before that."""
    waiting = asyncio.create_task(wanted)
    await asyncio.wait((waiting, stop), return_when=asyncio.FIRST_COMPLETED)
    if waiting.done():
        return waiting.result()
    waiting.cancel()
    return None


def _told_to_stop() -> asyncio.Future[None]:
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
        self._cleaning_s = (self._end - self._hard_stop) * _CLEANING
        self._beside: set[asyncio.Task[Any]] = set()

    async def serve(self, event: bytes) -> None:
        """Answers it; returns when nothing of it is at work any more."""
        _hand_on(self._invocation.trace_id)
        try:
            request = events.read_event(msgspec.json.decode(event))
        except (events.UnknownEvent, msgspec.DecodeError, RecursionError) as fault:
            _log.warning("an event was refused", extra={"reason": type(fault).__name__})
            sentence = str(fault) if isinstance(fault, events.UnknownEvent) else "The event cannot be read."
            await self._api.fail(self._invocation.id, Failure("Function.UnknownEvent", sentence))
            return
        exchange = self._exchange(request)
        task = asyncio.create_task(self._run(request, exchange))
        await self._until_hard_stop(task)
        await exchange.finish(_failure_of(task), max(self._end - asyncio.get_running_loop().time(), self._cleaning_s))
        while self._beside:
            await self._until_hard_stop(*self._beside)

    def _exchange(self, request: events.HttpRequest) -> Exchange:
        is_buffered = not request.can_stream if self._is_buffered is None else self._is_buffered
        kind = Buffered if is_buffered else Streaming
        return kind(self._api, self._invocation.id, request)

    async def _run(self, request: events.HttpRequest, exchange: Exchange) -> None:
        scope = request.scope
        scope["state"] = self._state.copy()
        scope["aws.context"] = LambdaContext(self._invocation, os.environ)
        scope["extensions"] = {INVOCATION: Invocation(self._invocation.id, self._deadline, self._wait_until)}
        await self._app(scope, exchange.receive, exchange.send)

    def _wait_until(self, task: asyncio.Task[Any]) -> None:
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _until_hard_stop(self, *tasks: asyncio.Task[Any]) -> None:
        """Waits for `tasks`; what still runs at the hard stop is cancelled, and given little time for it."""
        left_s = self._hard_stop - asyncio.get_running_loop().time()
        _, late = await asyncio.wait(tasks, timeout=max(left_s, 0))
        if late:
            _log.error("the function's time is up", extra={"invocation": self._invocation.id})
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=self._cleaning_s)
            self._beside.difference_update(late)


def _hand_on(trace_id: str) -> None:
    if trace_id:
        os.environ[TRACE_ID] = trace_id
    else:
        os.environ.pop(TRACE_ID, None)


def _failure_of(task: asyncio.Task[None]) -> Failure | None:
    """Why an app gave no whole answer, if it did not; the log has more."""
    if not task.done() or task.cancelled():
        return Failure("Function.Deadline", "The function's time was up before its answer was whole.")
    fault = task.exception()
    if fault is None:
        return None
    _log.error("the app failed", exc_info=fault)
    return Failure("Function.AppFailed", "The app failed; its log says more.")
