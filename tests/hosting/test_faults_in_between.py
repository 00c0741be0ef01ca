"""What fails in the middle of a call and is over soon: no result is lost, nobody is taken for dead, nothing is left."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from tests.hosting.hurried import (
    Holds,
    Meets,
    Obedient,
    Refuses,
    anyio_backend,
    clock_of_the_loop,
    comes_true,
    http,
    store,
)
from tests.hosting.serving import Choice, SetClock, Stage, a_server, messages, serving, tool
from tests.hosting.test_logs import Log, log
from tests.hosting.wire import Event, Wire, initialize
from tollbook.core.stores import Store
from tollbook.hosting import HostSettings, host

__all__ = ["anyio_backend", "http", "log", "store"]

pytestmark = pytest.mark.anyio

RESULT = "put", "event/", b'"result":'
OLDEST = "2025-03-26"
BLUE = {"action": "accept", "content": {"colour": "blue"}}
WHERE = pytest.mark.parametrize("elsewhere", [False, True], ids=["same instance", "another instance"])


@asynccontextmanager
async def two(
    store: Store,
    stage: Stage,
    settings: HostSettings | None = None,
    *,
    ahead_s: float = 0,
    there: HostSettings | None = None,
) -> AsyncIterator[tuple[str, str]]:
    """Two instances; the clock of the second is so much ahead."""
    async with (
        serving(host(a_server(stage), store, settings, clock=clock_of_the_loop())) as one,
        serving(host(a_server(stage), store, there or settings, clock=clock_of_the_loop(ahead_s))) as other,
    ):
        try:
            yield one, other
        finally:
            stage.go.set()


async def resumed(session: Wire, url: str, event: Event) -> list[Event]:
    async with asyncio.timeout(60), session.resuming(url, str(event.id)) as events:
        return [event async for event in events]


def said(events: Sequence[Event]) -> list[tuple[Any, ...]]:
    """What tells an event from others: its id and its message."""
    return [event[:2] for event in events]


def answers(events: Sequence[Event]) -> list[Any]:
    """The answers among them."""
    return [event.message for event in events if event.message and "id" in event.message]


class TestAResultThatTheStoreRefuses:
    @WHERE
    @pytest.mark.parametrize("times", [1, 2])
    async def test_is_heard_at_once_and_by_whoever_comes_back(
        self, http: httpx2.AsyncClient, store: Obedient, stage: Stage, times: int, elsewhere: bool
    ) -> None:
        async with two(store, stage) as (here, there):
            session = await initialize(http, here)
            store.before = refuses = Refuses(*RESULT)
            async with session.calling(here, "slow", 5, steps=1, waits=False) as events:
                seen = [event async for event in events]
            assert seen[-1].message["result"]["content"][0]["text"] == "finished"
            refuses.times = times - 1
            url = there if elsewhere else here
            for _ in range(2):
                assert said(await resumed(session, url, seen[0])) == said(seen[1:])

    async def test_is_heard_by_whoever_comes_back_though_only_half_of_it_was_refused(
        self, http: httpx2.AsyncClient, store: Obedient, stage: Stage
    ) -> None:
        class RefusesTheSecond(Meets):
            async def meet(self) -> None:
                if self.met == 1:
                    store.before = Refuses("put", "event/", times=1)

        async with two(store, stage) as (here, there):
            session = await initialize(http, here)
            store.before = RefusesTheSecond(*RESULT)
            async with session.calling(here, "big", 5, size=900_000) as events:
                seen = [event async for event in events]
            assert said(await resumed(session, there, seen[0])) == said(seen[1:])

    @pytest.mark.parametrize("times", [1, 2])
    async def test_in_a_batch_is_not_overtaken_by_the_next(
        self, http: httpx2.AsyncClient, store: Obedient, stage: Stage, times: int
    ) -> None:
        async with two(store, stage) as (here, there):
            session = await initialize(http, here, OLDEST)
            batch = [tool("slow", 1, steps=1), tool("greet", 2, name="Ann")]
            async with http.stream("POST", here, json=batch, headers=session.headers) as response:
                lines = response.aiter_lines()
                first = await anext(line async for line in lines if line.startswith("id: "))
            await comes_true(lambda: stage.entered)
            store.before = Refuses(*RESULT, times=times)
            stage.go.set()
            rest = await resumed(session, there, Event(first.removeprefix("id: "), None, 0))
            assert [each["id"] for each in answers(rest)] == [1, 2]

    async def test_in_a_batch_is_heard_before_the_next_has_ended(
        self, http: httpx2.AsyncClient, store: Obedient, stage: Stage
    ) -> None:
        async with two(store, stage) as (here, there):
            session = await initialize(http, here, OLDEST)
            batch = [tool("slow", 1, steps=1, waits=False), tool("slow", 2, steps=0)]
            store.before = Refuses(*RESULT, times=1)
            async with http.stream("POST", here, json=batch, headers=session.headers) as response:
                lines = response.aiter_lines()
                first = await anext(line async for line in lines if line.startswith("id: "))
            await comes_true(lambda: stage.entered)
            async with asyncio.timeout(60), session.resuming(there, first.removeprefix("id: ")) as events:
                assert (await anext(each.message async for each in events if answers([each])))["id"] == 1

    async def test_does_not_make_its_request_look_as_if_the_client_had_left(
        self, http: httpx2.AsyncClient, store: Obedient, stage: Stage, log: Log
    ) -> None:
        async with two(store, stage) as (here, _):
            session = await initialize(http, here)
            store.before = Refuses(*RESULT, times=1)
            await session.call(here, "greet", name="Ann")
            await comes_true(lambda: len(log.requests) == 2)
        assert log.requests[-1]["outcome"] == "result"


class TestAQuestionToTheUser:
    async def asked(self, events: AsyncIterator[Event]) -> dict[str, Any]:
        """The client's answer to what it is asked next."""
        async for event in events:
            if event.message and event.message.get("method") == "elicitation/create":
                return {"jsonrpc": "2.0", "id": event.message["id"], "result": BLUE}
        raise AssertionError("nothing was asked")

    @pytest.mark.parametrize("fault", [("put", "reply/"), ("get", "asked/")], ids=" ".join)
    async def test_whose_answer_the_store_refuses_can_be_answered_again(
        self, http: httpx2.AsyncClient, store: Obedient, stage: Stage, fault: tuple[str, str]
    ) -> None:
        async with two(store, stage) as (here, there):
            session = await initialize(http, here, elicitation={})
            async with session.calling(here, "asks") as events:
                answer = await self.asked(events)
                store.before = Refuses(*fault, times=1)
                statuses = [(await session.send(there, answer)).status_code for _ in range(2)]
                assert statuses == [503, 202]
                assert answers([event async for event in events])[-1]["result"]["content"][0]["text"] == "accept: blue"

    async def test_stays_open_while_nobody_can_read_whether_it_was_answered(
        self, http: httpx2.AsyncClient, store: Obedient, stage: Stage
    ) -> None:
        async with two(store, stage) as (here, there):
            session = await initialize(http, here, elicitation={})
            async with session.calling(here, "asks") as events:
                answer = await self.asked(events)
                store.before = refuses = Refuses("get", "reply/")
                await comes_true(lambda: refuses.met >= 3)
                assert (await session.send(there, answer)).status_code == 202
                refuses.times = 0
                assert answers([event async for event in events])[-1]["result"]["content"][0]["text"] == "accept: blue"

    async def test_that_the_store_refuses_at_first_is_heard_by_whoever_comes_back(
        self, http: httpx2.AsyncClient, store: Obedient, stage: Stage
    ) -> None:
        async with two(store, stage) as (here, there):
            session = await initialize(http, here, elicitation={})
            store.before = Refuses("put", "event/", b"elicitation/create", times=1)
            async with session.calling(here, "asks") as events:
                first = await anext(events)
                await self.asked(events)
            async with asyncio.timeout(60), session.resuming(there, str(first.id)) as events:
                assert (await session.send(there, await self.asked(events))).status_code == 202
                assert answers([event async for event in events])[-1]["result"]["content"][0]["text"] == "accept: blue"

    async def test_comes_back_with_another_that_was_asked_beside_it(
        self, http: httpx2.AsyncClient, store: Obedient
    ) -> None:
        class LateAndAtFirstNever(Refuses):
            async def __call__(self, operation: str, name: str, value: bytes) -> None:
                await asyncio.sleep(0.1)
                await super().__call__(operation, name, value)

        server: MCPServer[Any] = MCPServer("curious", version="1", log_level="ERROR")

        @server.tool()
        async def asks_twice(ctx: Context[Any, Any]) -> str:
            given = await asyncio.gather(ctx.elicit("Which?", Choice), ctx.elicit("And which?", Choice))
            return " ".join(each.action for each in given)

        async with (
            serving(host(server, store, clock=clock_of_the_loop())) as here,
            serving(host(server, store, clock=clock_of_the_loop())) as there,
        ):
            session = await initialize(http, here, elicitation={})
            store.before = refuses = LateAndAtFirstNever("put", "event/", b"elicitation/create", times=2)
            async with session.calling(here, "asks_twice") as events:
                first = await anext(events)
                for _ in range(2):
                    await self.asked(events)
            await comes_true(lambda: refuses.met >= 4)
            async with asyncio.timeout(60), session.resuming(there, str(first.id)) as events:
                for _ in range(2):
                    assert (await session.send(there, await self.asked(events))).status_code == 202
                assert answers([event async for event in events])[-1]["result"]["content"][0]["text"] == "accept accept"


