"""What a client reads before it can log in: of the resource, RFC 9728, and of its authorization server, RFC 8414."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import httpx2
import pytest

from tests.auth_servers.issuer import AUDIENCE, SCOPE, Issuer
from tests.hosting.serving import PATIENCE_S, SetClock, a_server, serving, until
from tollbook.hosting import host
from tollbook.hosting.auth.gate import Gate
from tollbook.hosting.auth.metadata import Places, addresses_of, places_of, server_metadata, shim_document
from tollbook.hosting.auth.settings import auth_settings_from
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

Open = Callable[..., AbstractAsyncContextManager[str]]

RESOURCE: Final = "/.well-known/oauth-protected-resource"
SERVER: Final = "/.well-known/oauth-authorization-server"
OPENID: Final = "/.well-known/openid-configuration"
POOL: Final = "/eu-west-1_AbCdEfGhI"


def cognitos(issuer: str) -> dict[str, Any]:
    """What a Cognito user pool with a domain says of itself. It names neither PKCE nor clients without a secret.

    Sources:
        https://docs.aws.amazon.com/cognito/latest/developerguide/federation-endpoints.html
        https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
    """
    domain = "https://mydomain.auth.eu-west-1.amazoncognito.com"
    return {
        "authorization_endpoint": f"{domain}/oauth2/authorize",
        "end_session_endpoint": f"{domain}/logout",
        "id_token_signing_alg_values_supported": ["RS256"],
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "response_types_supported": ["code", "token"],
        "revocation_endpoint": f"{domain}/oauth2/revoke",
        "scopes_supported": ["openid", "email", "phone", "profile"],
        "subject_types_supported": ["public"],
        "token_endpoint": f"{domain}/oauth2/token",
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "userinfo_endpoint": f"{domain}/oauth2/userInfo",
    }


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """One whose metadata is like Cognito's."""
    with Issuer(POOL) as running:
        running.documents = {f"{POOL}{OPENID}": cognitos(running.url)}
        yield running


@pytest.fixture
def open_gate(issuer: Issuer, clock: SetClock) -> Open:
    """Serves a small server behind a gate that trusts `issuer`; gives where it is, without a path."""

    @asynccontextmanager
    async def opened(**environment: str) -> AsyncIterator[str]:
        store = MemoryStore(clock)
        gate = Gate(auth_settings_from({**environment_for(issuer), **environment}), store, clock=clock)
        app = host(a_server(), store, authenticate=gate.authenticate, pages=gate.pages, clock=clock)
        async with serving(app) as url:
            yield url.removesuffix("/mcp")

    return opened


def environment_for(issuer: Issuer) -> dict[str, str]:
    """That of a server for a Cognito user pool, whose issuer is another than its region and id would say."""
    return {
        "COGNITO_REGION": "eu-west-1",
        "COGNITO_USER_POOL_ID": POOL.removeprefix("/"),
        "COGNITO_ALLOWED_CLIENT_IDS": "client-of-ours",
        "OAUTH_ISSUER": issuer.url,
        "OAUTH_REQUIRED_SCOPE": SCOPE,
        "PUBLIC_URL": AUDIENCE,
    }


def whole(issuer: str, **changes: Any) -> dict[str, Any]:
    """What the shim makes of `cognitos`, field by field."""
    return {
        **cognitos(issuer),
        "issuer": "https://tollbook.example",
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "scopes_supported": [SCOPE],
        **changes,
    }


