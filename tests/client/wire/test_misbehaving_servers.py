"""Servers that misbehave on purpose: each gives one clear sentence, in either era, and nothing hangs."""

import asyncio
import json
from collections.abc import Callable
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
from tests.hosting.hurried import HURRIED
from tollbook.client.carrier import MOST_BYTES
from tollbook.client.protocol import Era, ToolResult, read
from tollbook.client.trouble import CallLost, ClientError, Misbehaved, RpcError, TimedOut, Unreachable

pytestmark = pytest.mark.anyio

OWNER = "Check the address; if it is right, tell the server's owner."


@pytest.fixture(scope="module")
def anyio_backend() -> object:
    return HURRIED


def raw(*parts: bytes) -> Script:
    """Writes bytes, and closes the connection."""

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return script


def streaming(*events: bytes | Callable[[Asked], bytes]) -> Script:
    """A stream of these events for every request, which then ends; it cannot be resumed."""

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        if asked.method == "GET":
            return response(405)
        writer.write(head())
        for each in events:
            writer.write(each if isinstance(each, bytes) else each(asked))
        await writer.drain()
        return None

    return script


def answered(document: Callable[[Asked], Any]) -> Script:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes:
        return response(200, document(asked))

    return script


async def opening(connect: Connect, script: Script, kind: type[ClientError], era: Era) -> str:
    """What a client says that cannot even begin; the server is called URL."""
    async with scripted(script) as server:
        with pytest.raises(kind) as raised:
            await connect(server.url, era).open()
        return str(raised.value).replace(server.url, "URL")


async def calling(connect: Connect, script: Script, kind: type[ClientError], era: Era, tool: str = "once") -> str:
    """What a client says of the answer to a call."""
    begun = in_session if era == "handshake" else alone
    async with scripted(begun(script)) as server, connect(server.url, era) as connection:
        with pytest.raises(kind) as raised:
            await connection.call_tool(tool, {})
        return str(raised.value).replace(server.url, "URL")


# What is no MCP server at all


@pytest.mark.parametrize(
    ("kind", "named"),
    [("text/html", "text/html"), ("text/plain\x1b", "text/plain<U+001B>"), ("", "something without a name")],
)
async def test_a_page_is_no_server(connect: Connect, era: Era, kind: str, named: str) -> None:
    said = await opening(connect, always(response(200, "<html>welcome</html>", kind)), Misbehaved, era)
    assert said == f"At URL is no MCP server: it answered with {named}. Check the address; most end in /mcp."


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_nothing_is_no_answer(connect: Connect, era: Era, status: int) -> None:
    said = await opening(connect, always(response(status, " \n")), Misbehaved, era)
    assert said == f"URL answered {status} with nothing in it. {OWNER}"


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"jsonrpc":"2.0","id":1,"result":' + '{"a":' * 5000 + "1" + "}" * 5000 + "}",
        b'{"jsonrpc":"2.0","id":1,"result":{"a":"\xff"}}',
        '{"jsonrpc":"2.0","id":1,"result":{',
        '{"jsonrpc":"1.0","id":1,"result":{}}',
        '{"jsonrpc":"2.0","id":true,"result":{}}',
        '{"jsonrpc":"2.0","id":1}',
        '{"jsonrpc":"2.0","id":1,"result":{},"error":5}',
        "[]",
        "null",
        '"' + "a" * 1000,
    ],
    ids=["deep", "deep result", "utf-8", "half", "version", "id", "neither", "both", "list", "null", "string"],
)
async def test_json_that_is_no_message(connect: Connect, era: Era, body: str | bytes) -> None:
    said = await opening(connect, always(response(200, body)), Misbehaved, era)
    assert said == f"URL answered with JSON that is no message of MCP. {OWNER}"


async def test_a_body_that_is_not_packed_as_it_says(connect: Connect, era: Era) -> None:
    said = await opening(connect, always(response(200, "{}", content_encoding="gzip")), Misbehaved, era)
    assert said == f"URL answered with something that cannot be unpacked. {OWNER}"


async def test_another_protocol_at_that_port(connect: Connect, era: Era) -> None:
    said = await opening(connect, raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), Misbehaved, era)
    assert said == "What comes from URL is no HTTP. Check the port, and whether it is https://."


