"""Where the month ends, as a tool."""

from typing import Final

from tollbook.spend.answers.forecast import FORECAST_BY, Forecast, forecast_of, forecast_window
from tollbook.tools.answers.names import FORECAST
from tollbook.tools.answers.offer import Wanted, made_by, offer
from tollbook.tools.desk import Asked, Desk
from tollbook.tools.surface import Surface

_DESCRIPTION: Final = """\
Says what Amazon Bedrock will probably cost this calendar month: spent so far, the estimate for the whole month with an
interval, every day of it, and how far off the same estimate would have been on past days.

Use it for "where will the month end" and "are we on track". Not for budgets (check_bedrock_budgets), past totals or
other months. It needs seven whole days with calls, and knows of no plans."""


def add(surface: Surface, desk: Desk) -> None:
    """Offers the tool."""

    def question(asked: Asked) -> Wanted:
        return Wanted(forecast_window(asked.now, asked.zone), FORECAST_BY, made_by(forecast_of, asked.now))

    offer(
        surface,
        desk,
        question,
        Forecast,
        name=FORECAST,
        title="Where Bedrock spend will end this month",
        description=_DESCRIPTION,
    )