class TestWhereItLies:
    @pytest.mark.parametrize(
        ("public_url", "base", "document", "paths"),
        [
            (
                "https://tollbook.example/mcp",
                "https://tollbook.example",
                "https://tollbook.example/.well-known/oauth-protected-resource/mcp",
                (RESOURCE, f"{RESOURCE}/mcp"),
            ),
            (
                "http://127.0.0.1:3000/mcp",
                "http://127.0.0.1:3000",
                "http://127.0.0.1:3000/.well-known/oauth-protected-resource/mcp",
                (RESOURCE, f"{RESOURCE}/mcp"),
            ),
            (  # behind a stage of API Gateway, which has nothing at the root of its host
                "https://a1b2.execute-api.eu-west-1.amazonaws.com/prod/mcp",
                "https://a1b2.execute-api.eu-west-1.amazonaws.com/prod",
                "https://a1b2.execute-api.eu-west-1.amazonaws.com/prod/.well-known/oauth-protected-resource/mcp",
                (RESOURCE, f"{RESOURCE}/mcp", f"{RESOURCE}/prod/mcp"),
            ),
            (
                "https://tollbook.example/a/b/mcp",
                "https://tollbook.example/a/b",
                "https://tollbook.example/a/b/.well-known/oauth-protected-resource/mcp",
                (RESOURCE, f"{RESOURCE}/mcp", f"{RESOURCE}/a/b/mcp"),
            ),
            (  # behind a proxy that calls it otherwise
                "https://tollbook.example/costs",
                "https://tollbook.example",
                "https://tollbook.example/.well-known/oauth-protected-resource/costs",
                (RESOURCE, f"{RESOURCE}/mcp", f"{RESOURCE}/costs"),
            ),
            (
                "https://tollbook.example/tmcp",
                "https://tollbook.example",
                "https://tollbook.example/.well-known/oauth-protected-resource/tmcp",
                (RESOURCE, f"{RESOURCE}/mcp", f"{RESOURCE}/tmcp"),
            ),
        ],
    )
    def test_follows_from_the_url_of_the_resource(
        self, public_url: str, base: str, document: str, paths: tuple[str, ...]
    ) -> None:
        assert places_of(public_url, "/mcp") == Places(base, document, paths)

    @pytest.mark.parametrize(
        ("issuer", "addresses"),
        [
            ("https://a.example", (f"https://a.example{OPENID}", f"https://a.example{SERVER}")),
            ("https://a.example/", (f"https://a.example{OPENID}", f"https://a.example{SERVER}")),
            ("https://a.example/x", (f"https://a.example/x{OPENID}", f"https://a.example{SERVER}/x")),
            ("http://[::1]:9/x/y/", (f"http://[::1]:9/x/y{OPENID}", f"http://[::1]:9{SERVER}/x/y")),
        ],
    )
    def test_of_an_issuer_follows_from_his_name(self, issuer: str, addresses: tuple[str, ...]) -> None:
        assert addresses_of(issuer) == addresses


class TestOfTheResource:
    async def test_says_whose_tokens_and_which_scopes_open_it(
        self, open_gate: Open, issuer: Issuer, http: httpx2.AsyncClient
    ) -> None:
        expected = {
            "resource": AUDIENCE,
            "authorization_servers": [issuer.url],
            "scopes_supported": [SCOPE, "openid"],
            "bearer_methods_supported": ["header"],
        }
        async with open_gate(AUTH_METADATA="direct", COGNITO_SUPPORTED_SCOPES="openid") as url:
            for path in (RESOURCE, f"{RESOURCE}/mcp"):
                response = await http.get(url + path)
                assert (response.status_code, response.json()) == (200, expected)
                assert response.headers["content-type"] == "application/json"
                assert response.headers["cache-control"] == "public, max-age=300"
        assert not issuer.visits

    async def test_names_this_server_where_it_stands_in_for_the_issuer(
        self, open_gate: Open, http: httpx2.AsyncClient
    ) -> None:
        async with open_gate(PUBLIC_URL="https://a1b2.execute-api.eu-west-1.amazonaws.com/prod/mcp") as url:
            said = (await http.get(f"{url}{RESOURCE}/mcp")).json()
            assert (await http.get(f"{url}{RESOURCE}/prod/mcp")).json() == said
        assert said["resource"] == "https://a1b2.execute-api.eu-west-1.amazonaws.com/prod/mcp"
        assert said["authorization_servers"] == ["https://a1b2.execute-api.eu-west-1.amazonaws.com/prod"]

    async def test_is_the_same_whatever_the_request_says(self, open_gate: Open, http: httpx2.AsyncClient) -> None:
        headers = {
            "x-forwarded-host": "evil.example",
            "x-forwarded-proto": "gopher",
            "forwarded": "host=evil.example",
            "authorization": "Bearer bad",
        }
        async with open_gate() as url:
            plain = await http.get(url + RESOURCE)
            odd = await http.get(f"{url}{RESOURCE}?resource=https://evil.example", headers=headers)
            assert (odd.status_code, odd.content) == (200, plain.content)
            assert "evil" not in repr(odd.headers)
            elsewhere = await http.get(url + RESOURCE, headers={"host": "evil.example"})
            assert elsewhere.status_code == 421

    async def test_is_not_where_it_was_not_said_to_be(self, open_gate: Open, http: httpx2.AsyncClient) -> None:
        async with open_gate(AUTH_METADATA="direct") as url:
            for path in (f"{RESOURCE}/", f"{RESOURCE}/other", f"{RESOURCE}/mcp/x", f"/x{RESOURCE}", OPENID):
                assert (await http.get(url + path)).status_code == 404


