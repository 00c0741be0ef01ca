"""The doctor at a server of which one thing is broken: he names that one first, and what to do about it."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.auth_servers.issuer import CANARY, SCOPE, Issuer
from tests.auth_servers.keys import MISSING
from tests.client.wire.scripted import Asked, head, response, scripted
from tests.client.wire.test_unreachable import Authority
from tests.doctor.patients import RESOURCE, Patient, cause, examined, found, protected, statuses
from tests.fakes.breaking_gateway import Headers, Refusal, Request
from tests.fakes.processes import free_port
from tollbook.client.login.guard import Realm
from tollbook.doctor import challenge
from tollbook.doctor.asking import Reply
from tollbook.doctor.finding import Finding, exit_code

pytestmark = pytest.mark.anyio

AT_ENDPOINT = f"{RESOURCE}/mcp"


class TestAHealthyServer:
    async def test_with_a_token_all_is_well(self, patient: Patient) -> None:
        findings = await patient.examined(token=patient.token)
        assert statuses(findings) == {"ok"}, [each for each in findings if each.status != "ok"]
        assert exit_code(findings) == 0
        assert found(findings, "streaming").facts["seconds_ahead"] == 2
        assert found(findings, "tools").facts["names"] == ["multi-greet"]

    async def test_without_one_a_login_is_needed_to_see_the_rest(self, patient: Patient) -> None:
        findings = await patient.examined()
        assert "failed" not in statuses(findings)
        assert found(findings, "token").needs_login
        assert found(findings, "token").remedy.startswith(f"Run 'tollbook login {patient.url}'")
        assert exit_code(findings) == 3

    async def test_on_this_machine_it_need_not_ask_for_a_login(self, issuer: Issuer) -> None:
        async with protected(issuer, is_open=True) as patient:
            findings = await patient.examined()
        assert statuses(findings) == {"ok", "skipped"}
        assert {each.said for each in findings if each.status == "skipped"} == {"it asks nobody to log in"}
        assert found(findings, "streaming").status == "ok"
        assert exit_code(findings) == 0

    @pytest.mark.parametrize(
        ("realm", "status", "said"),
        [("loopback", "ok", "only this machine"), ("private", "unknown", "network"), ("public", "failed", "world")],
    )
    def test_elsewhere_it_should(self, realm: Realm, status: str, said: str) -> None:
        answer = b'{"jsonrpc":"2.0","id":1,"result":{}}'
        reply = Reply(200, httpx2.Headers({"content-type": "application/json"}), answer)
        finding = challenge.judged(reply, "https://mcp.example.com/mcp", realm).finding
        assert finding.status == status
        assert said in finding.said

    async def test_nobody_is_left_a_session_by_it(self, issuer: Issuer) -> None:
        seen: list[Request] = []
        async with protected(issuer, is_open=True) as patient:
            patient.gateway.refuses = lambda request: seen.append(request)
            await patient.examined()
        assert sum(each.method == "DELETE" for each in seen) == 2

    async def test_what_it_finds_is_the_same_each_time(self, patient: Patient) -> None:
        first, second = [await patient.examined() for _ in range(2)]
        assert [(each.check, each.status) for each in first] == [(each.check, each.status) for each in second]


class TestNobodyThere:
    async def test_nothing_listens(self) -> None:
        findings = await examined(f"http://127.0.0.1:{free_port()}/mcp")
        assert cause(findings).check == "address"
        assert cause(findings).said.startswith("Nothing listens at 127.0.0.1:")
        assert cause(findings).remedy == "Is the server running, and is the port right?"
        assert statuses(findings, "address") == {"skipped"}

    async def test_a_name_that_nobody_knows(self) -> None:
        findings = await examined("https://tollbook.invalid/mcp")
        assert cause(findings).said == "No address is known for tollbook.invalid."

    @pytest.mark.parametrize(
        ("days", "name", "why"),
        [(-1, "127.0.0.1", "certificate has expired"), (1, "other.example", "IP address mismatch")],
    )
    async def test_a_certificate_that_is_not_valid(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, name: str, why: str
    ) -> None:
        authority = Authority(tmp_path)
        tls = authority.context(days, name)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        async with scripted(_never, tls) as server:
            findings = await examined(server.url)
        assert cause(findings).check == "address"
        assert why in cause(findings).said
        assert "SSL_CERT_FILE" in cause(findings).remedy

    async def test_tls_where_none_is_spoken(self, patient: Patient) -> None:
        findings = await examined(patient.url.replace("http:", "https:"))
        assert "does not speak TLS" in cause(findings).said
        assert "http://" in cause(findings).remedy

    async def test_plain_http_where_tls_is_spoken(self, tmp_path: Path) -> None:
        async with scripted(_never, Authority(tmp_path).context()) as server:
            findings = await examined(server.url.replace("https:", "http:"))
        assert cause(findings).check == "address"
        assert cause(findings).said == f"{server.url.split('/')[2]} speaks TLS."
        assert cause(findings).remedy == "Use https:// in its address."

    async def test_a_server_of_tls_that_says_so_in_plain_words_of_its_own(self, tmp_path: Path) -> None:
        """As nginx and Go do."""
        tls, connections = Authority(tmp_path).context(), 0

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            if connections == 1:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(response(400, b"Client sent an HTTP request to an HTTPS server."))
                await writer.drain()
            else:
                await writer.start_tls(tls)
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            findings = await examined(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp")
        assert cause(findings).said.endswith(" speaks TLS.")

    async def test_what_speaks_no_http(self) -> None:
        async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example ESMTP\r\n")

        async with scripted(script) as server:
            findings = await examined(server.url)
        assert cause(findings).check == "address"
        assert "is no HTTP" in cause(findings).said

    @pytest.mark.parametrize("manner", ["silent", "dripping"])
    async def test_one_that_does_not_get_done(self, manner: str) -> None:
        async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
            if manner == "dripping":
                writer.write(head(200, "application/json"))
            while True:
                writer.write(b" " if manner == "dripping" else b"")
                await writer.drain()
                await asyncio.sleep(0.02)

        async with scripted(script) as server:
            findings = await examined(server.url, patience_s=0.2)
        assert cause(findings).check == "address"
        assert cause(findings).said.startswith(f"{server.url.removesuffix('/mcp')}/healthz takes the connection")
        assert "does not finish its answer within 0.2 s" in cause(findings).said

    async def test_a_server_that_says_that_it_is_not_well(self, patient: Patient) -> None:
        _refuse(patient, "/healthz", Refusal(503))
        findings = await patient.examined()
        assert cause(findings).check == "health"
        assert "log" in cause(findings).remedy
        assert found(findings, "token").status == "skipped"

    @pytest.mark.parametrize("seconds", [-3600, 3600])
    async def test_a_clock_that_is_wrong(self, patient: Patient, seconds: int) -> None:
        findings = await patient.examined(now=lambda: time.time() + seconds)
        assert cause(findings).check == "clock"
        assert ("ahead of" if seconds > 0 else "behind") in cause(findings).said
        assert "Set the clock" in cause(findings).remedy


class TestTheChallenge:
    async def _changed(self, patient: Patient, change: Callable[[str], dict[str, str]]) -> list[Finding]:
        def headers(given: Headers) -> Headers:
            others = {name: value for name, value in given.items() if name != "www-authenticate"}
            return {**others, **change(given["www-authenticate"])} if "www-authenticate" in given else given

        patient.gateway.headers = headers
        return await patient.examined()

    async def test_the_header_is_missing(self, patient: Patient) -> None:
        findings = await self._changed(patient, lambda _: {})
        assert cause(findings).check == "challenge"
        assert "without WWW-Authenticate" in cause(findings).said
        assert cause(findings).remedy.startswith("Have it send that header")
        assert "UNAUTHORIZED" not in cause(findings).remedy, "no gateway is there"

    async def test_without_the_header_hosts_look_at_the_well_known_places_all_the_same(self, patient: Patient) -> None:
        findings = await self._changed(patient, lambda _: {})
        assert statuses(findings, "challenge", "scopes") == {"ok", "skipped"}
        assert found(findings, "host Cursor").said.endswith("at the well-known place with the endpoint's path.")
        assert found(findings, "login server").status == "ok"
        assert "tollbook login" in found(findings, "token").remedy

    async def test_where_nobody_learns_where_to_log_in_no_login_is_recommended(self, patient: Patient) -> None:
        def refuses(request: Request) -> Refusal | None:
            return Refusal(404) if request.path.startswith(RESOURCE) else None

        patient.gateway.refuses = refuses
        findings = await self._changed(patient, lambda _: {})
        assert [each.check for each in findings if each.status == "failed"] == ["challenge"]
        assert found(findings, "resource metadata").said == "'challenge' failed"
        assert found(findings, "token").remedy == "Give a token in ACCESS_TOKEN, and ask again."
        findings = await patient.examined(token=patient.issuer.token(exp=1))
        assert "tollbook login" not in found(findings, "token").remedy

    @pytest.mark.parametrize("header", ["x-amz-apigw-id", "x-amzn-errortype", "apigw-requestid"])
    async def test_the_header_is_missing_behind_a_gateway(self, patient: Patient, header: str) -> None:
        findings = await self._changed(patient, lambda _: {header: "x"})
        assert "UNAUTHORIZED and ACCESS_DENIED" in cause(findings).remedy

    async def test_the_gateway_renames_it(self, patient: Patient) -> None:
        findings = await self._changed(patient, lambda text: {"x-amzn-remapped-www-authenticate": text})
        assert cause(findings).check == "challenge"
        assert "API Gateway renames" in cause(findings).said
        assert "UNAUTHORIZED and ACCESS_DENIED" in cause(findings).remedy

    async def test_it_names_no_metadata(self, patient: Patient) -> None:
        findings = await self._changed(patient, lambda _: {"www-authenticate": f'Bearer scope="{SCOPE}"'})
        assert cause(findings).check == "challenge"
        assert "no resource_metadata" in cause(findings).said
        assert found(findings, "host Claude").said.endswith("at the well-known place with the endpoint's path.")

    async def test_it_wants_no_bearer(self, patient: Patient) -> None:
        findings = await self._changed(patient, lambda _: {"www-authenticate": 'Basic realm="staff"'})
        assert "other than a bearer token" in cause(findings).said

    @pytest.mark.parametrize(
        ("refusal", "said", "remedy"),
        [
            (Refusal(403, b'{"message":"Missing Authentication Token"}'), "knows no such path", "stage"),
            (Refusal(403, b'{"message":"Forbidden"}'), "answers 403 to whoever has no token", "401"),
            (Refusal(404), "Nothing is at", "most end in /mcp"),
            (Refusal(405), "Nothing is at", "most end in /mcp"),
            (Refusal(421), "does not go by the name", "PUBLIC_URL"),
            (Refusal(429), "too many requests", "Wait"),
            (Refusal(418), "answers 418", "log"),
            (Refusal(500), "fails with 500", "log"),
            (Refusal(501, b"<p>Unsupported method"), "is no MCP server", "/mcp"),
            (Refusal(502, b'{"message":"Internal server error"}'), "no valid answer", "init error"),
            (Refusal(504), "takes too long", "log"),
            (Refusal(307, b"", {"location": "https://elsewhere.example/mcp"}), "redirects to https://else", "trust"),
            (Refusal(200, b"<p>Hello", {"content-type": "text/html"}), "no MCP server: it answers with", "/mcp"),
            (Refusal(200, b'{"hello":"world"}'), "no JSON-RPC", "/mcp"),
        ],
    )
    async def test_something_else_is_answered(self, patient: Patient, refusal: Refusal, said: str, remedy: str) -> None:
        _refuse(patient, "/mcp", refusal)
        findings = await patient.examined(token=patient.token)
        assert cause(findings).check == "challenge"
        assert said in cause(findings).said
        assert remedy in cause(findings).remedy
        assert statuses(findings, "challenge") == {"ok", "skipped"}


class TestTheMetadata:
    @pytest.mark.parametrize(
        ("change", "said", "remedy"),
        [
            ({"resource": "https://other.example/mcp"}, "another address", "PUBLIC_URL"),
            ({"resource": MISSING}, "'resource' is missing", "own address"),
            ({"authorization_servers": []}, "names none", "RFC 9728"),
            ({"authorization_servers": [{"issuer": "x"}]}, "names none", "RFC 9728"),
        ],
    )
    async def test_of_the_resource(self, patient: Patient, change: dict[str, Any], said: str, remedy: str) -> None:
        _change(patient, change)
        findings = await patient.examined()
        assert cause(findings).check == "resource metadata"
        assert said in cause(findings).said
        assert remedy in cause(findings).remedy
        assert found(findings, "login server").said == "'resource metadata' failed"
        assert found(findings, "host VS Code").status == "failed"

    async def test_a_slash_too_many(self, patient: Patient) -> None:
        _change(patient, {"resource": f"{patient.url}/"})
        findings = await patient.examined()
        assert "but for a slash at its end" in cause(findings).said

    async def test_the_document_is_not_there(self, patient: Patient) -> None:
        _refuse(patient, AT_ENDPOINT, Refusal(403, b'{"message":"Missing Authentication Token"}'))
        findings = await patient.examined()
        assert cause(findings).check == "resource metadata"
        assert "(status 403)" in cause(findings).said
        assert "/.well-known/{proxy+}" in cause(findings).remedy
        assert found(findings, "host Cursor").said.endswith("at the well-known place of the whole host.")

    async def test_a_page_is_served_in_its_place(self, patient: Patient) -> None:
        _refuse(patient, AT_ENDPOINT, Refusal(200, b"<!doctype html>"))
        findings = await patient.examined()
        assert "is no JSON object" in cause(findings).said

    async def test_it_is_named_where_no_login_may_lead(self, patient: Patient) -> None:
        there = 'Bearer resource_metadata="http://169.254.169.254/latest/meta-data/"'
        patient.gateway.headers = lambda given: (
            {**given, "www-authenticate": there} if "www-authenticate" in given else given
        )
        findings = await patient.examined()
        assert cause(findings).check == "resource metadata"
        assert "169.254.169.254" in cause(findings).said

    async def test_scopes_that_do_not_agree(self, patient: Patient) -> None:
        _change(patient, {"scopes_supported": ["openid"]})
        findings = await patient.examined()
        assert cause(findings).check == "scopes"
        assert SCOPE in cause(findings).said
        assert "both name the same" in cause(findings).remedy

    async def test_only_the_header_leads_to_it(self, patient: Patient) -> None:
        """As below the stage of a gateway, whose host's root belongs to nobody."""
        elsewhere = "/v1/.well-known/oauth-protected-resource/mcp"
        documents: list[Any] = []
        _change(patient, {}, keep=documents)
        await patient.examined()
        body = json.dumps(documents[0]).encode()

        def refuses(request: Request) -> Refusal | None:
            if request.path == elsewhere:
                return Refusal(200, body)
            return Refusal(403) if request.path.startswith(RESOURCE) else None

        patient.gateway.refuses = refuses
        patient.gateway.headers = lambda given: {
            name: value.replace(AT_ENDPOINT, elsewhere) if name == "www-authenticate" else value
            for name, value in given.items()
        }
        findings = await patient.examined()
        assert "failed" not in statuses(findings)
        assert found(findings, "host Claude").status == "ok"
        assert found(findings, "host Claude Code").status == "unknown"
        assert "domain of its own" in found(findings, "host Claude Code").remedy


