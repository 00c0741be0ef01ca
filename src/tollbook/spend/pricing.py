"""Rows of usage to rows with money on them, and how sure each amount is."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum

import msgspec

from tollbook.spend.model import Model, Named, model_of, routed
from tollbook.spend.prices import PriceBook, Quote, Rates, UnknownPrice
from tollbook.spend.usage import UNSEEN, Trait, Usage, UsageRow


class Status(StrEnum):
    """How sure an amount is. The values are part of the JSON report."""

    EXACT = "exact"
    ASSUMED_5M = "assumed_5m"  # cache writes priced as kept for five minutes, where no body tells
    ASSUMED_TIER = "assumed_tier"  # priced at the standard tier, where the log or the book does not tell
    ASSUMED_REGION = "assumed_region"  # priced as in the US regions, where the book has no rate of its own
    GROSS_ASSUMED = "gross_assumed"  # cached tokens taken out of an input count that seems to hold them
    UNPRICED = "unpriced"


class PricedRow(msgspec.Struct, frozen=True, gc=False):
    """A row and what it cost.

    Attributes:
        usd: dollars for the part that has a price; None where nothing has, and for calls that failed.
        saving: what the cache saved in that part.
        unpriced_calls: calls some or all of whose tokens have no price.
        unpriced_tokens: the tokens that have none.
        why: why they have none.
        rates: what was charged by kind of token; None where `usd` is.
    """

    usage_row: UsageRow
    model: Model
    statuses: frozenset[Status] = frozenset()
    usd: Decimal | None = None
    saving: Decimal | None = None
    unpriced_calls: int = 0
    unpriced_tokens: int = 0
    why: str = ""
    rates: Rates | None = None


def priced(rows: Iterable[UsageRow], book: PriceBook, names: Mapping[str, Named]) -> Iterator[PricedRow]:
    """Each of `rows` with its price in `book`.

    Calls that failed are not priced, whatever their tokens: no AWS page says that they are billed.

    Args:
        names: what opaque model ids stand for.
    """
    models: dict[tuple[str, str], Model] = {}
    quotes: dict[tuple[Model, str | None, str, int], Quote | UnknownPrice] = {}
    for row in rows:
        key = row.key
        model = models.get((key.model_id, key.invoked))
        if model is None:
            model = routed(key.model_id, key.invoked) if key.invoked else model_of(key.model_id, names)
            models[key.model_id, key.invoked] = model
        if key.failed:
            yield PricedRow(row, model)
            continue
        tier = "" if key.tier == UNSEEN else key.tier
        asked = (model, key.region, tier, key.utc_day)
        if asked not in quotes:
            quotes[asked] = _quote(book, model, key.region, tier, key.day)
        yield _priced(row, model, quotes[asked])


def _quote(book: PriceBook, model: Model, region: str | None, tier: str, day: date) -> Quote | UnknownPrice:
    try:
        return book.quote(model, region, tier, day)
    except UnknownPrice as fault:
        return fault


def _priced(row: UsageRow, model: Model, quote: Quote | UnknownPrice) -> PricedRow:
    usage = row.usage
    if isinstance(quote, UnknownPrice):
        return PricedRow(row, model, _UNPRICED, None, None, usage.calls, usage.tokens, str(quote))
    rates = quote.rate.rates_for(row.key.context)
    charge = quote.rate.charge(usage, row.key.context)
    statuses = _statuses(row, quote, rates.cache_write_1h is not None)
    if not charge.unrated_tokens:
        return PricedRow(row, model, statuses, charge.usd, charge.saving_usd, rates=rates)
    if charge.unrated_tokens == usage.tokens:
        return PricedRow(row, model, _UNPRICED, None, None, usage.calls, usage.tokens, _NO_RATE)
    calls = _unrated_calls(usage, rates)
    statuses = (statuses | _UNPRICED) if calls < usage.calls else (statuses | _UNPRICED) - _EXACT
    return PricedRow(row, model, statuses, charge.usd, charge.saving_usd, calls, charge.unrated_tokens, _NO_RATE, rates)


def _statuses(row: UsageRow, quote: Quote, has_hour: bool) -> frozenset[Status]:
    if row.traits == 1 and not quote.assumes_tier and not quote.assumes_region:
        return _EXACT
    found: set[Status] = set()
    for traits in row.combinations():
        statuses = {
            Status.ASSUMED_5M: Trait.LIFETIME_UNSEEN in traits and has_hour,
            Status.ASSUMED_TIER: quote.assumes_tier or (Trait.TIER_UNSEEN in traits and quote.has_tiers),
            Status.ASSUMED_REGION: quote.assumes_region,
            Status.GROSS_ASSUMED: Trait.GROSS in traits,
        }
        found |= {status for status, holds in statuses.items() if holds} or _EXACT
    return frozenset(found)


def _unrated_calls(usage: Usage, rates: Rates) -> int:
    """How many of the calls have tokens of a kind without a rate."""
    if usage.output and rates.output is None:
        return usage.calls
    reads = bool(usage.cache_read) and rates.cache_read is None
    writes = bool(usage.cache_write - usage.cache_write_1h) and rates.cache_write_5m is None
    writes |= bool(usage.cache_write_1h) and rates.cache_write_1h is None
    return reads * usage.reading + writes * usage.writing - (reads and writes) * usage.both


_EXACT, _UNPRICED = frozenset({Status.EXACT}), frozenset({Status.UNPRICED})
_NO_RATE = "no source gives a rate for this kind of token"
