"""Several instances that share a store are one server: real processes, a real socket, every kind of store."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.fakes.dynamodb import dynamodb, dynamodb_server
from tests.hosting.wire import Event, Instance, Wire, initialize, instances, request
from tollbook.hosting.stores.dynamodb import create_table

__all__ = ["dynamodb", "dynamodb_server"]

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "dynamodb"])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Instance]]:
    """Two instances."""
    if request.param == "dynamodb":
        table = f"tollbook-{uuid4().hex}"
        create_table(request.getfixturevalue("dynamodb"), table)
        store = f"dynamodb:{table}"
    else:
        store = f"sqlite:{tmp_path / 'store.db'}"
    with instances(tmp_path, 2, ["--session-store", store]) as started:
        yield started


@pytest.fixture
async def http() -> Any:
    async with httpx2.AsyncClient(timeout=30, limits=httpx2.Limits(max_connections=600)) as client:
        yield client


async def test_a_session_is_opened_on_one_used_on_the_other_and_ended_everywhere(
    two: list[Instance], http: httpx2.AsyncClient
) -> None:
    here, there = (instance.url for instance in two)
    session = await initialize(http, here)

    assert _text(await session.call(there, "greet", name="Ann")) == "Hello, Ann!"
    assert (await session.end(here)).status_code == 200

    for url in (there, here):
        assert (await session.send(url, request("ping", 1))).status_code == 404
        assert (await session.end(url)).status_code == 404


async def test_a_connection_that_is_cut_is_resumed_on_the_other_instance_and_loses_nothing(
    two: list[Instance], http: httpx2.AsyncClient
) -> None:
    here, there = (instance.url for instance in two)
    session = await initialize(http, here)
    whole = await _heard(session, here, "multi-greet", 1)

    seen: list[Event] = []
    async with session.calling(here, "multi-greet", 2, name="Ann") as events:
        async for event in events:
            seen.append(event)
            if len(seen) == 3:
                break
    async with session.resuming(there, str(seen[-1].id)) as events:
        seen += [event async for event in events]

    ids = [event.id for event in seen]
    assert len(set(ids)) == len(ids)
    assert [_said(event) for event in seen] == [_said(event) for event in whole]
    assert _text(seen[-1].message["result"]) == "Good morning, Ann!"


async def test_whoever_comes_back_after_the_result_still_gets_it(two: list[Instance], http: httpx2.AsyncClient) -> None:
    here, there = (instance.url for instance in two)
    session = await initialize(http, here)
    all_of_it = await _heard(session, here, "greet", 1)

    async with session.resuming(there, str(all_of_it[0].id)) as events:
        again = [event async for event in events]

    assert [event[:2] for event in again] == [event[:2] for event in all_of_it[1:]]


async def test_an_instance_that_dies_at_work_leaves_an_error_and_no_silence(
    two: list[Instance], http: httpx2.AsyncClient
) -> None:
    dying, other = two
    session = await initialize(http, dying.url)
    seen: list[Event] = []
    with suppress(httpx2.HTTPError):
        async with session.calling(dying.url, "multi-greet", 7, name="Ann") as events:
            async for event in events:
                seen.append(event)
                if len(seen) == 3:
                    dying.kill()

    async with session.resuming(other.url, str(seen[-1].id)) as events:
        rest = [event async for event in events]

    assert rest[-1].message["id"] == 7
    assert rest[-1].message["error"]["message"] == "The instance that worked on this call has died. Call again."
    assert rest[-1].at - seen[-1].at < 15  # the lease is 8 s; this is no measurement, but silence would fail it

    async with session.resuming(other.url, str(seen[-1].id)) as events:
        again = [event async for event in events]
    assert [event[:2] for event in again] == [event[:2] for event in rest]
    assert _text(await session.call(other.url, "greet", name="Ann")) == "Hello, Ann!"


async def test_equal_ids_of_two_sessions_never_mix(two: list[Instance], http: httpx2.AsyncClient) -> None:
    here, there = (instance.url for instance in two)
    ann, bob = await initialize(http, here), await initialize(http, here)

    for_ann, for_bob = await asyncio.gather(
        ann.call(here, "multi-greet", 1, name="Ann"), bob.call(here, "multi-greet", 1, name="Bob")
    )
    assert (_text(for_ann), _text(for_bob)) == ("Good morning, Ann!", "Good morning, Bob!")

    events = await _heard(ann, here, "greet", 1)
    headers = {**bob.headers, "last-event-id": str(events[0].id)}
    assert (await http.get(there, headers=headers)).status_code == 400


async def test_what_is_cancelled_at_one_instance_ends_at_the_other(
    two: list[Instance], http: httpx2.AsyncClient
) -> None:
    here, there = (instance.url for instance in two)
    session = await initialize(http, here)
    said: list[Any] = []
    async with session.calling(here, "multi-greet", 3, name="Ann") as events:
        async for event in events:
            said.append(event.message)
            if len(said) == 2:
                params = {"requestId": 3, "reason": "not needed"}
                cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
                assert (await session.send(there, cancelled)).status_code == 202

    assert said[-1]["error"] == {"code": -32800, "message": "Request cancelled"}


async def test_500_sessions_of_one_owner_at_once(tmp_path: Path, http: httpx2.AsyncClient) -> None:
    with instances(tmp_path, 2, ["--session-store", f"sqlite:{tmp_path / 'store.db'}"]) as started:
        here, there = (instance.url for instance in started)
        sessions = await asyncio.gather(*(initialize(http, (here, there)[n % 2]) for n in range(500)))
        assert len({session.id for session in sessions}) == 500

        answers = await asyncio.gather(
            *(session.call((there, here)[n % 2], "greet", name=f"N{n}") for n, session in enumerate(sessions))
        )
    assert [_text(answer) for answer in answers] == [f"Hello, N{n}!" for n in range(500)]


async def test_sessions_outlive_a_restart(tmp_path: Path, http: httpx2.AsyncClient) -> None:
    store = ["--session-store", f"sqlite:{tmp_path / 'store.db'}"]
    with instances(tmp_path, 1, store) as (before,):
        session = await initialize(http, before.url)
    with instances(tmp_path, 1, store) as (after,):
        assert _text(await session.call(after.url, "greet", name="Ann")) == "Hello, Ann!"


async def test_a_server_that_is_told_to_stop_finishes_what_runs(tmp_path: Path, http: httpx2.AsyncClient) -> None:
    with instances(tmp_path, 1, ["--session-store", f"sqlite:{tmp_path / 'store.db'}"]) as (stopping,):
        session = await initialize(http, stopping.url)
        said: list[Any] = []
        async with session.calling(stopping.url, "multi-greet", 1, name="Ann") as events:
            async for event in events:
                if not said:
                    stopping.process.send_signal(signal.SIGTERM)
                said.append(event.message)
        assert _text(said[-1]["result"]) == "Good morning, Ann!"
        assert stopping.process.wait(30) == -signal.SIGTERM


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_server_that_stops_tells_those_who_listen_to_what_it_ends(
    tmp_path: Path, http: httpx2.AsyncClient, workers: int
) -> None:
    words = ["--session-store", f"sqlite:{tmp_path / 'store.db'}", "--drain", "0", "--workers", str(workers)]
    with instances(tmp_path, 1, words) as (stopping,):
        session = await initialize(http, stopping.url)
        said: list[Any] = []
        async with session.calling(stopping.url, "multi-greet", 1, name="Ann") as events:
            async for event in events:
                if len(said) == 1:
                    stopping.process.send_signal(signal.SIGTERM)
                said.append(event.message)
        stopping.process.wait(30)
        log = stopping.log.read_text()
    assert said[-1]["error"]["message"] == "The instance that worked on this call was stopped. Call again."
    assert '"level":"error"' not in log


async def test_workers_of_one_server_serve_each_others_sessions(tmp_path: Path) -> None:
    words = ["--session-store", f"sqlite:{tmp_path / 'store.db'}", "--workers", "2"]
    with instances(tmp_path, 1, words) as (server,):
        async with httpx2.AsyncClient(timeout=30) as first:
            session = await initialize(first, server.url)
        for _ in range(8):  # each a connection of its own, to whichever worker takes it
            async with httpx2.AsyncClient(timeout=30) as other:
                again = Wire(other, session.id, session.version)
                assert _text(await again.call(server.url, "greet", name="Ann")) == "Hello, Ann!"


async def _heard(session: Wire, url: str, tool: str, request_id: int) -> list[Event]:
    async with session.calling(url, tool, request_id, name="Ann") as events:
        return [event async for event in events]


def _said(event: Event) -> Any:
    """What an event says, without what differs from call to call."""
    if event.message is None:
        return None
    said = dict(event.message)
    said.pop("id", None)
    if "params" in said:
        said["params"] = {name: value for name, value in said["params"].items() if name != "progressToken"}
    return said


def _text(result: Any) -> str:
    return str(result["content"][0]["text"])
