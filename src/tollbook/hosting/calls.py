"""The calls that run in this instance, and what becomes of them when nobody looks."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from tollbook.core import jsonrpc
from tollbook.core.errors import StoreDown
from tollbook.hosting.answers import Refusal
from tollbook.hosting.call import Call
from tollbook.hosting.invocation import Invocation
from tollbook.hosting.journal import BEAT_S, Journal
from tollbook.hosting.metrics import Meter
from tollbook.hosting.outflow import Listener
from tollbook.hosting.settings import HostSettings

_log: Final = logging.getLogger(__name__)

_PULSE_S: Final = 1.0
_LAST_WORDS_S: Final = 3.0  # for a call that was cancelled to say so
_FOLLOWERS: Final = 4
_SOON: Final = ((b"retry-after", b"1"),)


class Calls:
    """The calls that run in this instance."""

    def __init__(self, settings: HostSettings, meter: Meter) -> None:
        self._settings, self._meter = settings, meter
        self._calls: dict[str, Call] = {}
        self._pulse: asyncio.Task[None] | None = None
        self._followers: list[tuple[str, Listener]] = []
        self._drained: asyncio.Task[None] | None = None
        self._is_closed = False

    async def start(self, call: Call, invocation: Invocation | None = None) -> None:
        """Lets `call` run, and looks after it.

        Args:
            invocation: what brought it; it lasts until the call has ended, and the call no longer than it.

        Raises:
            Refusal: there is no room for another.
            StoreDown: it cannot be kept.
        """
        if self._is_closed:
            raise Refusal(503, "This instance is stopping. Try again.", jsonrpc.INTERNAL_ERROR, headers=_SOON)
        if len(self._calls) >= self._settings.running_calls:
            raise Refusal(503, "Too many calls are running. Try again later.", jsonrpc.INTERNAL_ERROR, headers=_SOON)
        if call.caller_id and len(self._calls) >= self._settings.calls_per_caller:
            his = sum(each.caller_id == call.caller_id for each in self._calls.values())
            if his >= self._settings.calls_per_caller:
                raise Refusal(429, f"This caller has {his:,} calls running, and may have no more.", headers=_SOON)
        self._calls[call.id] = call  # it takes its room before anything else can
        if call.journal is not None:
            await self._open(call, call.journal)
        call.start(self._forget, self._meter)
        if invocation is not None:
            invocation.wait_until(asyncio.create_task(_ending(call, invocation)))
        if self._pulse is None:
            self._pulse = asyncio.create_task(self._watch())

    async def _open(self, call: Call, journal: Journal) -> None:
        try:
            await journal.open(call.id, call.request_ids)
            if not call.out.keeps:  # its session ended meanwhile
                await journal.close(call.id)
        except BaseException:
            self._forget(call)
            raise

    @contextmanager
    def follower(self, session_id: str, after: int, invocation: Invocation | None = None) -> Iterator[Listener]:
        """One who follows a call of another instance. A session has few; a new one sends its oldest away.

        Args:
            invocation: what brought him; he is sent away at its deadline, and can come back.

        Raises:
            Refusal: there is no room for another.
        """
        room = self._settings.running_calls
        mine = [each for owner, each in self._followers if owner == session_id and not each.has_left]
        most = max(1, min(_FOLLOWERS, room // 2))
        for oldest in mine[: max(len(mine) + 1 - most, 0)]:
            oldest.leave()
        if self._is_closed or sum(not each.has_left for _, each in self._followers) >= room:
            raise Refusal(503, "Too many calls are followed. Try again later.", jsonrpc.INTERNAL_ERROR, headers=_SOON)
        follower = (session_id, Listener(after))
        self._followers.append(follower)
        late = None
        if invocation is not None:
            late = asyncio.get_running_loop().call_at(invocation.deadline, follower[1].leave)
        try:
            yield follower[1]
        finally:
            self._followers.remove(follower)
            if late is not None:
                late.cancel()

    def find(self, call_id: str, session_id: str) -> Call | None:
        call = self._calls.get(call_id)
        return call if call is not None and call.session_id == session_id else None

    def of(self, session_id: str) -> Sequence[Call]:
        """The calls of one session."""
        return [call for call in self._calls.values() if call.session_id == session_id]

    def _forget(self, call: Call) -> None:
        self._calls.pop(call.id, None)

    async def drain(self) -> None:
        """Waits for the calls that run, then ends what still does. No new one begins."""
        if self._drained is None:
            self._is_closed = True
            self._drained = asyncio.create_task(self._drain())
        await asyncio.shield(self._drained)

    async def _drain(self) -> None:
        for _, follower in self._followers:
            follower.leave()  # he can follow at another instance
        await self._join(self._settings.drain_s)
        for call in self._calls.values():
            call.cancel("The instance that worked on this call was stopped. Call again.")
        await self._join(_LAST_WORDS_S)
        if self._pulse is not None:
            self._pulse.cancel()

    async def _join(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                for call in list(self._calls.values()):
                    await call.join()

    async def _watch(self) -> None:
        """Looks after the calls once a second while there are any; one that takes longer holds up no other."""
        looks: dict[str, asyncio.Task[None]] = {}
        while self._calls:
            await asyncio.sleep(_PULSE_S)
            looks = {call_id: look for call_id, look in looks.items() if not look.done()}
            for call in self._calls.values():
                if call.has_begun and call.id not in looks:
                    looks[call.id] = asyncio.create_task(self._look(call))
        self._pulse = None

    async def _look(self, call: Call) -> None:
        try:
            await self._look_at(call)
        except StoreDown as fault:
            _log.warning("a running call could not be looked after", extra={"reason": str(fault)})
        except Exception:
            _log.exception("a running call could not be looked after")  # and the others still are

    async def _look_at(self, call: Call) -> None:
        now = asyncio.get_running_loop().time()
        if now - call.started > self._settings.call_limit_s:
            call.cancel(f"The call took longer than {self._settings.call_limit_s:g} s, which is all it may.")
        journal = call.journal
        if journal is None or not call.out.keeps:
            return
        if now - call.last_beat >= BEAT_S:
            call.last_beat = now
            call.beats += 1
            if not await journal.beat(call.id, call.request_ids, call.beats):
                call.cancel("The session was ended.", keeps=False)
                return
        await call.out.catch_up()
        for request_id in await journal.cancelled(call.request_ids):
            call.cancel_request(request_id)
        is_unheard = not call.out.is_heard and now - call.out.last_heard > self._settings.unheard_s
        if is_unheard and not await journal.is_heard(call.id):
            call.cancel(f"Nobody listened for {self._settings.unheard_s:g} s.")


async def _ending(call: Call, invocation: Invocation) -> None:
    """Waits for the end of `call`, which is cancelled at the deadline, and given up if it does not heed that."""
    now = asyncio.get_running_loop().time
    ended = asyncio.create_task(call.join())
    if (await asyncio.wait((ended,), timeout=max(invocation.deadline - now(), 0)))[1]:
        call.cancel("The function's time was up before the call had ended.")
        await asyncio.wait((ended,), timeout=max(invocation.hard_stop - now(), 0) / 2)
    if not ended.done():
        await call.give_up()
        ended.cancel()