class TestTheLoginServer:
    @pytest.mark.parametrize(
        ("change", "check", "said", "remedy"),
        [
            ({"issuer": "https://other.example"}, "login server", "is that of https://other.example", "OAUTH_ISSUER"),
            ({"issuer": "{issuer}/"}, "login server", "is that of {issuer}/, and", "a slash at its end included"),
            ({"token_endpoint": MISSING}, "login server", "no token_endpoint", "COGNITO_DOMAIN"),
            ({"token_endpoint": "http://other.example/t"}, "login server", "no token_endpoint", "COGNITO_DOMAIN"),
            ({"code_challenge_methods_supported": MISSING}, "PKCE", "does not say that it knows PKCE", "shim"),
            ({"code_challenge_methods_supported": ["plain"]}, "PKCE", "does not name S256", "shim"),
            ({"token_endpoint_auth_methods_supported": MISSING}, "public clients", "without a secret", "public"),
            ({"jwks_uri": "https://[::1"}, "keys", "The address that the server names is none", "Tell"),
        ],
    )
    async def test_what_it_says_of_itself(
        self, patient: Patient, change: dict[str, Any], check: str, said: str, remedy: str
    ) -> None:
        for document in patient.issuer.documents.values():
            for name, value in change.items():
                if value is MISSING:
                    document.pop(name, None)
                else:
                    document[name] = value.format(issuer=patient.issuer.url) if isinstance(value, str) else value
        findings = await patient.examined()
        assert cause(findings).check == check
        assert said.format(issuer=patient.issuer.url) in cause(findings).said
        assert remedy in cause(findings).remedy

    async def test_it_says_nothing(self, patient: Patient) -> None:
        patient.issuer.documents.clear()
        findings = await patient.examined()
        assert cause(findings).check == "login server"
        assert "(status 404)" in cause(findings).said
        assert found(findings, "keys").said == "'login server' failed"

    async def test_it_does_not_answer(self, patient: Patient) -> None:
        patient.issuer.slow()
        findings = await patient.examined(patience_s=0.3)
        patient.issuer.well()
        assert cause(findings).check == "login server"
        assert "did not answer within 0.3 s" in cause(findings).said

    async def test_its_keys_are_gone(self, patient: Patient) -> None:
        patient.issuer.fail(404, "/jwks.json")
        findings = await patient.examined()
        assert cause(findings).check == "keys"
        assert "OAUTH_JWKS_URL" in cause(findings).remedy

    async def test_it_is_down(self, patient: Patient) -> None:
        patient.issuer.dead()
        findings = await patient.examined()
        assert cause(findings).check == "login server"
        assert "cannot be reached" in cause(findings).said


