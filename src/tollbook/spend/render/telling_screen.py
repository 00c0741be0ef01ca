"""An answer on a terminal: sentences, then tables with bars and sparklines, as wide as there is room for."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import zip_longest
from typing import Final

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from tollbook.core.text import printable
from tollbook.spend.render.bars import FALL, QUIET, RISE, bar, change_bar
from tollbook.spend.render.cells import TEXTS, cell_text, columns_of, lines_of, title_of
from tollbook.spend.render.sections import shares
from tollbook.spend.render.telling import Column, Grid, Kind, Telling

_BETWEEN: Final = "  "  # columns
_SHORTEST: Final[dict[Kind, int]] = {"name": 20, "words": 24}
"""Cells below which such a column is not narrowed."""
_DRAWINGS: Final = ((True, 12), (True, 8), (False, 12), (False, 8), (True, 0), (False, 0))
"""Whether columns of detail are shown, and the cells of each bar: the first that fits is taken."""


def show_telling(telling: Telling, console: Console) -> None:
    """Prints `telling`.

    Names are cut where there is no room, and columns of detail left out; figures are never cut: where they do not fit
    beside each other, they stand below each other.
    """
    title, asked = printable(telling.title), printable(telling.asked)
    if cell_len(title) + len(_BETWEEN) + cell_len(asked) <= console.width:
        console.print(Text.assemble((title, "bold"), _BETWEEN, (asked, "dim")))
    else:
        _print_hanging("", title, console, "bold")
        _print_hanging("", asked, console, "dim")
    _print_hanging("", telling.lead, console, "bold")
    for fault in telling.faults:
        _print_hanging("! ", fault, console, "bold yellow")
    if telling.sentences:
        console.print()
    for sentence in telling.sentences:
        _print_hanging("• ", sentence, console)
    for grid in telling.grids:
        if grid.rows or grid.total or grid.left_out:
            console.print()
            _show_grid(grid, console)
    if telling.notes:
        console.print()
    for note in telling.notes:
        _print_hanging("  ", note, console, "dim")


def _print_hanging(mark: str, text: str, console: Console, style: str = "") -> None:
    """`text` after `mark`; further lines begin below its first letter."""
    for place, line in enumerate(Text(printable(text)).wrap(console, max(1, console.width - len(mark)))):
        line.rstrip()
        whole = Text(" " * len(mark) if place else mark, style=style).append_text(line)
        console.print(whole, no_wrap=True, crop=False)


def _show_grid(grid: Grid, console: Console) -> None:
    if grid.title:
        _print_hanging("", title_of(grid), console, "bold")
    drawn = next((each for each in _drawings(grid) if each.least <= console.width), None)
    if drawn is None:
        _show_below_each_other(grid, console)
    else:
        for line in drawn.lines(console):
            console.print(line, no_wrap=True, crop=False)
    if grid.left_out:
        console.print(Text(f"… and {grid.left_out:,} more", style="dim"))


def _drawings(grid: Grid) -> Iterator["_Drawing"]:
    """From that which shows the most to that which takes the least room."""
    for with_details, bars in _DRAWINGS:
        if columns := columns_of(grid, with_details=with_details):
            yield _Drawing(grid, tuple(_Drawn.of(grid, place, column, bars) for place, column in columns))


class _Drawn(msgspec.Struct, frozen=True):
    """A column as it is drawn.

    Attributes:
        cells: of the titles, the rows and the total, if there is one.
        is_cut: what is too long for its room ends in `…`; otherwise it goes on in a further line.
    """

    cells: tuple[Text, ...]
    least: int
    full: int
    is_to_the_left: bool
    is_cut: bool

    @classmethod
    def of(cls, grid: Grid, place: int, column: Column, bars: int) -> "_Drawn":
        rows = [row[place] for row in lines_of(grid)]
        texts = [cell_text(cell, column.kind) for cell in rows]
        title = Text(title_of(column), style="dim")
        if bars and column.kind in ("change", "share"):
            room = max(map(cell_len, texts))
            amounts = [Decimal(cell) if isinstance(cell, Decimal | int) else None for cell in rows]
            if grid.total is not None:
                amounts[-1] = None
            drawn = _changes if column.kind == "change" else _shares
            cells = drawn([f"{text:>{room}}" for text in texts], amounts, bars)
            if column.kind == "change":  # the title stands above the amounts
                title.pad_left(room - title.cell_len)
                title.pad_right(1 + bars - max(0, title.cell_len - room))
        else:
            style = {"trend": QUIET, "usd": "bold"}.get(column.kind, "")
            cells = [Text(text, style=style) for text in texts]
        full = max(cell.cell_len for cell in (title, *cells))
        least = min(full, _SHORTEST.get(column.kind, full))
        return cls((title, *cells), least, full, column.kind in TEXTS, column.kind != "words")

    def lines(self, cell: Text, width: int, console: Console) -> list[Text]:
        """`cell`, `width` wide."""
        text = cell.copy()
        if self.is_cut:
            text.truncate(width, overflow="ellipsis")
        lines = [text] if text.cell_len <= width else list(text.wrap(console, width))
        for line in lines:
            line.align("left" if self.is_to_the_left else "right", width)
        return lines


def _changes(texts: Sequence[str], amounts: Sequence[Decimal | None], room: int) -> list[Text]:
    """Amounts, and bars of them to either side of zero."""
    known = [amount for amount in amounts if amount is not None]
    lowest, highest = min((*known, Decimal(0))), max((*known, Decimal(0)))

    def drawn(amount: Decimal | None) -> tuple[str, str]:
        if amount is None:
            return " " * room, ""
        return change_bar(amount, lowest, highest, room), FALL if amount < 0 else RISE

    return [Text.assemble(text, " ", drawn(amount)) for text, amount in zip(texts, amounts, strict=True)]


def _shares(texts: Sequence[str], amounts: Sequence[Decimal | None], room: int) -> list[Text]:
    """Bars, and the percentages that they stand for."""
    return [
        Text.assemble((bar(amount or Decimal(0), room), QUIET), " ", text)
        for text, amount in zip(texts, amounts, strict=True)
    ]


class _Drawing(msgspec.Struct, frozen=True):
    """A table with certain columns and bars of a certain length."""

    grid: Grid
    columns: tuple[_Drawn, ...]

    @property
    def least(self) -> int:
        """The cells it takes with its names cut."""
        return sum(column.least for column in self.columns) + self._between

    @property
    def _between(self) -> int:
        return len(_BETWEEN) * (len(self.columns) - 1)

    def lines(self, console: Console) -> Iterator[Text]:
        more = [column.full - column.least for column in self.columns]
        spare = shares(more, console.width - self.least)
        widths = [column.least + extra for column, extra in zip(self.columns, spare, strict=True)]
        rule = Text("─" * (sum(widths) + self._between), style="dim")
        count = len(self.columns[0].cells)
        for place in range(count):
            if place == 1 or (place == count - 1 and self.grid.total is not None):
                yield rule
            style = "bold" if place == count - 1 and self.grid.total is not None else ""
            yield from self._row(place, widths, style, console)

    def _row(self, place: int, widths: Sequence[int], style: str, console: Console) -> Iterator[Text]:
        cells = [
            column.lines(column.cells[place], width, console)
            for column, width in zip(self.columns, widths, strict=True)
        ]
        for parts in zip_longest(*cells):
            line = Text(_BETWEEN).join(
                Text(" " * width) if part is None else part for part, width in zip(parts, widths, strict=True)
            )
            line.stylize_before(style)
            line.rstrip()
            yield line


def _show_below_each_other(grid: Grid, console: Console) -> None:
    """For where a row does not fit: each of its cells on a line of its own."""
    for row in lines_of(grid):
        mark = "• "
        for place, column in columns_of(grid, with_details=False):
            if text := cell_text(row[place], column.kind):
                _print_hanging(mark, f"{title_of(column)}: {text}", console)
                mark = "  "
