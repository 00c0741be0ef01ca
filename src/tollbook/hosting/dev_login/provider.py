"""What the SDK's handlers ask: who a client is, what a code is good for, which tokens it gets."""

import math
import re
import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    AuthorizeError,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    TokenError,
)
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyUrl

from tollbook.core.stores import Clock, Store
from tollbook.hosting.dev_login.clients import Client, Clients
from tollbook.hosting.dev_login.drawer import Drawer
from tollbook.hosting.dev_login.keys import Signer
from tollbook.hosting.dev_login.metadata import SIGN_IN
from tollbook.hosting.dev_login.tickets import Asked, Grant, Tickets
from tollbook.hosting.dev_login.users import DevUser

_TOKEN_S: Final = 600
_PENDING_S: Final = 600
_MOST_PENDING: Final = 100
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # RFC 7636 §4.2, of S256


class Provider(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Answers them from the store, so that any instance answers the same.

    Attributes:
        pending: sign-ins that wait for the user, by an id that is in his page.
    """

    def __init__(
        self,
        store: Store,
        partition: str,
        issuer: str,
        resource: str,
        users: Mapping[str, DevUser],
        clients: Clients,
        signer: Signer,
        clock: Clock,
    ) -> None:
        self._issuer, self._resource, self._users = issuer, resource, users
        self._clients, self._signer, self._clock = clients, signer, clock
        self._tickets = Tickets(store, partition, clock)
        self.pending = Drawer(store, f"{partition}/pending", Asked)

    async def get_client(self, client_id: str) -> Client | None:
        return await self._clients.find(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        await self._clients.register(client_info)

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        if params.resource not in (None, self._resource):  # RFC 8707 §2
            raise AuthorizeError("invalid_target", "Another resource's tokens are not made here.")
        if not _CHALLENGE.fullmatch(params.code_challenge):
            raise AuthorizeError("invalid_request", "code_challenge is no SHA-256 hash in base64url.")
        if await self.pending.count() >= _MOST_PENDING:  # the oldest goes, so that nobody can fill it for others
            await self.pending.remove_next()
        asked = Asked(
            client_id=client.client_id,
            client_name=client.client_name or "",
            redirect_uri=str(params.redirect_uri),
            names_redirect=params.redirect_uri_provided_explicitly,
            state=params.state,
            scopes=None if params.scopes is None else tuple(params.scopes),
            challenge=params.code_challenge,
        )
        pending = secrets.token_urlsafe(32)
        await self.pending.add(pending, asked, self._clock() + _PENDING_S)
        return f"{SIGN_IN}?{urlencode({'pending': pending})}"

    async def grant(self, asked: Asked, user: DevUser, scopes: tuple[str, ...]) -> str:
        """The code that tells a client of the user's consent."""
        await self._clients.note_use(asked.client_id)
        return await self._tickets.begin(asked, user.name, scopes)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        ticket = await self._tickets.find("code", authorization_code, client.client_id)
        if ticket is None or ticket.asked is None:
            return None
        return AuthorizationCode(
            code=authorization_code,
            scopes=list(ticket.grant.scopes),
            expires_at=math.inf,  # the SDK would ask another clock
            client_id=client.client_id,
            code_challenge=ticket.asked.challenge,
            redirect_uri=AnyUrl(ticket.asked.redirect_uri),
            redirect_uri_provided_explicitly=ticket.asked.names_redirect,
        )

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        ticket = await self._tickets.use("code", authorization_code.code, client.client_id)
        if ticket is None:
            raise TokenError("invalid_grant", "The code was used, or what it gave has ended.")
        return await self._tokens(client, ticket.grant, ticket.grant.scopes)

    async def load_refresh_token(self, client: OAuthClientInformationFull, refresh_token: str) -> RefreshToken | None:
        ticket = await self._tickets.find("refresh", refresh_token, client.client_id)
        if ticket is None:
            return None
        return RefreshToken(token=refresh_token, client_id=client.client_id, scopes=list(ticket.grant.scopes))

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        ticket = await self._tickets.use("refresh", refresh_token.token, client.client_id)
        if ticket is None:
            raise TokenError("invalid_grant", "The refresh token was used, or its grant has ended.")
        return await self._tokens(client, ticket.grant, tuple(scopes))

    async def load_access_token(self, token: str) -> None:
        """None is kept: whoever is asked for the resource verifies its signature."""

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        ticket = await self._tickets.find("refresh", token.token, token.client_id)
        if ticket is not None:
            await self._tickets.end(ticket.grant)

    async def _tokens(self, client: OAuthClientInformationFull, grant: Grant, scopes: tuple[str, ...]) -> OAuthToken:
        user = self._users.get(grant.user)
        if user is None:  # this server was started with others
            raise TokenError("invalid_grant", "There is no such user any more.")
        scope = " ".join(each for each in scopes if each in user.scopes)
        now = int(self._clock())
        # RFC 9068 §2.2
        claims = {
            **user.claims,
            "iss": self._issuer,
            "sub": user.name,
            "aud": self._resource,
            "client_id": client.client_id,
            "scope": scope,
            "iat": now,
            "nbf": now,
            "exp": now + _TOKEN_S,
            "jti": secrets.token_urlsafe(16),
        }
        refreshes = "refresh_token" in client.grant_types
        return OAuthToken(
            access_token=await self._signer.sign(claims),
            expires_in=_TOKEN_S,
            scope=scope,
            refresh_token=await self._tickets.issue("refresh", grant) if refreshes else None,
        )
