"""ASGI's lifespan: https://asgi.readthedocs.io/en/latest/specs/lifespan.html"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from tollbook.core.errors import TollbookError

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Coroutine[Any, Any, None]
]
"""An ASGI app."""


class CannotStart(TollbookError):
    """The app's lifespan says that it cannot start."""


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[dict[str, Any]]:
    """The app's lifespan, if it has one; the state that its requests begin with.

    Raises:
        CannotStart: the app says that it cannot.
    """
    state: dict[str, Any] = {}
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    said: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()

    async def live() -> None:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}, inbox.get, said.put)

    async def next_word(living: asyncio.Task[None]) -> MutableMapping[str, Any] | None:
        """What the app says next; None if it says nothing more."""
        word = asyncio.create_task(said.get())
        await asyncio.wait((word, living), return_when=asyncio.FIRST_COMPLETED)
        if not said.empty():
            await asyncio.wait((word,))
        if word.done():
            return word.result()
        word.cancel()
        return None

    living = asyncio.create_task(live())
    await inbox.put({"type": "lifespan.startup"})
    word = await next_word(living)
    if word is not None and word["type"] == "lifespan.startup.failed":
        raise CannotStart(word.get("message") or "The app's lifespan failed to start.")
    try:
        yield state
    finally:
        if word is None:
            # It knows no lifespan, as ASGI lets it say by an exception.
            await asyncio.wait((living,))
            living.exception()
        else:
            await inbox.put({"type": "lifespan.shutdown"})
            await next_word(living)
            living.cancel()
