"""Logins for tests: made up, and real ones of a real authorization server."""

import base64
import hashlib
import secrets
import time
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from tests.auth_servers.issuer import SCOPE
from tests.auth_servers.others import REDIRECT, AuthServer
from tests.hosting.serving import SetClock
from tollbook.client.login.login import Login

ACCESS: Final = "canary-access-0"
REFRESH: Final = "canary-refresh-0"
SECRET: Final = "canary-client-secret"  # noqa: S105
SECRETS: Final = (ACCESS, REFRESH, SECRET)
"""They stand in no sentence."""
LIFE_S: Final = 1000.0


def login(resource: str = "https://mcp.example/mcp", **otherwise: Any) -> Login:
    """A login that was made just now."""
    now = SetClock().now
    known = {
        "resource": resource,
        "issuer": "https://login.example",
        "client_id": "client",
        "access_token": ACCESS,
        "refresh_token": REFRESH,
        "scopes": ("use",),
        "issued": now,
        "expires": now + LIFE_S,
        "subject": "alice",
        "token_endpoint": "https://login.example/token",
    }
    return Login(**{**known, **otherwise})


async def real_login(server: AuthServer, resource: str) -> Login:
    """Signs in at `server` with the authorization code flow, by hand."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    async with httpx2.AsyncClient(timeout=10) as http:
        about = (await http.get(f"{server.issuer}/.well-known/openid-configuration")).json()
        asked = {
            "response_type": "code",
            "client_id": server.client,
            "redirect_uri": REDIRECT,
            "scope": f"openid offline_access {SCOPE}",
            "resource": resource,
            "state": "state",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "prompt": "consent",
        }
        back = await server.sign_in(f"{about['authorization_endpoint']}?{urlencode(asked)}")
        form = {
            "grant_type": "authorization_code",
            "code": parse_qs(urlsplit(back).query)["code"][0],
            "redirect_uri": REDIRECT,
            "client_id": server.client,
            "code_verifier": verifier,
            "resource": resource,
        }
        given = (await http.post(about["token_endpoint"], data=form)).json()
    now = time.time()
    return Login(
        resource=resource,
        issuer=server.issuer,
        client_id=server.client,
        access_token=given["access_token"],
        refresh_token=given["refresh_token"],
        scopes=tuple(given.get("scope", SCOPE).split()),
        issued=now,
        expires=now + given["expires_in"],
        token_endpoint=about["token_endpoint"],
    )
