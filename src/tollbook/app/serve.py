"""`tollbook serve`: tollbook's MCP server, over HTTP or on the standard input and output."""

import asyncio
import gc
import math
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Final

import anyio
import anyio.to_thread
import uvicorn
from uvicorn.supervisors import Multiprocess

from tollbook import __version__
from tollbook.app.connections import PromptProtocol, make_room
from tollbook.app.login import saying
from tollbook.app.server import App, asker_of, hosted, opened, server
from tollbook.app.settings import SETTINGS, ServerSettings, read_local_settings, read_settings
from tollbook.app.telemetry import export_spans
from tollbook.core.errors import SourceError, UsageError, why
from tollbook.core.text import printable
from tollbook.hosting.app import Host
from tollbook.hosting.auth.settings import AUTH_SETTINGS
from tollbook.hosting.log import log_as_json
from tollbook.hosting.stores import open_store
from tollbook.tools.sight import SIGHT_SETTINGS

_LAST_WORDS_S: Final = 5  # for the connections of calls that were ended
_BACKLOG: Final = 2048
_TRIES: Final = 512  # asyncio writes a line of log for each connection of a round that it has no room for
_STALLED_MS: Final = 60_000
_KEEP_ALIVE_S: Final = 75  # longer than clients and proxies keep one: else a POST meets a connection just closed


def app() -> App:
    """The ASGI app as the environment sets it: `uvicorn --factory tollbook.app.serve:app`."""
    return _app(read_settings(os.environ, {}))


def _app(settings: ServerSettings) -> App:
    log_as_json(settings.log_level)
    send_last_spans = export_spans(os.environ)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        with _draining_from_the_signal_on(serving):
            yield
        await anyio.to_thread.run_sync(send_last_spans)

    serving = hosted(settings, lambda: asker_of(settings))
    return opened(serving, lifespan)


def serve(flags: Mapping[str, str | None]) -> None:
    """Serves over HTTP until it is stopped.

    Raises:
        TollbookError: it cannot start.
    """
    settings = read_settings(os.environ, flags)
    make_room()
    concern = "" if settings.app else asker_of(settings).check()
    asyncio.run(_reach(settings.session_store))
    with _listen(settings) as listening:
        if settings.port == 0:  # what is made of the address needs the one that was taken
            settings = read_settings(os.environ, {**flags, "port": str(listening.getsockname()[1])})
        serving = _app(settings)  # with several workers too, so that what is wrong is said once, here
        gc.collect()
        gc.freeze()  # what a server is made of is never garbage: looking at it again would cost 4 % of each call
        gc.enable()
        _announce(settings, concern)
        is_alone = settings.workers == 1
        config = uvicorn.Config(
            serving if is_alone else "tollbook.app.serve:app",
            factory=not is_alone,
            workers=settings.workers,
            lifespan="on",
            http=PromptProtocol,  # on h11: another parser, which uvicorn prefers if it is there, takes endless headers
            backlog=_TRIES,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # what X-Forwarded-For says anyone can say: by it, who keeps failing would be many
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=math.ceil(settings.drain) + _LAST_WORDS_S,
        )
        if is_alone:
            uvicorn.Server(config).run(sockets=[listening])
        else:
            # Each worker reads the environment: it is how a process tells its children.
            os.environ |= {each.variable: text for each in SETTINGS if (text := flags.get(each.name)) is not None}
            os.environ.setdefault("REQUEST_STATE_KEYS", secrets.token_urlsafe(32))
            Multiprocess(config, [listening]).run()


@contextmanager
def _draining_from_the_signal_on(serving: Host) -> Iterator[None]:
    """Ends running calls as soon as the process is told to stop, while their clients still listen.

    uvicorn ends an app's lifespan, where it would be ended otherwise, only after the connections.
    """
    loop = asyncio.get_running_loop()
    draining: set[asyncio.Task[None]] = set()

    def drain() -> None:
        draining.add(asyncio.create_task(serving.drain()))

    def told(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(drain)
        before = earlier[signal.Signals(number)]
        if callable(before):
            before(number, frame)

    earlier = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    if threading.current_thread() is threading.main_thread():
        for each in earlier:
            signal.signal(each, told)
    yield


def serve_stdio(flags: Mapping[str, str | None]) -> None:
    """Serves one local host on the standard input and output.

    Raises:
        TollbookError: it cannot start.
    """
    settings = read_local_settings(os.environ, flags)
    if settings.app:
        raise UsageError("--stdio serves tollbook's own server. One of your own speaks for itself: run it by itself.")
    log_as_json(settings.log_level)
    asker = asker_of(settings)
    if concern := asker.check():
        print(printable(concern), file=sys.stderr)
    if any(os.environ.get(each.variable) or flags.get(each.name) for each in (*AUTH_SETTINGS, *SIGHT_SETTINGS)):
        print("--stdio asks nobody who he is: whoever starts it sees all calls.", file=sys.stderr)
    send_last_spans = export_spans(os.environ)

    async def run() -> None:
        store = open_store(settings.session_store)
        try:
            await server(settings, asker, store).run_stdio_async()
        finally:
            await store.aclose()
            send_last_spans()

    anyio.run(run)


async def _reach(session_store: str) -> None:
    """Looks whether the store can be read.

    Raises:
        StoreDown: it cannot.
    """
    store = open_store(session_store)
    try:
        await store.get("start", "check")
    finally:
        await store.aclose()


def _listen(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named, since asyncio sends at once, without Nagle's delay of 40 ms, only where it is.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # on Linux, connections inherit it: who takes nothing for so long has gone
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STALLED_MS)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(_BACKLOG)
    except OSError as fault:
        listening.close()
        raise SourceError(
            f"Cannot listen at {settings.host}:{settings.port}: {why(fault)}. Choose another with --port or --host."
        ) from fault
    listening.set_inheritable(True)
    return listening


def _announce(settings: ServerSettings, concern: str) -> None:
    known_as = f", known as {settings.public_url}" if settings.public_url else ""
    serving = f"tollbook {__version__} serves {settings.local_url}{known_as}"
    lines = filter(None, (serving, concern, saying(settings)))
    print(*map(printable, lines), sep="\n", file=sys.stderr)
