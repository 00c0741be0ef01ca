"""What happens beside a call: a question on another stream, a login, and finding out what both speak."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

from tests.client.wire.conftest import Connect
from tests.client.wire.scripted import Asked, alone, event, fault, head, in_session, response, result, scripted
from tests.client.wire.watching import Watching
from tests.hosting.hurried import HURRIED
from tollbook.client.protocol import Answer, Elicitation, Era
from tollbook.client.trouble import RpcError

pytestmark = pytest.mark.anyio

SILENCE_S = 20.0
LONG_S = 10 * SILENCE_S
QUESTION = {"message": "Which colour?", "requestedSchema": {"type": "object", "properties": {}}}


@pytest.fixture(scope="module")
def anyio_backend() -> object:
    return HURRIED


# Questions on the stream that belongs to no call: servers of the TypeScript SDK ask there


class AsksElsewhere:
    """A server whose call asks the user on the stream of GET, and ends when that is answered."""

    def __init__(self) -> None:
        self._elsewhere: asyncio.StreamWriter | None = None
        self._answered = asyncio.Event()
        self.answer: Any = None

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        if asked.method == "GET":
            await asyncio.sleep(1)
            self._elsewhere = writer
            writer.write(head())
            await asyncio.Event().wait()
        if asked.what == "an answer":
            self.answer = asked.json["result"]
            self._answered.set()
            return response(202)
        assert self._elsewhere is not None, "nobody hears what this call asks"
        question = {"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": QUESTION}
        self._elsewhere.write(event(question))
        await self._answered.wait()
        return response(200, result(asked, content=[]))


async def test_a_question_outside_of_the_call_is_heard_and_the_user_may_take_his_time(
    connect: Connect, user: Watching
) -> None:
    async def slowly(asked: Elicitation) -> Answer:
        await asyncio.sleep(LONG_S)
        return Answer(action="accept", content={"colour": "blue"})

    user.answers_with(slowly)
    asks = AsksElsewhere()
    async with (
        scripted(in_session(asks)) as server,
        connect(server.url, "handshake", may_elicit=True, timeout_s=SILENCE_S) as connection,
    ):
        assert await connection.call_tool("once", {}) == {"content": []}
    assert asks.answer == {"action": "accept", "content": {"colour": "blue"}}


async def test_without_a_user_nobody_listens_for_questions(connect: Connect) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes:
        return response(200, result(asked, content=[]))

    async with scripted(in_session(script)) as server, connect(server.url, "handshake") as connection:
        await connection.call_tool("once", {})
    assert "GET" not in server.heard


async def test_a_server_that_does_not_say_whether_it_will_speak_is_soon_used_without(connect: Connect) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes:
        if asked.method == "GET":
            await asyncio.Event().wait()
        return response(200, result(asked, content=[]))

    async with scripted(in_session(script)) as server:
        begun = asyncio.get_running_loop().time()
        async with connect(server.url, "handshake", may_elicit=True) as connection:
            assert asyncio.get_running_loop().time() - begun < 5
            assert await connection.call_tool("once", {}) == {"content": []}


# Logins


class SlowLogin(httpx2.Auth):
    """A login page at which the user takes his time."""

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        response = yield request
        if response.status_code == 401:
            await asyncio.sleep(LONG_S)
            request.headers["authorization"] = "Bearer new"
            yield request


async def test_a_login_is_not_the_silence_of_the_server(connect: Connect, era: Era) -> None:
    begun = (in_session if era == "handshake" else alone)(lambda asked, _: done(asked))

    async def done(asked: Asked) -> bytes:
        return response(200, result(asked, content=[]))

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        return await begun(asked, writer) if asked.headers.get("authorization") else response(401)

    async with (
        scripted(script) as server,
        connect(server.url, era, auth=SlowLogin(), timeout_s=SILENCE_S) as connection,
    ):
        assert await connection.call_tool("once", {}) == {"content": []}


# What both speak


def refusing(*supported: str, times: int) -> Any:
    """A server of the modern era that refuses the version it is asked in, so often, and says what it speaks."""
    then = alone(lambda asked, writer: asyncio.sleep(0, response(200, result(asked, content=[]))))

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        nonlocal times
        if asked.what != "server/discover" or times == 0:
            return await then(asked, writer)
        times -= 1
        return response(400, fault(asked, -32022, "Unsupported protocol version", supported=list(supported)))

    return script


async def test_a_server_that_offers_a_version_of_ours_is_asked_in_it(connect: Connect) -> None:
    async with (
        scripted(refusing("2099-01-01", "2026-07-28", times=1)) as server,
        connect(server.url) as connection,
    ):
        assert connection.server is not None
        assert connection.server.version == "2026-07-28"
    assert server.heard == ["server/discover", "server/discover"]


async def test_a_server_that_refuses_even_that_is_not_asked_for_ever(connect: Connect) -> None:
    async with scripted(refusing("2026-07-28", times=9)) as server:
        with pytest.raises(RpcError, match="Unsupported protocol version"):
            await connect(server.url).open()
    assert server.heard == ["server/discover", "server/discover"]


async def test_a_server_that_speaks_only_what_we_do_not_is_not_asked_again(connect: Connect) -> None:
    async with scripted(refusing("2099-01-01", times=9)) as server:
        with pytest.raises(RpcError, match="Unsupported protocol version"):
            await connect(server.url).open()
    assert server.heard == ["server/discover"]
