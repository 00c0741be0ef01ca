"""Each revision of the protocol is spoken as it was written."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp_types import ElicitRequestParams, ElicitResult, LoggingMessageNotificationParams, TextContent

from tests.hosting.serving import (
    BOTH,
    MODERN,
    Serve,
    SetClock,
    Stage,
    a_server,
    messages,
    modern,
    request,
    serving,
    text_of,
    tool,
    until,
)
from tests.hosting.wire import Wire, initialize
from tollbook.hosting import host
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

HANDSHAKES = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
BATCHES = "2025-03-26"


def notification(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def error_of(response: httpx2.Response, status: int, code: int) -> Any:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
    error = response.json()["error"]
    assert error["code"] == code
    return error


@pytest.fixture(scope="module")
async def url() -> AsyncIterator[str]:
    """A host for all tests that need none of their own."""
    async with serving(host(a_server(), MemoryStore())) as served:
        yield served


class TestEveryHandshake:
    @pytest.mark.parametrize("version", HANDSHAKES)
    async def test_agrees_on_the_version_that_was_asked_for(
        self, http: httpx2.AsyncClient, url: str, version: str
    ) -> None:
        session = await initialize(http, url, version)
        assert session.version == version
        accepted = await session.send(url, notification("notifications/initialized"))
        assert (accepted.status_code, accepted.content) == (202, b"")
        assert (await session.send(url, request("ping", "p"))).json() == {"jsonrpc": "2.0", "id": "p", "result": {}}
        assert text_of(await session.send(url, tool("greet", name="Ann"))) == "Hello, Ann!"
        assert (await session.end(url)).status_code == 200

    @pytest.mark.parametrize("version", ["1999-01-01", "2026-07-28", "x", ""])
    async def test_offers_its_newest_where_it_does_not_know_the_version(
        self, http: httpx2.AsyncClient, url: str, version: str
    ) -> None:
        assert (await initialize(http, url, version)).version == "2025-11-25"

    async def test_must_be_whole(self, http: httpx2.AsyncClient, serve: Serve, store: MemoryStore) -> None:
        async with serve() as url:
            broken: list[dict[str, Any]] = [
                {},
                {"protocolVersion": 5, "capabilities": {}, "clientInfo": {}},
                {"capabilities": []},
            ]
            for params in broken:
                response = await http.post(url, json=request("initialize", 3, **params), headers=BOTH)
                error_of(response, 400, -32602)
                assert response.json()["id"] == 3
            assert store.held == 0

    async def test_advertises_logs_and_no_subscriptions(self, http: httpx2.AsyncClient, url: str) -> None:
        client = {"name": "test", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        response = await http.post(url, json=request("initialize", 0, **params), headers=BOTH)
        capabilities = response.json()["result"]["capabilities"]
        assert capabilities["logging"] == {}
        assert not capabilities.get("resources", {}).get("subscribe")
        assert not any(each.get("listChanged") for each in capabilities.values())
        session = await initialize(http, url)
        for method in ("resources/subscribe", "resources/unsubscribe", "subscriptions/listen"):
            (answer,) = messages(await session.send(url, request(method, uri="file:///x")))
            assert answer["error"]["code"] == -32601


class TestTheFirstEvent:
    async def test_of_2025_11_25_is_a_place_to_resume_from_and_comes_before_the_work_is_done(
        self, http: httpx2.AsyncClient, serve: Serve, stage: Stage
    ) -> None:
        async with serve() as url:
            session = await initialize(http, url)
            message = tool("slow", steps=0)
            async with http.stream("POST", url, json=message, headers=session.headers) as response:
                assert response.headers["content-type"] == "text/event-stream"
                assert response.headers["cache-control"] == "no-cache, no-transform"
                assert response.headers["mcp-session-id"] == session.id
                lines = response.aiter_lines()
                priming = [await anext(lines) for _ in range(4)]
                fields = dict(line.split(":", 1) for line in priming[:3])
                assert fields.keys() == {"id", "retry", "data"}
                assert fields["id"].strip()
                assert int(fields["retry"]) > 0
                assert fields["data"].strip() == ""
                assert priming[3] == ""
                stage.go.set()
                assert [line async for line in lines]

    @pytest.mark.parametrize("version", HANDSHAKES[:-1])
    async def test_of_older_ones_has_data_as_their_clients_expect(
        self, http: httpx2.AsyncClient, url: str, version: str
    ) -> None:
        session = await initialize(http, url, version)
        response = await session.send(url, tool("slow", steps=1, waits=False))
        data = [line for line in response.text.split("\n") if line.startswith("data:")]
        assert len(data) == 4
        assert [json.loads(line[5:])["jsonrpc"] for line in data] == ["2.0"] * 4
        assert "retry:" not in response.text

    @pytest.mark.parametrize("version", HANDSHAKES)
    async def test_does_not_keep_a_client_waiting_for_the_head_of_the_response(
        self, http: httpx2.AsyncClient, serve: Serve, version: str, stage: Stage
    ) -> None:
        async with serve() as url:
            session = await initialize(http, url, version)
            async with asyncio.timeout(3):
                async with http.stream("POST", url, json=tool("slow", steps=0), headers=session.headers) as response:
                    assert response.status_code == 200
                    stage.go.set()
                    assert await response.aread()


class TestABatch:
    @pytest.fixture
    async def batching(self, http: httpx2.AsyncClient, serve: Serve) -> Any:
        async with serve() as url:
            yield url, await initialize(http, url, BATCHES)

    async def test_of_requests_and_notifications_answers_every_request(self, batching: tuple[str, Wire]) -> None:
        url, session = batching
        response = await session.send(
            url,
            [
                tool("greet", "a", name="Ann"),
                notification("notifications/initialized"),
                tool("slow", 2, steps=1, waits=False),
                request("nope", 3),
            ],
        )
        assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream")
        answers = [each for each in messages(response) if "id" in each]
        assert [each["id"] for each in answers] == ["a", 2, 3]
        assert answers[0]["result"]["content"][0]["text"] == "Hello, Ann!"
        assert answers[2]["error"]["code"] == -32601
        assert [each["method"] for each in messages(response) if "method" in each]

    async def test_of_notifications_and_answers_is_taken_in(self, batching: tuple[str, Wire]) -> None:
        url, session = batching
        answer = {"jsonrpc": "2.0", "id": "ask-1", "result": {}}
        response = await session.send(url, [notification("notifications/initialized"), answer])
        assert (response.status_code, response.content) == (202, b"")

    async def test_has_1_to_32_messages_and_no_initialize(self, batching: tuple[str, Wire]) -> None:
        url, session = batching
        whole = await session.send(url, [request("ping", number) for number in range(32)])
        assert [each["id"] for each in messages(whole)] == [*range(32)]
        error_of(await session.send(url, [request("ping", number) for number in range(33)]), 400, -32600)
        error_of(await session.send(url, []), 400, -32600)
        error_of(await session.send(url, [request("ping", 1), request("initialize", 2)]), 400, -32600)
        error_of(await session.send(url, [request("ping", 1), {"id": 2}]), 400, -32600)
        error_of(await session.send(url, [request("ping", 1), [request("ping", 2)]]), 400, -32600)

    async def test_of_no_session_is_refused(self, http: httpx2.AsyncClient, url: str) -> None:
        error_of(await http.post(url, json=[request("ping")], headers=BOTH), 400, -32600)
        error_of(await http.post(url, json=[], headers={**BOTH, "mcp-session-id": "x" * 30}), 404, -32600)

    async def test_can_be_resumed(self, batching: tuple[str, Wire]) -> None:
        url, session = batching
        response = await session.send(url, [tool("greet", 1, name="Ann"), tool("greet", 2, name="Bob")])
        first = next(line[4:] for line in response.text.split("\n") if line.startswith("id: "))
        async with session.resuming(url, first) as events:
            assert [event.message["id"] async for event in events] == [2]

    async def test_of_which_one_request_is_cancelled_answers_the_others(
        self, http: httpx2.AsyncClient, serve: Serve, stage: Stage
    ) -> None:
        async with serve() as url:
            session = await initialize(http, url, BATCHES)
            batch = [tool("slow", 1), tool("greet", 2, name="Ann")]
            running = asyncio.create_task(session.send(url, batch))
            await until(lambda: stage.entered)
            await session.send(url, notification("notifications/cancelled", requestId=1))
            answers = {each["id"]: each for each in messages(await running) if "id" in each}
            assert stage.cancelled == 1
            assert answers[2]["result"]["content"][0]["text"] == "Hello, Ann!"

    async def test_sets_the_level_of_logs_as_a_request_of_its_own_does(self, batching: tuple[str, Wire]) -> None:
        url, session = batching
        (answer,) = messages(await session.send(url, [request("logging/setLevel", 1, level="error")]))
        assert answer == {"jsonrpc": "2.0", "id": 1, "result": {}}


class TestTheLevelOfLogs:
    async def test_holds_from_the_next_call_on_wherever_it_is_made(
        self, http: httpx2.AsyncClient, serve: Serve, store: MemoryStore, clock: SetClock
    ) -> None:
        async with serve() as here, serving(host(a_server(), store, clock=clock)) as there:
            session, other = await initialize(http, here), await initialize(http, here)
            assert await levels(session, here) == ["debug", "info", "warning", "error"]
            response = await session.send(here, request("logging/setLevel", "l", level="warning"))
            assert response.json() == {"jsonrpc": "2.0", "id": "l", "result": {}}
            assert await levels(session, here) == ["warning", "error"]
            assert await levels(session, there) == ["warning", "error"]
            assert await levels(other, there) == ["debug", "info", "warning", "error"]
            await session.send(there, request("logging/setLevel", level="emergency"))
            assert await levels(session, here) == []
            clock.now += 1000
            assert await levels(session, here) == []
            await session.send(there, request("logging/setLevel", level="debug"))
            assert await levels(session, here) == ["debug", "info", "warning", "error"]

    @pytest.mark.parametrize("level", ["loud", "", "WARNING", None, 3, [], {}])
    async def test_is_one_of_eight(self, http: httpx2.AsyncClient, url: str, level: Any) -> None:
        session = await initialize(http, url)
        error_of(await session.send(url, request("logging/setLevel", level=level)), 200, -32602)


async def levels(session: Wire, url: str) -> list[str]:
    said = messages(await session.send(url, tool("says_all_levels")))
    assert said[-1]["result"]["content"][0]["text"] == "said"
    return [each["params"]["level"] for each in said[:-1]]


class TestAModernRequest:
    async def test_needs_no_session_and_gets_json(self, http: httpx2.AsyncClient, url: str) -> None:
        whole, headers = modern(tool("greet", "g", name="Ann"))
        response = await http.post(url, json=whole, headers=headers)
        assert response.headers["content-type"] == "application/json"
        assert "mcp-session-id" not in response.headers
        assert (response.json()["id"], text_of(response)) == ("g", "Hello, Ann!")

    async def test_gets_a_stream_without_ids_where_there_is_something_to_tell_before(
        self, http: httpx2.AsyncClient, url: str
    ) -> None:
        whole, headers = modern(tool("slow", steps=2, waits=False))
        response = await http.post(url, json=whole, headers=headers)
        assert response.headers["content-type"] == "text/event-stream"
        assert [each.get("method") for each in messages(response)] == ["notifications/progress"] * 3 + [None]
        assert "id: " not in response.text

    async def test_of_a_version_that_is_not_served_is_told_which_are(self, http: httpx2.AsyncClient, url: str) -> None:
        for version in ("2099-01-01", "x", "1"):
            whole, headers = modern(tool("greet", name="Ann"))
            whole["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = version
            headers["mcp-protocol-version"] = version
            error = error_of(await http.post(url, json=whole, headers=headers), 400, -32022)
            assert error["data"] == {"supported": [MODERN], "requested": version}
            note = notification("notifications/cancelled", requestId=1)
            error = error_of(await http.post(url, json=note, headers=headers), 400, -32022)
            assert error["data"]["supported"] == [MODERN]

    async def test_says_the_same_in_its_headers_and_its_body(self, http: httpx2.AsyncClient, url: str) -> None:
        whole, headers = modern(tool("greet", "m", name="Ann"))
        for change in (
            {"mcp-method": "tools/list"},
            {"mcp-method": None},
            {"mcp-name": "other"},
            {"mcp-name": None},
            {"mcp-protocol-version": None},
            {"mcp-protocol-version": "2025-11-25"},
            {"mcp-protocol-version": "2099-01-01"},
        ):
            given = {name: value for name, value in {**headers, **change}.items() if value is not None}
            response = await http.post(url, json=whole, headers=given)
            error_of(response, 400, -32020)
            assert response.json()["id"] == "m"
        twice = [*headers.items(), ("mcp-method", "tools/call")]
        error_of(await http.post(url, json=whole, headers=twice), 400, -32020)

    async def test_is_as_whole_as_the_revision_asks_for(self, http: httpx2.AsyncClient, url: str) -> None:
        whole, headers = modern(tool("greet", name="Ann"))
        metas: list[Any] = [None, {}, [], {"io.modelcontextprotocol/protocolVersion": MODERN}]
        for meta in metas:
            broken = {**whole, "params": {**whole["params"], "_meta": meta}}
            error_of(await http.post(url, json=broken, headers=headers), 400, -32602)
        error_of(await http.post(url, json={**whole, "params": None}, headers=headers), 400, -32602)

    @pytest.mark.parametrize("method", ["nope", "initialize", "logging/setLevel", "resources/subscribe", "ping"])
    async def test_of_a_method_that_is_not_there_is_404(self, http: httpx2.AsyncClient, url: str, method: str) -> None:
        whole, headers = modern(request(method, "n", uri="file:///x", level="error"))
        response = await http.post(url, json=whole, headers=headers)
        error_of(response, 404, -32601)
        assert response.json()["id"] == "n"

    async def test_cannot_listen_for_ever_and_is_not_invited_to(self, http: httpx2.AsyncClient, url: str) -> None:
        whole, headers = modern(request("subscriptions/listen", notifications={"toolsListChanged": True}))
        error_of(await http.post(url, json=whole, headers=headers), 404, -32601)
        whole, headers = modern(request("server/discover"))
        found = (await http.post(url, json=whole, headers=headers)).json()["result"]
        assert found["supportedVersions"] == [MODERN]
        assert not any(each.get("listChanged") for each in found["capabilities"].values())
        assert not found["capabilities"].get("resources", {}).get("subscribe")

    async def test_is_a_request_or_a_notification(self, http: httpx2.AsyncClient, url: str) -> None:
        headers = {**BOTH, "mcp-protocol-version": MODERN}
        note = notification("notifications/cancelled", requestId=1)
        accepted = await http.post(url, json=note, headers=headers)
        assert (accepted.status_code, accepted.content) == (202, b"")
        answer = {"jsonrpc": "2.0", "id": "ask-1", "result": {}}
        error_of(await http.post(url, json=answer, headers=headers), 400, -32600)

    async def test_cannot_use_a_session_nor_cancel_what_runs_in_one(
        self, http: httpx2.AsyncClient, serve: Serve, stage: Stage
    ) -> None:
        async with serve() as url:
            session = await initialize(http, url)
            running = asyncio.create_task(session.send(url, tool("slow", 1)))
            await until(lambda: stage.entered)
            note = notification("notifications/cancelled", requestId=1)
            headers = {**session.headers, "mcp-protocol-version": MODERN}
            assert (await http.post(url, json=note, headers=headers)).status_code == 202
            assert (await http.delete(url, headers=headers)).status_code == 405
            stage.go.set()
            assert text_of(await running) == "finished"


@pytest.mark.parametrize("mode", ["auto", "legacy", MODERN])
class TestTheSdksClient:
    async def test_calls_and_hears_of_progress(self, url: str, mode: Any) -> None:
        heard: list[tuple[float, str | None]] = []

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            heard.append((progress, message))

        async with Client(url, mode=mode) as client:
            assert {"greet", "slow"} <= {each.name for each in (await client.list_tools()).tools}
            greeting = await client.call_tool("greet", {"name": "Ann"})
            assert isinstance(greeting.content[0], TextContent)
            assert greeting.content[0].text == "Hello, Ann!"
            done = await client.call_tool("slow", {"steps": 2, "waits": False}, progress_callback=on_progress)
            assert done.is_error is False
            await until(lambda: len(heard) == 3)
        assert heard == [(0, "p"), (1, "p"), (2, "done")]

    async def test_is_told_the_logs_it_wants(self, url: str, mode: Any) -> None:
        heard: list[str] = []

        async def log(params: LoggingMessageNotificationParams) -> None:
            heard.append(params.level)

        expected = ["debug", "info", "warning", "error"] if mode == "legacy" else ["warning", "error"]
        async with Client(url, mode=mode, logging_callback=log, log_level="warning") as client:
            await client.call_tool("says_all_levels")
            await until(lambda: len(heard) == len(expected))
        assert heard == expected

    async def test_can_be_asked(self, url: str, mode: Any) -> None:
        async def answer(context: Any, params: ElicitRequestParams) -> ElicitResult:
            return ElicitResult(action="accept", content={"colour": "red"})

        async with Client(url, mode=mode, elicitation_callback=answer) as client:
            for name in ("needs", "asks") if mode == "legacy" else ("needs",):
                said = await client.call_tool(name)
                assert isinstance(said.content[0], TextContent)
                assert said.content[0].text == "accept: red"

    async def test_is_answered_with_an_error_it_understands(self, url: str, mode: Any) -> None:
        async with Client(url, mode=mode) as client:
            said = await client.call_tool("crashes")
            assert said.is_error is True
            assert isinstance(said.content[0], TextContent)
            assert said.content[0].text == "Error executing tool crashes"


async def test_the_sdks_client_reads_a_result_of_almost_a_mebibyte(url: str) -> None:
    async with Client(url, mode="legacy") as client:
        said = await client.call_tool("big", {"size": 500_000})  # and once more in its structured content
        assert isinstance(said.content[0], TextContent)
        assert len(said.content[0].text) == 500_000
