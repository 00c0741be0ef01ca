"""A runtime whose every word a test says itself: its process does nothing."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.fakes.lambda_service import Configuration, Function, Instance
from tests.hosting.serving import PATIENCE_S, Reply, ask, raw, until

API: Final = "/2018-06-01/runtime"
STREAMING: Final = {
    "Content-Type": "application/vnd.awslambda.http-integration-response",
    "Lambda-Runtime-Function-Response-Mode": "streaming",
}
OK: Final = b'{"statusCode":200}' + bytes(8)


def idle(folder: Path, **settings: Any) -> Configuration:
    """A function whose processes sleep."""
    command = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    return Configuration(command=command, folder=folder, **settings)


class Runtime:
    """Speaks for the process of an instance."""

    def __init__(self, instance: Instance) -> None:
        self.instance, self.url = instance, f"http://{instance.address}"

    async def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Reply:
        """Asks the Runtime API for anything."""
        return await ask(self.url, method, (headers or {}).items(), body, f"{API}/{path}")

    async def next(self) -> tuple[str, Any]:
        """Waits for an invocation: its id and its event."""
        reply = await self.ask("GET", "invocation/next")
        assert reply.status == 200
        return reply.headers["lambda-runtime-aws-request-id"], reply.json

    async def respond(
        self,
        invocation_id: str,
        *parts: bytes,
        headers: Mapping[str, str] = STREAMING,
        trailers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Posts a response in chunks; a whole one is one part."""
        lines = [f"POST {API}/invocation/{invocation_id}/response HTTP/1.1", f"Host: {self.instance.address}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += ["Transfer-Encoding: chunked", "Connection: close", "", ""]
        chunks = b"".join(map(_chunk, parts))
        end = "".join(f"{name}: {value}\r\n" for name, value in (trailers or {}).items())
        return await raw(self.url, "\r\n".join(lines).encode() + chunks + f"0\r\n{end}\r\n".encode())

    async def fail(self, path: str, kind: str = "Function.Error", message: str = "no") -> Reply:
        """Says that something failed."""
        body = json.dumps({"errorType": kind, "errorMessage": message}).encode()
        return await self.ask("POST", path, {"Lambda-Runtime-Function-Error-Type": kind}, body)

    @asynccontextmanager
    async def responding(self, invocation_id: str, *parts: bytes) -> AsyncIterator["Posted"]:
        """A response that has begun, and ends when the test says so."""
        reader, writer = await asyncio.open_connection(*self.instance.address.split(":"))
        lines = [f"POST {API}/invocation/{invocation_id}/response HTTP/1.1", f"Host: {self.instance.address}"]
        lines += [f"{name}: {value}" for name, value in STREAMING.items()]
        writer.write("\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode())
        try:
            posted = Posted(reader, writer)
            await posted.say(*parts)
            yield posted
        finally:
            writer.transport.abort()


class Posted:
    """A response on its way out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def say(self, *parts: bytes) -> None:
        self._writer.write(b"".join(map(_chunk, parts)))
        await self._writer.drain()

    async def end(self) -> bytes:
        """The status line that it is answered with."""
        self._writer.write(b"0\r\n\r\n")
        return await self.answer()

    async def answer(self) -> bytes:
        """The status line that it is answered with; raises ConnectionError if the connection is reset."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.readline()


def _chunk(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)


async def runtime_of(function: Function, number: int = 0) -> Runtime:
    """The runtime of the instance of that number, once it is there."""
    await until(lambda: any(each.number == number for each in function.instances))
    return Runtime(next(each for each in function.instances if each.number == number))
