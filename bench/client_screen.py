"""A program at a terminal of its own: what it draws, and what it has spent until then."""

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from gate_processes import Running

_PATIENCE_S: Final = 30.0
_LINES_AND_COLUMNS: Final = (30, 110)
# ECMA-48 §5.4: control sequences, which move and colour. What is waited for has none in it.
_SEQUENCES: Final = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
_WHERE: Final = b"\x1b[6n"
_THERE: Final = b"\x1b[1;1R"


@dataclass(frozen=True, slots=True)
class Seen:
    """What had been spent since the start when something was on the screen, and what was resident then."""

    wall_s: float
    cpu_s: float
    rss_mb: float


class Screen:
    """A program at a new terminal, from `with` to the end of its block."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        self._terminal, ours = os.openpty()
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", *_LINES_AND_COLUMNS, 0, 0))
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            words, stdin=ours, stdout=ours, stderr=ours, env=environment, start_new_session=True
        )
        os.close(ours)
        self._drawn = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        os.close(self._terminal)
        self._process.wait(_PATIENCE_S)

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def wait_for(self, text: str) -> Seen:
        """Until it has drawn `text` after what was waited for before."""
        end = time.monotonic() + _PATIENCE_S
        while not (found := re.search(re.escape(text.encode()), _SEQUENCES.sub(b"", self._drawn))):
            self._read(end, text)
        wall_s = time.monotonic() - self._began
        spent = Running(self._process, 0, Path())
        seen = Seen(wall_s, spent.cpu_s(), spent.rss_mb())
        self._drawn = _SEQUENCES.sub(b"", self._drawn)[found.end() :]
        return seen

    def _read(self, end: float, text: str) -> None:
        drawn = b""
        if select.select([self._terminal], [], [], max(0.0, end - time.monotonic()))[0]:
            with suppress(OSError):  # its last process has gone
                drawn = os.read(self._terminal, 1 << 16)
        if not drawn:
            raise SystemExit(f"'{text}' was not drawn, but this: {self._drawn[-2000:].decode(errors='replace')}")
        if _WHERE in drawn:  # where the cursor is; prompt_toolkit waits a moment to be told
            os.write(self._terminal, _THERE)
        self._drawn += drawn