@pytest.mark.parametrize("half", [b"", b"HTTP/1.1 200 OK\r\nconten"])
async def test_a_connection_that_is_closed_without_an_answer(connect: Connect, era: Era, half: bytes) -> None:
    said = await opening(connect, raw(half), Unreachable, era)
    assert said == (
        "There is no connection to 'it': the server closed the connection without an answer. Is it an MCP server?"
    )


async def test_a_stream_without_an_event(connect: Connect, era: Era) -> None:
    said = await opening(connect, streaming(b"<html>"), Unreachable, era)
    assert said == "There is no connection to 'it': the stream ended without an answer. Is it an MCP server?"


async def test_a_server_that_takes_the_request_and_is_silent(connect: Connect, era: Era) -> None:
    async def silent(asked: Asked, writer: object) -> None:
        await asyncio.Event().wait()

    async with scripted(silent) as server:
        with pytest.raises(TimedOut) as raised:
            await connect(server.url, era, timeout_s=7).open()
    assert str(raised.value) == (
        "The server said nothing for 7 s and was not waited for any longer. Ask for less, or wait longer with "
        "--timeout."
    )


async def test_a_server_that_is_silent_after_its_first_answer(connect: Connect) -> None:
    """A notification is owed no answer, but HTTP owes it a status."""

    async def silent(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        if asked.what == "notifications/initialized":
            await asyncio.Event().wait()
        return await in_session(always(response(202)))(asked, writer)

    async with scripted(silent) as server:
        with pytest.raises(TimedOut):
            await connect(server.url, "handshake", timeout_s=7).open()


async def test_headers_that_never_end(connect: Connect, era: Era) -> None:
    async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await writer.drain()
        await asyncio.Event().wait()

    async with scripted(slow) as server:
        with pytest.raises(TimedOut):
            await connect(server.url, era, timeout_s=7).open()


@pytest.mark.parametrize("session", ["a\x01b", "a b", "a\xe9b", "a\tb", "x" * 1025])
async def test_a_session_id_that_no_header_takes(connect: Connect, session: str) -> None:
    async with scripted(in_session(always(response(202)), session=session)) as server:
        with pytest.raises(ClientError) as raised:
            await connect(server.url, "handshake").open()
    assert str(raised.value) == (
        "The server gave a session id that is not plain text of up to 1,024 characters. Tell its owner."
    )


async def test_a_session_id_in_the_modern_era_is_not_sent_back(connect: Connect) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        return response(200, result(asked, supportedVersions=["2026-07-28"], capabilities={}), mcp_session_id=SESSION)

    async with scripted(script) as server, connect(server.url, "modern") as connection:
        assert connection.server is not None
        assert not connection.server.has_session
        await connection.read_resource("a:b")
    assert "mcp-session-id" not in server.asked[-1].headers


async def test_a_version_that_nobody_speaks(connect: Connect) -> None:
    old = answered(lambda asked: result(asked, protocolVersion="1999-01-01\x1b", capabilities={}))
    said = await opening(connect, old, Misbehaved, "handshake")
    assert said == (
        "The server speaks MCP 1999-01-01<U+001B>, and this client 2026-07-28, 2025-11-25, 2025-06-18, 2025-03-26, "
        "2024-11-05."
    )


# What answers a call


@pytest.mark.parametrize("tool", ["once", "reads"])
@pytest.mark.parametrize("value", [[1], None, "text", 5, True])
async def test_a_result_that_is_no_object(connect: Connect, era: Era, tool: str, value: Any) -> None:
    wrong = answered(lambda asked: {"jsonrpc": "2.0", "id": asked.json["id"], "result": value})
    said = await calling(connect, wrong, Misbehaved, era, tool)
    assert said == "The server's result of tools/call is no object, as MCP wants it. Tell its owner."


@pytest.mark.parametrize(
    "document", [{"id": 99, "result": {}}, {"id": "x", "result": {}}, {"method": "notifications/x"}]
)
async def test_an_answer_to_something_else(connect: Connect, era: Era, document: Any) -> None:
    said = await calling(connect, answered(lambda _: {"jsonrpc": "2.0", **document}), Misbehaved, era)
    assert said == f"URL answered something other than what it was asked. {OWNER}"


async def test_an_answer_to_something_else_in_a_stream_is_not_taken_for_the_answer(connect: Connect, era: Era) -> None:
    other = event({"jsonrpc": "2.0", "id": 99, "result": {"content": [{"type": "text", "text": "another's"}]}})
    begun = in_session if era == "handshake" else alone
    mine = streaming(other, lambda asked: event(result(asked, content=[{"type": "text", "text": "mine"}])))
    async with scripted(begun(mine)) as server, connect(server.url, era) as connection:
        answer = read(await connection.call_tool("once", {}), ToolResult)
    assert answer.content[0].text == "mine"


@pytest.mark.parametrize("streams", [False, True])
async def test_an_error_that_names_no_request_answers_the_one_it_comes_for(
    connect: Connect, era: Era, streams: bool
) -> None:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error."}}
    script = streaming(event(error)) if streams else answered(lambda _: error)
    said = await calling(connect, script, RpcError, era)
    assert said == "The server answered tools/call with error -32700: Parse error."


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("boo", "The server answered tools/call with an error that it does not explain. Tell its owner."),
        ({}, "The server answered tools/call with an error that it does not explain. Tell its owner."),
        ({"code": "x", "message": 5}, "The server answered tools/call with error 0: 5."),
        ({"code": -32601, "message": "Method not found"}, "The server does not do tools/call: Method not found."),
        (
            {"code": -32602, "message": "Unknown tool\x1b[2J..."},
            "The server does not take what it was asked: Unknown tool<U+001B>[2J.",
        ),
        (
            {"code": -32603, "message": "Wait... what?"},
            "The server answered tools/call with error -32603: Wait... what?.",
        ),
    ],
)
async def test_errors_of_json_rpc_are_put_in_words(connect: Connect, era: Era, error: Any, said: str) -> None:
    script = answered(lambda asked: {"jsonrpc": "2.0", "id": asked.json["id"], "error": error})
    assert await calling(connect, script, RpcError, era) == said


