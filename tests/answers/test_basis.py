"""What every answer says of what it rests on."""

from datetime import date

from tests.answers.rows import Calls, report, usage, window
from tollbook.spend.answers.basis import basis_of

DAY = date(2026, 11, 20)


def test_of_very_many_models_without_a_price_the_lesser_ones_are_told_together() -> None:
    calls = [Calls(DAY, usage(1 + number, 1000 + number), model=f"nobody.knows-{number}") for number in range(250)]
    basis = basis_of(report(calls, window(DAY, DAY)))
    assert len(basis.unpriced) == 101
    assert basis.unpriced[0].model == "nobody.knows-249"
    assert basis.unpriced[-1].model == "150 more models"
    assert sum(entry.calls for entry in basis.unpriced) == sum(range(1, 251))
    assert sum(entry.tokens for entry in basis.unpriced) == sum(range(1000, 1250))
