"""Sessions of the handshake era, in a store: any instance serves any of them.

Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management
"""

import re
import secrets
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tollbook.core.caller import Caller
from tollbook.core.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS
from tollbook.core.stores import Clock, Record, Store
from tollbook.hosting.answers import Refusal
from tollbook.hosting.settings import HostSettings

_LARGEST_CLIENT: Final = 64 << 10  # bytes of what a client says of itself
_TOUCHED_S: Final = 60.0  # so often, at most, a session's record is written to say that it is in use
_COUNTED_S: Final = 10.0  # so often, at most, all sessions are counted
_ALL: Final = "sessions"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{22,86}")


class Session(msgspec.Struct, frozen=True):
    """What is agreed on with one client.

    Attributes:
        version: the revision of the protocol.
        client, capabilities: as the client gave them.
        opened, seen: seconds since 1970; `seen` is exact to a minute.
        log_level: the least level of log notifications he wants; None for all.
    """

    id: str
    owner: str
    version: str
    client: Any
    capabilities: Any
    opened: float
    seen: float
    log_level: str | None = None


def room_of(session_id: str) -> str:
    """The partition of a session and of what belongs to it: its running calls and their events."""
    return f"session/{session_id}"


def not_found() -> Refusal:
    """Unknown, expired, ended and somebody else's are one answer, so that nobody learns which."""
    return Refusal(404, "Session not found. Initialize a new one.")


class Sessions:
    """The sessions in a store."""

    def __init__(self, store: Store, settings: HostSettings, clock: Clock) -> None:
        self._store, self._settings, self._clock = store, settings, clock
        self._count, self._counted_at = 0, float("-inf")

    async def open(self, caller: Caller, version: str, client: object, capabilities: object) -> Session:
        """A new session of `caller`.

        Raises:
            Refusal: there are too many, or the client says too much of itself.
            StoreDown: the store is.
        """
        now = self._clock()
        session = Session(secrets.token_urlsafe(24), caller.owner, version, client, capabilities, now, now)
        value = msgspec.json.encode(session)
        if len(value) > _LARGEST_CLIENT:
            raise Refusal(
                400, f"clientInfo and capabilities are longer than {_LARGEST_CLIENT:,} bytes.", INVALID_PARAMS
            )
        await self._make_room(caller.owner, now)
        await self._store.add(self._record(session, value))
        for index in self._indexes(session):
            await self._store.put(index)
        self._count += 1
        return session

    async def find(self, caller: Caller, session_id: str) -> Session:
        """The session of that id, if it is `caller`'s and lives; being looked for keeps it alive.

        Raises:
            Refusal: there is none.
            StoreDown: the store is.
        """
        if not _ID.fullmatch(session_id):
            raise not_found()
        # A session lies under its owner's name: whoever else asks for it looks where it is not.
        found = await self._store.get(room_of(session_id), _of(caller.owner))
        if found is None:
            raise not_found()
        session = msgspec.json.decode(found.value, type=Session)
        now = self._clock()
        if now - session.seen > min(_TOUCHED_S, self._settings.session_idle_s / 10):
            session = msgspec.structs.replace(session, seen=now)
            await self.keep(session)
        return session

    async def keep(self, session: Session) -> None:
        """Writes a changed session.

        Raises:
            Refusal: it has ended meanwhile.
        """
        if not await self._store.replace(self._record(session, msgspec.json.encode(session))):
            raise not_found()
        for index in self._indexes(session):
            await self._store.replace(index)

    async def end(self, session: Session) -> None:
        """Ends it, and all that belongs to it, everywhere.

        Raises:
            Refusal: somebody else was first.
        """
        # First its calls, so that their instances learn of it even if the store fails before the end of this.
        for call in await self._store.list(room_of(session.id), "call/"):
            await self._store.remove(call.partition, call.key)
        ended = await self._store.remove(room_of(session.id), _of(session.owner))
        for index in self._indexes(session):
            await self._store.remove(index.partition, index.key)
        await self._store.clear(room_of(session.id))
        self._count -= ended
        if not ended:
            raise not_found()

    async def _make_room(self, owner: str, now: float) -> None:
        if now - self._counted_at > _COUNTED_S:
            self._count, self._counted_at = await self._store.count(_ALL), now
        if self._count >= self._settings.sessions_in_all:
            raise Refusal(
                503, "Too many sessions are open. Try again later.", INTERNAL_ERROR, headers=((b"retry-after", b"60"),)
            )
        if await self._store.count(_open_of(owner)) >= self._settings.sessions_per_owner:
            raise Refusal(
                429,
                f"This caller has {self._settings.sessions_per_owner:,} sessions open, and may have no more. End one.",
                headers=((b"retry-after", b"60"),),
            )

    def _record(self, session: Session, value: bytes) -> Record:
        return Record(room_of(session.id), _of(session.owner), value, session.seen + self._settings.session_idle_s)

    def _indexes(self, session: Session) -> Sequence[Record]:
        """What is counted: empty, since a store reads what it counts."""
        expires = session.seen + self._settings.session_idle_s
        return [Record(partition, session.id, b"", expires) for partition in (_open_of(session.owner), _ALL)]


def _of(owner: str) -> str:
    return f"owner/{owner}"


def _open_of(owner: str) -> str:
    return f"open/{owner}"
