"""Connections on which nothing is asked: they are cut, and others are not."""

import asyncio
import contextlib
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from tests.hosting.hurried import HURRIED
from tollbook.app.connections import HEAD_S, PromptProtocol

pytestmark = pytest.mark.anyio

WHOLE = b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def anyio_backend() -> Any:
    return HURRIED


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[int]:
    """The port of an app that takes three times as long to answer as a client may to ask."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(3 * HEAD_S)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, http=PromptProtocol, lifespan="off", log_config=None, timeout_keep_alive=75)
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup([listening])
        try:
            yield listening.getsockname()[1]
        finally:
            await server.shutdown([listening])


async def heard(port: int, *sent: bytes) -> tuple[bytes, float]:
    """All that comes back on one connection, each part being sent after an answer to the one before; and how long
    after the last of them it was cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        for part in sent[:-1]:
            writer.write(part)
            received += await reader.readuntil(b"ok")
        writer.write(sent[-1])
        last = asyncio.get_running_loop().time()
        with contextlib.suppress(ConnectionResetError):
            async with asyncio.timeout(20 * HEAD_S):
                received += await reader.read()
    finally:
        writer.transport.abort()
    return received, asyncio.get_running_loop().time() - last


@pytest.mark.parametrize(
    "sent",
    [(b"",), (b"G",), (WHOLE[:-2],), (WHOLE, b"G"), (WHOLE, WHOLE[:-2])],
    ids=["nothing", "a letter", "all but the end", "a letter of the next", "all but the end of the next"],
)
async def test_who_does_not_say_in_time_what_he_wants_is_cut_off(sent: tuple[bytes, ...]) -> None:
    async with served() as port:
        received, seconds = await heard(port, *sent)
    assert received.count(b"ok") == len(sent) - 1
    assert HEAD_S - 1 < seconds < HEAD_S + 5


async def test_who_has_asked_is_waited_with_for_as_long_as_the_answer_takes() -> None:
    async with served() as port:
        received, _ = await heard(port, WHOLE, WHOLE)
    assert received.count(b"200 OK") == 2


def test_a_server_may_hold_more_connections_than_a_shell_lets_it() -> None:
    program = (
        "import resource; from tollbook.app.connections import make_room; make_room();"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, preexec_fn=few)
    assert int(done.stdout) == min(hard if hard >= 0 else 65_536, 65_536)
