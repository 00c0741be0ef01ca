"""Threats 18 to 29: requests of those who may not ask, or may not ask for that."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.auth_servers.forgeries import FORGERIES
from tests.auth_servers.issuer import CLIENT, SCOPE, Canary, Issuer
from tests.auth_servers.keys import MISSING, rsa_key
from tests.hosting.serving import BOTH, MODERN, SetClock, messages, modern, request, text_of, until
from tests.hosting.serving import ask as send
from tests.hosting.wire import instances
from tests.logs import Ask
from tests.threats.conftest import Refuses
from tests.threats.door import (
    HANDSHAKE,
    JSON,
    METADATA,
    Door,
    OpenDoor,
    a_client,
    asks_to_log_in,
    calling,
    environment_of,
    hello,
    in_era,
    is_turned_away,
    settings_of,
)
from tollbook.hosting.auth.apikeys import ApiKeys
from tollbook.hosting.auth.authorizer import Authorizer
from tollbook.hosting.auth.throttle import BURST, Throttle
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

OTHER_CLIENT: Final = "client-beside-ours"
CANCELLED: Final = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
IN_MEMORY: Final = ["--session-store", "memory"]
TWO_CLIENTS: Final[Mapping[str, Any]] = {"COGNITO_ALLOWED_CLIENT_IDS": f"{CLIENT},{OTHER_CLIENT}"}


class TestThreat18:
    """Who proves nothing is told how to log in, whatever he asks for, and nothing is done for him."""

    ASKED: Final = {
        "initialize": hello(),
        "discover": request("server/discover"),
        "tools/list": request("tools/list"),
        "tools/call": calling(),
        "prompts/list": request("prompts/list"),
        "resources/read": request("resources/read", uri="tollbook://reports/x.json"),
        "ping": request("ping"),
        "a notification": {"jsonrpc": "2.0", "method": "notifications/initialized"},
        "nonsense": {"what": "ever"},
    }

    @pytest.mark.parametrize("message", ASKED.values(), ids=ASKED)
    async def test_threat_18_nothing_is_done_for_whom_nobody_knows(
        self, door: Door, era: str, message: dict[str, Any]
    ) -> None:
        session = await door.session(era, door.issuer.token())
        before = door.stage.entered
        for given in ("", session):
            response = await door.post(era, {"method": "ping", **message}, session=given)
            assert asks_to_log_in(response)
            assert "mcp-session-id" not in response.headers
        assert door.stage.entered == before

    @pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "HEAD"])
    async def test_threat_18_nor_by_any_other_method(self, door: Door, method: str) -> None:
        token = door.issuer.token()
        session = await door.session(HANDSHAKE, token)
        headers = {**BOTH, "mcp-session-id": session, "mcp-protocol-version": HANDSHAKE, "last-event-id": "x.1"}
        assert asks_to_log_in(await door.http.request(method, door.url, headers=headers))
        assert await door.lets_in(HANDSHAKE, token, session)

    async def test_threat_18_no_session_is_opened(self, open_door: OpenDoor, store: MemoryStore, era: str) -> None:
        async with open_door() as door:
            for authorization in ([], [f"Bearer {door.issuer.token(exp=1)}"]):
                for message in (hello(), calling()):
                    assert (await door.post(era, message, *authorization)).status_code == 401
            assert store.held == 0

    async def test_threat_18_what_is_open_to_all_says_only_how_to_log_in(self, door: Door) -> None:
        for path in ("", "/mcp"):
            response = await door.http.get(door.url.replace("/mcp", f"/.well-known/oauth-protected-resource{path}"))
            assert response.json() == {
                "resource": "https://tollbook.example/mcp",
                "authorization_servers": [door.issuer.url],
                "scopes_supported": [SCOPE],
                "bearer_methods_supported": ["header"],
            }


class TestThreat19:
    """Who lacks a scope is told all that he needs."""

    NEEDED: Final = "tollbook/use tollbook/read"

    LACKING: Final = (
        "",
        "tollbook/use",
        "tollbook/read openid",
        "tollbook/use2 tollbook/read",
        "TOLLBOOK/USE TOLLBOOK/READ",
        "tollbook/use,tollbook/read",
        "tollbook/use\ttollbook/read",
        ["tollbook/use tollbook/read"],
        "use read",
        "*",
    )
    SUFFICIENT: Final = (
        "tollbook/read openid tollbook/use",
        ["tollbook/use", "tollbook/read"],
        "  tollbook/use  tollbook/read",
    )

    async def test_threat_19_a_missing_scope_is_403_with_every_scope(self, open_door: OpenDoor, era: str) -> None:
        async with open_door(OAUTH_REQUIRED_SCOPE=self.NEEDED) as door:
            for scope in self.LACKING:
                for message in (hello(), calling(), request("tools/list")):
                    response = await door.post(era, message, f"Bearer {door.issuer.token(scope=scope)}")
                    assert response.status_code == 403, scope
                    assert response.headers.get_list("www-authenticate") == [
                        f'Bearer error="insufficient_scope", resource_metadata="{METADATA}", scope="{self.NEEDED}"'
                    ]
            assert door.stage.entered == 0
            for scope in self.SUFFICIENT:
                assert await door.lets_in(era, door.issuer.token(scope=scope))

    async def test_threat_19_only_clients_that_are_named_need_none(self, open_door: OpenDoor, era: str) -> None:
        async with open_door(OAUTH_CLIENTS_WITHOUT_AUD="machine:noscope,other") as door:

            async def status(**said: Any) -> int:
                token = door.issuer.token(**said)
                return (await door.post(era, calling() if era == MODERN else hello(), f"Bearer {token}")).status_code

            assert await status(client_id="machine", aud=MISSING, scope="openid") == 200
            assert await status(client_id="other", aud=MISSING, scope="openid") == 403
            assert await status(client_id="machine", scope="openid") == 403  # it is for us, and its scope is not

    async def test_threat_19_an_api_key_needs_them_too(
        self, open_door: OpenDoor, store: MemoryStore, clock: SetClock, era: str
    ) -> None:
        async with open_door() as door:
            text, _ = await ApiKeys(store, clock).create("alice", ["tollbook/other"], clock.now + 1000, {})
            assert (await door.post(era, calling(), f"Bearer {text}")).status_code == 403
            assert door.stage.entered == 0


class TestThreat20:
    """A session belongs to an issuer, a client and a subject. To everyone else it is not there."""

    STRANGERS: Final[Mapping[str, dict[str, Any]]] = {
        "another user": {"sub": "bob"},
        "the same user with another client": {"client_id": OTHER_CLIENT},
        "another user with another client": {"sub": "bob", "client_id": OTHER_CLIENT},
    }

    @pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
    @pytest.mark.parametrize("is_owner", [False, True], ids=["of alice", "of the other"])
    async def test_threat_20_somebody_elses_session_is_not_there(
        self, open_door: OpenDoor, stranger: dict[str, Any], is_owner: bool
    ) -> None:
        async with open_door(**TWO_CLIENTS) as door:
            tokens = [door.issuer.token(), door.issuer.token(**stranger)]
            owner, other = reversed(tokens) if is_owner else tokens
            await is_foreign(door, owner, other)

    async def test_threat_20_nor_is_that_of_one_with_the_same_name_elsewhere(
        self, open_door: OpenDoor, store: MemoryStore, clock: SetClock
    ) -> None:
        async with open_door() as door:
            key, _ = await ApiKeys(store, clock).create("alice", [SCOPE], clock.now + 1000, {})
            other_key, _ = await ApiKeys(store, clock).create("alice", [SCOPE], clock.now + 1000, {})
            await is_foreign(door, door.issuer.token(), key)
            await is_foreign(door, key, door.issuer.token())
            await is_foreign(door, key, other_key)

    async def test_threat_20_names_that_run_together_are_not_the_same(self, open_door: OpenDoor) -> None:
        async with open_door(COGNITO_ALLOWED_CLIENT_IDS="ab,a") as door:
            token = door.issuer.token
            await is_foreign(door, token(client_id="ab", sub="c"), token(client_id="a", sub="bc"))
            await is_foreign(door, token(client_id="a", sub='b","c'), token(client_id="ab", sub='","c'))

    async def test_threat_20_ones_own_is_there_with_the_next_token_too(self, door: Door) -> None:
        session = await door.session(HANDSHAKE, door.issuer.token(scope=f"{SCOPE} openid"))
        door.clock.now += 60
        assert await door.lets_in(HANDSHAKE, door.issuer.token(), session)

    async def test_threat_20_a_running_call_is_its_callers_alone(self, open_door: OpenDoor) -> None:
        async with open_door() as door:
            alice, bob = door.issuer.token(), door.issuer.token(sub="bob")
            session = await door.session(HANDSHAKE, alice)
            headers = {**BOTH, "mcp-protocol-version": HANDSHAKE, "mcp-session-id": session}

            def as_(token: str) -> dict[str, str]:
                return {**headers, "authorization": f"Bearer {token}"}

            call = calling("slow")
            async with door.http.stream("POST", door.url, json=call, headers=as_(alice)) as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("id: "):
                        last = line.removeprefix("id: ")
                        break
            await until(lambda: door.stage.entered)
            for response in (
                await door.http.get(door.url, headers={**as_(bob), "last-event-id": last}),
                await door.http.post(door.url, json=CANCELLED, headers=as_(bob)),
                await door.http.delete(door.url, headers=as_(bob)),
            ):
                assert response.status_code == 404
            assert door.stage.cancelled == 0
            door.stage.go.set()
            response = await door.http.get(door.url, headers={**as_(alice), "last-event-id": last})
            assert messages(response)[-1]["result"]["content"][0]["text"] == "finished"

    async def test_threat_20_where_there_are_no_sessions_the_id_of_one_means_nothing(self, door: Door) -> None:
        alice, bob = door.issuer.token(), door.issuer.token(sub="bob")
        session = await door.session(HANDSHAKE, alice)
        assert await door.who(MODERN, bob, session) == (door.issuer.url, CLIENT, "bob")
        assert await door.who(HANDSHAKE, alice, session) == (door.issuer.url, CLIENT, "alice")


async def is_foreign(door: Door, owner: str, other: str) -> None:
    """Asserts that a session of `owner` is to `other` as one that never was."""
    session = await door.session(HANDSHAKE, owner)
    before = door.stage.entered
    answer = {"jsonrpc": "2.0", "id": "q", "result": {}}
    asked = [calling(), request("ping"), request("tools/list"), CANCELLED, answer]

    async def tried(id_: str) -> list[tuple[int, bytes]]:
        headers = {**BOTH, "mcp-protocol-version": HANDSHAKE, "mcp-session-id": id_, "authorization": f"Bearer {other}"}
        responses = [
            *[await door.post(HANDSHAKE, message, f"Bearer {other}", session=id_) for message in asked],
            await door.http.get(door.url, headers={**headers, "last-event-id": "x.1"}),
            await door.http.delete(door.url, headers=headers),
        ]
        return [(each.status_code, each.content) for each in responses]

    found = await tried(session)
    assert {status for status, _ in found} == {404}
    assert found == await tried("A" * len(session))
    assert door.stage.entered == before
    assert await door.lets_in(HANDSHAKE, owner, session)


class TestThreat21:
    """A session's id is made here, and cannot be guessed or chosen. It proves nothing."""

    async def test_threat_21_an_id_that_was_guessed_is_not_there(self, door: Door) -> None:
        token = door.issuer.token()
        session = await door.session(HANDSHAKE, token)
        guesses = [session[:-1], f"{session}A", session[:-1] + ("A" if session[-1] != "A" else "B"), session.swapcase()]
        for guess in (*guesses, "1", "0" * 32, "../../x", "%00", "*", "a" * 86, "a" * 5000):
            response = await door.post(HANDSHAKE, calling(), f"Bearer {token}", session=guess)
            assert response.status_code == 404
        assert await door.lets_in(HANDSHAKE, token, session)

    async def test_threat_21_an_id_that_was_chosen_is_not_taken(self, door: Door) -> None:
        token, chosen = door.issuer.token(), "chosen-by-me-chosen-by-me-chosen"
        response = await door.post(HANDSHAKE, hello(), f"Bearer {token}", session=chosen)
        assert response.headers["mcp-session-id"] != chosen
        response = await door.post(HANDSHAKE, calling(), f"Bearer {token}", session=chosen)
        assert response.status_code == 404

    async def test_threat_21_every_id_is_another_of_192_bits(self, door: Door) -> None:
        token = door.issuer.token()
        ids = [await door.session(HANDSHAKE, token) for _ in range(20)]
        assert len(set(ids)) == 20
        assert all(len(each) >= 32 for each in ids)

    async def test_threat_21_an_id_alone_lets_nobody_in(self, door: Door) -> None:
        session = await door.session(HANDSHAKE, door.issuer.token())
        assert asks_to_log_in(await door.post(HANDSHAKE, calling(), session=session))
        door.clock.now += 31
        assert is_turned_away(await door.post(HANDSHAKE, calling(), f"Bearer {session}", session=session))

    async def test_threat_21_a_session_that_ended_is_not_there(self, door: Door) -> None:
        token = door.issuer.token(exp=door.issuer.now() + 10_000)
        ended, idle = [await door.session(HANDSHAKE, token) for _ in range(2)]
        headers = {"authorization": f"Bearer {token}", "mcp-session-id": ended}
        assert (await door.http.delete(door.url, headers=headers)).status_code == 200
        door.clock.now += 1801
        for session in (ended, idle):
            assert (await door.call(HANDSHAKE, token, session)).status_code == 404


