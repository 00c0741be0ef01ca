"""Answers in words and tables, and as JSON: a module for each of `spend.answers`, by its name."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from tollbook.core.text import json_safe

if TYPE_CHECKING:
    from tollbook.spend.answers.basis import Basis
    from tollbook.spend.render.telling import Telling


class Answer(Protocol):
    """What every answer has."""

    @property
    def basis(self) -> "Basis": ...

    @property
    def schema(self) -> str: ...


def telling_of(answer: Answer) -> "Telling":
    """`answer` in words; how they are shown is another's to choose.

    Only the module for answers of its kind is loaded.
    """
    kind = type(answer).__module__.rpartition(".")[2]
    telling: Telling = getattr(import_module(f"{__name__}.{kind}"), f"telling_of_{kind}")(answer)
    return telling


def document_of(answer: Answer) -> dict[str, Any]:
    """`answer` in types that JSON knows, as `docs/answers.md` has it; dollars are text, in full."""
    document: dict[str, Any] = msgspec.to_builtins(answer)
    return document


def as_json(answer: Answer) -> str:
    """`answer` as one JSON object, with a line break at its end."""
    return json_safe(msgspec.json.format(msgspec.json.encode(answer), indent=1).decode()) + "\n"