class TestOfTheAuthorizationServer:
    def test_is_made_whole_and_every_address_in_it_stays_his(self, issuer: Issuer) -> None:
        his = f"https://cognito-idp.eu-west-1.amazonaws.com{POOL}"
        places = places_of(AUDIENCE, "/mcp")
        made = shim_document(auth_settings_from(environment_for(issuer)), places, cognitos(his))
        assert json.loads(made) == whole(his)
        assert server_metadata(made, places.base)  # as a client would check it

    @pytest.mark.parametrize(
        ("given", "domain"),
        [
            ("login-of-ours", "https://login-of-ours.auth.eu-west-1.amazoncognito.com"),
            ("login.tollbook.example", "https://login.tollbook.example"),
        ],
    )
    def test_leads_to_the_login_pages_that_were_named(self, issuer: Issuer, given: str, domain: str) -> None:
        settings = auth_settings_from({**environment_for(issuer), "COGNITO_DOMAIN": given})
        made = json.loads(shim_document(settings, places_of(AUDIENCE, "/mcp"), cognitos(issuer.url)))
        assert made == whole(
            issuer.url,
            authorization_endpoint=f"{domain}/oauth2/authorize",
            token_endpoint=f"{domain}/oauth2/token",
            revocation_endpoint=f"{domain}/oauth2/revoke",
            userinfo_endpoint=f"{domain}/oauth2/userInfo",
        )

    def test_leaves_out_what_would_not_be_true_of_this_server(self, issuer: Issuer) -> None:
        theirs = {
            **cognitos(issuer.url),
            "authorization_response_iss_parameter_supported": False,
            "signed_metadata": "a.b.c",
            "request_parameter_supported": True,
            "token_endpoint_auth_methods_supported": "none",
            "grant_types_supported": ["authorization_code"],
            "registration_endpoint": "http://register.example",
            "revocation_endpoint": ["https://login.example/revoke"],
            "userinfo_endpoint": "javascript:alert(1)",
        }
        settings = auth_settings_from(environment_for(issuer))
        expected = whole(
            issuer.url,
            grant_types_supported=["authorization_code"],
            token_endpoint_auth_methods_supported=["none"],
        )
        for unsafe in ("revocation_endpoint", "userinfo_endpoint"):
            del expected[unsafe]
        assert json.loads(shim_document(settings, places_of(AUDIENCE, "/mcp"), theirs)) == expected

    def test_leaves_what_he_says_himself(self, issuer: Issuer) -> None:
        said = {
            "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
            "registration_endpoint": "https://register.example",
            "client_id_metadata_document_supported": True,
        }
        settings = auth_settings_from(environment_for(issuer))
        made = shim_document(settings, places_of(AUDIENCE, "/mcp"), {**cognitos(issuer.url), **said})
        assert json.loads(made) == whole(issuer.url, **said)

    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [
            (["S256"], ["S256"]),
            (["plain", "S256"], ["S256"]),
            (["plain"], ["plain"]),  # with which clients of MCP have nothing to do
            ([], []),
            (None, []),
            ("S256", []),
            (7, []),
        ],
    )
    def test_offers_no_better_proof_of_a_code_than_he_does(self, issuer: Issuer, theirs: Any, ours: list[str]) -> None:
        settings = auth_settings_from(environment_for(issuer))
        said = {**cognitos(issuer.url), "code_challenge_methods_supported": theirs}
        made = json.loads(shim_document(settings, places_of(AUDIENCE, "/mcp"), said))
        assert made["code_challenge_methods_supported"] == ours

    def test_says_what_counts_where_he_says_nothing(self, issuer: Issuer) -> None:
        """RFC 8414 §2: without a word of it, clients prove themselves with their secret in the header."""
        theirs = cognitos(issuer.url)
        del theirs["token_endpoint_auth_methods_supported"], theirs["response_types_supported"]
        settings = auth_settings_from(environment_for(issuer))
        made = json.loads(shim_document(settings, places_of(AUDIENCE, "/mcp"), theirs))
        assert made["token_endpoint_auth_methods_supported"] == ["client_secret_basic", "none"]
        assert made["response_types_supported"] == ["code"]

    async def test_is_served_at_both_places_where_clients_look(
        self, open_gate: Open, issuer: Issuer, http: httpx2.AsyncClient
    ) -> None:
        async with open_gate() as url:
            for path in (SERVER, OPENID):
                response = await http.get(url + path)
                assert (response.status_code, response.json()) == (200, whole(issuer.url))
                assert response.headers["cache-control"] == "public, max-age=300"

    async def test_is_at_its_own_place_where_nothing_is_made_of_it(
        self, open_gate: Open, issuer: Issuer, http: httpx2.AsyncClient
    ) -> None:
        async with open_gate(AUTH_METADATA="direct") as url:
            for method in ("GET", "HEAD"):
                response = await http.request(method, url + SERVER)
                assert response.status_code == 302
                assert response.headers["location"] == issuer.url + OPENID
                assert response.content == b""
        assert not issuer.visits

    async def test_is_asked_for_once_however_many_want_it(
        self, open_gate: Open, issuer: Issuer, http: httpx2.AsyncClient
    ) -> None:
        async with open_gate() as url:
            issuer.slow()
            waiting = [asyncio.create_task(http.get(url + path)) for path in [SERVER, OPENID] * 10]
            await until(lambda: issuer.visits)
            issuer.well()
            assert {response.status_code for response in await asyncio.gather(*waiting)} == {200}
        assert issuer.visits == 1

    async def test_is_asked_for_anew_every_quarter_of_an_hour_and_nobody_waits_for_it(
        self, open_gate: Open, issuer: Issuer, http: httpx2.AsyncClient, clock: SetClock
    ) -> None:
        async with open_gate() as url:

            async def seen() -> Any:
                return (await http.get(url + SERVER)).json()["end_session_endpoint"]

            before = await seen()
            for quarter in range(1, 5):
                after = f"https://login.example/logout-{quarter}"
                issuer.documents[f"{POOL}{OPENID}"]["end_session_endpoint"] = after
                clock.now += 15 * 60 - 1
                assert await seen() == before
                assert issuer.visits == quarter
                clock.now += 1
                issuer.slow()
                assert await seen() == before
                issuer.well()
                async with asyncio.timeout(PATIENCE_S):
                    while await seen() != after:
                        pass
                before = after
        assert issuer.visits == 5

    async def test_lasts_a_day_while_he_is_away(
        self, open_gate: Open, issuer: Issuer, http: httpx2.AsyncClient, clock: SetClock
    ) -> None:
        async with open_gate() as url:
            before = await http.get(url + SERVER)
            issuer.dead()
            clock.now += 24 * 3600 - 1
            assert (await http.get(url + SERVER)).content == before.content
            clock.now += 31
            assert (await http.get(url + SERVER)).status_code == 503


