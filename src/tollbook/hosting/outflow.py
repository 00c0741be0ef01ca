"""The messages of one call to its client: kept, numbered, and heard by any number of listeners."""

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from tollbook.core.errors import StoreDown
from tollbook.core.jsonrpc import Id
from tollbook.hosting.journal import Event, Journal, key_of

_log: Final = logging.getLogger(__name__)

_PAUSES_S: Final = (0.2, 1.0, 3.0, 6.0)  # before each try to keep an answer that the store did not take


class Listener:
    """One response that carries the events of a call, from a place in its stream on."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.has_left = False
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    def leave(self) -> None:
        """Whoever listened has gone, or is sent away."""
        self.has_left = True
        self._woken.set()

    async def wait(self, timeout_s: float) -> bool:
        """Waits for news, or for the listener's leave; False after `timeout_s` seconds of neither."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


class Outflow:
    """What a call says, in order.

    Attributes:
        keeps: whether it is kept for those who come back. Of an ended session nothing is.
        has_ended: the last of it was said.
        is_over: nothing more will come, whether that was said or not.
        last_heard: when the last listener went, by the loop's clock.
    """

    def __init__(self, call_id: str, kept_bytes: int, journal: Journal | None) -> None:
        self.keeps, self.is_over = journal is not None, False
        self.last_heard = asyncio.get_running_loop().time()
        self._call_id, self._kept_bytes, self._journal = call_id, kept_bytes, journal
        self._events: list[Event] = []
        self._size = self._seq = 0
        self.has_ended = False
        self._unkept: list[Event] = []
        self._listeners: list[Listener] = []
        self._putting = asyncio.Lock()

    def listen(self, after: int = 0) -> Listener:
        """A listener to what comes after the place `after`."""
        listener = Listener(after)
        self._listeners.append(listener)
        if self._events or self.is_over:
            listener.wake()
        return listener

    def unlisten(self, listener: Listener) -> None:
        self._listeners.remove(listener)
        self.last_heard = asyncio.get_running_loop().time()

    @property
    def is_heard(self) -> bool:
        return bool(self._listeners)

    def send_away(self) -> None:
        """Ends the responses of those who listen; they can come back."""
        for listener in self._listeners:
            listener.leave()

    def news(self, listener: Listener) -> Sequence[Event]:
        """What `listener` has not had."""
        events = self._events[bisect_right(self._events, listener.after, key=attrgetter("seq")) :]
        if events:
            listener.after = events[-1].seq
        return events

    @property
    def sole_answer(self) -> bytes | None:
        """The answer, if nothing went before it."""
        return self._events[0].data if len(self._events) == 1 and self._events[0].is_last else None

    async def put(
        self, data: bytes, *, is_news: bool = False, answers: Id | None = None, is_last: bool = False
    ) -> None:
        """Says something: progress or a log entry (`is_news`), a question, or the answer to a request."""
        async with self._putting:  # what a handler's own tasks send stays in order
            if self.has_ended:
                return  # a task of the handler's outlived it
            self.has_ended = is_last
            self._seq += 1
            event = Event(self._seq, data, is_news, is_last, None if answers is None else key_of(answers))
            # It is kept before it is sent: what a client has seen, it can resume from. Where the store is down, whoever
            # listens still hears it.
            dropped = self._make_room(event)
            is_kept = await self._catch_up() and await self._keep(event, dropped)
            if not is_kept and not is_news:
                self._unkept.append(event)
            self._events.append(event)
            self._wake()

    async def catch_up(self) -> None:
        """Tries to keep what the store did not take."""
        if self._unkept:
            async with self._putting:
                await self._catch_up()

    async def keep_the_rest(self) -> None:
        """Tries that for a while."""
        for pause_s in _PAUSES_S:
            if not self._unkept:
                return
            await asyncio.sleep(pause_s)
            await self.catch_up()

    def close(self) -> None:
        """Nothing more will come."""
        self.is_over = True
        self._wake()

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.wake()

    async def _catch_up(self) -> bool:
        # Nothing is kept before what came before it: whoever resumes would go past it.
        while self._unkept and await self._keep(self._unkept[0]):
            del self._unkept[0]
        return not self._unkept

    def _make_room(self, event: Event) -> Sequence[Event]:
        """The oldest progress and log entries, as many as must go for `event` to be kept."""
        self._size += len(event.data)
        dropped = []
        while self._size > self._kept_bytes:
            oldest = next((place for place, old in enumerate(self._events) if old.is_news), None)
            if oldest is None:
                break
            dropped.append(self._events.pop(oldest))
            self._size -= len(dropped[-1].data)
        return dropped

    async def _keep(self, event: Event, dropped: Sequence[Event] = ()) -> bool:
        if self._journal is None or not self.keeps:
            return True
        try:
            await self._journal.write(self._call_id, event)
            if not self.keeps:  # the session ended meanwhile
                dropped = [event]
            for old in dropped:
                await self._journal.drop(self._call_id, old)
        except StoreDown as fault:
            _log.warning("an event could not be kept", extra={"reason": str(fault)})
            return False
        except Exception:
            _log.exception("an event could not be kept")
        return True
