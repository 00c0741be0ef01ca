"""API keys, for programs that cannot log in: `tbk_<id>_<secret>`.

A key is shown once, to whoever makes it; what is kept of its secret is a hash. It lies in two records of a store:

| partition      | key | value                                          | written                          |
| -------------- | --- | ---------------------------------------------- | -------------------------------- |
| `apikeys`      | id  | whose it is, for how long, and the hash        | when it is made, and revoked     |
| `apikeys-used` | id  | when it was last used, seconds since 1970      | while it is used, once a minute  |

Two, so that a use that is being written down while the key is revoked cannot undo that.
"""

import hmac
import logging
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final, Literal

import msgspec

from tollbook.core.caller import Caller
from tollbook.core.errors import StoreDown, TollbookError, UsageError
from tollbook.core.stores import Clock, Record, Store
from tollbook.hosting.auth.scopes import is_scope

ISSUER: Final = "tollbook"
"""Who vouches for a caller with an API key."""

LONGEST_S: Final = 366 * 86_400.0
"""For so long, at most, a key is good."""
LISTED_S: Final = 30 * 86_400.0
"""For so long after its end, a key is still listed."""

_KEYS: Final = "apikeys"
_USED: Final = "apikeys-used"
_USED_S: Final = 60.0  # so often, at most, a use is written down
_MOST_NOTED: Final = 4096  # keys whose last use is known without asking the store
_LARGEST: Final = 8 << 10  # bytes of a record, which is read with each request
_LONGEST_OWNER: Final = 200

_PREFIX: Final = "tbk_"
_ID: Final = re.compile(r"[0-9a-f]{16}")
_KEY: Final = re.compile(rf"{_PREFIX}([0-9a-f]{{16}})_([0-9a-f]{{64}})")
_NOT_CLAIMS: Final = frozenset(("sub", "iss", "client_id", "scope", "exp"))  # the key says these itself

State = Literal["good", "expired", "revoked"]
_log: Final = logging.getLogger(__name__)


class UnknownKey(TollbookError):
    """No API key of that id is kept."""


class ApiKey(msgspec.Struct, frozen=True):
    """What is known of a key, but for its secret and the hash of it.

    Attributes:
        id: the part of it that is no secret; names it in lists and logs.
        owner: whose it is.
        scopes: what it allows.
        claims: what else is said of its owner, for those who decide what he may see.
        created, expires, revoked: seconds since 1970; None if it was not revoked.
    """

    id: str
    owner: str
    scopes: tuple[str, ...]
    claims: Mapping[str, str]
    created: float
    expires: float
    revoked: float | None = None

    def state(self, now: float) -> State:
        if self.revoked is not None:
            return "revoked"
        return "good" if now < self.expires else "expired"


class ListedKey(msgspec.Struct, frozen=True):
    """A key, and when it was last used, exact to a minute or two; None if it never was."""

    key: ApiKey
    used: float | None


class _Kept(msgspec.Struct, frozen=True):
    """A key as it lies in the store."""

    key: ApiKey
    digest: bytes


# Compared with where there is no such key: then that takes as long. Nobody knows a secret of this hash.
_NO_KEY: Final = msgspec.json.encode(_Kept(ApiKey("", "", (), {}, 0, 0), bytes(32)))


def is_api_key(text: str) -> bool:
    """Whether `text` is meant to be an API key, good or not. No access token begins like one."""
    return text.startswith(_PREFIX)


