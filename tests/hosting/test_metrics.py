"""What is told of each call of a tool when it has ended, as CloudWatch reads it."""

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import httpx2
import pytest
from mcp.server import MCPServer
from mcp.server.lowlevel.server import Server
from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool

from tests.hosting.serving import (
    PATIENCE_S,
    SetClock,
    Stage,
    a_server,
    bearers,
    modern,
    request,
    serving,
    text_of,
    tool,
    until,
)
from tests.hosting.wire import initialize
from tollbook.core import measures
from tollbook.core.stores import Record
from tollbook.hosting import HostSettings, embedded_metrics, host
from tollbook.hosting.app import Authenticate, anyone
from tollbook.hosting.invocation import INVOCATION, Invocation
from tollbook.hosting.sdk import AnyServer
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

UNITS: Final = {"Calls": "Count", "Errors": "Count", "Latency": "Milliseconds"}
Serve = Callable[..., AbstractAsyncContextManager[str]]


class Lines:
    """What was written."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.texts]

    @property
    def calls(self) -> list[tuple[str, str]]:
        """Which tool, and how it ended."""
        return [(each["tool"], each["outcome"]) for each in self.documents]

    def metrics(self, number: int = -1) -> dict[str, tuple[Any, str]]:
        """The metrics that CloudWatch makes of a line, with their units.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
        """
        document = self.documents[number]
        ((directive,), timestamp) = document["_aws"]["CloudWatchMetrics"], document["_aws"]["Timestamp"]
        assert timestamp == 1_800_000_000_250
        assert directive["Dimensions"] == [["tool"], []]
        assert directive["Namespace"] == "small"
        assert isinstance(document["tool"], str)
        names = [each["Name"] for each in directive["Metrics"]]
        assert len(set(names)) == len(names) <= 100
        assert all(type(document[name]) in (int, float) for name in names)
        return {each["Name"]: (document[each["Name"]], each["Unit"]) for each in directive["Metrics"]}


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def measured(lines: Lines, store: MemoryStore, clock: SetClock) -> Serve:
    """Serves a server whose calls are measured."""

    def measured(
        server: AnyServer,
        settings: HostSettings | None = None,
        *,
        authenticate: Authenticate = anyone,
        write: Callable[[str], None] = lines.texts.append,
    ) -> AbstractAsyncContextManager[str]:
        metrics = embedded_metrics("small", write=write, clock=clock)
        return serving(host(server, store, settings, authenticate=authenticate, metrics=metrics, clock=clock))

    return measured


async def call_of_2026(http: httpx2.AsyncClient, url: str, name: str, /, **arguments: Any) -> httpx2.Response:
    message, headers = modern(tool(name, **arguments))
    return await http.post(url, json=message, headers=headers)


async def test_each_call_of_a_tool_is_one_line_in_either_era(
    http: httpx2.AsyncClient, measured: Serve, lines: Lines
) -> None:
    async with measured(a_server()) as url:
        session = await initialize(http, url)
        await session.send(url, request("tools/list"))
        await session.send(url, request("ping"))
        await session.send(url, request("prompts/get", name="greet"))
        await session.send(url, tool("greet", name="Ann"))
        await session.send(url, tool("greet"))
        await session.send(url, tool("crashes"))
        await call_of_2026(http, url, "greet", name="Ann")
        await call_of_2026(http, url, "crashes")
        await session.end(url)
        await until(lambda: len(lines.texts) == 5)
    right, wrong = ("greet", "result"), ("crashes", "tool_error")
    assert lines.calls == [right, ("greet", "tool_error"), wrong, right, wrong]
    for number, errors in enumerate((0, 1, 1, 0, 1)):
        metrics = lines.metrics(number)
        assert {name: unit for name, (_, unit) in metrics.items()} == UNITS
        assert (metrics["Calls"][0], metrics["Errors"][0]) == (1, errors)
        assert metrics["Latency"][0] >= 0
    assert all(text.endswith("}\n") and text.count("\n") == 1 for text in lines.texts)


async def test_a_line_tells_nobodys_name_and_nothing_that_he_sent(
    http: httpx2.AsyncClient, measured: Serve, lines: Lines
) -> None:
    http.headers["authorization"] = "Bearer mark5f3e"
    async with measured(a_server(), authenticate=bearers) as url:
        session = await initialize(http, url)
        await session.send(url, tool("greet", name="mark5f3e"))
        await session.send(url, tool("mark5f3e", "mark5f3e", mark5f3e="mark5f3e"))
        await session.send(url, request("tools/call", name=["mark5f3e"]))
        await call_of_2026(http, url, "mark5f3e")
        await until(lambda: len(lines.texts) == 3)
    assert "mark5f3e" not in "".join(lines.texts)
    assert session.id not in "".join(lines.texts)
    assert [set(document) - {"_aws"} for document in lines.documents] == [{"tool", "outcome", *UNITS}] * 3


async def test_names_that_are_no_tools_make_no_metrics_of_their_own(
    http: httpx2.AsyncClient, measured: Serve, lines: Lines
) -> None:
    """Each would be a metric more on the bill."""
    counting = LowLevel()
    async with measured(counting.server) as url:
        session = await initialize(http, url)
        for number in range(20):
            await session.send(url, tool(f"invented-{number}"))
        for name in ("first", "second"):
            await session.send(url, tool(name))
        await until(lambda: len(lines.texts) == 22)
    assert [name for name, _ in lines.calls] == ["other"] * 20 + ["first", "second"]
    assert counting.listed == 2  # the two pages of the list, once


class LowLevel:
    """A server of the SDK's lower level, with a tool on each of the two pages of its list."""

    def __init__(self, list_tools: Callable[[], Awaitable[None]] | None = None) -> None:
        self.listed = 0

        async def on_list(_context: Any, params: Any) -> ListToolsResult:
            if list_tools is not None:
                await list_tools()
            self.listed += 1
            is_second = params is not None and params.cursor == "second"
            tools = [Tool(name="second" if is_second else "first", input_schema={"type": "object"})]
            return ListToolsResult(tools=tools, next_cursor=None if is_second else "second")

        async def on_call(_context: Any, params: Any) -> CallToolResult:
            return CallToolResult(content=[TextContent(text="done")], is_error=params.name.startswith("invented"))

        self.server: Server[Any] = Server("low", on_list_tools=on_list, on_call_tool=on_call)


