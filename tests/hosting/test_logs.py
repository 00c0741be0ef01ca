"""What is written of each request: enough to find it, and nothing that is anybody's secret."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.hosting.serving import (
    BOTH,
    CAUSE,
    Serve,
    Stage,
    ask,
    bearers,
    modern,
    request,
    tool,
    until,
)
from tests.hosting.wire import initialize
from tollbook.core.caller import Caller
from tollbook.hosting import HostSettings
from tollbook.hosting.answers import Scope
from tollbook.hosting.log import JsonLines

pytestmark = pytest.mark.anyio


class Log:
    """All that was logged, by anyone, as `tollbook serve` writes it."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["logger"] == "tollbook.requests"]


@pytest.fixture
def log() -> Iterator[Log]:
    written = Log()
    handler = logging.StreamHandler(written.stream)
    handler.setFormatter(JsonLines())
    root, ours = logging.getLogger(), logging.getLogger("tollbook")
    levels = root.level, ours.level
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    ours.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


async def test_each_request_is_one_line_of_json(http: httpx2.AsyncClient, log: Log, serve: Serve) -> None:
    async with serve() as url:
        session = await initialize(http, url)
        await session.send(url, tool("greet", name="Ann"))
        await session.send(url, request("ping"))
        await session.send(url, tool("greet"))
        await session.send(url, request("nope"))
        await session.send(url, tool("crashes"))
        await http.post(url, content=b"{", headers={**session.headers, "content-type": "application/json"})
        whole, headers = modern(tool("greet", name="Ann"))
        await http.post(url, json=whole, headers=headers)
        await session.end(url)
        await until(lambda: len(log.requests) == 9)
    facts = [
        tuple(each.get(name) for name in ("era", "method", "tool", "outcome", "status", "code"))
        for each in log.requests
    ]
    assert facts[:-1] == [
        ("handshake", "initialize", None, "result", 200, None),
        ("handshake", "tools/call", "greet", "result", 200, None),
        ("handshake", "ping", None, "result", 200, None),
        ("handshake", "tools/call", "greet", "tool_error", 200, None),
        ("handshake", "nope", None, "error", 200, -32601),
        ("handshake", "tools/call", "crashes", "tool_error", 200, None),
        ("handshake", None, None, "refused", 400, -32700),
        ("modern", "tools/call", "greet", "result", 200, None),
    ]
    for each in log.requests:
        assert each["level"] == "info"
        assert each["time"].endswith("+00:00")
        assert each["ms"] >= 0
    assert len({each["request"] for each in log.requests}) == 9


async def test_every_line_says_how_the_request_went(http: httpx2.AsyncClient, log: Log, serve: Serve) -> None:
    async with serve() as url:
        await http.get(url.replace("/mcp", "/healthz"))
        session = await initialize(http, url)
        async with session.calling(url, "greet", name="Ann") as events:
            first = await anext(events)
        async with session.resuming(url, str(first.id)) as events:
            assert [event async for event in events]
        await session.send(url, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        await session.send(url, request("logging/setLevel", level="error"))
        await session.end(url)
        await until(lambda: len(log.requests) == 7)
    assert [each.get("outcome", each.get("method")) for each in log.requests if not each.get("outcome")] == []


async def test_lines_of_one_session_have_the_same_mark_and_nobody_can_use_it(
    http: httpx2.AsyncClient, log: Log, serve: Serve
) -> None:
    async with serve() as url:
        one, other = await initialize(http, url), await initialize(http, url)
        for session in (one, other, one):
            await session.send(url, request("ping"))
        await until(lambda: len(log.requests) == 5)
    marks = [each["session"] for each in log.requests]
    assert marks == [marks[0], marks[1], marks[0], marks[1], marks[0]]
    assert marks[0] != marks[1]
    assert one.id not in log.text
    assert marks[0] not in one.id


async def test_what_goes_wrong_leaves_its_mark(http: httpx2.AsyncClient, log: Log, stage: Stage, serve: Serve) -> None:
    async with serve(authenticate=bearers) as url:
        http.headers["authorization"] = "Bearer ann"
        session = await initialize(http, url)
        await http.post(url, json=request("ping"), headers={**BOTH, "mcp-session-id": "x" * 30})
        await ask(url, "GET", [("host", "evil.example")])
        await ask(url, "GET")
        async with session.calling(url, "slow", 7) as events:
            await anext(events)
            await session.send(url, {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}})
            assert [event async for event in events]
        async with session.calling(url, "slow", 8) as events:
            await anext(events)
        await until(lambda: len(log.requests) == 7)
    facts = [(each.get("method"), each.get("outcome"), each["status"]) for each in log.requests]
    assert facts[1:4] == [("ping", "refused", 404), (None, "refused", 421), (None, "refused", 401)]
    assert sorted(facts[4:], key=str)[1:] == [("tools/call", "cancelled", 200), ("tools/call", "left", 200)]


