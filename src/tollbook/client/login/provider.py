"""The SDK's OAuth client, driven by hand: it says what to ask whom, we ask, and look at what it does not look at.

Source: https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization
"""

import contextlib
import json
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import httpx2
import msgspec

from tollbook.client.login.guard import Guard
from tollbook.client.login.login import Grant, Login, is_token, shown, subject_of
from tollbook.client.protocol import MODERN_VERSIONS
from tollbook.client.trouble import ClientError, LoginNeeded, Misbehaved
from tollbook.core.text import printable

if TYPE_CHECKING:
    from mcp.client.auth import OAuthClientProvider
    from mcp.shared.auth import OAuthClientInformationFull, OAuthMetadata, OAuthToken

LONGEST_LIFE_S: Final = 10 * 365 * 86400
"""That is believed of a token."""
_CHALLENGE_HEADERS: Final = ("www-authenticate", "x-amzn-remapped-www-authenticate")
"""API Gateway renames the first.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
"""
_BEARER: Final = re.compile(r"(?:^|,)\s*bearer(?:\s|$)", re.IGNORECASE)
_PARAMETER: Final = re.compile(r'\b([a-z_]+)\s*=\s*(?:"([^"\\]*)"|([^\s",]+))', re.IGNORECASE)
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §3.3
# As all that are registered are written (RFC 6749 §11.4). In other words, whatever was sent might be said again.
_ERROR: Final = re.compile(r"[a-z_]{1,60}")


class Nowhere(ClientError):
    """No authorization server is named, or what is named is none."""


class Challenge(msgspec.Struct, frozen=True):
    """What a server says with a 401 or 403: RFC 6750 §3, RFC 9728 §5.1.

    Attributes:
        metadata: the web address of its metadata.
    """

    status: int
    metadata: str | None = None
    scopes: tuple[str, ...] = ()
    error: str | None = None


def challenge_of(response: httpx2.Response) -> Challenge:
    """What a server wants before it answers. Of several challenges, the one for a bearer of tokens counts."""
    for header in _CHALLENGE_HEADERS:
        for text in response.headers.get_list(header):
            if found := _BEARER.search(text):
                said: dict[str, str] = {}
                for name, quoted, plain in _PARAMETER.findall(text, found.end()):
                    said.setdefault(name.lower(), quoted or plain)
                scopes = tuple(filter(_SCOPE.fullmatch, said.get("scope", "").split()))
                place = _address(said.get("resource_metadata", ""))
                return Challenge(response.status_code, place, scopes, said.get("error"))
    return Challenge(response.status_code)


def _address(text: str) -> str | None:
    """`text`, if it is a web address."""
    try:
        return text if httpx2.URL(text).scheme in ("http", "https") else None
    except httpx2.InvalidURL:
        return None


class Storage:
    """The SDK's `TokenStorage`, for the time of one login."""

    def __init__(self, tokens: "OAuthToken | None" = None, client: "OAuthClientInformationFull | None" = None) -> None:
        self.tokens, self.client = tokens, client

    async def get_tokens(self) -> "OAuthToken | None":
        return self.tokens

    async def set_tokens(self, tokens: "OAuthToken") -> None:
        self.tokens = tokens

    async def get_client_info(self) -> "OAuthClientInformationFull | None":
        return self.client

    async def set_client_info(self, client_info: "OAuthClientInformationFull") -> None:
        self.client = client_info


