"""Threat 47: tokens, keys and passwords are in no log, no error, no trace and no store."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import httpx2
import pytest

from tests.auth_servers.issuer import SCOPE, Issuer
from tests.auth_servers.loopback import Loopback
from tests.hosting.serving import BOTH, CAUSE, request
from tests.hosting.wire import instances
from tests.logs import Ask, call, write
from tests.threats.canaries import Canaries, halves
from tests.threats.door import (
    ERAS,
    HANDSHAKE,
    JSON,
    OpenDoor,
    a_client,
    a_real_door,
    calling,
    environment_of,
    hello,
    in_era,
)
from tollbook.hosting.auth.apikeys import ApiKeys
from tollbook.hosting.stores import open_store

PASSWORD: Final = "canary-password-5f1e"  # noqa: S105 - it opens nothing
REPORT: Final = "get_bedrock_usage_report"


class Spans(Loopback):
    """A collector of OTLP/HTTP that keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.documents["/v1/traces"] = {}

    @property
    def received(self) -> bytes:
        return b"".join(each.body for each in self.requests)


class Run(NamedTuple):
    """What is left of a server that was sent every kind of secret in every place.

    Attributes:
        sent: what credentials there were.
        told: secrets that a tool was told besides.
        errors: all responses but those of tools that answered.
    """

    sent: Canaries
    told: Canaries
    log: bytes
    spans: bytes
    store: bytes
    errors: bytes
    statuses: set[int]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return asyncio.run(ran(tmp_path_factory.mktemp("secrets")))


async def ran(folder: Path) -> Run:
    """Starts tollbook, sends it everything, and stops it."""
    source = write(folder / "log.jsonl", call(timestamp="2026-11-22T01:00:00Z"))
    store = f"sqlite:{folder / 'store.db'}"
    sent, told, responses = Canaries(), Canaries(), list[httpx2.Response]()
    told.password(PASSWORD)
    with Issuer() as issuer, Spans() as spans:
        environment = {
            **environment_of(issuer),
            "SESSION_STORE": store,
            "TOLLBOOK_NOW": "2026-11-22T12:00Z",
            "LOG_LEVEL": "debug",
            "OTEL_EXPORTER_OTLP_ENDPOINT": spans.url,
        }
        good = sent.token(issuer.token(scope=f"{SCOPE} finops"))
        credentials = [good, *await secrets_of(issuer, sent, store), sent.password("canary-password-of-alice")]
        with instances(folder, 1, ["--source", source], environment) as (server,):
            for number, credential in enumerate([*credentials, *halves(credentials[:1])], 1):
                async with a_client(f"127.0.1.{number}") as http:  # so that nobody is held back
                    eras = ERAS[number % 2 :][:1]
                    responses += [each async for each in wherever(http, server.url, credential, good, eras)]
            async with a_client() as http:
                responses += [each async for each in wherever(http, server.url, good, good)]
                for era in ERAS:
                    await tell(http, server.url, era, good)
                Path(source).unlink()
                issuer.dead()
                for era in ERAS:
                    await tell(http, server.url, era, good)
                responses += [each async for each in wherever(http, server.url, sent.token(issuer.token()), good)]
        kept = b"".join(path.read_bytes() for path in folder.glob("store.db*"))
        refused = [each for each in responses if each.status_code != 200]
        errors = b"".join(repr(each.headers.raw).encode() + each.content for each in refused)
        statuses = {each.status_code for each in responses}
        return Run(sent, told, server.log.read_bytes(), spans.received, kept, errors, statuses)


async def secrets_of(issuer: Issuer, sent: Canaries, store: str) -> list[str]:
    """Tokens and keys, good and bad."""
    opened = open_store(store)
    key, _ = await ApiKeys(opened).create("alice", [SCOPE], time.time() + 1000, {})
    await opened.aclose()
    tokens = [issuer.token(exp=1), issuer.token(header={"kid": "unknown"}), issuer.token(scope="openid")]
    keys = [key, f"{key[:-1]}{'0' if key[-1] != '0' else '1'}", f"tbk_{'0' * 16}_{'5f1e' * 16}"]
    return [*map(sent.token, tokens), *map(sent.key, keys)]