class TestPages:
    async def test_the_preflight_is_asked_for_a_token(self, patient: Patient) -> None:
        patient.gateway.refuses = lambda request: Refusal(401) if request.method == "OPTIONS" else None
        findings = await patient.examined()
        assert cause(findings).check == "preflight"
        assert "Leave OPTIONS open" in cause(findings).remedy

    async def test_a_header_may_not_be_sent(self, patient: Patient) -> None:
        patient.gateway.headers = lambda given: {
            name: "content-type" if name == "access-control-allow-headers" else value for name, value in given.items()
        }
        findings = await patient.examined()
        assert cause(findings).check == "preflight"
        assert "authorization" in cause(findings).said

    async def test_no_page_may_ask_which_need_not_be_wrong(self, patient: Patient) -> None:
        patient.gateway.hides = {"origin"}
        patient.gateway.headers = lambda given: {
            name: value for name, value in given.items() if not name.startswith("access-control")
        }
        findings = await patient.examined()
        assert found(findings, "preflight").status == "unknown"
        assert "ALLOWED_ORIGINS" in found(findings, "preflight").remedy

    async def test_any_page_may_ask_a_server_of_this_machine(self, issuer: Issuer) -> None:
        async with protected(issuer, is_open=True) as patient:
            patient.gateway.hides = {"origin"}
            findings = await patient.examined()
        assert cause(findings).check == "strange pages"
        assert "in your name" in cause(findings).said
        assert "Origin" in cause(findings).remedy


