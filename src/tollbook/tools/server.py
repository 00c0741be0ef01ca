"""The MCP server: which tools, prompts and resources it offers, and how it answers what goes wrong."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from mcp.server import MCPServer
from mcp.server.caching import CacheHint
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.request_state import RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult, GetPromptResult, InputRequiredResult
from pydantic import AnyUrl, ValidationError

from tollbook.core.caller import current_caller
from tollbook.core.errors import TollbookError
from tollbook.core.hidden import hidden
from tollbook.core.stores import Blobs, Clock, Store
from tollbook.core.text import printable
from tollbook.tools.asking import Asker
from tollbook.tools.audit import audited
from tollbook.tools.greetings import add_greetings
from tollbook.tools.prompts import add_prompts
from tollbook.tools.settings import Settings
from tollbook.tools.shelf import PageText, Shelf, add_shelf
from tollbook.tools.sight import SightRules
from tollbook.tools.usage import USAGE_TOOL, add_usage_report
from tollbook.tools.whoami import WHOAMI_TOOL, add_whoami

_INSTRUCTIONS: Final = f"""\
tollbook says what Amazon Bedrock cost and who spent it, from Bedrock's model invocation logs.

For any question about Bedrock spend, usage, tokens or cost per user, role, team, model, region or day call \
{USAGE_TOOL}: it groups and filters by itself, so ask it for what you need instead of adding figures up. Start with \
few days and widen. It answers with estimates at list price; say so, and pass on its notes.

It knows no AWS bills, discounts or other services. {WHOAMI_TOOL} says whose calls this caller may see. greet and \
multi-greet only check the connection."""

_FAULT: Final = "This is a fault of tollbook's own, and was logged. Ask whoever runs the server."
_LISTS: Final = CacheHint(ttl_ms=300_000, scope="public")  # they change only when the server is started anew
_LONGEST_ECHO: Final = 60  # characters
_LISTED: Final = 5


def build(
    asker: Asker,
    store: Store,
    *,
    blobs: Blobs | None = None,
    settings: Settings | None = None,
    state_keys: Sequence[str] = (),
    lifespan: Callable[[MCPServer[Any]], AbstractAsyncContextManager[Any]] | None = None,
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
        now: the moment that days count back from; aware.
        clock: the store's.
        version: the server's, as clients see it.
    """
    settings = settings or Settings()
    shelf = Shelf(store, settings, clock, blobs)
    with _logging_as_it_was():
        server = _Server(
            settings.sight,
            "tollbook",
            title="tollbook: what Amazon Bedrock cost",
            description="What Amazon Bedrock cost, and who spent it.",
            instructions=_INSTRUCTIONS,
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
    add_usage_report(server, asker, shelf, settings, now)
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


class _Server(MCPServer[Any]):
    """The SDK's server, whose answers to what goes wrong are sentences."""

    def __init__(self, rules: SightRules, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rules = rules
        self._arguments: dict[str, Mapping[str, Any]] = {}

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Calls a tool. An argument that is null counts as left out, and one that does not exist is refused.

        Raises:
            ToolError: with one sentence that says what to do.
            UnexpectedToolError: with one that says nothing of the cause, which `__cause__` holds.
        """
        known = await self._arguments_of(name)
        # A name that is none may be anything, a token that was put in its place too.
        with audited("?" if known is None else name, self._rules):
            return await self._call(name, arguments, context, known)

    async def _call(
        self,
        name: str,
        arguments: dict[str, Any],
        context: Context[Any, Any] | None,
        known: Mapping[str, Any] | None,
    ) -> CallToolResult | InputRequiredResult:
        given = {key: value for key, value in arguments.items() if value is not None}
        if known is not None and (unknown := given.keys() - known.keys()):
            names = ", ".join(sorted(map(_echo, unknown))[:_LISTED])
            raise ToolError(f"{name} has no argument {names}. It has {', '.join(known)}.")
        try:
            return await super().call_tool(name, given, context)
        except ToolError as fault:
            cause = fault.__cause__
            if isinstance(cause, ValidationError) and not isinstance(fault, UnexpectedToolError):
                raise ToolError(_sentence(cause, known or {})) from cause
            if isinstance(cause, TollbookError | ToolError):
                raise ToolError(printable(str(cause))) from cause
            if isinstance(fault, UnexpectedToolError):
                raise UnexpectedToolError(_FAULT) from cause
            raise

    async def _arguments_of(self, tool: str) -> Mapping[str, Any] | None:
        """The arguments of a tool by name, with their schemas; None if there is no such tool."""
        if not self._arguments:
            self._arguments = {each.name: each.input_schema.get("properties", {}) for each in await self.list_tools()}
        return self._arguments.get(tool)

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Any, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """Fills in a prompt.

        Raises:
            MCPError: there is no such prompt, or its arguments are others.
        """
        prompts = {each.name: each.arguments or [] for each in await self.list_prompts()}
        if name not in prompts:
            raise MCPError(INVALID_PARAMS, f"There is no prompt {_echo(name)}. There are {', '.join(prompts)}.")
        known = [argument.name for argument in prompts[name]]
        missing = [each.name for each in prompts[name] if each.required and each.name not in (arguments or {})]
        if missing or not (arguments or {}).keys() <= set(known):
            problem = f"needs {', '.join(missing)}" if missing else f"takes no arguments but {', '.join(known)}"
            raise MCPError(INVALID_PARAMS, f"The prompt {name} {problem}.")
        return await super().get_prompt(name, arguments, context)

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[Any, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """Reads a resource. A page of a report says itself what it is: of a template, the SDK knows one type only."""
        with audited("resources/read", self._rules):
            found = await super().read_resource(uri, context)
        return found if isinstance(found, InputRequiredResult) else [_labelled(each) for each in found]


def _labelled(found: ReadResourceContents) -> ReadResourceContents:
    page = found.content
    return ReadResourceContents(page, page.media_type, page.meta) if isinstance(page, PageText) else found


def _sentence(fault: ValidationError, arguments: Mapping[str, Any]) -> str:
    """What is wrong with the arguments of a call."""
    problems = []
    for error in fault.errors(include_url=False):
        name = ".".join(map(str, error["loc"]))
        if error["type"] == "missing":
            problems.append(f"{name} is missing")
            continue
        what = error["msg"][0].lower() + error["msg"][1:]
        if error["type"] == "string_pattern_mismatch":
            examples = arguments.get(name, {}).get("examples", ())
            what = f"write it like {' or '.join(map(str, examples))}"
        problems.append(f"{name} {_echo(error['input'])} is not right: {what}")
    return f"{'; '.join(problems)}."


def _echo(value: object) -> str:
    text = printable(f"'{value}'")
    return text if len(text) <= _LONGEST_ECHO else f"{text[:_LONGEST_ECHO]}…"


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