class TestALiveCall:
    """Is taken for dead by nobody, however slow or far away whoever works on it is."""

    @pytest.mark.parametrize("ahead_s", [-20, 20])
    async def test_is_heard_to_its_end_by_one_whose_clock_goes_wrong(
        self, http: httpx2.AsyncClient, store: Obedient, stage: Stage, ahead_s: float
    ) -> None:
        async with two(store, stage, ahead_s=ahead_s) as (here, there):
            session = await initialize(http, here)
            async with session.calling(here, "slow", 5, steps=1) as events:
                first = await anext(events)
            following = asyncio.create_task(resumed(session, there, first))
            store.before = beats = Meets("replace", "call/")
            await comes_true(lambda: beats.met >= 6)  # twice its lease
            stage.go.set()
            (answer,) = answers(await following)
            assert answer["result"]["content"][0]["text"] == "finished"

    @pytest.mark.parametrize("each_takes_s", [0.15, 0.3])
    async def test_is_not_held_up_by_a_batch_in_a_store_that_takes_its_time(
        self, http: httpx2.AsyncClient, store: Obedient, stage: Stage, each_takes_s: float
    ) -> None:
        async def slowly(operation: str, name: str, value: bytes) -> None:
            await beats(operation, name, value)
            await asyncio.sleep(each_takes_s)

        beats = Meets("replace", "call/")
        async with two(store, stage) as (here, there):
            other = await initialize(http, here, OLDEST)
            batch = asyncio.create_task(other.send(here, [tool("slow", number, steps=0) for number in range(32)]))
            session = await initialize(http, here)
            async with session.calling(here, "slow", 5, steps=1) as events:
                first = await anext(events)
            await comes_true(lambda: stage.entered == 2)
            store.before = slowly
            following = asyncio.create_task(resumed(session, there, first))
            await comes_true(lambda: beats.met >= 12)  # of both: twice a lease
            stage.go.set()
            (answer,) = answers(await following)
            assert answer["result"]["content"][0]["text"] == "finished"
            assert answers(await resumed(session, there, first)) == [answer]
            assert len(messages(await batch)) >= 32

    @pytest.mark.parametrize("later_s", [299, 305, 309, 312, 318, 320])
    async def test_has_not_died_when_its_result_is_about_to_be_forgotten(
        self, http: httpx2.AsyncClient, stage: Stage, later_s: float
    ) -> None:
        clock = SetClock()
        store = Obedient(clock)
        async with (
            serving(host(a_server(stage), store, HostSettings(kept_s=300), clock=clock)) as here,
            serving(host(a_server(stage), store, HostSettings(kept_s=300), clock=clock)) as there,
        ):
            session = await initialize(http, here)
            async with session.calling(here, "slow", 5, steps=2, waits=False) as events:
                seen = [event async for event in events]
            clock.now += later_s
            response = await http.get(there, headers={**session.headers, "last-event-id": str(seen[0].id)})
            if response.status_code == 200:
                assert messages(response) == [event.message for event in seen[1:]]
            else:
                assert (response.status_code, later_s > 300) == (400, True)
            assert "has died" not in response.text


