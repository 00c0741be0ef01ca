"""What the word that is being typed may become: from the table of commands, the server's lists and its schemas."""

import asyncio
import re
import shlex
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, TypeVar

import msgspec

from tollbook.client import schemas
from tollbook.client.protocol import Json, Prompt, ResourceTemplate, Tool
from tollbook.client.repl.conversation import Conversation
from tollbook.client.repl.table import Command, Kind, Table
from tollbook.client.repl.words import Word, words_of
from tollbook.client.trouble import ClientError
from tollbook.core.jsonrpc import written
from tollbook.core.text import printable

_PATIENCE_S: Final = 0.4
"""For the server to say what it proposes; typing never waits for longer."""
_MOST: Final = 200
_WHAT: Final = 60
_VARIABLE: Final = re.compile(r"\{(\w+)\}")

_T = TypeVar("_T")


class Candidate(msgspec.Struct, frozen=True):
    """Something that the end of the line may become.

    Attributes:
        text: takes the place of the last `length` characters.
        label: of it in the list.
        what: is said of it there.
    """

    text: str
    length: int
    label: str
    what: str = ""


class Completion:
    """Proposes what may be typed next in a conversation. It never connects by itself."""

    def __init__(self, talk: Conversation, table: Table) -> None:
        self._talk, self._table = talk, table
        self._coming: dict[str, asyncio.Task[Sequence[Any]]] = {}

    async def of(self, line: str) -> Sequence[Candidate]:
        """The candidates for the end of `line`, which ends at the cursor."""
        words = list(words_of(line))
        if not words or (line[-1].isspace() and words[-1].end < len(line) and words[-1].is_closed):
            words.append(Word("", len(line), len(line)))
        *before, last = words
        texts = [word.text for word in before]
        command, begun = self._table.command_of(texts)
        names = self._names(texts, last) if len(before) < 2 else []
        if command is None or (names and len(before) < begun):
            return names
        found = names + await self._arguments(command, texts[begun:], last, line[last.begin :])
        return found[:_MOST]

    def _names(self, before: Sequence[str], last: Word) -> list[Candidate]:
        """Commands, of which some have two words."""
        typed = " ".join((*before, last.text)).lower()
        length = last.end - last.begin
        done = len(typed) - len(last.text)
        return [
            Candidate(name[done:], length, name[done:], command.what)
            for command in self._table.commands
            for name in command.names
            if name.startswith(typed) and name[:done] == typed[:done]
        ]

    async def _arguments(self, command: Command, before: Sequence[str], last: Word, raw: str) -> list[Candidate]:
        argument = command.argument_at(len(before))
        if argument is None:
            return []
        if argument.is_many:
            return await self._pairs(command, before, last, raw)
        if argument.choices:
            return _matching(((choice, "") for choice in argument.choices), last, raw)
        return _matching(await self._known(argument.kind, last.text), last, raw)

    async def _known(self, kind: Kind, typed: str) -> Iterable[tuple[str, str]]:
        """What an argument of that kind may name, and what is said of each."""
        match kind:
            case "server":
                return [(name, "") for name in self._talk.setup.names]
            case "command":
                return [(command.name, command.what) for command in self._table.commands]
            case "tool":
                return [(tool.name, _about(tool)) for tool in await self._tools()]
            case "prompt":
                return [(prompt.name, _about(prompt)) for prompt in await self._prompts()]
            case "resource":
                resources = await self._list("resources")
                return [*((each.uri, each.title or each.name) for each in resources), *await self._expanded(typed)]
            case _:
                return []

    async def _pairs(self, command: Command, before: Sequence[str], last: Word, raw: str) -> list[Candidate]:
        """NAME=VALUE, of a tool or of a prompt."""
        if raw.startswith("{"):
            return []
        name, given = before[0], _given(before[1:])
        if command.arguments[0].kind == "tool":
            tool = next((tool for tool in await self._tools() if tool.name == name), None)
            return [] if tool is None else _tool_pairs(tool, given, last, raw)
        prompt = next((prompt for prompt in await self._prompts() if prompt.name == name), None)
        return [] if prompt is None else await self._prompt_pairs(prompt, given, last, raw)

    async def _prompt_pairs(self, prompt: Prompt, given: Mapping[str, str], last: Word, raw: str) -> list[Candidate]:
        arguments = {each.name: each for each in prompt.arguments or ()}
        name, equals, value = last.text.partition("=")
        if not equals:
            free = [each for each in arguments.values() if each.name not in given]
            return _matching(((f"{each.name}=", each.description or "") for each in free), last, raw)
        if name not in arguments:
            return []
        ref = {"type": "ref/prompt", "name": prompt.name}
        values = await self._proposed(ref, name, value, given)
        return _matching(((f"{name}={each}", "") for each in values), last, raw, shown_from=len(name) + 1)

    async def _expanded(self, typed: str) -> Sequence[tuple[str, str]]:
        """The templates of resources, and what the server proposes for the place in one that is being typed."""
        found: list[tuple[str, str]] = []
        for template in await self._list("templates"):
            literal = template.uri_template.partition("{")[0]
            if literal.startswith(typed) and literal not in dict(found):
                found.append((literal, template.uri_template))
            elif typed.startswith(literal):
                found += await self._in_template(template, typed)
        return found

    async def _in_template(self, template: ResourceTemplate, typed: str) -> Sequence[tuple[str, str]]:
        """RFC 6570 level 1: names in braces, each for a piece without a slash."""
        pieces = _VARIABLE.split(template.uri_template)
        others: dict[str, str] = {}
        at = 0
        for literal, name in zip(pieces[::2], pieces[1::2], strict=False):
            if not typed.startswith(literal, at):
                return []
            at += len(literal)
            after = pieces[pieces.index(name) + 1]
            end = typed.find(after[:1], at) if after else -1
            if end < 0:
                ref = {"type": "ref/resource", "uri": template.uri_template}
                values = await self._proposed(ref, name, typed[at:], others)
                return [(typed[:at] + value, "") for value in values]
            others[name], at = typed[at:end], end
        return []

    async def _tools(self) -> Sequence[Tool]:
        return await self._list("tools")

    async def _prompts(self) -> Sequence[Prompt]:
        return await self._list("prompts")

    async def _list(self, what: Literal["tools", "resources", "templates", "prompts"]) -> Sequence[Any]:
        """A list of the server; nothing if it takes long to come, and then it will be there for a later letter."""
        connection = self._talk.connection
        if connection is None or self._talk.state != "connected":
            return ()
        coming = self._coming.get(what)
        if coming is None or coming.done():
            self._coming[what] = coming = asyncio.create_task(_or_nothing(getattr(connection, what)()))
        await asyncio.wait({coming}, timeout=_PATIENCE_S)
        return coming.result() if coming.done() else ()

    async def _proposed(self, ref: Json, name: str, value: str, others: Mapping[str, str]) -> Sequence[str]:
        """What the server proposes for an argument, if it does so soon."""
        connection = self._talk.connection
        if connection is None or connection.server is None or self._talk.state != "connected":
            return ()
        if "completions" not in connection.server.capabilities:
            return ()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                return await _or_nothing(connection.complete(ref, name, value, others))
        return ()