class ApiKeys:
    """The API keys in a store.

    Args:
        random_bytes: as many random bytes as it is asked for, of a source that is fit for secrets.
    """

    def __init__(
        self, store: Store, clock: Clock = time.time, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._store, self._clock, self._random_bytes = store, clock, random_bytes
        self._noted: OrderedDict[str, float] = OrderedDict()

    async def create(
        self, owner: str, scopes: Sequence[str], expires: float, claims: Mapping[str, str]
    ) -> tuple[str, ApiKey]:
        """A new key, whose text is told here and never again.

        Args:
            expires: seconds since 1970; `LONGEST_S` from now at most.

        Raises:
            UsageError: there can be no such key.
            StoreDown: it cannot be kept.
        """
        now = self._clock()
        _check(owner, scopes, claims)
        if not now < expires <= now + LONGEST_S:
            raise UsageError("An API key ends later than now, and within 366 days. Choose such an end.")
        while True:
            key = ApiKey(self._random_bytes(8).hex(), owner, tuple(scopes), dict(claims), now, expires)
            secret = self._random_bytes(32).hex()
            if await self._store.add(_record(_Kept(key, _digest(secret)))):
                return f"{_PREFIX}{key.id}_{secret}", key

    async def list(self) -> Sequence[ListedKey]:
        """Every key that is kept, the newest first: also those that were revoked or ended in the last 30 days.

        Raises:
            StoreDown: they cannot be read.
        """
        kept = [msgspec.json.decode(record.value, type=_Kept).key for record in await self._store.list(_KEYS)]
        used = {record.key: _time_in(record) for record in await self._store.list(_USED)}
        kept.sort(key=lambda key: (key.created, key.id), reverse=True)
        return [ListedKey(key, used.get(key.id)) for key in kept]

    async def revoke(self, key_id: str) -> ApiKey:
        """Revokes a key for good; nothing else happens to one that was revoked before.

        Returns: the key as it was before.

        Raises:
            UnknownKey: there is none of that id.
            StoreDown: it cannot be read or written.
        """
        if not _ID.fullmatch(key_id):  # not shown: it may be a secret that was pasted in its place
            raise UnknownKey("An id has 16 of the characters 0-9 and a-f. 'tollbook keys list' shows those there are.")
        record = await self._store.get(_KEYS, key_id)
        if record is not None:
            kept = msgspec.json.decode(record.value, type=_Kept)
            if kept.key.revoked is not None:
                return kept.key
            revoked = msgspec.structs.replace(kept.key, revoked=self._clock())
            if await self._store.replace(_record(_Kept(revoked, kept.digest))):
                return kept.key
        raise UnknownKey(f"There is no API key of the id {key_id}. 'tollbook keys list' shows those there are.")

    async def caller(self, text: str) -> Caller | None:
        """Whoever sent `text` as his key; None if it is none, or is not good. Which of these, nobody is told.

        Raises:
            StoreDown: keys cannot be read.
        """
        parts = _KEY.fullmatch(text)  # which ends at the first character that is wrong, however many follow
        if parts is None:
            return None
        key_id, secret = parts.groups()
        record = await self._store.get(_KEYS, key_id)
        kept = msgspec.json.decode(_NO_KEY if record is None else record.value, type=_Kept)
        is_his = hmac.compare_digest(kept.digest, _digest(secret))
        key, now = kept.key, self._clock()
        if not is_his or key.state(now) != "good":
            why = "unknown" if record is None else key.state(now) if is_his else "wrong secret"
            _log.info("an API key was refused", extra={"key": key_id, "reason": why})
            return None
        await self._note_use(key, now)
        return Caller(
            subject=key.owner,
            client=f"api-key:{key.id}",
            issuer=ISSUER,
            scopes=frozenset(key.scopes),
            claims={"sub": key.owner, **key.claims},
            expires=key.expires,
        )

    async def _note_use(self, key: ApiKey, now: float) -> None:
        """Writes down that `key` is used, unless that was done less than a minute ago. A failure to is no matter."""
        noted = self._noted.get(key.id)
        if noted is not None and abs(now - noted) < _USED_S:
            return
        # Before it is written: else all who come meanwhile would write too, and a store that fails be asked each time.
        self._noted[key.id] = now
        self._noted.move_to_end(key.id)
        if len(self._noted) > _MOST_NOTED:
            self._noted.popitem(last=False)
        try:
            found = await self._store.get(_USED, key.id)
            if found is None or abs(now - _time_in(found)) >= _USED_S:
                await self._store.put(Record(_USED, key.id, msgspec.json.encode(now), key.expires + LISTED_S))
        except StoreDown as fault:
            _log.warning("the use of an API key cannot be noted", extra={"key": key.id, "reason": str(fault)})


def _check(owner: str, scopes: Sequence[str], claims: Mapping[str, str]) -> None:
    """Refuses what would mislead who reads it, or who decides by it.

    Raises:
        UsageError: something would.
    """
    if not (0 < len(owner) <= _LONGEST_OWNER and owner.isprintable() and owner == owner.strip()):
        raise UsageError(
            f"An owner has 1 to {_LONGEST_OWNER} printable characters, and no blank at either end. Name him so."
        )
    for scope in scopes:
        if not is_scope(scope):
            raise UsageError(
                f"'{scope}' is no scope: of ASCII's printable characters, all may be in it but blanks, '\"' and '\\'."
            )
    for name, value in claims.items():
        if name in _NOT_CLAIMS:
            raise UsageError(f"'{name}' is no claim to choose: a key says that itself. Leave it out.")
        if not (name and name.isprintable() and value.isprintable()):
            raise UsageError("A claim has a name and a value of printable characters. Write it so.")


def _record(kept: _Kept) -> Record:
    """The record of a key.

    Raises:
        UsageError: it is too large.
    """
    value = msgspec.json.encode(kept)
    if len(value) > _LARGEST:
        raise UsageError(f"Scopes and claims come to more than {_LARGEST:,} bytes. Give the key fewer.")
    return Record(_KEYS, kept.key.id, value, kept.key.expires + LISTED_S)


def _time_in(record: Record) -> float:
    return msgspec.json.decode(record.value, type=float)


def _digest(secret: str) -> bytes:
    """The hash of a secret.

    One that takes long (scrypt, Argon2) slows down whoever tries likely passwords. Of 256 random bits none is likelier
    than another, and to try them all is hopeless at any speed.
    """
    return sha256(secret.encode()).digest()
