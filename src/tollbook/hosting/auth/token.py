"""Access tokens: what is read of one, and the checks it must pass. Pure: keys and times are handed in.

A token is read and its claims are checked before its signature is: that costs more, and a token that could not be
accepted anyway is not worth it. Nothing is believed before all of it has passed.

Sources:
    RFC 7515 (JWS), RFC 7519 (JWT), RFC 8725 (JWT best practice), RFC 9068 (JWT access tokens)
    https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
"""

import base64
import re
from collections import OrderedDict
from hashlib import sha256
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from tollbook.core.caller import Caller
from tollbook.hosting.auth.keys import ALGORITHMS, Key

LARGEST_TOKEN: Final = 8 << 10
"""Bytes. A longer one is not looked at."""

LEEWAY_S: Final = 30
"""How far clocks may be apart. RFC 7519 §4.1.4: "usually no more than a few minutes"."""

UNKNOWN_KEY: Final = "unknown key"
"""The one reason that may be the issuer's fault."""

_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")  # RFC 7515 §7.1
# RFC 9068 §4 wants `at+jwt`. Issuers before it, Cognito among them, say `JWT` or nothing.
_TYPES: Final = frozenset(("", "jwt", "at+jwt", "application/at+jwt"))
_REMEMBERED: Final = 4096  # tokens
_BELIEVED_S: Final = 300.0

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
# Whole seconds, up to the year 9999: RFC 7519 §2 allows fractions, and no issuer we serve writes them.
_Instant = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]


class BadToken(Exception):
    """A token is not accepted: RFC 6750 §3.1, `invalid_token`.

    Attributes:
        reason: which check it failed, in a word; for the log, and never for the client.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Which tokens are accepted.

    Attributes:
        issuer: who must have made them, exactly as he writes himself.
        audience: whom they must be meant for.
        clients: the programs that may use them, by id; none for any.
        without_audience: clients whose tokens need not say whom they are meant for.
        is_cognito: whether they must say that they are access tokens in `token_use`, as Cognito's do.
    """

    issuer: str
    audience: str
    clients: frozenset[str] = frozenset()
    without_audience: frozenset[str] = frozenset()
    is_cognito: bool = False


class _Header(msgspec.Struct):
    """What is read of a header. `jku`, `x5u`, `jwk` and `x5c`, which name a key, never are: RFC 8725 §3.10."""

    alg: str
    kid: _Name
    typ: str = ""
    crit: msgspec.Raw | UnsetType = UNSET
    b64: msgspec.Raw | UnsetType = UNSET


class _Claims(msgspec.Struct):
    iss: str
    sub: _Name
    exp: _Instant
    nbf: _Instant | UnsetType = UNSET
    iat: _Instant | UnsetType = UNSET
    aud: str | list[str] | UnsetType = UNSET
    client_id: _Name | UnsetType = UNSET
    azp: _Name | UnsetType = UNSET
    scope: str | list[str] | UnsetType = UNSET
    scp: str | list[str] | UnsetType = UNSET
    token_use: str | UnsetType = UNSET


class Unsigned(msgspec.Struct, frozen=True):
    """A token whose claims are in order, and whose signature was not looked at: nothing to believe yet.

    Attributes:
        kid, algorithm: the key that it says it was signed with.
    """

    token: str
    kid: str
    algorithm: str
    caller: Caller


def read(token: str, rules: Rules, now: float) -> Unsigned:
    """What `token` says, if its claims are in order.

    Raises:
        BadToken: they are not, or it is no token at all.
    """
    if len(token) > LARGEST_TOKEN:
        raise BadToken("too long")
    if not _COMPACT.fullmatch(token):
        raise BadToken("malformed")
    first, second, _ = token.split(".")
    try:
        header = msgspec.json.decode(_decoded(first), type=_Header)
        claims = msgspec.json.decode(_decoded(second), type=dict[str, Any])
        known = msgspec.convert(claims, _Claims)
    except (ValueError, RecursionError):  # those of msgspec are ValueErrors
        raise BadToken("malformed") from None
    _check_header(header)
    _check_claims(known, rules, now)
    caller = Caller(
        subject=known.sub,
        client=_client(known),
        issuer=known.iss,
        scopes=_scopes(known),
        claims=claims,
        expires=float(known.exp),
    )
    return Unsigned(token, header.kid, header.alg, caller)