class Course:
    """One login, from a server's refusal to a token or to the reason why there is none.

    Args:
        learned: is told the authorization server's metadata before anything of it is used.

    Attributes:
        context: the SDK's.
        metadata: of the authorization server, once it is known.
        document: the same as it came, with what the SDK leaves out.
    """

    def __init__(
        self, provider: "OAuthClientProvider", guard: Guard, learned: Callable[["OAuthMetadata"], Awaitable[None]]
    ) -> None:
        self.context = provider.context
        self.metadata: OAuthMetadata | None = None
        self.document: Mapping[str, Any] = {}
        self._provider, self._guard, self._learned = provider, guard, learned
        self._answer: httpx2.Response | None = None
        self._failure: int | None = None
        self._place = httpx2.URL("")

    @property
    def known(self) -> "OAuthMetadata | None":
        """The authorization server's metadata, if the SDK goes by that which `learned` was told."""
        return self.metadata if self.metadata == self.context.oauth_metadata else None

    async def run(self, challenge: Challenge, *, prefers: str | None = None, only_looks: bool = False) -> None:
        """Goes through all of it.

        Args:
            prefers: an issuer that is taken if the server names it among others.
            only_looks: ends before anyone is asked for more than metadata.

        Raises:
            ClientError, LoginNeeded: there is no token; with what to do.
        """
        from mcp.client.auth import OAuthFlowError

        # It logs every fault with a traceback, in whose words state and code may stand. What there is to say is raised.
        logging.getLogger("mcp.client.auth").setLevel(logging.CRITICAL + 1)
        # The version makes it send `resource` also where a server has no metadata of its own.
        request = httpx2.Request("POST", self.context.server_url, headers={"mcp-protocol-version": MODERN_VERSIONS[0]})
        async with contextlib.aclosing(self._provider.async_auth_flow(request)) as steps:
            try:
                await self._walk(steps, request, challenge, prefers, only_looks)
            except (OAuthFlowError, ValueError, OverflowError) as fault:
                # Strangers' text has any form. The cause is left out, since its words may be secret.
                raise self._reason(fault, challenge) from None

    async def login(self, grant: Grant, now: float) -> Login:
        """What came of it.

        Args:
            now: in seconds since 1970.

        Raises:
            Misbehaved: no token of use.
        """
        tokens, client, metadata = await self.context.storage.get_tokens(), self.context.client_info, self.metadata
        if tokens is None or client is None or metadata is None or not is_token(tokens.access_token):
            raise Misbehaved(f"What {self._issuer()} gives is no access token; log in again, or tell whoever runs it.")
        life_s = tokens.expires_in
        return Login(
            resource=self.context.server_url,
            issuer=str(metadata.issuer),
            client_id=client.client_id,
            client_secret=client.client_secret,
            token_auth_method=client.token_endpoint_auth_method,
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            scopes=tuple((tokens.scope or "").split()),
            issued=now,
            expires=None if life_s is None else now + min(max(life_s, 0), LONGEST_LIFE_S),
            subject=subject_of(self._id_token(), tokens.access_token),
            token_endpoint=str(metadata.token_endpoint),
            revocation_endpoint=None if metadata.revocation_endpoint is None else str(metadata.revocation_endpoint),
            grant=grant,
            indicator=self.context.get_resource_url(),
        )

    async def _walk(
        self,
        steps: AsyncGenerator[httpx2.Request, httpx2.Response],
        request: httpx2.Request,
        challenge: Challenge,
        prefers: str | None,
        only_looks: bool,
    ) -> None:
        await anext(steps)  # the request that was refused
        asked = await steps.asend(_refusal(challenge, request))
        while asked is not request:  # that once more, with the token, is for whoever sent it first
            if asked.method != "GET":
                if self.known is None:
                    raise self.nowhere()
                if only_looks:
                    return
            if self._answer is None or asked is not self._answer.next_request:  # a redirect leads to the same place
                self._place = asked.url
            answer = self._answer = await self._guard.send(asked)
            if asked.method == "GET" and (answer.status_code >= 500 or answer.status_code == 429):
                self._failure = answer.status_code
            if answer.status_code == 200 and self._is_of_resource(challenge):
                answer = _with_first(answer, prefers)
            elif answer.status_code == 200 and self._is_of_issuer():
                await self._learn(answer)
            asked = await steps.asend(answer)

    async def _learn(self, answer: httpx2.Response) -> None:
        from mcp.shared.auth import OAuthMetadata

        try:
            metadata = OAuthMetadata.model_validate_json(answer.content)
            self.document = json.loads(answer.content)
        except (ValueError, RecursionError):
            return  # the SDK goes on to the next place
        self.metadata = metadata
        await self._learned(metadata)

    def _is_of_resource(self, challenge: Challenge) -> bool:
        named = challenge.metadata is not None and self._place == httpx2.URL(challenge.metadata)
        return named or self._place.path.startswith("/.well-known/oauth-protected-resource")

    def _is_of_issuer(self) -> bool:
        path = self._place.path
        return "/.well-known/oauth-authorization-server" in path or "/.well-known/openid-configuration" in path

    def _id_token(self) -> str | None:
        """Which came with the tokens; unverified."""
        try:
            token = None if self._answer is None else json.loads(self._answer.content).get("id_token")
        except (ValueError, AttributeError, RecursionError):
            return None
        return token if isinstance(token, str) else None

    def nowhere(self) -> ClientError:
        """What to say where no authorization server can be asked."""
        if self._failure is not None:
            return ClientError(
                f"{shown(self.context.server_url)} cannot say where to log in (status {self._failure}); try later."
            )
        return Nowhere(
            f"{shown(self.context.server_url)} does not say where to log in (it names no authorization server that has"
            " metadata); give --token if it wants one, or tell whoever runs it."
        )

    def _reason(self, fault: Exception, challenge: Challenge) -> ClientError:
        """What a fault of the SDK means, by what was asked for last; its own words are for nobody."""
        from mcp.client.auth import OAuthRegistrationError, OAuthTokenError

        server, answer = shown(self.context.server_url), self._answer
        if isinstance(fault, OAuthRegistrationError):
            return LoginNeeded(
                f"{self._issuer()} does not register this client{_words(answer)}; register one there, and give its id"
                " with --client-id."
            )
        if isinstance(fault, OAuthTokenError):
            return LoginNeeded(f"{self._issuer()} gives no token{_words(answer)}; log in again.")
        if self._is_of_resource(challenge) and answer is not None and answer.status_code == 200:
            return ClientError(
                f"{server} describes itself as another server; check its address, and do not log in to this one."
            )
        if self.metadata is None:
            return self.nowhere()
        if self._is_of_issuer():
            return ClientError(
                f"{printable(str(self._place))} describes another issuer ({self._issuer()}) than {server} names; do not"
                " log in, and tell whoever runs the server."
            )
        return ClientError(f"What {self._issuer()} answers is no answer to this login; log in again.")

    def _issuer(self) -> str:
        return "the authorization server" if self.metadata is None else printable(str(self.metadata.issuer))


