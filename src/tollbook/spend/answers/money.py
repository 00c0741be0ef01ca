"""Money in answers: to the millionth of a dollar, so that it is the same in every form; and parts that add up."""

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Final

from tollbook.spend.report import Report

_MILLIONTH: Final = Decimal("0.000001")
CENT: Final = Decimal("0.01")


def usd(amount: Decimal | Fraction | int) -> Decimal:
    """`amount` of dollars to the millionth; as text it never has an exponent."""
    if isinstance(amount, Fraction):
        amount = Decimal(round(amount * 10**6)).scaleb(-6)
    return Decimal(amount).quantize(_MILLIONTH, ROUND_HALF_EVEN)


def priced_usd(report: Report) -> Decimal:
    """What the priced calls of `report` cost."""
    return usd(sum((row.usd for row in report.rows if row.usd is not None), Decimal(0)))


def adding_up(whole: Decimal, parts: Sequence[Decimal], to: Decimal = CENT) -> list[Decimal]:
    """`parts` rounded to multiples of `to` in such a way that they add up to `whole`.

    Those are rounded up that come nearest to it (the method of largest remainders); nothing stays nothing.

    Args:
        whole: a multiple of `to`, and the sum of `parts` but for rounding.
    """
    units = [part / to for part in parts]
    found = [int(unit.to_integral_value("ROUND_FLOOR")) for unit in units]
    missing = int(whole / to) - sum(found)
    between = [place for place, unit in enumerate(units) if unit != found[place]]
    up = sorted(between, key=lambda place: (found[place] - units[place], place))[: max(0, missing)]
    for place in up:
        found[place] += 1
    if missing != len(up):  # both ends of `whole` were halfway, or `parts` lack a millionth
        found[max(range(len(units)), key=lambda place: abs(units[place]))] += missing - len(up)
    return [each * to for each in found]


def adding_up_to(whole: Decimal, amounts: Sequence[Decimal]) -> list[Decimal]:
    """`amounts` to the millionth of a dollar, adding up to `whole`, which is their sum but for rounding.

    What is left over goes to the largest, so that nothing stays nothing.
    """
    found = [usd(amount) for amount in amounts]
    largest = max(range(len(found)), key=lambda place: abs(amounts[place]))
    found[largest] += whole - sum(found)
    return found


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Their sum; 0 of none."""
    return sum(amounts, Decimal(0))
