"""Lists are read to their end, kept until they change, and what is marked for headers goes into them."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.client.wire.conftest import Connect
from tests.client.wire.scripted import (
    SESSION,
    Asked,
    Script,
    alone,
    always,
    event,
    fault,
    head,
    in_session,
    response,
    result,
    scripted,
)
from tests.client.wire.watching import Watching
from tests.hosting.serving import until
from tollbook.client.protocol import Era, Json, Prompt, PromptArgument, Resource, ResourceTemplate
from tollbook.client.trouble import RpcError

pytestmark = pytest.mark.anyio


def listing(pages: Sequence[tuple[str, Sequence[Json]]], then: Script, era: Era = "modern") -> Script:
    """A server whose lists have these pages: the method and the things, in turn."""

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        mine = [things for method, things in pages if method == asked.what]
        if not mine:
            begun = in_session(then) if era == "handshake" else alone(then)
            return await begun(asked, writer)
        key = {"resources/templates/list": "resourceTemplates"}.get(asked.what, asked.what.split("/")[0])
        number = int(asked.json.get("params", {}).get("cursor", "page-0")[5:])
        more = {"nextCursor": f"page-{number + 1}"} if number + 1 < len(mine) else {}
        return response(200, result(asked, **{key: mine[number]}, **more))

    return script


async def nothing(asked: Asked, writer: asyncio.StreamWriter) -> bytes:
    return response(200, result(asked, content=[])) if "id" in asked.json else response(202)


async def test_all_pages_are_read_once(connect: Connect, era: Era) -> None:
    pages: list[tuple[str, Sequence[Json]]] = [
        ("resources/list", [{"uri": "a:1", "name": "one", "size": 5, "unknown": [1]}]),
        ("resources/list", []),
        ("resources/list", [{"uri": "a:2", "mimeType": "text/plain"}]),
        ("resources/templates/list", [{"uriTemplate": "a:{x}", "title": "T"}]),
        ("prompts/list", [{"name": "p", "arguments": [{"name": "x", "required": True}]}]),
        ("prompts/list", [{"name": "q"}]),
    ]
    async with scripted(listing(pages, nothing, era)) as server, connect(server.url, era) as connection:
        for _ in range(2):
            assert await connection.resources() == [
                Resource(uri="a:1", name="one", size=5),
                Resource(uri="a:2", mime_type="text/plain"),
            ]
            assert await connection.templates() == [ResourceTemplate(uri_template="a:{x}", title="T")]
            assert await connection.prompts() == [
                Prompt(name="p", arguments=[PromptArgument(name="x", required=True)]),
                Prompt(name="q"),
            ]
    assert len([each for each in server.heard if each.endswith("/list")]) == 6


async def test_what_a_server_does_not_have_is_not_asked_for(connect: Connect, era: Era) -> None:
    async def bare(asked: Asked, writer: asyncio.StreamWriter) -> bytes:
        if asked.what == "server/discover":
            return response(200, result(asked, supportedVersions=["2026-07-28"], capabilities={"tools": {}}))
        if asked.what == "initialize":
            return response(200, result(asked, protocolVersion="2025-06-18", capabilities={"tools": {}}))
        return response(200, result(asked, tools=[])) if asked.json.get("id") else response(202)

    async with scripted(bare) as server, connect(server.url, era) as connection:
        assert [*await connection.resources(), *await connection.templates(), *await connection.prompts()] == []
        assert await connection.tools() == []
    assert [each for each in server.heard if each.endswith("/list")] == ["tools/list"]


@pytest.mark.parametrize(
    ("notification", "asked_again"),
    [
        ("tools", ["tools/list"]),
        ("prompts", ["prompts/list"]),
        ("resources", ["resources/list", "resources/templates/list"]),
    ],
)
async def test_a_list_that_has_changed_is_read_again(
    connect: Connect, user: Watching, era: Era, notification: str, asked_again: Sequence[str]
) -> None:
    lists = ("resources/list", "resources/templates/list", "prompts/list")

    async def then(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        if asked.what != "tools/call":
            return response(405)
        writer.write(head() + event({"jsonrpc": "2.0", "method": f"notifications/{notification}/list_changed"}))
        writer.write(event(result(asked, content=[])))
        await writer.drain()
        return None

    async with scripted(listing([(each, []) for each in lists], then, era)) as server, connect(server.url, era) as them:

        async def read_all() -> list[str]:
            before = len(server.asked)
            for read in (them.tools, them.resources, them.templates, them.prompts):
                await read()
            return server.heard[before:]

        await read_all()
        assert await read_all() == []
        await them.call_tool("once", {})
        assert await read_all() == asked_again
    assert user.notices == [f"The server's {notification} have changed."]


async def test_a_change_is_heard_while_nothing_is_asked(connect: Connect, user: Watching) -> None:
    streams: list[asyncio.StreamWriter] = []

    async def then(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        assert (asked.method, asked.headers["mcp-session-id"]) == ("GET", SESSION)
        writer.write(head())
        streams.append(writer)
        await asyncio.Event().wait()
        return None

    async with scripted(in_session(then)) as server, connect(server.url, "handshake", listens=True) as connection:
        await connection.tools()
        await until(lambda: streams)
        streams[0].write(event({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}))
        await until(lambda: user.notices)
        await connection.tools()
    assert server.heard.count("tools/list") == 2
    assert user.notices == ["The server's tools have changed."]


async def test_a_list_that_changes_while_it_is_read_is_read_again_and_nobody_is_told(
    connect: Connect, user: Watching
) -> None:
    names = iter("abc")

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        if asked.what != "tools/list":
            return await in_session(nothing)(asked, writer)
        name = next(names)
        writer.write(head())
        if name == "a":
            writer.write(event({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}))
        writer.write(event(result(asked, tools=[tool(name)])))
        await writer.drain()
        return None

    async with scripted(script) as server, connect(server.url, "handshake") as connection:
        for expected in "abb":
            assert [each.name for each in await connection.tools()] == [expected]
    assert not user.notices, "whoever has not seen a list need not hear that it changed"


# Headers


def region(name: Any = "Region", **schema: Any) -> Json:
    return {"type": "string", "x-mcp-header": name, **schema}


def tool(name: str, **properties: Json) -> Json:
    return {"name": name, "inputSchema": {"type": "object", "properties": properties}}


async def called(connect: Connect, schema: Json, arguments: Json, era: Era = "modern") -> dict[str, str]:
    """The headers Mcp-Param-… of a call."""
    async with scripted(listing([("tools/list", [schema])], nothing, era)) as server, connect(server.url, era) as them:
        await them.call_tool(schema["name"], arguments)
    headers = server.asked[-1].headers
    assert ("mcp-name" in headers) is (era == "modern")
    return {name: value for name, value in headers.items() if name.startswith("mcp-param-")}


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("eu-west-1", "eu-west-1"),
        ("", ""),
        ("zürich", "=?base64?esO8cmljaA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("two\r\nlines: x", "=?base64?dHdvDQpsaW5lczogeA==?="),
        ("=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
    ],
)
async def test_what_is_marked_is_said_again_in_a_header(connect: Connect, value: str, sent: str) -> None:
    assert await called(connect, tool("t", where=region()), {"where": value}) == {"mcp-param-region": sent}


async def test_marks_count_wherever_properties_lead_and_only_where_there_is_a_value(connect: Connect) -> None:
    place = {"type": "object", "properties": {"city": region("City"), "zip": region("Zip", type="integer")}}
    schema = tool(
        "t", place=place, flag=region("Flag", type="boolean"), other=region("Other"), plain={"type": "string"}
    )
    headers = await called(connect, schema, {"place": {"city": "Ulm", "zip": 89073}, "flag": True, "plain": "x"})
    assert headers == {"mcp-param-city": "Ulm", "mcp-param-zip": "89073", "mcp-param-flag": "true"}
    assert await called(connect, schema, {"place": "not an object", "other": None, "flag": False}) == {
        "mcp-param-flag": "false"
    }


async def test_names_that_no_header_takes_are_in_base64(connect: Connect) -> None:
    async with (
        scripted(listing([("tools/list", [tool("größe")])], nothing)) as server,
        connect(server.url, "modern") as connection,
    ):
        await connection.call_tool("größe", {})
        assert server.asked[-1].headers["mcp-name"] == "=?base64?Z3LDtsOfZQ==?="
        await connection.read_resource("a:ü")
        assert server.asked[-1].headers["mcp-name"] == "=?base64?YTrDvA==?="
    assert server.asked[-1].headers["mcp-method"] == "resources/read"


async def test_the_handshake_era_has_no_such_headers(connect: Connect) -> None:
    assert await called(connect, tool("t", where=region()), {"where": "x"}, "handshake") == {}


@pytest.mark.parametrize(
    "properties",
    [
        {"a": region("")},
        {"a": region("two words")},
        {"a": region("line\r\nbreak")},
        {"a": region(5)},
        {"a": region("X"), "b": region("x")},
        {"a": region(type="object")},
        {"a": region(type="number")},
        {"a": region(type=["string", "null"])},
        {"a": {"x-mcp-header": "NoType"}},
        {"a": {"type": "array", "items": region()}},
        {"a": {"anyOf": [region()]}},
        {"a": {"type": "object", "patternProperties": {"x": region()}}},
    ],
)
async def test_a_tool_whose_marks_are_ill_is_left_out(connect: Connect, properties: Json) -> None:
    script = listing([("tools/list", [tool("ill", **properties), tool("well", a=region())])], nothing)
    async with scripted(script) as server, connect(server.url, "modern") as connection:
        assert [each.name for each in await connection.tools()] == ["well"]
    async with (
        scripted(listing([("tools/list", [tool("ill", **properties)])], nothing, "handshake")) as server,
        connect(server.url, "handshake") as connection,
    ):
        assert [each.name for each in await connection.tools()] == ["ill"], "in that era, marks mean nothing"


async def test_a_server_that_wants_other_headers_is_asked_for_its_tools_again(connect: Connect) -> None:
    """2026-07-28: on HeaderMismatch, a client may read the list anew and try once more."""
    schemas = [tool("t", where=region("Old")), tool("t", where=region("New"))]

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        if asked.what == "tools/list":
            return response(200, result(asked, tools=[schemas.pop(0)]))
        if asked.what != "tools/call":
            return await alone(always(response(404)))(asked, writer)
        if "mcp-param-new" not in asked.headers:
            return response(400, fault(asked, -32020, "Header mismatch"))
        return response(200, result(asked, content=[]))

    async with scripted(script) as server, connect(server.url, "modern") as connection:
        assert await connection.call_tool("t", {"where": "x"}) == {"content": []}
    assert server.heard == ["server/discover", "tools/list", "tools/call", "tools/list", "tools/call"]


async def test_headers_that_never_match_are_an_error(connect: Connect) -> None:
    async def then(asked: Asked, writer: asyncio.StreamWriter) -> bytes:
        return response(400, fault(asked, -32020, "Header mismatch"))

    async with scripted(alone(then)) as server, connect(server.url, "modern") as connection:
        with pytest.raises(RpcError) as raised:
            await connection.call_tool("once", {})
    assert str(raised.value) == "The server answered tools/call with error -32020: Header mismatch."
    assert server.heard.count("tools/call") == 2


# Small things


@pytest.mark.parametrize("completion", [None, [], {"values": "x"}, {"values": [1, "a", None, "b"]}])
async def test_what_is_proposed_is_text_or_nothing(connect: Connect, era: Era, completion: Any) -> None:
    async def then(asked: Asked, writer: asyncio.StreamWriter) -> bytes:
        return response(200, result(asked, completion=completion))

    begun = in_session if era == "handshake" else alone
    async with scripted(begun(then)) as server, connect(server.url, era) as connection:
        proposed = await connection.complete({"type": "ref/prompt", "name": "p"}, "a", "b", {})
    assert proposed == (["a", "b"] if isinstance(completion, dict) and completion["values"] != "x" else [])
    assert "context" not in server.asked[-1].json["params"]


@pytest.mark.parametrize("code", [-32601, -32603])
async def test_a_server_that_does_not_take_a_level_of_its_log_is_used_all_the_same(connect: Connect, code: int) -> None:
    async def then(asked: Asked, writer: asyncio.StreamWriter) -> bytes:
        if asked.what == "logging/setLevel":
            return response(200, fault(asked, code, "No"))
        return response(200, result(asked, content=[]))

    async with scripted(in_session(then, logging={})) as server, connect(server.url, "handshake") as connection:
        assert await connection.call_tool("once", {}) == {"content": []}
    assert json.loads(next(a.body for a in server.asked if a.what == "logging/setLevel"))["params"] == {
        "level": "debug"
    }
