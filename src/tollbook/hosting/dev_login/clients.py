"""The programs that may ask for a sign-in: those that registered themselves, and tollbook's own."""

from collections.abc import Sequence
from typing import Any, Final

from mcp.server.auth.provider import RegistrationError
from mcp.shared.auth import InvalidRedirectUriError, OAuthClientInformationFull
from pydantic import AnyUrl

from tollbook.core import loopback
from tollbook.core.stores import Clock, Store
from tollbook.hosting.dev_login.drawer import Drawer
from tollbook.hosting.dev_login.metadata import GRANT_TYPES

OWN: Final = "tollbook"
"""The id of tollbook's own client, which need not register."""

_MOST: Final = 300
_UNUSED_S: Final = 86_400.0
_USED_S: Final = 90 * 86_400.0
_EDITORS: Final = frozenset(("cursor", "vscode", "vscode-insiders", "windsurf", "zed"))
"""Schemes that are no domain's, of programs that are known to use them."""


class Client(OAuthClientInformationFull):
    """A registered client, as the SDK's handlers know it."""

    def validate_redirect_uri(self, redirect_uri: AnyUrl | None) -> AnyUrl:
        """Where to answer it: exactly where it registered, but for the port of a loopback address: RFC 8252 §7.3."""
        # The SDK leaves an empty path empty in a registration, and in a request writes it as "/".
        registered = [AnyUrl(str(url)) for url in self.redirect_uris or ()]
        if redirect_uri is None:
            if len(registered) == 1:
                return registered[0]
            raise InvalidRedirectUriError("It must say where to answer it.")
        if any(_are_same(redirect_uri, url) for url in registered):
            return redirect_uri
        raise InvalidRedirectUriError("It asks to be answered where it did not register.")


class Clients:
    """The clients in a store.

    Args:
        scopes: what every client may ask for. Which of them a token has is the user's choice.
    """

    def __init__(self, store: Store, partition: str, scopes: Sequence[str], clock: Clock) -> None:
        self._clock = clock
        self._scope = " ".join(scopes)
        self._drawer: Drawer[dict[str, Any]] = Drawer(store, f"{partition}/clients", dict[str, Any])

    async def find(self, client_id: str) -> Client | None:
        if client_id == OWN:
            return self._client(
                {
                    "client_id": OWN,
                    "client_name": OWN,
                    "redirect_uris": [f"http://{each}/callback" for each in loopback.NAMES],
                }
            )
        found = await self._drawer.get(client_id)
        return None if found is None else self._client(found)

    async def register(self, client: OAuthClientInformationFull) -> None:
        """Keeps a new client, and notes in `client` what it gets instead of what it asked for: RFC 7591 §3.2.1.

        Raises:
            RegistrationError: it cannot be one.
        """
        if not client.redirect_uris:
            raise RegistrationError("invalid_redirect_uri", "At least one redirect URI is needed.")
        for url in client.redirect_uris:
            if fault := _fault_of(url):
                raise RegistrationError("invalid_redirect_uri", fault)
        if await self._drawer.count() >= _MOST:
            raise RegistrationError(
                "invalid_client_metadata", "Too many clients have registered. Start the server with an empty store."
            )
        client.token_endpoint_auth_method = "none"  # noqa: S105
        client.client_secret = client.client_secret_expires_at = None
        client.client_id_issued_at = int(self._clock())
        client.grant_types = [each for each in GRANT_TYPES if each in client.grant_types]
        client.response_types = ["code"]
        client.scope = self._scope
        await self._keep(client, _UNUSED_S)

    async def note_use(self, client_id: str) -> None:
        """Keeps a client that somebody signed in with for longer than one that nobody did."""
        client = await self.find(client_id)
        if client is not None and client_id != OWN:
            await self._keep(client, _USED_S)

    async def _keep(self, client: OAuthClientInformationFull, seconds: float) -> None:
        value = client.model_dump(mode="json", exclude_none=True)
        await self._drawer.put(client.client_id, value, self._clock() + seconds)

    def _client(self, value: dict[str, Any]) -> Client:
        # The scopes may be others since it registered.
        return Client.model_validate({"token_endpoint_auth_method": "none", **value, "scope": self._scope})


def _are_same(asked: AnyUrl, registered: AnyUrl) -> bool:
    return asked == registered or (asked.host in loopback.NAMES and _without_port(asked) == _without_port(registered))


def _without_port(url: AnyUrl) -> tuple[str | None, ...]:
    return url.scheme, url.username, url.password, url.host, url.path, url.query, url.fragment


def _fault_of(url: AnyUrl) -> str:
    """What keeps a client from being answered there; empty if nothing does."""
    if "#" in str(url):  # RFC 6749 §3.1.2
        return "A redirect URI has no fragment."
    if url.username is not None or url.password is not None:
        return "A redirect URI has no user."
    match url.scheme:
        case "https":
            return ""
        case "http":  # RFC 8252 §7.3, §8.3
            return (
                ""
                if url.host in loopback.NAMES
                else "A redirect URI with http is on this machine: use https elsewhere."
            )
        case scheme:
            # RFC 8252 §7.1: the reverse of a domain name.
            is_private = "." in scheme or scheme in _EDITORS
            return "" if is_private else "A redirect URI has http, https, or a scheme of the program's own."