async def test_a_page_to_open_first_is_named(connect: Connect, era: Era) -> None:
    pages = {"elicitations": [{"url": "https://login.example/a\x1b"}, "?", {"url": "https://login.example/b"}]}
    said = await calling(connect, answered(lambda asked: fault(asked, -32042, "Open", **pages)), RpcError, era)
    assert said == (
        "The server wants you to open a page first, and then to ask again: https://login.example/a<U+001B> "
        "https://login.example/b"
    )


@pytest.mark.parametrize("data", [b'{"jsonrpc":', b"hello", b"[" * 9999, b'{"jsonrpc":"2.0"}', b'{"a":"\xff"}'])
async def test_an_event_that_is_no_message(connect: Connect, era: Era, data: bytes) -> None:
    said = await calling(connect, streaming(event(data)), Misbehaved, era, "reads")
    assert said == f"The server's stream has an event that is no message of MCP. {OWNER}"


async def test_events_of_other_names_and_without_data_are_passed_over(connect: Connect, era: Era) -> None:
    noise = (
        b": hello\n\n",
        b"event: ping\ndata: {\n\n",
        b"data:\n\n",
        b"retry: soon\n\n",
        b"nonsense\n\n",
        b"id: a\0b\n\n",
    )
    begun = in_session if era == "handshake" else alone
    script = streaming(*noise, lambda asked: event(result(asked, content=[])))
    async with scripted(begun(script)) as server, connect(server.url, era) as connection:
        assert await connection.call_tool("once", {}) == {"content": []}


@pytest.mark.parametrize(
    ("part", "how"),
    [
        (b"", "the server closed the connection without an answer"),
        (
            b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"json',
            "the connection was closed in the middle of the answer",
        ),
        (head(transfer_encoding="chunked") + b"5\r\n: a\n\n\r\n", "the stream ended without an answer"),
        (head() + b'data: {"jsonrpc":"2.0","id', "the stream ended without an answer"),
        (head() + b'data: {"jsonrpc":"2.0","id":2,"result":{}}\n', "the stream ended without an answer"),
    ],
    ids=["nothing", "half a body", "half a stream", "half an event", "an event without its end"],
)
async def test_an_answer_that_breaks_off(connect: Connect, user: Watching, era: Era, part: bytes, how: str) -> None:
    lost = await calling(connect, raw(part), CallLost, era)
    assert lost == (
        f"The answer of 'once' was lost: {how}. Whether it was done is not known, and the server does not say that it "
        "may be called twice. Look before you call it again."
    )
    assert not user.notices

    gone = await calling(connect, raw(part), Unreachable, era, "reads")
    assert gone == f"The answer broke off three times: {how}. Try again later, or tell the server's owner."
    assert user.notices == [f"The answer broke off ({how}); asking again …"] * 2