class TestAnIssuerWhoCannotBeAsked:
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda issuer, about: issuer.dead(),
            lambda issuer, about: issuer.fail(500),
            lambda issuer, about: issuer.garbage(),
            lambda issuer, about: issuer.garbage(b"[]"),
            lambda issuer, about: issuer.garbage(b"[" * 30_000),
            lambda issuer, about: issuer.huge(),
            lambda issuer, about: issuer.redirect(f"{issuer.url}/elsewhere"),
            lambda issuer, about: about.update(issuer="https://evil.example"),
            lambda issuer, about: about.update(issuer=issuer.url + "/"),
            lambda issuer, about: about.update(issuer=[issuer.url]),
            lambda issuer, about: about.pop("issuer"),
            lambda issuer, about: about.update(jwks_uri="http://keys.example/jwks.json"),
            lambda issuer, about: about.update({"token_endpoint": "ftp://login.example/token"}),
            lambda issuer, about: about.update(authorization_endpoint="javascript:alert(1)"),
            lambda issuer, about: about.update(authorization_endpoint=["https://login.example"]),
            lambda issuer, about: about.update(authorization_endpoint="https://[login.example"),
            lambda issuer, about: about.pop("token_endpoint"),
            # RFC 9207 §2.4: clients would compare his name with ours.
            lambda issuer, about: about.update(authorization_response_iss_parameter_supported=True),
        ],
    )
    async def test_is_told_as_503_with_a_time_to_try_again(
        self,
        open_gate: Open,
        issuer: Issuer,
        http: httpx2.AsyncClient,
        clock: SetClock,
        caplog: pytest.LogCaptureFixture,
        spoil: Callable[[Issuer, dict[str, Any]], object],
    ) -> None:
        place = f"{POOL}{OPENID}"
        spoil(issuer, issuer.documents[place])
        async with open_gate() as url:
            for _ in range(3):
                response = await http.get(url + SERVER)
                assert (response.status_code, response.headers["retry-after"]) == (503, "30")
                assert response.json()["error"]["message"] == "The authorization server cannot be reached."
            said = [record.message for record in caplog.records if record.levelname == "WARNING"]
            assert said == ["the issuer's metadata cannot be had"]
            issuer.documents[place] = cognitos(issuer.url)
            issuer.well()
            clock.now += 29
            assert (await http.get(url + SERVER)).status_code == 503
            clock.now += 1
            assert (await http.get(url + SERVER)).json() == whole(issuer.url)

    async def test_does_not_make_the_resource_unknown(
        self, open_gate: Open, issuer: Issuer, http: httpx2.AsyncClient
    ) -> None:
        issuer.dead()
        async with open_gate() as url:
            assert (await http.get(url + RESOURCE)).status_code == 200


