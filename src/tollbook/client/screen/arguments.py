"""What a tool takes, in words instead of JSON Schema."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from tollbook.client import schemas
from tollbook.client.schemas import Schema
from tollbook.client.screen import words

_MOST: Final = 60
_MOST_CHOICES: Final = 30
_DEEPEST: Final = 4
_KINDS: Final = ("string", "integer", "number", "boolean", "array", "object", "null")


class Argument(msgspec.Struct, frozen=True):
    """One of them, in harmless texts.

    Attributes:
        kind: `integer`, `string or null`, `array of string`.
        notes: its choices, its default, its range.
        limits: how it must be written, and examples.
        description: as it came.
    """

    name: str
    kind: str
    is_required: bool
    notes: Sequence[str]
    limits: Sequence[str]
    description: str


def arguments(schema: Schema) -> Sequence[Argument]:
    """The properties of `schema`, in their order."""
    required = schemas.required(schema)
    found = []
    for name, part in list(schemas.properties(schema).items())[:_MOST]:
        said: Mapping[str, Any] = part if isinstance(part, dict) else {}
        description = said.get("description")
        found.append(
            Argument(
                words.line(name, 100),
                _kind(part, schema, 0),
                name in required,
                list(_notes(said, schema)),
                list(_limits(said)),
                description if isinstance(description, str) else "",
            )
        )
    return found


def left_out(schema: Schema) -> int:
    """How many of them `arguments` does not tell of."""
    return max(0, len(schemas.properties(schema)) - _MOST)


def _kind(part: Any, schema: Schema, depth: int) -> str:
    wanted = schemas.wanted(part, schema)
    if depth > _DEEPEST or wanted.kinds >= set(_KINDS):
        return "any"
    names = [name for name in _KINDS if name in wanted.kinds and not (name == "integer" and "number" in wanted.kinds)]
    of = f" of {_kind(wanted.items, schema, depth + 1)}" if wanted.items and "array" in wanted.kinds else ""
    return " or ".join(name + of if name == "array" else name for name in names)


def _notes(said: Mapping[str, Any], schema: Schema) -> Iterator[str]:
    wanted = schemas.wanted(said, schema)
    if choices := wanted.choices or schemas.wanted(wanted.items, schema).choices:
        rest = f", … {len(choices) - _MOST_CHOICES} more" if len(choices) > _MOST_CHOICES else ""
        yield f"one of {', '.join(_value(each) for each in choices[:_MOST_CHOICES])}{rest}"
    if "default" in said:
        yield f"default {_value(said['default'])}"
    low, high = said.get("minimum"), said.get("maximum")
    if low is not None and high is not None:
        yield f"{_value(low)} to {_value(high)}"
    elif low is not None or high is not None:
        yield f"at least {_value(low)}" if low is not None else f"at most {_value(high)}"


def _limits(said: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(most := said.get("maxLength"), int):
        yield f"at most {words.counted(most, 'character')}"
    for name, phrase in (("format", "a {}"), ("pattern", "matching {}")):
        if isinstance(said.get(name), str):
            yield phrase.format(words.line(said[name], 120))
    if isinstance(examples := said.get("examples"), list) and examples:
        yield f"such as {', '.join(_value(each) for each in examples[:3])}"


def _value(value: Any) -> str:
    """As one would type it after `name=`."""
    return words.line(value, 80) if isinstance(value, str) and value else words.json_line(value, 80)
