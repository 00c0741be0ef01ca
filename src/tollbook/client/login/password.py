"""The login with a user's password, at Amazon Cognito: for where no browser can be had, and only if asked for by name.

Source: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_InitiateAuth.html
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final

import httpx2
import msgspec

from tollbook.client.login.browser import Person
from tollbook.client.login.guard import Guard
from tollbook.client.login.issuer import issuer_of
from tollbook.client.login.login import Login, is_token, shown, subject_of
from tollbook.client.login.provider import LONGEST_LIFE_S, Challenge
from tollbook.client.login.ways import Ways
from tollbook.client.trouble import ClientError, LoginNeeded, Misbehaved
from tollbook.core.errors import UsageError
from tollbook.core.stores import Clock
from tollbook.core.text import printable

_POOL: Final = re.compile(
    r"(?P<issuer>https://(?:issuer-)?cognito-idp\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?P<china>\.cn)?"
    r"/(?P=region)_[A-Za-z0-9]+)(?:/.*)?"
)
_NAME: Final = re.compile(r"[A-Za-z]{1,60}Exception")


async def log_in(resource: str, ways: Ways, guard: Guard, challenge: Challenge, person: Person, clock: Clock) -> Login:
    """Asks `person` for the password of `ways.user`; it is not kept.

    Raises:
        LoginNeeded, ClientError: there is no login; with what to do.
        UsageError: `ways` has no client or no user.
    """
    if ways.client_id is None or ways.user is None:
        raise UsageError("A login by password needs a client and a user; give --client-id and --user.")
    pool = _Pool.at(ways.issuer or "")
    if pool is None:
        named = await issuer_of(resource, guard, challenge, ways.issuer)
        # A server that has metadata of its own for Cognito is told by its keys.
        pool = _Pool.at(named.name) or _Pool.at(named.keys)
    if pool is None:
        raise _no_cognito(resource)
    password = await person.read_secretly(f"Password of {printable(ways.user)}: ")
    endpoint = ways.password_endpoint or pool.endpoint
    proof = {"USERNAME": ways.user, "PASSWORD": password, **_proof_of(ways.client_id, ways.client_secret, ways.user)}
    now = clock()
    tokens = given(await guard.send(_request(endpoint, "USER_PASSWORD_AUTH", ways.client_id, proof)))
    if not is_token(tokens.access_token):
        raise Misbehaved("What Cognito gives is no access token; try again later.")
    return Login(
        resource=resource,
        issuer=pool.issuer,
        client_id=ways.client_id,
        client_secret=ways.client_secret,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        issued=now,
        expires=now + min(max(tokens.expires_in, 0), LONGEST_LIFE_S),
        subject=subject_of(tokens.id_token, tokens.access_token),
        token_endpoint=endpoint,
        grant="password",
    )


def asked_again(endpoint: str, client_id: str, secret: str | None, user: str, refresh_token: str) -> httpx2.Request:
    """Asks for a new access token; `given` reads the answer.

    Args:
        user: as Cognito calls him in `username`, whatever he had typed; needed only where the client has a secret.
    """
    proof = {"REFRESH_TOKEN": refresh_token, **_proof_of(client_id, secret, user)}
    return _request(endpoint, "REFRESH_TOKEN_AUTH", client_id, proof)


class Given(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What Cognito gives; `expires_in` is in seconds.

    A refresh token comes with the password, and later if it rotates.
    """

    access_token: str
    expires_in: int
    id_token: str | None = None
    refresh_token: str | None = None


def given(response: httpx2.Response) -> Given:
    """What Cognito gives.

    Raises:
        LoginNeeded: nothing, and why.
        Misbehaved: that is no answer of Cognito.
    """
    try:
        if response.status_code != 200:
            fault = msgspec.json.decode(response.content, type=_Fault).type.rpartition("#")[2]
            name = fault if _NAME.fullmatch(fault) else f"status {response.status_code}"
            why = _FAULTS.get(fault) or f"Cognito refuses the login ({name}); try again later."
            raise LoginNeeded(why)
        reply = msgspec.json.decode(response.content, type=_Reply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        status = response.status_code
        raise Misbehaved(f"Cognito's answer (status {status}) cannot be read; try again later.") from None
    if reply.authentication_result is None:
        raise LoginNeeded(_CHALLENGES.get(reply.challenge_name or "", _SECOND_FACTOR))
    return reply.authentication_result


class _Pool(msgspec.Struct, frozen=True):
    """A user pool: its name as an issuer, and where its API is."""

    issuer: str
    endpoint: str

    @classmethod
    def at(cls, address: str) -> "_Pool | None":
        """That of an issuer identifier, or of what lies below it."""
        found = _POOL.fullmatch(address)
        if found is None:
            return None
        return cls(found["issuer"], f"https://cognito-idp.{found['region']}.amazonaws.com{found['china'] or ''}/")


class _Reply(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Tokens, or a challenge in their place."""

    authentication_result: Given | None = None
    challenge_name: str | None = None


class _Fault(msgspec.Struct, frozen=True):
    """An error of AWS's JSON protocol; its type may stand behind a namespace."""

    type: str = msgspec.field(name="__type", default="")


def _request(endpoint: str, flow: str, client_id: str, proof: Mapping[str, str]) -> httpx2.Request:
    body: Mapping[str, Any] = {"AuthFlow": flow, "ClientId": client_id, "AuthParameters": proof}
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "AWSCognitoIdentityProviderService.InitiateAuth",
    }
    return httpx2.Request("POST", endpoint, content=msgspec.json.encode(body), headers=headers)


def _proof_of(client_id: str, secret: str | None, user: str) -> Mapping[str, str]:
    """What a client with a secret adds.

    Source: https://docs.aws.amazon.com/cognito/latest/developerguide/signing-up-users-in-your-app.html
    """
    if secret is None:
        return {}
    made = hmac.digest(secret.encode(), f"{user}{client_id}".encode(), hashlib.sha256)
    return {"SECRET_HASH": base64.b64encode(made).decode()}


def _no_cognito(resource: str) -> ClientError:
    return ClientError(
        f"{shown(resource)} has no login by password: its users are not Amazon Cognito's; log in with the browser."
    )


_SECOND_FACTOR: Final = (
    "This user must show more than a password, which a login by password cannot ask for; log in with the browser."
)
_CHALLENGES: Final = {
    "NEW_PASSWORD_REQUIRED": "This user must choose a new password first; log in with the browser once.",
    "MFA_SETUP": "This user must set up a second factor first; log in with the browser once.",
}
_FAULTS: Final = {
    "NotAuthorizedException": (
        "Cognito refuses the login: the user or the password is wrong, the last login has ended, or the client has a"
        " secret that was not given; check them, and log in again."
    ),
    "UserNotFoundException": "Cognito knows no such user; check the name.",
    "UserNotConfirmedException": "This user has not confirmed the account yet; do so, and log in again.",
    "PasswordResetRequiredException": "This user's password was reset; choose a new one in the browser first.",
    "InvalidParameterException": (
        "Cognito lets this client log in nobody by password; switch on ALLOW_USER_PASSWORD_AUTH for it, or log in with"
        " the browser."
    ),
    "ResourceNotFoundException": "Cognito does not know this client; check --client-id.",
    "TooManyRequestsException": "Cognito was asked too often; wait a minute, and log in again.",
}
