"""Servers that mean harm, or are out of their minds: the doctor neither hangs nor falls, nor shows what deceives."""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any, Final

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.auth_servers.issuer import Issuer
from tests.client.wire.scripted import Asked, head, response, scripted
from tests.doctor.patients import Patient, examined
from tests.fakes.breaking_gateway import Refusal
from tests.hosting.serving import PATIENCE_S
from tollbook.client.login.bearer import Fixed
from tollbook.doctor import challenge, hosts, metadata, preflight, reach
from tollbook.doctor.asking import LARGEST, Asker, Reply
from tollbook.doctor.finding import LONGEST, Finding, clean, failed, foreign
from tollbook.doctor.words import FINE, Paper, as_json

pytestmark = pytest.mark.anyio

URL: Final = "https://mcp.example.com/mcp"
UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")

_json: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=8,
)
_of_resource: Final = st.fixed_dictionaries(
    {}, optional={"resource": _json | st.just(URL), "authorization_servers": _json, "scopes_supported": _json}
)
_of_server: Final = st.fixed_dictionaries(
    {},
    optional={
        name: _json | st.just("https://login.example.com")
        for name in (
            "issuer",
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "registration_endpoint",
            "code_challenge_methods_supported",
            "token_endpoint_auth_methods_supported",
            "client_id_metadata_document_supported",
        )
    },
)
_headers: Final = st.dictionaries(
    st.sampled_from(["www-authenticate", "x-amzn-remapped-www-authenticate", "content-type", "location", "date"]),
    st.text(st.characters(max_codepoint=255), max_size=200)
    | st.just('Bearer resource_metadata="https://[::1", scope="'),
)


def is_harmless(finding: Finding) -> bool:
    """Whether it can be shown, and is not too long."""
    lines = list(Paper(80, FINE).add(finding))
    texts = [finding.said, finding.remedy, *lines]
    assert all(len(text) <= LONGEST for text in (finding.said, finding.remedy))
    return not any(UNSAFE.search(text) for text in texts) and bool(as_json(URL, [finding]))


class TestAnyAnswerIsJudged:
    @given(st.integers(200, 599), _headers, st.binary(max_size=200) | _json.map(lambda each: json.dumps(each).encode()))
    def test_of_the_endpoint(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        try:
            given = httpx2.Headers([(name.encode(), value.encode("latin-1")) for name, value in headers.items()])
        except ValueError:
            return
        reply = Reply(status, given, body)
        assert is_harmless(challenge.judged(reply, URL, "public").finding)
        assert is_harmless(preflight.judged(reply))
        assert is_harmless(reach.judged_health(reply, URL))
        assert is_harmless(reach.judged_clock(headers.get("date"), 1.8e9))

    @given(_of_resource)
    def test_of_the_metadata(self, document: Any) -> None:
        assert is_harmless(metadata.judged_resource(document, URL, URL))
        assert is_harmless(metadata.judged_scopes(document, ["tollbook/use"]))
        places = hosts.places(URL, None)
        for host in hosts.HOSTS:
            assert is_harmless(hosts.walked(host, URL, places, {places["path"]: document}))

    @given(_of_server, st.text())
    def test_of_the_login_server(self, document: Any, issuer: str) -> None:
        for finding in metadata.judged_server(document, issuer, URL):
            assert is_harmless(finding)

    @given(st.none() | st.dictionaries(st.just("keys"), _json))
    def test_of_its_keys(self, document: Any) -> None:
        assert is_harmless(metadata.judged_keys(document, 200, URL))

    @given(st.text())
    def test_whatever_is_said_is_shown_harmlessly(self, text: str) -> None:
        assert is_harmless(failed("x", text, text, fact=[text, {text: text}]))
        assert not UNSAFE.search(clean(text))
        assert not UNSAFE.search(foreign(text))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"keys": ' + b"9" * 100_000 + b"}",
        b'{"resource": "\x1b]0;owned\x07\x1b[31mred"}',
        b'{"resource": 1e999}',
        b'{"resource": "\\ud800"}',
        b"\xff\xfe\x00",
        b" " * (LARGEST + 1),
        b"null",
        b"",
    ],
    ids=[
        "deep list",
        "deep object",
        "huge number",
        "escapes",
        "infinite",
        "surrogate",
        "no utf-8",
        "long",
        "null",
        "nothing",
    ],
)
@pytest.mark.parametrize("path", ["/.well-known/oauth-protected-resource/mcp", "/mcp", "/healthz"])
async def test_a_document_that_is_none(patient: Patient, path: str, body: bytes) -> None:
    patient.gateway.refuses = lambda request: Refusal(200, body) if request.path == path else None
    findings = await patient.examined()
    assert all(map(is_harmless, findings))
    assert any(each.status == "failed" for each in findings) or path == "/healthz"


