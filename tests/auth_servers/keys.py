"""Keys, made once in a process, and how they are published.

Source: RFC 7517.
"""

import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, RSAKey
from joserfc.jws import JWSRegistry

Key = RSAKey | ECKey | OctKey


class _Missing:
    """See MISSING."""


MISSING: Final = _Missing()
"""In place of a claim, a header parameter or a member of a key: it shall not be there."""


@cache
def rsa_key(kid: str = "rsa-1", bits: int = 2048) -> RSAKey:
    """A key that signs with RS256, always the same one for a `kid`; one of 1024 bits is too weak (RFC 7518 §3.3)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        return RSAKey.generate_key(bits, {"kid": kid, "use": "sig", "alg": "RS256"})


@cache
def ec_key(kid: str = "ec-1") -> ECKey:
    """A key that signs with ES256, always the same one for a `kid`."""
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})


@cache
def oct_key(kid: str = "oct-1") -> OctKey:
    """A secret that signs with HS256; nobody publishes one, unless he errs."""
    return OctKey.generate_key(256, {"kid": kid, "use": "sig", "alg": "HS256"})


def published(key: Key, **changes: Any) -> dict[str, Any]:
    """The key as it stands in a key set, with members replaced or, by MISSING, left out; a secret one is laid bare.

    For example `published(key, use="enc")`, `published(key, key_ops=["encrypt"])`, `published(key, kid=MISSING)`.
    """
    return changed(key.as_dict(private=isinstance(key, OctKey)), changes)


def changed(members: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`members` with those in `changes` replaced, added or, by MISSING, left out."""
    return {name: value for name, value in {**members, **changes}.items() if value is not MISSING}


def signature(key: Key, alg: str, signed: bytes) -> bytes:
    """A real signature, also with an algorithm that the key is not meant for."""
    return JWSRegistry.algorithms[alg].sign(signed, key)
