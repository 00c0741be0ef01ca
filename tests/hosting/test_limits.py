"""Sessions, calls and what is kept of them: whose they are, how many there may be, and when they are gone."""

import asyncio
import gc
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.hosting.serving import (
    BOTH,
    Serve,
    SetClock,
    Stage,
    a_server,
    ask,
    bearers,
    in_process,
    messages,
    modern,
    request,
    serving,
    text_of,
    tool,
    until,
)
from tests.hosting.wire import Event, Wire, initialize
from tollbook.core.stores import LARGEST_VALUE, Record
from tollbook.hosting import HostSettings, host
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

SOON_S = 3
UNKNOWN = "k5DzE2_QxTUvGd0H9eJm-bWq3pRsY7aL"
CANCEL = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}


def mallory(session: Wire) -> dict[str, str]:
    """The headers of a session of Ann's, sent by somebody else with a valid token of his own."""
    return {**session.headers, "authorization": "Bearer mallory"}


class Asked(NamedTuple):
    """What does not depend on the moment in a response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def every_way_in(http: httpx2.AsyncClient, url: str, headers: Mapping[str, str], event_id: str) -> list[Asked]:
    """Each thing that can be done with a session."""
    answer = {"jsonrpc": "2.0", "id": "ask-1", "result": {}}
    posts = [request("ping"), tool("greet", name="x"), request("logging/setLevel", level="error"), CANCEL, answer]
    responses = [await http.post(url, json=message, headers=headers) for message in posts]
    responses.append(await http.get(url, headers={**headers, "last-event-id": event_id}))
    responses.append(await http.delete(url, headers=headers))
    return [
        Asked(each.status_code, {name: text for name, text in each.headers.items() if name != "date"}, each.content)
        for each in responses
    ]


@pytest.fixture
async def ann(http: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """A client with Ann's token."""
    http.headers["authorization"] = "Bearer ann"
    return http


class TestASessionThatIsNotThere:
    """Unknown, malformed, expired, ended or somebody else's: 404, and the bytes do not tell which."""

    async def test_is_not_found_and_nobody_learns_why(
        self, ann: httpx2.AsyncClient, serve: Serve, clock: SetClock
    ) -> None:
        async with serve(authenticate=bearers) as url:
            expired = await initialize(ann, url)
            clock.now += 1801
            ended, foreign = await initialize(ann, url), await initialize(ann, url)
            async with foreign.calling(url, "greet", name="Ann") as events:
                event_id = str((await anext(events)).id)
            await ended.end(url)
            named = {**expired.headers, "mcp-session-id": UNKNOWN}
            told = [
                await every_way_in(ann, url, headers, event_id)
                for headers in (
                    expired.headers,
                    ended.headers,
                    mallory(foreign),
                    named,
                    {**named, "mcp-session-id": "x" * 10_000},
                    {**named, "mcp-session-id": "x"},
                    {**named, "mcp-session-id": ""},
                    {**named, "mcp-session-id": "../" * 10},
                    {**named, "mcp-session-id": "x" * 22 + "%0a"},
                )
            ]
            assert (await foreign.send(url, request("ping"))).status_code == 200
        assert {each.status for each in told[0]} == {404}
        assert [json.loads(each.body)["id"] for each in told[0]] == [1, 1, 1, None, None, None, None]
        assert {json.dumps(json.loads(each.body)["error"]) for each in told[0]} == {
            '{"code": -32600, "message": "Session not found. Initialize a new one."}'
        }
        for each in told:
            assert each == told[0]

    @pytest.mark.parametrize("session_id", ["\xe9" * 30, "k5DzE2\xa0QxTUvGd0H9eJm-bWq3pRsY7aL", "\xb2" * 22])
    async def test_may_have_a_name_that_is_no_text(self, session_id: str, serve: Serve) -> None:
        async with serve() as url:
            assert (await ask(url, "DELETE", [("mcp-session-id", session_id)])).status == 404

    async def test_is_missing_where_none_is_named(self, http: httpx2.AsyncClient, serve: Serve) -> None:
        async with serve() as url:
            response = await http.post(url, json=request("ping", 5), headers=BOTH)
            assert (response.status_code, response.json()["id"]) == (400, 5)
            assert (await http.delete(url)).status_code == 400
            assert (await http.get(url, headers={**BOTH, "last-event-id": "x.1"})).status_code == 400


