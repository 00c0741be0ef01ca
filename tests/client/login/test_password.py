"""A login by password, at Cognito as moto plays it."""

import base64
import hashlib
import hmac
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config

from tests.auth_servers.cognito import CognitoLogin
from tests.auth_servers.issuer import PASSWORD, USER
from tests.client.login.making import SECRET
from tests.client.login.people import User, nobody
from tests.client.login.suspect import Suspect
from tests.hosting.serving import SetClock
from tollbook.client.login.flow import Flow, log_in
from tollbook.client.login.refresh import refreshed
from tollbook.client.login.vault import Vault
from tollbook.client.login.ways import Ways
from tollbook.client.trouble import ClientError, LoginNeeded
from tollbook.core.errors import UsageError

pytestmark = pytest.mark.anyio

POOL: Final = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI"


@pytest.fixture
def vault(tmp_path: Path, clock: SetClock) -> Vault:
    return Vault(tmp_path / "vault", "file", clock)


@pytest.fixture
def suspect() -> Iterator[Suspect]:
    """A server whose users are Cognito's; it plays Cognito, too, at `/cognito`."""
    with Suspect() as running:
        running.about["jwks_uri"] = f"{POOL}/.well-known/jwks.json"
        yield running


def ways(suspect: Suspect, **given: Any) -> Ways:
    usual = {"grant": "password", "client_id": "app", "user": USER, "password_endpoint": f"{suspect.url}/cognito"}
    return Ways(**{**usual, **given})


class TestAtMoto:
    @pytest.fixture
    def endpoint(self, cognito_login: CognitoLogin) -> str:
        return cognito_login.jwks_url.removesuffix(f"/{cognito_login.pool}/.well-known/jwks.json")

    async def test_a_user_logs_in_and_the_login_renews_itself(
        self,
        cognito_login: CognitoLogin,
        endpoint: str,
        suspect: Suspect,
        vault: Vault,
        tmp_path: Path,
        clock: SetClock,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        user = User(nobody, PASSWORD)
        given = ways(suspect, issuer=cognito_login.issuer, client_id=cognito_login.client, password_endpoint=endpoint)
        login = await log_in(suspect.resource, given, vault, user, clock)
        assert (login.issuer, login.client_id, login.grant) == (cognito_login.issuer, cognito_login.client, "password")
        assert login.subject
        assert login.expires == clock.now + 3600
        assert vault.find(suspect.resource) == login
        assert user.asked == [f"Password of {USER}: "]

        renewed = await refreshed(login, clock)
        assert renewed.access_token
        assert renewed.refresh_token
        shown = f"{user.told}{user.asked}{caplog.text}{login!r}{given!r}"
        for secret in (PASSWORD, login.access_token, login.refresh_token):
            assert secret
            assert secret not in shown
        assert not any(PASSWORD.encode() in file.read_bytes() for file in (tmp_path / "vault").iterdir())

    async def test_a_wrong_password_is_said_to_be(
        self, cognito_login: CognitoLogin, endpoint: str, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        given = ways(suspect, issuer=cognito_login.issuer, client_id=cognito_login.client, password_endpoint=endpoint)
        with pytest.raises(LoginNeeded, match="the user or the password is wrong") as raised:
            await log_in(suspect.resource, given, vault, User(nobody, "canary-wrong"), clock)
        assert "canary" not in str(raised.value)

    async def test_a_user_who_must_choose_a_password_is_sent_to_the_browser(
        self, cognito_login: CognitoLogin, endpoint: str, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        settings = Config(region_name=cognito_login.region)
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        with closing(
            boto3.session.Session().client("cognito-idp", endpoint_url=endpoint, config=settings, **keys)
        ) as aws:
            aws.admin_create_user(
                UserPoolId=cognito_login.pool, Username="new", TemporaryPassword=PASSWORD, MessageAction="SUPPRESS"
            )
        given = ways(
            suspect, issuer=cognito_login.issuer, client_id=cognito_login.client, password_endpoint=endpoint, user="new"
        )
        with pytest.raises(LoginNeeded, match="must choose a new password first"):
            await log_in(suspect.resource, given, vault, User(nobody, PASSWORD), clock)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"ChallengeName": "SOFTWARE_TOKEN_MFA", "Session": "canary"}, "more than a password"),
        ({"ChallengeName": "MFA_SETUP"}, "set up a second factor"),
        ({"ChallengeName": "canary"}, "more than a password"),
        ({}, "more than a password"),
        ({"AuthenticationResult": {"AccessToken": 5}}, "cannot be read"),
        ({"AuthenticationResult": {"AccessToken": "canary\r\nx", "ExpiresIn": 5}}, "no access token"),
        ([], "cannot be read"),
    ],
)
async def test_whatever_is_not_a_token_is_explained(
    suspect: Suspect, vault: Vault, clock: SetClock, said: Any, why: str
) -> None:
    suspect.documents["/cognito"] = said
    with pytest.raises(ClientError, match=why) as raised:
        await log_in(suspect.resource, ways(suspect), vault, User(nobody, PASSWORD), clock)
    assert "canary" not in str(raised.value)
    assert vault.find(suspect.resource) is None