@pytest.mark.parametrize("body", [b"[" * 50_000, b'{"issuer": []}', b'{"issuer": {"a": 1}}', b"x" * 100_000])
async def test_a_login_server_that_is_out_of_its_mind(patient: Patient, body: bytes) -> None:
    patient.issuer.garbage(body)
    findings = await patient.examined()
    assert all(map(is_harmless, findings))
    assert next(each for each in findings if each.status == "failed").check == "login server"


async def test_an_issuer_whose_document_has_no_end(patient: Patient, issuer: Issuer) -> None:
    issuer.huge()
    findings = await patient.examined()
    issuer.well()
    assert "answers with more than" in next(each for each in findings if each.status == "failed").said


async def test_of_an_answer_without_end_a_little_is_read() -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "application/json"))
        while True:
            writer.write(b" " * 65_536)
            await writer.drain()

    async with scripted(script) as server, Asker(server.url) as asker:
        reply = await asker.ask("GET", server.url)
    assert reply.is_cut
    assert len(reply.body) == LARGEST


async def test_ten_megabytes_for_an_answer() -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "application/json"))
        for _ in range(160):
            writer.write(b" " * 65_536)
            await writer.drain()

    async with scripted(script) as server:
        async with asyncio.timeout(PATIENCE_S):
            findings = await examined(server.url, patience_s=1.0)
    assert all(map(is_harmless, findings))


@pytest.mark.parametrize(
    "header",
    [
        'www-authenticate: Bearer resource_metadata="https://x.example/\x1b[2J", scope="\x1b]0;owned\x07"',
        "www-authenticate: " + "Bearer " * 2_000,
        'www-authenticate: Bearer resource_metadata="' + "a" * 20_000 + '"',
        "www-authenticate: \xff\xfe",
        "date: \x1b[31mnever",
        "location: https://\x1b[31m.example/",
        "content-encoding: gzip",
        "mcp-session-id: \x01\x02",
    ],
    ids=["escapes", "many", "long", "no ascii", "date", "location", "encoding", "session"],
)
@pytest.mark.parametrize("status", [200, 302, 401, 403])
async def test_headers_that_mean_harm(header: str, status: int) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes:
        lines = [f"HTTP/1.1 {status} \x1b[31mOh", "content-length: 2", "content-type: application/json", header]
        return "\r\n".join([*lines, "", "{}"]).encode("latin-1")

    async with scripted(script) as server:
        async with asyncio.timeout(PATIENCE_S):
            findings = await examined(server.url, patience_s=1.0)
    assert all(map(is_harmless, findings))
    assert any(each.status == "failed" for each in findings)


@pytest.mark.parametrize(
    "named", ["http://10.0.0.1/m", "http://169.254.169.254/m", "file:///etc/passwd", "https://[::1"]
)
async def test_an_address_of_a_stranger_is_asked_only_where_a_login_may_lead(patient: Patient, named: str) -> None:
    def changed(document: Any) -> Any:
        return {**document, "authorization_servers": [named]}

    patient.gateway.documents = {"/.well-known/oauth-protected-resource/mcp": changed}
    findings = await patient.examined(patience_s=1.0)
    assert next(each for each in findings if each.status == "failed").check == "login server"
    assert all(map(is_harmless, findings))


@pytest.mark.parametrize("secret", ["ya29.a0AfB_byC", "abc123", "Tr0ub4dor.and~3", "x" * 30 + "." + "y" * 500])
@pytest.mark.parametrize("way", ["token", "login", "bearer", "header", "cookie"])
async def test_what_a_server_was_sent_is_not_shown_when_it_says_it_again(way: str, secret: str) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes:
        said = asked.headers.get("authorization", asked.headers.get("x-key", asked.headers.get("cookie", "")))
        got = said.removeprefix("Bearer ").removeprefix("sid=")
        if asked.method != "POST":
            return response(404)
        if not got:
            return response(401, www_authenticate='Bearer resource_metadata="http://127.0.0.1:9/x"')
        message = asked.json
        if "id" not in message:
            return response(202)
        if message["method"] not in ("initialize", "tools/list"):
            fault = {"code": -32601, "message": f"{'no ' * 120}{got}"}
            return response(400, {"jsonrpc": "2.0", "id": message["id"], "error": fault})
        told: dict[str, Any] = {"tools": [{"name": got, "inputSchema": {"type": "object"}}]}
        if message["method"] == "initialize":
            told = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": got}}
            told["serverInfo"]["version"] = got
        return response(200, {"jsonrpc": "2.0", "id": message["id"], "result": told})

    async with scripted(script) as server:
        ways: Mapping[str, Mapping[str, Any]] = {
            "token": {"token": secret},
            "login": {"auth": Fixed(server.url, secret)},
            "bearer": {"headers": {"Authorization": f"Bearer {secret}"}},
            "header": {"headers": {"X-Key": secret}},
            "cookie": {"headers": {"Cookie": f"sid={secret}"}},
        }
        findings = await examined(server.url, patience_s=2.0, **ways[way])
    assert next(each for each in findings if each.check == "tools").facts == {"names": ["[…]"]}
    assert secret[:12] not in as_json(server.url, findings)
