"""Each HTTP status that is no answer is one sentence that says what to do next."""

from typing import Any

import pytest

from tests.client.wire.conftest import Connect
from tests.client.wire.scripted import Asked, Script, always, fault, in_session, response, scripted
from tests.client.wire.watching import Watching
from tests.hosting.hurried import HURRIED
from tollbook.client.trouble import ClientError, LoginNeeded, Misbehaved, Refused, RpcError

pytestmark = pytest.mark.anyio

PAGE = "<html><script>alert(1)</script></html>"


@pytest.fixture(scope="module")
def anyio_backend() -> object:
    return HURRIED


async def sentence(connect: Connect, script: Script, kind: type[ClientError], **more: Any) -> str:
    """What a client says of a server, which it calls URL; the server is asked once for each era at most."""
    async with scripted(script) as server:
        with pytest.raises(kind) as raised:
            await connect(f"{server.url}?key=of-the-user", **more).open()
        said = str(raised.value)
        assert "of-the-user" not in said
        assert len(server.asked) <= 2
        return said.replace(server.url, "URL")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "It cannot read the request. Check the address; if it is right, the server may not speak MCP as we do."),
        (402, "It refused the request; ask its owner why."),
        (403, "It does not allow this; ask its owner."),
        (404, "Nothing is there. Check the address; most end in /mcp."),
        (405, "It takes no such request. Check the address; most end in /mcp."),
        (406, "It cannot answer with JSON or a stream of events, so it is no MCP server."),
        (407, "The proxy wants to know who asks. Put a name and a password into HTTP_PROXY or HTTPS_PROXY."),
        (408, "It waited too long for the request. Try again."),
        (413, "The request is too large for it. Send less."),
        (415, "It takes no JSON, so it is no MCP server."),
        (418, "It refused the request; ask its owner why."),
        (421, "It does not serve this host name. Use the address its owner gave you."),
        (426, "It wants another version of HTTP, which this client does not speak."),
        (429, "It has had too many requests. Try again a little later."),
        (500, "It failed. Try again; if that does not help, its owner's log says why."),
        (502, "The gateway before it got no valid answer. The server may be starting or down; try again."),
        (503, "It is overloaded or down. Try again later."),
        (504, "The gateway before it waited too long. Ask for less, or try again."),
        (507, "It failed. Try again later."),
    ],
)
@pytest.mark.parametrize(("body", "kind"), [(PAGE, "text/html"), ("", "")], ids=["page", "empty"])
async def test_a_status_says_what_to_do(connect: Connect, status: int, said: str, body: str, kind: str) -> None:
    assert await sentence(connect, always(response(status, body, kind)), Refused) == f"URL answered {status}. {said}"


async def test_a_server_that_wants_a_login_is_not_asked_again(connect: Connect) -> None:
    said = await sentence(connect, always(response(401, PAGE, "text/html")), LoginNeeded)
    assert said == "URL wants to know who asks. Run 'tollbook login URL', or give a token in ACCESS_TOKEN."


@pytest.mark.parametrize("name", ["www_authenticate", "x_amzn_remapped_www_authenticate"])
async def test_a_login_that_may_too_little_is_told_the_scopes(connect: Connect, name: str) -> None:
    challenge = {name: 'Bearer error="insufficient_scope", scope="mcp:read mcp:write\x1b"'}
    said = await sentence(connect, always(response(403, **challenge)), LoginNeeded)
    assert said == (
        "URL knows who asks, but this login may not do that. It needs the scopes: mcp:read mcp:write<U+001B>. "
        "Run 'tollbook login URL'."
    )


@pytest.mark.parametrize(
    "body",
    [
        '{"message": "Slow\\u001b[31m down"}',
        '{"error": "Slow\\u001b[31m down", "message": 5}',
        '{"detail": "Slow\\u001b[31m down"}',
        '{"error": {"message": "Slow\\u001b[31m down"}}',
    ],
)
async def test_what_the_server_says_itself_is_quoted_harmlessly_and_so_is_when_to_come_back(
    connect: Connect, body: str
) -> None:
    said = await sentence(connect, always(response(429, body, retry_after="7")), Refused)
    assert said == "URL answered 429 ('Slow<U+001B>[31m down'). It has had too many requests. Try again in 7 s."