class TestSomebodyElse:
    """With a valid token of his own, who has learned the ids of a session, of its call and of its question."""

    async def test_cannot_read_end_cancel_or_answer(self, stage: Stage, serve: Serve, ann: httpx2.AsyncClient) -> None:
        async with serve(authenticate=bearers) as url:
            session = await initialize(ann, url, elicitation={})
            async with session.calling(url, "slow", 1, steps=1) as slow, session.calling(url, "asks", 2) as asks:
                priming = await anext(slow)
                await anext(asks)
                question = (await anext(asks)).message
                answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}}
                for message in (CANCEL, answer):
                    response = await ann.post(url, json=message, headers=mallory(session))
                    assert response.status_code == 404
                for asked in await every_way_in(ann, url, mallory(session), str(priming.id)):
                    assert asked.status == 404
                # Nor from a session of his own.
                ann.headers["authorization"] = "Bearer mallory"
                own = await initialize(ann, url)
                own.headers["authorization"] = "Bearer mallory"
                ann.headers["authorization"] = "Bearer ann"
                resumed = await ann.get(url, headers={**own.headers, "last-event-id": str(priming.id)})
                assert resumed.status_code == 400
                for message in (CANCEL, answer):
                    assert (await own.send(url, message)).status_code == 202

                stage.go.set()
                accepted = {"action": "accept", "content": {"colour": "red"}}
                right = {"jsonrpc": "2.0", "id": question["id"], "result": accepted}
                assert (await session.send(url, right)).status_code == 202
                assert [event.message async for event in slow][-1]["result"]["content"][0]["text"] == "finished"
                assert [event.message async for event in asks][-1]["result"]["content"][0]["text"] == "accept: red"
            assert stage.cancelled == 0

    async def test_gets_his_own_result_under_the_same_id(
        self, http: httpx2.AsyncClient, stage: Stage, serve: Serve
    ) -> None:
        async with serve() as url:
            one, other = await initialize(http, url), await initialize(http, url)
            async with one.calling(url, "slow", 1, steps=0) as slow, other.calling(url, "slow", 1, steps=0) as second:
                await until(lambda: stage.entered == 2)
                assert text_of(await other.send(url, tool("greet", 1, name="other"))) == "Hello, other!"
                assert text_of(await one.send(url, tool("greet", 1, name="one"))) == "Hello, one!"
                await one.send(url, CANCEL)
                cancelled = [event.message async for event in slow][-1]
                assert cancelled["error"]["code"] == -32800
                stage.go.set()
                assert [event.message async for event in second][-1]["result"]["isError"] is False
            assert stage.cancelled == 1


