"""A server over the eight weeks' sample, with budgets and a bill."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from mcp.server import MCPServer

from tests.tools.desk import NOW, QUICK
from tests.tools.worked_out import LOG, ROOT, usd
from tollbook import tools
from tollbook.app.questions import FileAsker
from tollbook.hosting.stores import open_store
from tollbook.spend.answers.budgets import Budget, read_budgets
from tollbook.spend.answers.reconcile import Bill, Billed

NAMES: Final = ROOT / "examples" / "names.json"
BUDGETS: Final = read_budgets(
    {
        "everything": {"usd": 90},
        "growth": {"usd": 7, "tag": {"team": "growth"}},
        "rag": {"usd": 20, "principal": "role/rag-api"},
        "opus-week": {"usd": 10, "per": "week", "model": "Claude Opus*"},
        "project-falcon": {"usd": 500, "tag": {"team": "claims"}},
        "people": {"usd": 20, "principal": "role/AWSReservedSSO_Dev_*"},
    },
    "the test",
)
ANSWERS: Final = (
    "explain_bedrock_change",
    "forecast_bedrock_spend",
    "find_bedrock_anomalies",
    "check_bedrock_budgets",
    "estimate_bedrock_what_if",
    "check_bedrock_hygiene",
    "compare_with_aws_bill",
    "show_bedrock_dashboard",
    "drill_into_bedrock_spend",
)
"""In the order in which they are listed."""
LEAST: Final[Mapping[str, Mapping[str, Any]]] = {
    "estimate_bedrock_what_if": {"to_model": "Claude Haiku 4.5", "model": "sonnet"},
    "drill_into_bedrock_spend": {"of_model": "anthropic.claude-sonnet-4-5-20250929-v1:0"},
}
"""Arguments without which they have no answer."""


class Agrees:
    """A bill that is a tenth higher than what the logs say, with a credit of a dollar."""

    def __init__(self) -> None:
        self.asked: list[tuple[date, date, str]] = []

    async def bill(self, since: date, until: date, account: str) -> Bill:
        self.asked.append((since, until, account))
        days = [since + timedelta(days=step) for step in range((until - since).days)]
        lines = [Billed(day, "Amazon Bedrock", usd(first=str(day), last=str(day)) * Decimal("1.1")) for day in days]
        return Bill(since, until, NOW.date(), (*lines, Billed(days[0], "Amazon Bedrock", Decimal(-1), "Credit")))


def desk(
    *logs: str | Path,
    settings: tools.Settings = QUICK,
    budgets: Sequence[Budget] = BUDGETS,
    biller: tools.Biller | None = None,
    asker: tools.Asker | None = None,
) -> MCPServer[Any]:
    """The server.

    Args:
        logs: others than the sample.
        asker: answers instead.
    """
    answers = asker or FileAsker([str(log) for log in logs] or [str(LOG)], names_file=NAMES)
    store = open_store("memory", NOW.timestamp)
    return tools.build(
        answers, store, settings=settings, budgets=budgets, biller=biller, now=lambda: NOW, clock=NOW.timestamp
    )


def at(content: Any, path: str) -> Any:
    """What stands in `content` at `path`: names, numbers of elements, or NAME=VALUE for the element that has it.

    `principals.name=role/rag-api.change_usd`; a part with a dot or a slash in it stands as it is between quotes.
    """
    found = content
    for step in _steps(path):
        name, is_one, value = step.partition("=")
        if is_one:
            (found,) = [each for each in found if str(each.get(name)) == value]
        else:
            found = found[int(step)] if isinstance(found, list) else found[step]
    return found


def _steps(path: str) -> list[str]:
    parts = path.split("'")
    steps: list[str] = []
    for number, part in enumerate(parts):
        if number % 2:  # within quotes
            steps[-1] += part
        else:
            more = part.removeprefix(".").split(".") if number else part.split(".")
            steps += [each for each in more if each]
    return steps
