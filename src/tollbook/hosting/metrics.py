"""What calls of tools took: counted here, and told in CloudWatch's embedded metric format or in any other."""

import asyncio
import logging
import math
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from tollbook.core import measures
from tollbook.core.jsonrpc import Request
from tollbook.core.measures import Measure
from tollbook.core.stores import Clock

_log: Final = logging.getLogger(__name__)

OTHER: Final = "other"
"""In place of a name that is no tool's."""

_LOOK_S: Final = 60.0  # between two looks at the list of tools
_PATIENCE_S: Final = 1.0  # for the list
_MOST_TOOLS: Final = 200
_MOST_METRICS: Final = 100
_FAILED: Final = ("tool_error", "error")


class ToolCall(msgspec.Struct, frozen=True):
    """A call of a tool that has ended.

    Attributes:
        tool: its name; `OTHER` if the server has no tool of that name.
        outcome: `result`, `tool_error`, `error` or `cancelled`.
        ms: milliseconds from the beginning of the work until its answer was there.
        measures: what was said of it with `tollbook.core.measures.add`.
    """

    tool: str
    outcome: str
    ms: float
    measures: Sequence[Measure]


Metrics = Callable[[ToolCall], None]
"""Is told of each call of a tool, when it has ended."""

ListTools = Callable[[], Awaitable[Collection[str]]]
"""Gives the names of a server's tools."""


class Meter:
    """Measures calls of tools, where somebody wants to be told of them.

    Names come from outside, and whoever counts by name pays for each: only those of tools are handed on.
    """

    def __init__(self, metrics: Metrics | None, list_tools: ListTools) -> None:
        self._metrics, self._list_tools = metrics, list_tools
        self._known: Collection[str] = frozenset()
        self._looked_at = -math.inf
        self._looking = asyncio.Lock()

    @contextmanager
    def measuring(self, request: Request) -> Iterator["Measured"]:
        """Measures the work that is done in the block. If that ends by an exception, it is told of at once."""
        with measures.hearing() as heard:
            measured = Measured(request, heard)
            try:
                yield measured
            except BaseException:
                measured.end("cancelled")
                self._tell(measured)
                raise

    async def tell(self, measured: "Measured") -> None:
        """Hands on what was measured. The server is asked for its tools where the name is not known yet."""
        try:
            if self._metrics is not None and measured.tool is not None:
                await self._look(measured.tool)
        finally:
            self._tell(measured)

    async def _look(self, wanted: str) -> None:
        """Looks for a name among the server's tools, unless it is known or they were looked at just now."""
        if wanted in self._known:
            return
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if now < self._looked_at + _LOOK_S:
                return
            self._looked_at = now
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    found = await self._list_tools()
            except Exception as fault:  # whatever it is, the call was answered
                _log.warning("the server's tools cannot be listed", extra={"reason": type(fault).__name__})
            else:
                self._known = frozenset(sorted(found)[:_MOST_TOOLS])

    def _tell(self, measured: "Measured") -> None:
        if self._metrics is None or measured.tool is None:
            return
        tool = measured.tool if measured.tool in self._known else OTHER
        try:
            self._metrics(ToolCall(tool, measured.outcome, measured.ms, tuple(measured.heard)))
        except Exception:
            _log.exception("a call's metrics could not be told")


class Measured:
    """What is known of one request while it is worked on.

    Attributes:
        tool: the one that is called, as the caller names it; None if none is.
    """

    def __init__(self, request: Request, heard: Sequence[Measure]) -> None:
        name = (request.params or {}).get("name") if request.method == "tools/call" else None
        self.tool = name if isinstance(name, str) else None
        self.heard, self.outcome, self.ms = heard, "", 0.0
        self._began = asyncio.get_running_loop().time()

    def end(self, outcome: str) -> None:
        """Notes that its answer is there, if it is not yet noted."""
        if not self.outcome:
            self.outcome, self.ms = outcome, (asyncio.get_running_loop().time() - self._began) * 1000


def embedded_metrics(
    namespace: str, *, write: Callable[[str], None] | None = None, clock: Clock = time.time
) -> Metrics:
    """Writes each call as a line of JSON, of which CloudWatch Logs makes metrics: by tool, and of all tools together.

    `Calls`, `Errors` (0 or 1) and `Latency` in milliseconds; and whatever was said of the call, added up by its name.
    The outcome stands beside them, and makes no metric.

    Args:
        namespace: that of the metrics.
        write: takes a line with its end; by default it goes to the standard output, as Lambda wants it.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    write = write or _write_out

    def tell(call: ToolCall) -> None:
        own = [
            Measure("Calls", 1, "Count"),
            Measure("Errors", int(call.outcome in _FAILED), "Count"),
            Measure("Latency", round(call.ms, 1), "Milliseconds"),
        ]
        taken = {"_aws", "tool", "outcome", *(each.name for each in own)}
        sums: dict[str, Measure] = {}
        for each in call.measures:
            before = sums.get(each.name)
            total = float(each.value) + (before.value if before else 0)
            if each.name and each.name not in taken and math.isfinite(total):
                sums[each.name] = msgspec.structs.replace(each, value=total)
        metrics = [*own, *sums.values()][:_MOST_METRICS]
        directive = {
            "Namespace": namespace,
            "Dimensions": [["tool"], []],
            "Metrics": [{"Name": each.name, "Unit": each.unit} for each in metrics],
        }
        document: dict[str, Any] = {"_aws": {"Timestamp": int(clock() * 1000), "CloudWatchMetrics": [directive]}}
        document |= {"tool": call.tool, "outcome": call.outcome, **{each.name: each.value for each in metrics}}
        write(msgspec.json.encode(document).decode() + "\n")

    return tell


def _write_out(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()  # before the invocation ends: what is in a buffer then is frozen with the process
