"""What the loop's tests run: an app that does as its path says, functions, and things that do not start.

It speaks with a test through files: it waits for one, or makes one.
"""

import asyncio
import os
import random
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from tollbook.hosting.invocation import Invocation, invocation_of

HERE: Final = Path(os.environ.get("NOTES", "."))
CAUSE: Final = "hunter2"
PLAIN: Final = [(b"content-type", b"text/plain"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]

Send = Callable[[dict[str, Any]], Any]

random.seed(1)
starts = 0


async def wait_for(name: str) -> None:
    while not (HERE / name).exists():
        await asyncio.sleep(0.02)


async def work_on() -> None:
    """Whatever it is told."""
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(1)


async def work_until(name: str) -> None:
    await wait_for(name)
    note("has-worked")


async def raises() -> None:
    raise ValueError(CAUSE)


async def hands_on(invocation: Invocation) -> None:
    """Work that hands on more of it when it is cancelled, and so on."""
    try:
        await asyncio.sleep(600)
    finally:
        invocation.wait_until(asyncio.create_task(hands_on(invocation)))


def note(name: str, text: str = "") -> None:
    (HERE / name).write_text(text)


async def app(scope: Mapping[str, Any], receive: Callable[[], Any], send: Send) -> None:
    global starts
    if scope["type"] == "lifespan":
        await receive()
        starts += 1
        scope["state"]["starts"] = starts
        await send({"type": "lifespan.startup.complete"})
        await receive()
        note("shut-down")
        await send({"type": "lifespan.shutdown.complete"})
        return
    request = (await receive())["body"]

    async def begin(headers: list[tuple[bytes, bytes]] = PLAIN) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def say(body: bytes, *, more: bool = True) -> None:
        await send({"type": "http.response.body", "body": body, "more_body": more})

    match unquote(scope["path"]).strip("/").split("/"):
        case ["echo"]:
            await begin()
            await say(request, more=False)
        case ["zeros", size]:
            await begin()
            for _ in range(int(size)):
                await say(bytes(1000))
            await say(b"", more=False)
        case ["about"]:
            await begin()
            told = [str(scope["state"]["starts"]), os.environ.get("_X_AMZN_TRACE_ID", ""), scope["root_path"]]
            told += [scope["aws.context"].aws_request_id, str(scope["aws.context"].get_remaining_time_in_millis() > 0)]
            await say("\n".join(told).encode(), more=False)
        case ["in-parts"]:
            await begin()
            await say(b"one ")
            await wait_for("first-was-read")
            await say(b"two", more=False)
        case ["fails", "before"]:
            raise ValueError(CAUSE)
        case ["fails", "after"]:
            await begin()
            await say(b"begun ")
            raise ValueError(CAUSE)
        case ["stops", "half-way"]:
            await begin()
            await say(b"begun ")
        case ["too", "many", "headers"]:
            await begin([(b"x-long", b"a" * 17_000)])
            await say(b"", more=False)
        case ["hangs", "before"]:
            await asyncio.Event().wait()
        case ["hangs", "after"]:
            await begin()
            await say(b"begun ")
            await asyncio.Event().wait()
        case ["works", "on", name]:
            invocation = invocation_of(scope)
            assert invocation is not None
            invocation.wait_until(asyncio.create_task(work_on() if name == "always" else work_until(name)))
            await begin()
            await say(b"answered", more=False)
        case ["answers", "when", name]:
            await wait_for(name)
            await begin()
            await say(b"at last", more=False)
        case ["raises", "after"]:
            await begin()
            await say(b"whole", more=False)
            raise ValueError(CAUSE)
        case ["raises", "beside"]:
            invocation = invocation_of(scope)
            assert invocation is not None
            invocation.wait_until(raises())  # type: ignore[arg-type] # a coroutine will do
            await begin()
            await say(b"whole", more=False)
        case ["hands", "on", "late"]:
            invocation = invocation_of(scope)
            assert invocation is not None
            invocation.wait_until(asyncio.create_task(hands_on(invocation)))
            await begin()
            await say(b"whole", more=False)
        case ["works", "after", "that", name]:
            await begin()
            await say(b"whole", more=False)
            await work_until(name)
        case ["no", "headers"]:
            await send({"type": "http.response.start", "status": 200, "headers": [("not", "bytes")]})
            await say(b"", more=False)
        case ["swallows"]:
            await begin()
            for _ in range(7):
                with suppress(Exception):
                    await say(b"a" * 1_000_000)
            with suppress(Exception):
                await say(b"", more=False)
        case ["hears", "who", "left"]:
            await begin()
            await say(b"begun ")
            note("left", (await receive())["type"])


async def without_lifespan(scope: Mapping[str, Any], receive: Callable[[], Any], send: Send) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def cannot_start(scope: Mapping[str, Any], receive: Callable[[], Any], send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": f"Traceback: {CAUSE}"})


async def does_not_end(scope: Mapping[str, Any], receive: Callable[[], Any], send: Send) -> None:
    if scope["type"] == "http":
        await without_lifespan(scope, receive, send)
        return
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await asyncio.Event().wait()


def decorated(*args: Any, **named: Any) -> Any:
    return app(*args, **named)


def factory(debug: bool = False) -> Any:
    return app


def raising() -> Any:
    raise ValueError(CAUSE)


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    if event.get("fails") == "oddly":
        raise type("Ошибка\r\n", (Exception,), {"__str__": lambda _: 1 / 0})
    if event.get("fails"):
        raise LookupError(str(event["fails"]))
    return {"got": event, "id": context.aws_request_id, "name": context.function_name}


async def async_handler(event: object, context: object) -> None:
    """What the loop does not run."""


def lucky(event: Mapping[str, Any], context: object) -> float:
    return random.random()  # noqa: S311 - it is what is tested


not_callable = 1

if "snapshot_restore_py" in os.environ.get("IMPORTS", ""):
    from snapshot_restore_py import register_after_restore, register_before_snapshot

    order: list[str] = []
    register_before_snapshot(order.append, "before, registered first")
    register_before_snapshot(order.append, "before, registered last")
    register_after_restore(lambda: note("hooks", "\n".join([*order, "after"])))
    if os.environ.get("HOOK_FAILS"):
        register_after_restore(raising)

if "at import" in os.environ.get("FAILS", ""):
    raise RuntimeError(CAUSE)
if "missing" in os.environ.get("FAILS", ""):
    sys.modules["tests.nowhere"] = None  # type: ignore[assignment]
    import tests.nowhere  # type: ignore[import-not-found]  # noqa: F401
