"""What a reading of AWS's price list adds to the rates that are known."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum

import msgspec

from tollbook.spend.model import Model
from tollbook.spend.prices import PriceBook, Rate, UnknownPrice
from tollbook.spend.prices.rate import KINDS


class Left(StrEnum):
    """Why a rate of the list is not taken."""

    KNOWN = "known already"
    LESS = "the same as in the book, which tells more"
    LONG = "no price of long prompts, which the book has"
    DISAGREE = "two offers disagree"
    SAME_DAY = "another price is on record for that day"


class Continued(msgspec.Struct, frozen=True):
    """The rates to lay over the book.

    Attributes:
        rates: those of before, and the new ones.
        begun: how many are new.
        left: how many that were found are not taken, by reason.
    """

    rates: tuple[Rate, ...]
    begun: int
    left: Mapping[str, int]


def continued(before: Sequence[Rate], found: Iterable[Rate], book: PriceBook) -> Continued:
    """`before` with what is new in `found`; both go over `book`.

    Nothing is overwritten: a price that has changed begins on its own day, and one that has not begins no
    entry. A rate that agrees with what is known and tells less of it would only take prices away.

    Args:
        found: what the offers of one reading say; where two speak of the same thing, the fuller one counts.
    """
    known = book.overlaid(before)
    days = {(_place(rate), rate.since) for rate in before}
    sources = {rate.source.name: rate.source for rate in before}
    by_place: dict[tuple[str, ...], list[Rate]] = {}
    for rate in found:
        by_place.setdefault(_place(rate), []).append(rate)
    begun: list[Rate] = []
    left: Counter[str] = Counter()
    for place, rates in by_place.items():
        fullest, *others = sorted(rates, key=lambda rate: len(_told(rate)), reverse=True)
        if any(not _agree(_told(fullest), _told(other)) for other in others):
            left[Left.DISAGREE] += len(rates)
            continue
        left[Left.KNOWN] += len(others)
        # The book may have come to know more since the list was published.
        on = (fullest.since, max(fullest.since, fullest.source.retrieved or fullest.since))
        if why := next(filter(None, (_why_not(fullest, _in_force(known, fullest, day)) for day in on)), None):
            left[why] += 1
        elif (place, fullest.since) in days:
            left[Left.SAME_DAY] += 1
        else:
            begun.append(msgspec.structs.replace(fullest, source=sources.get(fullest.source.name, fullest.source)))
    return Continued((*before, *begun), len(begun), +left)


def _why_not(rate: Rate, known: Rate | None) -> Left | None:
    if known is None:
        return None
    told, known_told = _told(rate), _told(known)
    if told == known_told and _place(rate) == _place(known):
        return Left.KNOWN
    missing = known_told.keys() - told.keys()
    if missing and _agree(told, known_told):
        return Left.LESS
    if any(step for step, _ in missing):
        return Left.LONG
    return None


def _in_force(book: PriceBook, rate: Rate, day: date) -> Rate | None:
    """What `book` charges on `day` for what `rate` is for."""
    model = Model(rate.model, rate.model.partition(".")[0], rate.scope, "foundation")
    try:
        quote = book.quote(model, rate.region, rate.tier, day)
    except UnknownPrice:
        return None
    return None if quote.assumes_tier else quote.rate


def _agree(one: Mapping[tuple[int, str], Decimal], other: Mapping[tuple[int, str], Decimal]) -> bool:
    """Whether two rates say the same of all that both tell."""
    return all(one[what] == other[what] for what in one.keys() & other.keys())


def _told(rate: Rate) -> dict[tuple[int, str], Decimal]:
    """By prompt size and kind of token, all that `rate` tells."""
    return {
        (step, kind): amount
        for step, rates in {0: rate.rates, **rate.above}.items()
        for kind in KINDS
        if (amount := getattr(rates, kind)) is not None
    }


def _place(rate: Rate) -> tuple[str, ...]:
    return rate.model, rate.scope, rate.region or "", rate.tier
