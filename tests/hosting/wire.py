"""A client of the handshake era that shows what is on the wire, and the processes that it talks to."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2

from tests.fakes.dynamodb import free_port

NEWEST: Final = "2025-11-25"
ROOT: Final = Path(__file__).parents[2]
LOGS: Final = ROOT / "examples" / "bedrock-logs.jsonl.gz"
_BOTH: Final = {"accept": "application/json, text/event-stream"}


class Event(NamedTuple):
    """A server-sent event; `message` is None where it has no data."""

    id: str | None
    message: Any
    at: float


class Wire:
    """One session, spoken by hand. Any of its requests can go to any instance."""

    def __init__(self, http: httpx2.AsyncClient, session_id: str, version: str) -> None:
        self.http, self.id, self.version = http, session_id, version
        self.headers = {**_BOTH, "mcp-session-id": session_id, "mcp-protocol-version": version}

    async def send(self, url: str, message: Any) -> httpx2.Response:
        """Posts a message and gives the whole response."""
        return await self.http.post(url, json=message, headers=self.headers)

    async def call(self, url: str, tool: str, request_id: Any = 1, **arguments: Any) -> Any:
        """The result of a tool, or its error."""
        async with self.calling(url, tool, request_id, **arguments) as events:
            last = [event async for event in events][-1].message
        return last.get("result", last.get("error"))

    @asynccontextmanager
    async def calling(
        self, url: str, tool: str, request_id: Any = 1, **arguments: Any
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """The events of a call as they come; leaving early cuts the connection."""
        meta = {"progressToken": f"p-{request_id}"}
        message = request("tools/call", request_id, name=tool, arguments=arguments, _meta=meta)
        async with self.http.stream("POST", url, json=message, headers=self.headers) as response:
            assert response.status_code == 200, await response.aread()
            yield _events(response)

    @asynccontextmanager
    async def resuming(self, url: str, last_event_id: str) -> AsyncIterator[AsyncIterator[Event]]:
        """The events after `last_event_id`."""
        headers = {**self.headers, "last-event-id": last_event_id}
        async with self.http.stream("GET", url, headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            yield _events(response)

    async def end(self, url: str) -> httpx2.Response:
        return await self.http.delete(url, headers=self.headers)


async def initialize(http: httpx2.AsyncClient, url: str, version: str = NEWEST, **capabilities: Any) -> Wire:
    """A new session at `url`."""
    client = {"name": "wire", "version": "1"}
    params = {"protocolVersion": version, "capabilities": capabilities, "clientInfo": client}
    response = await http.post(url, json=request("initialize", 0, **params), headers=_BOTH)
    assert response.status_code == 200, response.text
    return Wire(http, response.headers["mcp-session-id"], response.json()["result"]["protocolVersion"])


def request(method: str, request_id: Any, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


async def _events(response: httpx2.Response) -> AsyncIterator[Event]:
    event_id, data = None, ""
    async for line in response.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "id":
            event_id = value
        elif field == "data":
            data = value
        elif not line and event_id is not None:
            yield Event(event_id, json.loads(data) if data else None, time.monotonic())
            event_id, data = None, ""


class Instance(NamedTuple):
    """A server in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """As if its machine went away: `kill -9`."""
        self.process.kill()
        self.process.wait()


@contextmanager
def instances(
    folder: Path, number: int, words: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[list[Instance]]:
    """So many `tollbook serve`, each with a port of its own."""
    started: list[Instance] = []
    try:
        for each in range(number):
            log = folder / f"instance-{each}.log"
            started.append(_serve(log, words, environment or {}))
        for instance in started:
            wait_for(instance)
        yield started
    finally:
        for instance in started:
            instance.process.terminate()
        for instance in started:
            instance.process.wait(30)


def _serve(log: Path, words: Sequence[str], environment: Mapping[str, str]) -> Instance:
    port = free_port()
    command = [sys.executable, "-m", "tollbook", "serve", "--source", str(LOGS), "--port", str(port), *words]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **environment})
    return Instance(f"http://127.0.0.1:{port}/mcp", process, log)


def wait_for(instance: Instance) -> None:
    """Waits until it answers.

    Raises:
        RuntimeError: it does not start; with what it printed.
    """
    for _ in range(600):
        if instance.process.poll() is not None:
            break
        with socket.socket() as probe:
            probe.settimeout(1)
            port = int(re.findall(r":(\d+)/", instance.url)[0])
            if probe.connect_ex(("127.0.0.1", port)) == 0 and _is_healthy(instance.url):
                return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {instance.log.read_text()}")


def _is_healthy(url: str) -> bool:
    try:
        return httpx2.get(url.replace("/mcp", "/healthz"), timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False
