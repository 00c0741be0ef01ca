"""The lines that were typed, kept from run to run in a file that its owner alone can read."""

import os
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

_MOST_LINES: Final = 2000
_SECRET: Final = re.compile(
    r"""eyJ[\w-]{8} | tbk_[0-9a-f]{8} | \bsk-[\w-]{12} | \bgh[opsu]_\w{12} | \b(?:AKIA|ASIA)[A-Z0-9]{12}
    | (?i:\bbearer\s+\S)
    | (?i:(?:token|secret|password|passwd|passphrase|credentials?|api[_-]?key|authorization|\bcode)["']?\s*:?[=:]\s*\S)
    | ://[^/\s@]*:[^/\s@]*@
    | (?=[\w+=-]*[a-z])(?=[\w+=-]*[A-Z])(?=[\w+=-]*[0-9])[\w+=-]{40}
    """,
    re.VERBOSE,
)
"""Tokens and keys by how they begin; what is named as one; a password in an address; what is as random as a key."""


def is_secret(line: str) -> bool:
    """Whether `line` looks as if it held a credential; or begins with a blank, which says that it is not to be kept."""
    return line[:1].isspace() or _SECRET.search(line) is not None


class KeptLines:
    """What was typed, in this run and before it. A line with a credential is not kept at all."""

    def __init__(self, file: Path | None) -> None:
        """Reads nothing yet.

        Args:
            file: UTF-8, a line each, the oldest first; None: lines are kept for this run only.
        """
        self._file = file

    @cached_property
    def _lines(self) -> list[str]:
        """What cannot be read is as if it were not there: no history is worth a failed start."""
        try:
            text = "" if self._file is None else self._file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        lines = [line for line in text.split("\n") if line]
        if len(lines) > _MOST_LINES:
            del lines[: -_MOST_LINES // 2]
            self._write(lines, os.O_TRUNC)
        return lines

    @property
    def lines(self) -> Sequence[str]:
        """The oldest first."""
        return tuple(self._lines)

    def keep(self, line: str) -> bool:
        """Adds `line`, unless it may not be kept or is the last one already; says whether it did."""
        if not line.strip() or is_secret(line) or self._lines[-1:] == [line]:
            return False
        self._lines.append(line)
        self._write([line], os.O_APPEND)
        return True

    def _write(self, lines: Sequence[str], how: int) -> None:
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A link that someone else put there is not followed.
            opened = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | how, 0o600)
            try:
                os.fchmod(opened, 0o600)
                # At once: lines of two prompts that share the file do not mix.
                os.write(opened, "".join(f"{line}\n" for line in lines).encode(errors="replace"))
            finally:
                os.close(opened)
        except OSError:
            self._file = None
