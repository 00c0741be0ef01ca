"""What is kept of a running call, so that its client can come back for the rest, to any instance.

In a session's partition lie, for each call, `call/ID` (whose requests, and until when the instance at work is known
to live), `event/ID/SEQ/PART-PARTS`, `heard/ID` (somebody listens at another instance); and for the session
`cancel/HASH`, `asked/ID` and `reply/ID`.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from tollbook.core.jsonrpc import INTERNAL_ERROR, Id, error, written
from tollbook.core.stores import LARGEST_VALUE, Clock, Record, Store
from tollbook.hosting.sessions import room_of
from tollbook.hosting.settings import HostSettings

LEASE_S: Final = 8.0
"""How long an instance is believed to live after it last said so."""
BEAT_S: Final = 3.0
"""How often it says so."""

_SKEW_S: Final = 60.0
_CANCEL: Final = "cancel/"
_QUESTION: Final = re.compile(r"ask-[A-Za-z0-9_-]{16}")
_MARK_S: Final = 60.0  # a cancellation that found no call by then finds none
_LAST_SEQ: Final = 99_999_999  # of the event that tells of an instance's death


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One message of a call to its client.

    Attributes:
        seq: its place in the stream, from 1 on.
        data: the JSON-RPC message.
        is_news: progress or a log entry, which may be dropped where room is short.
        is_last: nothing comes after it.
        answers: the request that it answers, if it does, as `key_of` writes its id.
    """

    seq: int
    data: bytes
    is_news: bool = False
    is_last: bool = False
    answers: str | None = None


class Lease(msgspec.Struct, frozen=True, array_like=True):
    """Whose requests a call answers, and until when the instance at work is known to live.

    Attributes:
        until: seconds since 1970 by that instance's clock.
        beats: how often it said so.
    """

    request_ids: tuple[Id, ...]
    until: float
    beats: int = 0


