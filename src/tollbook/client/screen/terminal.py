"""The two streams of a terminal, and what may be written to them when."""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TextIO

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.text import Text

from tollbook.client.screen import pager, words

_NO_WIDTH: Final = 100_000
"""Columns of what is no terminal: a line of a file ends where it ends."""
_MOST_HELD: Final = 1_000
_ERASE: Final = "\r\x1b[2K"
_TRAILING: Final = re.compile(r" +(?=(?:\x1b\[0m)?$)", re.MULTILINE)
_INSTEAD: Final = {
    "… ": "... ",
    "…": ">",
    "·": "-",
    "•": "*",
    "─": "-",
    "━": "=",
    "│": "|",
    "–": "-",
    "—": "-",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
}
"""For encodings that lack them. Each is as wide as what it stands for, save for the first, which begins a note."""
_INSTEAD_OF: Final = re.compile(r"(?:^|(?<=\x1b\[2m))… |.", re.MULTILINE | re.DOTALL)


class Screen:
    """Standard output for what was asked, standard error for all else.

    Attributes:
        pages: whether what is longer than the terminal goes through a pager.
        is_live: whether a line on standard error can be drawn again.
    """

    def __init__(self, out: TextIO, err: TextIO, environment: Mapping[str, str], *, pages: bool = True) -> None:
        """
        Args:
            environment: for NO_COLOR, TERM, COLUMNS and LINES as rich reads them, and PAGER, LESS, PATH.
        """
        self._out, self._err = _console(out, environment), _console(err, environment)
        self._file, self._environment = out, environment
        self.pages = pages
        self.is_live = self._err.is_terminal and not self._err.is_dumb_terminal
        self._live: Text | None = None
        self._is_drawn = False
        self._sinks: list[Callable[[str], None]] = []

    async def show(self, thing: RenderableType) -> None:
        """Shows `thing` on standard output, in the pager if it is longer than the terminal."""
        text = _rendered(self._out, thing)
        command = pager.command(self._environment)
        is_long = text.count("\n") >= self._out.size.height
        if is_long and command and self.pages and self._out.is_terminal and not self._out.is_dumb_terminal:
            with self.held():
                if await pager.page(text, command, self._environment, self._file):
                    return
        self._write(text)

    def put(self, thing: RenderableType) -> None:
        """Shows `thing` on standard output."""
        self._write(_rendered(self._out, thing))

    def say(self, text: str) -> None:
        """A sentence of ours on standard error."""
        self.add(Text(words.line(text, 2_000), style="dim"))

    def warn(self, text: str) -> None:
        self.add(Text(f"! {words.line(text, 2_000)}", style="bold yellow"))

    def fail(self, text: str) -> None:
        self.add(Text(words.line(text, 2_000), style="red"))

    def add(self, thing: RenderableType) -> None:
        """Shows `thing` on standard error, above the live line."""
        text = _rendered(self._err, thing)
        if self._sinks:
            self._sinks[-1](text)
        else:
            self._write_err(text)

    def live(self, line: Text | None) -> None:
        """Draws the live line, the last of the terminal, or takes it away. Does nothing where there can be none."""
        if not self.is_live:
            return
        self._live = line
        if not self._sinks and (line or self._is_drawn):
            self._write_err("")

    @property
    def width(self) -> int:
        """Of standard error."""
        return self._err.width

    @property
    def is_ascii(self) -> bool:
        """Whether standard error has no more characters than that."""
        return not self._err.encoding.startswith("utf")

    @contextmanager
    def diverted(self, write: Callable[[str], None]) -> Iterator[None]:
        """Meanwhile, what would be added to standard error is handed to `write`, and there is no live line."""
        self._erase()
        self._sinks.append(write)
        try:
            yield
        finally:
            self._sinks.pop()
            if not self._sinks and self._live:
                self._write_err("")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Meanwhile, nothing is added to standard error; afterwards, the last of what would have been."""
        kept: deque[str] = deque(maxlen=_MOST_HELD)
        try:
            with self.diverted(kept.append):
                yield
        finally:
            text = "".join(kept)
            if text and self._sinks:
                self._sinks[-1](text)
            elif text:
                self._write_err(text)

    def _write(self, text: str) -> None:
        self._erase()
        self._out.file.write(text)
        self._out.file.flush()
        if self._live and not self._sinks:
            self._write_err("")

    def _write_err(self, text: str) -> None:
        """Writes `text` where the live line is, and that below it."""
        before, after = _ERASE if self._is_drawn else "", ""
        self._is_drawn = bool(self._live)
        if self._live:
            line = self._live.copy()
            line.truncate(max(1, self.width - 1), overflow="ellipsis")
            after = _rendered(self._err, line, end="")
        self._err.file.write(f"{before}{text}{after}")
        self._err.file.flush()

    def _erase(self) -> None:
        if self._is_drawn:
            self._is_drawn = False
            self._err.file.write(_ERASE)
            self._err.file.flush()


def _console(file: TextIO, environment: Mapping[str, str]) -> Console:
    # Neither markup nor emoji codes nor highlighting: a server's text says nothing to rich.
    console = Console(file=file, markup=False, emoji=False, highlight=False, _environ=environment)
    if not console.is_terminal and "COLUMNS" not in environment:
        console.width = _NO_WIDTH
    return console


def _rendered(console: Console, thing: RenderableType, end: str = "\n") -> str:
    with console.capture() as captured:
        console.print(thing, end=end, crop=False)
    text = captured.get()
    if console.is_terminal:  # where a line was folded, rich leaves the blank
        text = _TRAILING.sub("", text)
    return _encodable(text, console.encoding)


def _encodable(text: str, encoding: str) -> str:
    """`text` with what `encoding` lacks replaced, as wide as it was."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return _INSTEAD_OF.sub(lambda match: _char(match[0], encoding), text)
    return text


def _char(char: str, encoding: str) -> str:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return _INSTEAD.get(char, "?" * cell_len(char))
    return char
