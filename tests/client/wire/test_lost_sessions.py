"""A server that begins anew has forgotten the session: it is opened again once, and nothing is done twice."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.client.wire.conftest import Connect
from tests.client.wire.counted import ONLY_ONCE, REPEATABLE, Calls, Killable, counted_server
from tests.client.wire.scripted import SESSION, Asked, always, in_session, response, result, scripted
from tests.client.wire.watching import Watching
from tests.hosting.serving import SetClock, serving, until
from tollbook.client.protocol import Era, ToolResult, read
from tollbook.client.trouble import CallLost, Misbehaved, Refused, Unreachable
from tollbook.hosting import host
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

LOST = (
    "The server had forgotten the session; a new one is open. '{tool}' was not called again: the server does not say "
    "that it may be called twice. Call it again if you want it."
)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killable]:
    server = Killable(tmp_path_factory.mktemp("counted"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(started: Killable) -> Killable:
    """One that runs."""
    if started.process is None or started.process.poll() is not None:
        started.start()
    return started


def again(server: Killable) -> None:
    server.kill()
    server.start()


def opened(user: Watching) -> int:
    """How many sessions were begun."""
    return sum(line.startswith("initialize") for line in user.debugged)


def text(raw: Any) -> str:
    return str(read(raw, ToolResult).content[0].text)


async def test_what_may_be_repeated_goes_on_after_a_restart_and_nobody_notices(
    connect: Connect, user: Watching, server: Killable, era: Era
) -> None:
    async with connect(server.url, era) as connection:
        before = len(server.calls)
        for _ in range(2):
            await connection.call_tool("repeats", {})
            again(server)
        assert {tool.name for tool in await connection.tools()} >= {*REPEATABLE, *ONLY_ONCE}
        assert server.calls[before:] == ["repeats", "repeats"]
    assert not user.notices


async def test_what_may_not_be_repeated_is_not_and_the_session_is_there_again(
    connect: Connect, user: Watching, server: Killable
) -> None:
    async with connect(server.url, "handshake") as connection:
        await connection.call_tool("once", {})
        before = server.calls
        again(server)
        with pytest.raises(CallLost) as lost:
            await connection.call_tool("once", {})
        assert str(lost.value) == LOST.format(tool="once")
        assert server.calls == before
        await connection.call_tool("once", {})
        assert server.calls == [*before, "once"]
    assert not user.notices


@pytest.mark.parametrize("tool", [*REPEATABLE, *ONLY_ONCE])
async def test_what_a_tool_says_of_itself_decides_whether_it_is_repeated(
    connect: Connect, user: Watching, tool: str
) -> None:
    clock, calls = SetClock(), Calls()
    async with (
        serving(host(counted_server(calls), MemoryStore(clock), clock=clock)) as url,
        connect(url, "handshake") as connection,
    ):
        await connection.call_tool(tool, {})
        clock.now += 7200  # no session is kept so long
        if tool in REPEATABLE:
            assert text(await connection.call_tool(tool, {})) == "call 2"
        else:
            with pytest.raises(CallLost) as lost:
                await connection.call_tool(tool, {})
            assert str(lost.value) == LOST.format(tool=tool)
            assert calls[tool] == 1
            assert opened(user) == 2, "a new one is open"
            assert text(await connection.call_tool(tool, {})) == "call 2"
    assert not user.notices


async def test_in_the_modern_era_there_is_nothing_to_forget(connect: Connect, user: Watching, server: Killable) -> None:
    async with connect(server.url, "modern") as connection:
        before = server.calls
        again(server)
        await connection.call_tool("once", {})
        assert server.calls == [*before, "once"]
    assert not user.notices


async def test_a_server_that_is_away_for_a_moment_is_waited_for(
    connect: Connect, user: Watching, server: Killable, era: Era
) -> None:
    """Nothing was sent, so that in the modern era even what may be called only once is."""
    tool = "once" if era == "modern" else "reads"
    async with connect(server.url, era) as connection:
        await connection.call_tool(tool, {})
        before = server.calls
        server.kill()
        calling = asyncio.create_task(connection.call_tool(tool, {}))
        await until(lambda: user.notices)
        server.start()
        await calling
        assert server.calls == [*before, tool]
    assert set(user.notices) == {"The server is away; trying again …"}


async def test_a_server_that_stays_away_is_given_up(
    connect: Connect, user: Watching, server: Killable, era: Era
) -> None:
    async with connect(server.url, era) as connection:
        await connection.tools()
        server.kill()
        with pytest.raises(Unreachable, match=r"^Nothing listens at 127\.0\.0\.1:\d+\. Is the server running, "):
            await connection.call_tool("once", {})
    assert user.notices == ["The server is away; trying again …"] * 2


@pytest.mark.parametrize("tool", ["reads", "once"])
async def test_a_server_that_is_killed_at_work(
    connect: Connect, user: Watching, server: Killable, era: Era, tool: str
) -> None:
    server.calls_file.write_text("")
    async with connect(server.url, era) as connection:
        await connection.tools()
        calling = asyncio.create_task(connection.call_tool(tool, {"waits": True}))
        await until(lambda: len(user.seen) == 6)  # all that it says before it waits
        again(server)
        if tool == "reads":
            assert text(await calling) == "call 2"
            assert server.calls == ["reads", "reads"]
        else:
            with pytest.raises(CallLost) as lost:
                await calling
            why = (
                "the stream ended, and the server has forgotten the session"
                if era == "handshake"
                else ("the stream ended without an answer")
            )
            assert str(lost.value) == (
                f"The answer of 'once' was lost: {why}. Whether it was done is not known, and the server does not say "
                "that it may be called twice. Look before you call it again."
            )
            assert server.calls == ["once"]
            assert text(await connection.call_tool(tool, {})) == "call 2"


async def test_two_calls_that_find_the_session_lost_open_one_new_session(
    connect: Connect, server: Killable, user: Watching
) -> None:
    async with connect(server.url, "handshake") as connection:
        await connection.tools()
        again(server)
        answers = await asyncio.gather(*(connection.call_tool("reads", {}) for _ in range(5)))
        assert len({text(answer) for answer in answers}) == 5
    assert opened(user) == 2


# Servers that are not ours say it otherwise


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, ""),
        (404, '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}'),
        (
            400,
            '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}',
        ),
        (400, "Invalid session"),
    ],
)
async def test_a_session_is_lost_in_the_words_of_other_servers(
    connect: Connect, user: Watching, status: int, body: str
) -> None:
    answers = iter([response(status, body)])

    async def then(asked: Asked, _: object) -> bytes:
        return next(answers, response(200, result(asked, content=[{"type": "text", "text": "here"}])))

    async with scripted(in_session(then)) as other, connect(other.url, "handshake") as connection:
        assert text(await connection.call_tool("reads", {})) == "here"
    assert other.heard.count("initialize") == 2
    assert "mcp-session-id" not in next(a for a in reversed(other.asked) if a.what == "initialize").headers
    assert not user.notices


async def test_a_server_that_forgets_each_session_is_told_from_one_that_was_restarted(connect: Connect) -> None:
    async with scripted(in_session(always(response(404)))) as other, connect(other.url, "handshake") as connection:
        with pytest.raises(Misbehaved) as raised:
            await connection.call_tool("reads", {})
    assert str(raised.value) == (
        "The server forgets each session at once. Tell its owner: its instances may not share them."
    )
    assert other.heard.count("tools/call") == 2


async def test_a_server_that_forgets_the_session_before_it_has_begun(connect: Connect) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        if asked.what == "notifications/initialized":
            return response(404)
        return await in_session(always(response(202)))(asked, writer)

    async with scripted(script) as other:
        with pytest.raises(Misbehaved, match=r"^The server forgets each session at once"):
            await connect(other.url, "handshake").open()


async def test_without_a_session_404_is_a_wrong_address(connect: Connect) -> None:
    async with (
        scripted(in_session(always(response(404)), session=None)) as other,
        connect(other.url, "handshake") as connection,
    ):
        with pytest.raises(Refused, match=r"answered 404\. Nothing is there\. Check the address; most end in /mcp\.$"):
            await connection.call_tool("reads", {})


async def test_a_server_that_knows_no_stream_of_its_own_keeps_its_session(connect: Connect) -> None:
    """Some answer 404 to GET, instead of 405."""

    async def then(asked: Asked, _: object) -> bytes:
        return (
            response(404, "Cannot GET /mcp", "text/html")
            if asked.method == "GET"
            else response(200, result(asked, content=[]))
        )

    async with (
        scripted(in_session(then)) as other,
        connect(other.url, "handshake", may_elicit=True, listens=True) as connection,
    ):
        await connection.call_tool("once", {})
    assert other.asked[-1].headers["mcp-session-id"] == SESSION
    assert other.heard.count("initialize") == 1


# Ending


async def test_a_session_is_ended_on_the_server_only_if_that_is_wanted(connect: Connect, server: Killable) -> None:
    connection = connect(server.url, "handshake")
    assert (await connection.open()).has_session
    assert await connection.terminate()
    assert connection.server is None
    assert not await connection.terminate(), "there is none any more"

    async with connect(server.url, "modern") as modern:
        assert not await modern.terminate(), "the modern era has none"


@pytest.mark.parametrize(("status", "ended"), [(200, True), (202, True), (204, True), (404, True), (405, False)])
async def test_what_servers_answer_to_the_end_of_a_session(connect: Connect, status: int, ended: bool) -> None:
    async with scripted(in_session(always(response(status)))) as other:
        connection = connect(other.url, "handshake")
        await connection.open()
        assert await connection.terminate() is ended
        assert other.asked[-1].method == "DELETE"
        assert other.asked[-1].headers["mcp-session-id"] == SESSION
        assert connection.server is None


async def test_closing_leaves_the_session_on_the_server(connect: Connect) -> None:
    async with scripted(in_session(always(response(200)))) as other:
        async with connect(other.url, "handshake"):
            pass
        assert other.heard == ["initialize", "notifications/initialized"]
