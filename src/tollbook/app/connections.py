"""Connections as this server bears them: what never becomes a request is cut, and there is room for many."""

import asyncio
import contextlib
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S: Final = 10.0
"""For so long the head of a request may take. uvicorn bounds the time between two requests only."""

_MOST_FILES: Final = 65_536


class PromptProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, whose clients must say what they want in time."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        is_busy = bool(self.cycle) and not self.cycle.response_complete
        if is_busy:
            self._stop_waiting()
        elif self._waiting is None and self.timeout_keep_alive_task is None:
            self._wait()  # for the rest of what has begun on a connection that was kept open

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting = asyncio.get_running_loop().call_later(HEAD_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def make_room() -> None:
    """Lets this process hold as many connections as it may: shells often let a program have 1,024 files."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # the first where there is no such limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = min(hard, _MOST_FILES) if hard >= 0 else _MOST_FILES  # -1 is without limit
        if 0 <= soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
