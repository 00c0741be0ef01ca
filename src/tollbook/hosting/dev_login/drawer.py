"""Records of one kind in the store."""

from hashlib import sha256
from typing import Any, Generic, TypeVar

import msgspec

from tollbook.core.stores import Record, Store

Kind = TypeVar("Kind")


class Drawer(Generic[Kind]):
    """Records of one kind, each under the hash of its name.

    A name may be a secret, or whatever somebody sent as one: what lies in the store lets nobody in.
    """

    def __init__(self, store: Store, partition: str, kind: type[Kind]) -> None:
        self._store, self._partition, self._kind = store, partition, kind

    async def add(self, name: str, value: Kind, expires: float) -> bool:
        """Writes a record unless there is one; of two at once, one does."""
        return await self._store.add(self._record(name, value, expires))

    async def replace(self, name: str, value: Kind, expires: float) -> bool:
        """Writes a record only where there is one."""
        return await self._store.replace(self._record(name, value, expires))

    async def put(self, name: str, value: Kind, expires: float) -> None:
        """Writes a record in any case."""
        await self._store.put(self._record(name, value, expires))

    async def get(self, name: str) -> Kind | None:
        found = await self._store.get(self._partition, _hash(name))
        return None if found is None else msgspec.json.decode(found.value, type=self._kind)

    async def remove(self, name: str) -> bool:
        """Says whether there was one; of two at once, one says so."""
        return await self._store.remove(self._partition, _hash(name))

    async def remove_next(self) -> None:
        """Removes the record that would end first."""
        if found := await self._store.list(self._partition):
            await self._store.remove(self._partition, min(found, key=lambda each: each.expires).key)

    async def count(self) -> int:
        return await self._store.count(self._partition)

    def _record(self, name: str, value: Any, expires: float) -> Record:
        return Record(self._partition, _hash(name), msgspec.json.encode(value), expires)


def _hash(name: str) -> str:
    return sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
