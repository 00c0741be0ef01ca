"""A program logs in with what is its own, and shows it to nobody else."""

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.auth_servers.issuer import Canary
from tests.auth_servers.others import nanoidp
from tests.client.login.making import SECRET
from tests.client.login.suspect import Suspect
from tests.hosting.serving import SetClock
from tollbook.client.login.flow import Flow, log_in
from tollbook.client.login.refresh import refreshed
from tollbook.client.login.vault import Vault
from tollbook.client.login.ways import Ways
from tollbook.client.trouble import ClientError, LoginNeeded

pytestmark = pytest.mark.anyio

CLIENT: Final = "a-program"


@pytest.fixture
def vault(tmp_path: Path, clock: SetClock) -> Vault:
    return Vault(tmp_path / "vault", "file", clock)


@pytest.fixture
def suspect() -> Iterator[Suspect]:
    with Suspect() as running:
        running.about["grant_types_supported"] = ["client_credentials"]
        del running.about["code_challenge_methods_supported"]  # there is no code
        del running.tokens["refresh_token"]
        yield running


def ways(suspect: Suspect, **given: Any) -> Ways:
    usual = {"grant": "client_credentials", "client_id": CLIENT, "client_secret": SECRET, "issuer": suspect.url}
    return Ways(**{**usual, **given})


@pytest.mark.parametrize(
    ("takes", "by_post"), [(None, False), (["client_secret_post"], True), (["client_secret_basic"], False)]
)
async def test_a_program_shows_its_secret_and_gets_a_token(
    suspect: Suspect, vault: Vault, clock: SetClock, takes: Any, by_post: bool
) -> None:
    suspect.about["token_endpoint_auth_methods_supported"] = takes
    login = await log_in(suspect.resource, ways(suspect, scopes=("use",)), vault, None, clock)
    sent = [each for each in suspect.requests if each.path == "/token"]
    assert len(sent) == 1
    form = suspect.form("/token")
    assert (form["grant_type"], form["resource"], form["scope"]) == ("client_credentials", suspect.resource, "use")
    proof = f"Basic {base64.b64encode(f'{CLIENT}:{SECRET}'.encode()).decode()}"
    assert (sent[0].headers.get("authorization") == proof) != by_post
    assert (form.get("client_secret") == SECRET) == by_post
    assert (login.grant, login.client_id, login.refresh_token) == ("client_credentials", CLIENT, None)
    assert vault.find(suspect.resource) == login
    assert suspect.asked["/register"] == 0

    await refreshed(login, clock)
    assert suspect.form("/token") == form


async def test_a_program_logs_in_by_itself_when_it_is_refused(suspect: Suspect, vault: Vault, clock: SetClock) -> None:
    flow = Flow(suspect.resource, ways(suspect), vault, None, clock)
    response = suspect.refusal(www_authenticate='Bearer scope="a b"')
    async for _ in flow(response.request, response, None):
        raise AssertionError("A login asks nobody by way of the connection.")
    assert suspect.form("/token")["scope"] == "a b"
    assert vault.find(suspect.resource) is not None


@pytest.mark.parametrize("key", [RSAKey.generate_key(2048), ECKey.generate_key("P-256")], ids=["RSA", "P-256"])
async def test_a_key_signs_in_the_place_of_a_secret(
    suspect: Suspect, vault: Vault, clock: SetClock, key: RSAKey | ECKey
) -> None:
    pem = key.as_pem(private=True).decode()
    login = await log_in(suspect.resource, ways(suspect, client_secret=None, client_key=pem), vault, None, clock)
    form = suspect.form("/token")
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    said = jwt.decode(form["client_assertion"], key, algorithms=["RS256", "ES256"]).claims
    assert (said["iss"], said["sub"], said["aud"]) == (CLIENT, CLIENT, suspect.url)
    assert time.time() < said["exp"] <= time.time() + 300
    assert pem not in f"{login}{suspect.requests}"