async def wherever(
    http: httpx2.AsyncClient, url: str, secret: str, good: str, eras: Sequence[str] = ERAS
) -> AsyncIterator[httpx2.Response]:
    """Sends a secret wherever one may be sent by mistake or by design, alone and beside a good token."""
    basic = base64.b64encode(f"alice:{secret}".encode()).decode()
    names = ("x-api-key", "cookie", "proxy-authorization", "origin", "referer", "user-agent", "traceparent", "baggage")
    of_mcp = ("mcp-session-id", "mcp-method", "mcp-name", "last-event-id", "accept", "host")
    headers: list[dict[str, str]] = [
        *(
            {"authorization": f"{scheme}{secret}"}
            for scheme in ("Bearer ", "bearer ", "Basic ", "Token ", "", "Bearer,")
        ),
        {"authorization": f"Basic {basic}"},
        *({name: secret} for name in (*names, *of_mcp, "content-type")),
    ]
    bodies: list[bytes] = [
        f"grant_type=password&username=alice&password={secret}&access_token={secret}".encode(),
        json.dumps({"username": "alice", "password": secret}).encode(),
        f'{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"password":"{secret}"'.encode(),
        f'{{"password":{"[" * 70}"{secret}"{"]" * 70}}}'.encode(),
        secret.encode(),
    ]
    for era in eras:
        message, needed = in_era(era, calling(REPORT))
        usual = {**JSON, **needed}
        for own in ({}, {"authorization": f"Bearer {good}"}):
            # An answer quotes this one, to who is known: the specification has it do so.
            await http.post(url, json=message, headers={**usual, **own, "mcp-protocol-version": secret})
            for given in headers:
                yield await http.post(url, json=message, headers={**usual, **own, **given})
            for body in bodies:
                yield await http.post(url, content=body, headers={**usual, **own})
            yield await http.post(f"{url}?access_token={secret}", json=message, headers={**usual, **own})
            yield await http.post(f"{url}/{secret}", json=message, headers={**usual, **own})
            for method in ("GET", "DELETE", "PUT"):
                given = {"mcp-session-id": secret, "last-event-id": f"{secret}.1"}
                yield await http.request(method, url, headers={**usual, **own, **given})


