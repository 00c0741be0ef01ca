"""The login of a user, at a login page: the authorization code grant with PKCE.

Source: OAuth 2.1 §4.1, RFC 7636, RFC 9207, and
https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from tollbook.client.login.browser import ANY_REDIRECT, Paste, Person, WayBack, is_here, known_redirects, landing
from tollbook.client.login.guard import Guard
from tollbook.client.login.issuer import check_issuer, method_for, unplaced
from tollbook.client.login.login import Login
from tollbook.client.login.provider import Challenge, Course, Storage
from tollbook.client.login.ways import Ways
from tollbook.client.trouble import ClientError, LoginNeeded
from tollbook.core.errors import UsageError
from tollbook.core.stores import Clock
from tollbook.core.text import printable

if TYPE_CHECKING:
    from mcp.client.auth import OAuthClientProvider
    from mcp.shared.auth import AuthorizationCodeResult, OAuthMetadata

_LONGEST_ADDRESS: Final = 16 << 10
"""Of a login page, in characters. What a server says of scopes and of the client stands in it."""
_LONGEST_WORDS: Final = 200
"""That are shown of what an authorization server says, in characters."""


async def log_in(
    resource: str, ways: Ways, guard: Guard, challenge: Challenge, login: Login | None, person: Person, clock: Clock
) -> Login:
    """Sends `person` to the login page, and takes what he comes back with.

    A client that registers itself does so each time: it comes back to another port, and many authorization servers
    compare those.

    Args:
        login: that the server did not take, or that does not go far enough.

    Raises:
        LoginNeeded, ClientError: there is no login; with what to do.
        UsageError: `ways` cannot be gone.
    """
    async with _way_back(ways, person) as way:
        page = _Page(way, ways, person, guard)
        provider = _provider(resource, ways, challenge, login, page)
        page.course = course = Course(provider, guard, page.learned)
        await course.run(challenge, prefers=ways.issuer)
    return await course.login("authorization_code", clock())


def _provider(
    resource: str, ways: Ways, challenge: Challenge, login: Login | None, page: "_Page"
) -> "OAuthClientProvider":
    from mcp.client.auth import OAuthClientProvider
    from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

    storage = Storage()
    if login is not None and challenge.status == 403:
        # For its scopes: all of them are asked for, and those that are missing.
        storage.tokens = OAuthToken(access_token=login.access_token, scope=" ".join(login.scopes) or None)
    if ways.client_id is not None:
        # It stays with the authorization server where it was used before.
        before = login.issuer if login is not None and login.client_id == ways.client_id else None
        storage.client = OAuthClientInformationFull(
            client_id=ways.client_id, client_secret=ways.client_secret, issuer=ways.issuer or before
        )
    about = {"client_name": "tollbook", "redirect_uris": [page.way.uri]}
    try:
        # As it is: `AnyUrl` by itself would write a redirect in its own way, and servers compare it letter by letter.
        metadata = OAuthClientMetadata.model_validate(about)
        described_at = ways.client_metadata_url if ways.client_id is None else None
        return OAuthClientProvider(resource, metadata, storage, page.go, page.come_back, described_at)
    except ValueError as fault:
        raise UsageError(
            "The redirect URI is no URL, or the client's metadata is at none of https with a path; correct it."
        ) from fault


class _Page:
    """The login page: what its server must have said before, the way there, and the way back."""

    course: Course

    def __init__(self, way: WayBack, ways: Ways, person: Person, guard: Guard) -> None:
        self.way, self._ways, self._person, self._guard = way, ways, person, guard

    async def learned(self, metadata: "OAuthMetadata") -> None:
        """Judges an authorization server's metadata."""
        context = self.course.context
        check_issuer(context.server_url, metadata, self._ways.issuer)
        client = context.client_info
        if client is not None and client.client_secret is not None and client.issuer is None:
            raise unplaced(context.server_url, str(metadata.issuer))
        issuer = printable(str(metadata.issuer))
        # https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#authorization-code-protection
        if "S256" not in (metadata.code_challenge_methods_supported or ()):
            raise ClientError(
                f"{issuer} does not say that it protects codes (PKCE with S256), and without no login is safe; tell"
                " whoever runs it, or give --token."
            )
        await self._guard.check(str(metadata.authorization_endpoint))
        await self._guard.check(str(metadata.token_endpoint))
        takes = metadata.token_endpoint_auth_methods_supported
        if client is not None:
            client.token_endpoint_auth_method = method_for(takes, self._ways.client_secret)
        elif context.client_metadata_url is not None and metadata.client_id_metadata_document_supported:
            pass
        elif metadata.registration_endpoint is None:
            raise LoginNeeded(
                f"{issuer} takes only clients that were registered there beforehand; register one, and give its id with"
                " --client-id."
            )
        elif takes is not None and "none" in takes:
            # So that there is no secret to keep.
            context.client_metadata.token_endpoint_auth_method = "none"  # noqa: S105

    async def go(self, url: str) -> None:
        """The SDK's `redirect_handler`."""
        endpoint = str(self._metadata().authorization_endpoint)
        query = url.removeprefix(f"{endpoint}?")
        # RFC 6749 §3.1: the endpoint's own query is kept. The SDK begins a second one after it.
        url = f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"
        if len(url) > _LONGEST_ADDRESS:
            raise ClientError(
                f"The address of the login page has {len(url):,} characters, more than browsers take; tell whoever runs"
                f" {printable(endpoint)[:_LONGEST_WORDS]}."
            )
        self.way.expect(parse_qs(query)["state"][0])
        self._person.tell(f"Log in at this address:\n\n{printable(url)}\n")
        opens = self._ways.browser and not self._ways.paste
        if opens and not await asyncio.to_thread(self._person.open_page, url):
            self._person.tell("No browser could be opened here. Open the address in one on this machine.")

    async def come_back(self) -> "AuthorizationCodeResult":
        """The SDK's `callback_handler`."""
        from mcp.shared.auth import AuthorizationCodeResult

        said = await self.way.said(self._ways.patience_s)
        metadata = self._metadata()
        issuer, iss = str(metadata.issuer), said.get("iss")
        # RFC 9207 §2.4, before anything else that was said is believed.
        if iss is None and metadata.authorization_response_iss_parameter_supported:
            raise ClientError(
                f"The answer does not say that it is from {printable(issuer)}, which promised to say so; do not log in"
                " there, and tell whoever runs it."
            )
        if iss is not None and iss != issuer:
            raise ClientError(
                f"The answer is from another authorization server than {printable(issuer)}, where the login began; do"
                " not log in there, and tell whoever runs the server."
            )
        if "error" in said:
            raise _declined(said)
        return AuthorizationCodeResult(code=said.get("code", ""), state=said["state"], iss=iss)

    def _metadata(self) -> "OAuthMetadata":
        if (known := self.course.known) is None:
            raise self.course.nowhere()
        return known


