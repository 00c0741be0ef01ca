"""Why the cost changed, in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Final

from tollbook.core.text import printable
from tollbook.spend.answers.basis import Period
from tollbook.spend.answers.explain import Explanation, Mover, Others, Side
from tollbook.spend.render.telling import Cell, Column, Grid, Telling
from tollbook.spend.render.words import counted, dollars, faults, model_names, percent, signed, stretch
from tollbook.spend.window import zone_of

_MORE: Final = {
    "new_principals": "principals that are new",
    "gone_principals": "principals that are gone",
    "new_models": "models that are new",
    "gone_models": "models that are gone",
    "volume": "more calls",
    "mix": "a larger share of dearer calls",
    "tokens": "more tokens per call",
    "cache": "less gained from the cache",
    "price": "higher rates",
}
_LESS: Final = _MORE | {
    "volume": "fewer calls",
    "mix": "a larger share of cheaper calls",
    "tokens": "fewer tokens per call",
    "cache": "more gained from the cache",
    "price": "lower rates",
}
_RATES: Final = {
    "scope": "in-region, geographic or global",
    "region": "region",
    "tier": "service tier",
    "long_prompts": "long prompts",
    "list_price": "list price",
}
_NOTE: Final = "the parts change one thing after another, from who calls to the rates; only priced calls count"
_TOLD_PRINCIPALS, _TOLD_MODELS = 3, 2
_SLIGHT: Final = Decimal("0.05")
_STEADY: Final = Decimal("0.01")


def telling_of_explain(explanation: Explanation) -> Telling:
    """`explanation` in words."""
    return Telling(
        title="Amazon Bedrock spend: what changed",
        asked=_asked(explanation.after_period, explanation.before_period),
        lead=_lead(explanation),
        sentences=(*explanation.cautions, *_sentences(explanation)),
        grids=tuple(_grids(explanation)),
        faults=tuple(faults(explanation.basis)),
        notes=(_NOTE, *map(printable, explanation.basis.notes)),
    )


def _asked(after: Period, before: Period) -> str:
    texts = [stretch(period.since, period.until, zone_of(period.tz)) for period in (after, before)]
    # The year and the zone once, where both windows share them.
    ends = {text[text.rfind(", ") :] for text in texts}
    if len(ends) == 1:
        texts[0] = texts[0].removesuffix(ends.pop())
    return " against ".join(texts)


def _lead(explanation: Explanation) -> str:
    before, after, change = explanation.before, explanation.after, explanation.change_usd
    if not before.calls and not after.calls:
        return "Neither window has priced calls."
    costs = f"from {dollars(before.cost_usd)} to {dollars(after.cost_usd)}"
    if not change:
        return f"Nothing changed: {dollars(after.cost_usd)} in either window." + _offset(explanation)
    share = f" ({percent(abs(change) / before.cost_usd)})" if before.cost_usd else ""
    verb = "rose" if change > 0 else "fell"
    if abs(change) < _STEADY * before.cost_usd:
        return f"Nearly nothing changed: the cost {verb} by {dollars(abs(change))}{share}, {costs}." + _offset(
            explanation
        )
    name, amount = max(_parts(explanation), key=lambda part: part[1] * (1 if change > 0 else -1))
    return (
        f"The cost {verb} by {dollars(abs(change))}{share}, {costs}; "
        f"the largest part: {_part(name, amount)} ({signed(amount)})."
    )


def _offset(explanation: Explanation) -> str:
    """What is hidden by a change of nearly nothing."""
    up = sum((amount for _, amount in _parts(explanation) if amount > 0), Decimal(0))
    if up < _SLIGHT * explanation.before.cost_usd or not up:
        return ""
    return f" Yet parts of {signed(up)} and {signed(explanation.change_usd - up)} nearly cancel out."


def _parts(explanation: Explanation) -> list[tuple[str, Decimal]]:
    """The parts that are not zero, the largest first."""
    parts = [(name.removesuffix("_usd"), amount) for name, amount in asdict(explanation.parts).items() if amount]
    return sorted(parts, key=lambda part: -abs(part[1]))


def _part(name: str, amount: Decimal) -> str:
    return (_MORE if amount > 0 else _LESS)[name]


def _sentences(explanation: Explanation) -> Iterator[str]:
    parts = _parts(explanation)
    if not parts:
        return
    change = explanation.change_usd
    costs = (explanation.before.cost_usd, explanation.after.cost_usd)
    least = max(_SLIGHT * max(abs(change), abs(parts[0][1])), _STEADY / 2 * max(costs))
    for name, amount in parts:
        if abs(amount) >= least:
            text = _part(name, amount)
            yield f"{text[0].upper()}{text[1:]}: {signed(amount)}{_of(amount, change)}{_why(name, explanation)}."
    names = model_names(mover.name for mover in explanation.models) | _named_within(explanation)
    for movers, most, are_models in (
        (explanation.principals, _TOLD_PRINCIPALS, False),
        (explanation.models, _TOLD_MODELS, True),
    ):
        for mover in movers[:most]:
            if abs(mover.change_usd) >= least:
                yield _moved(mover, change, names, are_models)


def _named_within(explanation: Explanation) -> dict[str, str]:
    """Names of models that only principals tell of."""
    shown = {mover.name for mover in explanation.models}
    return model_names({mover.mostly for mover in explanation.principals if mover.mostly} - shown)


def _of(amount: Decimal, change: Decimal) -> str:
    """` (41.0% of the rise)`, where that says something."""
    if not change or not 0 < amount / change <= 1:
        return ""
    return f" ({percent(amount / change)} of the {'rise' if change > 0 else 'fall'})"


def _why(name: str, explanation: Explanation) -> str:
    if name != "price":
        return ""
    causes = sorted(asdict(explanation.price_causes).items(), key=lambda cause: -abs(cause[1]))
    told = [f"{_RATES[cause.removesuffix('_usd')]} {signed(amount)}" for cause, amount in causes if amount]
    return f": {', '.join(told)}"


def _moved(mover: Mover, change: Decimal, names: Mapping[str, str], are_models: bool) -> str:
    name = names[mover.name] if are_models else printable(mover.name)
    mostly = printable(mover.mostly) if are_models else names.get(mover.mostly, "")
    with_ = f", mostly {mostly}" if mostly else ""
    fact = _fact(mover)
    return f"{name}: {signed(mover.change_usd)}{_of(mover.change_usd, change)}{with_}{': ' if fact else ''}{fact}."


def _fact(mover: Mover) -> str:
    """What the figures show of a mover's cause."""
    before, after = mover.before, mover.after
    match mover.cause:
        case "new":
            return f"{counted(after.calls, 'call')}, and none before"
        case "gone":
            return f"no calls, after {before.calls:,}"
        case "calls":
            return _times(after.calls, before.calls)
        case "mix":
            return _part("mix", mover.change_usd)
        case "tokens" if _agrees(after.tokens_per_call, before.tokens_per_call, mover.change_usd):
            return f"{after.tokens_per_call or 0:,} tokens a call, after {before.tokens_per_call or 0:,}"
        case "cache" if _agrees(before.cache_read_share, after.cache_read_share, mover.change_usd):
            return f"{_read(after)} of the prompt tokens read from the cache, after {_read(before)}"
        case "none":
            return ""
    return _part(mover.cause, mover.change_usd)