@pytest.mark.parametrize("environment", [{"AUTH_METADATA": "direct"}, {"AUTH_METADATA": "shim"}])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
async def test_only_reading_is_allowed(
    open_gate: Open, issuer: Issuer, http: httpx2.AsyncClient, environment: Mapping[str, str], method: str
) -> None:
    async with open_gate(**environment) as url:
        for path in (RESOURCE, f"{RESOURCE}/mcp", SERVER):
            response = await http.request(method, url + path, content=b"{}")
            assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
    assert not issuer.visits


async def test_a_web_page_of_an_allowed_origin_may_read_it(open_gate: Open, http: httpx2.AsyncClient) -> None:
    async with open_gate() as url:
        response = await http.get(url + RESOURCE, headers={"origin": "http://localhost:6274"})
        assert response.headers["access-control-allow-origin"] == "http://localhost:6274"
        for method in ("GET", "OPTIONS"):
            response = await http.request(method, url + RESOURCE, headers={"origin": "https://evil.example"})
            assert response.status_code == 403


async def test_and_may_ask_before_it_sends_headers_of_its_own(
    open_gate: Open, issuer: Issuer, http: httpx2.AsyncClient
) -> None:
    """The SDK's client sends the revision of the protocol along, for which a browser needs leave."""
    asked = {"access-control-request-method": "GET", "access-control-request-headers": "mcp-protocol-version"}
    async with open_gate() as url:
        for path in (RESOURCE, f"{RESOURCE}/mcp", SERVER, OPENID):
            response = await http.options(url + path, headers={"origin": "http://localhost:6274", **asked})
            assert response.status_code == 204
            assert "*" in response.headers["access-control-allow-headers"]
    assert not issuer.visits


@pytest.mark.parametrize("document", [b"", b"[]", b"null", b"{", b"\xff", b'"issuer"', b"[" * 100_000, b"{}"])
def test_metadata_that_is_none_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the metadata is"):
        server_metadata(document, "https://a.example")
