"""What the same tokens would have cost, in words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from tollbook.core.text import printable
from tollbook.spend.answers.what_if import AS_IS, GEO, UNCACHED, LeftOut, Repriced, WhatIf
from tollbook.spend.model import label
from tollbook.spend.render.amounts import Amounts
from tollbook.spend.render.telling import Cell, Column, Grid, Telling
from tollbook.spend.render.words import counted, dollars, faults, model_names, percent, stretch
from tollbook.spend.window import zone_of

_TOLD: Final = 3
_MOST_LEFT_OUT: Final = 5


def telling_of_what_if(what_if: WhatIf) -> Telling:
    """`what_if` in words."""
    period, shown = what_if.basis.period, _Shown(what_if)
    return Telling(
        title=f"Amazon Bedrock spend: {_change(what_if)}",
        asked=stretch(period.since, period.until, zone_of(period.tz)),
        lead=_lead(what_if, shown),
        sentences=tuple(_sentences(what_if, shown)),
        grids=tuple(_grids(what_if, shown)),
        faults=tuple(faults(what_if.basis)),
        notes=(
            *what_if.assumptions,
            *(f"cannot be known: {sentence}" for sentence in what_if.cannot_know),
            *map(printable, what_if.basis.notes),
        ),
    )


def _change(what_if: WhatIf) -> str:
    """`what if with Claude Haiku 4.5, in-region, without the cache`."""
    return "what if " + ", ".join(_changes(what_if))


def _changes(what_if: WhatIf) -> Iterator[str]:
    if what_if.to_model:
        yield f"with {printable(label(what_if.to_model))}"
    if what_if.to_scope:
        yield "in the geography of each call" if what_if.to_scope == GEO else f"in the scope {what_if.to_scope}"
    if what_if.to_region:
        yield f"from {what_if.to_region}"
    if what_if.to_tier:
        yield f"at the tier {what_if.to_tier}"
    if what_if.caching == UNCACHED:
        yield "without the cache"
    elif what_if.caching != AS_IS:
        yield f"with {percent(Decimal(what_if.caching))} of prompts read from the cache"


@dataclass(frozen=True, slots=True)
class _Line:
    """A row as it is shown."""

    now: Decimal
    then: Decimal

    @property
    def difference(self) -> Decimal:
        return self.then - self.now


class _Shown:
    """The figures, rounded so that they add up as they are shown: a line for each row of a table, and of all."""

    def __init__(self, what_if: WhatIf) -> None:
        now, then = what_if.current_usd, what_if.hypothetical_usd
        self.amounts = Amounts.up_to(now, then)
        self.whole = _Line(self.amounts.rounded(now), self.amounts.rounded(then))
        rest = () if what_if.rest is None else (what_if.rest,)
        self.models = self._lines(what_if.models)
        self.principals = self._lines((*what_if.principals, *rest))

    def _lines(self, rows: Sequence[Repriced]) -> list[_Line]:
        now = self.amounts.adding_up(self.whole.now, [row.current_usd for row in rows])
        then = self.amounts.adding_up(self.whole.then, [row.hypothetical_usd for row in rows])
        return [_Line(*each) for each in zip(now, then, strict=True)]


def _lead(what_if: WhatIf, shown: _Shown) -> str:
    if not what_if.calls:
        return "There are no calls that have a price on both sides."
    difference, current, dollars = what_if.difference_usd, what_if.current_usd, shown.amounts.dollars
    calls = counted(what_if.calls, "call")
    if not shown.whole.difference:
        nearly = "nearly " if difference else ""
        return f"The same tokens would have cost {nearly}the same: {dollars(shown.whole.now)} for {calls}."
    share = f", {percent(abs(difference) / current)} {'more' if difference > 0 else 'less'}" if current else ""
    amounts = _amounts(shown.whole, shown.amounts, share)
    return f"The same tokens would have cost {amounts} for {calls}."


def _amounts(line: _Line, amounts: Amounts, share: str = "") -> str:
    """`$1.73 instead of $5.18 (-$3.45)`."""
    then, now, difference = amounts.dollars(line.then), amounts.dollars(line.now), amounts.signed(line.difference)
    return f"{then} instead of {now} ({difference}{share})"


def _sentences(what_if: WhatIf, shown: _Shown) -> Iterator[str]:
    names = model_names(line.name for line in what_if.models)
    if len(what_if.models) > 1:
        # Rounding may turn less than a unit into nothing, or into its opposite.
        moved = [
            (row, line)
            for row, line in zip(what_if.models, shown.models, strict=True)
            if row.difference_usd * line.difference > 0
        ]
        for row, line in sorted(moved, key=lambda each: (-abs(each[0].difference_usd), each[0].name))[:_TOLD]:
            yield f"{names[row.name]}: {_amounts(line, shown.amounts)}."
    for left in what_if.left_out[:_MOST_LEFT_OUT]:
        yield _left_out(left)
    if more := what_if.left_out[_MOST_LEFT_OUT:]:
        yield f"Left out on both sides as well: {counted(sum(left.calls for left in more), 'call')} of other models."


def _left_out(left: LeftOut) -> str:
    cost = f" that cost {dollars(left.current_usd)}" if left.current_usd else ""
    name = printable(label(left.model))
    return f"Left out on both sides: {counted(left.calls, 'call')} of {name}{cost}: {printable(left.why)}."


def _grids(what_if: WhatIf, shown: _Shown) -> Iterator[Grid]:
    if not what_if.calls:
        return
    names = model_names(row.name for row in what_if.models)
    heads = [(names[row.name], row.calls) for row in what_if.models]
    yield _table("model", what_if, shown, heads, shown.models)
    heads = [(printable(row.name), row.calls) for row in what_if.principals]
    if what_if.rest is not None:
        heads.append((counted(what_if.other_principals, "other"), what_if.rest.calls))
    yield _table("principal", what_if, shown, heads, shown.principals)


def _table(what: str, what_if: WhatIf, shown: _Shown, heads: Sequence[tuple[str, int]], lines: Sequence[_Line]) -> Grid:
    columns = (
        Column(what, "name"),
        Column("calls", "count", is_detail=True),
        Column("now", "usd"),
        Column("then", "usd"),
        Column("difference", "change"),
    )
    rows = tuple(_row(*head, line, shown.amounts) for head, line in zip(heads, lines, strict=True))
    return Grid(f"by {what}", columns, rows, _row("all", what_if.calls, shown.whole, shown.amounts))


def _row(name: str, calls: int, line: _Line, amounts: Amounts) -> tuple[Cell, ...]:
    return name, calls, amounts.cell(line.now), amounts.cell(line.then), amounts.change_cell(line.difference)
