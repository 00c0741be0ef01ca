"""The form of an elicitation: what each field takes, and how what was typed is read.

Source: https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation#requested-schema
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from tollbook.client.protocol import Json

Kind = Literal["text", "whole number", "number", "yes or no", "one of these", "any of these", "JSON"]

_YES_OR_NO: Final[Mapping[str, bool]] = {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}
_SHOWN: Final = 60


class Choice(msgspec.Struct, frozen=True):
    """A value that may be chosen, and what it is called; the same where it has no name."""

    value: str
    title: str


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that is asked for.

    Attributes:
        name: of it in the answer.
        kind: in words for the user.
        default: its value if nothing is typed; None where there is none.
        limits: what else must hold, in words; empty where nothing.
    """

    name: str
    title: str
    description: str
    kind: Kind
    is_required: bool
    default: Any
    choices: Sequence[Choice]
    limits: str
    schema: Json

    def read(self, typed: str) -> Any:
        """What `typed` means.

        Raises:
            ValueError: with what is wanted instead.
        """
        value = _READERS[self.kind](self, typed)
        for holds, wanted in _checks(self.schema, value):
            if not holds:
                raise ValueError(f"{wanted} is wanted.")
        return value

    def written(self, value: Any) -> str:
        """`value` as it would be typed."""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, list) and self.kind == "any of these":
            return ", ".join(map(str, value))
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def fields_of(schema: Json) -> Sequence[Field]:
    """What a form asks for, in its order. What is not as MCP has it is asked for as JSON, or passed over."""
    properties = schema.get("properties")
    wanted = schema.get("required")
    required = set(filter(lambda name: isinstance(name, str), wanted)) if isinstance(wanted, list) else set()
    if not isinstance(properties, Mapping):
        return ()
    return [_field(name, each, name in required) for name, each in properties.items() if isinstance(each, Mapping)]


def _field(name: str, schema: Json, is_required: bool) -> Field:
    kind, choices = _kind_of(schema)
    field = Field(
        name=name,
        title=_text(schema.get("title")) or name,
        description=_text(schema.get("description")),
        kind=kind,
        is_required=is_required,
        default=None,
        choices=choices,
        limits=_limits(schema),
        schema=schema,
    )
    default = schema.get("default")
    if default is None:
        return field
    try:  # a default that may not be sent is none
        return msgspec.structs.replace(field, default=field.read(field.written(default)))
    except (ValueError, TypeError):
        return field


def _kind_of(schema: Json) -> tuple[Kind, Sequence[Choice]]:
    choices = _choices(schema)
    items = schema.get("items")
    match schema.get("type"):
        case "array" if isinstance(items, Mapping) and (many := _choices(items)):
            return "any of these", many
        case "boolean":
            return "yes or no", ()
        case "integer":
            return "whole number", ()
        case "number":
            return "number", ()
        case "string" | None if choices:
            return "one of these", choices
        case "string":
            return "text", ()
    return "JSON", ()