class TestTheLimit:
    async def test_of_one_owners_sessions_is_his_alone(self, ann: httpx2.AsyncClient, serve: Serve) -> None:
        settings = HostSettings(sessions_per_owner=2)
        async with serve(settings, authenticate=bearers) as url:
            first, _ = [await initialize(ann, url) for _ in range(2)]
            response = await opening(ann, url)
            assert is_full(response, 429, "This caller has 2 sessions open, and may have no more. End one.")
            assert (await opening(ann, url, "Bearer bob")).status_code == 200
            await first.end(url)
            assert (await opening(ann, url)).status_code == 200
            assert (await opening(ann, url)).status_code == 429

    async def test_of_all_sessions_is_everybodys(self, ann: httpx2.AsyncClient, serve: Serve, clock: SetClock) -> None:
        settings = HostSettings(sessions_in_all=3, session_idle_s=100)
        async with serve(settings, authenticate=bearers) as url:
            for token in ("Bearer ann", "Bearer bob", "Bearer cleo"):
                assert (await opening(ann, url, token)).status_code == 200
            for token in ("Bearer ann", "Bearer dan"):
                response = await opening(ann, url, token)
                assert is_full(response, 503, "Too many sessions are open. Try again later.")
            clock.now += 101
            assert (await opening(ann, url)).status_code == 200

    async def test_of_sessions_is_no_longer_felt_when_old_ones_have_expired(
        self, ann: httpx2.AsyncClient, serve: Serve, clock: SetClock
    ) -> None:
        settings = HostSettings(sessions_per_owner=1, session_idle_s=100)
        async with serve(settings, authenticate=bearers) as url:
            assert (await opening(ann, url)).status_code == 200
            clock.now += 99
            assert (await opening(ann, url)).status_code == 429
            clock.now += 2
            assert (await opening(ann, url)).status_code == 200

    @pytest.mark.parametrize("is_modern", [True, False])
    async def test_of_running_calls_is_the_instances(
        self, http: httpx2.AsyncClient, stage: Stage, is_modern: bool, serve: Serve
    ) -> None:
        async with serve(HostSettings(running_calls=2)) as url:
            session = await initialize(http, url)
            call = calling(session, url, is_modern)
            running = [asyncio.create_task(call("slow")) for _ in range(2)]
            await until(lambda: stage.entered == 2)
            assert is_full(await call("greet", name="Ann"), 503, "Too many calls are running. Try again later.")
            assert (await session.send(url, request("ping"))).status_code == 200
            stage.go.set()
            assert [text_of(each) for each in await asyncio.gather(*running)] == ["finished", "finished"]
            assert text_of(await call("greet", name="Ann")) == "Hello, Ann!"

    @pytest.mark.parametrize("is_modern", [True, False])
    async def test_of_one_callers_calls_leaves_room_for_others(
        self, http: httpx2.AsyncClient, stage: Stage, is_modern: bool, serve: Serve
    ) -> None:
        async with serve(HostSettings(calls_per_caller=2), authenticate=bearers) as url:
            http.headers["authorization"] = "Bearer ann"
            session = await initialize(http, url)
            call = calling(session, url, is_modern)
            running = [asyncio.create_task(call("slow")) for _ in range(2)]
            await until(lambda: stage.entered == 2)
            said = "This caller has 2 calls running, and may have no more."
            assert is_full(await call("greet", name="Ann"), 429, said)
            whole, headers = modern(tool("greet", name="Bob"))
            other = await http.post(url, json=whole, headers={**headers, "authorization": "Bearer bob"})
            assert text_of(other) == "Hello, Bob!"
            stage.go.set()
            await asyncio.gather(*running)
            assert text_of(await call("greet", name="Ann")) == "Hello, Ann!"

    async def test_of_one_callers_calls_is_nobodys_where_nobody_is_known(
        self, http: httpx2.AsyncClient, stage: Stage, serve: Serve
    ) -> None:
        async with serve(HostSettings(calls_per_caller=2)) as url:
            whole, headers = modern(tool("slow"))
            running = [asyncio.create_task(http.post(url, json=whole, headers=headers)) for _ in range(5)]
            await until(lambda: stage.entered == 5)
            stage.go.set()
            assert {response.status_code for response in await asyncio.gather(*running)} == {200}

    async def test_of_running_calls_holds_for_those_that_come_at_once(
        self, http: httpx2.AsyncClient, stage: Stage, clock: SetClock, serve: Serve
    ) -> None:
        """The store takes its time, as one does that lies elsewhere."""
        store = Distant(clock)
        async with serve(HostSettings(running_calls=4), store=store) as url:
            session = await initialize(http, url)
            running = [asyncio.create_task(session.send(url, tool("slow", number))) for number in range(20)]
            await until(lambda: sum(task.done() for task in running) + stage.entered == 20)
            started = stage.entered
            stage.go.set()
            responses = await asyncio.gather(*running)
        assert started == 4
        assert sorted(each.status_code for each in responses) == [200] * 4 + [503] * 16

    async def test_of_what_a_client_says_of_itself_is_64_kib(
        self, http: httpx2.AsyncClient, store: MemoryStore, serve: Serve
    ) -> None:
        async with serve() as url:
            response = await opening(http, url, name="x" * 70_000)
            assert (response.status_code, response.json()["error"]["code"]) == (400, -32602)
            assert store.held == 0
            assert (await opening(http, url, name="x" * 60_000)).status_code == 200


class Distant(MemoryStore):
    """Answers as late as a store does that is reached over a network: not before others have had their turn."""

    async def put(self, record: Record) -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        await super().put(record)


async def opening(http: httpx2.AsyncClient, url: str, token: str | None = None, name: str = "test") -> httpx2.Response:
    headers = BOTH if token is None else {**BOTH, "authorization": token}
    return await http.post(url, json=initializing(name), headers=headers)


def initializing(name: str = "test") -> dict[str, Any]:
    client = {"name": name, "version": "1"}
    return request("initialize", 0, protocolVersion="2025-11-25", capabilities={}, clientInfo=client)


