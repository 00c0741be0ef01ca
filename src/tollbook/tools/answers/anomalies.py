"""What stands out, as a tool."""

from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field

from tollbook.spend.answers.anomalies import ANOMALIES_BY, Anomalies, anomalies_of, anomalies_window
from tollbook.tools.answers.names import ANOMALIES
from tollbook.tools.answers.offer import Wanted, made_by, offer
from tollbook.tools.arguments import Days
from tollbook.tools.desk import Asked, Desk
from tollbook.tools.surface import Surface

_DESCRIPTION: Final = """\
Finds days and hours on which a model cost one principal far more on Amazon Bedrock than it usually does: when, who,
which model, the cost, what is usual and what has grown. Empty where nothing stands out.

Use it for "anything unusual?", spikes and runaway jobs. Not for why two stretches differ (explain_bedrock_change). It
reads six weeks of history besides `days`."""

_MOST_DAYS: Final = 92
"""A quarter: what stood out in more days is too much for one answer."""

DaysLookedAt = Annotated[Days, Field(le=_MOST_DAYS)]
Floor = Annotated[
    float,
    Field(
        title="Floor",
        description="US dollars above the usual below which nothing is told.",
        ge=0,
        le=1_000_000,
        examples=[1, 25],
    ),
]


def add(surface: Surface, desk: Desk) -> None:
    """Offers the tool."""

    def question(asked: Asked, days: DaysLookedAt = 7, floor_usd: Floor = 1) -> Wanted:
        make = made_by(anomalies_of, days, asked.now, Decimal(str(floor_usd)))
        return Wanted(anomalies_window(days, asked.now, asked.zone), ANOMALIES_BY, make)

    offer(
        surface,
        desk,
        question,
        Anomalies,
        name=ANOMALIES,
        title="Unusual Bedrock spend",
        description=_DESCRIPTION,
    )
