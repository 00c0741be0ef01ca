"""What is still served, and what is said, when the store that instances share cannot be reached."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.hosting.serving import (
    BOTH,
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
from tests.hosting.wire import initialize
from tollbook.core.errors import StoreDown
from tollbook.core.stores import Record
from tollbook.hosting import HostSettings, host
from tollbook.hosting.stores.memory import MemoryStore
from tollbook.hosting.stores.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

WHY = "table 'salaries' answered AccessDenied"
INITIALIZE = request(
    "initialize", 0, protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "test", "version": "1"}
)


class Outage(MemoryStore):
    """A store that can be reached or not, as it is told."""

    is_down = False

    def _check(self) -> None:
        if self.is_down:
            raise StoreDown(WHY)

    async def add(self, record: Record) -> bool:
        self._check()
        return await super().add(record)

    async def replace(self, record: Record) -> bool:
        self._check()
        return await super().replace(record)

    async def put(self, record: Record) -> None:
        self._check()
        await super().put(record)

    async def get(self, partition: str, key: str) -> Record | None:
        self._check()
        return await super().get(partition, key)

    async def list(self, partition: str, prefix: str = "", after: str = "") -> Sequence[Record]:
        self._check()
        return await super().list(partition, prefix, after)

    async def count(self, partition: str) -> int:
        self._check()
        return await super().count(partition)

    async def remove(self, partition: str, key: str) -> bool:
        self._check()
        return await super().remove(partition, key)

    async def clear(self, partition: str) -> None:
        self._check()
        await super().clear(partition)


@pytest.fixture
def store(clock: SetClock) -> Outage:
    return Outage(clock)


def is_down(response: httpx2.Response) -> bool:
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/json"
    error = {"code": -32603, "message": "The server's store cannot be reached just now. Try again."}
    sent = json.loads(response.request.content or b"{}")
    assert response.json() == {"jsonrpc": "2.0", "id": sent.get("id"), "error": error}
    return True


async def test_the_handshake_era_is_told_so_and_loses_nothing(
    http: httpx2.AsyncClient, store: Outage, serve: Serve
) -> None:
    async with serve() as url:
        session = await initialize(http, url)
        store.is_down = True
        assert is_down(await http.post(url, json=INITIALIZE, headers=BOTH))
        assert is_down(await session.send(url, request("ping")))
        assert is_down(await session.send(url, tool("greet", name="Ann")))
        assert is_down(await session.send(url, {"jsonrpc": "2.0", "method": "notifications/initialized"}))
        assert is_down(await http.get(url, headers={**session.headers, "last-event-id": "x.1"}))
        assert is_down(await session.end(url))
        assert (await http.get(url.replace("/mcp", "/healthz"))).status_code == 200
        store.is_down = False
        assert text_of(await session.send(url, tool("greet", name="Ann"))) == "Hello, Ann!"


async def test_the_modern_era_does_not_notice(http: httpx2.AsyncClient, store: Outage, serve: Serve) -> None:
    async with serve() as url:
        store.is_down = True
        whole, headers = modern(tool("greet", name="Ann"))
        assert text_of(await http.post(url, json=whole, headers=headers)) == "Hello, Ann!"
        whole, headers = modern(tool("slow", steps=2, waits=False))
        said = messages(await http.post(url, json=whole, headers=headers))
        assert [each.get("method") for each in said] == ["notifications/progress"] * 3 + [None]


async def test_whoever_listens_to_a_call_still_hears_all_of_it(
    http: httpx2.AsyncClient, store: Outage, stage: Stage, serve: Serve
) -> None:
    async with serve() as url:
        session = await initialize(http, url)
        async with session.calling(url, "slow", steps=1) as events:
            seen = [await anext(events) for _ in range(3)]
            await until(lambda: stage.entered)
            store.is_down = True
            stage.go.set()
            seen += [event async for event in events]
        said = [event.message for event in seen[1:]]
        assert [each.get("method") for each in said[:-1]] == [
            "notifications/progress",
            "notifications/message",
            "notifications/progress",
        ]
        assert said[-1]["result"]["content"][0]["text"] == "finished"
        store.is_down = False
        assert text_of(await session.send(url, tool("greet", name="Ann"))) == "Hello, Ann!"


async def test_a_call_does_not_outlive_its_limit_though_nobody_can_be_asked_about_it(
    http: httpx2.AsyncClient, store: Outage, stage: Stage, serve: Serve
) -> None:
    async with serve(HostSettings(call_limit_s=0.5)) as url:
        session = await initialize(http, url)
        running = asyncio.create_task(session.send(url, tool("slow")))
        await until(lambda: stage.entered)
        store.is_down = True
        assert messages(await running)[-1]["error"]["message"].startswith("The call took longer than 0.5 s")
        assert stage.cancelled == 1


async def test_whoever_listens_from_afar_is_sent_away_and_can_come_back(
    http: httpx2.AsyncClient, store: Outage, stage: Stage, serve: Serve, clock: SetClock
) -> None:
    async with serve() as there, serving(host(a_server(stage), store, clock=clock)) as here:
        session = await initialize(http, here)
        async with session.calling(here, "slow", steps=1) as events:
            first = await anext(events)
        await until(lambda: stage.entered)
        async with session.resuming(there, str(first.id)) as events:
            seen = [await anext(events) for _ in range(2)]
            store.is_down = True
            assert [event async for event in events] == []
        store.is_down = False
        stage.go.set()
        async with session.resuming(there, str(seen[-1].id)) as events:
            assert [event.message async for event in events][-1]["result"]["isError"] is False


async def test_a_question_that_cannot_be_kept_fails_the_call_and_says_nothing_of_the_store(
    http: httpx2.AsyncClient, stage: Stage, serve: Serve, clock: SetClock
) -> None:
    class Forgetful(Outage):
        async def put(self, record: Record) -> None:
            self.is_down = record.key.startswith("asked/")
            await super().put(record)

    async with serve(store=Forgetful(clock)) as url:
        session = await initialize(http, url, elicitation={})
        said = messages(await session.send(url, tool("asks")))[-1]
        assert said["result"]["isError"] is True
        assert "salaries" not in str(said)


@pytest.mark.parametrize("method", ["add", "put", "get", "count", "remove", "replace", "list", "clear"])
async def test_whichever_method_fails_first_the_answer_is_json_and_no_secret(
    http: httpx2.AsyncClient, serve: Serve, clock: SetClock, method: str
) -> None:
    store = Outage(clock)
    armed: list[bool] = []

    async def fails(*_: Any) -> Any:
        if armed:
            raise StoreDown(WHY)
        return await usual(*_)

    usual = getattr(store, method)
    setattr(store, method, fails)
    async with serve(store=store) as url:
        session = await initialize(http, url)
        armed.append(True)
        clock.now += 200  # the session is due to be written
        responses = [
            await http.post(url, json=INITIALIZE, headers=BOTH),
            await session.send(url, tool("greet", name="Ann")),
            await session.send(url, request("logging/setLevel", level="error")),
            await session.end(url),
        ]
    assert any(each.status_code == 503 for each in responses) or method == "list"
    for each in responses:
        assert each.status_code in (200, 404, 503)
        assert WHY not in each.text
        assert each.status_code == 200 or each.headers["content-type"] == "application/json"


async def test_a_store_that_breaks_in_another_way_is_an_internal_error(
    http: httpx2.AsyncClient, serve: Serve, clock: SetClock
) -> None:
    class Broken(MemoryStore):
        async def count(self, partition: str) -> int:
            raise KeyError(WHY)

    async with serve(store=Broken(clock)) as url:
        response = await http.post(url, json=INITIALIZE, headers=BOTH)
        error = {"code": -32603, "message": "Internal server error"}
        assert (response.status_code, response.json()["error"]) == (500, error)


async def test_a_folder_that_vanishes_ends_its_sessions_and_new_ones_begin(
    http: httpx2.AsyncClient, tmp_path: Path, serve: Serve, clock: SetClock
) -> None:
    folder = tmp_path / "state"
    async with serve(store=SqliteStore(folder / "store.db", clock)) as url:
        session = await initialize(http, url)
        folder.rename(tmp_path / "elsewhere")  # all of it at once, whatever the store does meanwhile
        clock.now += 2  # for a second the store trusts that its file is there
        assert is_down(await session.send(url, request("ping")))
        whole, headers = modern(tool("greet", name="Ann"))
        assert text_of(await http.post(url, json=whole, headers=headers)) == "Hello, Ann!"
        assert (await session.send(url, request("ping"))).status_code == 404
        session = await initialize(http, url)
        assert text_of(await session.send(url, tool("greet", name="Ann"))) == "Hello, Ann!"
