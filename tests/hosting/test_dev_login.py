"""The development login up to the code: what it says of itself, who may ask, and what he is answered."""

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.hosting.hurried import Holds, Obedient
from tests.hosting.serving import SetClock, ask, until
from tests.hosting.signing_in import (
    CALLBACK,
    CHALLENGE,
    SCOPES,
    STATE,
    VERIFIER,
    Laptop,
    back,
    client,
    granted,
    is_refused,
    laptop,
    store,
    verified,
)

__all__ = ["client", "laptop", "store"]

pytestmark = pytest.mark.anyio

ELSEWHERE = "https://elsewhere.example/mcp"
DAY_S = 86_400


class TestItsMetadata:
    async def test_says_what_it_does_and_is_exactly_the_issuers(self, laptop: Laptop) -> None:
        response = await laptop.http.get(f"{laptop.origin}/.well-known/oauth-authorization-server")
        assert response.headers["content-type"] == "application/json"
        assert response.json() == {
            "issuer": laptop.origin,  # RFC 8414 §3.3: identical, and so without a slash
            "authorization_endpoint": f"{laptop.origin}/authorize",
            "token_endpoint": f"{laptop.origin}/token",
            "registration_endpoint": f"{laptop.origin}/register",
            "revocation_endpoint": f"{laptop.origin}/revoke",
            "jwks_uri": f"{laptop.origin}/dev/jwks.json",
            "scopes_supported": ["mcp:tools", "spend:all"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    async def test_is_not_that_of_openid_connect_which_it_does_not_speak(self, laptop: Laptop) -> None:
        assert (await laptop.http.get(f"{laptop.origin}/.well-known/openid-configuration")).status_code == 404

    async def test_leads_to_the_public_half_of_the_key_alone(self, laptop: Laptop) -> None:
        response = await laptop.http.get(f"{laptop.origin}/dev/jwks.json")
        assert response.content == await laptop.login.jwks()
        (key,) = response.json()["keys"]
        assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")

    @pytest.mark.parametrize("path", ["/.well-known/oauth-authorization-server", "/token", "/register", "/revoke"])
    async def test_and_what_it_names_can_be_asked_from_a_page_on_this_machine(self, laptop: Laptop, path: str) -> None:
        origin = {"origin": "http://localhost:6274"}
        response = await laptop.http.request("OPTIONS", f"{laptop.origin}{path}", headers=origin)
        assert response.status_code == 204
        assert response.headers["access-control-allow-origin"] == "http://localhost:6274"

    @pytest.mark.parametrize(
        ("path", "method", "allowed"),
        [
            ("/authorize", "POST", "GET"),
            ("/token", "GET", "POST"),
            ("/register", "PUT", "POST"),
            ("/revoke", "GET", "POST"),
            ("/dev/sign-in", "DELETE", "GET, POST"),
            ("/dev/jwks.json", "POST", "GET, HEAD"),
        ],
    )
    async def test_and_nothing_else_can_be_done_there(
        self, laptop: Laptop, path: str, method: str, allowed: str
    ) -> None:
        response = await laptop.http.request(method, f"{laptop.origin}{path}")
        assert (response.status_code, response.headers["allow"]) == (405, allowed)

    @pytest.mark.parametrize("path", ["/authorize", "/token", "/register", "/dev/sign-in"])
    async def test_and_no_page_from_elsewhere_reaches_it(self, laptop: Laptop, path: str) -> None:
        for origin in ("https://evil.example", "null"):
            response = await laptop.http.post(f"{laptop.origin}{path}", headers={"origin": origin})
            assert response.status_code == 403
        reply = await ask(laptop.url, "GET", [("host", "evil.example")], path=path)
        assert reply.status == 421


class TestAClientThatRegisters:
    async def test_is_public_whatever_it_wanted_to_be(self, laptop: Laptop, clock: SetClock) -> None:
        wanted = {
            "client_name": "an editor",
            "redirect_uris": [CALLBACK, "http://127.0.0.1:4321"],
            "client_uri": "https://editor.example/",
            "scope": "openid everything",
            "grant_types": ["authorization_code", "client_credentials"],
        }
        for method in ("client_secret_post", "client_secret_basic", "none", None):
            response = await laptop.register(**wanted, token_endpoint_auth_method=method)
            assert response.status_code == 201
            assert response.headers["cache-control"] == "no-store"
            said = response.json()
            assert said.pop("client_id")
            assert said == {
                **wanted,
                "application_type": "native",
                "client_id_issued_at": int(clock.now),
                "grant_types": ["authorization_code"],
                "response_types": ["code"],
                "scope": " ".join(SCOPES),
                "token_endpoint_auth_method": "none",
            }

    @pytest.mark.parametrize(
        "address",
        [
            "http://127.0.0.1:4321/callback?kept=1",
            "http://localhost/callback",
            "http://[::1]:4321/",
            "http://127.0.0.1:4321",
            "https://editor.example/callback",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "vscode://vscode.mcp/callback",
            "com.example.app:/callback",
        ],
    )
    async def test_may_be_answered_on_this_machine_or_over_tls(self, laptop: Laptop, address: str) -> None:
        client = await laptop.a_client(redirect_uris=[address])
        page = await laptop.page(client, redirect_uri=address)
        sent = (await laptop.answer(page, user="Ann")).headers["location"]
        assert sent.startswith(address)
        code = back(await laptop.answer(await laptop.page(client, redirect_uri=address), user="Ann")).said["code"]
        assert granted(await laptop.redeem(client, code, redirect_uri=address))

    @pytest.mark.parametrize(
        "address",
        [
            "http://editor.example/callback",
            "http://127.0.0.1.evil.example/callback",
            "http://localhost.evil.example/callback",
            "http://127.0.0.2@evil.example/callback",
            "http://user@127.0.0.1/callback",
            "https://user:password@editor.example/callback",
            "https://editor.example/callback#fragment",
            "https://editor.example/callback#",
            "javascript:alert(1)",
            "javascript://editor/%0aalert(1)",
            "data:text/html,hello",
            "file:///etc/passwd",
            "about:blank",
            "editor:callback",
            "vbscript://x/y",
        ],
    )
    async def test_is_refused_where_the_answer_could_go_astray(self, laptop: Laptop, address: str) -> None:
        for addresses in ([address], [CALLBACK, address]):
            assert is_refused(await laptop.register(redirect_uris=addresses), "invalid_redirect_uri")

    @pytest.mark.parametrize(
        "document",
        [
            b"",
            b"{",
            b"[]",
            b"{}",
            b'{"redirect_uris":[]}',
            b'{"redirect_uris":null}',
            b'{"redirect_uris":["nowhere"]}',
            b'{"redirect_uris":["http://localhost/"],"client_name":{}}',
            b'{"redirect_uris":["http://localhost/"],"token_endpoint_auth_method":"private_key_jwt"}',
            b'{"redirect_uris":["http://localhost/"],"grant_types":["client_credentials"]}',
            b'{"redirect_uris":["http://localhost/"],"response_types":["token"]}',
            b'{"redirect_uris":["http://localhost/"],"jwks":' + b"[" * 5000 + b"]" * 5000 + b"}",
        ],
    )
    async def test_must_say_what_it_is(self, laptop: Laptop, document: bytes) -> None:
        headers = {"content-type": "application/json"}
        response = await laptop.http.post(f"{laptop.origin}/register", content=document, headers=headers)
        assert response.status_code == 400
        assert response.json()["error"] in ("invalid_client_metadata", "invalid_redirect_uri")

    async def test_may_not_say_much(self, laptop: Laptop) -> None:
        assert (await laptop.register(client_name="n" * 16_384)).status_code == 413
        response = await laptop.http.post(
            f"{laptop.origin}/register", content=b"{}", headers={"content-type": "text/plain"}
        )
        assert response.status_code == 415

    async def test_is_one_of_so_many_and_is_forgotten_soon_if_nobody_uses_it(
        self, laptop: Laptop, clock: SetClock
    ) -> None:
        used = await laptop.a_client()
        await laptop.code(used)
        for _ in range(13):
            await asyncio.gather(*(laptop.a_client() for _ in range(23)))  # 299
        assert is_refused(await laptop.register(), "invalid_client_metadata")
        clock.now += DAY_S
        assert (await laptop.register()).status_code == 201
        assert (await laptop.page(used)).status_code == 200
        clock.now += 90 * DAY_S
        assert (await laptop.authorize(used)).status_code == 400


class TestARequestForASignIn:
    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
            ({"code_challenge_method": None}, "invalid_request"),  # RFC 7636 §4.3: then it is plain
            ({"code_challenge_method": ""}, "invalid_request"),
            ({"code_challenge_method": "s256"}, "invalid_request"),
            ({"code_challenge": None}, "invalid_request"),
            ({"code_challenge": CHALLENGE[:-1]}, "invalid_request"),
            ({"code_challenge": CHALLENGE + "="}, "invalid_request"),
            ({"code_challenge": CHALLENGE[:-1] + "+"}, "invalid_request"),
            ({"response_type": "token"}, "unsupported_response_type"),
            ({"response_type": None}, "invalid_request"),
            ({"scope": "mcp:tools admin"}, "invalid_scope"),
            ({"resource": ELSEWHERE}, "invalid_target"),
            ({"resource": "http://127.0.0.1/mcp"}, "invalid_target"),
        ],
    )
    async def test_is_refused_to_the_client_that_made_it(
        self, laptop: Laptop, client: str, changes: dict[str, str | None], error: str
    ) -> None:
        sent = back(await laptop.authorize(client, **changes))
        assert sent.address == CALLBACK
        assert set(sent.said) == {"error", "error_description", "state", "iss"}
        assert (sent.said["error"], sent.said["state"], sent.said["iss"]) == (error, STATE, laptop.origin)

    async def test_may_name_our_resource_or_none_and_no_other_beside_it(self, laptop: Laptop, client: str) -> None:
        assert (await laptop.page(client, resource=None)).status_code == 200
        query = f"client_id={client}&response_type=code&code_challenge={CHALLENGE}&code_challenge_method=S256"
        for resources, is_good in (
            ([laptop.url, laptop.url], True),
            ([laptop.url, ELSEWHERE], False),
            ([ELSEWHERE, laptop.url], False),
        ):
            both = "".join(f"&resource={each}" for each in resources)
            sent = back(await laptop.http.get(f"{laptop.origin}/authorize?{query}{both}"))
            assert sent.said.get("error") == (None if is_good else "invalid_target")

    @pytest.mark.parametrize(
        "changes",
        [
            {"redirect_uri": "http://127.0.0.1:4321/other"},
            {"redirect_uri": "http://127.0.0.1:4321/callback?more=1"},
            {"redirect_uri": "http://127.0.0.1:4321/callback#fragment"},
            {"redirect_uri": "https://127.0.0.1:4321/callback"},
            {"redirect_uri": "http://localhost:4321/callback"},
            {"redirect_uri": "http://user@127.0.0.1:4321/callback"},
            {"redirect_uri": "http://127.0.0.1:4321@evil.example/callback"},
            {"redirect_uri": "https://evil.example/callback"},
            {"redirect_uri": "javascript:alert(1)"},
            {"redirect_uri": "nowhere"},
            {"client_id": "https://evil.example/client.json"},  # a client ID metadata document is not fetched
            {"client_id": "00000000-0000-0000-0000-000000000000"},
            {"client_id": "é\ud7ff\n" * 1000},
            {"client_id": None},
        ],
    )
    async def test_is_refused_to_the_user_where_the_client_may_not_be_who_it_says(
        self, laptop: Laptop, client: str, changes: dict[str, str | None]
    ) -> None:
        response = await laptop.authorize(changes.pop("client_id", client) or "", **changes)
        assert (response.status_code, response.headers.get("location")) == (400, None)
        assert response.headers["content-type"] == "text/html; charset=utf-8"

    async def test_may_be_answered_at_another_port_of_this_machine_and_of_no_other(
        self, laptop: Laptop, client: str
    ) -> None:
        """RFC 8252 §7.3."""
        address = "http://127.0.0.1:9876/callback"
        code = await laptop.code(client, redirect_uri=address)
        assert is_refused(await laptop.redeem(client, code), "invalid_request")
        assert granted(await laptop.redeem(client, code, redirect_uri=address))
        elsewhere = await laptop.a_client(redirect_uris=["https://editor.example/callback"])
        response = await laptop.authorize(elsewhere, redirect_uri="https://editor.example:8443/callback")
        assert (response.status_code, response.headers.get("location")) == (400, None)

    async def test_need_not_say_where_to_be_answered_if_there_is_one_place(self, laptop: Laptop, client: str) -> None:
        code = await laptop.code(client, redirect_uri=None)
        assert granted(await laptop.redeem(client, code, redirect_uri=None))
        several = await laptop.a_client(redirect_uris=[CALLBACK, "https://editor.example/"])
        assert (await laptop.authorize(several, redirect_uri=None)).status_code == 400

    @pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "code_challenge", "scope"])
    async def test_says_nothing_twice(self, laptop: Laptop, client: str, name: str) -> None:
        """RFC 6749 §3.1."""
        url = (await laptop.authorize(client)).request.url
        response = await laptop.http.get(f"{url}&{name}=again")
        assert (response.status_code, response.headers.get("location")) == (400, None)

    async def test_is_of_a_size(self, laptop: Laptop, client: str) -> None:
        many = "".join(f"&n{number}=1" for number in range(60))
        assert (await laptop.http.get(f"{laptop.origin}/authorize?client_id={client}{many}")).status_code == 400


