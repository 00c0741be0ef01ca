"""A login: what an authorization server gave, and for which server."""

import base64
import re
from typing import Any, Final, Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import UNSET, UnsetType

from tollbook.core.errors import UsageError
from tollbook.core.text import printable

Grant = Literal["authorization_code", "client_credentials", "password"]

_RENEWED_AT: Final = 0.8  # of the life of an access token
_LARGEST_TOKEN: Final = 16 << 10  # of which anything is shown, in characters
_LONGEST_SUBJECT: Final = 200
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SHOWN: Final = ("resource", "issuer", "client_id", "grant", "scopes", "subject", "issued", "expires")
# RFC 6750 §2.1 has fewer characters. A header could carry no others than these.
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A login at one server. What it holds may be shown by its `repr`, which leaves out whatever is secret.

    Attributes:
        resource: the server's canonical URL; see `canonical`.
        issuer: the authorization server, as it writes itself.
        token_auth_method: of RFC 7591 §2; None: `client_secret_basic` with a secret, else `none`.
        issued, expires: of the access token, in seconds since 1970; it may not be known when it expires.
        subject: who is logged in, if the server says so; only to be shown.
        indicator: the `resource` parameter of RFC 8707 with which the login was made; unset: `resource`; None: there
            was none.
    """

    resource: str
    issuer: str
    client_id: str
    client_secret: str | None = None
    token_auth_method: str | None = None
    access_token: str
    refresh_token: str | None = None
    scopes: tuple[str, ...] = ()
    issued: float
    expires: float | None = None
    subject: str | None = None
    token_endpoint: str | None = None
    revocation_endpoint: str | None = None
    grant: Grant = "authorization_code"
    indicator: str | UnsetType | None = UNSET

    @property
    def is_renewable(self) -> bool:
        """Whether its access token can be replaced without its user."""
        return self.token_endpoint is not None and (
            self.refresh_token is not None or self.grant == "client_credentials"
        )

    def is_alive(self, now: float) -> bool:
        """Whether the access token may still be good."""
        return self.expires is None or now < self.expires

    def is_due(self, now: float) -> bool:
        """Whether most of the access token's life is over."""
        return self.expires is not None and now >= self.issued + _RENEWED_AT * (self.expires - self.issued)

    def __repr__(self) -> str:
        return f"Login({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in _SHOWN]


def canonical(url: str) -> str:
    """The one way in which a server's URL is written where logins are kept.

    Scheme and host in lower case; no default port, user, fragment, or path that is only a slash.

    Raises:
        UsageError: it is no http or https address.

    Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization#canonical-server-uri
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in _DEFAULT_PORTS:
        raise UsageError("That is no address of a server; give one that begins with https:// or http://.")
    host = f"[{host}]" if ":" in host else host
    place = host if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{host}:{port}"
    return urlunsplit((parts.scheme, place, "" if parts.path == "/" else parts.path, parts.query, ""))


def shown(url: str) -> str:
    """A URL as it may stand in a sentence: what may be a key in it is left out."""
    return printable(urlunsplit((*urlsplit(canonical(url))[:3], "", "")))


def is_token(text: str) -> bool:
    """Whether `text` can stand in a header as a credential."""
    return _TOKEN.fullmatch(text) is not None


class _Claims(msgspec.Struct):
    email: Any = None
    preferred_username: Any = None
    cognito_username: Any = msgspec.field(name="cognito:username", default=None)
    username: Any = None
    sub: Any = None


def subject_of(*tokens: str | None) -> str | None:
    """Who these tokens are about: an e-mail address, else a user name, else a subject, if any of them is a JWT.

    Nothing is verified: it is for showing only, and may be shown as it is.
    """
    claims = [_claims(token or "") for token in tokens]
    said = (getattr(each, name) for name in _Claims.__struct_fields__ for each in claims)
    found = next((name for name in said if isinstance(name, str) and name), None)
    return None if found is None else printable(found[:_LONGEST_SUBJECT])


def user_of(token: str) -> str | None:
    """The user name in a token of Cognito, which it wants to hear again; as unverified."""
    name = _claims(token).username
    return name if isinstance(name, str) else None


def _claims(token: str) -> _Claims:
    """RFC 7519 §3: those of a JWT; none of what is no JWT."""
    parts = token.split(".", 3) if len(token) <= _LARGEST_TOKEN else ()
    if len(parts) != 3:
        return _Claims()
    try:
        body = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(body, type=_Claims)
    except (ValueError, RecursionError):  # those of msgspec are ValueErrors
        return _Claims()