async def test_no_secret_is_in_any_of_them(http: httpx2.AsyncClient, log: Log, stage: Stage, serve: Serve) -> None:
    mark = "mark5f3e"
    http.headers["authorization"] = f"Bearer token-{mark}"
    async with serve(HostSettings(largest_body=5000), authenticate=bearers) as url:
        session = await initialize(http, url, experimental={mark: {}}, elicitation={})
        await session.send(url, tool("greet", mark, name=mark))
        await session.send(url, tool("greet", name=[mark]))
        await session.send(url, tool(f"an unknown {mark}", arg=mark))
        await session.send(url, request(f"un known {mark}", **{mark: mark}))
        await session.send(url, request("completion/complete", ref=mark))
        await session.send(url, request("resources/read", uri=f"file:///{mark}"))
        await session.send(url, request("prompts/get", name=f"no such {mark}"))
        await session.send(url, request("logging/setLevel", level=mark))
        await session.send(url, {"jsonrpc": "2.0", "id": mark, "result": {mark: mark}})
        await session.send(url, {"jsonrpc": "2.0", "method": f"not {mark}", "params": {mark: mark}})
        await session.send(
            url, {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": mark, "reason": mark}}
        )
        await session.send(url, {"jsonrpc": "2.0", "method": "notifications/progress", "params": {mark: mark}})
        await session.send(url, [mark])
        await http.post(url, content=mark.encode(), headers={**session.headers, "content-type": "application/json"})
        await http.post(url, content=b"x" * 6000, headers={**session.headers, "content-type": "application/json"})
        await http.get(url, headers={**session.headers, "last-event-id": f"{mark}.1"})
        await http.get(f"{url}/{mark}?{mark}")
        await http.get(url, headers={"origin": f"http://{mark}"})
        await ask(url, "GET", [("host", mark)])
        await http.post(url, json=request("ping"), headers={**BOTH, "mcp-session-id": mark})
        for message in (tool("greet", name=mark), tool("crashes"), request("server/discover", **{mark: mark})):
            whole, headers = modern(message)
            await http.post(url, json=whole, headers=headers)
            await http.post(url, json=whole, headers={**headers, "mcp-method": mark})
        await until(lambda: len(log.requests) == 27)
        assert mark not in log.text
        assert session.id not in log.text


async def test_a_crash_shows_its_place_and_not_its_words(http: httpx2.AsyncClient, log: Log, serve: Serve) -> None:
    async with serve() as url:
        session = await initialize(http, url)
        said = [await session.send(url, tool("crashes"))]
        whole, headers = modern(tool("crashes"))
        said.append(await http.post(url, json=whole, headers=headers))
    assert len([line for line in log.lines if line["level"] == "error"]) == 2
    for text in (log.text, *(each.text for each in said)):
        assert CAUSE not in text
        assert CAUSE[:8] not in text
    assert "Traceback" not in log.text


async def test_a_crash_shows_where_in_the_tool_it_was(http: httpx2.AsyncClient, log: Log, serve: Serve) -> None:
    async with serve() as url:
        session = await initialize(http, url)
        await session.send(url, tool("crashes"))
    (crash,) = [line for line in log.lines if line["level"] == "error"]
    assert "RuntimeError" in str(crash)
    assert "serving.py" in str(crash)


async def test_a_crash_of_the_authentication_is_an_internal_error_and_shows_no_words(
    http: httpx2.AsyncClient, log: Log, serve: Serve
) -> None:
    async def crashes(scope: Scope) -> Caller:
        raise ValueError(f"{CAUSE} {scope['headers']}")

    async with serve(authenticate=crashes) as url:
        response = await http.get(url, headers={"authorization": "Bearer confidential"})
    assert (response.status_code, response.headers["content-type"]) == (500, "application/json")
    assert response.json()["error"] == {"code": -32603, "message": "Internal server error"}
    (crash,) = [line for line in log.lines if line["level"] == "error"]
    assert crash["exception"] == "ValueError"
    assert "test_logs.py" in crash["at"][-1]
    for text in (log.text, response.text):
        assert CAUSE not in text
        assert "confidential" not in text


@pytest.mark.parametrize(
    "name", ["a\nb", 'x", "level": "error', "\x1b[31m", "x" * 65, "\u2028", "é", "", 5, None, ["a"]]
)
async def test_a_name_that_looks_like_none_is_not_written(
    http: httpx2.AsyncClient, log: Log, serve: Serve, name: Any
) -> None:
    async with serve() as url:
        session = await initialize(http, url)
        await session.send(url, request("tools/call", name=name, arguments={}))
        if isinstance(name, str) and name:
            await session.send(url, request(name))
        await until(lambda: len(log.requests) >= 2)
    assert log.requests[1]["tool"] == "?"
    assert log.requests[-1]["method"] in ("?", "tools/call")
    assert all(line.isascii() and line.isprintable() for line in log.text.splitlines())
    assert len(log.text.splitlines()) == len(log.text.split("\n")) - 1
