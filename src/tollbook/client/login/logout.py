"""How a login ends: it is taken back where it was given, and forgotten here.

Source: RFC 7009
"""

import asyncio
import base64
import math
import ssl
from collections.abc import AsyncIterator, Sequence
from urllib.parse import quote_plus

import httpx2
import msgspec

from tollbook.client.login.guard import Guard, Resolve, looked_up, realm_of
from tollbook.client.login.login import Login, canonical, shown
from tollbook.client.login.vault import Vault
from tollbook.client.trouble import ClientError
from tollbook.core.stores import Clock


class LoggedOut(msgspec.Struct, frozen=True):
    """What became of the logins at a server.

    Attributes:
        logins: those that were forgotten; none where there was none.
        left: what could not be taken back, a sentence each.
    """

    logins: Sequence[Login]
    left: Sequence[str]


async def log_out(
    resource: str, vault: Vault, clock: Clock, *, resolve: Resolve = looked_up, trust: ssl.SSLContext | None = None
) -> LoggedOut:
    """Takes back every login at a server, and forgets it, whether or not it could be taken back.

    Raises:
        VaultError: they cannot be read or forgotten.
    """
    resource = canonical(resource)
    left: list[str] = []
    async with vault.lock(resource):
        logins = [login for login in await asyncio.to_thread(vault.all) if login.resource == resource]
        for login in logins:
            try:
                async with Guard(await realm_of(resource, resolve), resolve=resolve, trust=trust) as guard:
                    left += [each async for each in _taken_back(login, guard, clock())]
            except ClientError as fault:
                left.append(f"{fault} What {shown(login.issuer)} gave holds until it ends by itself.")
            await asyncio.to_thread(vault.forget, login)
    return LoggedOut(logins, left)


async def _taken_back(login: Login, guard: Guard, now: float) -> AsyncIterator[str]:
    """Takes back a login, and says what of it could not be."""
    # §2.1: with the refresh token, a server ends the access tokens as well, if it can end these at all.
    tokens = {"refresh_token": login.refresh_token, "access_token": login.access_token if login.is_alive(now) else None}
    for kind, token in tokens.items():
        if token is None:
            continue
        why = "has no place for that"
        if login.revocation_endpoint is not None:
            response = await guard.send(_revocation(login, login.revocation_endpoint, kind, token))
            if response.status_code == 200:
                continue
            why = f"answered with status {response.status_code}"
        expires = login.expires if kind == "access_token" else None
        ends = "by itself" if expires is None else f"in {_span(expires - now)}"
        yield f"{shown(login.issuer)} did not take the {kind.replace('_', ' ')} back ({why}): it ends {ends}."


def _span(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{math.ceil(minutes / 60)} h"


def _revocation(login: Login, endpoint: str, kind: str, token: str) -> httpx2.Request:
    form = {"token": token, "token_type_hint": kind}
    headers = {"accept": "application/json"}
    secret = login.client_secret or ""
    method = login.token_auth_method or ("client_secret_basic" if secret else "none")
    if method == "client_secret_basic":
        # RFC 6749 §2.3.1: each is encoded as in a form before the two are joined.
        pair = f"{quote_plus(login.client_id)}:{quote_plus(secret)}"
        headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form["client_id"] = login.client_id
        if method == "client_secret_post":
            form["client_secret"] = secret
    return httpx2.Request("POST", endpoint, data=form, headers=headers)