def calling(session: Wire, url: str, is_modern: bool) -> Callable[..., Coroutine[Any, Any, httpx2.Response]]:
    """Calls tools in `session`, or without it where there are none."""

    async def call(name: str, /, **arguments: Any) -> httpx2.Response:
        if not is_modern:
            return await session.send(url, tool(name, **arguments))
        whole, headers = modern(tool(name, **arguments))
        return await session.http.post(url, json=whole, headers=headers)

    return call


def is_full(response: httpx2.Response, status: int, says: str) -> bool:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert int(response.headers["retry-after"]) > 0
    assert response.json()["error"]["message"] == says
    return True


class TestIdleness:
    async def test_ends_a_session_and_use_prolongs_it(
        self, http: httpx2.AsyncClient, serve: Serve, clock: SetClock
    ) -> None:
        async with serve(HostSettings(session_idle_s=1000)) as url:
            session, unused = await initialize(http, url), await initialize(http, url)
            for _ in range(5):
                clock.now += 900
                assert (await session.send(url, request("ping"))).status_code == 200
            assert (await unused.send(url, request("ping"))).status_code == 404
            clock.now += 1001
            assert (await session.send(url, request("ping"))).status_code == 404

    async def test_is_not_what_a_resuming_or_a_cancelling_client_suffers_from(
        self, http: httpx2.AsyncClient, serve: Serve, clock: SetClock
    ) -> None:
        async with serve(HostSettings(session_idle_s=1000)) as url:
            session = await initialize(http, url)
            clock.now += 900
            assert (await session.send(url, CANCEL)).status_code == 202
            clock.now += 900
            headers = {**session.headers, "last-event-id": "x.1"}
            assert (await http.get(url, headers=headers)).status_code == 400
            clock.now += 900
            assert (await session.send(url, request("ping"))).status_code == 200

    async def test_leaves_nothing_in_the_store(
        self, http: httpx2.AsyncClient, store: MemoryStore, serve: Serve, clock: SetClock
    ) -> None:
        async with serve(HostSettings(session_idle_s=100)) as url:
            for _ in range(20):
                session = await initialize(http, url)
                await session.call(url, "greet", name="Ann")
            clock.now += 100_000
            last = await initialize(http, url)
            assert store.held == 3
            await last.end(url)
            assert store.held == 0


async def heard(session: Wire, url: str, name: str, /, **arguments: Any) -> list[Event]:
    async with session.calling(url, name, 1, **arguments) as events:
        return [event async for event in events]


async def resumed(session: Wire, url: str, event_id: str) -> list[Event]:
    async with asyncio.timeout(SOON_S), session.resuming(url, event_id) as events:
        return [event async for event in events]


