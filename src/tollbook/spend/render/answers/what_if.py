"""What the same tokens would have cost, in words."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from tollbook.core.text import printable
from tollbook.spend.answers.what_if import AS_IS, UNCACHED, LeftOut, Repriced, WhatIf
from tollbook.spend.model import label
from tollbook.spend.render.telling import Cell, Column, Grid, Telling
from tollbook.spend.render.words import counted, dollars, faults, model_names, percent, signed, stretch
from tollbook.spend.window import zone_of

_TOLD: Final = 3
_MOST_LEFT_OUT: Final = 5


def telling_of_what_if(what_if: WhatIf) -> Telling:
    """`what_if` in words."""
    period = what_if.basis.period
    return Telling(
        title=f"Amazon Bedrock spend: {_change(what_if)}",
        asked=stretch(period.since, period.until, zone_of(period.tz)),
        lead=_lead(what_if),
        sentences=tuple(_sentences(what_if)),
        grids=tuple(_grids(what_if)),
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
        yield f"in the scope {what_if.to_scope}"
    if what_if.to_region:
        yield f"from {what_if.to_region}"
    if what_if.to_tier:
        yield f"at the tier {what_if.to_tier}"
    if what_if.caching == UNCACHED:
        yield "without the cache"
    elif what_if.caching != AS_IS:
        yield f"with {percent(Decimal(what_if.caching))} of prompts read from the cache"


def _lead(what_if: WhatIf) -> str:
    if not what_if.calls:
        return "There are no calls that have a price on both sides."
    difference, current = what_if.difference_usd, what_if.current_usd
    calls = counted(what_if.calls, "call")
    if not difference:
        return f"The same tokens would have cost the same: {dollars(current)} for {calls}."
    share = f", {percent(abs(difference) / current)} {'more' if difference > 0 else 'less'}" if current else ""
    return (
        f"The same tokens would have cost {dollars(what_if.hypothetical_usd)} instead of {dollars(current)} "
        f"({signed(difference)}{share}) for {calls}."
    )


def _sentences(what_if: WhatIf) -> Iterator[str]:
    names = model_names(line.name for line in what_if.models)
    if len(what_if.models) > 1:
        moved = [line for line in what_if.models if line.difference_usd]
        for line in sorted(moved, key=lambda line: (-abs(line.difference_usd), line.name))[:_TOLD]:
            amounts = f"{dollars(line.hypothetical_usd)} instead of {dollars(line.current_usd)}"
            yield f"{names[line.name]}: {amounts} ({signed(line.difference_usd)})."
    for left in what_if.left_out[:_MOST_LEFT_OUT]:
        yield _left_out(left)
    if more := what_if.left_out[_MOST_LEFT_OUT:]:
        yield f"Left out on both sides as well: {counted(sum(left.calls for left in more), 'call')} of other models."


def _left_out(left: LeftOut) -> str:
    cost = f" that cost {dollars(left.current_usd)}" if left.current_usd else ""
    name = printable(label(left.model))
    return f"Left out on both sides: {counted(left.calls, 'call')} of {name}{cost}: {printable(left.why)}."


def _grids(what_if: WhatIf) -> Iterator[Grid]:
    if not what_if.calls:
        return
    names = model_names(line.name for line in what_if.models)
    yield _table("model", what_if, what_if.models, names)
    rest = what_if.rest
    yield _table("principal", what_if, what_if.principals, {}, () if rest is None else (rest,))


def _table(
    what: str, what_if: WhatIf, lines: Sequence[Repriced], names: Mapping[str, str], rest: Sequence[Repriced] = ()
) -> Grid:
    columns = (
        Column(what, "name"),
        Column("calls", "count", is_detail=True),
        Column("now", "usd"),
        Column("then", "usd"),
        Column("difference", "change"),
    )
    rows: list[tuple[Cell, ...]] = [_row(names.get(line.name) or printable(line.name), line) for line in lines]
    rows += [_row(f"{what_if.other_principals:,} others", line) for line in rest]
    whole = Repriced(
        name="",
        calls=what_if.calls,
        current_usd=what_if.current_usd,
        hypothetical_usd=what_if.hypothetical_usd,
        difference_usd=what_if.difference_usd,
    )
    return Grid(f"by {what}", columns, tuple(rows), _row("all", whole))


def _row(name: str, line: Repriced) -> tuple[Cell, ...]:
    return (name, line.calls, line.current_usd, line.hypothetical_usd, line.difference_usd)