class TestThreat22:
    """The Host and the Origin of a request are looked at first, before its credential."""

    FOREIGN: Final = {
        "host": ["127.0.0.1.evil.com", "evil.com", "127.0.0.1.evil.com:80", "localhost.evil.com", "0.0.0.0:80"],
        "origin": ["http://evil.com", "null", "https://127.0.0.1.evil.com", "http://localhost.evil.com:80"],
    }

    @pytest.mark.parametrize(("name", "status"), [("host", 421), ("origin", 403)])
    async def test_threat_22_a_foreign_host_or_origin_is_refused_before_anything_else(
        self, open_door: OpenDoor, era: str, name: str, status: int
    ) -> None:
        async with open_door() as door:
            good, bad = f"Bearer {door.issuer.token()}", f"Bearer {door.issuer.token(exp=1)}"
            answers = set()
            for foreign in ([(name, value)] for value in self.FOREIGN[name]):
                for authorization in ([], [good], [bad], ["Basic eA=="]):
                    response = await door.post(era, calling(), *authorization, headers=foreign)
                    assert "www-authenticate" not in response.headers
                    answers.add((response.status_code, response.content))
                for page in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization-server"):
                    response = await door.http.get(door.url.replace("/mcp", page), headers=foreign)
                    answers.add((response.status_code, response.content))
            ((answered, _),) = answers
            assert answered == status
            assert door.knocks == door.stage.entered == door.issuer.asked.total() == 0
            assert await door.lets_in(era, door.issuer.token())