class TestLastEventId:
    GARBAGE = (
        "",
        "x",
        ".",
        ".1",
        "x.",
        "x.1",
        "x.-1",
        "x.1.5",
        "x.1e3",
        "x.+1",
        "x. 1",
        "x.0x1",
        "x.\xb2",
        "x.\xb9",
        "\xe9.1",
        "x." + "9" * 61,
        "x." + "9" * 5000,
        "x" * 10_000,
        "../../owner.1",
        "call/x.1",
        "*.1",
        "%.1",
        "~.1",
    )

    async def test_that_names_nothing_is_refused(self, http: httpx2.AsyncClient, serve: Serve) -> None:
        async with serve() as url:
            session = await initialize(http, url)
            given = [*session.headers.items()]
            replies = [await ask(url, "GET", [*given, ("last-event-id", each)]) for each in self.GARBAGE]
        for each, reply in zip(self.GARBAGE, replies, strict=True):
            assert (reply.status, reply.headers["content-type"]) == (400, "application/json"), each
            assert reply.body == replies[0].body

    async def test_of_another_sessions_call_is_refused(self, http: httpx2.AsyncClient, serve: Serve) -> None:
        async with serve() as url:
            session, other = await initialize(http, url), await initialize(http, url)
            for event in await heard(session, url, "slow", steps=1, waits=False):
                response = await http.get(url, headers={**other.headers, "last-event-id": str(event.id)})
                assert response.status_code == 400

    async def test_of_an_ended_call_gives_what_came_after_it(self, http: httpx2.AsyncClient, serve: Serve) -> None:
        async with serve() as url:
            session = await initialize(http, url)
            events = await heard(session, url, "slow", steps=2, waits=False)
            for number, event in enumerate(events[:-1], 1):
                rest = await resumed(session, url, str(event.id))
                assert [each[:2] for each in rest] == [each[:2] for each in events[number:]]

    @pytest.mark.parametrize("seconds_later", [0, 9, 100])
    async def test_of_a_result_gives_an_end_and_no_silence(
        self, http: httpx2.AsyncClient, seconds_later: float, serve: Serve, clock: SetClock
    ) -> None:
        """As a client sends it whose connection broke after the result, and one that knows no better."""
        store = Tired(clock)
        async with serve(store=store) as url:
            session = await initialize(http, url)
            last = (await heard(session, url, "greet", name="Ann"))[-1]
            clock.now += seconds_later
            assert await resumed(session, url, str(last.id)) == []

    @pytest.mark.parametrize("seconds_later", [0, 9])
    async def test_of_the_future_gives_an_end_and_no_silence(
        self, http: httpx2.AsyncClient, seconds_later: float, serve: Serve, clock: SetClock
    ) -> None:
        store = Tired(clock)
        async with serve(store=store) as url:
            session = await initialize(http, url)
            call_id = str((await heard(session, url, "greet", name="Ann"))[-1].id).rpartition(".")[0]
            clock.now += seconds_later
            for seq in ("2", "99999998", "99999999", "100000000", "9" * 40):
                headers = {**session.headers, "last-event-id": f"{call_id}.{seq}"}
                response = await asyncio.wait_for(http.get(url, headers=headers), SOON_S)
                assert response.status_code == 400 or messages(response) == []

    async def test_of_a_call_whose_tasks_went_on_to_talk_gives_an_end(
        self, http: httpx2.AsyncClient, clock: SetClock, stage: Stage, serve: Serve
    ) -> None:
        store = Tired(clock)
        async with serve(store=store) as url:
            session = await initialize(http, url)
            events = await heard(session, url, "gossips")
            stage.go.set()
            await until(lambda: stage.left)
            again = await resumed(session, url, str(events[0].id))
            assert [each[:2] for each in again][:1] == [events[-1][:2]]

    async def test_of_a_running_call_is_answered_at_once_even_if_there_is_no_news(
        self, http: httpx2.AsyncClient, stage: Stage, serve: Serve
    ) -> None:
        async with serve() as url:
            session = await initialize(http, url)
            async with session.calling(url, "slow", steps=0) as events:
                first = await anext(events)
            async with asyncio.timeout(SOON_S), session.resuming(url, str(first.id)) as events:
                stage.go.set()
                assert [event.message async for event in events][-1]["result"]["isError"] is False

    async def test_is_nothing_when_the_events_are_no_longer_kept(
        self, http: httpx2.AsyncClient, store: MemoryStore, serve: Serve, clock: SetClock
    ) -> None:
        async with serve(HostSettings(kept_s=300)) as url:
            session = await initialize(http, url)
            first, *rest = await heard(session, url, "greet", name="Ann")
            clock.now += 299
            assert [each[:2] for each in await resumed(session, url, str(first.id))] == [each[:2] for each in rest]
            clock.now += 15  # the store says so to some seconds
            response = await http.get(url, headers={**session.headers, "last-event-id": str(first.id)})
            assert response.status_code == 400

    async def test_of_a_call_that_another_instance_took_for_dead_gives_each_answer_once(
        self, http: httpx2.AsyncClient, store: MemoryStore, stage: Stage, serve: Serve
    ) -> None:
        """Its clock is ahead, or the instance at work was busy for longer than its lease."""
        ahead = SetClock()
        ahead.now += 100
        async with serve() as here, serving(host(a_server(stage), store, clock=ahead)) as there:
            session = await initialize(http, here)
            async with session.calling(here, "slow", 5, steps=0) as events:
                first = await anext(events)
            await until(lambda: stage.entered)
            assert len(await resumed(session, there, str(first.id))) == 1
            stage.go.set()
            await until(lambda: stage.left)
            for url in (here, there):
                answers = [each.message for each in await resumed(session, url, str(first.id))]
                assert len([each for each in answers if each.get("id") == 5]) == 1

    async def test_can_be_used_by_two_at_once(self, http: httpx2.AsyncClient, stage: Stage, serve: Serve) -> None:
        async with serve() as url:
            session = await initialize(http, url)
            async with session.calling(url, "slow", steps=2) as events:
                first = await anext(events)
            await until(lambda: stage.entered)
            coming = [asyncio.create_task(resumed(session, url, str(first.id))) for _ in range(2)]
            async with session.resuming(url, str(first.id)) as events:
                await anext(events)  # and one that leaves again
            stage.go.set()
            one, other = await asyncio.gather(*coming)
            assert [each[:2] for each in one] == [each[:2] for each in other]
            assert one[-1].message["result"]["isError"] is False


