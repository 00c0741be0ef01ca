"""Texts in lines: as they came, or indented."""

from collections.abc import Iterator, Sequence
from inspect import cleandoc
from typing import Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from tollbook.client.screen import words

_HANG: Final = 2
_FULL: Final = 60
"""Characters from which a line was broken by its writer's editor, and not by its writer."""
_BOOK: Final = 20_000
_MOST_NAMES: Final = 36


class Plain:
    """A text whose lines stay as they are; on a terminal, what is too long for one goes on below, indented."""

    def __init__(self, text: str, style: str = "", most_lines: int = words.MOST_LINES) -> None:
        self._lines, self._cut = words.lines(text, most_lines)
        self._style = style

    @property
    def height(self) -> int:
        """Its lines, before any is folded."""
        return len(self._lines)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        style = console.get_style(self._style) if self._style else None
        for place, line in enumerate(self._lines):
            if not options.is_terminal or cell_len(line) <= options.max_width:
                yield Segment(line, style)
                yield Segment.line()
            else:
                yield from _wrapped(Text(line, self._style), console, options.max_width, self._hang(place))
        if self._cut:
            yield Text(self._cut, style="dim")

    def _hang(self, place: int) -> int:
        """How far a continued line is indented: more than the line itself if that is one of several, a record."""
        line = self._lines[place]
        around = [*self._lines[max(0, place - 1) : place], *self._lines[place + 1 : place + 2]]
        return len(line) - len(line.lstrip()) + (_HANG if any(map(str.strip, around)) else 0)


def _wrapped(text: Text, console: Console, width: int, hang: int) -> Iterator[Text]:
    hang = min(hang, width // 2)
    for place, line in enumerate(text.wrap(console, width - hang, overflow="fold")):
        line.rstrip()
        yield Text(" " * hang if place else "").append_text(line)


class Indented:
    """Something behind a mark, with `rest` before every line but the first."""

    def __init__(self, thing: RenderableType, first: str, rest: str, style: str = "dim") -> None:
        self._thing, self._first, self._rest, self._style = thing, first, rest, style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(20, options.max_width - cell_len(self._first))
        style = console.get_style(self._style) if self._style else Style.null()
        lines = console.render_lines(self._thing, options.update(width=width, height=None), pad=False)
        for place, line in enumerate(lines):
            mark = self._rest if place else self._first
            yield Segment(mark if line else mark.rstrip(), style)
            yield from line
            yield Segment.line()


def indented(thing: RenderableType, by: int = 2) -> RenderableType:
    return Indented(thing, " " * by, " " * by, "")


def flowing(text: str) -> str:
    """A description without the line breaks that only its source code needed; as it is, if it is a book."""
    if len(text) > _BOOK:
        return text
    paragraphs: list[list[str]] = [[]]
    for line in cleandoc(text).splitlines():
        if line.strip():
            paragraphs[-1].append(line)
        elif paragraphs[-1]:
            paragraphs.append([])
    return "\n\n".join(map(_flowing, filter(None, paragraphs)))


def _flowing(lines: Sequence[str]) -> str:
    is_broken = all(len(line) >= _FULL for line in lines[:-1]) and all(line[:1].isalpha() for line in lines[1:])
    return (" " if is_broken else "\n").join(lines)


class Pairs:
    """Names and what is said of each, beside it; below it where a name is too long."""

    def __init__(self, rows: Sequence[tuple[str, RenderableType]], style: str = "bold") -> None:
        self._rows, self._style = rows, style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        most = min(_MOST_NAMES, options.max_width * 2 // 5)
        column = max((length for name, _ in self._rows if (length := cell_len(name)) <= most), default=2) + 2
        for name, body in self._rows:
            if cell_len(name) + 2 > column:
                yield Text(name, style=self._style, overflow="fold")
                yield Indented(body, " " * column, " " * column, "")
            else:
                yield Indented(body, name + " " * (column - cell_len(name)), " " * column, self._style)
