"""The arguments of a call, as a user types them: `days=7 tag=a tag=b`, `tags:='["a"]'`, or JSON."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from tollbook.client import schemas
from tollbook.client.protocol import Prompt, PromptArgument, Tool
from tollbook.client.schemas import Schema, Wanted
from tollbook.core.errors import UsageError

_PAIR: Final = re.compile(r"([^=]+?)(:?=)(.*)", re.DOTALL)
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SHOWN: Final = 60


def arguments_of(words: Sequence[str], tool: Tool, stdin: Callable[[], str]) -> dict[str, Any]:
    """The arguments that `words` give to `tool`.

    `name=text` is read as the tool's schema has it, a list from several of a name; where the schema takes a string,
    it stays one. `name:=json` is JSON. A word that begins with `{` is an object of arguments, and `-` stands for one on
    the standard input; what is given by name counts more than what stands in either.

    Args:
        stdin: reads all of it.

    Raises:
        UsageError: they cannot be read, or the tool does not take them.
    """
    given = _read(words, tool, stdin)
    _check(given, tool)
    return given


def unknown_in(arguments: Mapping[str, Any], tool: Tool) -> Sequence[str]:
    """A sentence for each argument that the tool's schema does not name, although it lets it be sent."""
    known = schemas.properties(tool.input_schema)
    return [
        f"'{tool.name}' names no argument '{name}'; it is sent all the same.{_nearest(name, known)}"
        for name in arguments
        if name not in known
    ]


def prompt_arguments_of(words: Sequence[str], prompt: Prompt, stdin: Callable[[], str]) -> dict[str, str]:
    """The arguments that `words` give to `prompt`, all of which are strings.

    Raises:
        UsageError: as `arguments_of`; also one that the prompt does not name.
    """
    named = {argument.name: argument for argument in prompt.arguments or ()}
    tool = Tool(name=prompt.name, input_schema=_as_schema(named.values()))
    return arguments_of(words, tool, stdin)


def _as_schema(arguments: Iterable[PromptArgument]) -> Schema:
    arguments = list(arguments)
    return {
        "type": "object",
        "properties": {argument.name: {"type": "string"} for argument in arguments},
        "required": [argument.name for argument in arguments if argument.required],
        "additionalProperties": False,
    }


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that was probably meant by `name`."""
    import difflib

    folded = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(name.casefold(), folded, 1)
    return folded[found[0]] if found else None


def _nearest(name: str, known: Iterable[str]) -> str:
    meant = nearest(name, known)
    return f" Did you mean {meant}?" if meant else ""


def _read(words: Sequence[str], tool: Tool, stdin: Callable[[], str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    texts: dict[str, list[str]] = {}
    for word in words:
        if word == "-":
            given |= _object(stdin(), "The standard input")
        elif word.lstrip().startswith("{"):
            given |= _object(word, "What begins with {")
        elif (pair := _PAIR.fullmatch(word)) is None:
            known = [*schemas.properties(tool.input_schema), "name"][0]
            raise UsageError(
                f"{_short(word)} is no argument. Write it as {known}=…, or all of them as one JSON object."
            )
        elif pair[2] == ":=":
            given[pair[1]] = _json(pair[3], pair[1])
        else:
            texts.setdefault(pair[1], []).append(pair[3])
    for name, several in texts.items():
        given[name] = _value(name, several, tool.input_schema)
    return given


def _value(name: str, texts: Sequence[str], schema: Schema) -> Any:
    """What was written of one argument, as the schema has it."""
    wanted = schemas.wanted(schemas.properties(schema).get(name), schema)
    if len(texts) == 1 and (read := _scalar(texts[0], wanted)) is not _NOTHING:
        return read
    if "array" in wanted.kinds:
        if len(texts) == 1 and texts[0].startswith("["):
            return _json(texts[0], name)
        items = schemas.wanted(wanted.items, schema)
        return [_item(name, text, items) for text in texts]
    if len(texts) > 1:
        raise UsageError(f"{name} is given {len(texts)} times, and is no list. Give it once.")
    raise UsageError(f"{name}: {wanted} is wanted, not {_short(texts[0])}.")


def _item(name: str, text: str, wanted: Wanted) -> Any:
    read = _scalar(text, wanted)
    if read is _NOTHING:
        raise UsageError(f"{name}: a list of which each is {wanted} is wanted, not {_short(text)}.")
    return read


_NOTHING: Final = object()


def _scalar(text: str, wanted: Wanted) -> Any:
    """`text` as the one thing that it can be where `wanted` is; `_NOTHING` if it can be none."""
    kinds = wanted.kinds
    if "string" in kinds:
        return text
    if "null" in kinds and text == "null":
        return None
    if "boolean" in kinds and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kinds & {"integer", "number"} and re.fullmatch(r"[+-]?[0-9]{1,1000}", text):
        return int(text)
    if "number" in kinds and _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    if "object" in kinds and text.startswith("{"):
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return _NOTHING
    return _NOTHING


def _object(text: str, place: str) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError) as fault:
        raise UsageError(
            f'{place} is not JSON ({_reason(fault)}). An object is wanted, such as {{"days": 7}}.'
        ) from fault
    if not isinstance(document, dict):
        raise UsageError(f'{place} is JSON, but no object. Arguments go by name, such as {{"days": 7}}.')
    return document


def _json(text: str, name: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError) as fault:
        raise UsageError(
            f"{name}: JSON is wanted, not {_short(text)} ({_reason(fault)}). Text has quotes after :=, none after =."
        ) from fault


def _reason(fault: Exception) -> str:
    return "nested too deep" if isinstance(fault, RecursionError) else str(fault).removeprefix("JSON is malformed: ")


def _short(text: str) -> str:
    return f"'{text}'" if len(text) <= _SHOWN else f"'{text[:_SHOWN]}…'"


def _check(given: Mapping[str, Any], tool: Tool) -> None:
    problems = list(_problems(given, tool))
    if len(problems) == 1:
        raise UsageError(problems[0])
    if problems:
        raise UsageError(f"'{tool.name}' does not take these arguments:", problems)


def _problems(given: Mapping[str, Any], tool: Tool) -> Iterator[str]:
    schema = tool.input_schema
    known = schemas.properties(schema)
    missing = [name for name in schemas.required(schema) if name not in given]
    is_closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    for name in given:
        meant = None if name in known else nearest(name, [each for each in known if each not in given])
        if meant in missing:
            missing.remove(meant)
            yield f"'{tool.name}' takes no argument '{name}'. Did you mean {meant}?"
        elif is_closed and name not in known:
            yield f"'{tool.name}' takes no argument '{name}'. {f'Did you mean {meant}?' if meant else _all(known)}"
    for name in missing:
        yield f"'{tool.name}' needs {name}. Write {name}=…"
    yield from schemas.faults(given, schema)


def _all(known: Iterable[str]) -> str:
    return f"It takes {schemas.listed(list(known))}." if known else "It takes none."
