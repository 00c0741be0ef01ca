"""What a token costs, on which day, and who says so.

The book is `bedrock.json` beside this file, made by `scripts/build_price_book.py`. Rates are in US dollars
per million tokens, as decimal strings; each has the day since which a source shows it, and the package
and version in which it was read. An old rate is never overwritten: a new one begins on its day.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from importlib import resources
from itertools import product
from typing import Final

import msgspec

from tollbook.spend.model import GLOBAL, IN_REGION, Model
from tollbook.spend.prices.file import read_prices
from tollbook.spend.prices.rate import Rate, Rates, Source, UnknownPrice, rate_on

__all__ = ["STANDARD", "PriceBook", "Quote", "Rate", "Rates", "Source", "UnknownPrice", "load"]

STANDARD: Final = "default"
_OTHER_TIERS: Final = ("priority", "flex")
_RESERVED: Final = "reserved"  # billed by the hour, not by the token
_BILLED_OTHERWISE: Final = {
    "provisioned": "provisioned throughput is billed by the hour, not by the token",
    "imported": "imported models are billed by the minute, not by the token",
    "custom": "custom models have prices of their own",
}
_OPAQUE: Final = {
    "application-profile": "the log does not tell the model; name it with --names FILE",
    "router": "the log does not tell the model it chose; name it with --names FILE",
}
_HOME_REGIONS: Final = ("us-east-1", "us-east-2", "us-west-2")

_Layer = dict[tuple[str, str, str | None, str], list[Rate]]
"""By model, scope, region and tier, the rates in order of their first day."""


class Quote(msgspec.Struct, frozen=True):
    """A rate for a call, and what had to be assumed to choose it.

    Attributes:
        assumes_tier: the tier's own rate is not known, and the standard tier's is given.
        assumes_region: the region's own rate is not known, and the one of the US regions is given.
        has_tiers: other service tiers have rates of their own, so that it matters to know the tier.
    """

    rate: Rate
    assumes_tier: bool
    assumes_region: bool
    has_tiers: bool


class PriceBook:
    """Rates in layers, to be asked by model, place, tier and day; an upper layer goes before those below it."""

    def __init__(self, rates: Iterable[Rate], below: "PriceBook | None" = None) -> None:
        layer: _Layer = defaultdict(list)
        for rate in sorted(rates, key=lambda rate: rate.since):
            layer[rate.model, rate.scope, rate.region, rate.tier].append(rate)
        self._layers: tuple[_Layer, ...] = (layer, *(below._layers if below else ()))

    def __iter__(self) -> Iterator[Rate]:
        """All rates that ever count, by model, scope, region, tier and day."""
        keys = {key for layer in self._layers for key in layer}
        for key in sorted(keys, key=lambda key: tuple(part or "" for part in key)):
            history: list[Rate] = []
            for layer in self._layers:
                history[:0] = [rate for rate in layer.get(key, ()) if not history or rate.since < history[0].since]
            yield from history

    def overlaid(self, rates: Iterable[Rate]) -> "PriceBook":
        """This book below a layer of `rates`, which count wherever they have begun."""
        return PriceBook(rates, self)

    def quote(self, model: Model, region: str | None, tier: str, day: date) -> Quote:
        """The rate for calls of `model` from `region` in `tier` on `day`, in UTC.

        A call through a geographic profile costs what its source region charges, where the profile has
        no rate of its own; a global profile has its own rate or none.
        Source: https://docs.aws.amazon.com/bedrock/latest/userguide/cross-region-inference.html

        Raises:
            UnknownPrice: there is none; the message says why.
        """
        if why := _BILLED_OTHERWISE.get(model.kind) or (not model.vendor and _OPAQUE.get(model.kind)):
            raise UnknownPrice(why)
        if tier == _RESERVED:
            raise UnknownPrice("reserved capacity is billed by the hour, not by the token")
        places: list[tuple[str, str | None]] = [(model.scope, region), (model.scope, None)]
        if model.scope not in (IN_REGION, GLOBAL):
            places += [(IN_REGION, region), (IN_REGION, None)]
        wanted = tier or STANDARD
        begins: list[date] = []
        for asked in dict.fromkeys((wanted, STANDARD)):
            for layer, (scope, place) in product(self._layers, places):
                rates = layer.get((model.id, scope, place, asked))
                if not rates:
                    continue
                try:
                    rate = rate_on(day, rates)
                except UnknownPrice:
                    begins.append(rates[0].since)
                    continue
                # Region-less rates of the package's own book are those of the US; a user's hold everywhere.
                elsewhere = scope == IN_REGION and place is None and region not in _HOME_REGIONS
                has_tiers = any(
                    (model.id, *where, tier) in known
                    for known in self._layers
                    for where in places
                    for tier in _OTHER_TIERS
                )
                return Quote(rate, asked != wanted, elsewhere and layer is self._layers[-1], has_tiers)
        raise UnknownPrice(f"before records, which begin on {min(begins)}" if begins else "no source gives a price")


def load() -> PriceBook:
    """The book that comes with the package."""
    return PriceBook(read_prices(resources.files(__package__).joinpath("bedrock.json").read_bytes(), "bedrock.json"))