class Tired(MemoryStore):
    """Serves a thousand listings, so that whoever never stops asking ends in an error and not in silence."""

    left = 1000

    async def list(self, partition: str, prefix: str = "", after: str = "") -> Any:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("asked without end")
        return await super().list(partition, prefix, after)


class TestWhatIsKept:
    async def test_of_much_progress_is_the_latest_and_the_result(
        self, http: httpx2.AsyncClient, store: MemoryStore, serve: Serve
    ) -> None:
        settings = HostSettings(kept_bytes=20_000)
        async with serve(settings) as url:
            session = await initialize(http, url)
            events = await heard(session, url, "slow", steps=100, length=1000, waits=False)
            assert store.held < 3 + 1 + 20_000 / 1000
            rest = await resumed(session, url, str(events[0].id))
        assert rest[-1][:2] == events[-1][:2]
        assert rest[-1].message["result"]["content"][0]["text"] == "finished"
        assert [each[:2] for each in rest] == [each[:2] for each in events[-len(rest) :]]
        assert 15_000 < sum(len(json.dumps(each.message)) for each in rest) < 21_000

    @pytest.mark.parametrize("size", [LARGEST_VALUE - 200, LARGEST_VALUE, 900_000, 3 * LARGEST_VALUE])
    async def test_of_a_large_result_is_all_of_it(self, http: httpx2.AsyncClient, size: int, serve: Serve) -> None:
        async with serve() as url:
            session = await initialize(http, url)
            events = await heard(session, url, "big", size=size)
            assert len(events[-1].message["result"]["content"][0]["text"]) == size
            assert (await resumed(session, url, str(events[0].id)))[-1][:2] == events[-1][:2]

    async def test_of_an_ended_session_is_nothing(
        self, http: httpx2.AsyncClient, store: MemoryStore, stage: Stage, serve: Serve
    ) -> None:
        async with serve() as url:
            session = await initialize(http, url)
            await session.call(url, "greet", name="Ann")
            running = asyncio.create_task(session.send(url, tool("slow")))
            await until(lambda: stage.entered)
            assert (await session.end(url)).status_code == 200
            last = messages(await running)[-1]
            assert last["error"] == {"code": -32800, "message": "The session was ended."}
            await until(lambda: stage.left)
            assert store.held == 0

    async def test_of_a_session_that_ends_while_a_question_is_open_is_nothing(
        self, http: httpx2.AsyncClient, store: MemoryStore, serve: Serve
    ) -> None:
        async with serve() as url:
            session = await initialize(http, url, elicitation={})
            async with session.calling(url, "asks") as events:
                seen = [await anext(events) for _ in range(2)]
                assert seen[-1].message["method"] == "elicitation/create"
                assert (await session.end(url)).status_code == 200
                (last,) = [event.message async for event in events]
            assert last.get("error") == {"code": -32800, "message": "The session was ended."}
            assert store.held == 0

    async def test_of_a_session_that_ends_while_a_call_begins_is_nothing(
        self, http: httpx2.AsyncClient, clock: SetClock, stage: Stage, serve: Serve
    ) -> None:
        store = Distant(clock)
        async with serve(store=store) as url:
            session = await initialize(http, url)
            call = in_bytes(url, "POST", session.headers, tool("slow"))
            called, ended = await at_the_same_moment(url, call, in_bytes(url, "DELETE", session.headers))
            assert ended.split(b" ")[1] == b"200"
            assert b'"error":' in called
            assert (stage.entered, store.held) == (0, 0)

    async def test_of_answers_that_nobody_waits_for_is_nothing(
        self, http: httpx2.AsyncClient, store: MemoryStore, serve: Serve
    ) -> None:
        async with serve() as url:
            session = await initialize(http, url, elicitation={})
            before = store.held
            for request_id in ("ask-made-up", "", 1, "é" * 50, "x" * 5000, "\u0000", "a/b"):
                answer = {"jsonrpc": "2.0", "id": request_id, "result": {"action": "accept"}}
                assert (await session.send(url, answer)).status_code == 202
            assert store.held == before
            async with session.calling(url, "asks") as events:
                await anext(events)
                question = (await anext(events)).message
                answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}}
                assert (await session.send(url, answer)).status_code == 202
                assert [event.message async for event in events][-1]["result"]["content"][0]["text"] == "decline"
            for _ in range(3):
                again = {**answer, "result": {"action": "accept", "content": {"colour": "y" * 10_000}}}
                assert (await session.send(url, again)).status_code == 202
            assert [each for each in await everything(store, session) if b"yyyy" in each.value] == []

    async def test_has_names_that_every_store_takes(
        self, http: httpx2.AsyncClient, clock: SetClock, serve: Serve
    ) -> None:
        store = Strict(clock)
        async with serve(store=store) as url:
            session = await initialize(http, url, elicitation={})
            for request_id in ("\n", "é" * 50, "x" * 5000, "\u0000", 10**400, "~" * 600):
                answer: Any = {"jsonrpc": "2.0", "id": request_id, "result": {}}
                assert (await session.send(url, answer)).status_code == 202
                cancel = {**CANCEL, "params": {"requestId": request_id}}
                assert (await session.send(url, cancel)).status_code == 202
                assert (await session.send(url, tool("greet", request_id, name="Ann"))).status_code == 200
                headers = {**session.headers, "last-event-id": "x" * 50 + ".1"}
                assert (await http.get(url, headers=headers)).status_code == 400


