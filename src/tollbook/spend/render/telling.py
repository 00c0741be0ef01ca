"""An answer put into words and tables, before it is known where they will be shown.

`spend.render.answers` makes it of every answer; a terminal, a text for models and Markdown show it each in its way.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

Kind = Literal["name", "words", "day", "count", "tokens", "usd", "change", "factor", "share", "trend"]
"""How a cell is shown.

    name     text; cut where there is no room       words   text; folded where there is no room
    day      a `date`, or a `datetime` to its hour   count   an int with its thousands
    tokens   an int, as 64.2M                        usd     dollars
    change   dollars with their sign, and a bar      factor  a Decimal, as ×1.8
    share    0 to 1, as a percentage, and a bar      trend   Decimals, as a sparkline
"""

Cell = str | int | Decimal | date | datetime | tuple[Decimal, ...] | None
"""None is shown as nothing."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a grid.

    Attributes:
        is_detail: left out where the screen is narrow.
    """

    title: str
    kind: Kind
    is_detail: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Attributes:
        rows: the most important first, or in order of time.
        total: a last row, set apart; None without one.
        left_out: rows of lesser weight that are not among `rows`.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None = None
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Telling:
    """An answer in words.

    Attributes:
        title: what it is about: `Amazon Bedrock spend: what changed`.
        asked: what was asked, in few words: `Nov 15 – Nov 21 against Nov 8 – Nov 14, 2026 UTC`.
        lead: the answer in one sentence.
        sentences: what else there is to say, the weightiest first; a line each.
        faults: what could not be read, priced or counted: `spend.render.words.faults` of the answer's basis.
        notes: what belongs beside the figures.
    """

    title: str
    asked: str
    lead: str
    sentences: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
