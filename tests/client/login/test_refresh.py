"""A login is renewed as RFC 6749 says, at its authorization server and nowhere else; threats 35 and 40."""

import base64
import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msgspec
import pytest

from tests.auth_servers.cognito import CognitoLogin
from tests.auth_servers.issuer import PASSWORD, USER, Canary, Issuer
from tests.auth_servers.others import AuthServer
from tests.client.login.making import LIFE_S, REFRESH, SECRET, SECRETS, login, real_login
from tests.client.login.renewing import Renewing
from tests.hosting.serving import SetClock
from tollbook.client.login.login import Login
from tollbook.client.login.refresh import refreshed
from tollbook.client.trouble import ClientError, LoginNeeded, Misbehaved, Refused

pytestmark = pytest.mark.anyio

RESOURCE = "http://127.0.0.1:9/mcp"
GIVEN = {"access_token": "new-access", "token_type": "Bearer", "expires_in": 600}


def here(issuer: Issuer, **otherwise: Any) -> Login:
    """A login at the tests' own issuer."""
    known = {"issuer": issuer.url, "token_endpoint": f"{issuer.url}/token", "client_id": issuer.client}
    return login(RESOURCE, **{**known, **otherwise})


def form_of(issuer: Issuer) -> dict[str, str]:
    (request,) = issuer.requests
    assert (request.method, request.path, request.query) == ("POST", "/token", "")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    return dict(parse_qsl(request.body.decode(), strict_parsing=True))


async def test_what_is_given_takes_the_place_of_what_was(issuer: Issuer) -> None:
    id_token = issuer.id_token(email="alice@example.com")
    issuer.documents["/token"] = {**GIVEN, "refresh_token": "new-refresh", "scope": "a b", "id_token": id_token}
    clock = SetClock()
    clock.now += LIFE_S
    before = here(issuer)
    assert await refreshed(before, clock) == msgspec.structs.replace(
        before,
        access_token=GIVEN["access_token"],
        refresh_token="new-refresh",  # noqa: S106
        scopes=("a", "b"),
        issued=clock.now,
        expires=clock.now + 600,
        subject="alice@example.com",
    )
    assert form_of(issuer) == {
        "grant_type": "refresh_token",
        "refresh_token": REFRESH,
        "client_id": issuer.client,
        "resource": RESOURCE,
    }
    assert "authorization" not in issuer.requests[0].headers


async def test_what_is_not_given_stays(issuer: Issuer) -> None:
    issuer.documents["/token"] = {"access_token": "new-access", "token_type": "bearer"}
    before = here(issuer)
    after = await refreshed(before, SetClock())
    assert after == msgspec.structs.replace(before, access_token=GIVEN["access_token"], expires=None)


@pytest.mark.parametrize(("said", "life_s"), [(600, 600), (0.5, 0.5), ("600", 600), (10**12, 10 * 365 * 86400)])
async def test_how_long_it_holds_may_be_written_in_several_ways(issuer: Issuer, said: Any, life_s: float) -> None:
    issuer.documents["/token"] = {**GIVEN, "expires_in": said}
    after = await refreshed(here(issuer), SetClock())
    assert after.expires == after.issued + life_s


class TestAClientSaysWhoItIs:
    ODD = "a:b c/é%"

    async def test_in_the_form(self, issuer: Issuer) -> None:
        issuer.documents["/token"] = GIVEN
        known = here(issuer, client_id=self.ODD, client_secret=SECRET, token_auth_method="client_secret_post")  # noqa: S106
        await refreshed(known, SetClock())
        form = form_of(issuer)
        assert (form["client_id"], form["client_secret"]) == (self.ODD, SECRET)
        assert "authorization" not in issuer.requests[0].headers

    @pytest.mark.parametrize("method", [None, "client_secret_basic"])
    async def test_in_a_header_where_each_half_is_encoded_first(self, issuer: Issuer, method: str | None) -> None:
        issuer.documents["/token"] = GIVEN
        known = here(issuer, client_id=self.ODD, client_secret=f"{SECRET}:+", token_auth_method=method)
        await refreshed(known, SetClock())
        assert not {"client_id", "client_secret"} & form_of(issuer).keys()
        scheme, _, text = issuer.requests[0].headers["authorization"].partition(" ")
        # RFC 6749 §2.3.1 and its appendix B
        assert (scheme, base64.b64decode(text)) == ("Basic", f"a%3Ab+c%2F%C3%A9%25:{SECRET}%3A%2B".encode())

    async def test_and_in_no_other_way(self, issuer: Issuer) -> None:
        with pytest.raises(LoginNeeded, match="in a way that is not repeated by itself"):
            await refreshed(here(issuer, token_auth_method="private_key_jwt"), SetClock())  # noqa: S106
        assert not issuer.visits


