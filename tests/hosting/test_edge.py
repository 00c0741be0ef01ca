"""What every request must be before anything is done for it, and what it is answered if it is not."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.hosting.serving import MODERN, Reply, a_server, ask, bearers, modern, raw, request, serving, tool
from tollbook.hosting import HostSettings, host
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

Headers = Sequence[tuple[str, str]]

ANN = ("authorization", "Bearer ann")
JSON = ("content-type", "application/json")
ACCEPT = ("accept", "application/json, text/event-stream")
POSTED = (ANN, JSON, ACCEPT)
LONGEST = 4096


@pytest.fixture(scope="module")
async def url() -> AsyncIterator[str]:
    """A host that asks for a token, and takes bodies of up to `LONGEST` bytes."""
    app = host(a_server(), MemoryStore(), HostSettings(largest_body=LONGEST), authenticate=bearers)
    async with serving(app) as served:
        yield served


@pytest.fixture(scope="module")
async def session(url: str) -> Headers:
    """The headers of a POST in an open session."""
    return [*POSTED, ("mcp-session-id", await opened(url, "2025-11-25"))]


async def opened(url: str, version: str) -> str:
    reply = await post(url, POSTED, request("initialize", 0, **hello(version)))
    return reply.headers["mcp-session-id"]


def hello(version: str = "2025-11-25") -> dict[str, Any]:
    return {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


async def post(url: str, headers: Iterable[tuple[str, str]], body: Any) -> Reply:
    return await ask(url, "POST", headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def is_refused(reply: Reply, status: int, code: int = -32600, request_id: Any = None) -> bool:
    """Whether it is a JSON-RPC error with just these marks, and a sentence."""
    assert reply.status == status, reply
    assert reply.headers["content-type"] == "application/json"
    assert int(reply.headers["content-length"]) == len(reply.body)
    error = reply.json.pop("error")
    assert reply.json == {"jsonrpc": "2.0", "id": request_id, "error": error}
    assert error["code"] == code
    assert error["message"].endswith((".", "]", "'"))
    return True


class TestTheHost:
    @pytest.mark.parametrize("path", ["/mcp", "/healthz", "/nowhere"])
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "PUT"])
    async def test_is_asked_first_wherever_a_request_goes(self, url: str, path: str, method: str) -> None:
        reply = await ask(url, method, [("host", "evil.example")], path=path)
        assert is_refused(reply, 421)
        assert reply.json["error"]["message"] == "This host is not served here."

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "127.0.0.1.evil.example",
            "127.0.0.1.evil.example:3000",
            "evil.example:3000",
            "localhost:3000@evil.example",
            "user@localhost:3000",
            "localhost:",
            "localhost:30a",
            "localhost:\xb2",
            "localhost:80:80",
            "localhost.",
            "localhost, evil.example",
            "[::1",
            "[::1]3000",
            "::1",
            "::1:3000",
            "0.0.0.0:3000",
            "*",
            "*:*",
            "localhost:*",
        ],
    )
    async def test_is_refused_when_it_is_any_other(self, url: str, name: str) -> None:
        reply = await ask(url, "GET", [("host", name)], path="/healthz")
        # What is no host at all, the web server may refuse itself.
        assert reply.status == 400 or is_refused(reply, 421)

    @pytest.mark.parametrize(
        "name", ["127.0.0.1", "127.0.0.1:3000", "localhost", "LocalHost:1", "[::1]", "[::1]:3000", "localhost:65535"]
    )
    async def test_may_have_any_port_and_any_case(self, url: str, name: str) -> None:
        assert (await ask(url, "GET", [("host", name)], path="/healthz")).status == 200

    async def test_has_the_port_that_is_written_where_one_is(self) -> None:
        settings = HostSettings(allowed_hosts=("API.example.com", "other.example.com:8443"))
        async with serving(host(a_server(), MemoryStore(), settings)) as url:
            served = {
                name: (await ask(url, "GET", [("host", name)], path="/healthz")).status
                for name in (
                    "api.example.com",
                    "Api.Example.Com",
                    "other.example.com:8443",
                    "api.example.com:443",
                    "other.example.com",
                    "127.0.0.1",
                )
            }
        assert list(served.values()) == [200, 200, 200, 421, 421, 421]

    async def test_must_be_there(self, url: str) -> None:
        assert is_refused(await raw(url, b"GET /healthz HTTP/1.0\r\n\r\n"), 421)

    @pytest.mark.parametrize("second", ["evil.example", "localhost"])
    async def test_may_not_be_there_twice(self, url: str, second: str) -> None:
        for names in (("localhost", second), (second, "localhost")):
            reply = await ask(url, "GET", [("host", name) for name in names], path="/healthz")
            assert reply.status in (400, 421)


class TestTheOrigin:
    @pytest.mark.parametrize("path", ["/mcp", "/healthz", "/nowhere"])
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
    async def test_is_asked_before_anything_else_is_done(self, url: str, path: str, method: str) -> None:
        reply = await ask(url, method, [("origin", "https://evil.example")], path=path)
        assert is_refused(reply, 403)
        assert not [name for name in reply.headers if name.startswith("access-control")]

    @pytest.mark.parametrize(
        "origin",
        [
            "",
            "null",
            "*",
            "localhost:3000",
            "https://localhost:3000",
            "http://localhost:3000/",
            "http://localhost:3000.evil.example",
            "http://localhost.evil.example:3000",
            "http://evil.example/http://localhost:3000",
            "http://localhost:\xb2",
            "http://localhost:3000 http://evil.example",
        ],
    )
    async def test_is_refused_when_it_is_any_other(self, url: str, origin: str) -> None:
        assert is_refused(await ask(url, "GET", [("origin", origin)], path="/healthz"), 403)

    @pytest.mark.parametrize("origin", ["http://localhost:6274", "http://127.0.0.1", "HTTP://[::1]:80"])
    async def test_may_read_every_response_if_it_is_allowed(self, url: str, origin: str, session: Headers) -> None:
        for reply in (
            await ask(url, "GET", [("origin", origin)], path="/healthz"),
            await ask(url, "GET", [("origin", origin)]),  # 401
            await ask(url, "GET", [("origin", origin)], path="/nowhere"),
            await ask(url, "GET", [("origin", origin), ANN]),  # 405
            await post(url, [*session, ("origin", origin)], request("ping")),
            await post(url, [*session, ("origin", origin)], tool("greet", name="Ann")),  # a stream
        ):
            assert reply.headers["access-control-allow-origin"] == origin
            assert reply.headers["vary"] == "Origin"
            exposed = reply.headers["access-control-expose-headers"].lower().split(", ")
            assert {"mcp-session-id", "www-authenticate"} <= set(exposed)
            assert "access-control-allow-credentials" not in reply.headers

    async def test_is_not_spoken_of_to_those_who_have_none(self, url: str, session: Headers) -> None:
        for reply in (await ask(url, "GET", path="/healthz"), await post(url, session, request("ping"))):
            assert not [name for name in reply.headers if name.startswith("access-control")]


class TestAPreflight:
    ASKS = (("access-control-request-method", "POST"), ("access-control-request-headers", "authorization, mcp-name"))

    async def test_of_an_allowed_origin_is_granted_without_a_token(self, url: str) -> None:
        reply = await ask(url, "OPTIONS", [("origin", "http://localhost:6274"), *self.ASKS])
        assert (reply.status, reply.body) == (204, b"")
        assert reply.headers["access-control-allow-origin"] == "http://localhost:6274"
        assert reply.headers["access-control-allow-methods"] == "GET, POST, DELETE"
        allowed = reply.headers["access-control-allow-headers"].lower().split(", ")
        assert {"authorization", "content-type", "last-event-id", "mcp-session-id", "mcp-protocol-version"} <= {
            *allowed
        }

    async def test_of_any_other_is_not(self, url: str) -> None:
        reply = await ask(url, "OPTIONS", [("origin", "http://evil.example"), *self.ASKS])
        assert is_refused(reply, 403)
        assert not [name for name in reply.headers if name.startswith("access-control")]


class TestThePath:
    async def test_healthz_asks_for_no_token(self, url: str) -> None:
        reply = await ask(url, "GET", path="/healthz")
        assert (reply.status, reply.json) == (200, {"status": "ok"})
        reply = await ask(url, "HEAD", path="/healthz")
        assert (reply.status, reply.body) == (200, b"")

    @pytest.mark.parametrize(
        "path", ["/", "/mcp/", "/mcp/x", "/MCP", "//mcp", "/healthz/", "/.env", "/mcp%00", "/%2e%2e"]
    )
    async def test_leads_nowhere_else(self, url: str, path: str) -> None:
        reply = await ask(url, "GET", [ANN], path=path)
        assert is_refused(reply, 404)
        assert reply.json["error"]["message"] == "There is nothing here. The MCP endpoint is /mcp."

    async def test_may_carry_a_query_that_means_nothing(self, url: str, session: Headers) -> None:
        reply = await post(f"{url}", session, request("ping"))
        with_query = await ask(url, "POST", session, json.dumps(request("ping")).encode(), path="/mcp?x=1")
        assert (with_query.status, with_query.body) == (reply.status, reply.body)


class TestTheMethod:
    @pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD", "TRACE", "PROPFIND"])
    async def test_of_the_handshake_era_is_one_of_three(self, url: str, method: str) -> None:
        reply = await ask(url, method, [ANN])
        assert (reply.status, reply.headers["allow"]) == (405, "POST, GET, DELETE")
        assert method == "HEAD" or is_refused(reply, 405)

    @pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
    async def test_of_the_modern_era_is_post(self, url: str, method: str) -> None:
        reply = await ask(url, method, [ANN, ("mcp-protocol-version", MODERN)])
        assert is_refused(reply, 405)
        assert reply.headers["allow"] == "POST"

    async def test_get_opens_no_stream_that_never_ends(self, url: str, session: Headers) -> None:
        reply = await ask(url, "GET", session)
        assert is_refused(reply, 405)
        assert reply.headers["allow"] == "POST, DELETE"


class TestWhoeverProvesNothing:
    """Is told the same, whatever he asks: before his method, his body or his session are looked at."""

    async def test_is_told_so_and_nothing_else(self, url: str, session: Headers) -> None:
        ours = [each for each in session if each != ANN]
        whole, headers = modern(tool("greet", name="Ann"))
        replies = [
            await ask(url, "GET"),
            await ask(url, "PUT"),
            await ask(url, "DELETE", ours),
            await ask(url, "DELETE", [("mcp-session-id", "made-up")]),
            await ask(url, "GET", [*ours, ("last-event-id", "x.1")]),
            await ask(url, "GET", [("mcp-protocol-version", MODERN)]),
            await post(url, [], b""),
            await post(url, [JSON, ACCEPT], b"{"),
            await post(url, ours, request("ping")),
            await post(url, [JSON, ACCEPT], request("initialize", 0, **hello())),
            await post(url, [*headers.items(), JSON], whole),
            await post(url, [JSON, ("content-length", str(LONGEST + 1))], b"x" * (LONGEST + 1)),
        ]
        for reply in replies:
            assert is_refused(reply, 401)
            assert reply.body == replies[0].body
            assert reply.headers == replies[0].headers
        assert replies[0].headers["www-authenticate"] == 'Bearer scope="mcp"'

    async def test_is_told_before_his_body_has_come(self, url: str) -> None:
        # The reply comes, though what was announced never does.
        assert is_refused(await ask(url, "POST", [JSON, ACCEPT, ("content-length", "100")]), 401)
        assert is_refused(await ask(url, "POST", [JSON, ACCEPT, ("transfer-encoding", "chunked")]), 401)

    async def test_opens_no_session(self) -> None:
        store = MemoryStore()
        async with serving(host(a_server(), store, authenticate=bearers)) as url:
            for _ in range(3):
                await post(url, [JSON, ACCEPT], request("initialize", 0, **hello()))
            assert store.held == 0


class TestABody:
    async def test_may_be_of_the_largest_size_and_no_larger(self, url: str, session: Headers) -> None:
        body = json.dumps(request("ping")).encode()
        assert (await post(url, session, body.ljust(LONGEST))).status == 200
        reply = await post(url, session, body.ljust(LONGEST + 1))
        assert is_refused(reply, 413)
        assert reply.json["error"]["message"] == "A body may have at most 4,096 bytes."

    async def test_is_counted_where_its_length_was_not_announced(self, url: str, session: Headers) -> None:
        chunked = [*session, ("transfer-encoding", "chunked")]
        body = json.dumps(request("ping")).encode()
        assert (await post(url, chunked, in_chunks(body.ljust(LONGEST)))).status == 200
        assert is_refused(await post(url, chunked, in_chunks(body.ljust(LONGEST + 1))), 413)

    async def test_that_is_said_to_be_too_long_is_not_waited_for(self, url: str, session: Headers) -> None:
        assert is_refused(await ask(url, "POST", [*session, ("content-length", str(LONGEST + 1))]), 413)
        assert is_refused(await ask(url, "POST", [*session, ("content-length", "9" * 19)]), 413)

    @pytest.mark.parametrize("length", ["-1", "1.5", "\xb2", "abc", "+5", "0x10", "5, 6", "9" * 5000])
    async def test_of_a_length_that_is_no_number_is_refused(self, url: str, session: Headers, length: str) -> None:
        reply = await ask(url, "POST", [*session, ("content-length", length)], b"{}")
        assert reply.status in (400, 413)
        assert "traceback" not in reply.body.decode().lower()

    @pytest.mark.parametrize("sizes", [(("content-length", "2"), ("content-length", "200"))])
    async def test_of_two_lengths_is_refused(self, url: str, session: Headers, sizes: Headers) -> None:
        assert (await ask(url, "POST", [*session, *sizes], b"{}")).status == 400

    async def test_of_two_framings_smuggles_no_second_request(self, url: str, session: Headers) -> None:
        smuggled = f"DELETE /mcp HTTP/1.1\r\nhost: localhost\r\n{ANN[0]}: {ANN[1]}\r\n\r\n".encode()
        body = b"0\r\n\r\n" + smuggled
        both = [*session, ("transfer-encoding", "chunked"), ("content-length", str(len(body)))]
        reply = await ask(url, "POST", both, body)
        assert reply.status == 400
        assert b"HTTP/1.1" not in reply.body

    @pytest.mark.parametrize(
        "kind",
        ["text/plain", "application/json-rpc", "application/x-www-form-urlencoded", "", "json", "multipart/form-data"],
    )
    async def test_of_another_type_is_refused(self, url: str, session: Headers, kind: str) -> None:
        headers = [each for each in session if each != JSON]
        assert is_refused(await post(url, [*headers, ("content-type", kind)], request("ping")), 415)
        assert is_refused(await post(url, headers, request("ping")), 415)

    @pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/json ;x=y"])
    async def test_may_say_more_of_its_type(self, url: str, session: Headers, kind: str) -> None:
        headers = [each for each in session if each != JSON]
        assert (await post(url, [*headers, ("content-type", kind)], request("ping"))).status == 200


class TestAccept:
    @pytest.mark.parametrize(
        "kinds",
        [
            [],
            [""],
            ["application/json"],
            ["text/event-stream"],
            ["text/html, application/json"],
            ["application/jsonx, */x"],
        ],
    )
    async def test_must_name_both_kinds_of_answers(self, url: str, session: Headers, kinds: list[str]) -> None:
        headers = [each for each in session if each != ACCEPT]
        accept = [("accept", kind) for kind in kinds]
        assert is_refused(await post(url, [*headers, *accept], request("ping")), 406, request_id=1)
        whole, needed = modern(request("tools/list", 7))
        also = [each for each in needed.items() if each[0] != "accept"]
        assert is_refused(await post(url, [ANN, JSON, *also, *accept], whole), 406, request_id=7)

    @pytest.mark.parametrize(
        "kinds",
        [
            ["*/*"],
            ["application/*, text/*"],
            ["application/json", "text/event-stream"],
            ["TEXT/Event-Stream;q=0.9 , APPLICATION/json;q=1"],
        ],
    )
    async def test_may_name_them_in_any_way(self, url: str, session: Headers, kinds: list[str]) -> None:
        headers = [each for each in session if each != ACCEPT]
        assert (await post(url, [*headers, *(("accept", kind) for kind in kinds)], request("ping"))).status == 200

    async def test_must_name_the_stream_where_one_is_resumed(self, url: str, session: Headers) -> None:
        headers = [each for each in session if each != ACCEPT]
        last = ("last-event-id", "x.1")
        assert is_refused(await ask(url, "GET", [*headers, last, ("accept", "application/json")]), 406)
        assert is_refused(await ask(url, "GET", [*headers, last, ("accept", "text/event-stream")]), 400)


NO_JSON = [
    b"",
    b" ",
    b"{",
    b'{"jsonrpc": "2.0", "id": 1, "method": "ping"',
    b"{'a': 1}",
    b"not json",
    b"<html>",
    b'{"jsonrpc": "2.0", "id": NaN, "method": "ping"}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": Infinity}}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": 1e999}}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "ping"} {}',
    b'\xef\xbb\xbf{"jsonrpc": "2.0", "id": 1, "method": "ping"}',
    '{"jsonrpc": "2.0", "id": 1, "method": "ping"}'.encode("utf-16"),
    b'{"jsonrpc": "2.0", "id": "\xff", "method": "ping"}',
    b'{"jsonrpc": "2.0", "id": "\xed\xa0\x80", "method": "ping"}',
    b'{"jsonrpc": "2.0", "id": "\\ud800", "method": "ping"}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": "a\\udfffb"}}',
    b"[" * 4000,
    b'{"a":' * 800,
]

NO_MESSAGES: list[tuple[Any, int, Any]] = [
    (None, -32600, None),
    (1, -32600, None),
    ("ping", -32600, None),
    ({}, -32600, None),
    ({"id": 1, "method": "ping"}, -32600, 1),
    ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, -32600, 1),
    ({"jsonrpc": 2.0, "id": 1, "method": "ping"}, -32600, 1),
    ({"jsonrpc": "2.0", "id": None, "method": "ping"}, -32600, None),
    ({"jsonrpc": "2.0", "id": 1.5, "method": "ping"}, -32600, None),
    ({"jsonrpc": "2.0", "id": 1.0, "method": "ping"}, -32600, None),
    ({"jsonrpc": "2.0", "id": True, "method": "ping"}, -32600, None),
    ({"jsonrpc": "2.0", "id": [1], "method": "ping"}, -32600, None),
    ({"jsonrpc": "2.0", "id": {}, "method": "ping"}, -32600, None),
    ({"jsonrpc": "2.0", "id": 1}, -32600, 1),
    ({"jsonrpc": "2.0", "id": 1, "method": 5}, -32600, 1),
    ({"jsonrpc": "2.0", "id": 1, "method": ""}, -32600, 1),
    ({"jsonrpc": "2.0", "id": 1, "method": None}, -32600, 1),
    ({"jsonrpc": "2.0", "id": "a", "method": "ping", "params": []}, -32602, "a"),
    ({"jsonrpc": "2.0", "id": "a", "method": "ping", "params": [1]}, -32602, "a"),
    ({"jsonrpc": "2.0", "id": "a", "method": "ping", "params": "x"}, -32602, "a"),
    ({"jsonrpc": "2.0", "id": 1, "result": {}, "error": {"code": 1, "message": "x"}}, -32600, 1),
    ({"jsonrpc": "2.0", "result": {}}, -32600, None),
]


class TestAMessage:
    """Is JSON-RPC 2.0, or the answer is a JSON-RPC error in JSON."""

    @pytest.mark.parametrize("body", NO_JSON, ids=repr)
    async def test_is_json(self, url: str, session: Headers, body: bytes) -> None:
        reply = await post(url, session, body[:LONGEST])
        assert is_refused(reply, 400, -32700)
        assert reply.json["error"]["message"] == "The body is not JSON."

    async def test_of_a_hundred_thousand_brackets_or_digits_is_refused(self, session: Headers) -> None:
        async with serving(host(a_server(), MemoryStore())) as url:
            for body in (b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000, b"9" * 100_000):
                assert is_refused(await post(url, [JSON, ACCEPT], body), 400, -32700)

    async def test_is_nested_64_levels_deep_at_most(self, url: str, session: Headers) -> None:
        def nested(levels: int) -> dict[str, Any]:
            inside: Any = {}
            for _ in range(levels - 4):
                inside = [inside]
            return request("ping", 1, _meta={"x": inside})

        for levels, status in ((63, 200), (64, 200), (65, 400), (66, 400), (200, 400)):
            body = json.dumps(nested(levels)).encode()
            assert body.count(b"{") + body.count(b"[") == levels
            reply = await post(url, session, body)
            assert reply.status == status, levels
            assert status == 200 or is_refused(reply, 400)

    @pytest.mark.parametrize(("message", "code", "request_id"), NO_MESSAGES, ids=repr)
    async def test_has_its_parts(self, url: str, session: Headers, message: Any, code: int, request_id: Any) -> None:
        assert is_refused(await post(url, session, message), 400, code, request_id)
        assert is_refused(await post(url, [*session, ("mcp-protocol-version", MODERN)], message), 400, code, request_id)

    @pytest.mark.parametrize("batch", [[], [request("ping")], [1], [[]]], ids=repr)
    async def test_is_no_batch_but_in_the_one_revision_that_has_them(
        self, url: str, session: Headers, batch: list[Any]
    ) -> None:
        assert is_refused(await post(url, session, batch), 400)
        assert is_refused(await post(url, [*session, ("mcp-protocol-version", MODERN)], batch), 400)

    @pytest.mark.parametrize(
        "request_id", ["", "1", "é" * 300, "\U0001f4d2", "\u0000", "a\nb", -1, 0, 2**53 + 1, 2**63, 2**64, -(2**63) - 1]
    )
    async def test_may_have_any_string_or_integer_as_its_id(
        self, url: str, session: Headers, request_id: str | int
    ) -> None:
        for message in (
            request("ping", request_id),
            tool("greet", request_id, name="Ann"),
            request("nope", request_id),
        ):
            reply = await post(url, session, message)
            assert reply.status == 200
            body = reply.json if reply.headers["content-type"] == "application/json" else json.loads(of_stream(reply))
            assert (type(body["id"]), body["id"]) == (type(request_id), request_id)
        whole, headers = modern(tool("greet", request_id, name="Ann"))
        assert (await post(url, [ANN, JSON, *headers.items()], whole)).json["id"] == request_id

    @pytest.mark.parametrize("method", ["é", "\u0000", "a" * 3000, "__class__", "tools/call/", "initialize "])
    async def test_may_ask_for_a_method_that_is_not_there(self, url: str, session: Headers, method: str) -> None:
        reply = await post(url, session, request(method, 9))
        assert json.loads(of_stream(reply))["error"]["code"] == -32601


class TestNothingIsReflected:
    """What came in a header, a path or a broken body is in no answer."""

    MARK = "reflected-7f3a"

    async def test_in_any_refusal(self, url: str, session: Headers) -> None:
        mark = self.MARK
        replies = [
            await ask(url, "GET", [("host", mark)]),
            await ask(url, "GET", [("origin", f"http://{mark}")]),
            await ask(url, "GET", [ANN], path=f"/{mark}?{mark}"),
            await ask(url, mark.upper().replace("-", ""), [ANN]),
            await ask(url, "GET", [*session, ("last-event-id", mark)]),
            await ask(url, "GET", [*session[:3], ("last-event-id", "x.1"), ("mcp-session-id", mark)]),
            await ask(url, "DELETE", [ANN, ("mcp-session-id", mark)]),
            await post(url, [ANN, JSON, ACCEPT, ("mcp-session-id", mark)], request("ping")),
            await post(url, [ANN, ACCEPT, ("content-type", mark)], b"{}"),
            await post(url, [ANN, JSON, ("accept", mark)], b"{}"),
            await post(url, session, mark.encode()),
            await post(url, session, {"jsonrpc": mark, "method": mark, mark: mark}),
            await post(url, session, [mark]),
            await ask(url, "GET", [("x-forwarded-host", mark), ("x-forwarded-proto", mark), ("forwarded", mark)]),
        ]
        for reply in replies:
            assert 400 <= reply.status < 500
            assert mark.encode() not in reply.body.lower()
            assert not [each for each in reply.headers.items() if mark in str(each).lower()]

    @pytest.mark.parametrize("name", ["mcp-session-id", "last-event-id", "origin", "mcp-protocol-version"])
    async def test_nor_can_a_header_break_out_of_its_line(self, url: str, session: Headers, name: str) -> None:
        for value in ("a\r\nset-cookie: a=b", "a\nset-cookie: a=b", "a\x00b", "a\x0bb", "é" * 10):
            reply = await ask(url, "GET", [*session[:3], (name, value)])
            assert 400 <= reply.status < 500
            assert "set-cookie" not in reply.headers


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
METHODS = st.text(max_size=12) | st.sampled_from(
    [
        *("initialize", "ping", "tools/call", "tools/list", "completion/complete", "logging/setLevel"),
        *("resources/read", "server/discover", "notifications/cancelled", "notifications/progress"),
    ]
)
PARAMS = ("arguments", "_meta", "requestId", "level", "uri", "protocolVersion", "capabilities", "clientInfo")
MESSAGES = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0")},
    optional={
        "id": st.sampled_from([1, "1", "", 2**64, -(2**70), "\u0000"]) | ANYTHING,
        "method": METHODS | ANYTHING,
        "params": st.fixed_dictionaries(
            {}, optional={"name": st.just("greet") | ANYTHING, **dict.fromkeys(PARAMS, ANYTHING)}
        )
        | ANYTHING,
        "result": ANYTHING,
        "error": ANYTHING,
    },
)

patiently = settings(
    deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class TestWhateverComes:
    """Is answered with JSON-RPC or taken in, and never breaks anything."""

    @patiently
    @given(st.binary(max_size=200), st.booleans())
    async def test_as_bytes(self, url: str, session: Headers, body: bytes, is_modern: bool) -> None:
        assert is_well_answered(await post(url, in_era(session, is_modern), body))

    @patiently
    @given(ANYTHING | st.lists(MESSAGES, max_size=3), st.booleans())
    async def test_as_json(self, url: str, session: Headers, document: Any, is_modern: bool) -> None:
        assert is_well_answered(await post(url, in_era(session, is_modern), document))

    @patiently
    @given(MESSAGES, st.sampled_from(["2025-03-26", "2025-06-18", "2025-11-25"]))
    async def test_as_a_message(self, url: str, session: Headers, message: Any, version: str) -> None:
        assert is_well_answered(await post(url, [*session, ("mcp-protocol-version", version)], message))

    @patiently
    @given(MESSAGES)
    async def test_as_a_message_of_the_modern_era(self, url: str, message: dict[str, Any]) -> None:
        given = message.get("params")
        params = given if isinstance(given, dict) else {}
        meta = params.get("_meta")
        params = {**params, "_meta": meta if isinstance(meta, dict) else {}}
        whole, headers = modern({"method": "ping", **message, "params": params})
        named = [(name, str(value)) for name, value in headers.items() if str(value).isascii()]
        assume(all(value.isprintable() for _, value in named))
        assert is_well_answered(await post(url, [ANN, JSON, *named], whole))


def in_era(session: Headers, is_modern: bool) -> Headers:
    return [*session, ("mcp-protocol-version", MODERN)] if is_modern else session


def is_well_answered(reply: Reply) -> bool:
    if reply.status == 202:
        return reply.body == b""
    assert 200 <= reply.status < 500, reply
    if reply.headers["content-type"] == "text/event-stream":
        answer = json.loads(of_stream(reply))
    else:
        assert reply.headers["content-type"] == "application/json"
        answer = reply.json
    assert answer["jsonrpc"] == "2.0"
    assert ("result" in answer) != ("error" in answer)
    if "error" in answer:
        assert isinstance(answer["error"]["code"], int)
        assert isinstance(answer["error"]["message"], str)
    return True


def of_stream(reply: Reply) -> str:
    """The last message of a stream, its chunks put together."""
    whole, rest = b"", reply.body
    if reply.headers.get("transfer-encoding") == "chunked":
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            whole, rest = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    else:
        whole = rest
    return [line for line in whole.decode().split("\n") if line.startswith("data: {")][-1][6:]


def in_chunks(body: bytes, size: int = 1000) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
