"""The authorization server that a server names, and what of a client it may see."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tollbook.client.login.guard import Guard
from tollbook.client.login.login import shown
from tollbook.client.login.provider import Challenge, Course, Storage
from tollbook.client.trouble import ClientError, LoginNeeded
from tollbook.core.text import printable

if TYPE_CHECKING:
    from mcp.shared.auth import OAuthMetadata


def check_issuer(resource: str, metadata: "OAuthMetadata", issuer: str | None) -> None:
    """Sees to it that a client's credentials go to no other authorization server than their own.

    Args:
        issuer: that one; None: nobody said which it is.

    Raises:
        ClientError: the server names another.
    """
    from mcp.client.auth.utils import issuers_match

    named = str(metadata.issuer)
    if issuer is not None and not issuers_match(named, issuer):
        raise ClientError(
            f"{shown(resource)} wants a login at {printable(named)}, and the client is registered at"
            f" {printable(issuer)}; check --issuer and --client-id."
        )


def unplaced(resource: str, issuer: str) -> LoginNeeded:
    """What to say of a secret where nobody but the server says whose it is.

    Args:
        issuer: that the server names.
    """
    return LoginNeeded(
        f"{shown(resource)} wants the client's secret to go to {printable(issuer)}; if it is registered there,"
        f" give --issuer {printable(issuer)}."
    )


def method_for(takes: Sequence[str] | None, secret: str | None) -> str:
    """How a client shows who it is, of the methods that a token endpoint takes. RFC 8414 §2 names the default."""
    if secret is None:
        return "none"
    posts = takes is not None and "client_secret_basic" not in takes and "client_secret_post" in takes
    return "client_secret_post" if posts else "client_secret_basic"


class Issuer(msgspec.Struct, frozen=True):
    """An authorization server.

    Attributes:
        name: its issuer identifier.
        keys: where its keys are; empty if it does not say.
    """

    name: str
    keys: str


async def issuer_of(resource: str, guard: Guard, challenge: Challenge, prefers: str | None = None) -> Issuer:
    """Where a server wants its callers to log in. Nobody is asked for anything but metadata.

    Raises:
        Nowhere: it does not say.
    """
    from mcp.client.auth import OAuthClientProvider
    from mcp.shared.auth import OAuthClientMetadata

    async def learned(_: object) -> None: ...

    nobody = OAuthClientMetadata.model_validate({"redirect_uris": ["http://127.0.0.1/"]})
    course = Course(OAuthClientProvider(resource, nobody, Storage()), guard, learned)
    await course.run(challenge, prefers=prefers, only_looks=True)
    keys = course.document.get("jwks_uri")
    return Issuer(str(course.document["issuer"]), keys if isinstance(keys, str) else "")
