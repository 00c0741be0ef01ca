"""What a client reads before it can log in. Pure: an issuer's own document is handed in.

Sources:
    RFC 9728 (protected resource metadata), RFC 8414 (authorization server metadata)
    https://openid.net/specs/openid-connect-discovery-1_0.html
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tollbook.core.loopback import is_loopback
from tollbook.hosting.auth.settings import AuthSettings

RESOURCE: Final = "/.well-known/oauth-protected-resource"
SERVER: Final = "/.well-known/oauth-authorization-server"
OPENID: Final = "/.well-known/openid-configuration"

_ADDRESSES: Final = (
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "revocation_endpoint",
    "userinfo_endpoint",
    "end_session_endpoint",
    "registration_endpoint",
)
_COPIED: Final = (
    "client_id_metadata_document_supported",
    "scopes_supported",
    "response_types_supported",
    "response_modes_supported",
    "grant_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
)
_LOGIN: Final = {
    # https://docs.aws.amazon.com/cognito/latest/developerguide/federation-endpoints.html
    "authorization_endpoint": "/oauth2/authorize",
    "token_endpoint": "/oauth2/token",
    "revocation_endpoint": "/oauth2/revoke",
    "userinfo_endpoint": "/oauth2/userInfo",
}


class Places(msgspec.Struct, frozen=True):
    """Where the metadata of a resource lies.

    Attributes:
        base: the resource's URL without the path of the MCP endpoint: the issuer that a shim stands for.
        document: the URL of its RFC 9728 document.
        paths: every path at which that is served.
    """

    base: str
    document: str
    paths: tuple[str, ...]


def places_of(public_url: str, path: str) -> Places:
    """Where the metadata of the resource at `public_url` lies, which the server itself knows as `path`."""
    origin, own = _split(public_url)
    # RFC 9728 §3.1: the well-known part goes between the host and the path; and clients look at the root too.
    paths = tuple(dict.fromkeys((RESOURCE, RESOURCE + path, RESOURCE + own)))
    stage = own.removesuffix(path) if own.endswith(path) else ""
    if stage:
        # Behind a stage of API Gateway nothing can be served at the root of the host. What a client is told in
        # WWW-Authenticate counts first, and this it can reach.
        return Places(origin + stage, origin + stage + RESOURCE + path, paths)
    return Places(origin, origin + RESOURCE + own, paths)


def resource_document(settings: AuthSettings, places: Places) -> bytes:
    """RFC 9728 §2."""
    return msgspec.json.encode(
        {
            "resource": settings.public_url,
            "authorization_servers": [places.base if settings.has_shim else settings.rules.issuer],
            "scopes_supported": settings.offered_scopes,
            "bearer_methods_supported": ["header"],
        }
    )


def addresses_of(issuer: str) -> Sequence[str]:
    """Where the metadata of an issuer may lie, the likeliest first."""
    origin, path = _split(issuer)
    # OpenID Connect Discovery §4 appends to the path; RFC 8414 §3.1 puts it before.
    return tuple(dict.fromkeys((issuer.rstrip("/") + OPENID, origin + SERVER + path)))


def server_metadata(document: bytes, issuer: str) -> Mapping[str, Any]:
    """The issuer's metadata in `document`.

    Raises:
        ValueError: it is somebody else's, or not in the form of RFC 8414 §2.
    """
    try:
        found = msgspec.json.decode(document, type=dict[str, Any])
    except (ValueError, RecursionError):
        raise ValueError("the metadata is no JSON object") from None
    # RFC 8414 §3.3: "MUST be identical"
    if found.get("issuer") != issuer:
        raise ValueError("the metadata is another issuer's")
    if "jwks_uri" in found and not _is_safe(found["jwks_uri"], issuer):
        raise ValueError("the metadata's jwks_uri is not an https address")
    return found


def shim_document(settings: AuthSettings, places: Places, theirs: Mapping[str, Any]) -> bytes:
    """The issuer's metadata as clients of MCP need it; every address in it is still his own.

    Cognito says neither that it knows PKCE nor that it serves clients without a secret, and does both.
    https://docs.aws.amazon.com/cognito/latest/developerguide/using-pkce-in-authorization-code.html

    Raises:
        ValueError: the issuer names himself in his responses, where clients would compare him with the shim; or he does
            not say where his login is.
    """
    if theirs.get("authorization_response_iss_parameter_supported"):  # RFC 9207 §2.4
        raise ValueError("the issuer sends `iss`, so clients must read his own metadata: set AUTH_METADATA=direct")
    addresses = {name: theirs[name] for name in _ADDRESSES if _is_safe(theirs.get(name), settings.rules.issuer)}
    shown = {**addresses, **{name: theirs[name] for name in _COPIED if name in theirs}}
    if settings.login_domain:
        shown |= {name: f"https://{settings.login_domain}{path}" for name, path in _LOGIN.items()}
    # RFC 8414 §2 has this default.
    methods = _listed(theirs, "token_endpoint_auth_methods_supported", "client_secret_basic")
    challenges = _listed(theirs, "code_challenge_methods_supported", "S256")
    if not shown.keys() >= {"authorization_endpoint", "token_endpoint"}:
        raise ValueError("the metadata does not say where to log in")
    shown |= {
        "issuer": places.base,
        "code_challenge_methods_supported": ["S256"] if "S256" in challenges else challenges,
        "token_endpoint_auth_methods_supported": [*methods, *(["none"] if "none" not in methods else [])],
    }
    shown.setdefault("response_types_supported", ["code"])
    shown.setdefault("grant_types_supported", ["authorization_code", "refresh_token"])
    shown["scopes_supported"] = list(settings.offered_scopes)
    return msgspec.json.encode(shown)


def _listed(theirs: Mapping[str, Any], name: str, default: str) -> Sequence[Any]:
    found = theirs.get(name, [default])
    return found if isinstance(found, list) else []


def _is_safe(url: object, issuer: str) -> bool:
    """Whether an issuer may send us there: by https or, from this machine, to this machine."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        is_near = all(is_loopback(host or "") for host in (parts.hostname, urlsplit(issuer).hostname))
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_near)


def _split(url: str) -> tuple[str, str]:
    """Origin and path; a path of `/` counts as none, RFC 9728 §3.1."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
