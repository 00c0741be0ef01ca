"""What tokens are signed with, and with what they are verified."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.jwk import ECKey

from tollbook.core.stores import Clock, Record, Store

_ALGORITHM: Final = "ES256"
_KEY: Final = "signing"
_LIVES_S: Final = 10 * 365 * 86_400.0  # for good, as far as a record can


class Signer:
    """Signs with a key that is made when it is first asked for, and that every instance shares."""

    def __init__(self, store: Store, partition: str, clock: Clock) -> None:
        self._store, self._partition, self._clock = store, partition, clock

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """A JWT access token: RFC 9068 §2."""
        key = await self._key()
        header = {"typ": "at+jwt", "alg": _ALGORITHM, "kid": key.kid}
        return jwt.encode(header, dict(claims), key, algorithms=[_ALGORITHM])

    async def jwks(self) -> bytes:
        """The public half: RFC 7517 §5."""
        key = await self._key()
        return msgspec.json.encode({"keys": [key.as_dict(private=False)]})

    async def _key(self) -> ECKey:
        """Read anew each time: where somebody removes the store, all instances soon agree again."""
        found = await self._store.get(self._partition, _KEY)
        if found is None:
            made = ECKey.generate_key("P-256", {"use": "sig", "alg": _ALGORITHM}, auto_kid=True)
            value = msgspec.json.encode(made.as_dict(private=True))
            found = Record(self._partition, _KEY, value, self._clock() + _LIVES_S)
            if not await self._store.add(found):  # another instance was first
                found = await self._store.get(self._partition, _KEY) or found
        return ECKey.import_key(msgspec.json.decode(found.value))
