"""All answers that a server offers. Importing this takes a while, so it waits until somebody asks for a tool."""

from collections.abc import Callable, Sequence

from tollbook.spend.answers.budgets import Budget
from tollbook.spend.prices import PriceBook
from tollbook.tools.answers import anomalies, budgets, dashboard, explain, forecast, hygiene, reconcile, what_if
from tollbook.tools.asking import Biller
from tollbook.tools.desk import Desk
from tollbook.tools.surface import Surface


def add_answers(
    surface: Surface, desk: Desk, kept: Sequence[Budget], biller: Biller | None, book: Callable[[], PriceBook]
) -> None:
    """Offers all answers.

    Args:
        kept: the budgets that can be asked about.
        biller: says what AWS billed; without it nothing is compared with a bill.
        book: gives the prices that reports are made with.
    """
    explain.add(surface, desk)
    forecast.add(surface, desk)
    anomalies.add(surface, desk)
    budgets.add(surface, desk, kept)
    what_if.add(surface, desk, book)
    hygiene.add(surface, desk)
    if biller is not None:
        reconcile.add(surface, desk, biller)
    dashboard.add(surface, desk)
