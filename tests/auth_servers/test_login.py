"""Whoever is refused can log in, at authorization servers that are not ours: the SDK's own client does so unaided."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from mcp.client.auth import OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata
from pydantic import AnyUrl

from tests.auth_servers import cognito
from tests.auth_servers.cognito import CognitoLogin
from tests.auth_servers.issuer import PASSWORD, SCOPE, USER, base64url
from tests.auth_servers.keyring import Keyring
from tests.auth_servers.others import REDIRECT, AuthServer
from tests.hosting.serving import messages, modern, request
from tests.hosting.wire import Instance, instances

pytestmark = pytest.mark.anyio

Mode = Literal["auto", "legacy"]
LOGIN: Final = {"AUTH_METHOD": "oauth", "OAUTH_REQUIRED_SCOPE": SCOPE, "SEES_ALL": "anyone"}


@asynccontextmanager
async def tollbook(folder: Path, **environment: str) -> AsyncIterator[Instance]:
    words = ["--session-store", f"sqlite:{folder / 'store.db'}"]
    with instances(folder, 1, words, {**LOGIN, **environment}) as (running,):
        yield running


class User(Keyring):
    """A user at his client, and what that keeps for him.

    Attributes:
        back: the URL with which each login ended.
    """

    def __init__(self, server: AuthServer) -> None:
        super().__init__()
        self._server = server
        self.back: list[str] = []

    async def sign_in(self, url: str) -> None:
        self.back.append(await self._server.sign_in(url))

    async def come_back(self) -> AuthorizationCodeResult:
        given = {name: values[0] for name, values in parse_qs(urlsplit(self.back[-1]).query).items()}
        return AuthorizationCodeResult(code=given["code"], state=given.get("state"), iss=given.get("iss"))

    async def asks_who_he_is(self, url: str, mode: Mode) -> Mapping[str, Any]:
        """Connects with whatever was kept, logs in if that is wanted, and calls a tool."""
        about = OAuthClientMetadata(redirect_uris=[AnyUrl(REDIRECT)], client_name="the SDK's client")
        auth = OAuthClientProvider(url, about, self, self.sign_in, self.come_back)
        async with (
            httpx2.AsyncClient(auth=auth, timeout=30) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            said: Mapping[str, Any] | None = (await client.call_tool("whoami")).structured_content
            assert said is not None
            return said


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_sdks_client_gets_through_from_the_first_401(
    auth_server: AuthServer, mode: Mode, tmp_path: Path
) -> None:
    user = User(auth_server)
    async with tollbook(tmp_path, OAUTH_ISSUER=auth_server.issuer) as running:
        said = await user.asks_who_he_is(running.url, mode)
        assert user.client is not None
        assert user.tokens is not None
        assert (said["subject"], said["issuer"], said["client"]) == (USER, auth_server.issuer, user.client.client_id)
        assert SCOPE in said["scopes"]

        assert await user.asks_who_he_is(running.url, mode) == said
        assert len(user.back) == 1, "a second login, though the first is still good"

    written = running.log.read_text()
    assert '"status":401' in written
    assert '"status":200' in written
    code = (await user.come_back()).code
    for secret in (PASSWORD, code, user.tokens.access_token, user.tokens.refresh_token):
        assert secret
        assert secret not in written


async def test_a_token_for_one_server_opens_no_other(auth_server: AuthServer, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    user = User(auth_server)
    async with (
        tollbook(here, OAUTH_ISSUER=auth_server.issuer) as one,
        tollbook(there, OAUTH_ISSUER=auth_server.issuer) as other,
    ):
        await user.asks_who_he_is(one.url, "auto")
        assert user.tokens is not None
        assert await status_of(one.url, user.tokens.access_token) == 200
        assert await status_of(other.url, user.tokens.access_token) == 401


class TestACognitoUser:
    """Whoever gave his password to Cognito has a token that names no audience and no scope of ours."""

    @staticmethod
    def pool(login: CognitoLogin, **more: str) -> Mapping[str, str]:
        return {
            "COGNITO_REGION": login.region,
            "COGNITO_USER_POOL_ID": login.pool,
            "COGNITO_ALLOWED_CLIENT_IDS": login.client,
            "OAUTH_JWKS_URL": login.jwks_url,
            "AUTH_METADATA": "direct",  # the shim would ask AWS
            **more,
        }

    async def test_is_let_in_where_his_client_is_listed(self, cognito_login: CognitoLogin, tmp_path: Path) -> None:
        environment = self.pool(cognito_login, OAUTH_CLIENTS_WITHOUT_AUD=f"{cognito_login.client}:noscope")
        async with tollbook(tmp_path, **environment) as running:
            said = messages(await call(running.url, cognito_login.access_token))[-1]["result"]["structuredContent"]
            assert (said["subject"], said["client"]) == (cognito_login.subject, cognito_login.client)
            assert (said["issuer"], said["scopes"]) == (cognito_login.issuer, [cognito.SCOPE])

            assert await status_of(running.url, cognito_login.id_token) == 401
            head, body, proof = cognito_login.access_token.split(".")
            of_another = json.loads(base64.urlsafe_b64decode(f"{body}==")) | {"sub": "mallory"}
            forged = f"{head}.{base64url(json.dumps(of_another).encode())}.{proof}"
            assert await status_of(running.url, forged) == 401
        written = running.log.read_text()
        assert cognito_login.access_token not in written
        assert cognito_login.id_token not in written

    @pytest.mark.parametrize(("listed", "status"), [("", 401), ("{client}", 403)])
    async def test_is_refused_elsewhere(
        self, listed: str, status: int, cognito_login: CognitoLogin, tmp_path: Path
    ) -> None:
        without = listed.format(client=cognito_login.client)
        async with tollbook(tmp_path, **self.pool(cognito_login, OAUTH_CLIENTS_WITHOUT_AUD=without)) as running:
            assert await status_of(running.url, cognito_login.access_token) == status


async def status_of(url: str, token: str) -> int:
    return (await call(url, token)).status_code


async def call(url: str, token: str) -> httpx2.Response:
    """Asks who `token` is for."""
    message, headers = modern(request("tools/call", name="whoami", arguments={}))
    async with httpx2.AsyncClient(timeout=30) as http:
        return await http.post(url, json=message, headers={**headers, "authorization": f"Bearer {token}"})
