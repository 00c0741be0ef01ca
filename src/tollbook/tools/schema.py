"""The JSON Schema of answers: from the dataclasses that they are, and what their docstrings say of attributes."""

import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any, Final

import msgspec

Schema = dict[str, Any]

_REF: Final = "#/$defs/{name}"
_ENTRY: Final = re.compile(r"(?:^|\n) {4}(?! )")
_ATTRIBUTES: Final = "\n\nAttributes:"


def schema_of(kind: type[Any], *, is_whole: bool = True) -> Schema:
    """The schema of what `msgspec` makes of a `kind`, a dataclass: its dollars are text.

    Its root is an object, as MCP demands of an `outputSchema`.

    Args:
        is_whole: or only what stands at its root is told.

    Sources: https://json-schema.org/draft/2020-12 and
    https://modelcontextprotocol.io/specification/2025-11-25/server/tools#output-schema
    """
    _, parts = msgspec.json.schema_components([kind], ref_template=_REF)
    root = _described(parts[kind.__name__])
    if not is_whole:
        return {**root, "properties": {name: _shallow(each, parts) for name, each in root["properties"].items()}}
    return {**root, "$defs": {name: _described(part) for name, part in parts.items() if name != kind.__name__}}


def _shallow(schema: Schema, parts: Schema) -> Schema:
    """`schema` without the names of parts."""
    if "$ref" in schema:
        return {"type": parts[schema["$ref"].rpartition("/")[2]]["type"]}
    found = {key: value for key, value in schema.items() if key not in ("items", "additionalProperties")}
    return {**found, "anyOf": [_shallow(each, parts) for each in schema["anyOf"]]} if "anyOf" in schema else found


def _described(part: Schema) -> Schema:
    """`part` with each sentence at the property that it is about. Nothing is ever left out of an answer."""
    properties: dict[str, Schema] = part["properties"]
    what, _, attributes = cleandoc(part.get("description", "")).partition(_ATTRIBUTES)
    described = {name: {key: each[key] for key in each if key != "default"} for name, each in properties.items()}
    for name, text in _texts(attributes):
        described[name]["description"] = text
    return {
        "type": "object",
        "description": " ".join(what.split()),
        "properties": described,
        "required": list(properties),
    }


def _texts(attributes: str) -> Iterator[tuple[str, str]]:
    for entry in _ENTRY.split(attributes):
        names, colon, text = entry.partition(": ")
        for name in names.split(", ") if colon else ():
            yield name, " ".join(text.split())