async def test_a_server_that_cannot_list_its_tools_is_measured_as_a_whole(
    http: httpx2.AsyncClient, measured: Serve, lines: Lines, logged: Callable[[], str]
) -> None:
    async def fails() -> None:
        raise RuntimeError

    async def hangs() -> None:
        await asyncio.Event().wait()

    for number, listing in enumerate((fails, hangs), 1):
        async with measured(LowLevel(listing).server) as url:
            response = await call_of_2026(http, url, "first")
            assert text_of(response) == "done"
            await until(lambda number=number: len(lines.texts) == number)  # type: ignore[misc]
    assert lines.calls == [("other", "result")] * 2
    assert logged().count("the server's tools cannot be listed") == 2


async def test_a_tool_that_is_added_later_gets_its_name_when_the_list_is_read_again(
    http: httpx2.AsyncClient, measured: Serve, lines: Lines
) -> None:
    server = a_server()
    server.tool(name="before")(lambda: "done")
    async with measured(server) as url:
        server.tool(name="early")(lambda: "done")
        await call_of_2026(http, url, "before")
        await call_of_2026(http, url, "early")
        server.tool(name="late")(lambda: "done")
        await call_of_2026(http, url, "late")  # within the minute
        await until(lambda: len(lines.texts) == 3)
    assert [name for name, _ in lines.calls] == ["before", "early", "other"]