@pytest.mark.parametrize("body", ['{"message": {"a": 1}}', "[1]", '{"message": ', "[" * 9999, b"\xff", PAGE])
async def test_what_the_server_says_otherwise_is_left_out(connect: Connect, body: str | bytes) -> None:
    said = await sentence(connect, always(response(503, body)), Refused)
    assert said == "URL answered 503. It is overloaded or down. Try again later."


@pytest.mark.parametrize("status", [400, 404, 405, 500, 503])
async def test_an_error_of_json_rpc_says_more_than_the_status_it_comes_with(connect: Connect, status: int) -> None:
    async def script(asked: Asked, _: object) -> bytes:
        return response(status, fault(asked, -32001, "Not today..."))

    said = await sentence(connect, script, RpcError, era="handshake")
    assert said == "The server answered initialize with error -32001: Not today."


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "there", ["http://127.0.0.1:{port}/mcp?key=hidden#x", "https://me:hidden@127.0.0.1:{port}/mcp"]
)
async def test_a_redirect_elsewhere_is_said_and_nothing_goes_there(connect: Connect, status: int, there: str) -> None:
    async with scripted(always(response(200))) as other:
        port = other.url.split(":")[2].split("/")[0]
        said = await sentence(
            connect, always(response(status, location=there.format(port=port))), Refused, headers={"x-key": "hidden"}
        )
    shown = f"{there.partition('://')[0]}://127.0.0.1:{port}/mcp"
    assert said == f"URL redirects to {shown}. Nothing was sent there; use that address if you trust it."
    assert other.connections == 0


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_on_the_same_server_is_followed(connect: Connect, status: int) -> None:
    async def moved(asked: Asked, writer: Any) -> bytes | None:
        if asked.path.startswith("/mcp"):
            return response(status, location="/there/mcp")
        return await in_session(always(response(202)))(asked, writer)

    async with scripted(moved) as server, connect(server.url, "handshake", headers={"x-key": "k"}) as connection:
        tools = await connection.tools()
    assert [tool.name for tool in tools] == ["once", "reads"]
    assert all(asked.method == "POST" and asked.headers["x-key"] == "k" and asked.body for asked in server.asked)


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirect_that_would_make_a_get_of_a_post_is_not_followed(connect: Connect, status: int) -> None:
    said = await sentence(connect, always(response(status, location="/there")), Refused)
    assert said.startswith("URL redirects to http://127.0.0.1:")
    assert said.endswith("/there. Nothing was sent there; use that address if you trust it.")


async def test_a_redirect_in_a_circle_is_left(connect: Connect) -> None:
    async with scripted(always(response(307, location="/mcp"))) as server:
        with pytest.raises(Misbehaved) as raised:
            await connect(server.url, "modern").open()
    assert str(raised.value) == f"{server.url} redirects again and again. Check the address, or ask its owner."
    assert len(server.asked) == 3


async def test_a_redirect_to_nowhere_is_a_refusal(connect: Connect) -> None:
    said = await sentence(connect, always(response(307)), Refused)
    assert said == "URL answered 307. It refused the request; ask its owner why."


async def test_nothing_of_the_wire_that_is_secret_is_shown(connect: Connect, user: Watching) -> None:
    """Threat 47, the client's side: headers, the session's id and the query stay off the screen."""
    statuses = iter((400, 403, 404, 429, 500))
    headers = {"authorization": "Bearer secret-token", "x-api-key": "secret-key"}
    said = []
    script = in_session(lambda asked, _: _with(response(next(statuses), PAGE, "text/html")), session="secret-session")
    async with (
        scripted(script) as server,
        connect(f"{server.url}?key=secret-query", "handshake", headers=headers) as connection,
    ):
        for _ in range(5):
            with pytest.raises(ClientError) as raised:
                await connection.call_tool("once", {})
            said.append(str(raised.value))
        assert "secret" not in "\n".join([*said, user.said])
    assert all(asked.headers["authorization"] == "Bearer secret-token" for asked in server.asked)
    assert server.asked[-1].headers["mcp-session-id"] == "secret-session"


async def _with(reply: bytes) -> bytes:
    return reply
