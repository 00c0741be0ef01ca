"""The price of one model, in one place, since one day."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

import msgspec

from tollbook.core.errors import TollbookError
from tollbook.spend.usage import Usage

_MILLION: Final = Decimal(1_000_000)
_ZERO: Final = Decimal(0)


class UnknownPrice(TollbookError):
    """No rate is known for a day."""


class Source(msgspec.Struct, frozen=True):
    """Where a rate was read.

    Attributes:
        name: package and version, such as `litellm 1.80.0`, or the name of a user's file.
        url: where that source is published; empty for a user's file.
        released: the day on which that version was released, if known.
        retrieved: the day on which it was read, if known.
    """

    name: str
    url: str = ""
    released: date | None = None
    retrieved: date | None = None


class Rates(msgspec.Struct, frozen=True):
    """US dollars per million tokens, by kind of token; None where no source tells."""

    input: Decimal
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write_5m: Decimal | None = None
    cache_write_1h: Decimal | None = None


class Charge(msgspec.Struct, frozen=True, gc=False):
    """What tokens cost.

    Attributes:
        usd: US dollars for the tokens that have a rate.
        unrated_tokens: tokens of kinds that have none.
        saving_usd: what reading from the cache saved, less what writing to it cost beyond plain
            input; negative where the cache did not pay.
    """

    usd: Decimal
    unrated_tokens: int
    saving_usd: Decimal


class Rate(msgspec.Struct, frozen=True):
    """The rates of a model in force since a day.

    Attributes:
        model: the foundation model's id, without a profile's prefix.
        scope: see `tollbook.spend.model.SCOPES`.
        region: the region it holds in, or None for every region without a rate of its own.
        tier: the service tier, `default` for the standard one.
        since: the first day, in UTC, on which `source` is known to show it.
        above: by prompt size in tokens, the rates of calls whose prompts are larger.
        corrected: the names of the corrections that made these rates of those that `source` shows, or empty.
    """

    model: str
    scope: str
    region: str | None
    tier: str
    since: date
    source: Source
    rates: Rates
    above: Mapping[int, Rates] = {}
    corrected: str = ""

    def rates_for(self, context: int) -> Rates:
        """The rates of calls whose prompts exceed `context` tokens, one of `CONTEXT_STEPS` or 0."""
        if not context or not self.above:
            return self.rates
        step = max((step for step in self.above if step <= context), default=None)
        return self.rates if step is None else self.above[step]

    def charge(self, usage: Usage, context: int = 0) -> Charge:
        """What `usage` costs: calls that share their `context` step.

        Writes to the cache that are not known to last an hour are charged as those of five minutes.
        Source: https://aws.amazon.com/bedrock/pricing/ (a call costs the sum of its tokens by kind).
        """
        rates = self.rates_for(context)
        usd, saving = usage.input * rates.input, _ZERO
        unrated = 0
        if usage.output:
            if rates.output is None:
                unrated += usage.output
            else:
                usd += usage.output * rates.output
        for tokens, rate in (
            (usage.cache_read, rates.cache_read),
            (usage.cache_write - usage.cache_write_1h, rates.cache_write_5m),
            (usage.cache_write_1h, rates.cache_write_1h),
        ):
            if not tokens:
                continue
            if rate is None:
                unrated += tokens
            else:
                usd += tokens * rate
                saving += tokens * (rates.input - rate)
        return Charge(usd / _MILLION, unrated, saving / _MILLION)


def rate_on(day: date, rates: Sequence[Rate]) -> Rate:
    """The rate in force on `day`, from `rates` of one kind in order of `since`.

    Raises:
        UnknownPrice: every rate begins after `day`, or there is none.
    """
    for rate in reversed(rates):
        if rate.since <= day:
            return rate
    raise UnknownPrice(f"No price is on record for {day}." + (f" Records begin on {rates[0].since}." if rates else ""))


KINDS: Final = Rates.__struct_fields__