class TestThreat23:
    """A body of more than 4 MB is refused, and one of somebody unknown is not even read."""

    @pytest.mark.parametrize("is_chunked", [False, True], ids=["of a length", "in chunks"])
    async def test_threat_23_a_body_of_five_megabytes_is_413(self, door: Door, era: str, is_chunked: bool) -> None:
        token = door.issuer.token()
        session = await door.session(era, token)
        before = door.stage.entered
        message, headers = in_era(era, calling())
        body = json.dumps({**message, "more": "m" * 5_000_000}).encode()
        given = {**JSON, **headers, "authorization": f"Bearer {token}", "mcp-session-id": session}

        async def parts() -> Any:
            for at in range(0, len(body), 65_536):
                yield body[at : at + 65_536]

        try:
            response = await door.http.post(door.url, content=parts() if is_chunked else body, headers=given)
        except httpx2.NetworkError:  # it is cut while it still sends
            response = None
        assert response is None or response.status_code == 413
        assert door.stage.entered == before
        assert await door.lets_in(era, token, session)

    async def test_threat_23_the_body_of_somebody_unknown_is_not_waited_for(self, door: Door, era: str) -> None:
        headers = [("content-length", "5000000"), ("mcp-protocol-version", era), ("content-type", "application/json")]
        assert (await send(door.url, "POST", headers)).status == 401


