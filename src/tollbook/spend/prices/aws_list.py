"""AWS's own price list: the offer files of Bedrock, read into rates.

    {"offerCode": "AmazonBedrock", "version": "20260911124408", "publicationDate": "2026-09-11T12:44:08Z",
     "products": {SKU: {"attributes": {"model": "Nova Lite", "regionCode": "us-east-1",
                                       "usagetype": "USE1-NovaLite-input-tokens", …}}},
     "terms": {"OnDemand": {SKU: {TERM: {"effectiveDate": "2026-09-01T00:00:00Z",
        "priceDimensions": {CODE: {"unit": "1K tokens", "pricePerUnit": {"USD": "0.0000600000"}, …}}}}}}}

Source: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html;
the values of attributes and usage types are not documented there, and were learnt from public copies.

The list has no model ids. `aws_names.json` ties its names to them; a name that is not there is counted.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import resources
from typing import Annotated, Final, NamedTuple

import msgspec

from tollbook.core.errors import PriceFileError
from tollbook.spend.model import GLOBAL, IN_REGION
from tollbook.spend.prices.aws_usage import Charged, Skip, charged_by, stem
from tollbook.spend.prices.rate import Rate, Rates, Source

OFFERS: Final = ("AmazonBedrockFoundationModels", "AmazonBedrockService", "AmazonBedrock")
_URL: Final = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/{code}/current/index.json"
_EDITION: Final = " (Amazon Bedrock Edition)"
_TOKENS: Final = {"1K tokens": 1_000, "1M tokens": 1_000_000}
_MARKETPLACE_UNIT: Final = "Units"  # a million tokens, where the description says so
# US dollars per million tokens. Beyond, the unit has been mistaken; it has been before.
_CHEAPEST, _DEAREST = Decimal("0.001"), Decimal(1_000)
_MILLION: Final = Decimal(1_000_000)

_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class _Product(msgspec.Struct):
    attributes: dict[str, str]


class _Price(msgspec.Struct):
    unit: str
    pricePerUnit: dict[str, str]
    description: str = ""


class _Term(msgspec.Struct):
    effectiveDate: _Instant
    priceDimensions: dict[str, _Price]


class _Offer(msgspec.Struct):
    offerCode: str
    version: str
    publicationDate: _Instant
    products: dict[str, _Product]
    terms: dict[str, dict[str, dict[str, _Term]]]


class _Names(msgspec.Struct):
    """`aws_names.json`: ids by name, and by id the prompt size that the list calls long."""

    models: dict[str, str]
    long_prompts_exceed: dict[str, int]


class _Place(NamedTuple):
    """What has a rate of its own."""

    model: str
    scope: str
    region: str
    tier: str


class _Row(msgspec.Struct, frozen=True):
    """One price of the list; `usd` is for a million tokens."""

    name: str
    charged: Charged
    region: str
    since: date
    usd: Decimal


class OfferReading(msgspec.Struct, frozen=True):
    """What an offer file holds.

    Attributes:
        skipped: rows that are not in `rates`, by reason.
        unknown: the rows of models that `aws_names.json` does not know, by the list's name for them.
    """

    source: Source
    rates: tuple[Rate, ...]
    skipped: Mapping[str, int]
    unknown: Mapping[str, int]


def read_offer(content: bytes, name: str, retrieved: date) -> OfferReading:
    """The rates in `content`, an AWS offer file called `name`.

    A rate begins on the day on which the list was published, or on which its prices take effect if that is
    later. The list may name an earlier day of effect; what was charged before it came out is left to the book.

    Args:
        retrieved: the UTC day of the reading; prices that take effect later are left for another reading.

    Raises:
        PriceFileError: it is no offer file of Bedrock.
    """
    try:
        offer = msgspec.json.decode(content, type=_Offer)
    except msgspec.ValidationError as fault:
        raise PriceFileError(f"{name} is no AWS offer file: {fault}. {_WANTED}") from fault
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise PriceFileError(f"{name} is no JSON ({fault}). {_WANTED}") from fault
    if offer.offerCode not in OFFERS:
        raise PriceFileError(f'{name} is the offer "{offer.offerCode}", which is not read. {_WANTED}')
    label = f"AWS price list {offer.offerCode} {offer.version}"
    source = Source(label, _URL.format(code=offer.offerCode), _day(offer.publicationDate), retrieved)
    names = msgspec.json.decode(resources.files(__package__).joinpath("aws_names.json").read_bytes(), type=_Names)
    skipped: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    by_place: dict[_Place, list[_Row]] = defaultdict(list)
    for row in _rows(offer, retrieved, skipped):
        if model := names.models.get(row.name):
            scope = GLOBAL if row.charged.is_global else IN_REGION
            by_place[_Place(model, scope, row.region, row.charged.tier)].append(row)
        else:
            unknown[row.name] += 1
            skipped[Skip.MODEL] += 1
    rates = []
    for place, rows in sorted(by_place.items()):
        step = names.long_prompts_exceed.get(place.model)
        rate = _rate(place, rows, step, source, skipped)
        if isinstance(rate, Rate):
            rates.append(rate)
        else:
            skipped[rate] += len(rows)
    return OfferReading(source, tuple(rates), +skipped, unknown)


_WANTED: Final = f"Give the index.json of one of {', '.join(OFFERS)}, as AWS publishes it."


# --- rows


def _rows(offer: _Offer, retrieved: date, skipped: Counter[str]) -> Iterator[_Row]:
    """The rows that charge for tokens on the day `retrieved`; the others are counted in `skipped`."""
    published = _day(offer.publicationDate)
    for kind, by_sku in offer.terms.items():
        for sku, by_term in by_sku.items():
            # Terms are told apart by their dates: their codes differ from offer to offer.
            begun = [term for term in by_term.values() if _day(term.effectiveDate) <= retrieved]
            skipped[Skip.TIME] += len(by_term) - bool(begun)
            if begun:
                term = max(begun, key=lambda term: term.effectiveDate)
                attributes = offer.products[sku].attributes if sku in offer.products else {}
                row = _row(attributes, term, published) if kind == "OnDemand" else Skip.TERM
                if isinstance(row, _Row):
                    yield row
                else:
                    skipped[row] += 1


def _row(attributes: Mapping[str, str], term: _Term, published: date) -> _Row | Skip:
    charged = charged_by(attributes)
    if len(term.priceDimensions) != 1:
        return charged if isinstance(charged, Skip) else Skip.STEPS
    (price,) = term.priceDimensions.values()
    if isinstance(charged, Skip):
        return Skip.NOT_TOKENS if charged is Skip.USAGE and "token" not in price.unit else charged
    usd = _per_million(price, may_be_zero=charged.kind.startswith("cache_write"))
    if isinstance(usd, Skip):
        return usd
    region = attributes.get("regionCode", "")
    if not region:
        return Skip.REGION
    return _Row(_name(attributes), charged, region, max(published, _day(term.effectiveDate)), usd)


def _per_million(price: _Price, *, may_be_zero: bool) -> Decimal | Skip:
    tokens = _TOKENS.get(price.unit)
    if price.unit == _MARKETPLACE_UNIT and "million" in price.description.lower():
        tokens = 1_000_000
    if tokens is None:
        return Skip.UNIT
    if "USD" not in price.pricePerUnit:
        return Skip.CURRENCY
    try:
        usd = Decimal(price.pricePerUnit["USD"]) * (_MILLION / tokens)
    except ArithmeticError:  # no number, or none that Decimal can hold
        return Skip.IMPLAUSIBLE
    if not usd:
        # Nova's cache writes are listed at zero, and are free; no other token is.
        return Decimal(0) if may_be_zero else Skip.ZERO
    return _bare(usd) if usd.is_finite() and _CHEAPEST <= usd <= _DEAREST else Skip.IMPLAUSIBLE


def _bare(usd: Decimal) -> Decimal:
    """`usd` without idle zeros."""
    return usd.quantize(Decimal(1)) if usd == usd.to_integral_value() else usd.normalize()


def _name(attributes: Mapping[str, str]) -> str:
    """The list's name for the model."""
    sold_as = attributes.get("servicename", "")
    if sold_as.endswith(_EDITION):
        return sold_as.removesuffix(_EDITION)
    return attributes.get("model") or attributes.get("titanModel") or stem(attributes["usagetype"])


