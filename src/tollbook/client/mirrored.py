"""Arguments that a server wants to see in HTTP headers too: what its tools mark with `x-mcp-header`.

Source: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#custom-headers
"""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tollbook.client.protocol import Json

_MARK: Final = "x-mcp-header"
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
_PLAIN: Final = re.compile(r"(?! )[\x20-\x7e]*(?<! )")
_ENCODED: Final = re.compile(r"=\?base64\?.*\?=")
_TYPES: Final = frozenset({"string", "integer", "boolean"})
# Where JSON Schema 2020-12 has schemas within a schema, besides `properties`; what else there is, is data.
_ONE: Final = (
    *("items", "contains", "unevaluatedItems", "additionalProperties", "propertyNames", "unevaluatedProperties"),
    *("not", "if", "then", "else", "contentSchema"),
)
_LISTED: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED: Final = ("patternProperties", "dependentSchemas", "$defs", "definitions")

Path = tuple[str, ...]


def is_marked_well(schema: Json) -> bool:
    """Whether every mark in a tool's input schema is one that the specification allows. Tools of which it is not are
    left out: clients must."""
    names: set[str] = set()
    for path, node in _schemas(schema):
        if _MARK not in node:
            continue
        name = node[_MARK]
        if not path or not isinstance(name, str) or not _TOKEN.fullmatch(name) or name.lower() in names:
            return False
        if not isinstance(node.get("type"), str) or node["type"] not in _TYPES:
            return False
        names.add(name.lower())
    return True


def mirrored(schema: Json, arguments: Json) -> dict[str, str]:
    """The headers that a call with `arguments` has, of a tool whose schema is marked well."""
    headers = {}
    for path, node in _schemas(schema):
        if path and _MARK in node:
            value = _at(arguments, path)
            if isinstance(value, str | int):
                text = str(value).lower() if isinstance(value, bool) else str(value)
                headers[f"Mcp-Param-{node[_MARK]}"] = header_safe(text)
    return headers


def header_safe(text: str) -> str:
    """`text` as the value of a header, in base64 where it is not plain ASCII."""
    if _PLAIN.fullmatch(text) and not _ENCODED.fullmatch(text):
        return text
    return f"=?base64?{base64.b64encode(text.encode('utf-8', 'surrogatepass')).decode('ascii')}?="


def _schemas(root: Any) -> Iterator[tuple[Path | None, Mapping[str, Any]]]:
    """Every schema within `root`, and the properties that lead to it; None where more than properties does."""
    waiting: list[tuple[Path | None, Any]] = [((), root)]
    while waiting:
        path, node = waiting.pop()
        if not isinstance(node, Mapping):
            continue
        yield path, node
        waiting += [(None, node.get(key)) for key in _ONE]
        waiting += [(None, each) for key in _LISTED if isinstance(node.get(key), list) for each in node[key]]
        waiting += [(None, each) for key in _NAMED if isinstance(node.get(key), Mapping) for each in node[key].values()]
        if isinstance(properties := node.get("properties"), Mapping):
            waiting += [(None if path is None else (*path, name), each) for name, each in properties.items()]


def _at(arguments: Any, path: Path) -> Any:
    for name in path:
        arguments = arguments.get(name) if isinstance(arguments, Mapping) else None
    return arguments