class TestThreat24:
    """What cannot be JSON, or is too deep or too large to be handled, is refused in a sentence."""

    @pytest.mark.parametrize("name", FORGERIES[24])
    async def test_threat_24_a_token_of_odd_parts_is_refused(self, refuses: Refuses, name: str) -> None:
        is_whole = name in ("payload of another", "signature cut", "signature changed")
        assert await refuses(24, name, *(["signature"] if is_whole else ["malformed", "too long", "no bearer token"]))

    BODIES: Final[Mapping[str, Callable[[bytes], bytes]]] = {
        "100,000 brackets": lambda _: b"[" * 100_000,
        "100,000 objects": lambda _: b'{"a":' * 100_000,
        "arguments 100,000 deep": lambda body: body.replace(b'"ODD"', b"[" * 100_000 + b"]" * 100_000),
        "arguments 100 deep": lambda body: body.replace(b'"ODD"', b"[" * 100 + b"]" * 100),
        "a number of 5,000 digits": lambda body: body.replace(b'"ODD"', b"9" * 5_000),
        "a number of 1,000,000 digits": lambda body: body.replace(b'"ODD"', b"9" * 1_000_000),
        "1e999": lambda body: body.replace(b'"ODD"', b"1e999"),
        "NaN": lambda body: body.replace(b'"ODD"', b"NaN"),
        "half a surrogate pair": lambda body: body.replace(b'"ODD"', b'"\\ud800"'),
        "a surrogate as UTF-8": lambda body: body.replace(b'"ODD"', b'"\xed\xa0\x80"'),
        "bad UTF-8": lambda body: body.replace(b'"ODD"', b'"\xff"'),
        "UTF-16": lambda body: body.decode().encode("utf-16"),
        "a byte order mark": lambda body: b"\xef\xbb\xbf" + body,
        "nothing": lambda _: b"",
    }

    @pytest.mark.parametrize("spoil", BODIES.values(), ids=BODIES)
    async def test_threat_24_a_body_of_odd_bytes_is_400(
        self, door: Door, era: str, spoil: Callable[[bytes], bytes]
    ) -> None:
        token = door.issuer.token()
        session = await door.session(era, token)
        before = door.stage.entered
        message, headers = in_era(era, calling(odd="ODD"))
        given = {**JSON, **headers, "authorization": f"Bearer {token}", "mcp-session-id": session}
        body = spoil(json.dumps(message).encode())
        response = await door.http.post(door.url, content=body, headers=given)
        assert response.status_code == 400
        assert response.json()["error"]["message"].endswith((".", "'"))
        assert door.stage.entered == before
        assert await door.lets_in(era, token, session)


class TestThreat25:
    """What the headers say of a message, for those on its way, is what it says itself."""

    @pytest.mark.parametrize(
        "changed",
        [
            {"mcp-method": "tools/list"},
            {"mcp-method": "TOOLS/CALL"},
            {"mcp-method": ""},
            {"mcp-method": None},
            {"mcp-name": "greet"},
            {"mcp-name": "WHO"},
            {"mcp-name": ""},
            {"mcp-name": None},
            {"mcp-protocol-version": HANDSHAKE},
            {"mcp-protocol-version": None},
            {"mcp-protocol-version": "2027-01-01"},
        ],
        ids=repr,
    )
    async def test_threat_25_headers_that_say_another_thing_are_400(
        self, door: Door, changed: dict[str, str | None]
    ) -> None:
        token = door.issuer.token()
        message, headers = modern(calling())
        given = {**JSON, **headers, "authorization": f"Bearer {token}"}
        assert (await door.http.post(door.url, json=message, headers=given)).status_code == 200
        before = door.stage.entered
        wrong = {name: value for name, value in {**given, **changed}.items() if value is not None}
        response = await door.http.post(door.url, json=message, headers=wrong)
        assert (response.status_code, door.stage.entered) == (400, before)

    @pytest.mark.parametrize("name", ["mcp-method", "mcp-name"])
    async def test_threat_25_nor_may_they_say_two_things(self, door: Door, name: str) -> None:
        message, headers = modern(calling())
        before = door.stage.entered
        for other in ("tools/list", headers[name]):
            given = [*JSON.items(), *headers.items(), ("authorization", f"Bearer {door.issuer.token()}"), (name, other)]
            response = await door.http.post(door.url, json=message, headers=given)
            assert (response.status_code, door.stage.entered) == (400, before)

    async def test_threat_25_a_message_of_one_era_is_not_passed_off_as_one_of_the_other(self, door: Door) -> None:
        token = door.issuer.token()
        session = await door.session(HANDSHAKE, token)
        before = door.stage.entered
        message, headers = modern(calling())
        given = {**JSON, **BOTH, "authorization": f"Bearer {token}", "mcp-session-id": session}
        for version in (HANDSHAKE, "2025-06-18"):
            response = await door.http.post(
                door.url, json=message, headers={**given, **headers, "mcp-protocol-version": version}
            )
            assert (response.status_code, door.stage.entered) == (400, before)
        given["mcp-protocol-version"] = MODERN
        response = await door.http.post(door.url, json=calling(), headers=given)
        assert (response.status_code, door.stage.entered) == (400, before)


class TestThreat26:
    """What stands in front of the server is not believed, and who calls the authorizer by himself gets nothing."""

    CLAIMS: Final = {"iss": "https://issuer.example", "sub": "alice", "scope": SCOPE, "client_id": CLIENT}
    CONTEXT: Final = {"authorizer": {"claims": CLAIMS, "jwt": {"claims": CLAIMS, "scopes": [SCOPE]}, "caller": "alice"}}
    FORGED: Final = {
        "x-amzn-request-context": json.dumps(CONTEXT),
        "x-apigateway-event": json.dumps({"requestContext": CONTEXT}),
        "x-amzn-oidc-identity": "alice",
        "x-amzn-oidc-data": "e30.e30.e30",
        "x-authenticated-user": "alice",
        "remote-user": "alice",
    }
    STAGE: Final = "arn:aws:execute-api:eu-west-1:111122223333:abcdef1234/prod"

    async def test_threat_26_a_forged_request_context_opens_nothing(self, door: Door, era: str) -> None:
        message = calling(requestContext=self.CONTEXT)
        given = list(self.FORGED.items())
        before = door.stage.entered
        assert asks_to_log_in(await door.post(era, {**message, "requestContext": self.CONTEXT}, headers=given))
        door.clock.now += 31
        bad = f"Bearer {door.issuer.token(exp=1)}"
        assert is_turned_away(await door.post(era, message, bad, headers=given))
        assert door.stage.entered == before

    async def test_threat_26_nor_does_it_make_anyone_somebody_else(self, door: Door, era: str) -> None:
        bob = door.issuer.token(sub="bob")
        session = await door.session(era, bob)
        response = await door.post(era, calling(), f"Bearer {bob}", session=session, headers=self.FORGED.items())
        assert json.loads(text_of(response))["subject"] == "bob"

    @pytest.fixture
    def authorizer(self, issuer: Issuer, clock: SetClock) -> Authorizer:
        return Authorizer(settings_of(issuer, {}), clock=clock)

    def rest(self, *authorization: str, **also: Any) -> dict[str, Any]:
        given = {"headers": {"Authorization": authorization[-1]}} if authorization else {"headers": {}}
        several = {"multiValueHeaders": {"Authorization": list(authorization)} if authorization else {}}
        arn = f"{self.STAGE}/POST/mcp"
        return {"type": "REQUEST", "methodArn": arn, **given, **several, "requestContext": self.CONTEXT, **also}

    def simple(self, *authorization: str) -> dict[str, Any]:
        given = {"authorization": ",".join(authorization)} if authorization else {}
        arn = f"{self.STAGE}/POST/mcp"
        return {"version": "2.0", "type": "REQUEST", "routeArn": arn, "headers": given, "requestContext": self.CONTEXT}

    def single(self, authorization: str) -> dict[str, Any]:
        return {"type": "TOKEN", "methodArn": f"{self.STAGE}/POST/mcp", "authorizationToken": authorization}

    def test_threat_26_the_authorizer_lets_in_a_good_token(self, authorizer: Authorizer, issuer: Issuer) -> None:
        good = f"Bearer {issuer.token()}"
        for event in (self.rest(good), self.single(good)):
            (statement,) = authorizer(event)["policyDocument"]["Statement"]
            assert (statement["Effect"], statement["Resource"]) == ("Allow", f"{self.STAGE}/*")
        assert authorizer(self.simple(good))["isAuthorized"] is True

    @pytest.mark.parametrize(
        "event",
        [
            {},
            {"type": "TOKEN"},
            {"type": "REQUEST", "headers": None, "multiValueHeaders": None},
            {"requestContext": CONTEXT},
            {"isAuthorized": True, "principalId": "alice", "requestContext": CONTEXT},
            {"headers": {"authorization": 7}, "methodArn": f"{STAGE}/POST/mcp"},
            {"headers": "authorization", "methodArn": f"{STAGE}/POST/mcp"},
        ],
        ids=repr,
    )
    def test_threat_26_the_authorizer_lets_nobody_in_who_calls_it_by_himself(
        self, authorizer: Authorizer, issuer: Issuer, event: dict[str, Any]
    ) -> None:
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            authorizer(event)
        assert authorizer({**event, "version": "2.0"}) == {"isAuthorized": False}
        assert issuer.asked.total() == 0

    def test_threat_26_an_event_must_be_one_of_the_gateway_and_have_one_token(
        self, authorizer: Authorizer, issuer: Issuer
    ) -> None:
        good = f"Bearer {issuer.token()}"
        for event in (
            self.rest(),
            self.rest(good, good),
            self.rest("Basic eA==", good),
            self.rest(good, methodArn="*"),
            self.rest(good, methodArn="arn:aws:execute-api:*:*:*/*"),
            self.rest(good, methodArn=None),
            self.single(good[7:]),
            self.single(""),
        ):
            with pytest.raises(Exception, match=r"^Unauthorized$"):
                authorizer(event)
        for event in (self.simple(), self.simple(good, good), self.simple(good[7:])):
            assert authorizer(event) == {"isAuthorized": False}

    @pytest.mark.parametrize("number", FORGERIES)
    def test_threat_26_the_authorizer_accepts_no_forgery_either(
        self, authorizer: Authorizer, issuer: Issuer, canary: Canary, clock: SetClock, number: int
    ) -> None:
        for forge in FORGERIES[number].values():
            assert authorizer(self.simple(f"Bearer {issuer.token()}"))["isAuthorized"] is True
            clock.now += 31
            assert authorizer(self.simple(f"Bearer {forge(issuer, canary)}")) == {"isAuthorized": False}
        assert canary.visits == 0

    def test_threat_26_the_authorizer_lets_in_nobody_who_lacks_a_scope(
        self, authorizer: Authorizer, issuer: Issuer
    ) -> None:
        lacking = f"Bearer {issuer.token(scope='openid')}"
        (statement,) = authorizer(self.rest(lacking))["policyDocument"]["Statement"]
        assert statement["Effect"] == "Deny"
        assert authorizer(self.simple(lacking)) == {"isAuthorized": False}


