"""What is said of what goes wrong: to the client with the id of his request, to the server, and in the log."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from mcp.server import MCPServer

from tests.hosting.hurried import (
    Obedient,
    Refuses,
    anyio_backend,
    clock_of_the_loop,
    comes_true,
    http,
    store,
)
from tests.hosting.serving import (
    BOTH,
    MODERN,
    PATIENCE_S,
    Stage,
    a_server,
    bearers,
    modern,
    request,
    serving,
    tool,
)
from tests.hosting.test_logs import Log, log
from tests.hosting.wire import initialize
from tollbook.hosting import HostSettings, host
from tollbook.hosting.app import Authenticate, anyone
from tollbook.hosting.stores.memory import MemoryStore

__all__ = ["anyio_backend", "http", "log", "store"]

pytestmark = pytest.mark.anyio

UNKNOWN = "k5DzE2_QxTUvGd0H9eJm-bWq3pRsY7aL"


@asynccontextmanager
async def hosting(
    server: MCPServer[Any],
    store: MemoryStore,
    settings: HostSettings | None = None,
    *,
    authenticate: Authenticate = anyone,
) -> AsyncIterator[str]:
    async with serving(host(server, store, settings, authenticate=authenticate, clock=clock_of_the_loop())) as url:
        yield url


class TestARefusal:
    """Carries the id of the request that it answers.

    Source: https://modelcontextprotocol.io/specification/2025-11-25/basic#responses
    """

    async def test_for_want_of_a_session_has_its_requests_id(self, http: httpx2.AsyncClient, store: Obedient) -> None:
        async with hosting(a_server(), store) as url:
            for request_id in ("a", 0, -1, 2**70):
                headers = {**BOTH, "mcp-session-id": UNKNOWN}
                for message in (request("ping", request_id), tool("greet", request_id, name="Ann")):
                    is_refused(await http.post(url, json=message, headers=headers), 404, request_id)
                    is_refused(await http.post(url, json=message, headers=BOTH), 400, request_id)

    async def test_for_want_of_room_has_its_requests_id(
        self, http: httpx2.AsyncClient, store: Obedient, stage: Stage
    ) -> None:
        settings = HostSettings(running_calls=1, sessions_per_owner=1, sessions_in_all=2)
        async with hosting(a_server(stage), store, settings, authenticate=bearers) as url:
            http.headers["authorization"] = "Bearer ann"
            session = await initialize(http, url)
            is_refused(await http.post(url, json=hello("two"), headers=BOTH), 429, "two")
            running = asyncio.create_task(session.send(url, tool("slow", 1)))
            await comes_true(lambda: stage.entered)
            is_refused(await session.send(url, tool("greet", "three", name="Ann")), 503, "three")
            is_refused(await session.send(url, request("tools/list", "four")), 503, "four")
            whole, headers = modern(tool("greet", "five", name="Ann"))
            is_refused(await http.post(url, json=whole, headers=headers), 503, "five")
            stage.go.set()
            await running
            for name, status in (("bob", 200), ("cleo", 503)):
                http.headers["authorization"] = f"Bearer {name}"
                response = await http.post(url, json=hello(name), headers=BOTH)
                assert (response.status_code, response.json()["id"]) == (status, name)

    async def test_for_want_of_the_store_has_its_requests_id(self, http: httpx2.AsyncClient, store: Obedient) -> None:
        async with hosting(a_server(), store) as url:
            session = await initialize(http, url)
            store.before = Refuses("get")
            is_refused(await session.send(url, request("ping", "a")), 503, "a")
            store.before = Refuses("put", "call/")
            is_refused(await session.send(url, tool("greet", "b", name="Ann")), 503, "b")
            store.before = Refuses("add")
            is_refused(await http.post(url, json=hello("c"), headers=BOTH), 503, "c")

    async def test_for_a_crash_of_the_store_has_its_requests_id(
        self, http: httpx2.AsyncClient, store: Obedient
    ) -> None:
        async def breaks(*_: object) -> None:
            raise KeyError

        async with hosting(a_server(), store) as url:
            session = await initialize(http, url)
            store.before = breaks
            is_refused(await session.send(url, request("ping", "a")), 500, "a")

    @pytest.mark.parametrize("accept", ["application/json", "text/event-stream", "text/html"])
    async def test_for_what_the_client_does_not_accept_has_its_requests_id(
        self, http: httpx2.AsyncClient, store: Obedient, accept: str
    ) -> None:
        async with hosting(a_server(), store) as url:
            session = await initialize(http, url)
            message = tool("greet", "a", name="Ann")
            headers = {**session.headers, "accept": accept}
            is_refused(await http.post(url, json=message, headers=headers), 406, "a")
            whole, headers = modern(message)
            is_refused(await http.post(url, json=whole, headers={**headers, "accept": accept}), 406, "a")

    async def test_of_what_could_not_be_read_has_none(self, http: httpx2.AsyncClient, store: Obedient) -> None:
        async with hosting(a_server(), store, HostSettings(largest_body=1000)) as url:
            session = await initialize(http, url)
            is_json = {**session.headers, "content-type": "application/json"}
            is_refused(await http.post(url, content=b'{"id": 1', headers=is_json), 400, None)
            is_refused(await http.post(url, json=request("ping", 1, x="x" * 1000), headers=is_json), 413, None)
            is_refused(await http.post(url, content=b"{}", headers=session.headers), 415, None)
            is_refused(await http.post(url, json={**request("ping"), "id": None}, headers=is_json), 400, None)
            is_refused(await http.get(url, headers={**session.headers, "last-event-id": "x.1"}), 400, None)
            is_refused(await http.delete(url, headers={"mcp-session-id": UNKNOWN}), 404, None)


class TestAVersionThatIsNotServed:
    @pytest.mark.parametrize("version", ["2099-01-01", "1.0", "x"])
    async def test_is_refused_with_those_that_are(
        self, http: httpx2.AsyncClient, store: Obedient, version: str
    ) -> None:
        async with hosting(a_server(), store) as url:
            session = await initialize(http, url)
            headers = {**session.headers, "mcp-protocol-version": version, "last-event-id": "x.1"}
            refused: list[tuple[httpx2.Response, Any]] = [
                (await http.get(url, headers=headers), None),
                (await http.delete(url, headers=headers), None),
                (await http.post(url, json=tool("greet", "a", name="Ann"), headers=headers), "a"),
                (await http.post(url, json=request("ping", 7), headers=headers), 7),
                (await http.post(url, json={"jsonrpc": "2.0", "method": "x"}, headers=headers), None),
            ]
            for response, request_id in refused:
                error = is_refused(response, 400, request_id)
                assert error["data"] == {"supported": [MODERN], "requested": version}
            assert (await session.send(url, request("ping"))).status_code == 200


class TestTheLogOfAStream:
    """Of the handshake era, whose client has gone before its end, says so."""

    async def test_that_was_cut(self, http: httpx2.AsyncClient, store: Obedient, stage: Stage, log: Log) -> None:
        async with hosting(a_server(stage), store) as url:
            session = await initialize(http, url)
            async with session.calling(url, "slow", steps=1) as events:
                await anext(events)
            await comes_true(lambda: len(log.requests) == 2)
            stage.go.set()
        assert facts(log) == [("tools/call", "left")]

    @pytest.mark.parametrize("elsewhere", [False, True], ids=["same instance", "another instance"])
    async def test_that_was_resumed_and_cut_again(
        self, http: httpx2.AsyncClient, store: Obedient, stage: Stage, log: Log, elsewhere: bool
    ) -> None:
        async with hosting(a_server(stage), store) as here, hosting(a_server(), store) as there:
            session = await initialize(http, here)
            async with session.calling(here, "slow", steps=1) as events:
                first = await anext(events)
            async with session.resuming(there if elsewhere else here, str(first.id)) as events:
                await anext(events)
            await comes_true(lambda: len(log.requests) == 3)
            stage.go.set()
        assert facts(log) == [("tools/call", "left"), ("resume", "left")]

    async def test_that_stalled(self, http: httpx2.AsyncClient, store: Obedient, log: Log) -> None:
        async with hosting(a_server(), store) as url:
            session = await initialize(http, url)
            async with http.stream("POST", url, json=tool("big", size=16 << 20), headers=session.headers) as response:
                assert response.status_code == 200  # and takes nothing of it
                await comes_true(lambda: len(log.requests) == 2)
        assert facts(log) == [("tools/call", "left")]


def facts(log: Log) -> list[tuple[str, str]]:
    """Of all requests but the first, which opened the session."""
    return [(each["method"], each["outcome"]) for each in log.requests[1:]]


def from_itself() -> Exception:
    fault = RuntimeError("x")
    fault.__cause__ = fault
    return fault


def in_a_ring() -> Exception:
    one, other = RuntimeError("x"), ValueError("y")
    one.__cause__, other.__cause__ = other, one
    return one


@dataclass
class Unhashable(Exception):
    """Equal to others that say the same, as a dataclass is, and thus without a hash."""

    word: str


@pytest.mark.parametrize("fault", [from_itself, in_a_ring, lambda: Unhashable("x")], ids=["itself", "ring", "no hash"])
async def test_the_log_tells_of_an_exception_whatever_its_causes_are(
    http: httpx2.AsyncClient, store: Obedient, log: Log, fault: Callable[[], Exception]
) -> None:
    server: MCPServer[Any] = MCPServer("odd", version="1", log_level="ERROR")

    @server.tool()
    async def crashes() -> str:
        raise fault()

    async with hosting(server, store) as url:
        session = await initialize(http, url)
        with at_most(PATIENCE_S):
            await session.call(url, "crashes")
    (crash,) = [line for line in log.lines if line["level"] == "error"]
    assert crash["exception"] in ("RuntimeError", "ValueError", "Unhashable")


class TestTheServersLifespan:
    """As a web server drives it: https://asgi.readthedocs.io/en/latest/specs/lifespan.html."""

    async def test_that_ends_well_is_complete(self) -> None:
        assert await lived(fails="never") == ["lifespan.startup.complete", "lifespan.shutdown.complete", "closed"]

    async def test_that_fails_at_its_start_has_not_started(self) -> None:
        assert (await lived(fails="at its start"))[:1] == ["lifespan.startup.failed"]

    async def test_that_fails_at_its_end_had_started(self) -> None:
        said = await lived(fails="at its end")
        assert said[:2] == ["lifespan.startup.complete", "lifespan.shutdown.failed"]

    @pytest.mark.parametrize("fails", ["at its start", "at its end"])
    async def test_that_fails_lets_go_of_the_store_all_the_same(self, fails: str) -> None:
        assert "closed" in await lived(fails=fails)


