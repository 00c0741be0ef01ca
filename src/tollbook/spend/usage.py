"""What adds up: calls and tokens, and the rows they are kept in."""

from collections.abc import Iterator
from datetime import date
from enum import IntFlag
from typing import Final

import msgspec

# Prompts above such a size cost more with some models. A row tells the highest one that its prompts
# exceed, whatever the prices say today: so a price can change and nothing need be read again.
CONTEXT_STEPS: Final = (100_000, 128_000, 200_000, 272_000)


class Trait(IntFlag):
    """What makes the price of a call less sure. Eight combinations; a row tells which of them it holds."""

    LIFETIME_UNSEEN = 1  # it wrote to the cache, and no body told for how long
    GROSS = 2  # the input count held the cached tokens too, and they were subtracted
    TIER_UNSEEN = 4  # the log cannot tell the service tier


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Calls and their tokens.

    Attributes:
        calls: requests that were served.
        errors: requests that ended with an error code.
        input: prompt tokens that were neither read from the cache nor written to it.
        cache_write: tokens written to the cache, those kept for an hour included.
        cache_write_1h: the tokens among them that are known to be kept for an hour.
        reading, writing, both: calls that read from the cache, wrote to it, did both.
    """

    calls: int = 0
    errors: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reading: int = 0
    writing: int = 0
    both: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            *(a + b for a, b in zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True))
        )

    @property
    def tokens(self) -> int:
        """All tokens, of whatever kind."""
        return self.input + self.output + self.cache_read + self.cache_write


class RowKey(msgspec.Struct, frozen=True, gc=False):
    """What the calls of a row have in common. Fields that no one asked for are None.

    Attributes:
        utc_day: the day in UTC, as a proleptic Gregorian ordinal; prices change by it.
        start: the local day (an ordinal) or, for reports by hour, the instant at which the local hour
            begins, in seconds since 1970.
        failed: whether the calls ended with an error code.
        tier: the service tier; empty for the standard one, and where the log does not tell it; `UNSEEN`
            there instead if the query groups by tier.
        context: the highest of `CONTEXT_STEPS` that the prompts exceed, or 0.
        invoked: the model that a prompt router chose, or empty.
        who: the principal, or the session of it.
        tags: the values of the request metadata asked for, in the query's order.
    """

    utc_day: int
    start: int
    failed: bool
    model_id: str
    region: str | None
    tier: str
    context: int
    invoked: str
    who: str | None
    account: str | None
    inference_region: str | None
    operation: str | None
    error: str | None
    tags: tuple[str | None, ...] | None

    @property
    def day(self) -> date:
        """The day in UTC."""
        return date.fromordinal(self.utc_day)


UNSEEN: Final = "?"
"""Stands for a tier that the log does not tell."""


class UsageRow(msgspec.Struct, frozen=True, gc=False):
    """Calls of one kind, added up.

    Attributes:
        traits: the combinations of `Trait` that occur among the calls, as a set of bits: bit n for n.
    """

    key: RowKey
    usage: Usage
    traits: int = 1

    def combinations(self) -> Iterator[Trait]:
        """The combinations of traits that occur."""
        return (Trait(number) for number in range(8) if self.traits >> number & 1)