@asynccontextmanager
async def _way_back(ways: Ways, person: Person) -> AsyncIterator[WayBack]:
    """What RFC 8252 §7.3 calls the loopback redirect, or the way by hand."""
    is_registered = ways.client_id is not None or ways.client_metadata_url is not None
    if ways.redirect_uri is not None:
        uris: Sequence[str] = [ways.redirect_uri]
    elif is_registered or ways.paste:
        uris = known_redirects()
    else:
        uris = [ANY_REDIRECT]
    if ways.paste or not is_here(uris[0]):
        yield Paste(uris[0], person)
        return
    async with landing(uris) as here:
        yield here


def _declined(said: Mapping[str, str]) -> LoginNeeded:
    """What an error of RFC 6749 §4.1.2.1 means to a user."""
    error, description = (printable(said.get(name, "")[:_LONGEST_WORDS]) for name in ("error", "error_description"))
    if error == "access_denied":
        return LoginNeeded("The login was declined; log in again if that was not meant.")
    if error in _CHECKS:
        return LoginNeeded(f"The authorization server refuses the login ({error}); check {_CHECKS[error]}.")
    told = f"{error}: {description}" if description else error
    return LoginNeeded(f"The authorization server refuses the login ({told}); try again, or ask whoever runs it.")


_CHECKS: Final = {
    "invalid_scope": "--scope",
    "unauthorized_client": "--client-id",
    "invalid_target": "the server's address, or ask whoever runs it",  # RFC 8707 §2
}