@pytest.mark.parametrize(
    "key", ["canary", ECKey.generate_key("P-384").as_pem(private=True).decode(), "-----BEGIN PRIVATE KEY-----\ncanary"]
)
async def test_what_is_no_key_is_said_to_be_none_and_not_shown(
    suspect: Suspect, vault: Vault, clock: SetClock, key: str
) -> None:
    with pytest.raises(ClientError, match="no private key of RSA or P-256") as raised:
        await log_in(suspect.resource, ways(suspect, client_key=key), vault, None, clock)
    assert "canary" not in str(raised.value)


async def test_a_public_key_and_another_kind_of_key_are_none(suspect: Suspect, vault: Vault, clock: SetClock) -> None:
    public = ECKey.generate_key("P-256").as_pem(private=False).decode()
    for key in (public, OKPKey.generate_key("Ed25519").as_pem(private=True).decode()):
        with pytest.raises(ClientError, match="no private key"):
            await log_in(suspect.resource, ways(suspect, client_key=key), vault, None, clock)


@pytest.mark.parametrize("missing", [{"client_id": None}, {"client_secret": None}])
async def test_credentials_must_be_whole(suspect: Suspect, vault: Vault, clock: SetClock, missing: Any) -> None:
    with pytest.raises(LoginNeeded, match=r"--client-id, and OAUTH_CLIENT_SECRET or --client-key"):
        await log_in(suspect.resource, ways(suspect, **missing), vault, None, clock)
    assert suspect.asked["/token"] == 0


async def test_without_an_issuer_a_secret_goes_nowhere(suspect: Suspect, vault: Vault, clock: SetClock) -> None:
    with pytest.raises(LoginNeeded, match=f"give --issuer {suspect.url}\\."):
        await log_in(suspect.resource, ways(suspect, issuer=None), vault, None, clock)
    assert suspect.asked["/token"] == suspect.asked["/register"] == 0


async def test_a_secret_goes_to_no_other_issuer(
    suspect: Suspect, vault: Vault, clock: SetClock, canary: Canary
) -> None:
    with pytest.raises(ClientError, match="is registered at"):
        await log_in(suspect.resource, ways(suspect, issuer=canary.url), vault, None, clock)
    assert suspect.asked["/token"] == 0
    assert canary.visits == 0


async def test_the_issuer_need_not_be_the_first_that_the_server_names(
    suspect: Suspect, vault: Vault, clock: SetClock, canary: Canary
) -> None:
    suspect.protected["authorization_servers"] = [canary.url, suspect.url]
    login = await log_in(suspect.resource, ways(suspect), vault, None, clock)
    assert login.issuer == suspect.url
    assert canary.visits == 0


async def test_a_wrong_secret_is_said_to_be(suspect: Suspect, vault: Vault, clock: SetClock) -> None:
    suspect.fail(401, "/token")
    with pytest.raises(LoginNeeded, match=r"gives no token \(status 401\)") as raised:
        await log_in(suspect.resource, ways(suspect), vault, None, clock)
    assert SECRET not in str(raised.value)


async def test_a_real_authorization_server_takes_it(vault: Vault, clock: SetClock, tmp_path: Path) -> None:
    with Suspect() as server, nanoidp(tmp_path) as real:
        server.protected["authorization_servers"] = [real.issuer]
        about = {
            "redirect_uris": ["http://127.0.0.1/callback"],
            "grant_types": ["client_credentials"],
            "token_endpoint_auth_method": "client_secret_basic",
        }
        async with httpx2.AsyncClient(timeout=10) as http:
            registered = (await http.post(f"{real.issuer}/register", json=about)).json()
        given = ways(
            server, issuer=real.issuer, client_id=registered["client_id"], client_secret=registered["client_secret"]
        )
        login = await log_in(server.resource, given, vault, None, clock)
        assert login.issuer == real.issuer
        assert (await refreshed(login, clock)).access_token != login.access_token