class TestTheEndOfASession:
    async def test_while_an_answer_is_written_ends_the_stream_and_leaves_nothing(
        self, http: httpx2.AsyncClient, store: Obedient
    ) -> None:
        unheard: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unheard.append(context))
        few = HostSettings(kept_bytes=400)  # so that progress must go for the result's sake
        async with serving(host(a_server(), store, few, clock=clock_of_the_loop())) as url:
            session = await initialize(http, url)
            store.before = holds = Holds(*RESULT)
            calling = asyncio.create_task(session.send(url, tool("slow", 1, steps=2, length=100, waits=False)))
            await comes_true(lambda: holds.met)
            assert (await session.end(url)).status_code == 200
            holds.go.set()
            assert messages(await calling)[-1]["id"] == 1
            assert await store.list(f"session/{session.id}") == []
        gc.collect()
        assert unheard == []

    async def test_that_the_store_refuses_half_way_ends_the_calls_elsewhere_all_the_same(
        self, http: httpx2.AsyncClient, store: Obedient, stage: Stage
    ) -> None:
        async with two(store, stage) as (here, there):
            session = await initialize(http, here)
            calling = asyncio.create_task(session.call(here, "slow", steps=0))
            await comes_true(lambda: stage.entered)
            store.before = Refuses("clear", times=1)
            assert (await session.end(there)).status_code == 503
            assert (await session.end(there)).status_code in (200, 404)
            async with asyncio.timeout(60):
                assert (await calling)["message"] == "The session was ended."


