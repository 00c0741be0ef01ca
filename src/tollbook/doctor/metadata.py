"""What a client reads before it can log in, as the standards want it. Pure.

Sources: RFC 9728 (protected resource), RFC 8414 (authorization server), RFC 7636 (PKCE), and
https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tollbook.client.login.login import canonical
from tollbook.core.errors import UsageError
from tollbook.core.loopback import is_loopback
from tollbook.doctor.finding import Finding, failed, foreign, ok, unknown

Document = Mapping[str, Any]

RESOURCE: Final = "resource metadata"
SCOPES: Final = "scopes"
SERVER: Final = "login server"
PKCE: Final = "PKCE"
PUBLIC: Final = "public clients"
CLIENTS: Final = "registration"
KEYS: Final = "keys"

_OAUTH: Final = "/.well-known/oauth-authorization-server"
_OPENID: Final = "/.well-known/openid-configuration"
_SHIM: Final = "AUTH_METADATA=shim has tollbook's server say so in its issuer's place, as it does for Cognito."


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with a document: the end of a sentence, and what to do."""

    said: str
    remedy: str


def problem_with_resource(document: Document, url: str) -> Problem | None:
    """What keeps a client from using the metadata of the server at `url`. RFC 9728 §3.3"""
    named = document.get("resource")
    if not isinstance(named, str):
        return Problem("'resource' is missing or is no text.", "Name the server's own address there, and nothing else.")
    if _canonical(named) != _canonical(url):
        slash = named.rstrip("/") == url.rstrip("/")
        why = "but for a slash at its end" if slash else "another address"
        return Problem(
            f"'resource' is {foreign(named)}, {why}, and must be the address that was asked, {foreign(url)}.",
            "Set PUBLIC_URL to the address that clients use, or use the one that stands there.",
        )
    servers = document.get("authorization_servers")
    if not isinstance(servers, list) or not servers or not all(isinstance(each, str) for each in servers):
        return Problem(
            "'authorization_servers' names none.", "List the issuer there, as text: RFC 9728 §2 and MCP both want it."
        )
    return None


def judged_resource(document: Document, url: str, place: str) -> Finding:
    problem = problem_with_resource(document, url)
    if problem is not None:
        return failed(RESOURCE, f"In the metadata at {foreign(place)} {problem.said}", problem.remedy, place=place)
    servers = document["authorization_servers"]
    return ok(
        RESOURCE, f"It describes this server, and sends logins to {foreign(servers[0])}.", place=place, servers=servers
    )


def judged_scopes(document: Document, asked: Sequence[str]) -> Finding:
    """Whether the metadata and the challenge want the same.

    Args:
        asked: in the challenge.
    """
    listed = document.get("scopes_supported")
    offered = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    facts = {"challenge": list(asked), "metadata": offered}
    if not asked and not offered:
        said = "Neither the challenge nor the metadata names a scope, so that hosts ask for none."
        return unknown(SCOPES, said, "If tokens need one, set OAUTH_REQUIRED_SCOPE.", **facts)
    missing = [each for each in asked if each not in offered]
    if offered and missing:
        said = f"The challenge asks for {' '.join(missing)}, which the metadata's scopes_supported does not list."
        return failed(
            SCOPES,
            said,
            "Let both name the same: hosts take the one or the other, and their tokens lack a scope.",
            **facts,
        )
    if not asked:
        said = f"The metadata offers {' '.join(offered)}; the challenge names none, so that hosts ask for all of these."
        return ok(SCOPES, said, **facts)
    return ok(SCOPES, f"The challenge and the metadata both name {' '.join(asked)}.", **facts)


def addresses_of(issuer: str) -> Sequence[str]:
    """Where the metadata of an issuer may lie, in the order in which clients of MCP look.

    Source: the last of this module's.
    """
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    if not path:
        return (origin + _OAUTH, origin + _OPENID)
    return (origin + _OAUTH + path, origin + _OPENID + path, origin + path + _OPENID)


def judged_server(document: Document, issuer: str, place: str) -> Iterator[Finding]:
    """What the metadata of an authorization server lacks.

    Args:
        issuer: whose it should be.
        place: where it lay.
    """
    named = document.get("issuer")
    if named != issuer:  # RFC 8414 §3.3: identical
        said = (
            f"The metadata at {foreign(place)} is that of {foreign(str(named))}, and must be that of {foreign(issuer)}."
        )
        remedy = "Name the issuer in OAUTH_ISSUER letter by letter, a slash at its end included."
        yield failed(SERVER, said, remedy, place=place, issuer=named if isinstance(named, str) else None)
        return
    for name in ("authorization_endpoint", "token_endpoint"):
        if not _is_address(document.get(name)):
            said = f"The metadata at {foreign(place)} has no {name} with an https address."
            yield failed(
                SERVER, said, "Name it there, or check the domain of the login pages (COGNITO_DOMAIN).", place=place
            )
            return
    yield ok(SERVER, f"{foreign(issuer)} says who it is and where to log in.", place=place)
    yield _judged_pkce(document)
    yield _judged_public(document)
    yield _judged_registration(document)


def judged_keys(document: Document | None, status: int, place: str) -> Finding:
    """Whether the issuer publishes keys. RFC 7517 §5"""
    keys = document.get("keys") if document is not None else None
    if status != 200 or not isinstance(keys, list) or not any(isinstance(each, Mapping) for each in keys):
        said = f"The issuer's keys cannot be read at {foreign(place)} (status {status}), so that no token is accepted."
        return failed(KEYS, said, "Check jwks_uri in its metadata, or set OAUTH_JWKS_URL.", status=status, place=place)
    return ok(KEYS, f"The issuer publishes {len(keys)} {'key' if len(keys) == 1 else 'keys'}.", place=place)


def _judged_pkce(document: Document) -> Finding:
    methods = document.get("code_challenge_methods_supported")
    if isinstance(methods, list) and "S256" in methods:
        return ok(PKCE, "It says that it knows S256.")
    missing = "does not say that it knows PKCE" if methods is None else "knows PKCE, but does not name S256"
    said = f"The login server {missing}, and hosts must refuse to log in there (code_challenge_methods_supported)."
    return failed(PKCE, said, _SHIM)


def _judged_public(document: Document) -> Finding:
    # RFC 8414 §2: "If omitted, the default is client_secret_basic"
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    if isinstance(methods, list) and "none" in methods:
        return ok(PUBLIC, "It takes clients without a secret.")
    said = "The login server takes no client without a secret (token_endpoint_auth_methods_supported lacks 'none')."
    return failed(PUBLIC, said, f"Register a public client, or give hosts its secret. {_SHIM}")


def _judged_registration(document: Document) -> Finding:
    """Never a failure: whoever runs the server chooses. The specification has the order of the ways."""
    ways = [
        name
        for name, is_there in (
            ("a client id metadata document", document.get("client_id_metadata_document_supported") is True),
            ("registration by the host itself", _is_address(document.get("registration_endpoint"))),
        )
        if is_there
    ]
    if ways:
        return ok(CLIENTS, f"Hosts become known there by {' or '.join(ways)}.", ways=ways)
    return ok(CLIENTS, "Hosts cannot register themselves there: give each the client id.", ways=["client id"])


def _canonical(url: str) -> str:
    try:
        return canonical(url)
    except UsageError:
        return url


def _is_address(value: object) -> bool:
    """OAuth 2.1 §1.5: https, but for this machine."""
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        return bool(parts.hostname) and (parts.scheme == "https" or is_loopback(parts.hostname or ""))
    except ValueError:
        return False
