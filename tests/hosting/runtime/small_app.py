"""An ASGI app of no framework, for the loop: each path of it behaves in a manner of its own."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answers with what it was asked; other paths with bytes, late or not to the end."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    body = (await receive())["body"]
    if scope["path"] == "/silent":
        await asyncio.Event().wait()
    headers = [(b"content-type", b"application/octet-stream"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    match scope["path"]:
        case "/every-byte":
            for half in (bytes(range(128)), bytes(range(128, 256))):
                await send({"type": "http.response.body", "body": half, "more_body": True})
            await send({"type": "http.response.body"})
        case "/breaks" | "/stalls" as path:
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            if path == "/breaks":
                raise RuntimeError("what nobody may read")
            await asyncio.Event().wait()
        case path:
            asked = {
                "method": scope["method"],
                "path": path,
                "query": scope["query_string"].decode(),
                "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
                "body": body.hex(),
                "process": os.getpid(),
            }
            await send({"type": "http.response.body", "body": json.dumps(asked).encode()})


def fails() -> None:
    """A factory of an app that has what it needs not."""
    raise KeyError("what nobody may read")
