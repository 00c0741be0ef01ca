"""One question to a server, for scripts: asked, answered, done."""

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from tollbook.client import plain
from tollbook.client.arguments import arguments_of, nearest, prompt_arguments_of, unknown_in
from tollbook.client.connection import Connection
from tollbook.client.protocol import Answer, Elicitation, PromptResult, ReadResult, ToolResult, read
from tollbook.client.schemas import listed
from tollbook.core.errors import UsageError
from tollbook.core.jsonrpc import written
from tollbook.core.text import json_safe

if TYPE_CHECKING:
    from rich.console import RenderableType

Words = Sequence[str]
Stdin = Callable[[], str]
Say = Callable[[str], None]

_SHOWN: Final = 200

_T = TypeVar("_T")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a server answered, in each of the forms that it is printed in.

    Attributes:
        raw: as it was sent.
        parts: what there is to show: the name of a function, which `plain` and `screen` have both, and what it takes.
        blob: the bytes, where it is nothing else.
        failed: in what way it is no success, as a sentence without its end.
    """

    raw: Any
    parts: Sequence[tuple[str, Sequence[Any]]]
    blob: bytes | None = None
    failed: str = ""

    def as_json(self, *, indented: bool) -> str:
        """The raw answer, harmless on a screen; on one line, or on many."""
        document = written(self.raw)
        return json_safe((msgspec.json.format(document, indent=2) if indented else document).decode())

    def as_text(self) -> str:
        return "".join(getattr(plain, name)(*taken) for name, taken in self.parts)

    def for_screen(self) -> "Iterator[RenderableType]":
        from tollbook.client import screen  # loads rich

        return (getattr(screen, name)(*taken) for name, taken in self.parts)


async def call(connection: Connection, name: str, words: Words, stdin: Stdin, say: Say) -> Found:
    """What a tool answers.

    Args:
        say: is told of arguments that the tool does not name.

    Raises:
        UsageError: there is no such tool, or it does not take these arguments.
        ClientError: no answer.
    """
    tool = _named(name, "tool", await connection.tools())
    arguments = arguments_of(words, tool, stdin)
    for remark in unknown_in(arguments, tool):
        say(remark)
    raw = await connection.call_tool(name, arguments)
    result = read(raw, ToolResult)
    failed = f"The tool '{name}' answered with an error" if result.is_error else ""
    return Found(raw=raw, parts=[("tool_result", (result, tool))], failed=failed)


async def tools(connection: Connection, name: str | None) -> Found:
    """All tools; or one, with its arguments."""
    found = await connection.tools()
    said = {each["name"]: each for each in await connection.listed("tools")}
    if name is None:
        return Found(raw={"tools": [said[tool.name] for tool in found]}, parts=[("tools", (found,))])
    tool = _named(name, "tool", found)
    return Found(raw=said[tool.name], parts=[("tool", (tool,))])


async def resources(connection: Connection, uri: str | None) -> Found:
    """All resources and templates; or what one holds."""
    if uri is None:
        found, templates = await connection.resources(), await connection.templates()
        both = {what: await connection.listed(what) for what in ("resources", "resourceTemplates")}
        lists = [("resources", (found,)), ("templates", (templates,))]
        return Found(raw=both, parts=lists if templates else lists[:1])
    raw = await connection.read_resource(uri)
    result = read(raw, ReadResult)
    blobs = [each.blob for each in result.contents]
    blob = _decoded(blobs[0]) if len(blobs) == 1 and blobs[0] is not None else None
    return Found(raw=raw, parts=[("read_result", (result,))], blob=blob)


async def prompts(connection: Connection, name: str | None, words: Words, stdin: Stdin) -> Found:
    """All prompts; or the messages of one.

    Raises:
        UsageError: there is no such prompt, or it does not take these arguments.
        ClientError: no answer.
    """
    found = await connection.prompts()
    if name is None:
        return Found(raw={"prompts": await connection.listed("prompts")}, parts=[("prompts", (found,))])
    arguments = prompt_arguments_of(words, _named(name, "prompt", found), stdin)
    raw = await connection.get_prompt(name, arguments)
    return Found(raw=raw, parts=[("prompt_result", (read(raw, PromptResult),))])


async def info(connection: Connection) -> Found:
    """Who the server is, and what it can."""
    server = await connection.open()
    return Found(raw=_said(server), parts=[("server", (server,))])


class Reporter:
    """A host for scripts, at which nobody answers: says what happens, a line each.

    Args:
        logs: whether lines of the server's log and its progress are told of.
        debugs: whether what goes over the wire is, too.
    """

    def __init__(self, say: Say, *, logs: bool, debugs: bool) -> None:
        self.logs = logs
        self._say, self._debugs = say, debugs

    def log(self, level: str, logger: str | None, data: Any) -> None:
        if self.logs:
            text = data if isinstance(data, str) else json_safe(written(data).decode())
            self._say(f"{level}{f' {logger}' if logger else ''}: {text}")

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        if self.logs:
            self._say(f"{done:g}{f' of {total:g}' if total else ''}{f': {message}' if message else ''}")

    def notice(self, text: str) -> None:
        self._say(text)

    def debug(self, text: str) -> None:
        if self._debugs:
            self._say(text)

    async def elicit(self, asked: Elicitation) -> Answer:
        self._say(f"The server asks '{asked.message[:_SHOWN]}', and nobody is here to answer: it is declined.")
        return Answer(action="decline")


def _named(name: str, what: str, found: Sequence[_T]) -> _T:
    by_name = {str(getattr(each, "name", "")): each for each in found}
    if name not in by_name:
        meant = nearest(name, by_name)
        advice = f"Did you mean {meant}?" if meant else f"It has {listed(list(by_name)) or 'none'}."
        raise UsageError(f"The server has no {what} '{name}'. {advice}")
    return by_name[name]


def _said(thing: Any) -> Any:
    """`thing` as JSON has it, without what was not said."""
    if isinstance(thing, msgspec.Struct):
        fields = zip(thing.__struct_fields__, thing.__struct_encode_fields__, strict=True)
        values = ((written_name, getattr(thing, name)) for name, written_name in fields)
        return {name: _said(value) for name, value in values if value is not None}
    return [_said(each) for each in thing] if isinstance(thing, list | tuple) else thing


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
