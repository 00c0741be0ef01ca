"""Runtimes whose every word a test says itself: their processes do nothing."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.fakes.lambda_service import Configuration, Function, Instance, RestApi, deployed, function_url, rest_api
from tests.hosting.serving import PATIENCE_S, Reply, ask, raw, until

API: Final = "/2018-06-01/runtime"
STREAMING: Final = {
    "Content-Type": "application/vnd.awslambda.http-integration-response",
    "Lambda-Runtime-Function-Response-Mode": "streaming",
}
REST_API: Final = "REST API"
FUNCTION_URL: Final = "function URL"
DOORS: Final = pytest.mark.parametrize("door", [REST_API, FUNCTION_URL])
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


class Play:
    """A function whose runtimes are played by hand, both of its front doors, and who comes to them."""

    def __init__(self, function: Function, addresses: Mapping[str, str], http: httpx2.AsyncClient) -> None:
        self.function, self.addresses, self.http = function, addresses, http

    def ask(
        self, door: str = REST_API, method: str = "POST", path: str = "/mcp", **more: Any
    ) -> "asyncio.Task[httpx2.Response]":
        """A request on its way."""
        return asyncio.create_task(self.http.request(method, self.addresses[door] + path, **more))

    async def runtime(self, number: int = 0) -> Runtime:
        return await runtime_of(self.function, number)


@asynccontextmanager
async def playing(folder: Path, http: httpx2.AsyncClient, most: int = 2, **settings: Any) -> AsyncIterator[Play]:
    """A function of at most so many instances; for `settings` see `Configuration`."""
    async with (
        deployed(idle(folder, **settings), most=most) as function,
        rest_api(function, RestApi()) as api,
        function_url(function) as url,
    ):
        yield Play(function, {REST_API: api, FUNCTION_URL: url}, http)


@pytest.fixture
async def aws(tmp_path: Path, http: httpx2.AsyncClient) -> AsyncIterator[Play]:
    async with playing(tmp_path, http) as play:
        yield play
