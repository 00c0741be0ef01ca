"""How budgets stand, as a tool."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field

from tollbook.core.errors import UsageError
from tollbook.core.text import printable
from tollbook.spend.answers.budgets import Budget, Burn, budgets_by, budgets_window, burn_of
from tollbook.spend.report import Report
from tollbook.tools.answers.names import BUDGETS
from tollbook.tools.answers.offer import Wanted, made_by, offer
from tollbook.tools.desk import Asked, Desk
from tollbook.tools.sight import OutOfSight
from tollbook.tools.surface import Surface

_DESCRIPTION: Final = """\
Says how the budgets for Amazon Bedrock stand that whoever runs this server has set for teams, principals, models or
all: limit, spent, share, burn per day, the day on which it will be used up, and ok, warning or over.

Use it for "who is over budget" and "how much is left". It sets no budgets, and knows none of AWS Budgets'. Callers who
do not see all are shown the budgets that their own calls spend from, and their part of it alone."""

Name = Annotated[
    str,
    Field(
        title="Budget", description="The name of one budget. Leave it out for all.", max_length=64, examples=["team"]
    ),
]


def add(surface: Surface, desk: Desk, kept: Sequence[Budget]) -> None:
    """Offers the tool.

    Args:
        kept: those that there are.
    """

    def question(asked: Asked, budget: Name = "") -> Wanted:
        # Whoever does not see all cannot tell which there are, nor whether there are any.
        if not kept and asked.sight.is_all:
            raise UsageError("This server has no budgets. Whoever runs it sets them, as docs/answers.md describes.")
        name = budget.strip()
        if name and asked.sight.is_all and name not in (names := [each.name for each in kept]):
            raise UsageError(f"There is no budget '{printable(name)}'. There are {', '.join(map(printable, names))}.")
        # All of them are read, whichever is asked for, for the same reason.
        window = budgets_window(kept, asked.now, asked.zone)
        return Wanted(window, budgets_by(kept), made_by(_burn, kept, asked.now, name))

    offer(
        surface,
        desk,
        question,
        Burn,
        name=BUDGETS,
        title="Bedrock budgets",
        description=_DESCRIPTION,
    )


def _burn(report: Report, kept: Sequence[Budget], now: datetime, name: str) -> Burn:
    burn = burn_of(report, kept, now)
    if not name:
        return burn
    found = tuple(each for each in burn.budgets if each.name == name)
    if not found:
        raise OutOfSight(
            f"You may see only {report.query.sight.words}; none of these spends from a budget '{printable(name)}'. "
            "Leave budget out for those that they spend from."
        )
    return replace(burn, budgets=found, state=found[0].state)