class Strict(MemoryStore):
    """Takes only the names that `Record` allows."""

    def _set(self, record: Record, now: float) -> None:
        _check(record.partition, record.key)
        super()._set(record, now)

    async def get(self, partition: str, key: str) -> Record | None:
        _check(partition, key)
        return await super().get(partition, key)

    async def remove(self, partition: str, key: str) -> bool:
        _check(partition, key)
        return await super().remove(partition, key)


def _check(*names: str) -> None:
    for name in names:
        if not (1 <= len(name) <= 512 and name.isascii() and name.isprintable()):
            raise ValueError(f"no store need take a name like {name[:20]!r}")


async def everything(store: MemoryStore, session: Wire) -> list[Record]:
    return [*await store.list(f"session/{session.id}")]


class TestMuchTraffic:
    async def test_of_sessions_that_come_and_go_leaves_nothing_behind(
        self, store: MemoryStore, clock: SetClock
    ) -> None:
        app = host(a_server(), store, clock=clock)

        async def come_and_go(times: int) -> None:
            for _ in range(times):
                opened = await in_process(app, "POST", BOTH, initializing())
                assert opened.status == 200
                ended = await in_process(app, "DELETE", {"mcp-session-id": opened.headers["mcp-session-id"]})
                assert ended.status == 200

        await come_and_go(1000)
        before = sizes(app), len(asyncio.all_tasks())
        await asyncio.gather(*(come_and_go(100) for _ in range(10)))
        assert store.held == 0
        assert (sizes(app), len(asyncio.all_tasks())) == before

    async def test_of_clients_that_hang_up_leaves_no_task_behind(
        self, http: httpx2.AsyncClient, store: MemoryStore, stage: Stage, clock: SetClock
    ) -> None:
        app = host(a_server(stage), store, clock=clock)
        async with serving(app) as url:
            session = await initialize(http, url)
            async with session.calling(url, "greet", name="Ann"):
                pass
            await settled(session, url, stage, 0)
            before = len(asyncio.all_tasks())

            async def hang_up(number: int) -> None:
                async with session.calling(url, "slow", number, steps=1) as events:
                    first = await anext(events)
                async with session.resuming(url, str(first.id)) as events:
                    await anext(events)

            await asyncio.gather(*(hang_up(number) for number in range(50)))
            await until(lambda: stage.entered == 50)
            stage.go.set()
            await settled(session, url, stage, 50)
            await until(lambda: len(asyncio.all_tasks()) <= before)
            await until(lambda: living("Call", "Listener", "Session") == 0)

    async def test_of_five_hundred_sessions_at_once_gives_each_its_own_answer(
        self, store: MemoryStore, clock: SetClock
    ) -> None:
        app = host(a_server(), store, clock=clock)
        at_once = asyncio.Semaphore(100)
        opened: list[str] = []

        async def one(number: int) -> bytes:
            async with at_once:
                session_id = (await in_process(app, "POST", BOTH, initializing())).headers["mcp-session-id"]
            opened.append(session_id)
            async with at_once:
                headers = {**BOTH, "mcp-session-id": session_id}
                return (await in_process(app, "POST", headers, tool("greet", 1, name=str(number)))).body

        bodies = await asyncio.gather(*(one(number) for number in range(500)))
        assert len(set(opened)) == 500
        for number, body in enumerate(bodies):
            assert b'"Hello, %d!"' % number in body