def _agrees(one: Decimal | int | None, other: Decimal | int | None, change: Decimal) -> bool:
    """Whether a figure over all of a mover's calls shows what changed the cost of some."""
    return one is not None and other is not None and (one > other) == (change > 0) and one != other


def _times(after: int, before: int) -> str:
    if after >= 2 * before:
        return f"{Decimal(after) / before:.1f} times as many calls"
    share = percent(abs(Decimal(after) / before - 1))
    return f"{share} {'more' if after > before else 'fewer'} calls"


def _read(side: Side) -> str:
    return percent(side.cache_read_share or Decimal(0))


def _grids(explanation: Explanation) -> Iterator[Grid]:
    parts = _parts(explanation)
    if not parts:
        return
    rows = tuple((_part(name, amount), amount) for name, amount in parts)
    yield Grid(
        "parts of the change",
        (Column("part", "name"), Column("change", "change")),
        rows,
        ("all", explanation.change_usd),
    )
    names = model_names(mover.name for mover in explanation.models)
    yield _table("principal", explanation, explanation.principals, explanation.other_principals, {})
    yield _table("model", explanation, explanation.models, explanation.other_models, names)


def _table(
    what: str, explanation: Explanation, movers: Sequence[Mover], others: Others, names: Mapping[str, str]
) -> Grid:
    columns = (
        Column(what, "name"),
        Column("before", "usd", is_detail=True),
        Column("after", "usd"),
        Column("change", "change"),
        Column("calls", "factor", is_detail=True),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            names.get(mover.name) or printable(mover.name),
            mover.before.cost_usd,
            mover.after.cost_usd,
            mover.change_usd,
            _factor(mover.before, mover.after),
        )
        for mover in movers
    ]
    if others.count:
        rows.append(
            (f"{others.count:,} others", others.cost_before_usd, others.cost_after_usd, others.change_usd, None)
        )
    before, after = explanation.before, explanation.after
    whole = ("all", before.cost_usd, after.cost_usd, explanation.change_usd, _factor(before, after))
    return Grid(f"by {what}", columns, tuple(rows), whole)


def _factor(before: Side, after: Side) -> Decimal | None:
    return Decimal(after.calls) / before.calls if before.calls else None
