"""A change in cost, split into what made it.

From the cost before to the cost after lead costs that nobody paid, each of which changes one thing more: what the calls
of before would have cost had there been as many as after; had they also been spread over principals and models as
after; had they also had the tokens of after; and so on to what was paid after. An effect is the step from one such cost
to the next, so the effects add up to the change, whatever the figures. Their order is that of `Effect`; another order
would share the change out otherwise, as it does with every index of quantities and prices (what changes later is
weighted as before, which is Laspeyres' choice).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import Final

from msgspec import structs

from tollbook.spend.prices import STANDARD, Rates
from tollbook.spend.pricing import PricedRow
from tollbook.spend.usage import UNSEEN, Usage

Cell = tuple[str, str]
"""A principal, and the id of a model that it called."""


class Effect(StrEnum):
    """What changed. The first four concern what is in one window only, the others what is in both."""

    NEW_PRINCIPALS = "new_principals"
    GONE_PRINCIPALS = "gone_principals"
    NEW_MODELS = "new_models"  # of principals that are in both windows
    GONE_MODELS = "gone_models"
    VOLUME = "volume"  # as many calls as after, spread as before
    MIX = "mix"  # spread over principals and models as after, each call with the tokens its principal used before
    TOKENS = "tokens"  # with as many prompt and output tokens a call
    CACHE = "cache"  # with the shares of the prompt tokens that were read from the cache, and written to it
    SCOPE = "scope"  # called through the profiles of after: the region's own, geographic, global
    REGION = "region"
    TIER = "tier"
    LONG_PROMPTS = "long_prompts"  # with the share of tokens in prompts that cost more for their length
    LIST_PRICE = "list_price"  # at the rates of after


PRICE: Final = (Effect.SCOPE, Effect.REGION, Effect.TIER, Effect.LONG_PROMPTS, Effect.LIST_PRICE)
"""What changes the rate that a token of one model is charged at."""

_STEPS: Final = tuple(Effect)[4:]
_MILLION: Final = 10**6
_OUTPUT, _CACHE_READ = 1, 2
_NOTHING: Final = Fraction(0)

_Place = tuple[str, ...]
"""What rates depend on beside model and day: scope, region, tier and context step; or the first few of them."""


class Used:
    """Priced calls: their tokens by kind, and what those cost.

    Attributes:
        tokens: by kind, in the order of `KINDS`.
        spent: what they cost, in millionths of a dollar.
    """

    __slots__ = ("_offered", "_offered_for", "calls", "spent", "tokens")

    def __init__(self) -> None:
        self.calls = 0
        self.tokens = [0] * 5
        self.spent = [Decimal(0)] * 5
        self._offered = [Decimal(0)] * 5
        self._offered_for = [0] * 5

    def add(self, usage: Usage, rates: Rates) -> None:
        """Takes in calls that were charged at `rates`."""
        tokens = _tokens(usage)
        prompt = sum(tokens) - tokens[_OUTPUT]
        self.calls += usage.calls
        for kind, rate in enumerate(structs.astuple(rates)):
            self.tokens[kind] += tokens[kind]
            if rate is not None:
                self.spent[kind] += tokens[kind] * rate
                self._offered[kind] += prompt * rate
                self._offered_for[kind] += prompt

    def take(self, other: "Used") -> None:
        """Takes in what `other` holds."""
        self.calls += other.calls
        for kind in range(5):
            self.tokens[kind] += other.tokens[kind]
            self.spent[kind] += other.spent[kind]
            self._offered[kind] += other._offered[kind]
            self._offered_for[kind] += other._offered_for[kind]

    @property
    def prompt(self) -> int:
        """Prompt tokens, cached or not."""
        return sum(self.tokens) - self.tokens[_OUTPUT]

    @property
    def cost(self) -> Fraction:
        """Millionths of a dollar."""
        return Fraction(sum(self.spent, Decimal(0)))

    @property
    def cache_read(self) -> int:
        return self.tokens[_CACHE_READ]

    def rate(self, kind: int) -> Fraction | None:
        """What a token of `kind` cost, in millionths of a dollar; of a kind that was not used, what it would have cost.

        None where that is not on record.
        """
        if self.tokens[kind]:
            return Fraction(self.spent[kind]) / self.tokens[kind]
        return Fraction(self._offered[kind]) / self._offered_for[kind] if self._offered_for[kind] else None


class Places:
    """The priced calls of one cell in one window, by all that rates depend on."""

    def __init__(self) -> None:
        self._used: dict[_Place, Used] = {}
        self._levels: dict[int, dict[_Place, Used]] = {}

    def add(self, row: PricedRow) -> None:
        """Takes in a row that has rates."""
        if row.rates is None:
            return
        key = row.usage_row.key
        tier = STANDARD if key.tier in ("", UNSEEN) else key.tier
        place = (row.model.scope, key.region or "", tier, str(key.context))
        used = self._used.get(place)
        if used is None:
            used = self._used[place] = Used()
        used.add(row.usage_row.usage, row.rates)
        self._levels.clear()

    def take(self, other: "Places") -> None:
        """Takes in what `other` holds."""
        for place, used in other._used.items():
            self._used.setdefault(place, Used()).take(used)
        self._levels.clear()

    def level(self, level: int) -> Mapping[_Place, Used]:
        """By the first `level` parts of the place."""
        found = self._levels.get(level)
        if found is None:
            found = self._levels[level] = {}
            for place, used in self._used.items():
                found.setdefault(place[:level], Used()).take(used)
        return found

    @property
    def all(self) -> Used:
        return self.level(0).get((), Used())


def effects_of(before: Mapping[Cell, Places], after: Mapping[Cell, Places]) -> dict[Cell, dict[Effect, Decimal]]:
    """Each cell's part in each effect, in dollars to the trillionth; an effect it has no part in is left out.

    Args:
        before, after: cells with priced calls.
    """
    principals = {cell[0] for cell in before} & {cell[0] for cell in after}
    models = _models_of(principals, before) & _models_of(principals, after)
    found: dict[Cell, dict[Effect, Decimal]] = {}
    stayed: list[Cell] = []
    for cell in before.keys() | after.keys():
        if cell[0] not in principals:
            found[cell] = _one_sided(cell, before, after, Effect.NEW_PRINCIPALS, Effect.GONE_PRINCIPALS)
        elif cell[1] not in models:
            found[cell] = _one_sided(cell, before, after, Effect.NEW_MODELS, Effect.GONE_MODELS)
        else:
            stayed.append(cell)
    by_model: dict[str, Places] = {}
    by_principal: dict[str, Used] = {}
    for (who, model), places in before.items():
        by_principal.setdefault(who, Used()).take(places.all)
        if who in principals:
            by_model.setdefault(model, Places()).take(places)
    calls_before = sum(before[cell].all.calls for cell in stayed if cell in before)
    calls_after = sum(after[cell].all.calls for cell in stayed if cell in after)
    for cell in stayed:
        growth = Fraction(calls_after, calls_before)
        then, now = before.get(cell), after.get(cell, Places())
        if then:
            cost, made, paid = then.all.cost, then.all, then
        else:
            # A cell that is new: the calls that its principal made before, at what others paid for the model.
            cost, made, paid = _NOTHING, by_principal[cell[0]], by_model[cell[1]]
        costs = [_usd(cost) for cost in (cost, growth * cost, *_costs(made, paid, now))]
        steps = zip(_STEPS, pairwise(costs), strict=True)
        found[cell] = {effect: later - earlier for effect, (earlier, later) in steps if later != earlier}
    return found


def _models_of(principals: set[str], cells: Iterable[Cell]) -> set[str]:
    return {model for who, model in cells if who in principals}


def _one_sided(
    cell: Cell, before: Mapping[Cell, Places], after: Mapping[Cell, Places], new: Effect, gone: Effect
) -> dict[Effect, Decimal]:
    found = {}
    if cell in after:
        found[new] = _usd(after[cell].all.cost)
    if cell in before:
        found[gone] = -_usd(before[cell].all.cost)
    return found


def _costs(made: Used, paid: Places, now: Places) -> Iterator[Fraction]:
    """What the calls of `now` would have cost, in millionths of a dollar.

    With the tokens of those in `made`, at the rates of those in `paid`; with their own tokens; with their own use of
    the cache; then, one by one, in their own scope, region, tier and length of prompts; last, what they did cost.
    """
    new, rates = now.all, _rates(paid.all, now.all)
    yield _at(rates, made.tokens) * new.calls / made.calls
    answers = new.tokens[_OUTPUT] * rates[_OUTPUT]
    prompts_of = made if made.prompt else new
    prompts = _at(rates, prompts_of.tokens) - prompts_of.tokens[_OUTPUT] * rates[_OUTPUT]
    yield answers + (prompts * new.prompt / prompts_of.prompt if prompts_of.prompt else 0)
    for level in range(5):
        olds = paid.level(level)
        yield sum(
            (_at(_rates(olds.get(place), used), used.tokens) for place, used in now.level(level).items()), _NOTHING
        )
    yield new.cost


def _rates(old: Used | None, new: Used) -> list[Fraction]:
    """The rates of `old` by kind of token; those of `new` where they are not on record."""
    found = []
    for kind in range(5):
        rate = old.rate(kind) if old else None
        found.append((new.rate(kind) or _NOTHING) if rate is None else rate)
    return found


def _at(rates: Sequence[Fraction], tokens: Sequence[int]) -> Fraction:
    """What `tokens` cost at `rates`, both by kind."""
    return sum((rate * count for rate, count in zip(rates, tokens, strict=True)), _NOTHING)


def _usd(millionths: Fraction) -> Decimal:
    """To the trillionth of a dollar: so fine that cents come out right, and so coarse that sums stay exact."""
    return Decimal(round(millionths * _MILLION)).scaleb(-12)


def _tokens(usage: Usage) -> tuple[int, int, int, int, int]:
    """By kind, in the order of `KINDS`."""
    for_minutes = usage.cache_write - usage.cache_write_1h
    return usage.input, usage.output, usage.cache_read, for_minutes, usage.cache_write_1h