async def tell(http: httpx2.AsyncClient, url: str, era: str, good: str) -> None:
    """Has tools, prompts and resources told a secret; what they answer is for him who told it."""
    own, secret = {"authorization": f"Bearer {good}"}, PASSWORD
    if era == HANDSHAKE:
        message, needed = in_era(era, hello())
        response = await http.post(url, json=message, headers={**needed, **own})
        own |= {"mcp-session-id": response.headers["mcp-session-id"]}
    meta = {"progressToken": secret, "traceparent": secret, "tracestate": secret}
    for asked in (
        request("tools/call", name="greet", arguments={"name": secret}),
        request("tools/call", name="greet", arguments={secret: secret}),
        request("tools/call", name="greet", arguments=secret),
        request("tools/call", name="greet", arguments={"name": "x"}, password=secret, _meta=meta),
        request("tools/call", name=REPORT, arguments={"principal": secret, "model": secret}),
        request("tools/call", name=REPORT, arguments={"principal": secret * 20}),
        request("tools/call", name=REPORT, arguments={"region": secret, "tz": secret, "group_by": secret}),
        request("tools/call", name=REPORT, arguments={"log_group_name": secret, "group_by": f"tag:{secret}"}),
        request("tools/call", name=REPORT, arguments={"days": [secret]}),
        request("prompts/get", name="greeting-template", arguments={"name": secret}),
        request("prompts/get", name="greeting-template", arguments={secret: secret}),
        request("resources/read", uri=f"tollbook://reports/{secret}.json"),
        request("logging/setLevel", level=secret),
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": secret, "reason": secret}},
        {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": secret, "message": secret}},
        {"jsonrpc": "2.0", "id": secret, "result": {"password": secret}},
    ):
        message, needed = in_era(era, {"method": "ping", **asked}) if "method" in asked else (asked, BOTH)
        await http.post(url, json=message, headers={**JSON, **needed, **own})


def test_threat_47_the_run_did_what_it_says(run: Run) -> None:
    assert run.statuses >= {200, 400, 401, 403, 404, 405, 421}
    for reason in (b"expired", b"unknown key", b"malformed", b"API key", b"scope"):
        assert reason in run.log
    assert run.log.count(b'"logger":"tollbook.audit"') > 20
    assert b'"outcome":"failed"' in run.log  # when the logs were gone
    assert b"tools/call greet" in run.spans
    assert run.store
    assert run.errors


def test_threat_47_no_secret_is_in_a_log(run: Run) -> None:
    assert not run.sent.found_in(run.log)
    assert not run.told.found_in(run.log)


def test_threat_47_no_secret_is_in_a_trace(run: Run) -> None:
    assert not run.sent.found_in(run.spans)
    assert not run.told.found_in(run.spans)


def test_threat_47_no_secret_is_in_an_error(run: Run) -> None:
    assert not run.sent.found_in(run.errors)
    assert not run.told.found_in(run.errors)


def test_threat_47_no_credential_is_in_the_store(run: Run) -> None:
    """What a tool was told is: it is in its results, which are kept for who asked."""
    assert not run.sent.found_in(run.store)


@pytest.mark.anyio
async def test_threat_47_what_an_exception_says_is_not_logged(
    open_door: OpenDoor, era: str, logged: Callable[[], str]
) -> None:
    async with open_door() as door:
        token = door.issuer.token()
        session = await door.session(era, token)
        assert (await door.call(era, token, session, "breaks", word=PASSWORD)).status_code == 200
        assert '"exception":"RuntimeError"' in logged()
        assert PASSWORD not in logged()
        assert CAUSE not in logged()


@pytest.mark.anyio
async def test_threat_47_a_caller_can_have_nothing_of_his_own_logged(tmp_path: Path) -> None:
    """By mistake or on purpose, a credential may stand where a name is expected."""
    with Issuer() as issuer, instances(tmp_path, 1, ["--session-store", "memory"], environment_of(issuer)) as (server,):
        async with a_real_door(issuer, server.url) as door:
            token = door.issuer.token()
            messages = (
                request("tools/call", name=token, arguments={}),
                request(token),
                request("prompts/get", name=token),
                request("resources/read", uri=token),
                {**request("ping"), "id": token},
                *(
                    request("tools/call", name="whoami", arguments={}, _meta={name: value, "progressToken": token})
                    for name in ("traceparent", "tracestate", "baggage")
                    for value in (token, f"a={token}", f"a={token};{token}")
                ),
            )
            for era in ERAS:
                session = await door.session(era, token)
                for message in messages:
                    await door.post(era, message, f"Bearer {token}", session=session)
    log = server.log.read_text()
    assert log.count('"logger":"tollbook.audit"') >= 20
    assert "eyJ" not in log


@pytest.mark.parametrize(
    ("variable", "form"),
    [
        ("PUBLIC_URL", "https://alice:{}@host.example/mcp"),
        ("OAUTH_ISSUER", "https://alice:{}@host.example"),
        ("OAUTH_JWKS_URL", "https://:{}@host.example/keys"),
        ("SESSION_STORE", "redis://:{}@host.example"),
        ("REQUEST_STATE_KEYS", "{}"),
    ],
)
def test_threat_47_a_password_in_a_setting_is_not_repeated(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, variable: str, form: str
) -> None:
    monkeypatch.setenv(variable, form.format(PASSWORD))
    answer = ask("serve")
    assert answer.code == 2
    assert f"({variable})" in answer.err
    assert PASSWORD not in answer.err + answer.out


def test_threat_47_a_secret_would_be_found(run: Run) -> None:
    token, key = (
        "e30.eyJzdWIiOiJhbGljZSIsImp0aSI6ImNhbmFyeSJ9.c2lnbmF0dXJlIG9mIHNvbWVib2R5IGVsc2U",
        f"tbk_0_{'ab' * 32}",
    )
    canaries = Canaries()
    canaries.token(token)
    canaries.key(key)
    canaries.password(PASSWORD)
    basic = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
    for leak in (token, token[10:70], key, key[20:60], PASSWORD, basic, f"at /?password={PASSWORD}&x"):
        assert canaries.found_in(f'{{"event":"{leak}"}}'.encode()), leak
    assert not canaries.found_in(b'{"event":"request","subject":"alice","key":"0"}')
