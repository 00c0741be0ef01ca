"""Streams that say they are a terminal, and what then stands on it."""

import io
import re
from typing import Final

import pyte
from rich.console import RenderableType

from tollbook.client.screen import Screen

_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


class Stream(io.TextIOWrapper):
    """What is written to a file, or to a terminal."""

    def __init__(self, is_terminal: bool, encoding: str = "utf-8") -> None:
        self._bytes, self._is_terminal = io.BytesIO(), is_terminal
        super().__init__(self._bytes, encoding=encoding, newline="")

    def isatty(self) -> bool:
        return self._is_terminal

    @property
    def written(self) -> str:
        self.flush()
        return self._bytes.getvalue().decode(self.encoding)


class Terminal:
    """A screen, and the two streams it writes to."""

    def __init__(
        self,
        columns: int = 80,
        lines: int = 24,
        *,
        is_terminal: bool = True,
        encoding: str = "utf-8",
        **environment: str,
    ) -> None:
        self.columns, self.lines = columns, lines
        self.out, self.err = Stream(is_terminal, encoding), Stream(is_terminal, encoding)
        size = {"COLUMNS": str(columns), "LINES": str(lines), "TERM": "xterm-256color"} if is_terminal else {}
        self.screen = Screen(self.out, self.err, {**size, **environment})

    @property
    def above(self) -> list[str]:
        """The lines that stand on the terminal, of what was written to standard error."""
        shown = pyte.Screen(self.columns, self.lines)
        pyte.Stream(shown).feed(self.err.written.replace("\n", "\r\n"))
        return "\n".join(line.rstrip() for line in shown.display).rstrip().split("\n")


def drawn(thing: RenderableType, columns: int = 80) -> str:
    """`thing` as a terminal of that width shows it, colours and all."""
    terminal = Terminal(columns)
    terminal.screen.put(thing)
    return terminal.out.written


def plain(text: str) -> str:
    """`text` without its colours."""
    return _COLOUR.sub("", text)


def shown(thing: RenderableType, columns: int = 80) -> str:
    return plain(drawn(thing, columns))


def as_a_file(thing: RenderableType) -> str:
    """`thing` as standard output has it where that is no terminal."""
    terminal = Terminal(is_terminal=False)
    terminal.screen.put(thing)
    return terminal.out.written