async def lived(fails: str) -> list[str]:
    """What a host said in its life, and whether its store was closed."""
    said: list[str] = []
    coming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        if fails == "at its start":
            raise RuntimeError
        yield
        if fails == "at its end":
            raise RuntimeError

    class Closed(MemoryStore):
        async def aclose(self) -> None:
            closed.append("closed")

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        said.append(message["type"])

    closed: list[str] = []
    server: MCPServer[Any] = MCPServer("brief", version="1", log_level="ERROR", lifespan=lifespan)
    await host(server, Closed())({"type": "lifespan"}, receive, send)
    return said + closed


def hello(request_id: Any) -> dict[str, Any]:
    client = {"name": "test", "version": "1"}
    return request("initialize", request_id, protocolVersion="2025-11-25", capabilities={}, clientInfo=client)


def is_refused(response: httpx2.Response, status: int, request_id: Any) -> Any:
    """The error that it was refused with."""
    assert response.status_code == status, response.text
    document = response.json()
    assert sorted(document) == ["error", "id", "jsonrpc"]
    assert document["id"] == request_id
    return document["error"]


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Ends what would never end, even if it never gives way."""

    def ends(*_: object) -> None:
        raise TimeoutError

    usual = signal.signal(signal.SIGALRM, ends)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, usual)
