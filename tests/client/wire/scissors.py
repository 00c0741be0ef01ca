"""A proxy that cuts the answers of calls after so many bytes, and goes to the next backend with each connection."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

_CALL: Final = b'"tools/call"'
_RESUMES: Final = b"last-event-id:"


class Scissors:
    """The proxy.

    Attributes:
        url: of the endpoint, as it is reached by the proxy.
        cuts: after how many bytes the answers to the next calls, and what is resumed of them, break off, one each;
            those beyond are whole.
        passed: the bytes of the last answer of a call that were passed on.
    """

    def __init__(self, backends: Sequence[str]) -> None:
        self._ports = [int(url.split(":")[2].split("/")[0]) for url in backends]
        self.url = ""
        self.cuts: list[int] = []
        self.passed = b""
        self._turn = 0

    async def accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Passes on what comes in either direction on one connection."""
        port = self._ports[self._turn % len(self._ports)]
        self._turn += 1
        try:
            server, to_server = await asyncio.open_connection("127.0.0.1", port)
            try:
                await self._pass_on(client, to_client, server, to_server)
            finally:
                to_server.transport.abort()
        except ConnectionError:
            pass
        finally:
            to_client.close()

    async def _pass_on(
        self,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        left: list[int | None] = [None]

        async def up() -> None:
            while data := await client.read(1 << 16):
                if _CALL in data or _RESUMES in data.lower():
                    self.passed = b""
                    left[0] = self.cuts.pop(0) if self.cuts else 1 << 40
                to_server.write(data)
                await to_server.drain()

        async def down() -> None:
            while data := await server.read(1 << 16):
                if left[0] is not None:
                    data, left[0] = data[: left[0]], left[0] - len(data)
                    self.passed += data
                to_client.write(data)
                await to_client.drain()
                if left[0] is not None and left[0] <= 0:
                    return

        ways = [asyncio.create_task(up()), asyncio.create_task(down())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


@asynccontextmanager
async def scissors(*backends: str) -> AsyncIterator[Scissors]:
    """The proxy before servers at these addresses, until the end of the block."""
    proxy = Scissors(backends)
    running: set[asyncio.Task[Any]] = set()

    async def accept(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await proxy.accept(client, to_client)
        except asyncio.CancelledError:
            to_client.transport.abort()  # at the end; asyncio makes a noise of tasks of its own that are cancelled
        finally:
            running.discard(task)

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/mcp"
    try:
        yield proxy
    finally:
        listening.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
