"""What a client reads of this authorization server before it comes to it."""

from collections.abc import Sequence
from typing import Final

import msgspec

# Where clients of the revision of 2025-03-26, which may read no metadata, look for them.
AUTHORIZE: Final = "/authorize"
TOKEN: Final = "/token"  # noqa: S105
REGISTER: Final = "/register"
REVOKE: Final = "/revoke"
JWKS: Final = "/dev/jwks.json"
SIGN_IN: Final = "/dev/sign-in"

GRANT_TYPES: Final = ("authorization_code", "refresh_token")


def metadata(issuer: str, scopes: Sequence[str]) -> bytes:
    """RFC 8414 §2. What is not in it is not supported: client ID metadata documents among that."""
    return msgspec.json.encode(
        {
            "issuer": issuer,
            "authorization_endpoint": issuer + AUTHORIZE,
            "token_endpoint": issuer + TOKEN,
            "registration_endpoint": issuer + REGISTER,
            "revocation_endpoint": issuer + REVOKE,
            "jwks_uri": issuer + JWKS,
            "scopes_supported": list(scopes),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": GRANT_TYPES,
            # A program on a laptop can keep no secret: RFC 8252 §8.5.
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            # RFC 9207 §3
            "authorization_response_iss_parameter_supported": True,
        }
    )
