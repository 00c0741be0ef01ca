"""What is answered at once can hang too; then it counts, and ends, as any call does."""

import asyncio
from typing import Any

import httpx2
import pytest
from mcp.server import MCPServer
from mcp_types import Completion

from tests.hosting.serving import Stage, a_server, serving, until
from tests.hosting.wire import initialize, request
from tollbook.hosting import HostSettings, host
from tollbook.hosting.stores import open_store

pytestmark = pytest.mark.anyio

ASKED = {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": ""}}


def slow_to_complete(stage: Stage) -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer("slow", version="1", log_level="ERROR")

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(ref: object, argument: object, context: object) -> Completion:
        await stage.wait()
        return Completion(values=["x"])

    return server


async def test_a_completion_whose_client_has_left_is_cancelled(stage: Stage, http: httpx2.AsyncClient) -> None:
    async with serving(host(slow_to_complete(stage), open_store("memory"))) as url:
        session = await initialize(http, url)
        asking = asyncio.create_task(session.send(url, request("completion/complete", 1, **ASKED)))
        await until(lambda: stage.entered)
        asking.cancel()
        await until(lambda: stage.cancelled)


async def test_completions_count_among_running_calls_and_a_ping_does_not(
    stage: Stage, http: httpx2.AsyncClient
) -> None:
    async with serving(host(slow_to_complete(stage), open_store("memory"), HostSettings(running_calls=1))) as url:
        session = await initialize(http, url)
        asking = asyncio.create_task(session.send(url, request("completion/complete", 1, **ASKED)))
        await until(lambda: stage.entered)
        assert (await session.send(url, request("completion/complete", 2, **ASKED))).status_code == 503
        assert (await session.send(url, request("ping", 3))).json()["result"] == {}
        stage.go.set()
        assert (await asking).json()["result"]["completion"]["values"] == ["x"]


async def test_a_ping_with_nonsense_beside_it_is_an_error_and_no_fault(http: httpx2.AsyncClient) -> None:
    async with serving(host(a_server(), open_store("memory"))) as url:
        session = await initialize(http, url)
        response = await session.send(url, request("ping", 3, _meta=5))
        assert (response.status_code, response.json()["error"]["code"]) == (200, -32602)


async def test_followers_of_calls_elsewhere_have_a_limit_too(
    stage: Stage, http: httpx2.AsyncClient, tmp_path: Any
) -> None:
    store = f"sqlite:{tmp_path / 'store.db'}"
    async with (
        serving(host(a_server(stage), open_store(store))) as here,
        serving(host(a_server(stage), open_store(store), HostSettings(running_calls=1))) as there,
    ):
        one, other = await initialize(http, here), await initialize(http, here)
        first = []
        for session in (one, other):
            async with session.calling(here, "slow", 1) as events:
                first.append(str((await anext(events)).id))
        async with one.resuming(there, first[0]) as followed:
            await anext(followed)
            refused = await http.get(there, headers={**other.headers, "last-event-id": first[1]})
            assert refused.status_code == 503
            stage.go.set()
            assert [event async for event in followed][-1].message["result"]
