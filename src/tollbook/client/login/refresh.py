"""New access tokens without the user: RFC 6749 §6, and §4.4 for machines.

Authorization servers replace the refresh token with each use, and some take its second use for theft and end the whole
login. So only one process at a time asks, none is broken off while it does, and each looks first what others did.
"""

import asyncio
import base64
import math
from collections.abc import Coroutine
from typing import Any, Final, TypeVar
from urllib.parse import quote_plus

import httpx2
import msgspec

from tollbook.client.login.guard import PATIENCE_S, Guard, realm_of
from tollbook.client.login.login import Login, is_token, shown, subject_of, user_of
from tollbook.client.login.secrets import Say, VaultError
from tollbook.client.login.vault import Vault
from tollbook.client.trouble import ClientError, LoginNeeded, Misbehaved, Refused
from tollbook.core.stores import Clock

_LONGEST_LIFE_S: Final = 10 * 365 * 86400.0
# RFC 6749 §5.2, RFC 8707 §2: asking again would be answered alike. No other word of the answer is shown or believed.
_FINAL: Final = frozenset(
    (
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "unauthorized_client",
        "unsupported_grant_type",
    )
)
_T = TypeVar("_T")


async def renew(resource: str, vault: Vault, clock: Clock, *, instead_of: Login, say: Say) -> Login:
    """The login to use from now on at `resource`: what another process made of `instead_of`, or what is fetched here.

    Raises:
        LoginNeeded: there is none any more, or it cannot be renewed.
        ClientError: it could not be renewed now. It is kept.
    """
    async with vault.lock(resource):
        found = await asyncio.to_thread(vault.find, resource)
        if found is None:
            raise LoginNeeded(
                f"There is no login at {shown(resource)} any more. Run 'tollbook login {shown(resource)}'."
            )
        if found.access_token != instead_of.access_token and not found.is_due(clock()):
            return found
        try:
            return await _to_its_end(_renewed_and_kept(found, vault, clock, say))
        except LoginNeeded:
            # Not every file system has locks that hold: then another process may have been first.
            latest = await asyncio.to_thread(vault.find, resource)
            if latest is None or latest.access_token == found.access_token:
                raise
            return latest


async def refreshed(login: Login, clock: Clock, patience_s: float = PATIENCE_S) -> Login:
    """What the authorization server gives in the place of `login`.

    Raises:
        LoginNeeded: it does not renew it, now or later.
        ClientError: it gave no answer, or none of use.
    """
    if not login.is_renewable:
        raise _ended(login, "it came without a refresh token")
    request = _asked_of_cognito(login) if login.grant == "password" else _request(login)
    now = clock()
    try:
        async with Guard(await realm_of(login.resource), patience_s=patience_s) as guard:
            response = await guard.send(request)
    except ClientError as fault:
        raise type(fault)(f"{fault} The login at {shown(login.resource)} was not renewed, and is kept.") from fault
    given = _given_by_cognito(login, response) if login.grant == "password" else _given(login, response)
    return msgspec.structs.replace(
        login,
        access_token=given.access_token,
        refresh_token=given.refresh_token or login.refresh_token,
        scopes=login.scopes if given.scope is None else tuple(given.scope.split()),
        issued=now,
        expires=None if given.expires_in is None else now + min(float(given.expires_in), _LONGEST_LIFE_S),
        subject=subject_of(given.id_token, given.access_token) or login.subject,
    )