class TestThreat27:
    """Headers that a proxy may set and anyone can write change nothing."""

    WRITTEN: Final = {
        "x-user": "alice",
        "x-user-id": "alice",
        "x-user-sub": "alice",
        "x-forwarded-user": "alice",
        "x-forwarded-email": "alice@example.com",
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "https",
        "x-forwarded-port": "443",
        "x-forwarded-prefix": "/evil",
        "x-forwarded-for": "10.9.8.7",
        "x-real-ip": "10.9.8.7",
        "forwarded": "for=10.9.8.7;host=evil.example;proto=https",
        "x-original-url": "/healthz",
        "x-rewrite-url": "/healthz",
        "x-http-method-override": "GET",
    }

    async def test_threat_27_not_what_is_told_before_a_login(self, door: Door, era: str) -> None:
        door.clock.now += 31
        bad = f"Bearer {door.issuer.token(exp=1)}"
        for authorization in ([], [bad]):
            plain = await door.post(era, calling(), *authorization)
            written = await door.post(era, calling(), *authorization, headers=self.WRITTEN.items())
            assert as_sent(plain) == as_sent(written)
            assert plain.status_code == 401
        for page in ("oauth-protected-resource", "oauth-protected-resource/mcp", "oauth-authorization-server"):
            address = door.url.replace("/mcp", f"/.well-known/{page}")
            plain, written = await door.http.get(address), await door.http.get(address, headers=self.WRITTEN)
            assert as_sent(plain) == as_sent(written)
            assert plain.status_code in (200, 302)

    async def test_threat_27_not_who_somebody_is(self, door: Door, era: str) -> None:
        bob = door.issuer.token(sub="bob")
        session = await door.session(era, bob)
        response = await door.post(era, calling(), f"Bearer {bob}", session=session, headers=self.WRITTEN.items())
        assert json.loads(text_of(response)) == {"issuer": door.issuer.url, "client": CLIENT, "subject": "bob"}

    async def test_threat_27_not_who_has_failed_too_often(self, tmp_path: Path) -> None:
        """A real server: what stands between its socket and the gate is part of it."""
        with Issuer() as issuer, instances(tmp_path, 1, IN_MEMORY, environment_of(issuer)) as (server,):
            async with a_client() as http:
                statuses = []
                for number in range(BURST + 5):
                    written = {**self.WRITTEN, "x-forwarded-for": f"10.0.0.{number}", "x-real-ip": f"10.0.0.{number}"}
                    headers = {**BOTH, **written, "authorization": f"Bearer {number}"}
                    statuses.append((await http.post(server.url, json=calling(), headers=headers)).status_code)
        assert statuses[:BURST] == [401] * BURST
        assert 429 in statuses


def as_sent(response: httpx2.Response) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """All of it but for the time of day."""
    headers = sorted((name, value) for name, value in response.headers.raw if name.lower() != b"date")
    return response.status_code, headers, response.content


