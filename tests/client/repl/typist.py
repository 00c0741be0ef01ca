"""A user at a terminal: types, and reads what stands on the screen."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyte

ROOT: Final = Path(__file__).parents[3]
LINES: Final = 300
"""So tall that nothing scrolls away, and no pager is needed."""
CTRL_C: Final = "\x03"
CTRL_D: Final = "\x04"
TAB: Final = "\t"
UP: Final = "\x1b[A"
_PATIENCE_S: Final = 30
_MARK: Final = " › "


class _Answering(pyte.Screen):
    """A terminal that says where its cursor is when it is asked."""

    def __init__(self, columns: int, keyboard: int) -> None:
        super().__init__(columns, LINES)
        self._keyboard = keyboard

    def write_process_input(self, data: str) -> None:
        os.write(self._keyboard, data.encode())


class Typist:
    """One who sits in front of a running prompt."""

    def __init__(self, columns: int, ours: int, process: "subprocess.Popen[bytes]") -> None:
        self._ours, self.process = ours, process
        self.received = b""
        """All that was written to the terminal, also what is gone from it."""
        self._screen = _Answering(columns, ours)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, down to the last line that has anything."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip().split("\n")

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def row(self) -> int:
        """Where the cursor is, from the top."""
        return int(self._screen.cursor.y)

    @property
    def line(self) -> str:
        """Where the cursor is."""
        return self._screen.display[self._screen.cursor.y].rstrip()

    @property
    def is_prompted(self) -> bool:
        """Whether the cursor stands behind an empty prompt."""
        return self._screen.display[self._screen.cursor.y][: self._screen.cursor.x].endswith(_MARK)

    @property
    def colours(self) -> set[str]:
        every = (self._screen.buffer[row][column] for row in range(LINES) for column in range(self._screen.columns))
        return {cell.fg for cell in every if cell.data.strip()}

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def until(self, holds: Callable[[], object]) -> None:
        """Reads until `holds` is true.

        Raises:
            AssertionError: it never became so; with what stands on the screen.
        """
        end = time.monotonic() + _PATIENCE_S
        while not holds():
            assert time.monotonic() < end, self.text
            assert self._read(1) or holds(), self.text

    def sees(self, text: str) -> None:
        """Waits for `text` on the screen."""
        self.until(lambda: text in self.text)

    def does(self, line: str) -> str:
        """Types a command at the prompt, and gives what it showed once the prompt is back."""
        self.until(lambda: self.is_prompted)
        row = self.row
        self.press(f"{line}\r")
        self.until(lambda: self.row > row and self.is_prompted)
        return "\n".join(self.lines[row + 1 : self.row])

    def leaves(self) -> int:
        """Reads to the end, and gives the exit code."""
        end = time.monotonic() + _PATIENCE_S
        while self._read(1) or self.process.poll() is None:
            assert time.monotonic() < end, self.text
        return self.process.wait()

    def _read(self, seconds: float) -> bool:
        """Whether the program still has the terminal."""
        if not select.select([self._ours], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._ours, 1 << 16)
        except OSError:  # closed at their end
            return False
        self.received += data
        self._stream.feed(data)
        return bool(data)


@contextmanager
def typist(
    *words: str, columns: int = 80, program: str = "tests.client.repl.program", **environment: str
) -> Iterator[Typist]:
    """Someone in front of `python -m PROGRAM WORDS`, until the end of the block."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", program, *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env=_environment(environment),
        start_new_session=True,
        preexec_fn=_take_the_terminal,  # so that Ctrl-C is a signal, as at a real one
    )
    os.close(theirs)
    try:
        yield Typist(columns, ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    hidden = ("NO_COLOR", "COLUMNS", "LINES", "PAGER")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor", **more}


def _take_the_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def without_ports(text: str) -> str:
    """`text` with one port for all that were free."""
    return re.sub(r"127\.0\.0\.1:\d{5}", "127.0.0.1:53000", text)
