"""Servers that were imported in other ways than usual, each made by a function that `lambda_loop` runs."""

import json
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from typing import Any

from tollbook.hosting.light_import import light_import

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


def deployed_in_full() -> App:
    """The deployed server in a process that has all of the SDK before: there is nothing left to put off."""
    for name in ("httpx2", "mcp", "tollbook.app.server", "tollbook.tools.server"):
        import_module(name)
    from tollbook.app.on_lambda import app

    return app()


def own_lightly() -> App:
    """Somebody's own server, imported as the deployed one is."""
    with light_import():
        from tests.hosting.runtime.deployed_server import app

        return app()


def telling() -> App:
    """The deployed server, which says at /modules what was imported, and at /unbuilt whether models are put off."""
    from tollbook.app.on_lambda import app

    server = app()

    async def tell(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http" or scope["path"] not in ("/modules", "/unbuilt"):
            await server(scope, receive, send)
            return
        document = sorted(sys.modules) if scope["path"] == "/modules" else _unbuilt()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(document).encode()})

    return tell


def _unbuilt() -> list[str]:
    """The models of the protocol that have no validator yet."""
    import mcp_types

    models = (each for each in vars(mcp_types).values() if isinstance(each, type))
    return [each.__name__ for each in models if not getattr(each, "__pydantic_complete__", True)]