async def test_no_words_at_all_are_no_answer(suspect: Suspect, vault: Vault, clock: SetClock) -> None:
    suspect.garbage(b"\xff", path="/cognito")
    with pytest.raises(ClientError, match=r"answer \(status 200\) cannot be read"):
        await log_in(suspect.resource, ways(suspect), vault, User(nobody, PASSWORD), clock)


async def test_the_keys_tell_that_a_server_with_metadata_of_its_own_has_users_of_cognito(
    suspect: Suspect, vault: Vault, clock: SetClock
) -> None:
    suspect.documents["/cognito"] = {"AuthenticationResult": {"AccessToken": "a.b.c", "ExpiresIn": 60}}
    login = await log_in(suspect.resource, ways(suspect), vault, User(nobody, PASSWORD), clock)
    assert (login.issuer, login.token_endpoint) == (POOL, f"{suspect.url}/cognito")
    asked = suspect.posted("/cognito")
    assert asked == {
        "AuthFlow": "USER_PASSWORD_AUTH",
        "ClientId": "app",
        "AuthParameters": {"USERNAME": USER, "PASSWORD": PASSWORD},
    }
    target = suspect.requests[-1].headers["x-amz-target"]
    assert target == "AWSCognitoIdentityProviderService.InitiateAuth"


async def test_a_client_with_a_secret_proves_that_it_has_it(suspect: Suspect, vault: Vault, clock: SetClock) -> None:
    suspect.documents["/cognito"] = {"AuthenticationResult": {"AccessToken": "a.b.c", "ExpiresIn": 60}}
    await log_in(suspect.resource, ways(suspect, client_secret=SECRET), vault, User(nobody, PASSWORD), clock)
    made = hmac.digest(SECRET.encode(), f"{USER}app".encode(), hashlib.sha256)
    assert suspect.posted("/cognito")["AuthParameters"]["SECRET_HASH"] == base64.b64encode(made).decode()
    assert SECRET not in str(suspect.requests)


@pytest.mark.parametrize(
    "keys",
    [
        None,
        "https://login.example/keys",
        "https://cognito-idp.eu-west-1.amazonaws.com.evil.example/eu-west-1_A/keys",
        "https://evil.example/https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A",
        "https://cognito-idp.eu-west-1.evil.amazonaws.com/eu-west-1_A",
        "http://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A",
        "https://cognito-idp.eu-west-1.amazonaws.com/us-east-1_A",
    ],
)
async def test_nobody_else_is_told_a_password(
    suspect: Suspect, vault: Vault, clock: SetClock, keys: str | None
) -> None:
    suspect.about["jwks_uri"] = keys
    user = User(nobody, PASSWORD)
    with pytest.raises(ClientError, match="has no login by password: its users are not Amazon Cognito's"):
        await log_in(suspect.resource, ways(suspect), vault, user, clock)
    assert user.asked == []


@pytest.mark.parametrize("missing", [{"client_id": None}, {"user": None}])
async def test_it_is_said_what_is_missing(suspect: Suspect, vault: Vault, clock: SetClock, missing: Any) -> None:
    with pytest.raises(UsageError, match="give --client-id and --user"):
        await log_in(suspect.resource, ways(suspect, **missing), vault, User(nobody), clock)


async def test_a_password_gets_nobody_more_scopes(suspect: Suspect, vault: Vault, clock: SetClock) -> None:
    flow = Flow(suspect.resource, ways(suspect), vault, User(nobody), clock)
    response = suspect.refusal(403, www_authenticate='Bearer error="insufficient_scope", scope="more"')
    with pytest.raises(LoginNeeded, match="more than a login by password may do"):
        async for _ in flow(response.request, response, None):
            pass
