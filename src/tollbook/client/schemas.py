"""JSON Schema, as far as a client needs it: what a tool wants for an argument, and what is wrong with what it gets.

The schema comes from a server, which may be anyone's: nothing is fetched for it, and no work grows beyond bounds.

Source: https://json-schema.org/draft/2020-12
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from tollbook.core.jsonrpc import written

Schema = Mapping[str, Any]

_KINDS: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a JSON object",
    "null": "null",
}
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_SAYS_NOTHING: Final = {"title", "description", "default", "examples", "format", "$schema", "$defs", "definitions"}
"""Keywords that no value can offend; `format` is an annotation unless one asks for more."""
# A stranger's regular expression can take for ever, and Python's are not JSON Schema's; the others build on them.
_LEFT_TO_THE_SERVER: Final = frozenset(
    ("pattern", "patternProperties", "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef")
)
_MOST_BRANCHES: Final = 200
_MOST_REFERENCES: Final = 5_000
_MOST_FAULTS: Final = 10
_SHOWN: Final = 60
_SENTENCE: Final = 200
_MOST_LISTED: Final = 20


class Wanted(msgspec.Struct, frozen=True):
    """What may stand in a place.

    Attributes:
        kinds: JSON Schema's names of types; all of them where the schema does not say. Never empty.
        items: the schema of what a list holds.
        choices: what it must be one of; None where the schema names none.
    """

    kinds: frozenset[str]
    items: Any
    choices: Sequence[Any] | None

    def __str__(self) -> str:
        if self.choices:
            return f"one of {listed(self.choices)}"
        named = [words for kind, words in _KINDS.items() if kind in self.kinds]
        if {"integer", "number"} <= self.kinds:
            named.remove(_KINDS["integer"])
        return " or ".join(filter(None, (", ".join(named[:-1]), named[-1])))


def properties(schema: Schema) -> Mapping[str, Any]:
    """The arguments that a schema names."""
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def required(schema: Schema) -> Sequence[str]:
    """The names of those that must be given."""
    found = schema.get("required")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def listed(values: Sequence[Any]) -> str:
    """`values` in a sentence, as far as there is room."""
    shown = [value[:_SHOWN] if isinstance(value, str) else _short(value) for value in values[:_MOST_LISTED]]
    return ", ".join(shown) + (", …" if len(values) > _MOST_LISTED else "")


def wanted(part: Any, whole: Schema) -> Wanted:
    """What `part`, a schema within `whole`, asks for. References within `whole` are followed."""
    branches = list(_branches(part, whole))
    kinds = _Kinds(whole).of(part)
    choices = next((branch["enum"] for branch in branches if isinstance(branch.get("enum"), list)), None)
    items: Any = next((branch["items"] for branch in branches if "items" in branch), {})
    return Wanted(kinds or frozenset(_KINDS), items, choices)


def faults(arguments: Mapping[str, Any], schema: Schema) -> Sequence[str]:
    """A sentence for each thing in `arguments` that `schema` does not allow, beginning with where it is.

    Arguments that are missing or not known are the caller's affair, not those within other things. What cannot be
    judged here passes: the server judges it again.
    """
    if _surely_fits(arguments, schema):
        return ()
    from jsonschema.exceptions import SchemaError
    from referencing.exceptions import Unresolvable

    try:
        found = list(islice(_validator(schema).iter_errors(arguments), _MOST_FAULTS))
    except (SchemaError, Unresolvable, RecursionError, _TooMuch):
        return ()
    own = {("required", 0), ("additionalProperties", 0)}
    told = (_sentence(fault, schema) for fault in found if (fault.validator, len(fault.absolute_path)) not in own)
    return list(dict.fromkeys(told))


class _Kinds:
    """The types that the parts of a schema allow; after so many parts, any."""

    def __init__(self, whole: Schema) -> None:
        self._whole, self._left = whole, _MOST_BRANCHES

    def of(self, part: Any) -> frozenset[str]:
        every = frozenset(_KINDS)
        self._left -= 1
        if not isinstance(part, dict) or self._left < 0:
            return every
        kinds = every
        if "type" in part:
            kinds &= _names(part["type"])
        if isinstance(part.get("enum"), list):
            kinds &= frozenset().union(*map(_kinds_of, part["enum"]))
        if "const" in part:
            kinds &= _kinds_of(part["const"])
        if "$ref" in part:
            kinds &= self.of(_resolved(part["$ref"], self._whole))
        for key in ("anyOf", "oneOf"):
            if isinstance(part.get(key), list):
                kinds &= frozenset().union(*map(self.of, part[key]))
        if isinstance(part.get("allOf"), list):
            kinds = kinds.intersection(*map(self.of, part["allOf"]))
        return kinds


def _names(said: Any) -> frozenset[str]:
    names = frozenset(kind for kind in _KINDS if kind == said or (isinstance(said, list) and kind in said))
    return names | {"integer"} if "number" in names else names


def _kinds_of(value: Any) -> frozenset[str]:
    kind = next((kind for kind, types in _TYPES.items() if type(value) in types), "string")
    return _names("number") if isinstance(value, float) and value.is_integer() else frozenset({kind})


def _branches(part: Any, whole: Schema) -> Iterator[Schema]:
    """`part` and what it is made of, as far as that stands in `whole`."""
    waiting = [part]
    for _ in range(_MOST_BRANCHES):
        if not waiting:
            return
        each = waiting.pop(0)
        if isinstance(each, dict):
            yield each
            waiting += [_resolved(each["$ref"], whole)] if "$ref" in each else []
            for key in ("anyOf", "oneOf", "allOf"):
                waiting += each[key] if isinstance(each.get(key), list) else []


def _resolved(reference: Any, whole: Schema) -> Any:
    """What `#/…` points to; nothing else is followed. RFC 6901 §4."""
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    place: Any = whole
    for step in reference[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(place, dict) or name not in place:
            return None
        place = place[name]
    return place


def _surely_fits(value: Any, schema: Any) -> bool:
    """Whether `value` is seen to fit by the plainest of keywords, which most tools need: False is no verdict.

    Loading jsonschema takes longer than a call does.
    """
    if not isinstance(schema, dict):
        return schema is True
    says = schema.keys() - _SAYS_NOTHING
    if says == {"anyOf"} and isinstance(schema["anyOf"], list):
        return any(_surely_fits(value, branch) for branch in schema["anyOf"])
    kind = schema.get("type")
    if not isinstance(kind, str) or type(value) not in _TYPES.get(kind, ()):
        return not says
    says -= {"type"}
    if kind == "object" and says <= {"properties", "required", "additionalProperties"}:
        named, is_open = properties(schema), schema.get("additionalProperties", True) is True
        return value.keys() >= set(required(schema)) and all(
            _surely_fits(each, named[name]) if name in named else is_open for name, each in value.items()
        )
    if kind == "array" and says <= {"items"}:
        return all(_surely_fits(each, schema.get("items", True)) for each in value)
    if kind in ("integer", "number") and says <= {"minimum", "maximum"}:
        least, most = schema.get("minimum", value), schema.get("maximum", value)
        return type(least) in (int, float) and type(most) in (int, float) and bool(least <= value <= most)
    if kind == "string" and says == {"enum"}:
        return isinstance(schema["enum"], list) and value in schema["enum"]
    return not says


class _TooMuch(Exception):
    """A schema that leads on and on."""


def _validator(schema: Schema) -> Any:
    """Judges by `schema` alone: an empty registry fetches nothing.

    Raises:
        SchemaError: it is none.
    """
    from jsonschema import Draft202012Validator, exceptions, validators
    from referencing import Registry

    if not isinstance(schema.get("$schema", ""), str):
        raise exceptions.SchemaError("$schema must be a string.")
    dialect: Any = validators.validator_for(schema, default=Draft202012Validator)
    dialect.check_schema(schema)
    followed = 0

    def left_to_the_server(*_: Any) -> Sequence[Any]:
        return ()

    def reference(*way: Any) -> Any:
        nonlocal followed
        followed += 1
        if followed > _MOST_REFERENCES:
            raise _TooMuch
        return dialect.VALIDATORS["$ref"](*way)

    def others(validator: Any, limit: Any, value: Any, part: Schema) -> Any:
        is_regular = "patternProperties" in part
        return () if is_regular else dialect.VALIDATORS["additionalProperties"](validator, limit, value, part)

    keywords = dict.fromkeys(_LEFT_TO_THE_SERVER & dialect.VALIDATORS.keys(), left_to_the_server)
    checks = {**keywords, "$ref": reference, "additionalProperties": others}
    return validators.extend(dialect, checks)(schema, registry=Registry())  # type: ignore[no-untyped-call]


def _sentence(fault: Any, schema: Schema) -> str:
    """What is wrong, in words, beginning with where."""
    while reasons := _reasons(fault):
        from jsonschema.exceptions import best_match

        fault = best_match(reasons)
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault.absolute_path).lstrip(".")
    what = _what(fault, schema)
    return f"{place}: {what}" if place else f"{what[0].upper()}{what[1:]}"


def _reasons(fault: Any) -> Sequence[Any]:
    """Why the branches of an alternative do not fit, as far as they take a value of its kind at all."""
    of_its_kind = ("type", "const", "enum")
    return [reason for reason in fault.context or () if reason.relative_path or reason.validator not in of_its_kind]


def _what(fault: Any, schema: Schema) -> str:
    limit, value = fault.validator_value, fault.instance
    match fault.validator:
        case "type" | "enum" | "anyOf" | "oneOf":
            return f"{wanted(fault.schema, schema)} is wanted, not {_short(value)}."
        case "const":
            return f"{_short(limit)} is wanted, not {_short(value)}."
        case "minimum" | "exclusiveMinimum":
            bound = "at least" if fault.validator == "minimum" else "more than"
            return f"{bound} {limit} is wanted, not {_short(value)}."
        case "maximum" | "exclusiveMaximum":
            bound = "at most" if fault.validator == "maximum" else "less than"
            return f"{bound} {limit} is wanted, not {_short(value)}."
        case "minLength" | "minItems":
            return f"a length of at least {limit} is wanted, not {len(value)}."
        case "maxLength" | "maxItems":
            return f"a length of at most {limit} is wanted, not {len(value)}."
        case "required":
            return f"missing: {listed([name for name in limit if name not in value])}."
        case "additionalProperties" if limit is False:
            return f"it takes only {listed(list(properties(fault.schema)))}."
        case _:
            text = fault.message
            return f"{text if len(text) <= _SENTENCE else f'{text[:_SENTENCE]}…'}."


def _short(value: Any) -> str:
    text = written(value).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
