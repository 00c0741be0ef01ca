"""What the same tokens would have cost with another model, scope, region or tier, or another use of the cache."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final, Literal

from msgspec import structs

from tollbook.core.errors import UsageError
from tollbook.core.text import printable
from tollbook.spend.answers.basis import Basis, basis_of
from tollbook.spend.answers.meant import model_meant
from tollbook.spend.answers.money import adding_up_to, total, usd
from tollbook.spend.model import GEOGRAPHIES, GLOBAL, IN_REGION, Model, label
from tollbook.spend.prices import STANDARD, PriceBook, Rate, UnknownPrice
from tollbook.spend.pricing import PricedRow
from tollbook.spend.report import Report
from tollbook.spend.usage import UNSEEN, Usage

WHAT_IF_BY: Final = ("model", "principal")
GEO: Final = "geo"
"""The scope of the geography that each call comes from."""
TO_SCOPES: Final = (IN_REGION, GEO, GLOBAL, *GEOGRAPHIES)
TIERS: Final = ("standard", "priority", "flex")
MOST_LINES: Final = 10
AS_IS: Final = "as_is"
UNCACHED: Final = "none"

Caching = Literal["as_is", "none"] | Decimal
"""As it was; none: what was read from the cache or written to it is plain input; or the share, above 0 and up to 1, of
all prompt tokens that is read from the cache. Of the rest, as much is written to it as was, as far as it goes."""

# Source: https://docs.aws.amazon.com/general/latest/gr/bedrock.html
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_GEOGRAPHIES: Final = {"us-gov-": "us-gov", "us-": "us", "eu-": "eu", "ap-": "apac", "ca-": "ca"}
"""By how its name begins, the geographic profile that a region calls.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be different; what is empty stays as it was.

    Attributes:
        model: an id, with a profile's prefix or without, or a name such as `Claude Haiku 4.5`, or a part of either.
        scope: one of `TO_SCOPES`.
        region: where the calls come from, such as `eu-west-1`.
        tier: one of `TIERS`; `default`, as logs and price books have it, is `standard`.
    """

    model: str = ""
    scope: str = ""
    region: str = ""
    tier: str = ""
    caching: Caching = "as_is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repriced:
    """Calls, and what they would have cost.

    Attributes:
        name: a model's id or a principal, as the log has it.
        difference_usd: `hypothetical_usd` less `current_usd`.
    """

    name: str
    calls: int
    current_usd: Decimal
    hypothetical_usd: Decimal
    difference_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Calls of one model that one side or the other has no price for; they are in neither.

    Attributes:
        current_usd: what is known of their cost now.
    """

    model: str
    why: str
    calls: int
    tokens: int
    current_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """The cost of the same tokens, changed.

    Attributes:
        to_model: the id of the model that was meant; empty where each call keeps its own.
        to_scope, to_region, to_tier: empty where each call keeps its own.
        caching: as asked: `as_is`, `none` or a share.
        calls: those that have a price on both sides: only they are in any amount.
        models: by the model that was called, the dearest first.
        principals: the dearest first, at most `MOST_LINES`.
        other_principals: how many more there are; `rest` is what they add up to.
        left_out: calls without a price on one side.
        assumptions: sentences on how a price was chosen.
        cannot_know: sentences on what no log tells.
    """

    basis: Basis
    to_model: str
    to_scope: str
    to_region: str
    to_tier: str
    caching: str
    calls: int
    current_usd: Decimal
    hypothetical_usd: Decimal
    difference_usd: Decimal
    models: tuple[Repriced, ...]
    principals: tuple[Repriced, ...]
    other_principals: int
    rest: Repriced | None
    left_out: tuple[LeftOut, ...]
    assumptions: tuple[str, ...]
    cannot_know: tuple[str, ...]
    schema: Literal["tollbook.what-if/1"] = "tollbook.what-if/1"


def read_caching(text: str) -> Caching:
    """`as_is`, `none`, or a share such as `0.8` or `80%`.

    Raises:
        UsageError: it is none of them.
    """
    word = text.strip().lower()
    if word.replace("-", "_") in ("", AS_IS):
        return "as_is"
    if word == UNCACHED:
        return "none"
    try:
        share = Decimal(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
    except ArithmeticError:  # no number, or one that is too large to be divided
        share = Decimal("NaN")
    if not share.is_finite() or not 0 <= share <= 1:
        raise _unknown_caching(text)
    return share or "none"


def _unknown_caching(text: str) -> UsageError:
    return UsageError(
        f"Caching '{printable(text)}' is not known. Give as_is, none, or the share of prompt tokens that is read from "
        "the cache, such as 0.8 or 80%."
    )


def what_if_of(report: Report, change: Change, book: PriceBook) -> WhatIf:
    """What the calls of `report` would have cost with `change`.

    Args:
        report: by the dimensions of `WHAT_IF_BY` at least.
        book: the one that the report was priced with.

    Raises:
        UsageError: nothing is to be different; or a part of `change` is unknown, or a model's name means several.
    """
    target = checked(change, book)
    begins = sorted({rate.since for rate in book if rate.model == target.model}) if target.model else []
    offers: dict[tuple[Model, str | None, str, date], _Offer | str] = {}
    models, principals = _Lines(), _Lines()
    left_out: dict[tuple[str, str], list[PricedRow]] = defaultdict(list)
    assumed: Counter[str] = Counter()
    has_cached = False
    for row, _, (who, model) in report.valued(("principal", "model")):
        key, usage = row.usage_row.key, recached(row.usage_row.usage, target.caching)
        if key.failed:
            continue
        asked = (row.model, key.region, "" if key.tier == UNSEEN else key.tier, key.day)
        if asked not in offers:
            offers[asked] = _offer(_moving(target, key.region), book, begins, *asked)
        offer = offers[asked]
        hypothetical = _priced(row, offer, usage)
        if isinstance(offer, str) or isinstance(hypothetical, str) or row.usd is None:
            left_out[row.model.id, str(hypothetical)].append(row)
            continue
        for lines, name in ((models, model), (principals, who)):
            lines.add(name or "", usage.calls, row.usd, hypothetical)
        has_cached |= bool(usage.cache_read or usage.cache_write)
        assumed.update(dict.fromkeys(offer.assumptions, usage.calls))
    whole, by_who = models.whole(), principals.each()
    return WhatIf(
        basis=basis_of(report),
        to_model=target.model,
        to_scope=target.scope,
        to_region=target.region,
        to_tier=target.tier,
        caching=str(target.caching),
        calls=whole.calls,
        current_usd=whole.current_usd,
        hypothetical_usd=whole.hypothetical_usd,
        difference_usd=whole.difference_usd,
        models=tuple(models.each()),
        principals=tuple(by_who[:MOST_LINES]),
        other_principals=len(by_who[MOST_LINES:]),
        rest=_summed(by_who[MOST_LINES:]) if by_who[MOST_LINES:] else None,
        left_out=tuple(_left_out(left_out)),
        assumptions=tuple(
            f"{calls:,} {'call is' if calls == 1 else 'calls are'} {how}." for how, calls in sorted(assumed.items())
        ),
        cannot_know=tuple(_cannot_know(target, has_cached)),
    )


def recached(usage: Usage, caching: Caching) -> Usage:
    """`usage` as it would be with another use of the cache: the same prompt tokens, otherwise spread."""
    if caching == AS_IS:
        return usage
    prompt = usage.input + usage.cache_read + usage.cache_write
    if caching == UNCACHED:
        return structs.replace(usage, input=prompt, cache_read=0, cache_write=0, cache_write_1h=0)
    read = round(prompt * Decimal(caching))
    write = min(usage.cache_write, prompt - read)
    for_an_hour = min(usage.cache_write_1h, write)
    return structs.replace(
        usage, input=prompt - read - write, cache_read=read, cache_write=write, cache_write_1h=for_an_hour
    )


def geography_of(region: str) -> str:
    """The scope of the geographic profile that `region` calls; the region itself where there is none."""
    return next((scope for start, scope in _GEOGRAPHIES.items() if region.startswith(start)), IN_REGION)


def checked(change: Change, book: PriceBook) -> Change:
    """`change` with the id of its model, and all of it known: to be asked before logs are read for it.

    Raises:
        UsageError: some of it is not known, or nothing is to be different.
    """
    if change == Change():
        raise UsageError("Nothing is to be different. Name another model, scope, region, tier or use of the cache.")
    scope, region, tier = (text.strip().lower() for text in (change.scope, change.region, change.tier))
    tier = "standard" if tier == STANDARD else tier
    if scope and scope not in TO_SCOPES:
        raise UsageError(f"The scope '{printable(change.scope)}' is not known. Choose from {', '.join(TO_SCOPES)}.")
    if tier and tier not in TIERS:
        raise UsageError(f"The tier '{printable(change.tier)}' is not known. Choose from {', '.join(TIERS)}.")
    if not isinstance(change.caching, str) and not 0 < change.caching <= 1:
        raise _unknown_caching(str(change.caching))
    if region and not _REGION.fullmatch(region):
        raise UsageError(f"'{printable(change.region)}' is no AWS region. Write it as eu-west-1.")
    if not change.model:
        return Change(scope=scope, region=region, tier=tier, caching=change.caching)
    model = model_meant(change.model, book)
    if model.kind == "profile":
        if scope not in ("", model.scope):
            raise UsageError(
                f"The model '{printable(change.model)}' is called through the scope {model.scope}, not {scope}. "
                "Leave one of them out."
            )
        scope = model.scope
    return Change(model=model.id, scope=scope, region=region, tier=tier, caching=change.caching)


@dataclass(frozen=True, slots=True)
class _Offer:
    """A rate for calls as they would have been made.

    Attributes:
        assumptions: how calls were priced, as the end of "9 calls are …".
    """

    rate: Rate
    assumptions: tuple[str, ...] = ()


def _offer(
    target: Change, book: PriceBook, begins: Iterable[date], model: Model, region: str | None, tier: str, day: date
) -> _Offer | str:
    """The rate for calls of `model` once they are changed into `target`; or why there is none."""
    place, tier_then = target.region or region, STANDARD if target.tier == "standard" else target.tier or tier
    scope, how = _scope(target, model, place)
    if not scope:
        return how
    assumptions = [how] if how else []
    wanted = structs.replace(model, scope=scope)
    if target.model:
        wanted = Model(target.model, target.model.partition(".")[0], scope, "foundation")
    is_same = (wanted.id, scope, place, tier_then or STANDARD) == (model.id, model.scope, region, tier or STANDARD)
    why = ""
    for on in (day, *(each for each in begins if each > day)):
        try:
            quote = book.quote(wanted, place, tier_then, on)
        except UnknownPrice as fault:
            why = why or str(fault)
            continue
        if is_same:
            return _Offer(quote.rate)
        if quote.assumes_tier and target.tier:
            why = f"no source gives a price at the tier {target.tier}"
            continue
        if on != day:
            assumptions.append(f"older than the first price on record for {label(wanted.id)}, and priced with that")
        if quote.assumes_tier:
            assumptions.append(f"priced at the standard tier, since the book has no {tier_then} rate there")
        if quote.assumes_region:
            assumptions.append(f"priced as in the US regions, since the book has no rate for {place}")
        return _Offer(quote.rate, tuple(assumptions))
    return why


def _moving(target: Change, region: str | None) -> Change:
    """`target`, for calls from `region`: those that come from where they are to come from do not move."""
    return replace(target, region="") if target.region == region else target


def _scope(target: Change, model: Model, place: str | None) -> tuple[str, str]:
    """The scope that calls of `model` from `place` would have, and what is assumed of it; or none, and why."""
    if target.scope not in ("", GEO):
        return target.scope, ""
    # A geographic profile stays what it is as long as the region does.
    moves = target.region if model.scope in GEOGRAPHIES else target.scope
    if not moves:
        return model.scope, ""
    scope = geography_of(place or "")
    if scope == IN_REGION and target.scope:
        return "", f"no geographic profile is known for {place or 'calls of an unknown region'}"
    return scope, f"taken to go through what {place} calls: {scope}"


def _priced(row: PricedRow, offer: _Offer | str, usage: Usage) -> Decimal | str:
    """What `usage` would have cost, in dollars; or why one side has no price for it."""
    if row.usd is None or row.unpriced_calls:
        return row.why
    if isinstance(offer, str):
        return offer
    if not usage.output and row.rates and not row.rates.output and offer.rate.rates.output:
        return "it makes embeddings, and the other model makes text"
    charge = offer.rate.charge(usage, row.usage_row.key.context)
    return "no source gives a rate there for these kinds of token" if charge.unrated_tokens else charge.usd


class _Lines:
    """Calls and both their costs, by name."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._current: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._hypothetical: defaultdict[str, Decimal] = defaultdict(Decimal)

    def add(self, name: str, calls: int, current: Decimal, hypothetical: Decimal) -> None:
        self._calls[name] += calls
        self._current[name] += current
        self._hypothetical[name] += hypothetical

    def each(self) -> list[Repriced]:
        """The dearest first; rounded so that they add up."""
        names = sorted(self._calls)
        if not names:
            return []
        current, hypothetical = usd(total(self._current.values())), usd(total(self._hypothetical.values()))
        now = adding_up_to(current, [self._current[name] for name in names])
        changes = [self._hypothetical[name] - self._current[name] for name in names]
        differences = adding_up_to(hypothetical - current, changes)
        lines = (
            _repriced(name, self._calls[name], amount, amount + difference)
            for name, amount, difference in zip(names, now, differences, strict=True)
        )
        return sorted(lines, key=lambda line: (-line.current_usd, line.name))

    def whole(self) -> Repriced:
        return _summed(self.each())


def _summed(lines: Sequence[Repriced]) -> Repriced:
    current, hypothetical = (
        total(amounts) for amounts in ([line.current_usd for line in lines], [line.hypothetical_usd for line in lines])
    )
    return _repriced("", sum(line.calls for line in lines), usd(current), usd(hypothetical))


def _repriced(name: str, calls: int, current: Decimal, hypothetical: Decimal) -> Repriced:
    return Repriced(
        name=name,
        calls=calls,
        current_usd=current,
        hypothetical_usd=hypothetical,
        difference_usd=hypothetical - current,
    )


def _left_out(found: Mapping[tuple[str, str], Sequence[PricedRow]]) -> list[LeftOut]:
    lines = [
        LeftOut(
            model=model,
            why=why,
            calls=sum(row.usage_row.usage.calls for row in rows),
            tokens=sum(row.usage_row.usage.tokens for row in rows),
            current_usd=usd(total(row.usd for row in rows if row.usd is not None)),
        )
        for (model, why), rows in found.items()
    ]
    return sorted(lines, key=lambda line: (-line.current_usd, -line.tokens, line.model, line.why))


def _cannot_know(target: Change, has_cached: bool) -> Iterator[str]:
    """What no log tells of calls that were never made."""
    if target.model:
        name = label(target.model)
        yield f"{name} may count the same text as more or fewer tokens, and its answers may be longer or shorter."
        yield "How good its answers would have been, and how fast."
        if has_cached:
            yield f"Whether {name} would have cached these prompts: models differ in what, and from which length on."
    if target.model or target.region or target.scope:
        yield "Whether the model is offered there to this account, with enough quota."
    if target.region or target.scope:
        yield "Whether the data may be processed there."
    if target.tier:
        yield "How long calls would have waited: priority goes first, flex may wait or be refused."
    if not isinstance(target.caching, str):
        yield "Whether so much could be cached: prompts must begin alike, be long enough, and come again in time."
        yield "What filling the cache would have cost beyond what is written to it now."
    yield "Discounts, commitments and batch prices."