async def settled(session: Wire, url: str, stage: Stage, left: int) -> None:
    await until(lambda: stage.left == left)
    assert (await session.send(url, request("ping"))).status_code == 200


def living(*names: str) -> int:
    """How many objects of these classes of tollbook's there are."""
    gc.collect()
    kinds = (type(each) for each in gc.get_objects())
    return sum(kind.__name__ in names and kind.__module__.startswith("tollbook.hosting") for kind in kinds)


def sizes(app: object) -> dict[str, int]:
    """How many things each collection holds that `app` is made of, wherever in it."""
    found: dict[str, int] = {}
    seen: set[int] = set()

    def look(thing: object, path: str) -> None:
        if id(thing) in seen:
            return
        seen.add(id(thing))
        if isinstance(thing, dict | list | set) and path != "._store._ends":  # a heap that is tidied now and then
            found[path] = len(thing)
        for name, value in getattr(thing, "__dict__", {}).items():
            if type(value).__module__.startswith("tollbook") or isinstance(value, dict | list | set):
                look(value, f"{path}.{name}")

    look(app, "")
    return found


class TestARace:
    """Two requests that arrive in the same moment."""

    @pytest.mark.parametrize("second", ["DELETE", "cancel"])
    async def test_between_a_call_and_its_end_is_won_by_one_and_ends(
        self, http: httpx2.AsyncClient, stage: Stage, second: str, serve: Serve
    ) -> None:
        async with serve() as url:
            for _ in range(5):
                session = await initialize(http, url)
                call = in_bytes(url, "POST", session.headers, tool("slow"))
                end = in_bytes(url, "POST", session.headers, CANCEL)
                if second == "DELETE":
                    end = in_bytes(url, "DELETE", session.headers)
                called, ended = await at_the_same_moment(url, call, end)
                assert ended.split(b" ")[1] in (b"200", b"202")
                assert b'"error":' in called
            await until(lambda: stage.entered == stage.left)

    async def test_between_two_ends_of_a_session_is_won_by_one(
        self, http: httpx2.AsyncClient, store: MemoryStore, serve: Serve
    ) -> None:
        async with serve() as url:
            for _ in range(5):
                session = await initialize(http, url)
                end = in_bytes(url, "DELETE", session.headers)
                statuses = [each.split(b" ")[1] for each in await at_the_same_moment(url, end, end)]
                assert sorted(statuses) == [b"200", b"404"]
            assert store.held == 0


def in_bytes(url: str, method: str, headers: Mapping[str, str], message: Any = None) -> bytes:
    address = httpx2.URL(url)
    body = b"" if message is None else json.dumps(message).encode()
    given = {**headers, "host": f"127.0.0.1:{address.port}", "connection": "close", "content-length": str(len(body))}
    if body:
        given["content-type"] = "application/json"
    lines = [f"{method} {address.path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def at_the_same_moment(url: str, *requests: bytes) -> list[bytes]:
    """The responses to requests that lie ready on their sockets when the server looks next."""
    address = httpx2.URL(url)
    connections = [await asyncio.open_connection(address.host, address.port) for _ in requests]
    for _ in range(20):
        await asyncio.sleep(0)  # the server accepts them all
    try:
        for (_, writer), each in zip(connections, requests, strict=True):
            writer.write(each)
        async with asyncio.timeout(SOON_S):
            return await asyncio.gather(*(reader.read() for reader, _ in connections))
    finally:
        for _, writer in connections:
            writer.transport.abort()