def verified(unsigned: Unsigned, key: Key | None) -> Caller:
    """Who sent the token, if it was signed with `key`; None where the issuer has none of that id.

    Raises:
        BadToken: it was not.
    """
    if key is None:
        raise BadToken(UNKNOWN_KEY)
    if not key.signed(unsigned.token):
        raise BadToken("signature")
    return unsigned.caller


class Remembered:
    """Tokens that were verified, by their hash. They are believed for five minutes, and never beyond their end."""

    def __init__(self) -> None:
        self._callers: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    def get(self, token: str, now: float) -> Caller | None:
        """Who sent a token, if it was verified lately."""
        found = self._callers.get(_digest(token))
        return found[0] if found is not None and now < found[1] else None

    def knew(self, token: str, now: float) -> bool:
        """Whether a token was good once, and has not ended. To be believed it must be verified anew."""
        found = self._callers.get(_digest(token))
        return found is not None and now < (found[0].expires or now)

    def add(self, token: str, caller: Caller, now: float, *, is_believed: bool = True) -> None:
        """Notes that a token was verified; one that is not to be believed is only known."""
        digest = _digest(token)
        until = min(now + _BELIEVED_S, caller.expires or now) if is_believed else float("-inf")
        self._callers[digest] = (caller, until)
        self._callers.move_to_end(digest)
        if len(self._callers) > _REMEMBERED:
            self._callers.popitem(last=False)

    def drop(self, token: str) -> None:
        """Forgets a token that is good no more."""
        self._callers.pop(_digest(token), None)

    def forget(self) -> None:
        """Forgets all, since a key they were verified with may be gone."""
        self._callers.clear()


def _check_header(header: _Header) -> None:
    # RFC 8725 §3.1: what is allowed is listed. `none` and every HMAC, which a public key could be a secret of, are not.
    if header.alg not in ALGORITHMS:
        raise BadToken("algorithm")
    # RFC 7515 §4.1.11: what is critical and not understood makes a token invalid; nothing of it is understood here.
    if header.crit is not UNSET or header.b64 is not UNSET:
        raise BadToken("critical header")
    # RFC 8725 §3.11: a token of another kind is not taken for one of this.
    if header.typ.lower() not in _TYPES:
        raise BadToken("type")


def _check_claims(claims: _Claims, rules: Rules, now: float) -> None:
    # RFC 9068 §4: "MUST exactly match". No slash is added or taken away.
    if claims.iss != rules.issuer:
        raise BadToken("issuer")
    # An id token of Cognito has the same issuer and keys.
    if claims.token_use not in (("access",) if rules.is_cognito else ("access", UNSET)):
        raise BadToken("not an access token")
    client = _client(claims)
    if rules.clients and client not in rules.clients:
        raise BadToken("client")
    if claims.aud is UNSET:
        # RFC 9068 §4 wants an audience; of these clients it was said that their tokens cannot have one.
        if not client or client not in rules.without_audience:
            raise BadToken("audience")
    elif rules.audience not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
        raise BadToken("audience")
    # RFC 7519 §4.1.4, §4.1.5, §4.1.6
    if now >= claims.exp + LEEWAY_S:
        raise BadToken("expired")
    if any(time is not UNSET and time > now + LEEWAY_S for time in (claims.nbf, claims.iat)):
        raise BadToken("not valid yet")


def _client(claims: _Claims) -> str:
    """RFC 9068 §2.2 has `client_id`; OpenID Connect, and issuers before that RFC, `azp`."""
    for name in (claims.client_id, claims.azp):
        if name is not UNSET:
            return name
    return ""


def _scopes(claims: _Claims) -> frozenset[str]:
    """RFC 9068 §2.2.3 has `scope`, a text; some issuers write a list, or `scp`."""
    for value in (claims.scope, claims.scp):
        if value is not UNSET:
            return frozenset(value.split(" ") if isinstance(value, str) else value) - {""}
    return frozenset()


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
