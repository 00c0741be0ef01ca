"""The cells of a table as words, the same wherever the table is shown."""

import math
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from tollbook.core.text import printable
from tollbook.spend.render.bars import sparkline
from tollbook.spend.render.telling import Cell, Column, Grid, Kind
from tollbook.spend.render.words import compact, dollars, percent

TEXTS: Final[frozenset[Kind]] = frozenset(("name", "words", "day", "trend"))
"""Kinds that are read from the left; the others are figures, which end below each other."""


def cell_text(cell: Cell, kind: Kind, room: int = 14) -> str:
    """What stands in a cell of that kind, without a bar.

    Args:
        room: the most cells of a sparkline.
    """
    match cell:
        case None:
            return ""
        case str():
            return printable(cell)
        case datetime():
            return f"{cell:%Y-%m-%d %H:%M}"
        case date():
            return cell.isoformat()
        case tuple():
            return sparkline(_together(cell, room))
        case int() if kind == "count":
            return f"{cell:,}"
        case int() if kind == "tokens":
            return compact(cell)
    return _FIGURES.get(kind, str)(Decimal(cell))


def columns_of(grid: Grid, *, with_details: bool = True) -> tuple[tuple[int, Column], ...]:
    """The columns of `grid` in which something stands, with their places."""
    return tuple(
        (place, column)
        for place, column in enumerate(grid.columns)
        if (with_details or not column.is_detail) and any(row[place] not in (None, "", ()) for row in lines_of(grid))
    )


def title_of(named: Grid | Column) -> str:
    """Its title, which begins with a capital letter."""
    return printable(f"{named.title[:1].upper()}{named.title[1:]}")


def lines_of(grid: Grid) -> tuple[tuple[Cell, ...], ...]:
    """Its rows, and its total as the last of them if there is one."""
    return grid.rows if grid.total is None else (*grid.rows, grid.total)


def _together(values: tuple[Decimal, ...], room: int) -> list[float]:
    """`values` added up in as many stretches of the same length as there is room for."""
    length = max(1, math.ceil(len(values) / room))
    return [float(sum(values[start : start + length])) for start in range(0, len(values), length)]


def _change(amount: Decimal) -> str:
    return f"{'+' if amount > 0 else ''}{dollars(amount)}"


def _factor(factor: Decimal) -> str:
    """`×1.8`, `×0.04`, `×12`: two digits of it, or all before the point."""
    if not factor or factor >= 10:
        return f"×{factor:,.0f}"
    return f"×{factor:.{max(1, -factor.adjusted() + (factor < 1))}f}"


_FIGURES: Final = {"usd": dollars, "change": _change, "factor": _factor, "share": percent}