class TestASignIn:
    async def test_gives_a_token_that_says_who_for_whom_and_for_how_long(
        self, laptop: Laptop, client: str, clock: SetClock
    ) -> None:
        tokens = await laptop.tokens(client)
        assert {**tokens, "access_token": "", "refresh_token": ""} == {
            "access_token": "",
            "refresh_token": "",
            "token_type": "Bearer",
            "expires_in": 600,
            "scope": "mcp:tools spend:all",
        }
        keys = KeySet.import_key_set(json.loads(await laptop.login.jwks()))
        token = jwt.decode(tokens["access_token"], keys, algorithms=["ES256"])
        assert token.header == {"typ": "at+jwt", "alg": "ES256", "kid": keys.keys[0].kid}
        assert len(token.claims.pop("jti")) >= 16
        now = int(clock.now)
        assert token.claims == {
            "iss": laptop.origin,
            "sub": "Ann",
            "aud": laptop.url,
            "client_id": client,
            "scope": "mcp:tools spend:all",
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "email": "ann@example.com",
            "groups": ["finops"],
        }

    async def test_tells_the_client_its_state_and_who_answers(self, laptop: Laptop, client: str) -> None:
        response = await laptop.answer(await laptop.page(client), user="Ann")
        assert response.status_code == 303  # RFC 9700 §4.12: the form is not posted to the client
        assert response.headers["cache-control"] == "no-store"
        sent = back(response)
        assert sent.address == CALLBACK
        assert sent.said == {"code": sent.said["code"], "state": STATE, "iss": laptop.origin}
        without = back(await laptop.answer(await laptop.page(client, state=None), user="Ann"))
        assert set(without.said) == {"code", "iss"}

    async def test_leaves_the_query_of_the_clients_address_as_it_is(self, laptop: Laptop) -> None:
        address = f"{CALLBACK}?empty=&kept=%2F+%20"
        client = await laptop.a_client(redirect_uris=[address])
        response = await laptop.answer(await laptop.page(client, redirect_uri=address), user="Ann")
        assert response.headers["location"].startswith(f"{address}&code=")

    async def test_gives_no_more_than_the_user_may_allow(self, laptop: Laptop, client: str) -> None:
        tokens = await laptop.tokens(client, "Bob")
        assert tokens["scope"] == "mcp:tools"
        caller = await verified(laptop.login, tokens["access_token"], 1_800_000_000.25)
        assert (caller.subject, caller.scopes) == ("Bob", frozenset(("mcp:tools",)))
        sent = back(await laptop.answer(await laptop.page(client), user="Eve"))
        assert sent.said["error"] == "access_denied"

    async def test_gives_no_more_than_the_client_asked_for(self, laptop: Laptop, client: str) -> None:
        assert (await laptop.tokens(client, scope="spend:all"))["scope"] == "spend:all"
        assert (await laptop.tokens(client, scope=None))["scope"] == "mcp:tools spend:all"
        assert (await laptop.tokens(client, scope=""))["scope"] == "mcp:tools spend:all"

    async def test_may_be_denied(self, laptop: Laptop, client: str) -> None:
        for button in ({"deny": "yes"}, {"deny": "yes", "user": "Ann"}):
            page = await laptop.page(client)
            sent = back(await laptop.answer(page, **button))
            said = {"error": "access_denied", "error_description": "The user said no.", "state": STATE}
            assert sent == (CALLBACK, {**said, "iss": laptop.origin})
            assert (await laptop.answer(page, user="Ann")).status_code == 404

    async def test_is_for_one_of_those_who_are_shown(self, laptop: Laptop, client: str) -> None:
        page = await laptop.page(client)
        for button in ({"user": "Mallory"}, {"user": ""}, {}):
            response = await laptop.answer(page, **button)
            assert (response.status_code, response.headers.get("location")) == (400, None)
        assert back(await laptop.answer(page, user="Bob")).said["code"]

    async def test_is_answered_once(self, laptop: Laptop, client: str) -> None:
        page = await laptop.page(client)
        assert back(await laptop.answer(page, user="Ann")).said["code"]
        again = await laptop.answer(page, user="Bob")
        assert (again.status_code, again.headers.get("location")) == (404, None)

    async def test_is_answered_once_of_two_at_once(self, laptop: Laptop, client: str, store: Obedient) -> None:
        page = await laptop.page(client)
        store.before = both = Holds("remove")
        answers = asyncio.gather(laptop.answer(page, user="Ann"), laptop.answer(page, user="Bob"))
        await until(lambda: both.met == 2)
        both.go.set()
        assert sorted(each.status_code for each in await answers) == [303, 404]

    async def test_waits_ten_minutes(self, laptop: Laptop, client: str, clock: SetClock) -> None:
        page, late = await laptop.page(client), await laptop.page(client)
        clock.now += 599
        assert back(await laptop.answer(page, user="Ann")).said["code"]
        clock.now += 1
        assert (await laptop.answer(late, user="Ann")).status_code == 404
        assert (await laptop.http.get(late.url)).status_code == 404

    async def test_gives_way_to_newer_ones_where_too_many_wait(
        self, laptop: Laptop, client: str, clock: SetClock
    ) -> None:
        first = await laptop.page(client)
        clock.now += 1
        for _ in range(4):
            await asyncio.gather(*(laptop.authorize(client) for _ in range(25)))
        last = await laptop.page(client)
        assert (await laptop.answer(first, user="Ann")).status_code == 404
        assert back(await laptop.answer(last, user="Ann")).said["code"]

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "http://localhost:8000"},
            {"origin": "null"},
            {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
            {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
            {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        ],
        ids=str,
    )
    async def test_is_opened_and_answered_by_nobody_but_a_person(
        self, laptop: Laptop, client: str, headers: dict[str, str]
    ) -> None:
        page = await laptop.page(client)
        pending = parse_qs(urlsplit(str(page.url)).query)["pending"][0]
        asked = [
            await laptop.http.get(page.url, headers=headers),
            await laptop.http.post(page.url, headers=headers, data={"pending": pending, "user": "Ann"}),
            await laptop.http.get(f"{laptop.origin}/authorize?client_id={client}", headers=headers),
        ]
        assert {response.status_code for response in asked} == {403}
        assert not any("access-control-allow-origin" in response.headers for response in asked)
        own = {"origin": laptop.login.issuer, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
        response = await laptop.http.post(page.url, headers=own, data={"pending": pending, "user": "Ann"})
        assert back(response).said["code"]
        assert "access-control-allow-origin" not in response.headers

    async def test_needs_no_registration_for_our_own_client(self, laptop: Laptop) -> None:
        for address in ("http://127.0.0.1:5555/callback", "http://localhost:1/callback", "http://[::1]:65535/callback"):
            code = await laptop.code("tollbook", redirect_uri=address)
            tokens = granted(await laptop.redeem("tollbook", code, redirect_uri=address))
            assert granted(await laptop.refresh("tollbook", tokens["refresh_token"]))
        assert (await laptop.authorize("tollbook", redirect_uri="http://127.0.0.1:5555/other")).status_code == 400
        assert (await laptop.authorize("tollbook", redirect_uri="https://evil.example/callback")).status_code == 400
