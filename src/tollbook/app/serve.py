"""`tollbook serve`: tollbook's MCP server, over HTTP or on the standard input and output."""

import gc
import logging
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import anyio
import anyio.to_thread
import uvicorn
from mcp.server import MCPServer
from uvicorn.supervisors import Multiprocess

from tollbook import __version__, tools
from tollbook.app.questions import FileAsker
from tollbook.app.settings import SETTINGS, ServerSettings, read_settings
from tollbook.app.telemetry import export_spans
from tollbook.core.errors import SourceError, why
from tollbook.core.stores import Store
from tollbook.hosting import HostSettings, host
from tollbook.hosting.app import Host
from tollbook.hosting.log import JsonLines
from tollbook.hosting.stores import open_store

_BACKLOG: Final = 2048
_KEEP_ALIVE_S: Final = 75  # longer than clients and proxies keep one: else a POST meets a connection just closed


def app() -> Host:
    """The ASGI app as the environment sets it: `uvicorn --factory tollbook.app.serve:app`."""
    settings = read_settings(os.environ, {})
    log_as_json(settings.log_level)
    store = open_store(settings.session_store)
    return host(server(settings, store, export_spans(os.environ)), store, host_settings(settings))


def serve(flags: Mapping[str, str | None]) -> None:
    """Serves over HTTP until it is stopped.

    Raises:
        TollbookError: it cannot start.
    """
    settings = read_settings(os.environ, flags)
    # Each worker reads the environment: it is how a process tells its children.
    os.environ |= {each.variable: text for each in SETTINGS if (text := flags.get(each.name)) is not None}
    if settings.workers > 1:
        os.environ.setdefault("REQUEST_STATE_KEYS", secrets.token_urlsafe(32))
    serving = app() if settings.workers == 1 else None
    gc.collect()
    gc.freeze()  # what a server is made of is never garbage: looking at it again and again would cost 4 % of each call
    gc.enable()
    listening = _listen(settings)
    _announce(settings, listening.getsockname()[1])
    config = uvicorn.Config(
        serving or "tollbook.app.serve:app",
        factory=serving is None,
        workers=settings.workers,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=round(settings.drain) or 1,
    )
    with listening:
        if serving:
            uvicorn.Server(config).run(sockets=[listening])
        else:
            Multiprocess(config, [listening]).run()


def serve_stdio(flags: Mapping[str, str | None]) -> None:
    """Serves one local host on the standard input and output.

    Raises:
        TollbookError: it cannot start.
    """
    settings = read_settings(os.environ, flags)
    log_as_json(settings.log_level)
    send_last_spans = export_spans(os.environ)

    async def run() -> None:
        store = open_store(settings.session_store)
        try:
            await server(settings, store, send_last_spans).run_stdio_async()
        finally:
            await store.aclose()

    anyio.run(run)


def server(settings: ServerSettings, store: Store, at_end: Callable[[], None]) -> MCPServer[Any]:
    """tollbook's MCP server, which calls `at_end` when it stops."""

    @asynccontextmanager
    async def lifespan(_: MCPServer[Any]) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(at_end)

    asker = FileAsker(settings.source, price_file=settings.prices, names_file=settings.names)
    return tools.build(
        asker,
        store,
        settings=tools.Settings(
            region=settings.region, text_bytes=settings.text_limit, kept_s=round(settings.results_kept)
        ),
        state_keys=settings.request_state_keys,
        lifespan=lifespan,
        now=lambda: settings.now or datetime.now(UTC),
        version=__version__,
    )


def host_settings(settings: ServerSettings) -> HostSettings:
    return HostSettings(
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.allowed_origins,
        session_idle_s=settings.session_idle,
        sessions_per_owner=settings.sessions_per_owner,
        sessions_in_all=settings.sessions_in_all,
        call_limit_s=settings.call_limit,
        unheard_s=settings.unheard,
        drain_s=settings.drain,
    )


def log_as_json(level: str) -> None:
    """Everything that is logged goes to the standard error, a line of JSON each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tollbook").setLevel(level.upper())
    logging.captureWarnings(True)


def _listen(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named, since asyncio sends at once, without Nagle's delay of 40 ms, only where it is.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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


def _announce(settings: ServerSettings, port: int) -> None:
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    lines = [f"tollbook {__version__} serves http://{name}:{port}/mcp"]
    if not settings.source:
        lines.append("There is nothing to report on yet: name logs with --source.")
    if settings.auth_method is None:
        lines.append("Nobody is asked who he is (--auth-method none): whoever can reach this address can ask.")
    print("\n".join(lines), file=sys.stderr)