@pytest.mark.parametrize(
    ("kind", "chunk", "said"),
    [
        ("application/json", b"[" + b" " * (1 << 20), "The server's answer is larger than 64 MiB, and was not read."),
        ("text/event-stream", b"data: " + b" " * (1 << 20), "The server's stream has an event of more than 64 MiB."),
        (
            "text/event-stream",
            b"data: " + b" " * (1 << 20) + b"\n",
            "The server's stream has an event of more than 64 MiB.",
        ),
    ],
    ids=["a body", "a line", "an event"],
)
async def test_no_more_is_read_than_fits(connect: Connect, era: Era, kind: str, chunk: bytes, said: str) -> None:
    async def endless(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, kind))
        for _ in range(MOST_BYTES // len(chunk) + 2):
            writer.write(chunk)
            await writer.drain()

    assert await calling(connect, endless, Misbehaved, era) == f"{said} Ask for less."


@pytest.mark.parametrize("event_id", ["\x01", "é", "x" * 1025])
async def test_an_event_id_that_no_header_takes_cannot_be_resumed_after(connect: Connect, event_id: str) -> None:
    note = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}
    async with (
        scripted(in_session(streaming(event(note, event_id)))) as server,
        connect(server.url, "handshake") as connection,
    ):
        with pytest.raises(CallLost):
            await connection.call_tool("once", {})
    assert "GET" not in server.heard


async def test_a_header_that_http_does_not_allow_is_not_shown(connect: Connect, era: Era) -> None:
    async with scripted(always(response(200))) as server:
        for value in ("hidden\r\nx: y", "hidden\0", "hidden→"):
            with pytest.raises(Unreachable) as raised:
                await connect(server.url, era, headers={"x-key": value}).open()
            assert str(raised.value) == (
                "A header has a character in it that HTTP does not allow, and nothing was sent. Check --header, and "
                "the token."
            )
            assert raised.value.__cause__ is None
            assert raised.value.__suppress_context__
    assert not server.asked


async def test_a_header_of_letters_beyond_ascii_is_sent(connect: Connect, era: Era) -> None:
    begun = in_session if era == "handshake" else alone
    async with scripted(begun(always(response(200)))) as server, connect(server.url, era, headers={"x-name": "Zoë"}):
        pass
    assert server.asked[0].headers["x-name"] == "Zoë"


# What belongs to the lists


@pytest.mark.parametrize(
    ("tools", "where"),
    [
        (None, "Expected `array`, got `null`"),
        ([{"name": 5}], "Expected `str`, got `int` - at `$[0].name`"),
        ([{}], "Object missing required field `name` - at `$[0]`"),
    ],
)
async def test_a_list_that_is_not_in_mcps_form(connect: Connect, era: Era, tools: Any, where: str) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        if asked.what == "tools/list":
            return response(200, result(asked, tools=tools))
        begun = in_session if era == "handshake" else alone
        return await begun(always(response(202)))(asked, writer)

    async with scripted(script) as server, connect(server.url, era) as connection:
        with pytest.raises(Misbehaved) as raised:
            await connection.tools()
    assert str(raised.value) == f"The server's answer is not what MCP asks for: {where}."


async def test_a_list_without_end_is_left_after_a_thousand_pages(connect: Connect, era: Era) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        if asked.what == "prompts/list":
            return response(200, result(asked, prompts=[], nextCursor=json.dumps(len(server.asked))))
        begun = in_session if era == "handshake" else alone
        return await begun(always(response(202)))(asked, writer)

    async with scripted(script) as server, connect(server.url, era) as connection:
        with pytest.raises(Misbehaved) as raised:
            await connection.prompts()
    assert str(raised.value) == "The server's answer to prompts/list does not end; after 1000 pages it was left."
    assert server.heard.count("prompts/list") == 1000
