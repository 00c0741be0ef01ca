"""The login of a program: with credentials of its own, and no person.

Source: RFC 6749 §4.4, RFC 7523 §2.2, and
https://modelcontextprotocol.io/extensions/auth/oauth-client-credentials
"""

from typing import TYPE_CHECKING

from tollbook.client.login.guard import Guard
from tollbook.client.login.issuer import check_issuer, issuer_of, method_for, unplaced
from tollbook.client.login.login import Login
from tollbook.client.login.provider import Challenge, Course, Storage
from tollbook.client.login.ways import Ways
from tollbook.client.trouble import ClientError, LoginNeeded
from tollbook.core.stores import Clock

if TYPE_CHECKING:
    from mcp.client.auth import OAuthClientProvider
    from mcp.shared.auth import OAuthMetadata


async def log_in(resource: str, ways: Ways, guard: Guard, challenge: Challenge, clock: Clock) -> Login:
    """Asks for a token with the client's secret or key. Nobody but `ways.issuer` is shown either.

    Raises:
        LoginNeeded, ClientError: there is no login; with what to do.
    """
    if ways.client_id is None or (ways.client_secret is None and ways.client_key is None):
        raise LoginNeeded(
            "A program logs in with a client of its own; give --client-id, and OAUTH_CLIENT_SECRET or --client-key."
        )
    if ways.issuer is None:
        raise unplaced(resource, (await issuer_of(resource, guard, challenge)).name)

    async def learned(metadata: "OAuthMetadata") -> None:
        check_issuer(resource, metadata, ways.issuer)
        client = course.context.client_info
        if client is not None and ways.client_key is None:
            takes = metadata.token_endpoint_auth_methods_supported
            client.token_endpoint_auth_method = method_for(takes, ways.client_secret)

    provider = _provider(resource, ways, ways.client_id, ways.issuer, " ".join(challenge.scopes) or None)
    course = Course(provider, guard, learned)
    await course.run(challenge, prefers=ways.issuer)
    return await course.login("client_credentials", clock())


def _provider(resource: str, ways: Ways, client_id: str, issuer: str, scope: str | None) -> "OAuthClientProvider":
    from mcp.client.auth.extensions.client_credentials import (
        ClientCredentialsOAuthProvider,
        PrivateKeyJWTOAuthProvider,
        SignedJWTParameters,
    )

    if ways.client_key is None:
        return ClientCredentialsOAuthProvider(
            resource, Storage(), client_id, ways.client_secret or "", scope=scope, issuer=issuer
        )
    key = ways.client_key
    signing = SignedJWTParameters(
        issuer=client_id, subject=client_id, signing_key=key, signing_algorithm=_algorithm(key)
    )
    assertion = signing.create_assertion_provider()
    return PrivateKeyJWTOAuthProvider(resource, Storage(), client_id, assertion, scope, issuer)


def _algorithm(key: str) -> str:
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, RSAKey

    for kind, algorithm in ((RSAKey, "RS256"), (ECKey, "ES256")):
        try:
            found = kind.import_key(key)
        except (JoseError, ValueError, TypeError):
            continue
        if found.is_private and found.get("crv", "P-256") == "P-256":
            return algorithm
    # Nothing of it is repeated: it may be a key after all.
    raise ClientError("The client's key is no private key of RSA or P-256 in PEM without a password; check the file.")
