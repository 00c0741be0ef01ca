"""An issuer's public keys, and when to ask him for them again. Pure: whoever uses it asks, and hands the answer in.

Sources:
    RFC 7517 (JSON Web Key), RFC 7518 §3 (algorithms)
    https://openid.net/specs/openid-connect-core-1_0.html#RotateSigKeys
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey

ALGORITHMS: Final = ("RS256", "ES256")
"""What a token may be signed with: RFC 7518 §3.1's required and recommended ones, but for HMAC's."""

FRESH_S: Final = 15 * 60.0
"""Keys are asked for anew after so long."""
USABLE_S: Final = 24 * 60 * 60.0
"""For so long keys are used while their issuer cannot be reached."""
PAUSE_S: Final = 30.0
"""The least time between two requests, however many unknown keys are named and however often a request fails."""
LARGEST_DOCUMENT: Final = 64 << 10
"""Bytes of a key set."""

_MOST_KEYS: Final = 100
_SMALLEST_MODULUS: Final = 2048  # bits: RFC 7518 §3.3


class Key(Protocol):
    """A public key."""

    def signed(self, token: str) -> bool:
        """Whether a token in compact form was signed with its private half."""
        ...


class Age:
    """When an issuer was asked for something, and when he answered."""

    def __init__(self) -> None:
        self._read_at = self._asked_at = float("-inf")

    def is_usable(self, now: float) -> bool:
        """Whether there is an answer, and one that is not too old."""
        return now < self._read_at + USABLE_S

    def is_due(self, now: float, *, is_enough: bool = True) -> bool:
        """Whether he should be asked, since the answer is old, or is not enough."""
        if now < self._asked_at + PAUSE_S:
            return False
        return now >= self._read_at + FRESH_S or not is_enough

    def ask(self, now: float) -> None:
        """Notes that he is being asked."""
        self._asked_at = now

    def answer(self, now: float) -> None:
        """Notes that he has answered."""
        self._read_at = now


class KeySet:
    """The keys of one issuer, as far as they are known."""

    def __init__(self) -> None:
        self._keys: Mapping[tuple[str, str], Key] = {}
        self._age = Age()

    def find(self, kid: str, algorithm: str, now: float) -> Key | None:
        """The key of that id for that algorithm, if it is known and may be used."""
        return self._keys.get((kid, algorithm)) if self.is_usable(now) else None

    def is_usable(self, now: float) -> bool:
        """Whether any keys are known that are not too old."""
        return self._age.is_usable(now)

    def is_due(self, kid: str, algorithm: str, now: float) -> bool:
        """Whether the issuer should be asked, since the keys are old or this one is unknown."""
        return self._age.is_due(now, is_enough=(kid, algorithm) in self._keys)

    def ask(self, now: float) -> None:
        """Notes that the issuer is being asked."""
        self._age.ask(now)

    def take(self, document: bytes, now: float) -> bool:
        """Takes in his answer; says whether a key of before is gone, or is another now under the same id.

        Raises:
            ValueError: it is no key set, or holds no key of use; the old ones stay.
        """
        before, self._keys = self._keys, _keys_in(document)
        self._age.answer(now)
        return any(self._keys.get(name) != key for name, key in before.items())


def _keys_in(document: bytes) -> Mapping[tuple[str, str], Key]:
    if len(document) > LARGEST_DOCUMENT:
        raise ValueError("the key set is too long")
    try:
        found = msgspec.json.decode(document, type=dict[str, Any]).get("keys")
    except (ValueError, RecursionError):
        raise ValueError("the key set is not JSON") from None
    keys: dict[tuple[str, str], Key] = {}
    for entry in (found if isinstance(found, list) else [])[:_MOST_KEYS]:
        key = _key_of(entry)
        # The first of an id counts: what comes later cannot take its place.
        if key is not None:
            keys.setdefault((key.kid, key.algorithm), key)
    if not keys:
        raise ValueError("the key set holds no key of use")
    return keys


class _Jwk(msgspec.Struct):
    """RFC 7517 §4; its numbers are joserfc's to read."""

    kty: str
    kid: str = ""
    use: str = "sig"
    key_ops: tuple[str, ...] = ("verify",)
    alg: str = ""
    crv: str = ""
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""


def _key_of(entry: object) -> "_JoseKey | None":
    """The key in `entry`; None if it is not one for signatures that are accepted."""
    try:
        jwk = msgspec.convert(entry, _Jwk)
    except ValueError:
        return None
    algorithm = "RS256" if jwk.kty == "RSA" else "ES256" if (jwk.kty, jwk.crv) == ("EC", "P-256") else ""
    if not algorithm or jwk.alg not in ("", algorithm) or not jwk.kid:
        return None
    if jwk.use != "sig" or "verify" not in jwk.key_ops:
        return None
    from joserfc.jwk import ECKey, RSAKey  # a tenth of a second, which who asks with an API key need not wait for

    key: RSAKey | ECKey
    try:
        if jwk.kty == "RSA":
            key = RSAKey.import_key({"kty": "RSA", "n": jwk.n, "e": jwk.e})
            if key.raw_value.key_size < _SMALLEST_MODULUS:
                return None
        else:
            key = ECKey.import_key({"kty": "EC", "crv": jwk.crv, "x": jwk.x, "y": jwk.y})
    except Exception:  # of many kinds, and whatever it is: such a key is of no use
        return None
    return _JoseKey(jwk.kid, algorithm, key)


class _JoseKey:
    def __init__(self, kid: str, algorithm: str, key: "RSAKey | ECKey") -> None:
        self.kid, self.algorithm, self._key = kid, algorithm, key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _JoseKey) and self._key.thumbprint() == other._key.thumbprint()  # RFC 7638

    def signed(self, token: str) -> bool:
        from joserfc.errors import JoseError
        from joserfc.jws import JWSRegistry, deserialize_compact

        # Headers that are not known were ignored, as RFC 7515 §4 wants, and may be long.
        registry = JWSRegistry(algorithms=[self.algorithm], strict_check_header=False)
        registry.max_header_length = len(token)
        try:
            deserialize_compact(token, self._key, [self.algorithm], registry)
        except (JoseError, ValueError):
            return False
        return True