class TestThreat28:
    """Nothing that could end a header's line or a quotation comes into a challenge, and nothing of the request."""

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("PUBLIC_URL", "https://mcp.example.com/mcp\r\nset-cookie: a=b"),
            ("PUBLIC_URL", "https://mcp.example.com/mcp\nset-cookie: a=b"),
            ("PUBLIC_URL", 'https://mcp.example.com/mcp", error="x'),
            ("PUBLIC_URL", 'https://mcp.example.com/"/mcp'),
            ("PUBLIC_URL", "https://mcp.example.com/mcp\\"),
            ("PUBLIC_URL", "https://mcp.example.com/m cp"),
            ("PUBLIC_URL", "https://mcp.example.com/mcp\u2028"),
            ("PUBLIC_URL", "https://mcp.example.com/é/mcp"),
            ("PUBLIC_URL", "https://user@mcp.example.com/mcp"),
            ("OAUTH_REQUIRED_SCOPE", 'tollbook/use", error="x'),
            ("OAUTH_REQUIRED_SCOPE", "tollbook/use\\"),
            ("OAUTH_REQUIRED_SCOPE", "tollbook/\x01use"),
            ("OAUTH_REQUIRED_SCOPE", "tollbook/usé"),
            ("COGNITO_RESOURCE_ID", 'tollbook", error="x'),
            ("COGNITO_RESOURCE_ID", "tollbook\r\nset-cookie: a=b"),
            ("COGNITO_SUPPORTED_SCOPES", 'openid "'),
            ("OAUTH_ISSUER", "https://issuer.example\r\nset-cookie: a=b"),
            ("OAUTH_ISSUER", 'https://issuer.example/"'),
            ("COGNITO_DOMAIN", "login.example.com\r\nset-cookie: a=b"),
        ],
    )
    def test_threat_28_a_setting_that_could_break_out_of_a_header_stops_the_start(
        self, ask: Ask, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
    ) -> None:
        good = {
            "PUBLIC_URL": "https://mcp.example.com/mcp",
            "OAUTH_ISSUER": "https://issuer.example",
            "OAUTH_REQUIRED_SCOPE": "tollbook/use",
            "PORT": "none",  # so that it stops in any case
        }
        for name, given in {**good, variable: value}.items():
            monkeypatch.setenv(name, given)
        answer = ask("serve")
        assert answer.code == 2
        assert f"({variable})" in answer.err

    async def test_threat_28_a_line_break_between_scopes_is_a_blank(self, open_door: OpenDoor, era: str) -> None:
        async with open_door(OAUTH_REQUIRED_SCOPE="tollbook/use\r\nset-cookie:a=b") as door:
            response = await door.post(era, calling())
            challenge = f'Bearer resource_metadata="{METADATA}", scope="tollbook/use set-cookie:a=b"'
            assert response.headers.get_list("www-authenticate") == [challenge]
            assert "set-cookie" not in response.headers

    async def test_threat_28_nothing_of_a_request_comes_back(self, door: Door, era: str) -> None:
        mark = "reflected-7f3a"
        door.clock.now += 31
        headers = [("user-agent", mark), ("x-mark", mark), ("mcp-session-id", mark), ("traceparent", mark)]
        for authorization in ([], [f"Bearer {mark}"], [f"Basic {mark}"], [f"Bearer {door.issuer.token(scope=mark)}"]):
            response = await door.post(era, request(mark, mark), *authorization, headers=headers)
            assert response.status_code in (401, 403)
            assert mark not in f"{response.headers.raw!r}{response.text}"
        for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization-server", "/mcp", "/x"):
            address = door.url.replace("/mcp", f"{path}?{mark}={mark}#{mark}")
            response = await door.http.get(address, headers=headers)
            assert mark not in f"{response.headers.raw!r}{response.text}"

    async def test_threat_28_nor_does_the_name_by_which_the_server_is_called(self, door: Door, era: str) -> None:
        for authorization in ([], [f"Bearer {door.issuer.token(scope='openid')}"]):
            ours, other = [
                await door.post(era, calling(), *authorization, headers=[("host", name)])
                for name in ("127.0.0.1", "localhost:54321")
            ]
            assert as_sent(ours) == as_sent(other)
        page = door.url.replace("/mcp", "/.well-known/oauth-protected-resource")
        assert "54321" not in (await door.http.get(page, headers={"host": "localhost:54321"})).text


