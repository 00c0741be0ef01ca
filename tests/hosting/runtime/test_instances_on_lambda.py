"""Three instances on Lambda, with their sessions in DynamoDB, are one server: whichever dies, sleeps or is late."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.auth_servers.issuer import Issuer
from tests.hosting.runtime.deployment import Deployment, Table, on_lambda
from tests.hosting.serving import PATIENCE_S, messages, modern, text_of, tool, until
from tests.hosting.wire import Event, Wire

pytestmark = pytest.mark.anyio

DIED: Final = "The instance that worked on this call has died. Call again."
LATE: Final = "The function's time was up before the call had ended."
CANCELLED: Final = {"code": -32800, "message": "Request cancelled"}

NOT_TOLD = pytest.mark.parametrize("both", [False], indirect=True)
TOLD = pytest.mark.parametrize("both", [True], indirect=True)


@pytest.fixture(scope="module", params=[False, True], ids=["who leaves is not told of", "who leaves is told of"])
async def both(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    issuer: Issuer,
    a_table: Callable[[], Table],
) -> AsyncIterator[Deployment]:
    """Three instances, in either position of the switch."""
    folder = tmp_path_factory.mktemp("lambda")
    async with on_lambda(folder, issuer, a_table(), tells_who_left=request.param) as deployment:
        yield deployment


@pytest.fixture
async def aws(both: Deployment) -> AsyncIterator[Deployment]:
    both.clear()
    await both.whole()
    yield both
    both.go()
    await both.quiet()


async def test_any_instance_serves_any_session(aws: Deployment) -> None:
    session = await aws.session()
    served: set[int] = set()
    for number in range(60):  # who serves is left to chance
        await aws.quiet()
        assert _text(await session.call(aws.url, "greet", number, name="Ann")) == "Hello, Ann!"
        served.add(aws.function.invocations[-1].instance)
        if len(served) == 3:
            break
    assert len(served) == 3


async def test_sessions_outlive_every_instance_that_knew_them(aws: Deployment) -> None:
    session = await aws.session()
    before = {each.pid for each in aws.function.instances}
    for instance in list(aws.function.instances):
        await instance.kill()
    assert _text(await session.call(aws.url, "greet", name="Ann")) == "Hello, Ann!"
    await aws.whole()
    assert before.isdisjoint(each.pid for each in aws.function.instances)


async def test_the_rest_of_a_call_arrives_through_another_instance_when_the_connection_is_cut(aws: Deployment) -> None:
    session = await aws.session()
    seen = await _cut(aws, session, after=5)
    (at_work,) = aws.working

    async with asyncio.timeout(PATIENCE_S), session.resuming(aws.url, str(seen[-1].id)) as events:
        resumed_at = aws.function.invocations[-1].instance
        aws.go()
        seen += [event async for event in events]

    assert [_progress(event) for event in seen if _progress(event)] == ["p", "p", "p", "done"]
    assert _text(seen[-1].message["result"]) == "finished"
    assert len({event.id for event in seen}) == len(seen)
    assert resumed_at != at_work.number
    assert not aws.was_cancelled


async def test_whoever_comes_back_after_the_result_gets_it_though_its_instance_sleeps(aws: Deployment) -> None:
    session = await aws.session()
    async with session.calling(aws.url, "greet", name="Ann") as events:
        heard = [event async for event in events]
    await aws.quiet()
    for _ in range(3):
        async with session.resuming(aws.url, str(heard[0].id)) as events:
            assert [event[:2] async for event in events] == [event[:2] for event in heard[1:]]


@NOT_TOLD
async def test_an_instance_that_dies_at_work_leaves_an_error_and_no_silence(aws: Deployment) -> None:
    """Whoever comes back is told within the 10 s that docs/host-your-own.md promises: a lease lapses after 8."""
    session = await aws.session()
    seen: list[Event] = []
    with suppress(httpx2.RemoteProtocolError):
        async with session.calling(aws.url, "slow", 7) as events:
            async for event in events:
                seen.append(event)
                if len(seen) == 5:
                    await aws.working[0].kill()

    async with asyncio.timeout(15), session.resuming(aws.url, str(seen[-1].id)) as events:
        rest = [event async for event in events]
    assert (rest[-1].message["id"], rest[-1].message["error"]["message"]) == (7, DIED)

    async with session.resuming(aws.url, str(seen[-1].id)) as events:
        assert [event[:2] async for event in events] == [event[:2] for event in rest]
    assert _text(await session.call(aws.url, "greet", 8, name="Ann")) == "Hello, Ann!"


async def test_what_is_cancelled_through_another_instance_ends(aws: Deployment) -> None:
    session = await aws.session()
    async with session.calling(aws.url, "slow", 3) as events:
        await aws.entered()
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}}
        assert (await session.send(aws.url, cancelled)).status_code == 202
        async with asyncio.timeout(PATIENCE_S):
            said = [event.message async for event in events]
    assert said[-1]["error"] == CANCELLED
    assert aws.was_cancelled


@TOLD
async def test_a_call_of_2026_ends_with_its_connection_where_the_function_is_told(aws: Deployment) -> None:
    await _leave(aws)
    await until(lambda: aws.was_cancelled)
    await aws.quiet()


@NOT_TOLD
async def test_a_call_of_2026_goes_on_to_its_end_where_the_function_is_not_told(aws: Deployment) -> None:
    await _leave(aws)
    await until(aws.function.invocations[-1].left.is_set)
    assert text_of(await _modern(aws, "greet", name="Ann")) == "Hello, Ann!"
    await until(lambda: len(aws.working) == 1)
    aws.go()
    await aws.quiet()
    assert not aws.was_cancelled


async def test_a_call_without_its_client_ends_with_its_grace(
    tmp_path: Path, issuer: Issuer, a_table: Callable[[], Table]
) -> None:
    environment = {"UNHEARD_SECONDS": "1"}
    async with on_lambda(tmp_path, issuer, a_table(), instances=2, environment=environment, tells_who_left=True) as aws:
        session = await aws.session()
        seen = await _cut(aws, session, after=5)
        await until(lambda: aws.was_cancelled)
        await aws.quiet()
        async with session.resuming(aws.url, str(seen[-1].id)) as events:
            last = [event.message async for event in events][-1]
        assert last["error"]["message"] == "Nobody listened for 1 s."


async def test_a_call_that_takes_too_long_is_answered_before_the_functions_time_is_up(
    tmp_path: Path, issuer: Issuer, a_table: Callable[[], Table]
) -> None:
    """In either era; and to whoever follows it at another instance, whose own time ends later."""
    async with on_lambda(tmp_path, issuer, a_table(), timeout_s=6) as aws:
        session = await aws.session()
        await aws.quiet()
        heard, followed = await asyncio.gather(_modern(aws, "slow"), _follow(aws, session))
        assert messages(heard)[-1]["error"]["message"] == LATE
        assert followed[-1].message["error"]["message"] == LATE
        await aws.quiet()
        assert aws.function.deaths == 0
        assert [each.failure for each in aws.function.invocations] == [None] * len(aws.function.invocations)


async def _follow(aws: Deployment, session: Wire) -> list[Event]:
    """What a client hears of a call that never ends, who is cut off and comes back until he has his answer."""
    seen = await _cut(aws, session, after=5)
    while "method" in seen[-1].message:
        async with session.resuming(aws.url, str(seen[-1].id)) as events:
            seen += [event async for event in events]
    return seen


async def _cut(aws: Deployment, session: Wire, after: int) -> list[Event]:
    """The first events of a call of `slow`, whose connection is cut then."""
    seen: list[Event] = []
    async with session.calling(aws.url, "slow", 1) as events:
        await aws.entered()
        async for event in events:
            seen.append(event)
            if len(seen) == after:
                break
    return seen


async def _leave(aws: Deployment) -> None:
    """Calls a tool that waits, in the later era, and leaves."""
    message, headers = modern(tool("slow"))
    async with aws.http.stream("POST", aws.url, json=message, headers=headers) as response:
        assert response.status_code == 200
        await aws.entered()


async def _modern(aws: Deployment, called: str, **arguments: Any) -> httpx2.Response:
    message, headers = modern(tool(called, **arguments))
    return await aws.http.post(aws.url, json=message, headers=headers)


def _progress(event: Event) -> str:
    """What an event says of the progress, if it does."""
    if event.message is None or event.message.get("method") != "notifications/progress":
        return ""
    return str(event.message["params"]["message"])


def _text(result: Any) -> str:
    return str(result["content"][0]["text"])