class TestWhatIsSaidOfACall:
    """A server says what its calls took with `tollbook.core.measures.add`."""

    @pytest.fixture
    def server(self) -> MCPServer[Any]:
        server: MCPServer[Any] = MCPServer("small", log_level="ERROR")
        both = threading.Barrier(2)

        @server.tool()
        async def scans(pages: int) -> str:
            for _ in range(pages):
                measures.add("ScannedBytes", 1000, "Bytes")
                await asyncio.to_thread(measures.add, "ScanDollars", 0.25)
            return "done"

        @server.tool()
        def meets(weight: int) -> str:
            """Runs in a thread, as every tool without `async`; says half before it meets the other, half after."""
            measures.add("Weight", weight)
            both.wait(PATIENCE_S)
            measures.add("Weight", weight)
            return "done"

        @server.tool()
        async def boasts() -> str:
            for name in ("Calls", "Latency", "tool", "outcome", "_aws"):
                measures.add(name, 1_000_000)
            measures.add("Endless", float("inf"))
            measures.add("Nothing", float("nan"))
            for number in range(200):
                measures.add(f"Number{number}", number)
            return "done"

        return server

    async def test_is_added_up_by_its_name(
        self, http: httpx2.AsyncClient, measured: Serve, lines: Lines, server: MCPServer[Any]
    ) -> None:
        async with measured(server) as url:
            session = await initialize(http, url)
            await session.send(url, tool("scans", pages=3))
            await session.send(url, tool("scans", pages=0))
            await until(lambda: len(lines.texts) == 2)
        taken = {"ScannedBytes": (3000, "Bytes"), "ScanDollars": (0.75, "None")}
        assert {name: each for name, each in lines.metrics(0).items() if name not in UNITS} == taken
        assert lines.metrics(1).keys() == UNITS.keys()

    async def test_is_said_of_that_call_and_of_no_other_at_work(
        self, http: httpx2.AsyncClient, measured: Serve, lines: Lines, server: MCPServer[Any]
    ) -> None:
        async with measured(server) as url:
            await asyncio.gather(*(call_of_2026(http, url, "meets", weight=weight) for weight in (1, 100)))
            await until(lambda: len(lines.texts) == 2)
        assert sorted(lines.metrics(number)["Weight"][0] for number in range(2)) == [2, 200]

    async def test_can_neither_change_the_hosts_own_figures_nor_break_the_line(
        self, http: httpx2.AsyncClient, measured: Serve, lines: Lines, server: MCPServer[Any]
    ) -> None:
        async with measured(server) as url:
            await call_of_2026(http, url, "boasts")
            await until(lambda: lines.texts)
        metrics = lines.metrics()
        assert metrics["Calls"] == (1, "Count")
        assert metrics["Latency"][0] < 1_000_000
        assert not {"Endless", "Nothing", "tool", "outcome"} & metrics.keys()
        assert len(metrics) == 100
        assert lines.calls == [("boasts", "result")]

    async def test_is_lost_on_nobody_where_nobody_listens(self) -> None:
        measures.add("ScannedBytes", 1)


async def test_a_call_is_told_of_once_when_it_ends_however_that_comes(
    http: httpx2.AsyncClient, measured: Serve, lines: Lines, stage: Stage
) -> None:
    async with measured(a_server(stage), HostSettings(unheard_s=0.5)) as url:
        session = await initialize(http, url)
        async with session.calling(url, "slow", 7) as events:
            await anext(events)
            await session.send(url, {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}})
            assert [event async for event in events]
        async with session.calling(url, "slow", 8) as events:
            await anext(events)
        message, headers = modern(tool("slow"))
        async with http.stream("POST", url, json=message, headers=headers) as response:
            await anext(response.aiter_lines())
        await until(lambda: len(lines.texts) == 3)
        assert stage.cancelled == 3
    assert lines.calls == [("slow", "cancelled")] * 3
    assert [lines.metrics(number)["Errors"][0] for number in range(3)] == [0, 0, 0]


async def test_a_call_that_goes_on_without_its_connection_is_told_of_in_the_end(
    http: httpx2.AsyncClient, measured: Serve, lines: Lines, stage: Stage
) -> None:
    async with measured(a_server(stage)) as url:
        session = await initialize(http, url)
        async with session.calling(url, "slow", 5) as events:
            first = await anext(events)
        await until(lambda: stage.entered == 1)
        assert lines.texts == []
        async with session.resuming(url, str(first.id)) as events:
            stage.go.set()
            assert [event async for event in events]
        await until(lambda: lines.texts)
    assert lines.calls == [("slow", "result")]


async def test_each_request_of_a_batch_is_a_line(http: httpx2.AsyncClient, measured: Serve, lines: Lines) -> None:
    async with measured(a_server()) as url:
        session = await initialize(http, url, "2025-03-26")
        await session.send(url, [tool("greet", 1, name="Ann"), request("ping", 2), tool("crashes", 3)])
        await until(lambda: len(lines.texts) == 2)
    assert lines.calls == [("greet", "result"), ("crashes", "tool_error")]


