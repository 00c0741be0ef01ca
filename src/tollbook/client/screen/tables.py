"""Structured content: lists of like objects as tables, objects as keys and values, deeper ones indented."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from tollbook.client.screen import grid, words
from tollbook.client.screen.prose import Indented, Plain, indented

_DEEPEST: Final = 6
_MOST_ROWS: Final = 500
_MOST_VALUES: Final = 5_000
"""Of one answer, whatever its shape."""
_MOST_TEXT_LINES: Final = 500
_LONGEST_CELL: Final = 160
_LONGEST_KEY: Final = 60
_WIDEST_KEYS: Final = 28
_LEAST_TEXT: Final = 20
_MOST_COLUMNS: Final = 40


class Structured:
    """Any JSON value."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from _Drawer(_MOST_VALUES).drawn(self._value, options.max_width, 0)


class _Drawer:
    def __init__(self, most: int) -> None:
        self._left = most

    def drawn(self, value: Any, width: int, depth: int) -> Iterator[RenderableType]:
        if depth > _DEEPEST and isinstance(value, list | dict):
            yield Text(words.json_line(value, 2 * max(20, width)))
        elif isinstance(value, dict) and value:
            yield from self._object(value, width, depth)
        elif isinstance(value, list) and value:
            yield from self._list(value, width, depth)
        elif isinstance(value, str):
            yield self._long(value)
        else:
            yield Text(_scalar(value))

    def _taken(self, number: int, most: int | None = None) -> int:
        """How many of `number` values may still be shown."""
        taken = min(number, most or number, self._left)
        self._left -= taken
        return taken

    def _long(self, text: str) -> Plain:
        """A text of many lines, of which no answer may have too many either."""
        plain = Plain(text, most_lines=max(1, min(_MOST_TEXT_LINES, self._left)))
        self._left = max(0, self._left - plain.height)
        return plain

    def _object(self, value: Mapping[str, Any], width: int, depth: int) -> Iterator[RenderableType]:
        taken = dict(list(value.items())[: self._taken(len(value))])
        shorts = {name: short for name, each in taken.items() if (short := _short(each)) is not None}
        names = {name: words.line(name, _LONGEST_KEY) for name in taken}
        column = min(_WIDEST_KEYS, max((cell_len(names[name]) for name in shorts), default=0)) + 2
        for name, each in taken.items():
            short = shorts.get(name)
            label = names[name] + " " * max(2, column - cell_len(names[name]))
            beside = width - cell_len(label)
            # A text may be folded beside its name if there is room for words; what else does not fit is drawn below.
            folds = _LEAST_TEXT if short is not None and not isinstance(each, dict | list) else width
            if short is not None and beside >= min(folds, cell_len(short)):
                yield Indented(_text(each, short), label, " " * min(column, width // 2))
            else:
                yield Text(names[name], style="bold" if depth == 0 else "")
                yield indented(Group(*self.drawn(each, max(20, width - 2), depth + 1)))
        if len(taken) < len(value):
            yield _cut(len(value) - len(taken), "key")

    def _list(self, value: Sequence[Any], width: int, depth: int) -> Iterator[RenderableType]:
        short = _short(list(value))
        if short is not None and cell_len(short) <= width:
            self._taken(len(value))
            yield Text(short)
            return
        taken = value[: self._taken(len(value), _MOST_ROWS)]
        if (parts := self._parts(taken, width)) is not None:
            for place, part in enumerate(parts):
                if place:
                    yield Text()
                yield grid.Grid(part)
        else:
            for place, each in enumerate(taken):
                if place and isinstance(each, dict):
                    yield Text()
                yield Indented(Group(*self.drawn(each, max(20, width - 2), depth + 1)), "• ", "  ")
        if len(taken) < len(value):
            yield _cut(len(value) - len(taken), "row" if parts else "item")

    def _parts(self, rows: Sequence[Any], width: int) -> Sequence[Sequence[grid.Column]] | None:
        """The tables that show `rows`; None unless they are objects alike, flat, and not too wide."""
        if len(rows) < 2 or not all(isinstance(row, dict) and row for row in rows):
            return None
        names = list(dict.fromkeys(name for row in rows for name in row))
        if len(names) > _MOST_COLUMNS or sum(map(len, rows)) * 2 < len(names) * len(rows):
            return None
        columns: list[grid.Column] = []
        for name in names:
            cells = [_short(row[name]) if name in row else "" for row in rows]
            if any(cell is None or len(cell) > _LONGEST_CELL for cell in cells):
                return None
            least = grid.LEAST if columns else grid.LEAST_OF_FIRST
            columns.append(grid.column(words.line(name, _LONGEST_KEY), [cell or "" for cell in cells], least))
        parts = grid.split(columns, width)
        if parts:
            self._taken(len(names) * len(rows))
        return parts


def _short(value: Any) -> str | None:
    """`value` on one line; None where it is too much for one."""
    if isinstance(value, str):
        return None if "\n" in value.strip() or len(value) > 2_000 else words.line(value, 2_000)
    if not isinstance(value, list | dict) or not value:
        return _scalar(value)
    if len(value) > 20:
        return None
    inner = list(value.values()) if isinstance(value, dict) else value
    if any(isinstance(each, dict | list) or (isinstance(each, str) and "\n" in each) for each in inner):
        return None
    texts = [words.line(_scalar(each), 200) for each in inner]
    if isinstance(value, dict):
        texts = [f"{words.line(name, _LONGEST_KEY)}={text}" for name, text in zip(value, texts, strict=True)]
    elif any("," in text for text in texts):
        return None
    return ", ".join(texts)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value
    return words.json_line(value)


def _text(value: Any, short: str) -> Text:
    return Text(short or '""', style="dim" if value in (None, "") else "")


def _cut(number: int, noun: str) -> Text:
    return Text(words.more(number, noun), style="dim")
