"""Amounts that stand beside each other, rounded so that what is shown adds up to what is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self

from tollbook.spend.answers.money import CENT, adding_up
from tollbook.spend.render.telling import Cell
from tollbook.spend.render.words import dollars

_FINE: Final = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Amounts:
    """How finely the amounts of one telling are shown: all of them in `unit`, so that they can be added up.

    What rounds to nothing is shown as $0.00.
    """

    unit: Decimal

    @classmethod
    def up_to(cls, *totals: Decimal) -> Self:
        """For what adds up to `totals`: in cents where one of those is a dollar or more, else in hundredths of them."""
        return cls(CENT if max(map(abs, totals)) >= 1 else _FINE)

    def rounded(self, amount: Decimal) -> Decimal:
        """`amount` as it is shown."""
        return amount.quantize(self.unit)

    def adding_up(self, whole: Decimal, amounts: Sequence[Decimal]) -> list[Decimal]:
        """`amounts` as they are shown beside `whole`, their sum, which is already rounded."""
        return adding_up(whole, amounts, self.unit)

    def dollars(self, amount: Decimal) -> str:
        """`$1,234.56`, or `$0.1234`."""
        if self.unit == CENT or not amount:
            return dollars(amount)
        return f"{'-' if amount < 0 else ''}${abs(amount):.4f}"

    def signed(self, amount: Decimal) -> str:
        """The same with a plus before what is above zero."""
        return f"{'+' if amount > 0 else ''}{self.dollars(amount)}"

    def cell(self, amount: Decimal) -> Cell:
        """`amount` for a column of the kind `usd`: a word where that would not show it in full."""
        return amount if self.unit == CENT else self.dollars(amount)

    def change_cell(self, amount: Decimal) -> Cell:
        """The same for a column of the kind `change`."""
        return amount if self.unit == CENT else self.signed(amount)