async def test_a_line_that_cannot_be_written_costs_the_caller_nothing(
    http: httpx2.AsyncClient, measured: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_line: str) -> None:
        raise BrokenPipeError

    async with measured(a_server(), write=fails) as url:
        for _ in range(2):
            assert text_of(await call_of_2026(http, url, "greet", name="Ann")) == "Hello, Ann!"
        await until(lambda: caplog.text.count("a call's metrics could not be told") == 2)
    assert logging.getLogger("tollbook").getEffectiveLevel() <= logging.ERROR


class Stuck(MemoryStore):
    """Takes the answer of a call, and never says so."""

    is_stuck = False
    waiting = 0

    async def put(self, record: Record) -> None:
        await super().put(record)
        if self.is_stuck and b"Hello" in record.value:
            self.waiting += 1
            await asyncio.Event().wait()


class TestOnLambda:
    """Where a process is frozen as soon as its invocation has ended."""

    async def test_a_line_is_written_before_the_invocation_ends(self, lines: Lines, clock: SetClock) -> None:
        stage = Stage()
        written, at_the_end = await self.invoked(lines, clock, stage, deadline_s=PATIENCE_S)
        assert written == 0
        assert at_the_end == [("slow", "result")]

    async def test_so_is_that_of_a_call_that_its_deadline_ends(self, lines: Lines, clock: SetClock) -> None:
        _, at_the_end = await self.invoked(lines, clock, Stage(), deadline_s=0.2)
        assert at_the_end == [("slow", "cancelled")]

    async def test_and_that_of_a_call_whose_answer_cannot_be_kept_in_time(self, lines: Lines, clock: SetClock) -> None:
        """It was answered, and whoever listens has heard so."""
        store = Stuck(clock)
        metrics = embedded_metrics("small", write=lines.texts.append, clock=clock)
        app = host(a_server(), store, metrics=metrics, clock=clock)
        async with serving(app) as url, httpx2.AsyncClient(timeout=10) as http:
            session = await initialize(http, url)
            before = asyncio.all_tasks()
            store.is_stuck = True
            calling = asyncio.create_task(session.send(url, tool("greet", name="Ann")))
            await until(lambda: store.waiting)
            for task in asyncio.all_tasks() - before - {calling}:
                task.cancel()
            await until(lambda: lines.texts)
            calling.cancel()
            await asyncio.wait((calling,))
        assert [outcome for _, outcome in lines.calls] == ["result"]

    async def test_and_that_of_a_call_that_is_cut_off(self, lines: Lines, clock: SetClock) -> None:
        _, at_the_end = await self.invoked(lines, clock, Stage(), deadline_s=PATIENCE_S, is_cut_off=True)
        # Perhaps there was no time to look whether there is such a tool.
        assert [outcome for _, outcome in at_the_end] == ["cancelled"]

    async def invoked(
        self, lines: Lines, clock: SetClock, stage: Stage, *, deadline_s: float, is_cut_off: bool = False
    ) -> tuple[int, list[tuple[str, str]]]:
        """How many lines there are while a call waits, and which when the last of its invocation has ended."""
        metrics = embedded_metrics("small", write=lines.texts.append, clock=clock)
        app = host(a_server(stage), MemoryStore(clock), metrics=metrics, clock=clock)
        message, headers = modern(tool("slow"))
        beside: list[asyncio.Task[Any]] = []
        deadline = asyncio.get_running_loop().time() + deadline_s
        invocation = Invocation("i-1", deadline, deadline + 1, beside.append)
        given = {"host": "localhost", "content-type": "application/json", **headers}
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/mcp",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "extensions": {INVOCATION: invocation},
        }
        coming = [{"type": "http.request", "body": json.dumps(message).encode()}]

        async def receive() -> Any:
            return coming.pop() if coming else await asyncio.Event().wait()

        async def send(_event: Any) -> None:
            """Nobody reads it."""

        before = asyncio.all_tasks()
        answering = asyncio.create_task(app(scope, receive, send))
        await until(lambda: stage.entered == 1)
        written = len(lines.texts)
        if is_cut_off:
            for task in asyncio.all_tasks() - before:
                task.cancel()
        elif deadline_s == PATIENCE_S:
            stage.go.set()
        await asyncio.wait((answering, *beside), timeout=PATIENCE_S)
        return written, lines.calls
