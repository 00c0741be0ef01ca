"""ASGI's lifespan: https://asgi.readthedocs.io/en/latest/specs/lifespan.html"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, Final

from tollbook.core.errors import TollbookError

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Coroutine[Any, Any, None]
]
"""An ASGI app."""

_log: Final = logging.getLogger(__name__)
_LAST_WORDS_S: Final = 1.5  # Lambda gives two seconds at most


class CannotStart(TollbookError):
    """The app's lifespan says that it cannot start."""


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[dict[str, Any]]:
    """The app's lifespan, if it has one; the state that its requests begin with.

    If the block fails the app is not asked to end: then the process should, at once.

    Raises:
        CannotStart: the app says that it cannot. What else it says may quote anything, and is not repeated.
    """
    state: dict[str, Any] = {}
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    said: asyncio.Queue[str] = asyncio.Queue()

    async def say(message: Message) -> None:
        said.put_nowait(message["type"])

    living = asyncio.create_task(_live(app, state, inbox.get, say))
    try:
        inbox.put_nowait({"type": "lifespan.startup"})
        first = await _next(said, living)
        if first == "lifespan.startup.failed":
            raise CannotStart("The app's lifespan failed to start.")
        yield state
        if first is not None:
            inbox.put_nowait({"type": "lifespan.shutdown"})
            async with asyncio.timeout(_LAST_WORDS_S):
                if await _next(said, living) != "lifespan.shutdown.complete":
                    _log.error("the app's lifespan did not end well")
    except TimeoutError:
        _log.error("the app's lifespan does not end")
    finally:
        living.cancel()
        await asyncio.wait((living,), timeout=_LAST_WORDS_S)


async def _live(app: App, state: dict[str, Any], receive: Callable[[], Awaitable[Message]], send: Any) -> None:
    try:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}, receive, send)
    except Exception as fault:
        # By which an app may also say that it knows no lifespan.
        _log.info("the app's lifespan ended with an exception", exc_info=fault)


async def _next(said: "asyncio.Queue[str]", living: asyncio.Task[None]) -> str | None:
    """What the app says next; None if it says nothing more."""
    word = asyncio.create_task(said.get())
    await asyncio.wait((word, living), return_when=asyncio.FIRST_COMPLETED)
    if not word.done() and said.empty():
        word.cancel()
        return None
    return await word
