"""How someone wants to log in."""

from typing import Any, Final

import msgspec

from tollbook.client.login.login import Grant

PATIENCE_S: Final = 300.0
"""For a user at a login page."""
_SECRETS: Final = frozenset(("client_secret", "client_key"))


class Ways(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to log in with. Its `repr` leaves out what is secret.

    Attributes:
        client_id, client_secret: of a client that was registered beforehand; None: it registers itself, if it may.
        client_key: signs in place of the secret: a private key as PEM. For a program only.
        client_metadata_url: of a document about this client, which is its id wherever such are read (CIMD).
        issuer: the authorization server where the client is registered; a program's secret goes to no other.
        redirect_uri: as the client is registered with it; None: see `browser.known_redirects`.
        scopes: asked for in place of those that the server names.
        browser: whether one may be opened on this machine.
        paste: the user copies the address that his browser was sent back to, and nobody listens there.
        user: who logs in with a password.
        password_endpoint: where Cognito is asked, if not at its own address.
        patience_s: how long a user may take at the login page.
    """

    grant: Grant = "authorization_code"
    client_id: str | None = None
    client_secret: str | None = None
    client_key: str | None = None
    client_metadata_url: str | None = None
    issuer: str | None = None
    redirect_uri: str | None = None
    scopes: tuple[str, ...] = ()
    browser: bool = True
    paste: bool = False
    user: str | None = None
    password_endpoint: str | None = None
    patience_s: float = PATIENCE_S

    def __repr__(self) -> str:
        return f"Ways({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name not in _SECRETS]
