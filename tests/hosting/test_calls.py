"""What becomes of a call when its client leaves, comes back, asks or is asked, at this instance or at another."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.hosting.serving import Stage, a_server, modern, serving, tool, until
from tests.hosting.wire import Event, initialize
from tollbook.hosting import HostSettings, host
from tollbook.hosting.stores import open_store

pytestmark = pytest.mark.anyio


class Place:
    """Two instances, and what their tools wait for."""

    def __init__(self, urls: Sequence[str], http: httpx2.AsyncClient, stage: Stage) -> None:
        self.here, self.there = urls
        self.http, self.stage = http, stage


@asynccontextmanager
async def place(folder: Path, settings: HostSettings | None = None) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        stage = Stage()
        # Each instance has a store of its own, as in another process; only the file is shared.
        apps = [host(a_server(stage), open_store(f"sqlite:{folder / 'store.db'}"), settings) for _ in range(2)]
        urls = [await stack.enter_async_context(serving(app)) for app in apps]
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=20))
        yield Place(urls, http, stage)


async def test_a_call_goes_on_when_its_connection_breaks_and_the_rest_is_heard_at_another_instance(
    tmp_path: Path,
) -> None:
    async with place(tmp_path) as at:
        session = await initialize(at.http, at.here)
        async with session.calling(at.here, "slow", 5, steps=2) as events:
            seen = [await anext(events) for _ in range(5)]
        await until(lambda: at.stage.entered == 1)

        async with session.resuming(at.there, str(seen[-1].id)) as events:
            at.stage.go.set()
            rest = [event async for event in events]

        assert at.stage.cancelled == 0
        assert seen[0].message is None  # the priming event
        assert _notes(seen) == ["p", "i", "p", "i"]
        assert _notes(rest) == ["done"]
        assert rest[-1].message["result"]["content"][0]["text"] == "finished"
        assert _are_in_order(seen + rest)


async def test_a_call_can_be_resumed_at_the_instance_that_works_on_it(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        session = await initialize(at.http, at.here)
        async with session.calling(at.here, "slow", 5, steps=2) as events:
            first = await anext(events)
        async with session.resuming(at.here, str(first.id)) as events:
            some = [await anext(events) for _ in range(2)]
        async with session.resuming(at.here, str(some[-1].id)) as events:
            at.stage.go.set()
            rest = [event async for event in events]
        assert _notes(some + rest) == ["p", "i", "p", "i", "done"]
        assert _are_in_order([first, *some, *rest])


async def test_a_call_that_nobody_hears_is_cancelled_after_a_while(tmp_path: Path) -> None:
    async with place(tmp_path, HostSettings(unheard_s=0.5)) as at:
        session = await initialize(at.http, at.here)
        async with session.calling(at.here, "slow", 5) as events:
            first = await anext(events)
        await until(lambda: at.stage.cancelled == 1)
        async with session.resuming(at.there, str(first.id)) as events:
            last = [event async for event in events][-1].message
        assert last["error"] == {"code": -32800, "message": "Nobody listened for 0.5 s."}


async def test_whoever_listens_at_another_instance_keeps_a_call_alive(tmp_path: Path) -> None:
    async with place(tmp_path, HostSettings(unheard_s=1.5)) as at:
        session = await initialize(at.http, at.here)
        async with session.calling(at.here, "slow", 5) as events:
            first = await anext(events)
        async with session.resuming(at.there, str(first.id)) as events:
            heard = asyncio.create_task(_last(events))
            done, _ = await asyncio.wait((heard,), timeout=4)
            assert not done
            at.stage.go.set()
            assert (await heard)["result"]["content"][0]["text"] == "finished"


async def test_a_client_of_2026_07_28_that_closes_its_stream_cancels_the_call(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        message, headers = modern(tool("slow"))
        async with at.http.stream("POST", at.here, json=message, headers=headers) as response:
            assert response.headers["content-type"] == "text/event-stream"
            await until(lambda: at.stage.entered == 1)
        await until(lambda: at.stage.cancelled == 1)


async def test_a_client_of_2026_07_28_that_leaves_before_any_answer_cancels_the_call(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        message, headers = modern(tool("slow", steps=0))
        waiting = asyncio.create_task(at.http.post(at.here, json=message, headers=headers))
        await until(lambda: at.stage.entered == 1)
        waiting.cancel()
        await until(lambda: at.stage.cancelled == 1)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same instance", "another instance"])
async def test_a_cancelled_request_ends_wherever_it_runs(tmp_path: Path, elsewhere: bool) -> None:
    async with place(tmp_path) as at:
        session = await initialize(at.http, at.here)
        async with session.calling(at.here, "slow", "a-1", steps=0) as events:
            await until(lambda: at.stage.entered == 1)
            note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "a-1"}}
            assert (await session.send(at.there if elsewhere else at.here, note)).status_code == 202
            last = await _last(events)
        assert at.stage.cancelled == 1
        assert last["error"] == {"code": -32800, "message": "Request cancelled"}


async def test_the_end_of_a_session_ends_its_calls_everywhere(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        session = await initialize(at.http, at.here)
        async with session.calling(at.here, "slow", 1, steps=0) as events:
            await until(lambda: at.stage.entered == 1)
            assert (await session.end(at.there)).status_code == 200
            last = await _last(events)
        assert last["error"] == {"code": -32800, "message": "The session was ended."}
        assert at.stage.cancelled == 1


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same instance", "another instance"])
async def test_a_question_to_the_user_is_answered_at_any_instance(tmp_path: Path, elsewhere: bool) -> None:
    async with place(tmp_path) as at:
        session = await initialize(at.http, at.here, elicitation={})
        async with session.calling(at.here, "asks", 1) as events:
            async for event in events:
                if event.message and event.message.get("method") == "elicitation/create":
                    content = {"action": "accept", "content": {"colour": "blue"}}
                    answer = {"jsonrpc": "2.0", "id": event.message["id"], "result": content}
                    url = at.there if elsewhere else at.here
                    assert (await session.send(url, answer)).status_code == 202
                last = event.message
        assert last["result"]["content"][0]["text"] == "accept: blue"


async def test_a_question_survives_a_broken_connection(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        session = await initialize(at.http, at.here, elicitation={})
        async with session.calling(at.here, "asks", 1) as events:
            first = await anext(events)
        async with session.resuming(at.there, str(first.id)) as events:
            question = (await anext(events)).message
            answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}}
            await session.send(at.there, answer)
            assert (await _last(events))["result"]["content"][0]["text"] == "decline"


async def test_a_question_that_is_not_answered_in_time_fails_the_call(tmp_path: Path) -> None:
    async with place(tmp_path, HostSettings(answer_wait_s=0.3)) as at:
        session = await initialize(at.http, at.here, elicitation={})
        answer = await session.call(at.here, "asks", 1)
        assert answer == {"code": -32001, "message": "The client did not answer in time."}


async def test_a_call_that_takes_too_long_is_cancelled(tmp_path: Path) -> None:
    async with place(tmp_path, HostSettings(call_limit_s=0.3)) as at:
        session = await initialize(at.http, at.here)
        answer = await session.call(at.here, "slow", 1, steps=0)
        assert answer == {"code": -32800, "message": "The call took longer than 0.3 s, which is all it may."}


async def test_a_server_that_stops_tells_those_whose_calls_it_ends_and_those_who_come_back(tmp_path: Path) -> None:
    stage = Stage()
    store = f"sqlite:{tmp_path / 'store.db'}"
    async with httpx2.AsyncClient(timeout=20) as http:
        async with serving(host(a_server(stage), open_store(store), HostSettings(drain_s=0.2))) as url:
            session = await initialize(http, url)
            async with session.calling(url, "slow", 1, steps=0) as events:
                first = await anext(events)
        assert stage.cancelled == 1
        async with (
            serving(host(a_server(), open_store(store))) as url,
            session.resuming(url, str(first.id)) as events,
        ):
            last = await _last(events)
        assert last["error"]["message"] == "The instance that worked on this call was stopped. Call again."


async def test_clients_that_come_and_go_leave_nothing_behind(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        session = await initialize(at.http, at.here)
        before = len(asyncio.all_tasks())
        for number in range(30):
            async with session.calling(at.here, "slow", number, steps=1, waits=False) as events:
                await anext(events)
            message, headers = modern(tool("slow", number, steps=1))
            async with at.http.stream("POST", at.here, json=message, headers=headers):
                pass
        await until(lambda: at.stage.cancelled == at.stage.entered)
        await until(lambda: len(asyncio.all_tasks()) <= before + 2)  # two: the pulses of both instances


async def _last(events: AsyncIterator[Event]) -> Any:
    return [event async for event in events][-1].message


def _notes(events: Sequence[Event]) -> list[str]:
    """What was told on the way."""
    params = [event.message.get("params", {}) for event in events if event.message]
    return [note for each in params if (note := each.get("message", each.get("data")))]


def _are_in_order(events: Sequence[Event]) -> bool:
    places = [int(str(event.id).rpartition(".")[2]) for event in events]
    return places == sorted(set(places))
