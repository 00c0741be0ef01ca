"""tollbook's MCP server and the ASGI app around it, as the settings have them: whatever it is that runs the app."""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from mcp.server import MCPServer

from tollbook import __version__, tools
from tollbook.app.aws_settings import BILL, AwsSettings
from tollbook.app.book import price_book
from tollbook.app.login import login_of
from tollbook.app.own_server import own_server
from tollbook.app.settings import ServerSettings
from tollbook.core.stores import Store
from tollbook.hosting import HostSettings, embedded_metrics, host
from tollbook.hosting.answers import Receive, Scope, Send
from tollbook.hosting.app import Host
from tollbook.hosting.stores import open_blobs, open_store
from tollbook.sources.named import CLOUDWATCH, LOG_GROUP, one_kind
from tollbook.tools import Asker

if TYPE_CHECKING:
    from tollbook.app.aws_bill import AwsBill
    from tollbook.app.aws_questions import AwsAsker
    from tollbook.app.questions import FileAsker
    from tollbook.spend.answers.reconcile import Bill

App = Callable[[Scope, Receive, Send], Awaitable[None]]


def hosted(settings: ServerSettings, make_asker: Callable[[], Asker]) -> Host:
    """The server over HTTP: tollbook's, or that of somebody's own which the settings name.

    Args:
        make_asker: what answers the questions to tollbook's.

    Raises:
        TollbookError: somebody's own cannot be loaded.
    """
    store = open_store(settings.session_store)
    login = login_of(settings, store)
    return host(
        own_server(settings.app, Path.cwd()) if settings.app else server(settings, make_asker(), store),
        store,
        host_settings(settings),
        authenticate=login.authenticate,
        pages=login.pages,
        metrics=embedded_metrics(settings.metrics) if settings.metrics else None,
    )


def opened(app: App, lifespan: Callable[[], AbstractAsyncContextManager[None]]) -> App:
    """`app`, with what is open as long as it is."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        ends: list[MutableMapping[str, Any]] = []

        async def hold_back_the_end(message: MutableMapping[str, Any]) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                ends.append(message)  # whoever runs the app ends the process as soon as he hears it
            else:
                await send(message)

        async with lifespan():
            await app(scope, receive, hold_back_the_end)
        for message in ends:
            await send(message)

    return run


def server(settings: ServerSettings, asker: Asker, store: Store) -> MCPServer[Any]:
    """tollbook's own. Whoever opened `store` closes it."""
    groups = [each.name for each in one_kind(settings.source) if each.kind in CLOUDWATCH]
    blobs = open_blobs(settings.results_place) if settings.results_place else None

    @asynccontextmanager
    async def living(_: MCPServer[Any]) -> AsyncIterator[None]:
        try:
            yield
        finally:
            if blobs is not None:
                await blobs.aclose()

    return tools.build(
        asker,
        store,
        blobs=blobs,
        settings=tools.Settings(
            region=settings.region,
            text_bytes=settings.text_limit,
            kept_s=round(settings.results_kept),
            sight=settings.sight,
            log_group=groups[0] if groups else LOG_GROUP,
            max_scan_usd=settings.aws.max_scan_usd,
            max_scan_bytes=settings.aws.max_scan_bytes,
        ),
        state_keys=settings.request_state_keys,
        lifespan=living,
        budgets=settings.budgets,
        biller=_LateBill(settings.aws) if BILL in settings.aws.look_up else None,
        book=lambda: price_book(settings.prices)[0],
        now=lambda: settings.now or datetime.now(UTC),
        version=__version__,
    )


def asker_of(settings: ServerSettings) -> "FileAsker | AwsAsker":
    """What answers its questions."""
    sources = one_kind(settings.source)
    if sources and sources[0].kind != "files":
        from tollbook.app.aws import AwsBook  # with boto3, which takes long to import
        from tollbook.app.aws_questions import AwsAsker

        return AwsAsker(AwsBook(sources, settings.aws, price_file=settings.prices, names_file=settings.names))
    from tollbook.app.questions import FileAsker

    return FileAsker(settings.source, price_file=settings.prices, names_file=settings.names)


class _LateBill:
    """See `Biller`; with what speaks to AWS, which is imported when somebody asks for the bill."""

    def __init__(self, settings: AwsSettings) -> None:
        self._settings, self._making = settings, anyio.Lock()
        self._bill: AwsBill | None = None

    async def bill(self, since: date, until: date, account: str) -> "Bill":
        async with self._making:
            if self._bill is None:
                self._bill = await anyio.to_thread.run_sync(self._made)
        return await self._bill.bill(since, until, account)

    def _made(self) -> "AwsBill":
        from tollbook.app.aws_bill import AwsBill

        return AwsBill(self._settings)


def host_settings(settings: ServerSettings) -> HostSettings:
    """How it is hosted."""
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
