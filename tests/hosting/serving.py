"""A host in the test's own event loop behind a real socket, and a server for it whose tools the test holds in hand."""

import asyncio
import json
import socket
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, Final, NamedTuple, Protocol

import httpx2
import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Elicit, Resolve
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp_types import LoggingLevel
from pydantic import BaseModel, Field

from tollbook.core.caller import Caller
from tollbook.core.stores import Store
from tollbook.hosting import HostSettings
from tollbook.hosting.answers import Refusal, Scope
from tollbook.hosting.app import Authenticate, Host, anyone

BOTH: Final = {"accept": "application/json, text/event-stream"}
MODERN: Final = "2026-07-28"
CAUSE: Final = "hunter2-and-a-table-named-salaries"
PATIENCE_S: Final = 10
"""A condition that does not come true by then never will."""


class SetClock:
    """A clock that stands."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.25

    def __call__(self) -> float:
        return self.now


class Serve(Protocol):
    """A host of `a_server` as a test's fixtures have it."""

    def __call__(
        self, settings: HostSettings | None = None, *, authenticate: Authenticate = anyone, store: Store | None = None
    ) -> AbstractAsyncContextManager[str]: ...


@asynccontextmanager
async def serving(app: Host) -> AsyncIterator[str]:
    """The URL of the MCP endpoint of `app`, which runs until the end of the block."""
    # asyncio sends small packets at once only where the protocol is named.
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(2048)
        config = uvicorn.Config(
            app, lifespan="on", log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=1
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        # Its `serve` would do the same, look ten times a second whether to end, and catch the signals of pytest.
        await server.startup([listening])
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        finally:
            async with asyncio.timeout(2 * PATIENCE_S):
                await server.shutdown([listening])


async def until(holds: Callable[[], object]) -> None:
    """Waits until a condition is true, for `PATIENCE_S` seconds at most."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.002)


async def bearers(scope: Scope) -> Caller:
    """Whoever says `Bearer NAME` is NAME; for tests of what comes before and after authentication."""
    for key, value in scope["headers"]:
        if key == b"authorization" and value.startswith(b"Bearer "):
            return Caller(value.decode("latin-1").removeprefix("Bearer "))
    raise Refusal(401, "A token is needed.", headers=((b"www-authenticate", b'Bearer scope="mcp"'),))


class Stage:
    """What a test sees and holds of the tools that run.

    Attributes:
        entered, left, cancelled: how often a tool that waits came in, went out, and was cancelled.
        go: what they wait for.
    """

    def __init__(self) -> None:
        self.entered = self.left = self.cancelled = 0
        self.go = asyncio.Event()

    async def wait(self) -> None:
        self.entered += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.left += 1


class Choice(BaseModel):
    """What a user is asked for."""

    colour: str


def a_server(stage: Stage | None = None) -> MCPServer[Any]:
    """A small server; the tools that wait, wait for `stage`."""
    stage = stage or Stage()
    server: MCPServer[Any] = MCPServer("small", version="1", log_level="ERROR")
    children: set[asyncio.Task[None]] = set()

    @server.tool()
    async def greet(name: str) -> str:
        return f"Hello, {name}!"

    @server.tool()
    async def slow(
        ctx: Context[Any, Any], steps: Annotated[int, Field(ge=0)] = 3, length: int = 1, waits: bool = True
    ) -> str:
        """Tells of its progress, each time in so many characters, and waits, then tells of it once more."""
        for step in range(steps):
            await ctx.report_progress(step, steps, "p" * length)
            await _say(ctx, "info", "i" * length)
        if waits:
            await stage.wait()
        await ctx.report_progress(steps, steps, "done")
        return "finished"

    @server.tool()
    async def says_all_levels(ctx: Context[Any, Any]) -> str:
        levels: tuple[LoggingLevel, ...] = ("debug", "info", "warning", "error")
        for level in levels:
            await _say(ctx, level, f"at {level}")
        return "said"

    @server.tool()
    async def crashes() -> str:
        raise RuntimeError(CAUSE)

    @server.tool()
    async def asks(ctx: Context[Any, Any]) -> str:
        answer = await ctx.elicit("Which colour?", Choice)
        return f"{answer.action}: {answer.data.colour}" if answer.action == "accept" else answer.action

    def which_colour() -> Elicit[Choice]:
        return Elicit("Which colour?", Choice)

    @server.tool()
    async def needs(choice: Annotated[Choice, Resolve(which_colour)]) -> str:
        """Asks as well, in a manner that every revision has."""
        return f"accept: {choice.colour}"

    @server.tool()
    async def big(size: int) -> str:
        return "x" * size

    @server.tool()
    async def swallows_cancellation() -> str:
        try:
            await stage.wait()
        except asyncio.CancelledError:
            return "not impressed"
        return "went"

    @server.tool()
    async def gossips(ctx: Context[Any, Any]) -> str:
        """A task of it goes on to talk after it has returned."""

        async def talk() -> None:
            await stage.wait()
            await ctx.report_progress(9, 9, "afterwards")

        children.add(task := asyncio.create_task(talk()))
        task.add_done_callback(children.discard)
        return "that was all"

    @server.tool()
    async def counts_stars() -> dict[str, int]:
        return {"stars": 10**24}

    return server


async def _say(ctx: Context[Any, Any], level: LoggingLevel, text: str) -> None:
    with warnings.catch_warnings():  # deprecated by the newest revision, and what the others show
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        sending = ctx.session.send_log_message(level, text, related_request_id=ctx.request_id)
    await sending


def request(method: str, request_id: Any = 1, /, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def tool(name: str, request_id: Any = 1, /, **arguments: Any) -> dict[str, Any]:
    """A call of a tool that wants to hear of its progress."""
    return request("tools/call", request_id, name=name, arguments=arguments, _meta={"progressToken": "p"})


def modern(message: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """`message` as the revision of 2026-07-28 has it, and the headers that it needs."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    }
    params = message.get("params", {})
    whole = {**message, "params": {**params, "_meta": {**params.get("_meta", {}), **meta}}}
    headers = {**BOTH, "mcp-protocol-version": MODERN, "mcp-method": message["method"]}
    name = params.get("name", params.get("uri"))
    return whole, headers if name is None else {**headers, "mcp-name": name}


class Reply(NamedTuple):
    """A response as it was on the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def messages(response: httpx2.Response) -> list[Any]:
    """The JSON-RPC messages of a response, whether it is a stream of events or one document."""
    if response.headers["content-type"] == "application/json":
        return [response.json()]
    return [json.loads(line[6:]) for line in response.text.split("\n") if line.startswith("data: {")]


def text_of(response: httpx2.Response) -> str:
    """What a tool said in the end."""
    return str(messages(response)[-1]["result"]["content"][0]["text"])


async def ask(
    url: str, method: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", path: str = ""
) -> Reply:
    """Sends a request of just these headers; the ones it needs to be valid HTTP at all are added if there are none."""
    address = httpx2.URL(url)
    given = list(headers)
    names = {name.lower() for name, _ in given}
    if "host" not in names:
        given.insert(0, ("host", f"127.0.0.1:{address.port}"))
    if body and names.isdisjoint(("content-length", "transfer-encoding")):
        given.append(("content-length", str(len(body))))
    lines = [f"{method} {path or address.path} HTTP/1.1", *(f"{name}: {value}" for name, value in given)]
    head = "\r\n".join([*lines, "connection: close", "", ""])
    return await raw(url, head.encode("latin-1") + body)


async def raw(url: str, sent: bytes) -> Reply:
    """Sends bytes as they are on a connection of their own, and reads until its end."""
    address = httpx2.URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(PATIENCE_S):
            await writer.drain()
            received = await reader.read()
    finally:
        writer.transport.abort()
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return Reply(int(lines[0].split(" ")[1]), headers, body)


async def in_process(app: Host, method: str, headers: Mapping[str, str], message: Any = None) -> Reply:
    """Calls `app` as a web server does, without one: for what must be done a thousand times."""
    given = {"host": "localhost", "content-type": "application/json", **headers}
    scope = {
        "type": "http",
        "method": method,
        "path": "/mcp",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    sent: list[Any] = []
    coming = [{"type": "http.request", "body": b"" if message is None else json.dumps(message).encode()}]

    async def receive() -> Any:
        return coming.pop() if coming else await asyncio.Event().wait()

    async def send(event: Any) -> None:
        sent.append(event)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], headers, b"".join(each["body"] for each in sent[1:]))
