"""The MCP server: which tools, prompts and resources it offers, and how it answers what goes wrong."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from mcp.server import MCPServer
from mcp.server.caching import CacheHint
from mcp.server.request_state import RequestStateSecurity

from tollbook.core.caller import current_caller
from tollbook.core.hidden import hidden
from tollbook.core.stores import Blobs, Clock, Store
from tollbook.spend import prices
from tollbook.tools.answers import names
from tollbook.tools.answers.page import page
from tollbook.tools.asking import Asker, Biller
from tollbook.tools.desk import Desk
from tollbook.tools.greetings import add_greetings
from tollbook.tools.prompts import add_prompts
from tollbook.tools.settings import Settings
from tollbook.tools.shelf import Shelf, add_shelf
from tollbook.tools.surface import Surface
from tollbook.tools.usage import USAGE_TOOL, add_usage_report
from tollbook.tools.whoami import WHOAMI_TOOL, add_whoami

if TYPE_CHECKING:
    from tollbook.spend.answers.budgets import Budget

_INSTRUCTIONS: Final = f"""\
tollbook says what Amazon Bedrock cost and who spent it, from Bedrock's model invocation logs.

For totals, tokens or cost per user, role, team, model, region or day call {USAGE_TOOL}: it groups and filters by \
itself. For why spend changed {names.EXPLAIN}, for the end of the month {names.FORECAST}, for spikes \
{names.ANOMALIES}, for budgets {names.BUDGETS}, for other models, regions, tiers or caching {names.WHAT_IF}, for \
untagged or unpriced calls {names.HYGIENE}, to look around {names.DASHBOARD}. Ask these instead of adding figures up. \
Start with few days and widen. All answer with estimates at list price; say so, and pass on their notes.

It knows no discounts or other services{{bills}}. {WHOAMI_TOOL} says whose calls this caller may see. greet and \
multi-greet only check the connection."""
_BILLS: Final = {True: f", and of AWS bills only what {names.RECONCILE} says", False: " and no AWS bills"}

_LISTS: Final = CacheHint(ttl_ms=300_000, scope="public")  # they change only when the server is started anew


def build(
    asker: Asker,
    store: Store,
    *,
    blobs: Blobs | None = None,
    settings: Settings | None = None,
    state_keys: Sequence[str] = (),
    lifespan: Callable[[MCPServer[Any]], AbstractAsyncContextManager[Any]] | None = None,
    budgets: "Sequence[Budget]" = (),
    biller: Biller | None = None,
    book: Callable[[], prices.PriceBook] = prices.load,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    clock: Clock = time.time,
    version: str = "",
) -> MCPServer[Any]:
    """tollbook's MCP server.

    Args:
        asker: answers questions from logs.
        store: keeps whole results, or where there are `blobs` the count of them.
        blobs: keep the pages of whole results.
        state_keys: seal what a client of 2026-07-28 carries back with its answer to a question; the first seals, all
            open. The same for every instance; without any, each start has a key of its own.
        lifespan: what the server opens when it starts, and closes when it ends.
        budgets: those that can be asked about.
        biller: knows what AWS billed; without it nothing is compared with that.
        book: gives the prices that the asker makes reports with.
        now: the moment that days count back from; aware.
        clock: the store's.
        version: the server's, as clients see it.
    """
    settings = settings or Settings()
    shelf = Shelf(store, settings, clock, blobs)
    with _logging_as_it_was():
        server = Surface(
            settings.sight,
            "tollbook",
            extensions=[page()],
            title="tollbook: what Amazon Bedrock cost",
            description="What Amazon Bedrock cost, and who spent it.",
            instructions=_INSTRUCTIONS.format(bills=_BILLS[biller is not None]),
            version=version,
            subscriptions=False,
            lifespan=lifespan,
            request_state_security=_sealed(state_keys),
            log_level="WARNING",
            cache_hints={
                "tools/list": _LISTS,
                "prompts/list": _LISTS,
                "resources/list": _LISTS,
                "resources/templates/list": _LISTS,
            },
        )
    add_greetings(server, settings)
    add_whoami(server, settings)
    desk = Desk(asker, settings, now)

    def add_rest() -> None:
        from tollbook.tools.answers.every import add_answers  # with all that makes them, which a start does not need

        add_usage_report(server, desk, shelf)
        add_answers(server, desk, budgets, biller, book)

    server.later(add_rest)
    add_shelf(server, shelf)
    add_prompts(server, settings)
    return server


def _sealed(keys: Sequence[str]) -> RequestStateSecurity | None:
    """What a client carries back is bound to the caller to whom it was given."""
    if not keys:
        return None

    def caller(_context: object) -> str | None:
        return current_caller().id or None

    return RequestStateSecurity(keys=keys, audience="tollbook", bind_principal=caller)


@contextmanager
def _logging_as_it_was() -> Iterator[None]:
    """The SDK gives the root logger a handler of its own where it has none; whoever runs the server decides that.

    It colours it with rich if that is there. As if it were not, there is nothing to import for it.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        with hidden("rich"):
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
