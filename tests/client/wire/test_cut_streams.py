"""An answer that is cut is taken up at another instance, repeated, or said to be lost; never twice, never halved."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.client.wire.conftest import Connect
from tests.client.wire.counted import ONLY_ONCE, REPEATABLE, WHAT_IT_SAYS, Calls, counted_server
from tests.client.wire.scissors import Scissors, scissors
from tests.client.wire.scripted import Asked, event, in_session, response, result, scripted
from tests.client.wire.watching import Watching
from tests.hosting.hurried import HURRIED, clock_of_the_loop
from tests.hosting.serving import serving
from tollbook.client.protocol import ToolResult, read
from tollbook.client.trouble import CallLost, LoginNeeded
from tollbook.hosting import host
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

RESUMED = ("notice", "The stream broke off; it is taken up where it ended.")
REPEATED = "The answer broke off ({how}); asking again …"


@pytest.fixture(scope="module")
def anyio_backend() -> object:
    return HURRIED


@pytest.fixture
async def calls() -> Calls:
    return Calls()


@pytest.fixture
async def proxy(calls: Calls) -> AsyncIterator[Scissors]:
    """Two instances that share a store."""
    store = MemoryStore(clock_of_the_loop())
    async with (
        serving(host(counted_server(calls), store, clock=clock_of_the_loop())) as here,
        serving(host(counted_server(calls), store, clock=clock_of_the_loop())) as there,
        scissors(here, there) as proxy,
    ):
        yield proxy


@pytest.mark.parametrize("tool", ["once", "reads"])
async def test_wherever_a_stream_is_cut_it_is_taken_up_at_the_other_instance(
    connect: Connect, user: Watching, proxy: Scissors, calls: Calls, tool: str
) -> None:
    async with connect(proxy.url, "handshake") as connection:
        assert _text(await connection.call_tool(tool, {})) == "call 1"
        assert user.seen == WHAT_IT_SAYS
        whole = proxy.passed
        begins = whole.index(b"\r\n\r\n") + 4
        first = whole.index(b"\n\n", begins) + 2  # the event that gives the stream an id
        step = max(1, (len(whole) - first) // 40)
        for number, cut in enumerate(range(first, len(whole) - 8, step), 2):
            user.seen.clear()
            proxy.cuts = [cut]
            assert _text(await connection.call_tool(tool, {})) == f"call {number}"
            assert [each for each in user.seen if each != RESUMED] == WHAT_IT_SAYS, f"cut after {cut} bytes"
            assert user.seen.count(RESUMED) == 1
            assert calls[tool] == number


async def test_a_stream_is_taken_up_as_often_as_it_is_cut(
    connect: Connect, user: Watching, proxy: Scissors, calls: Calls
) -> None:
    async with connect(proxy.url, "handshake") as connection:
        await connection.call_tool("once", {})
        event = len(proxy.passed) // 8
        head = proxy.passed.index(b"\r\n\r\n")
        proxy.cuts = [head + each * event // 2 for each in (3, 2, 0, 3, 0, 0, 0, 0, 3, 0, 0, 0, 0)]
        user.seen.clear()
        assert _text(await connection.call_tool("once", {})) == "call 2"
        assert not proxy.cuts
    assert [each for each in user.seen if each != RESUMED] == WHAT_IT_SAYS
    assert calls["once"] == 2


async def test_a_stream_that_gives_nothing_any_more_is_left(
    connect: Connect, user: Watching, proxy: Scissors, calls: Calls
) -> None:
    async with connect(proxy.url, "handshake") as connection:
        await connection.call_tool("once", {})
        proxy.cuts = [len(proxy.passed) // 2, *[20] * 50]
        with pytest.raises(CallLost) as lost:
            await connection.call_tool("once", {})
    assert len(proxy.cuts) == 45
    assert str(lost.value) == (
        "The answer of 'once' was lost: the stream ended without an answer, and could not be taken up again (the "
        "server closed the connection without an answer). Whether it was done is not known, and the server does not "
        "say that it may be called twice. Look before you call it again."
    )
    assert calls["once"] == 2


@pytest.mark.parametrize("tool", ONLY_ONCE)
@pytest.mark.parametrize("era", ["handshake", "modern"])
@pytest.mark.parametrize("cut", [0, 20])
async def test_what_is_cut_before_it_can_be_taken_up_is_lost_if_it_may_not_be_repeated(
    connect: Connect, user: Watching, proxy: Scissors, calls: Calls, tool: str, era: str, cut: int
) -> None:
    async with connect(proxy.url, era) as connection:  # type: ignore[arg-type]
        await connection.tools()
        proxy.cuts = [cut]
        with pytest.raises(CallLost) as lost:
            await connection.call_tool(tool, {})
        assert str(lost.value) == (
            f"The answer of '{tool}' was lost: the server closed the connection without an answer. Whether it was done "
            "is not known, and the server does not say that it may be called twice. Look before you call it again."
        )
        assert calls[tool] <= 1
        assert _text(await connection.call_tool(tool, {})) == f"call {calls[tool]}", "the connection goes on"
    assert not user.notices


@pytest.mark.parametrize("tool", REPEATABLE)
@pytest.mark.parametrize("era", ["handshake", "modern"])
async def test_what_is_cut_before_it_can_be_taken_up_is_repeated_if_it_may_be(
    connect: Connect, user: Watching, proxy: Scissors, calls: Calls, tool: str, era: str
) -> None:
    async with connect(proxy.url, era) as connection:  # type: ignore[arg-type]
        await connection.tools()
        proxy.cuts = [20, 20]
        assert _text(await connection.call_tool(tool, {})) == f"call {calls[tool]}"
    assert user.notices == [REPEATED.format(how="the server closed the connection without an answer")] * 2
    assert calls[tool] <= 3


async def test_a_stream_of_the_modern_era_is_repeated_and_not_taken_up(
    connect: Connect, user: Watching, proxy: Scissors, calls: Calls
) -> None:
    async with connect(proxy.url, "modern") as connection:
        await connection.call_tool("reads", {})
        proxy.cuts = [len(proxy.passed) * 2 // 3]
        assert _text(await connection.call_tool("reads", {})) == "call 3"
        assert user.notices == [REPEATED.format(how="the stream ended without an answer")]

        proxy.cuts = [len(proxy.passed) * 2 // 3]
        with pytest.raises(CallLost, match="The answer of 'once' was lost: the stream ended without an answer"):
            await connection.call_tool("once", {})
    assert calls == {"reads": 3, "once": 1}


# Servers that are not ours


NOTE = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}


class Resumable:
    """A server whose call gives an event and ends its stream; the rest comes to whoever resumes.

    Args:
        then: what it answers to those who resume, in turn, before it gives the rest.
        retry_ms: how long it asks to wait.
    """

    def __init__(self, then: Sequence[bytes] = (), retry_ms: int = 1000) -> None:
        self._then, self._retry_ms = list(then), retry_ms
        self.resumed: list[str | None] = []
        self._done = b""

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> bytes:
        if asked.method == "GET":
            self.resumed.append(asked.headers.get("last-event-id"))
            return self._then.pop(0) if self._then else response(200, self._done, "text/event-stream")
        self._done = event(result(asked, content=[{"type": "text", "text": "done"}]), "e-2")
        begun = f"id: e-1\nretry: {self._retry_ms}\ndata:\n\n".encode()
        return response(200, begun + event(NOTE), "text/event-stream")


async def test_a_stream_that_the_server_ends_on_purpose_is_taken_up_when_it_says_and_without_a_word(
    connect: Connect, user: Watching
) -> None:
    """2025-11-25: a server may close the stream after an event with an id, for the client to poll."""
    resumable = Resumable(retry_ms=7000)
    async with scripted(in_session(resumable)) as server, connect(server.url, "handshake") as connection:
        before = asyncio.get_running_loop().time()
        assert _text(await connection.call_tool("once", {})) == "done"
        assert 7 <= asyncio.get_running_loop().time() - before < 9
    assert resumable.resumed == ["e-1"]
    assert user.seen == [("progress", 1, None, None)]


async def test_a_server_that_fails_to_resume_is_asked_again_ever_more_slowly(connect: Connect, user: Watching) -> None:
    resumable = Resumable([response(503), response(502), response(500)])
    async with scripted(in_session(resumable)) as server, connect(server.url, "handshake") as connection:
        before = asyncio.get_running_loop().time()
        assert _text(await connection.call_tool("once", {})) == "done"
        assert 1 + 1 + 2 + 4 <= asyncio.get_running_loop().time() - before < 10
    assert resumable.resumed == ["e-1"] * 4


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (response(405), 405),
        (response(400, '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Unknown event"}}'), 400),
        (response(200, "{}"), 200),
        (response(401), 0),
    ],
)
async def test_a_server_that_does_not_resume_is_not_asked_again(
    connect: Connect, user: Watching, answer: bytes, status: int
) -> None:
    resumable = Resumable([answer] * 9)
    async with scripted(in_session(resumable)) as server, connect(server.url, "handshake") as connection:
        with pytest.raises(CallLost if status else LoginNeeded) as raised:
            await connection.call_tool("once", {})
    assert len(resumable.resumed) == 1
    if status:
        assert str(raised.value).startswith(
            "The answer of 'once' was lost: the stream ended, and the server does not resume it: it answered "
            f"{status}. Whether it was done is not known"
        )


async def test_a_stream_of_its_own_that_never_begins_holds_up_nobody(connect: Connect) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes:
        if asked.method == "GET":
            await asyncio.Event().wait()
        return response(200, result(asked, content=[]))

    async with scripted(in_session(script)) as server, connect(server.url, "handshake", listens=True) as connection:
        before = asyncio.get_running_loop().time()
        assert await connection.call_tool("once", {}) == {"content": []}
        assert asyncio.get_running_loop().time() - before < 1
    assert "GET" in server.heard


def _text(raw: object) -> str | None:
    return read(raw, ToolResult).content[0].text