class TestSpeaking:
    @pytest.mark.parametrize("claims", [{"exp": 1}, {"aud": "https://other.example/mcp"}, {"scope": "openid"}])
    async def test_a_token_that_is_refused(self, patient: Patient, claims: dict[str, Any]) -> None:
        findings = await patient.examined(token=patient.issuer.token(**{"aud": patient.url, **claims}))
        assert cause(findings).check == "token"
        assert "OAUTH_AUDIENCE" in cause(findings).remedy
        assert found(findings, "tools").said == "'token' failed"
        assert exit_code(findings) == 1

    async def test_a_token_in_a_header_is_one_too(self, patient: Patient) -> None:
        findings = await patient.examined(headers={"Authorization": f"Bearer {patient.token}"})
        assert statuses(findings) == {"ok"}
        assert found(findings, "challenge").said.startswith("It wants a login")

    async def test_one_era_is_enough(self, patient: Patient) -> None:
        patient.gateway.refuses = lambda request: (
            Refusal(400, b'{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"What is that?"}}')
            if request.headers.get("mcp-protocol-version") == "2026-07-28"
            else None
        )
        findings = await patient.examined(token=patient.token)
        assert "failed" not in statuses(findings)
        assert found(findings, "2026-07-28").status == "unknown"
        assert found(findings, "initialize").status == "ok"

    async def test_answers_that_are_held_back(self, patient: Patient) -> None:
        patient.gateway.buffers = True
        findings = await patient.examined(token=patient.token)
        assert cause(findings).check == "streaming"
        assert "all at once" in cause(findings).said
        assert all(each in cause(findings).remedy for each in ("HTTP API", "LAMBDA_RESPONSE_MODE", "proxy"))

    async def test_no_tool_to_try_it_with(self, issuer: Issuer) -> None:
        async with protected(issuer, is_open=True, tool="other") as patient:
            findings = await patient.examined()
        assert found(findings, "streaming").status == "unknown"
        assert "failed" not in statuses(findings)

    @pytest.mark.parametrize(("known", "check"), [(0, "initialize"), (2, "session")])
    async def test_sessions_that_are_forgotten(self, patient: Patient, known: int, check: str) -> None:
        """As where instances do not share them: of each, so many requests find the right one."""
        asked: Counter[str] = Counter()

        def refuses(request: Request) -> Refusal | None:
            session = request.headers.get("mcp-session-id")
            if session is None or request.method != "POST":
                return None
            asked[session] += 1
            return Refusal(404) if asked[session] > known else None

        patient.gateway.refuses = refuses
        findings = await patient.examined(token=patient.token)
        assert cause(findings).check == check
        assert "forgets each session" in cause(findings).said
        assert "share" in cause(findings).remedy

    async def test_a_stream_that_never_ends_is_an_answer_to_whoever_has_no_token(self) -> None:
        async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
            if asked.method != "POST" or "origin" in asked.headers:
                return response(403)
            writer.write(head())
            while True:
                writer.write(b": still here\n\n")
                await writer.drain()
                await asyncio.sleep(0.02)

        async with scripted(script) as server:
            findings = await examined(server.url, patience_s=0.2)
        assert found(findings, "challenge").status == "ok"
        assert cause(findings).check == "2026-07-28"

    async def test_a_call_that_never_ends(self, patient: Patient) -> None:
        """Comments keep its stream alive."""

        async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
            if asked.method != "POST" or "origin" in asked.headers:
                return response(403)
            result: dict[str, Any]
            if asked.json["method"] == "server/discover":
                result = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "resultType": "complete"}
                return response(body={"jsonrpc": "2.0", "id": asked.json["id"], "result": result})
            if asked.json["method"] == "tools/list":
                result = {"tools": [{"name": "multi-greet", "inputSchema": {"type": "object"}}]}
                return response(body={"jsonrpc": "2.0", "id": asked.json["id"], "result": result})
            if asked.json["method"] == "initialize":
                return response(body={"jsonrpc": "2.0", "id": asked.json["id"], "error": {"code": -1, "message": "no"}})
            writer.write(head())
            while True:
                writer.write(b": still here\n\n")
                await writer.drain()
                await asyncio.sleep(0.02)

        async with scripted(script) as server:
            findings = await examined(server.url, patience_s=0.3)
        assert cause(findings).check == "streaming"
        assert "does not get done within 0.9 s" in cause(findings).said