@pytest.mark.parametrize(("indicator", "sent"), [("https://mcp.example", "https://mcp.example"), (None, None)])
async def test_the_resource_is_named_as_it_was_when_the_login_was_made(
    issuer: Issuer, indicator: str | None, sent: str | None
) -> None:
    issuer.documents["/token"] = GIVEN
    await refreshed(here(issuer, indicator=indicator), SetClock())
    assert form_of(issuer).get("resource") == sent


async def test_a_machine_asks_with_its_own_credentials(issuer: Issuer) -> None:
    issuer.documents["/token"] = GIVEN
    machine = here(issuer, grant="client_credentials", refresh_token=None, client_secret=SECRET, scopes=("a", "b"))
    assert (await refreshed(machine, SetClock())).access_token == GIVEN["access_token"]
    assert form_of(issuer) == {"grant_type": "client_credentials", "scope": "a b", "resource": RESOURCE}


async def test_a_login_without_a_refresh_token_is_not_renewed(issuer: Issuer) -> None:
    with pytest.raises(
        LoginNeeded, match=r"^The login at http://127\.0\.0\.1:9/mcp cannot be renewed: it came without"
    ):
        await refreshed(here(issuer, refresh_token=None), SetClock())
    assert not issuer.visits


async def test_a_real_authorization_server_renews_it(auth_server: AuthServer) -> None:
    first = await real_login(auth_server, RESOURCE)
    clock = SetClock()
    second = await refreshed(first, clock)
    third = await refreshed(second, clock)
    assert len({first.access_token, second.access_token, third.access_token}) == 3
    assert third.subject == USER
    assert third.expires is not None
    with pytest.raises(LoginNeeded, match="answered 'invalid_grant'"):
        await refreshed(first, clock)


async def test_a_login_by_password_is_renewed_where_it_was_made(cognito_login: CognitoLogin) -> None:
    parts = urlsplit(cognito_login.jwks_url)
    endpoint = f"{parts.scheme}://{parts.netloc}/"
    form = {
        "AuthFlow": "USER_PASSWORD_AUTH",
        "ClientId": cognito_login.client,
        "AuthParameters": {"USERNAME": USER, "PASSWORD": PASSWORD},
    }
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "AWSCognitoIdentityProviderService.InitiateAuth",
    }
    async with httpx2.AsyncClient() as http:
        answer = (await http.post(endpoint, json=form, headers=headers)).json()
    given = answer["AuthenticationResult"]
    first = login(
        RESOURCE,
        issuer=cognito_login.issuer,
        client_id=cognito_login.client,
        access_token=given["AccessToken"],
        refresh_token=given["RefreshToken"],
        token_endpoint=endpoint,
        grant="password",
    )
    second = await refreshed(first, SetClock())
    assert second.access_token.count(".") == 2
    assert second.refresh_token == first.refresh_token
    assert second.subject == USER
    assert second.expires == second.issued + given["ExpiresIn"]
    with pytest.raises(LoginNeeded, match="Cognito refuses the login"):
        await refreshed(msgspec.structs.replace(first, refresh_token="of-nobody"), SetClock())  # noqa: S106


async def fault_of(known: Login, patience_s: float = 10) -> ClientError:
    """What comes of it; and nothing of it is secret."""
    with pytest.raises(ClientError) as raised:
        await refreshed(known, SetClock(), patience_s)
    chain: list[BaseException] = [raised.value]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    for secret in (*SECRETS, "new-access", "new-refresh"):
        assert not [each for each in chain if secret in str(each) or secret in repr(each)]
    assert re.search(r"[.;] .", str(raised.value)), "it does not say what to do next"
    return raised.value