def _day(time: datetime) -> date:
    try:
        return time.astimezone(UTC).date()
    except OverflowError:  # in the first or the last hours that datetime knows
        return time.date()


# --- rates


def _rate(place: _Place, rows: Sequence[_Row], step: int | None, source: Source, skipped: Counter[str]) -> Rate | Skip:
    """The rate that `rows` make, or why they make none; a kind with two prices is left out and counted.

    Args:
        step: the prompt size in tokens above which the list's prices for long prompts hold, if known.
    """
    found: dict[tuple[bool, str], set[Decimal]] = defaultdict(set)
    for row in rows:
        found[row.charged.is_long, row.charged.kind].add(row.usd)
    plain, long = (
        {kind: usd for (is_long, kind), (usd, *more) in found.items() if is_long is wanted and not more}
        for wanted in (False, True)
    )
    if {"input", "output"} - plain.keys() or (long and {"input", "output"} - long.keys()):
        return Skip.CONFLICT if any(len(prices) > 1 for prices in found.values()) else Skip.INCOMPLETE
    if not _plausible(plain) or (long and not _plausible(long)):
        return Skip.IMPLAUSIBLE
    costs_more = any(plain.get(kind) != usd for kind, usd in long.items())
    if costs_more and step is None:
        return Skip.LONG
    skipped[Skip.CONFLICT] += sum(len(prices) for prices in found.values() if len(prices) > 1)
    above = {step: Rates(**long)} if costs_more and step else {}
    return Rate(*place, max(row.since for row in rows), source, Rates(**plain), above)


def _plausible(usd: Mapping[str, Decimal]) -> bool:
    """Whether the kinds are of one unit: a thousand tokens taken for a million shows here."""
    dearest = {"input": 1, "output": 100, "cache_read": 1, "cache_write_5m": 3, "cache_write_1h": 3}
    return usd["input"] <= 10 * usd["output"] and all(
        amount <= usd["input"] * dearest[kind] for kind, amount in usd.items()
    )
