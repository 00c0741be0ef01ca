"""How long an answer is waited for, and what is left of a call that nobody waits for any more."""

import asyncio
import json
from typing import Any

import pytest

from tests.client.wire.conftest import Connect
from tests.client.wire.scripted import Asked, alone, event, head, in_session, response, result, scripted
from tests.client.wire.watching import Watching
from tests.hosting.hurried import HURRIED, comes_true
from tests.hosting.serving import SetClock, Stage, a_server, serving
from tollbook.client.protocol import Answer, Elicitation, Era, ToolResult, read
from tollbook.client.trouble import TimedOut
from tollbook.hosting import host
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

SILENCE_S = 20.0
TIMED_OUT = (
    "The server said nothing for 20 s and was not waited for any longer. Ask for less, or wait longer with --timeout."
)


@pytest.fixture(scope="module")
def anyio_backend() -> object:
    return HURRIED


def saying(what: Any, times: int, every_s: float = SILENCE_S - 1) -> Any:
    """A call in which something is said so often, and then its result; in JSON, a byte is."""

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        if asked.method != "POST" or asked.what != "tools/call":
            return response(405 if asked.method == "GET" else 202)
        done = json.dumps(result(asked, content=[]))
        as_json = what == b" "
        writer.write(head(200, "application/json" if as_json else "text/event-stream"))
        for _ in range(times):
            await asyncio.sleep(every_s)
            said = {"jsonrpc": "2.0", "method": what, "params": {"progress": 1, "level": "info", "data": "x"}}
            writer.write(what if isinstance(what, bytes) else event(said))
        await asyncio.sleep(every_s)
        writer.write(done.encode() if as_json else b"data: " + done.encode() + b"\n\n")
        await writer.drain()
        return None

    return script


@pytest.mark.parametrize(
    "what", ["notifications/progress", "notifications/message", "notifications/else", b": \n\n", b" "]
)
async def test_whatever_comes_is_a_sign_of_life(connect: Connect, era: Era, what: Any) -> None:
    begun = in_session if era == "handshake" else alone
    async with scripted(begun(saying(what, 10))) as server, connect(server.url, era, timeout_s=SILENCE_S) as connection:
        assert await connection.call_tool("once", {}) == {"content": []}


@pytest.mark.parametrize("what", ["notifications/progress", b": \n\n", b" "])
async def test_silence_is_not_borne_for_ever(connect: Connect, user: Watching, era: Era, what: Any) -> None:
    begun = in_session if era == "handshake" else alone
    async with (
        scripted(begun(saying(what, 2, SILENCE_S + 1))) as server,
        connect(server.url, era, timeout_s=SILENCE_S) as connection,
    ):
        with pytest.raises(TimedOut) as raised:
            await connection.call_tool("reads", {})
        told = [asked.json for asked in server.asked if asked.what == "notifications/cancelled"]
        call = next(asked.json for asked in server.asked if asked.what == "tools/call")
    assert str(raised.value) == TIMED_OUT
    if era == "handshake":
        assert [each["params"] for each in told] == [{"requestId": call["id"], "reason": "It took too long."}]
    else:
        assert told == [], "the closed stream says so"
    assert server.heard.count("tools/call") == 1, "it is not asked again"


async def test_a_server_that_does_not_take_a_farewell_is_not_waited_for(connect: Connect) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        await asyncio.Event().wait()
        return None

    async with scripted(in_session(script)) as server, connect(server.url, "handshake", timeout_s=5) as connection:
        begun = asyncio.get_running_loop().time()
        with pytest.raises(TimedOut):
            await connection.call_tool("once", {})
        assert asyncio.get_running_loop().time() - begun < 8
        with pytest.raises(TimedOut):
            await connection.terminate()


# Calls that are cancelled


async def test_a_call_that_is_cancelled_ends_on_the_server(connect: Connect, user: Watching, era: Era) -> None:
    stage = Stage()
    async with (
        serving(host(a_server(stage), MemoryStore(SetClock()), clock=SetClock())) as url,
        connect(url, era) as connection,
    ):
        calling = asyncio.create_task(connection.call_tool("slow", {}))
        await comes_true(lambda: len(user.seen) == 6)
        assert (stage.entered, stage.cancelled) == (1, 0)

        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await comes_true(lambda: stage.cancelled)
        assert (stage.entered, stage.left, stage.cancelled) == (1, 1, 1)
        answer = read(await connection.call_tool("greet", {"name": "Ann"}), ToolResult)
        assert answer.content[0].text == "Hello, Ann!", "the connection goes on"


async def test_a_call_that_is_cancelled_says_so_in_the_words_of_its_era(connect: Connect, era: Era) -> None:
    closed = asyncio.Event()

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        if asked.what != "tools/call":
            return response(202)
        writer.write(head())
        await writer.drain()
        try:
            while not writer.is_closing():
                await asyncio.sleep(1)
                writer.write(b": \n\n")
                await writer.drain()
        finally:
            closed.set()
        return None

    begun = in_session if era == "handshake" else alone
    async with scripted(begun(script)) as server, connect(server.url, era) as connection:
        calling = asyncio.create_task(connection.call_tool("once", {}))
        await comes_true(lambda: "tools/call" in server.heard)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await closed.wait()
        told = [asked.json for asked in server.asked if asked.what == "notifications/cancelled"]
        call = next(asked.json for asked in server.asked if asked.what == "tools/call")
    expected = {"requestId": call["id"], "reason": "The user cancelled it."}
    assert [each["params"] for each in told] == ([expected] if era == "handshake" else [])


async def test_the_beginning_is_never_cancelled_by_a_message(connect: Connect) -> None:
    """2025-11-25, basic/utilities/cancellation: the initialize request MUST NOT be cancelled by clients."""

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with scripted(script) as server:
        opening = asyncio.create_task(connect(server.url, "handshake").open())
        await comes_true(lambda: server.heard)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
    assert server.heard == ["initialize"]


# The user is asked


@pytest.mark.parametrize("tool", ["asks", "needs"])
async def test_a_user_may_take_his_time(connect: Connect, user: Watching, era: Era, tool: str) -> None:
    async def slowly(asked: Elicitation) -> Answer:
        await asyncio.sleep(10 * SILENCE_S)
        return Answer(action="accept", content={"colour": "blue"})

    if (tool, era) == ("asks", "modern"):
        return  # a request in the middle of a stream is not of that era
    user.answers_with(slowly)
    async with (
        serving(host(a_server(), MemoryStore(SetClock()), clock=SetClock())) as url,
        connect(url, era, timeout_s=SILENCE_S, may_elicit=True) as connection,
    ):
        answer = read(await connection.call_tool(tool, {}), ToolResult)
    assert answer.content[0].text == "accept: blue"
    assert [asked.message for asked in user.asked] == ["Which colour?"]


async def test_a_question_is_taken_back_with_the_call_it_belongs_to(connect: Connect, user: Watching) -> None:
    async def never(asked: Elicitation) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    user.answers_with(never)
    async with (
        serving(host(a_server(), MemoryStore(SetClock()), clock=SetClock())) as url,
        connect(url, "handshake", may_elicit=True) as connection,
    ):
        calling = asyncio.create_task(connection.call_tool("asks", {}))
        await comes_true(lambda: user.asked)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await comes_true(lambda: user.stopped)
