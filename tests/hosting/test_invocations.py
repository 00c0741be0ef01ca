"""A host whose process sleeps between requests, as AWS Lambda lets it: nothing is left at work when it does."""

import asyncio
import json
from contextlib import suppress
from typing import Any, Final

import pytest
from mcp.server import MCPServer

from tests.auth_servers.issuer import Issuer
from tests.hosting.auth.asking import bearer, environment_for
from tests.hosting.serving import PATIENCE_S, SetClock, modern, tool
from tollbook.core.stores import Store
from tollbook.hosting import HostSettings, host
from tollbook.hosting.app import Host
from tollbook.hosting.auth.gate import Gate
from tollbook.hosting.auth.keys import FRESH_S
from tollbook.hosting.auth.settings import auth_settings_from
from tollbook.hosting.invocation import INVOCATION, Invocation

pytestmark = pytest.mark.anyio

LATE: Final = "The function's time was up before the call had ended."


class Invoked:
    """An invocation whose tasks a test holds in hand."""

    def __init__(self, deadline_s: float = PATIENCE_S, hard_stop_s: float = PATIENCE_S) -> None:
        now = asyncio.get_running_loop().time()
        self.beside: list[asyncio.Task[Any]] = []
        self.extensions = {INVOCATION: Invocation("1", now + deadline_s, now + hard_stop_s, self.beside.append)}

    async def post(self, app: Host, message: Any, headers: dict[str, str]) -> Any:
        """What a host answers to a message."""
        given = {"host": "localhost", "content-type": "application/json", **headers}
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/mcp",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "extensions": self.extensions,
        }
        coming = [{"type": "http.request", "body": json.dumps(message).encode()}]
        body = bytearray()

        async def receive() -> Any:
            return coming.pop() if coming else await asyncio.Event().wait()

        async def send(event: Any) -> None:
            body.extend(event.get("body", b""))

        async with asyncio.timeout(PATIENCE_S):
            await app(scope, receive, send)
        return json.loads(body)

    async def end(self) -> None:
        """Waits for what must end before the process may sleep."""
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*self.beside)


async def test_a_tool_that_heeds_nothing_is_given_up_in_time(store: Store) -> None:
    server, release = MCPServer("stubborn"), asyncio.Event()

    @server.tool()
    async def stubborn() -> str:
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()
        return "at last"

    app = host(server, store, HostSettings(running_calls=1))
    for _ in range(2):  # the first holds no place
        invoked = Invoked(deadline_s=0.05, hard_stop_s=0.1)
        message, headers = modern(tool("stubborn"))
        error = (await invoked.post(app, message, headers))["error"]
        assert (error["code"], error["message"]) == (-32800, LATE)
        await invoked.end()
    release.set()


async def test_the_process_stays_awake_until_the_issuers_keys_are_there(store: Store, clock: SetClock) -> None:
    with Issuer(clock=clock) as issuer:
        gate = Gate(auth_settings_from(environment_for(issuer)), store, clock=clock)

        async def asks(invoked: Invoked) -> None:
            headers = [(b"authorization", bearer(issuer, jti=str(clock.now)).encode())]
            await gate.authenticate({"headers": headers, "client": None, "extensions": invoked.extensions})

        await asks(Invoked())
        clock.now += FRESH_S + 1
        invoked = Invoked()
        await asks(invoked)  # by the old keys, which are good for now
        assert invoked.beside
        issuer.rotate()
        await invoked.end()
        await asks(Invoked())  # by the new one
