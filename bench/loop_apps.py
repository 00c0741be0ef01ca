"""The small ASGI app of `loop.py`, for uvicorn and for the loop on Lambda: `loop_apps.py PORT` serves it by uvicorn.

`/` answers with a kilobyte of JSON; `/MB` with so many megabytes, in pieces of 64 KB.
"""

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
PIECE = bytes(64 << 10)
_SMALL = b'{"said":"' + b"x" * 1011 + b'"}'


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await receive()
    megabytes = int(scope["path"][1:] or 0)
    kind = b"application/octet-stream" if megabytes else b"application/json"
    length = megabytes << 20 or len(_SMALL)
    headers = [(b"content-type", kind), (b"content-length", b"%d" % length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(0, megabytes << 20, len(PIECE)):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if megabytes else _SMALL})


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        http="h11",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
    )