def _words(answer: httpx2.Response | None) -> str:
    """The error code that an OAuth endpoint answers with, in brackets."""
    if answer is None:
        return ""
    try:
        error = json.loads(answer.content)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        error = None
    is_code = isinstance(error, str) and _ERROR.fullmatch(error)
    return f" ({error if is_code else f'status {answer.status_code}'})"


def _refusal(challenge: Challenge, request: httpx2.Request) -> httpx2.Response:
    """A challenge as the SDK reads it right: it takes names from the middle of words, and any scheme for Bearer."""
    words = {"error": challenge.error, "scope": " ".join(challenge.scopes), "resource_metadata": challenge.metadata}
    header = ", ".join(f'{name}="{value}"' for name, value in words.items() if value)
    return httpx2.Response(challenge.status, headers={"www-authenticate": f"Bearer {header}"}, request=request)


def _with_first(answer: httpx2.Response, issuer: str | None) -> httpx2.Response:
    """A resource's metadata with the authorization server that the user chose at the top, where the SDK looks."""
    try:
        document = json.loads(answer.content)
        named = document["authorization_servers"]
        if issuer not in named:
            return answer
        document["authorization_servers"] = [issuer, *(each for each in named if each != issuer)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return answer  # for the SDK to judge
    return httpx2.Response(200, json=document, request=answer.request)
