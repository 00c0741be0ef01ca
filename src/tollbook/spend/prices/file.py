"""Files of prices: the book's own form, and nothing looser.

    {"schema": "tollbook.prices/1", "currency": "USD", "unit": "per_million_tokens",
     "sources": {"our contract": {"url": "https://…", "retrieved": "2026-11-01"}},
     "prices": [{"model": "amazon.nova-pro-v1:0", "scope": "in-region", "since": "2026-11-01",
                 "source": "our contract", "input": "0.72", "output": "2.88"}]}

Rates are decimal strings: a JSON number would become binary on its way, and money must not.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from tollbook.core.errors import PriceFileError
from tollbook.spend.model import SCOPES, model_of
from tollbook.spend.prices.rate import Rate, Rates, Source
from tollbook.spend.usage import CONTEXT_STEPS

SCHEMA: Final = "tollbook.prices/1"
UNIT: Final = "per_million_tokens"
CURRENCY: Final = "USD"
_DEAREST: Final = Decimal(1_000_000)


class SourceEntry(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    url: str = ""
    package: str = ""
    version: str = ""
    released: date | None = None
    retrieved: date | None = None


class RatesEntry(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    input: str | None = None
    output: str | None = None
    cache_read: str | None = None
    cache_write_5m: str | None = None
    cache_write_1h: str | None = None


class PriceEntry(RatesEntry, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    model: str
    scope: str
    since: date
    region: str | None = None
    tier: str = "default"
    source: str = ""
    corrected: str = ""
    above: dict[str, RatesEntry] = {}


class PriceFile(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    schema: str
    currency: str
    unit: str
    sources: dict[str, SourceEntry] = {}
    prices: list[PriceEntry]


def read_prices(content: bytes, name: str) -> list[Rate]:
    """The rates in `content`, a file called `name`.

    Raises:
        PriceFileError: it is not in the form above; the message names the entry.
    """
    try:
        found = msgspec.json.decode(content, type=PriceFile)
    except msgspec.ValidationError as fault:
        raise PriceFileError(f"{name}: {fault}. {_advice(str(fault))}") from fault
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise PriceFileError(
            f"{name} is no JSON ({fault}). See docs/prices.md for the form of a price file."
        ) from fault
    for what, value, wanted in (
        ("schema", found.schema, SCHEMA),
        ("unit", found.unit, UNIT),
        ("currency", found.currency, CURRENCY),
    ):
        if value != wanted:
            raise PriceFileError(
                f'{name}: "{what}" is "{value}", but only "{wanted}" is read. Convert the rates, then say so.'
            )
    own = Source(name)
    sources = {key: Source(key, entry.url, entry.released, entry.retrieved) for key, entry in found.sources.items()}
    rates: list[Rate] = []
    seen: set[tuple[str, str, str | None, str, date]] = set()
    for number, entry in enumerate(found.prices, 1):
        where = f"{name}: price {number} ({entry.model})"
        place = (entry.model, entry.scope, entry.region, entry.tier, entry.since)
        if place in seen:
            raise PriceFileError(
                f"{where}: an entry before it is for the same thing from the same day. Keep one of them."
            )
        seen.add(place)
        if model_of(entry.model).kind == "profile":
            raise PriceFileError(
                f'{where}: the model has a profile\'s prefix. Write the prefix as "scope", and the id without it.'
            )
        if entry.source and entry.source not in sources:
            raise PriceFileError(f'{where}: the source "{entry.source}" is not among "sources". Add it there.')
        if entry.scope not in SCOPES:
            raise PriceFileError(f'{where}: the scope "{entry.scope}" is not known. Use one of {", ".join(SCOPES)}.')
        rates.append(
            Rate(
                entry.model,
                entry.scope,
                entry.region,
                entry.tier,
                entry.since,
                sources.get(entry.source, own),
                _rates(entry, where),
                {_step(step, where): _rates(above, f"{where} above {step}") for step, above in entry.above.items()},
                entry.corrected,
            )
        )
    return rates


def _rates(entry: RatesEntry, where: str) -> Rates:
    if entry.input is None:
        raise PriceFileError(
            f'{where}: "input" is missing. A price without it cannot be used; leave the whole entry out.'
        )
    amounts = (entry.output, entry.cache_read, entry.cache_write_5m, entry.cache_write_1h)
    return Rates(_amount(entry.input, where), *(None if text is None else _amount(text, where) for text in amounts))


def _amount(text: str, where: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= _DEAREST:
        raise PriceFileError(
            f'{where}: "{text}" is no rate. Write dollars per million tokens as a string, such as "3.30".'
        )
    return amount


def _step(text: str, where: str) -> int:
    if text not in map(str, CONTEXT_STEPS):
        known = ", ".join(map(str, CONTEXT_STEPS))
        raise PriceFileError(f'{where}: "above" knows prompts above {known} tokens, not "{text}".')
    return int(text)


def _advice(fault: str) -> str:
    if "got `float`" in fault or "got `int`" in fault:
        return 'Write rates as strings, such as "3.30": a JSON number is binary, and money must not be.'
    return "See docs/prices.md for the form of a price file."


def written(rates: Sequence[Rate]) -> bytes:
    """`rates` as a file that `read_prices` reads, an entry a line."""
    sources = {rate.source.name: rate.source for rate in rates}
    head = PriceFile(
        schema=SCHEMA,
        currency=CURRENCY,
        unit=UNIT,
        sources={
            name: SourceEntry(url=source.url, released=source.released, retrieved=source.retrieved)
            for name, source in sorted(sources.items())
        },
        prices=[],
    )
    text = msgspec.json.format(msgspec.json.encode(head), indent=1).decode().removesuffix("[]\n}")
    lines = ",\n  ".join(msgspec.json.encode(_entry(rate)).decode() for rate in rates)
    return f"{text}[\n  {lines}\n ]\n}}\n".encode()


def _entry(rate: Rate) -> PriceEntry:
    return PriceEntry(
        **_amounts(rate.rates),
        model=rate.model,
        scope=rate.scope,
        since=rate.since,
        region=rate.region,
        tier=rate.tier,
        source=rate.source.name,
        corrected=rate.corrected,
        above={str(step): RatesEntry(**_amounts(above)) for step, above in rate.above.items()},
    )


def _amounts(rates: Rates) -> dict[str, str | None]:
    return {
        kind: None if amount is None else format(amount, "f")
        for kind, amount in (
            ("input", rates.input),
            ("output", rates.output),
            ("cache_read", rates.cache_read),
            ("cache_write_5m", rates.cache_write_5m),
            ("cache_write_1h", rates.cache_write_1h),
        )
    }