def _choices(schema: Json) -> Sequence[Choice]:
    """Titled (`oneOf`, `anyOf`), plain (`enum`), or as before 2025-11-25 (`enum` with `enumNames`)."""
    for each in (schema.get("oneOf"), schema.get("anyOf")):
        if isinstance(each, list):
            titled = [option for option in each if isinstance(option, Mapping) and isinstance(option.get("const"), str)]
            return [Choice(option["const"], _text(option.get("title")) or option["const"]) for option in titled]
    values = schema.get("enum")
    if not isinstance(values, list):
        return ()
    titles = schema.get("enumNames")
    names = titles if isinstance(titles, list) and len(titles) == len(values) else values
    return [Choice(value, _text(name) or value) for value, name in zip(values, names, strict=True) if _text(value)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _read_text(_: Field, typed: str) -> str:
    return typed


def _read_whole(_: Field, typed: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", typed):
        raise ValueError("A whole number is wanted, such as 42.")
    return int(typed)


def _read_number(_: Field, typed: str) -> float | int:
    if re.fullmatch(r"[+-]?[0-9]{1,18}", typed):
        return int(typed)
    if not re.fullmatch(r"[+-]?([0-9]{1,18}\.?[0-9]{0,18}|\.[0-9]{1,18})([eE][+-]?[0-9]{1,2})?", typed):
        raise ValueError("A number is wanted, such as 42 or 1.5.")
    return float(typed)


def _read_yes_or_no(_: Field, typed: str) -> bool:
    if (value := _YES_OR_NO.get(typed.lower())) is None:
        raise ValueError("y or n is wanted.")
    return value


def _read_choice(field: Field, typed: str) -> str:
    """By its value, its title or its number in the list, in this order; the first two in any case."""
    found = [each.value for each in field.choices if typed == each.value]
    found += [each.value for each in field.choices if typed.lower() in (each.value.lower(), each.title.lower())]
    if typed.isascii() and typed.isdigit() and 0 < int(typed[:9]) <= len(field.choices):
        found.append(field.choices[int(typed[:9]) - 1].value)
    if not found:
        raise ValueError(f"One of {_listed(field.choices)} is wanted, or its number.")
    return found[0]


def _read_choices(field: Field, typed: str) -> Sequence[str]:
    return list(dict.fromkeys(_read_choice(field, word.strip()) for word in typed.split(",") if word.strip()))


def _read_json(_: Field, typed: str) -> Any:
    try:
        return msgspec.json.decode(typed)
    except (msgspec.DecodeError, RecursionError) as fault:
        raise ValueError("JSON is wanted.") from fault


_READERS: Final[Mapping[Kind, Callable[[Field, str], Any]]] = {
    "text": _read_text,
    "whole number": _read_whole,
    "number": _read_number,
    "yes or no": _read_yes_or_no,
    "one of these": _read_choice,
    "any of these": _read_choices,
    "JSON": _read_json,
}


def _listed(choices: Sequence[Choice]) -> str:
    shown = [each.value for each in choices[:8]]
    return ", ".join(shown) + (", …" if len(choices) > len(shown) else "")


def _checks(schema: Json, value: Any) -> Sequence[tuple[bool, str]]:
    """Whether `value` keeps to each limit of `schema`, and what the limit wants. The regular expressions of a server
    are not run: one can be made to take for ever."""
    checks = []
    if isinstance(value, str):
        least, most = _number(schema.get("minLength")), _number(schema.get("maxLength"))
        checks += [
            (least is None or len(value) >= least, f"A text of {least} characters or more"),
            (most is None or len(value) <= most, f"A text of {most} characters or fewer"),
        ]
        if (form := _FORMATS.get(_text(schema.get("format")))) is not None:
            checks.append((form[0](value), form[1]))
    elif isinstance(value, list):
        least, most = _number(schema.get("minItems")), _number(schema.get("maxItems"))
        checks += [
            (least is None or len(value) >= least, f"A choice of {least} or more"),
            (most is None or len(value) <= most, f"A choice of {most} or fewer"),
        ]
    elif not isinstance(value, bool) and isinstance(value, int | float):
        least, most = _number(schema.get("minimum")), _number(schema.get("maximum"))
        checks += [
            (least is None or value >= least, f"A number from {least} on"),
            (most is None or value <= most, f"A number up to {most}"),
        ]
    return checks


def _number(value: Any) -> float | int | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _limits(schema: Json) -> str:
    parts = []
    for least, most, unit in (
        ("minLength", "maxLength", " characters"),
        ("minimum", "maximum", ""),
        ("minItems", "maxItems", " of them"),
    ):
        low, high = _number(schema.get(least)), _number(schema.get(most))
        if low is not None and high is not None:
            parts.append(f"{low} to {high}{unit}")
        elif low is not None:
            parts.append(f"at least {low}{unit}")
        elif high is not None:
            parts.append(f"at most {high}{unit}")
    if (form := _FORMATS.get(_text(schema.get("format")))) is not None:
        parts.append(form[2])
    return ", ".join(parts)


def _is_address(text: str) -> bool:
    return re.fullmatch(r"[^\s@]{1,64}@[^\s@.]+(\.[^\s@.]+)*", text) is not None


def _is_uri(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme) and re.search(r"\s", text) is None
    except ValueError:
        return False


def _is_date(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_instant(text: str) -> bool:
    """RFC 3339 §5.6: with a time zone."""
    try:
        return "T" in text.upper() and datetime.fromisoformat(text.upper()).tzinfo is not None
    except ValueError:
        return False


_FORMATS: Final[Mapping[str, tuple[Callable[[str], bool], str, str]]] = {
    "email": (_is_address, "An email address such as ann@example.com", "an email address"),
    "uri": (_is_uri, "An address such as https://example.com/page", "an address"),
    "date": (_is_date, "A date such as 2026-11-20", "a date, as 2026-11-20"),
    "date-time": (_is_instant, "An instant such as 2026-11-20T09:00Z", "an instant, as 2026-11-20T09:00Z"),
}
"""By the schema's names: the check, what is wanted, and the same for the question."""