async def test_what_a_tool_does_in_its_end_is_interrupted_by_nobody(http: httpx2.AsyncClient, store: Obedient) -> None:
    server: MCPServer[Any] = MCPServer("tidy", version="1", log_level="ERROR")
    tidied, done = asyncio.Event(), []

    @server.tool()
    async def tidies() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            done.append("begun")
            await tidied.wait()
            done.append("ended")
        return "never"

    settings = HostSettings(call_limit_s=0.5)
    async with serving(host(server, store, settings, clock=clock_of_the_loop())) as url:
        session = await initialize(http, url)
        calling = asyncio.create_task(session.call(url, "tidies"))
        store.before = beats = Meets("replace", "call/")
        await comes_true(lambda: beats.met >= 2)  # the call was looked at as often, and each time it was too late
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        assert (await session.send(url, cancel)).status_code == 202
        assert done == ["begun"]
        tidied.set()
        assert (await calling)["message"] == "The call took longer than 0.5 s, which is all it may."
        assert done == ["begun", "ended"]


class TestFollowers:
    """Those who listen to a call of another instance."""

    @asynccontextmanager
    async def following(self, http: httpx2.AsyncClient, url: str, session: Wire, event: Event) -> AsyncIterator[Any]:
        headers = {**session.headers, "last-event-id": str(event.id)}
        async with http.stream("GET", url, headers=headers) as response:
            yield response

    async def test_of_one_session_are_a_few_and_none_need_go_for_another(
        self, http: httpx2.AsyncClient, store: Obedient, stage: Stage
    ) -> None:
        async with two(store, stage) as (here, there), AsyncExitStack() as stack:
            session = await initialize(http, here)
            async with session.calling(here, "slow", 5, steps=1) as events:
                first = await anext(events)
            following = [await stack.enter_async_context(session.resuming(there, str(first.id))) for _ in range(4)]
            await comes_true(lambda: stage.entered)
            stage.go.set()
            for events in following:
                assert len(answers([event async for event in events])) == 1

    async def test_of_one_session_leave_room_for_those_of_another(
        self, http: httpx2.AsyncClient, store: Obedient, stage: Stage
    ) -> None:
        async with (
            two(store, stage, there=HostSettings(running_calls=4)) as (here, there),
            AsyncExitStack() as stack,
        ):
            greedy, modest = await initialize(http, here), await initialize(http, here)
            first = []
            for session in (greedy, modest):
                async with session.calling(here, "slow", 5, steps=1) as events:
                    first.append(await anext(events))
            await comes_true(lambda: stage.entered == 2)
            following = []
            for _ in range(6):
                response = await stack.enter_async_context(self.following(http, there, greedy, first[0]))
                assert response.status_code == 200
                following.append(response)
            assert b"finished" not in await following[0].aread()  # sent away, and ended as it should be
            async with self.following(http, there, modest, first[1]) as response:
                assert response.status_code == 200
                stage.go.set()
                assert b"finished" in await response.aread()
            assert b"finished" in await following[-1].aread()