class Journal:
    """The calls of one session, as the store keeps them. Every method raises StoreDown."""

    def __init__(self, store: Store, session_id: str, settings: HostSettings, clock: Clock) -> None:
        self._store, self._room, self._settings, self._clock = store, room_of(session_id), settings, clock

    @property
    def hears_every_s(self) -> float:
        """How often `hear` is to be called, in seconds."""
        return self._settings.unheard_s / 4

    async def open(self, call_id: str, request_ids: tuple[Id, ...]) -> None:
        """Says that this instance works on a call."""
        await self._store.put(self._lease(call_id, request_ids))

    async def beat(self, call_id: str, request_ids: tuple[Id, ...], beats: int) -> bool:
        """Says that it still does; False if the session has ended meanwhile."""
        return await self._store.replace(self._lease(call_id, request_ids, beats))

    async def close(self, call_id: str) -> None:
        """Forgets a call that never began."""
        await self._store.remove(self._room, f"call/{call_id}")

    async def lease(self, call_id: str) -> Lease | None:
        """Who works on a call; None if nothing is kept of it, or no longer."""
        found = await self._store.get(self._room, f"call/{call_id}")
        return None if found is None else msgspec.json.decode(found.value, type=Lease)

    def has_long_lapsed(self, lease: Lease) -> bool:
        """Whether the instance that held the lease must have died, however much its clock differs from this one's."""
        return lease.until + _SKEW_S < self._clock()

    async def write(self, call_id: str, event: Event) -> None:
        """Keeps an event."""
        # The lease must go first: without its last event a call would look as if its instance had died.
        more_s = 2 * LEASE_S if event.is_last else self._settings.call_limit_s
        expires = self._clock() + BEAT_S + self._settings.kept_s + more_s
        for key, part in _parts(call_id, event):
            await self._store.put(Record(self._room, key, part, expires))

    async def drop(self, call_id: str, event: Event) -> None:
        """Forgets an event."""
        for key, _part in _parts(call_id, event):
            await self._store.remove(self._room, key)

    async def events(self, call_id: str, after: int) -> Sequence[Event]:
        """The events kept after the one numbered `after`, in order; one that is half written is not among them.

        Nothing comes after the last: where an instance that was taken for dead has answered after all, its answer does.
        """
        # '~' comes after every character of a part's name.
        kept = await self._store.list(self._room, f"event/{call_id}/", f"{_at(call_id, after)}~")
        events = tuple(_joined(kept))
        ends = (place for place, event in enumerate(events, 1) if event.is_last)
        return events[: next(ends, None)]

    async def bury(self, call_id: str, lease: Lease) -> None:
        """Answers, for an instance that died at work, the requests that it answers no more.

        Whoever resumes later, anywhere, reads the same; of two at once, both write the same.
        """
        answered = {event.answers for event in await self.events(call_id, 0)}
        orphans = [request_id for request_id in lease.request_ids if key_of(request_id) not in answered]
        for seq, request_id in enumerate(orphans, _LAST_SEQ + 1 - len(orphans)):
            data = error(request_id, INTERNAL_ERROR, "The instance that worked on this call has died. Call again.")
            await self.write(call_id, Event(seq, data, is_last=seq == _LAST_SEQ, answers=key_of(request_id)))

    async def hear(self, call_id: str) -> None:
        """Says that somebody listens to a call that runs elsewhere."""
        await self._put(f"heard/{call_id}", self._settings.unheard_s)

    async def is_heard(self, call_id: str) -> bool:
        return await self._store.get(self._room, f"heard/{call_id}") is not None

    async def mark_cancelled(self, request_id: Id) -> None:
        """Says, to whichever instance works on it, that a request is no longer wanted."""
        await self._put(_cancelling(request_id), _MARK_S)

    async def cancelled(self, request_ids: Iterable[Id]) -> Sequence[Id]:
        """Those of these requests that are no longer wanted; being told so once uses the mark up."""
        marks = {record.key for record in await self._store.list(self._room, _CANCEL)}
        found = [request_id for request_id in request_ids if _cancelling(request_id) in marks]
        for request_id in found:
            await self._store.remove(self._room, _cancelling(request_id))
        return found

    async def ask(self) -> str:
        """A new question's id, of which it is known that it goes to the client; only such may be answered."""
        question_id = f"ask-{secrets.token_urlsafe(12)}"
        await self._put(f"asked/{question_id}", self._settings.answer_wait_s)
        return question_id

    async def answer(self, question_id: str, body: bytes) -> None:
        """Keeps the client's answer, of at most `LARGEST_VALUE` bytes, for the instance that asked.

        Nothing is kept if nothing was asked, or it was answered before.
        """
        asked = f"asked/{question_id}"
        if not _QUESTION.fullmatch(question_id) or await self._store.get(self._room, asked) is None:
            return
        # In this order, so that a client who is told to try again can.
        await self._put(f"reply/{question_id}", self._settings.answer_wait_s, body)
        await self._store.remove(self._room, asked)

    async def withdraw(self, question_id: str) -> None:
        """Says that a question need not be answered any more."""
        await self._store.remove(self._room, f"asked/{question_id}")

    async def reply(self, question_id: str) -> dict[str, Any] | None:
        """The client's answer, once."""
        found = await self._store.get(self._room, f"reply/{question_id}")
        if found is None:
            return None
        await self._store.remove(self._room, f"reply/{question_id}")
        return msgspec.json.decode(found.value, type=dict[str, Any])

    async def _put(self, key: str, lives_s: float, value: bytes = b"1") -> None:
        await self._store.put(Record(self._room, key, value, self._clock() + lives_s))

    def _lease(self, call_id: str, request_ids: tuple[Id, ...], beats: int = 0) -> Record:
        now = self._clock()
        value = msgspec.json.encode(Lease(request_ids, now + LEASE_S, beats))  # JSON has integers of any size
        # The last beat is at most BEAT_S older than the result, whose client has `kept_s` to come back.
        return Record(self._room, f"call/{call_id}", value, now + BEAT_S + LEASE_S + self._settings.kept_s)


def key_of(request_id: Id) -> str:
    """A request's id, so that 1 and "1" differ and no size of integer is too much."""
    return written(request_id).decode("ascii", "backslashreplace")


def _at(call_id: str, seq: int) -> str:
    return f"event/{call_id}/{seq:08d}/"


def _parts(call_id: str, event: Event) -> Iterator[tuple[str, bytes]]:
    value = msgspec.msgpack.encode(event)
    starts = range(0, len(value), LARGEST_VALUE)
    for number, start in enumerate(starts, 1):
        yield f"{_at(call_id, event.seq)}{number:04d}-{len(starts):04d}", value[start : start + LARGEST_VALUE]


def _cancelling(request_id: Id) -> str:
    return f"{_CANCEL}{hashlib.sha256(key_of(request_id).encode()).hexdigest()[:32]}"


def _joined(records: Iterable[Record]) -> Iterator[Event]:
    whole = b""
    for record in records:
        part, parts = record.key.rpartition("/")[2].split("-")
        whole = record.value if part == "0001" else whole + record.value
        if part == parts:
            yield msgspec.msgpack.decode(whole, type=Event)
