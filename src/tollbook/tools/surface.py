"""The surface that clients see: its tools come when they are asked for, and whatever goes wrong is a sentence."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final

from mcp.server import MCPServer
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult, GetPromptResult, InputRequiredResult, Tool
from pydantic import AnyUrl, ValidationError

from tollbook.core.errors import TollbookError
from tollbook.core.text import printable
from tollbook.tools.audit import audited
from tollbook.tools.shelf import PageText
from tollbook.tools.sight import SightRules

_FAULT: Final = "This is a fault of tollbook's own, and was logged. Ask whoever runs the server."
_LONGEST_ECHO: Final = 60  # characters
_LISTED: Final = 5


class Surface(MCPServer[Any]):
    """The SDK's server, whose answers to what goes wrong are sentences, and whose tools come when asked for."""

    def __init__(self, rules: SightRules, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rules = rules
        self._later: list[Callable[[], None]] = []
        self._schemas: dict[str, Callable[[], dict[str, Any]]] = {}
        self._arguments: dict[str, Mapping[str, Any]] = {}

    def later(self, add: Callable[[], None]) -> None:
        """Has `add` add its tools when somebody first wants to know of one: a start has no time for them."""
        self._later.append(add)

    def publish(self, tool: str, schema: Callable[[], dict[str, Any]]) -> None:
        """Says what gives the schema of the structured content of `tool`, when somebody wants to know."""
        self._schemas[tool] = cache(schema)

    async def list_tools(self) -> list[Tool]:
        """All tools there are."""
        self._add_what_is_left()
        found = await super().list_tools()
        for tool in found:
            if schema := self._schemas.get(tool.name):
                tool.output_schema = schema()
        return found

    def _add_what_is_left(self) -> None:
        later, self._later = self._later, []
        for add in later:
            add()

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