@pytest.mark.parametrize(
    "error", ["invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope", "invalid_target"]
)
@pytest.mark.parametrize("status", [400, 401])
async def test_a_refusal_ends_the_login_and_is_named(error: str, status: int) -> None:
    with Renewing() as server:
        server.refuse(error, status)
        fault = await fault_of(server.login(RESOURCE))
    assert isinstance(fault, LoginNeeded)
    assert fault.exit_code == 3
    assert str(fault) == (
        f"The login at {RESOURCE} cannot be renewed: {server.url} answered '{error}'. Run 'tollbook login {RESOURCE}'."
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("server_error", 500),
        ("temporarily_unavailable", 503),
        ("invalid_grant", 503),
        ("slow_down", 429),
        ("", 404),
        (REFRESH, 400),
        ("invalid_grant", 302),
    ],
)
async def test_any_other_failure_does_not(error: str, status: int) -> None:
    with Renewing() as server:
        server.refuse(error, status)
        fault = await fault_of(server.login(RESOURCE))
    assert isinstance(fault, Refused)
    assert fault.status == status
    assert f"{server.url} answered {status} when" in str(fault)
    assert "It is kept; try again" in str(fault)


async def test_an_authorization_server_that_cannot_be_reached_does_not_either(issuer: Issuer) -> None:
    issuer.dead()
    assert "was not renewed, and is kept" in str(await fault_of(here(issuer)))


@pytest.mark.parametrize("manner", ["slow", "dribble"])
async def test_one_that_takes_its_time_is_not_waited_for_for_ever(issuer: Issuer, manner: str) -> None:
    issuer.documents["/token"] = {**GIVEN, "more": "x" * 10_000}
    getattr(issuer, manner)()
    assert "did not answer within 0.3 s" in str(await fault_of(here(issuer), 0.3))


async def test_one_that_talks_without_end_is_not_listened_to(issuer: Issuer) -> None:
    issuer.documents["/token"] = GIVEN
    issuer.huge()
    assert re.search("answers with more than [0-9,]+ bytes", str(await fault_of(here(issuer))))


@pytest.mark.parametrize(
    "answer",
    [
        b"<!doctype html>new-access",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b"\xff",
        json.dumps({**GIVEN, "access_token": ""}).encode(),
        json.dumps({**GIVEN, "access_token": "new-access\r\nX-More: 1"}).encode(),
        json.dumps({**GIVEN, "access_token": ["new-access"]}).encode(),
        json.dumps({**GIVEN, "token_type": "mac"}).encode(),
        json.dumps({**GIVEN, "expires_in": -1}).encode(),
        json.dumps({**GIVEN, "expires_in": "soon"}).encode(),
        json.dumps({**GIVEN, "expires_in": "nan"}).encode(),
        b'{"access_token":"new-access","expires_in":1e999}',
    ],
)
async def test_what_is_no_token_is_not_taken_for_one(issuer: Issuer, answer: bytes) -> None:
    issuer.garbage(answer)
    fault = await fault_of(here(issuer))
    assert isinstance(fault, Misbehaved)
    assert "is no access token" in str(fault)


@pytest.mark.parametrize("status", [302, 307, 308])
async def test_a_redirect_is_not_followed(issuer: Issuer, canary: Canary, status: int) -> None:
    issuer.redirect(f"{canary.url}/token", status)
    assert isinstance(await fault_of(here(issuer)), Refused)
    assert not canary.visits


@pytest.mark.parametrize(
    ("resource", "endpoint"),
    [
        ("https://mcp.example/mcp", "http://login.example/token"),
        ("http://127.0.0.1:9/mcp", "http://192.0.2.1/token"),
        ("https://192.0.2.1/mcp", "{canary}/token"),
        ("https://10.0.0.1/mcp", "{canary}/token"),
        ("https://192.0.2.1/mcp", "https://10.0.0.1/token"),
        ("http://127.0.0.1:9/mcp", "http://169.254.169.254/latest/meta-data"),
        ("http://127.0.0.1:9/mcp", "{canary}@evil.example/token"),
        ("http://127.0.0.1:9/mcp", "ftp://127.0.0.1/token"),
        ("http://127.0.0.1:9/mcp", "file:///etc/passwd"),
        ("http://127.0.0.1:9/mcp", "https://[::1/"),
    ],
)
async def test_a_refresh_token_goes_nowhere_where_no_login_may_lead(
    canary: Canary, resource: str, endpoint: str
) -> None:
    await fault_of(login(resource, token_endpoint=endpoint.format(canary=canary.url)))
    assert not canary.visits