class TestSecrets:
    async def test_a_token_that_is_said_back_is_shown_nowhere(self, patient: Patient) -> None:
        token = patient.token

        def refuses(request: Request) -> Refusal | None:
            if "authorization" not in request.headers:
                return None
            error = {"code": -1, "message": f"Who is {request.headers['authorization']}?"}
            return Refusal(400, json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}).encode())

        patient.gateway.refuses = refuses
        findings = await patient.examined(token=token)
        assert cause(findings).check == "2026-07-28"
        assert token.split(".")[1] not in repr(findings)
        assert CANARY not in repr(findings)

    async def test_a_long_secret_of_no_known_form_is_not_shown_either(self, patient: Patient) -> None:
        opaque = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH"
        patient.gateway.refuses = lambda request: (
            Refusal(400, b'{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"Not %s."}}' % opaque.encode())
            if "authorization" in request.headers
            else None
        )
        findings = await patient.examined(token=opaque)
        assert opaque not in repr(findings)


def _refuse(patient: Patient, path: str, refusal: Refusal) -> None:
    patient.gateway.refuses = lambda request: (
        refusal if request.path == path and request.method in ("GET", "POST") else None
    )


def _change(patient: Patient, change: dict[str, Any], keep: list[Any] | None = None) -> None:
    """Changes the metadata of the resource wherever it lies; MISSING takes a member away."""

    def changed(document: Any) -> Any:
        if keep is not None:
            keep.append(document)
        return {name: value for name, value in {**document, **change}.items() if value is not MISSING}

    patient.gateway.documents = {AT_ENDPOINT: changed, RESOURCE: changed}


async def _never(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
    raise AssertionError
