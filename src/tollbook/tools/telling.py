"""What a client is told while it waits."""

import math
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp_types import LoggingLevel

from tollbook.tools.asking import Stage, Tell
from tollbook.tools.settings import Settings

Result = TypeVar("Result")


async def say(context: Context[Any, Any], level: LoggingLevel, text: str) -> None:
    """Sends a log message to the client.

    Deprecated by the 2026-07-28 revision, but clients of the handshake era show it, and newer ones may opt in.
    """
    with warnings.catch_warnings():  # warns when it is called, not while it is awaited
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        sending = context.session.send_log_message(level, text, related_request_id=context.request_id)
    await sending


async def while_telling(
    context: Context[Any, Any], settings: Settings, work: Callable[[Tell], Awaitable[Result]]
) -> Result:
    """Does `work`, and passes on the stages it tells: not too often, and never long after the last.

    Raises:
        Exception: as `work` does.
    """
    telling, is_over = _Telling(context, settings), anyio.Event()
    outcome: list[Result] = []
    fault: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(telling.keep_on, is_over)
        try:
            outcome.append(await work(telling.tell))
        except Exception as raised:  # a task group would wrap it
            fault = raised
        is_over.set()  # and not cancelled: a notice that is being sent would be lost
    if fault is not None:
        raise fault
    await telling.pass_on()
    return outcome[0]


class _Telling:
    def __init__(self, context: Context[Any, Any], settings: Settings) -> None:
        self._context, self._settings = context, settings
        self._first: Stage | None = None
        self._latest: Stage | None = None
        self._told: Stage | None = None
        self._has_begun = False
        self._progress = -1.0
        self._last = anyio.current_time()

    def tell(self, stage: Stage) -> None:
        self._first = self._first or stage
        self._latest = stage

    async def keep_on(self, is_over: anyio.Event) -> None:
        while True:
            with anyio.move_on_after(self._settings.progress_s):
                await is_over.wait()
                return
            await self.pass_on()
            if anyio.current_time() - self._last >= self._settings.silence_s:
                await self._report(self._latest or Stage(0, 0, "still at it"))

    async def pass_on(self) -> None:
        """Tells the client what is new."""
        latest = self._latest
        if latest is None or latest == self._told:
            return
        if not self._has_begun:
            self._has_begun = True
            await say(self._context, "info", (self._first or latest).message)
        await self._report(latest)

    async def _report(self, stage: Stage) -> None:
        self._told, self._last = stage, anyio.current_time()
        # "The progress value MUST increase with each notification, even if the total is unknown."
        # https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/progress
        self._progress = max(stage.done, math.nextafter(self._progress, math.inf), 0.0)
        await self._context.report_progress(self._progress, stage.total or None, stage.message)
