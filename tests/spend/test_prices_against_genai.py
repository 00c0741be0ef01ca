"""Our newest rates beside those of genai-prices, a list that others keep.

`price_differences.csv` holds every difference, so that a new book or a new genai-prices shows up as a diff to be
read. Write it anew with `python -m tests.spend.test_prices_against_genai`.
"""

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

from genai_prices import Usage, calc_price

from tollbook.spend import prices
from tollbook.spend.model import GLOBAL, IN_REGION
from tollbook.spend.prices import Rate

TABLE: Final = Path(__file__).with_name("price_differences.csv")
KINDS_THERE: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
}


class Difference(NamedTuple):
    """One kind of token that costs something else there; an empty rate is none."""

    id: str
    reason: str
    kind: str
    ours: Decimal | None
    genai: Decimal | None


def history_by_id() -> dict[str, list[Rate]]:
    """By id as it stands in a log, the standard rates for any region, oldest first."""
    found: dict[str, list[Rate]] = {}
    for rate in prices.load():
        if rate.region is None and rate.tier == prices.STANDARD:
            found.setdefault(_id(rate.model, rate.scope), []).append(rate)
    return found


def _id(model: str, scope: str) -> str:
    return model if scope == IN_REGION else f"{scope}.{model}"


def rates_there(model_id: str, at: datetime) -> dict[str, Decimal | None] | None:
    """USD per million tokens by kind for small prompts, or None where genai-prices does not know the id."""
    try:
        found = calc_price(Usage(input_tokens=1), model_id, provider_id="aws", genai_request_timestamp=at).model_price
    except LookupError:
        return None
    by_kind = {kind: getattr(found, field, None) for kind, field in KINDS_THERE.items()}
    return {kind: getattr(rate, "base", rate) for kind, rate in by_kind.items()}


def compared() -> dict[str, list[Difference]]:
    """By id that both know, where its newest rates differ."""
    ours = history_by_id()
    newest = max(history[-1].since for history in ours.values())
    at = datetime.combine(newest, time.max, tzinfo=UTC)
    return {
        model_id: [
            Difference(model_id, reason(ours, history, kind, theirs), kind, _rate(history[-1], kind), theirs)
            for kind, theirs in there.items()
            if _rate(history[-1], kind) != theirs
        ]
        for model_id, history in ours.items()
        if (there := rates_there(model_id, at)) is not None
    }


def reason(ours: Mapping[str, list[Rate]], history: list[Rate], kind: str, theirs: Decimal | None) -> str:
    """Why the last of `history` differs from `theirs`."""
    mine, rate = _rate(history[-1], kind), history[-1]
    if theirs is None:
        return f"{kind.partition('_')[0]}_rate_missing_there"
    if mine is None:
        return f"{kind.partition('_')[0]}_rate_missing_here"
    if theirs in (_rate(earlier, kind) for earlier in history[:-1]):
        return "newer_here"
    # They give one rate to all geographies; ours tells them apart.
    elsewhere = (ours.get(_id(rate.model, scope)) for scope in (IN_REGION, "us", GLOBAL) if scope != rate.scope)
    if any(other and _rate(other[-1], kind) == theirs for other in elsewhere):
        return "regional_rate_missing_there"
    return "other"


def _rate(rate: Rate, kind: str) -> Decimal | None:
    amount: Decimal | None = getattr(rate.rates, kind)
    return amount


def table() -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "class", "kind", "ours", "genai"])
    for differences in compared().values():
        writer.writerows(
            ["" if cell is None else f"{cell:f}" if isinstance(cell, Decimal) else cell for cell in row]
            for row in differences
        )
    head, *rows = out.getvalue().splitlines(keepends=True)
    return head + "".join(sorted(rows))


def test_every_difference_from_genai_prices_is_on_record() -> None:
    assert table() == TABLE.read_text(encoding="utf-8")


def test_no_difference_is_without_an_explanation() -> None:
    assert [row for rows in compared().values() for row in rows if row.reason == "other"] == []


def test_four_ids_in_five_cost_there_what_they_cost_here() -> None:
    ids = compared()
    agreeing = [not any(row.kind in ("input", "output") for row in rows) for rows in ids.values()]
    assert len(ids) > 200
    assert sum(agreeing) / len(ids) >= 0.8


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
