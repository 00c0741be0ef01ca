"""A table as wide as the terminal: what does not fit stands below, with the first column again."""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

import msgspec
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

GAP: Final = 2
LEAST: Final = 14
"""Columns of the terminal that a text may be narrowed down to, here and below."""
LEAST_OF_FIRST: Final = 20
"""The first says what a row is about."""
_MOST_PARTS: Final = 3

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
_PIECE: Final = re.compile(r"[^_\s./-]+?(?:[_\s./-]+|(?=[A-Z][a-z])|$)|.")


class Column(msgspec.Struct, frozen=True):
    """A column: harmless texts, an empty one where there is nothing.

    Attributes:
        narrow, wide: how many columns of the terminal it needs, and how many it would like.
        is_number: stands on the right, and is never folded.
    """

    name: str
    cells: Sequence[str]
    is_number: bool
    narrow: int
    wide: int


def column(name: str, cells: Sequence[str], least: int = LEAST) -> Column:
    """A column of `cells`, harmless texts, which as numbers stand on the right, and as texts need at least `least`."""
    filled = [cell for cell in cells if cell not in ("", "null")]
    is_number = bool(filled) and all(map(_NUMBER.fullmatch, filled))
    if is_number:
        cells = _pointed(cells)
    name_needs = max(map(cell_len, _PIECE.findall(name)), default=0)
    needs = max(map(cell_len, cells), default=0)
    narrow = max(name_needs, needs if is_number else min(needs, least))
    return Column(name, cells, is_number, narrow, max(needs, name_needs))


def _pointed(cells: Sequence[str]) -> Sequence[str]:
    """Numbers, with their decimal points below each other once they stand on the right."""
    tails = [len(cell) - cell.index(".") if "." in cell else 0 for cell in cells]
    return [cell + " " * (max(tails) - tail) if cell else cell for cell, tail in zip(cells, tails, strict=True)]


def split(columns: Sequence[Column], width: int) -> Sequence[Sequence[Column]] | None:
    """`columns` as tables that fit into `width`, each beginning with the first column; None if there is no good way."""
    if _needed(columns) <= width:
        return [columns]
    first, together, last = columns[0], [], [columns[0]]
    for each in columns[1:]:
        if len(last) > 1 and _needed([*last, each]) > width:
            together.append(last)
            last = [first]
        last.append(each)
    together.append(last)
    return together if len(together) <= _MOST_PARTS and all(_needed(part) <= width for part in together) else None


def _needed(columns: Sequence[Column]) -> int:
    return sum(each.narrow + GAP for each in columns) - GAP


def _widths(columns: Sequence[Column], width: int) -> Sequence[int]:
    """What each of `columns` gets: what it would like, less where all of it is too much for `width`."""
    widths = [each.wide for each in columns]
    while (over := sum(widths) + GAP * (len(widths) - 1) - width) > 0:
        able = [place for place, each in enumerate(columns) if widths[place] > each.narrow]
        if not able:
            break
        widest = max(able, key=widths.__getitem__)
        second = max((widths[place] for place in able if place != widest), default=0)
        least = max(columns[widest].narrow, min(second, widths[widest] - 1))
        widths[widest] = max(least, widths[widest] - over)
    return widths


class Grid:
    """One table. Its columns must fit."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = _widths(self._columns, options.max_width)
        titles = [list(_folded(each.name, size)) for each, size in zip(self._columns, widths, strict=True)]
        tallest = max(map(len, titles))
        for place in range(tallest):  # short titles stand directly above their column
            row = [lines[place - tallest + len(lines)] if place >= tallest - len(lines) else "" for lines in titles]
            yield Text(self._line(row, widths), style="dim")
        yield Text("─" * (sum(widths) + GAP * (len(widths) - 1)), style="dim")
        for cells in zip(*(each.cells for each in self._columns), strict=True):
            folded = [
                [cell] if cell_len(cell) <= size else [part.plain.rstrip() for part in Text(cell).wrap(console, size)]
                for cell, size in zip(cells, widths, strict=True)
            ]
            for line in zip_longest(*folded, fillvalue=""):
                yield Text(self._line(line, widths), no_wrap=True, overflow="ignore")

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = []
        for each, cell, size in zip(self._columns, row, widths, strict=True):
            blanks = " " * (size - cell_len(cell))
            cells.append(blanks + cell if each.is_number else cell + blanks)
        return (" " * GAP).join(cells).rstrip()


def _folded(name: str, width: int) -> Iterator[str]:
    """`name` in lines of at most `width`, broken where its words end."""
    line = ""
    for piece in _PIECE.findall(name):
        if line and cell_len(line + piece.rstrip()) > width:
            yield line.rstrip()
            line = ""
        line += piece
    yield line.rstrip()