async def _or_nothing(asked: Awaitable[Sequence[_T]]) -> Sequence[_T]:
    """What no one has asked for aloud may fail in silence."""
    try:
        return await asked
    except ClientError:
        return ()


def _tool_pairs(tool: Tool, given: Mapping[str, str], last: Word, raw: str) -> list[Candidate]:
    known = schemas.properties(tool.input_schema)
    name, equals, _ = last.text.partition("=")
    name, is_json = name.removesuffix(":"), name.endswith(":")
    if not equals:
        required = schemas.required(tool.input_schema)
        free = sorted((each for each in known if each not in given), key=lambda each: each not in required)
        return _matching(((_begun(each, tool), _said(known[each])) for each in free), last, raw)
    if name not in known:
        return []
    begun = f"{name}:=" if is_json else f"{name}="
    values = _values(known[name], tool, is_json=is_json)
    return _matching(((begun + each, "") for each in values), last, raw, shown_from=len(begun))


def _begun(name: str, tool: Tool) -> str:
    allowed = schemas.wanted(schemas.properties(tool.input_schema)[name], tool.input_schema)
    return f"{name}:=" if allowed.kinds <= {"object", "null"} else f"{name}="


def _values(schema: Any, tool: Tool, *, is_json: bool) -> Iterable[str]:
    """What the schema names for an argument: its choices, or its default and examples."""
    allowed = schemas.wanted(schema, tool.input_schema)
    values = list(allowed.choices or ())
    if not values and "array" in allowed.kinds:
        values = list(schemas.wanted(allowed.items, tool.input_schema).choices or ())
    if not values and "boolean" in allowed.kinds:
        values = [True, False]
    if not values and isinstance(schema, dict):
        examples = schema.get("examples")
        values = [schema.get("default"), *(examples if isinstance(examples, list) else ())]
    texts = (each if isinstance(each, str) and not is_json else written(each).decode() for each in values)
    return dict.fromkeys(text for text in texts if text not in ("", "null", '""'))


def _said(schema: Any) -> str:
    said = schema.get("description") or schema.get("title") if isinstance(schema, dict) else ""
    return said if isinstance(said, str) else ""


def _about(thing: Tool | Prompt) -> str:
    return thing.title or thing.description or ""


def _given(words: Iterable[str]) -> Mapping[str, str]:
    """The arguments that stand before the cursor."""
    pairs = (word.partition("=") for word in words)
    return {name.removesuffix(":"): value for name, equals, value in pairs if equals}


def _matching(pairs: Iterable[tuple[str, str]], last: Word, raw: str, shown_from: int = 0) -> list[Candidate]:
    """Those that begin with what is typed, then those that contain it.

    Args:
        pairs: what may stand there, and what is said of it; as a server sent them.
        raw: the word as it was typed.
        shown_from: where the part of it begins that the list shows.
    """
    typed = last.text.lower()
    found = []
    for text, what in pairs:
        place = text.lower().find(typed)
        # What hides characters cannot be typed, and could not be told from what it is not.
        if place < 0 or printable(text) != text or (place and len(typed) < 2):
            continue
        found.append((place > 0, Candidate(_quoted(text), len(raw), text[shown_from:], _short(what))))
    found.sort(key=lambda each: each[0])
    candidates = [candidate for _, candidate in found[:_MOST]]
    return [] if [each.text for each in candidates] == [raw] else candidates


def _short(what: str) -> str:
    line = printable(" ".join(what.split()))
    return line if len(line) <= _WHAT else f"{line[: _WHAT - 2]} …"


def _quoted(text: str) -> str:
    if not re.search(r"[\s'\"\\]|^\{", text):
        return text
    name, equals, value = text.partition("=")
    return f"{name}={shlex.quote(value)}" if equals and re.fullmatch(r"[\w.-]+", name) else shlex.quote(text)