class TestThreat29:
    """Who sends bad credentials again and again must wait; others need not."""

    async def fail(self, door: Door, era: str, number: int) -> list[httpx2.Response]:
        """What comes of so many bad tokens."""
        bad = f"Bearer {door.issuer.token(exp=1)}"
        return await asyncio.gather(*(door.post(era, calling(), bad) for _ in range(number)))

    async def test_threat_29_a_thousand_bad_tokens_are_soon_not_looked_at(
        self, open_door: OpenDoor, era: str, reasons: Callable[[], list[str]]
    ) -> None:
        async with open_door() as door:
            message, headers = in_era(era, calling())
            given = {**JSON, **headers, "host": "127.0.0.1", "authorization": f"Bearer {door.issuer.token(exp=1)}"}
            body = json.dumps(message).encode()
            lines = ["POST /mcp HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
            sent = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body
            reader, writer = await asyncio.open_connection(*door.address)
            received = b""
            for _ in range(10):
                writer.write(sent * 100)
                batch = b""
                while batch.count(b"HTTP/1.1 ") < 100 or not batch.endswith(b"}"):
                    batch += await reader.read(65_536)
                received += batch
            writer.close()
            assert Counter(re.findall(rb"HTTP/1.1 (\d+)", received)) == {b"401": BURST, b"429": 1000 - BURST}
            assert reasons().count("expired") == BURST
            assert reasons().count("throttled") == 1000 - BURST
            assert received.count(b"retry-after: 1\r\n") == 1000 - BURST
            assert received.count(b"www-authenticate: ") == BURST

    async def test_threat_29_who_waits_as_long_as_he_is_told_is_looked_at_again(
        self, open_door: OpenDoor, era: str
    ) -> None:
        async with open_door() as door:
            await self.fail(door, era, BURST)
            good = door.issuer.token()
            held = await door.post(era, hello() if era == HANDSHAKE else calling(), f"Bearer {good}")
            assert held.status_code == 429
            assert door.stage.entered == 0
            door.clock.now += int(held.headers["retry-after"])
            assert await door.lets_in(era, good)
            (again,) = await self.fail(door, era, 1)
            assert again.status_code == 401
            (again,) = await self.fail(door, era, 1)
            assert again.status_code == 429
            door.clock.now += BURST
            assert {each.status_code for each in await self.fail(door, era, BURST)} == {401}

    async def test_threat_29_who_was_let_in_before_still_is(self, open_door: OpenDoor, era: str) -> None:
        async with open_door() as door:
            good = door.issuer.token()
            session = await door.session(era, good)
            assert await door.lets_in(era, good, session)
            assert (await self.fail(door, era, BURST + 1))[-1].status_code in (401, 429)
            assert await door.lets_in(era, good, session)
            assert (await door.post(era, calling(), f"Bearer {good}x", session=session)).status_code == 429

    async def test_threat_29_so_is_he_with_a_token_that_must_be_verified_anew(
        self, open_door: OpenDoor, era: str
    ) -> None:
        async with open_door() as door:
            good = door.issuer.token()
            session = await door.session(era, good)
            assert await door.lets_in(era, good, session)
            door.clock.now += 301  # nothing is believed for longer
            await self.fail(door, era, BURST)
            assert await door.lets_in(era, good, session)
            assert (await self.fail(door, era, 1))[0].status_code == 429

    async def test_threat_29_so_is_he_with_an_api_key_until_that_is_revoked(
        self, open_door: OpenDoor, era: str, store: MemoryStore
    ) -> None:
        async with open_door() as door:
            keys = ApiKeys(store, door.clock)
            key, kept = await keys.create("alice", [SCOPE], door.clock.now + 1000, {})
            session = await door.session(era, key)
            assert await door.lets_in(era, key, session)
            await self.fail(door, era, BURST)
            assert await door.lets_in(era, key, session)
            await keys.revoke(kept.id)
            assert not await door.lets_in(era, key, session)
            assert (await door.call(era, key, session)).status_code == 429

    async def test_threat_29_whoever_comes_from_elsewhere_is_not_held_back(self, open_door: OpenDoor, era: str) -> None:
        async with open_door() as door:
            await self.fail(door, era, BURST)
            assert (await self.fail(door, era, 1))[0].status_code == 429
            async with door.seen_from("127.0.0.2") as elsewhere:
                assert await elsewhere.lets_in(era, door.issuer.token())
                assert (await self.fail(elsewhere, era, 1))[0].status_code == 401
            assert (await self.fail(door, era, 1))[0].status_code == 429

    async def test_threat_29_each_instance_counts_for_itself(self, open_door: OpenDoor, era: str) -> None:
        async with open_door() as door, open_door() as beside:
            await self.fail(door, era, BURST)
            assert (await self.fail(door, era, 1))[0].status_code == 429
            assert await beside.lets_in(era, door.issuer.token())

    async def test_threat_29_every_kind_of_bad_credential_counts(
        self, open_door: OpenDoor, era: str, store: MemoryStore
    ) -> None:
        async with open_door() as door:
            key, _ = await ApiKeys(store, door.clock).create("alice", [SCOPE], door.clock.now + 1000, {})
            assert await door.lets_in(era, door.issuer.token())
            bad = [door.issuer.token(exp=1), door.issuer.token(header={"kid": "x"}), "x", f"{key[:-3]}000"]
            bad.append(door.issuer.token(key=rsa_key("other"), header={"kid": door.issuer.key.kid}))
            for each in bad * (BURST // len(bad)):
                assert is_turned_away(await door.post(era, calling(), f"Bearer {each}"))
            for each in (*bad, key):
                assert (await door.post(era, calling(), f"Bearer {each}")).status_code == 429

    async def test_threat_29_who_sends_none_and_whose_issuer_is_away_have_done_nothing_bad(
        self, open_door: OpenDoor, era: str
    ) -> None:
        async with open_door() as door:
            door.issuer.dead()
            for _ in range(BURST + 1):
                assert asks_to_log_in(await door.post(era, calling()))
                assert is_turned_away(await door.post(era, calling(), f"Bearer {door.issuer.token()}"))
            door.issuer.well()
            door.clock.now += 30
            assert await door.lets_in(era, door.issuer.token())

    @pytest.mark.parametrize(
        ("peer", "other", "is_same"),
        [
            ("127.0.0.1", "127.0.0.2", False),
            ("2001:db8:1:2::3", "2001:db8:1:2::4", True),
            ("2001:db8:1:2::3", "2001:db8:1:3::3", False),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.2", False),
            ("::ffff:127.0.0.1", "::1", False),
            ("::ffff:127.0.0.1", "127.0.0.1", True),
        ],
    )
    async def test_threat_29_a_peer_is_an_address_or_a_network_of_ipv6(
        self, peer: str, other: str, is_same: bool
    ) -> None:
        throttle = Throttle()
        for _ in range(BURST):
            throttle.failed(peer, 0)
        assert throttle.wait_s(peer, 0)
        assert bool(throttle.wait_s(other, 0)) is is_same
