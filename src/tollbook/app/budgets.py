"""Budgets as they are set: a team's file, or the same as JSON."""

import json
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tollbook.app.book import content_of
from tollbook.core.errors import UsageError
from tollbook.spend.answers.budgets import Budget, read_budgets

TABLE: Final = "budgets"
"""Of a team's file."""
_HERE: Final = "what is written there"


def budgets_said(text: str) -> tuple[Budget, ...]:
    """The budgets that `text` says: JSON, from a brace on, or the path of a TOML file with tables `[budgets.NAME]`.

    Raises:
        TollbookError: the file cannot be read, or they cannot be used.
    """
    if not text.lstrip().startswith("{"):
        return read_budgets(table_in(Path(text)), text)
    try:
        document = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as fault:
        raise UsageError(f"{_HERE} is no JSON: {fault}.") from fault
    return read_budgets(document, _HERE)


def table_in(path: Path) -> Mapping[str, Any]:
    """The table of budgets in a TOML file; whatever else stands there is somebody else's.

    Raises:
        TollbookError: the file cannot be read, is no TOML, or has no such table.
    """
    try:
        document = tomllib.loads(content_of(path).decode(), parse_float=Decimal)
    except tomllib.TOMLDecodeError as fault:
        raise UsageError(f"{path} is not TOML: {fault}. Mend it.") from fault
    except UnicodeDecodeError as fault:
        raise UsageError(f"{path} is not text in UTF-8. Write it anew.") from fault
    table = document.get(TABLE)
    if not isinstance(table, dict):
        raise UsageError(f"{path} holds no budgets. Write one there, such as [{TABLE}.all] with usd = 100.")
    return table


def as_json(table: Mapping[str, Any]) -> str:
    """`table` in few characters, all of them ASCII: as CloudFormation keeps it.

    Raises:
        UsageError: it holds what JSON has no form for, such as a date.
    """
    try:
        return json.dumps(table, separators=(",", ":"), default=_number)
    except (TypeError, ValueError) as fault:
        raise UsageError("budgets hold texts, numbers and tables alone. Leave out what is another.") from fault


def _number(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError
