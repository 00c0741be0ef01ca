"""An answer that is cut is taken up at another instance, repeated, or said to be lost; never twice, never halved."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.client.wire.conftest import Connect
from tests.client.wire.counted import ONLY_ONCE, REPEATABLE, WHAT_IT_SAYS, counted_server
from tests.client.wire.scissors import Scissors, scissors
from tests.client.wire.watching import Watching
from tests.hosting.hurried import HURRIED, clock_of_the_loop
from tests.hosting.serving import serving
from tollbook.client.protocol import ToolResult, read
from tollbook.client.trouble import CallLost
from tollbook.hosting import host
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

RESUMED = ("notice", "The stream broke off; it is taken up where it ended.")
REPEATED = "The answer broke off ({how}); asking again …"


@pytest.fixture(scope="module")
def anyio_backend() -> object:
    return HURRIED


class Calls(Counter[str]):
    """How often each tool was called."""

    def __call__(self, name: str) -> int:
        self[name] += 1
        return self[name]


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
        proxy.cuts = [len(proxy.passed) // 3]
        user.seen.clear()
        assert _text(await connection.call_tool("once", {})) == "call 2"
    assert [each for each in user.seen if each != RESUMED] == WHAT_IT_SAYS
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


def _text(result: object) -> str | None:
    return read(result, ToolResult).content[0].text