class _Given(msgspec.Struct):
    """RFC 6749 §5.1. Some write the number as a text."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105
    expires_in: float | str | None = None
    refresh_token: str | None = None
    scope: str | None = None
    id_token: str | None = None


class _Error(msgspec.Struct):
    """RFC 6749 §5.2."""

    error: str = ""


def _request(login: Login) -> httpx2.Request:
    form = {"grant_type": "client_credentials"}
    if login.refresh_token is not None:
        form = {"grant_type": "refresh_token", "refresh_token": login.refresh_token}
    elif login.scopes:
        form["scope"] = " ".join(login.scopes)
    indicator = login.resource if login.indicator is msgspec.UNSET else login.indicator
    if indicator is not None:
        form["resource"] = indicator
    headers = {"accept": "application/json"}
    secret = login.client_secret or ""
    method = login.token_auth_method or ("client_secret_basic" if secret else "none")
    if method == "client_secret_basic":
        # RFC 6749 §2.3.1: each is encoded as in a form before the two are joined.
        pair = f"{quote_plus(login.client_id)}:{quote_plus(secret)}"
        headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    elif method in ("client_secret_post", "none"):
        form["client_id"] = login.client_id
        if method == "client_secret_post":
            form["client_secret"] = secret
    else:
        raise _ended(login, "its client proves who it is in a way that is not repeated by itself")
    try:
        return httpx2.Request("POST", login.token_endpoint or "", data=form, headers=headers)
    except httpx2.InvalidURL:
        raise _ended(login, "the address for that is none") from None


def _given(login: Login, response: httpx2.Response) -> _Given:
    if response.status_code != 200:
        raise _refusal(login, response)
    try:
        given = msgspec.json.decode(response.content, type=_Given)
        life_s = None if given.expires_in is None else float(given.expires_in)
    except (ValueError, RecursionError):  # those of msgspec are ValueErrors
        raise _nonsense(login) from None
    is_life = life_s is None or (math.isfinite(life_s) and life_s >= 0)
    if not (is_life and is_token(given.access_token) and given.token_type.lower() == "bearer"):
        raise _nonsense(login)
    return msgspec.structs.replace(given, expires_in=life_s)


def _asked_of_cognito(login: Login) -> httpx2.Request:
    from tollbook.client.login.password import asked_again

    user = user_of(login.access_token) or ""
    return asked_again(
        login.token_endpoint or "", login.client_id, login.client_secret, user, login.refresh_token or ""
    )


def _given_by_cognito(login: Login, response: httpx2.Response) -> _Given:
    from tollbook.client.login.password import given

    if response.status_code >= 500 or response.status_code == 429:
        raise _refusal(login, response)
    theirs = given(response)
    if not is_token(theirs.access_token):
        raise _nonsense(login)
    return _Given(
        theirs.access_token,
        expires_in=theirs.expires_in,
        refresh_token=theirs.refresh_token,
        id_token=theirs.id_token,
    )


def _refusal(login: Login, response: httpx2.Response) -> ClientError:
    try:
        error = msgspec.json.decode(response.content, type=_Error).error
    except (ValueError, RecursionError):
        error = ""
    status = response.status_code
    if 400 <= status < 500 and error in _FINAL:
        return _ended(login, f"{_issuer(login)} answered '{error}'")
    return Refused(
        f"{_issuer(login)} answered {status} when the login at {shown(login.resource)} was to be renewed. It is kept;"
        f" try again, and if that does not help, run 'tollbook login {shown(login.resource)}'.",
        status,
    )


def _ended(login: Login, why: str) -> LoginNeeded:
    where = shown(login.resource)
    return LoginNeeded(f"The login at {where} cannot be renewed: {why}. Run 'tollbook login {where}'.")


def _nonsense(login: Login) -> Misbehaved:
    return Misbehaved(
        f"What {_issuer(login)} gave to renew the login at {shown(login.resource)} is no access token. Try again, or"
        f" run 'tollbook login {shown(login.resource)}'."
    )


def _issuer(login: Login) -> str:
    return shown(login.issuer)


async def _renewed_and_kept(login: Login, vault: Vault, clock: Clock, say: Say) -> Login:
    new = await refreshed(login, clock)
    try:
        await asyncio.to_thread(vault.keep, new)
    except VaultError as fault:
        say(f"{fault} It holds as long as this program runs.")
    return new


async def _to_its_end(work: Coroutine[Any, Any, _T]) -> _T:
    """Does `work` even if it is cancelled meanwhile: once asked for, a new token replaces the old, and must be kept."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise
