"""Why the cost changed, in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Final

from tollbook.core.text import printable
from tollbook.spend.answers.basis import Period
from tollbook.spend.answers.explain import Explanation, Mover, Others, Side
from tollbook.spend.render.amounts import Amounts
from tollbook.spend.render.telling import Cell, Column, Grid, Telling
from tollbook.spend.render.words import counted, faults, model_names, percent, stretch
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
    shown = _Shown(explanation)
    return Telling(
        title="Amazon Bedrock spend: what changed",
        asked=_asked(explanation.after_period, explanation.before_period),
        lead=_lead(explanation, shown),
        sentences=(*explanation.cautions, *_sentences(explanation, shown)),
        grids=tuple(_grids(explanation, shown)),
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


@dataclass(frozen=True, slots=True)
class _Line:
    """A row as it is shown."""

    before: Decimal
    after: Decimal

    @property
    def change(self) -> Decimal:
        return self.after - self.before


class _Shown:
    """The figures of an explanation, rounded so that they add up as they are shown.

    Attributes:
        whole: before and after, of all.
        parts: those that are not zero before they are rounded, with both amounts; the largest first.
        principals, models: a line for each that moved, and a last one for the others, if there are any.
    """

    def __init__(self, explanation: Explanation) -> None:
        before, after = explanation.before.cost_usd, explanation.after.cost_usd
        self.amounts = Amounts.up_to(before, after)
        self.whole = _Line(self.amounts.rounded(before), self.amounts.rounded(after))
        exact = [(name.removesuffix("_usd"), amount) for name, amount in asdict(explanation.parts).items() if amount]
        exact.sort(key=lambda part: -abs(part[1]))
        rounded = self.amounts.adding_up(self.whole.change, [amount for _, amount in exact])
        self.parts = [(name, amount, shown) for (name, amount), shown in zip(exact, rounded, strict=True)]
        self.principals = self._lines(explanation.principals, explanation.other_principals)
        self.models = self._lines(explanation.models, explanation.other_models)

    def _lines(self, movers: Sequence[Mover], others: Others) -> list[_Line]:
        befores = [mover.before.cost_usd for mover in movers]
        afters = [mover.after.cost_usd for mover in movers]
        if others.count:
            befores.append(others.cost_before_usd)
            afters.append(others.cost_after_usd)
        columns = self.amounts.adding_up(self.whole.before, befores), self.amounts.adding_up(self.whole.after, afters)
        return [_Line(before, after) for before, after in zip(*columns, strict=True)]

    def causes(self, explanation: Explanation) -> list[tuple[str, Decimal]]:
        """Why the rates changed, the largest first."""
        price = next((shown for name, _, shown in self.parts if name == "price"), Decimal(0))
        exact = asdict(explanation.price_causes)
        rounded = self.amounts.adding_up(price, list(exact.values()))
        shown = zip((name.removesuffix("_usd") for name in exact), rounded, strict=True)
        return sorted(((name, amount) for name, amount in shown if amount), key=lambda cause: -abs(cause[1]))


def _lead(explanation: Explanation, shown: _Shown) -> str:
    before, after, change = explanation.before, explanation.after, explanation.change_usd
    if not before.calls and not after.calls:
        return "Neither window has priced calls."
    dollars, signed = shown.amounts.dollars, shown.amounts.signed
    if not shown.whole.change:
        nearly = "Nearly nothing" if change else "Nothing"
        return f"{nearly} changed: {dollars(shown.whole.after)} in either window." + _offset(explanation, shown)
    costs = f"from {dollars(shown.whole.before)} to {dollars(shown.whole.after)}"
    share = f" ({percent(abs(change) / before.cost_usd)})" if before.cost_usd else ""
    moved = f"{'rose' if change > 0 else 'fell'} by {dollars(abs(shown.whole.change))}{share}, {costs}"
    if abs(change) < _STEADY * before.cost_usd:
        return f"Nearly nothing changed: the cost {moved}." + _offset(explanation, shown)
    name, amount, rounded = max(shown.parts, key=lambda part: part[1] * (1 if change > 0 else -1))
    return f"The cost {moved}; the largest part: {_part(name, amount)} ({signed(rounded)})."


def _offset(explanation: Explanation, shown: _Shown) -> str:
    """What is hidden by a change of nearly nothing."""
    up = sum((rounded for _, _, rounded in shown.parts if rounded > 0), Decimal(0))
    if up < _SLIGHT * explanation.before.cost_usd or not up:
        return ""
    signed = shown.amounts.signed
    return f" Yet parts of {signed(up)} and {signed(shown.whole.change - up)} nearly cancel out."


def _part(name: str, amount: Decimal) -> str:
    return (_MORE if amount > 0 else _LESS)[name]


def _sentences(explanation: Explanation, shown: _Shown) -> Iterator[str]:
    if not shown.parts:
        return
    change, signed = explanation.change_usd, shown.amounts.signed
    costs = (explanation.before.cost_usd, explanation.after.cost_usd)
    least = max(_SLIGHT * max(abs(change), abs(shown.parts[0][1])), _STEADY / 2 * max(costs))
    for name, amount, rounded in shown.parts:
        if abs(amount) >= least and rounded:
            text = _part(name, amount)
            why = _why(explanation, shown) if name == "price" else ""
            yield f"{text[0].upper()}{text[1:]}: {signed(rounded)}{_of(amount, change)}{why}."
    names = model_names(mover.name for mover in explanation.models) | _named_within(explanation)
    for movers, lines, most, are_models in (
        (explanation.principals, shown.principals, _TOLD_PRINCIPALS, False),
        (explanation.models, shown.models, _TOLD_MODELS, True),
    ):
        for mover, line in list(zip(movers, lines, strict=False))[:most]:
            # Rounding may turn less than a unit into nothing, or into its opposite.
            if abs(mover.change_usd) >= least and line.change * mover.change_usd > 0:
                yield _moved(mover, signed(line.change), change, names, are_models)


def _named_within(explanation: Explanation) -> dict[str, str]:
    """Names of models that only principals tell of."""
    shown = {mover.name for mover in explanation.models}
    return model_names({mover.mostly for mover in explanation.principals if mover.mostly} - shown)


def _of(amount: Decimal, change: Decimal) -> str:
    """` (41.0% of the rise)`, where that says something."""
    if not change or not 0 < amount / change <= 1:
        return ""
    return f" ({percent(amount / change)} of the {'rise' if change > 0 else 'fall'})"


def _why(explanation: Explanation, shown: _Shown) -> str:
    told = [f"{_RATES[cause]} {shown.amounts.signed(amount)}" for cause, amount in shown.causes(explanation)]
    return f": {', '.join(told)}" if told else ""


def _moved(mover: Mover, amount: str, change: Decimal, names: Mapping[str, str], are_models: bool) -> str:
    name = names[mover.name] if are_models else printable(mover.name)
    mostly = printable(mover.mostly) if are_models else names.get(mover.mostly, "")
    with_ = f", mostly {mostly}" if mostly else ""
    fact = _fact(mover)
    return f"{name}: {amount}{_of(mover.change_usd, change)}{with_}{': ' if fact else ''}{fact}."


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
            return f"{counted(after.tokens_per_call or 0, 'token')} a call, after {before.tokens_per_call or 0:,}"
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


def _grids(explanation: Explanation, shown: _Shown) -> Iterator[Grid]:
    if not shown.parts:
        return
    cell = shown.amounts.change_cell
    yield Grid(
        "parts of the change",
        (Column("part", "name"), Column("change", "change")),
        tuple((_part(name, amount), cell(rounded)) for name, amount, rounded in shown.parts),
        ("all", cell(shown.whole.change)),
    )
    names = model_names(mover.name for mover in explanation.models)
    who = explanation.principals, explanation.other_principals
    yield _table("principal", explanation, shown, shown.principals, *who, {})
    yield _table("model", explanation, shown, shown.models, explanation.models, explanation.other_models, names)


def _table(
    what: str,
    explanation: Explanation,
    shown: _Shown,
    lines: Sequence[_Line],
    movers: Sequence[Mover],
    others: Others,
    names: Mapping[str, str],
) -> Grid:
    columns = (
        Column(what, "name"),
        Column("before", "usd", is_detail=True),
        Column("after", "usd"),
        Column("change", "change"),
        Column("calls", "factor", is_detail=True),
    )
    heads: list[tuple[str, Decimal | None]] = [
        (names.get(mover.name) or printable(mover.name), _factor(mover.before, mover.after)) for mover in movers
    ]
    if others.count:
        heads.append((counted(others.count, "other"), None))
    rows = tuple(_row(name, line, factor, shown.amounts) for (name, factor), line in zip(heads, lines, strict=True))
    whole = _row("all", shown.whole, _factor(explanation.before, explanation.after), shown.amounts)
    return Grid(f"by {what}", columns, rows, whole)


def _row(name: str, line: _Line, factor: Decimal | None, amounts: Amounts) -> tuple[Cell, ...]:
    return name, amounts.cell(line.before), amounts.cell(line.after), amounts.change_cell(line.change), factor


def _factor(before: Side, after: Side) -> Decimal | None:
    return Decimal(after.calls) / before.calls if before.calls else None
