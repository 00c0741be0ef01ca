"""What a process writes: each file or folder that it makes, changes or removes, and each database that it opens.

https://docs.python.org/3/library/audit_events.html
"""

import os
import sys
from typing import Any, Final

_CHANGING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_OTHERS: Final = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate", "sqlite3.connect")


def note_writes(path: str) -> None:
    """Lets this process note the place of each in a line of the file at `path`, from now on to its end."""
    notes = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(event: str, args: tuple[Any, ...]) -> None:
        if (event == "open" and args[2] & _CHANGING) or event in _OTHERS:
            place = args[0]
            if isinstance(place, str | bytes | os.PathLike) and not _is_measuring(os.fsdecode(place)):
                os.write(notes, f"{os.path.abspath(_plain(os.fsdecode(place)))}\n".encode())

    sys.addaudithook(note)


def _plain(place: str) -> str:
    """Without what SQLite understands besides: https://www.sqlite.org/uri.html"""
    return place.removeprefix("file:").partition("?")[0]


def _is_measuring(place: str) -> bool:
    """Whether it is what the tests' coverage is kept in."""
    return ".coverage" in place
