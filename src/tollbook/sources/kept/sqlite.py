"""Kept days in a file of this machine, which its processes share.

Every use opens a connection of its own, since SQLite's bear neither two threads at once nor a fork.

Source: https://sqlite.org/wal.html, https://sqlite.org/howtocorrupt.html
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from tollbook.core.errors import StoreDown, why
from tollbook.core.stores import Clock
from tollbook.sources.kept.days import KeptDay, Key, decoded, encoded

_APPLICATION: Final = 0x746F6C64  # "told"
_VERSION: Final = 1
_BEGIN_ANEW: Final = (
    "DROP TABLE IF EXISTS days",
    "CREATE TABLE days(name TEXT PRIMARY KEY, used INTEGER NOT NULL, value BLOB NOT NULL)",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
)
_FIND: Final = "SELECT used, CAST(value AS BLOB) FROM days WHERE name = ?"
_USE: Final = "UPDATE days SET used = ? WHERE name = ?"
_KEEP: Final = """INSERT INTO days(name, used, value) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET used = excluded.used, value = excluded.value"""
_DROP: Final = "DELETE FROM days WHERE used < ?"

_DAY_S: Final = 86_400
_DAYS_UNUSED: Final = 400  # a year and a month: what was asked a year ago is asked again to compare

_CANNOT_WRITE: Final = "cannot be opened for writing. Let this user write to the file and to its folder."
_NOT_OURS: Final = (
    "holds no kept days of this version of tollbook, or is damaged. Remove it; what it held will be read again."
)
_SAYINGS: Final = {
    sqlite3.SQLITE_BUSY: "is locked by another process. Look which one holds it, and end that.",
    sqlite3.SQLITE_CANTOPEN: _CANNOT_WRITE,
    sqlite3.SQLITE_CORRUPT: _NOT_OURS,
    sqlite3.SQLITE_FULL: "has no more room. Make some on its disk.",
    sqlite3.SQLITE_NOTADB: _NOT_OURS,
    sqlite3.SQLITE_PERM: _CANNOT_WRITE,
    sqlite3.SQLITE_READONLY: _CANNOT_WRITE,
}


class SqliteDays:
    """`KeptDays` in the file at `path`, which is made with its folder at the first use.

    Days that nobody has asked for in 400 days are dropped when others are kept. The file's own form has a version: one
    of an older version begins anew; one of a later version is left alone, and so is any other program's.

    Args:
        patience_s: how long to wait for another process that writes.
    """

    def __init__(self, path: Path, clock: Clock = time.time, patience_s: float = 5) -> None:
        self._path = path
        self._clock = clock
        self._patience_s = patience_s

    def find(self, keys: Sequence[Key]) -> Mapping[Key, KeptDay]:
        """See `KeptDays`."""
        today = self._today()
        found: dict[Key, KeptDay] = {}
        older = []
        with self._opened() as connection:
            for key in keys:
                for used, blob in connection.execute(_FIND, (key.name,)).fetchall():
                    day = decoded(key, blob)
                    if day is not None:
                        found[key] = day
                        older += [(today, key.name)] if used < today else []
            if older:
                with suppress(sqlite3.Error), connection:  # no answer fails by this, or waits for it
                    connection.execute("PRAGMA busy_timeout = 100")
                    connection.execute("BEGIN IMMEDIATE")
                    connection.executemany(_USE, older)
        return found

    def keep(self, entries: Mapping[Key, KeptDay]) -> None:
        """See `KeptDays`."""
        today = self._today()
        blobs = ((key.name, encoded(key, day)) for key, day in entries.items())
        rows = [(name, today, blob) for name, blob in blobs if blob is not None]
        with self._opened() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_KEEP, rows)
            connection.execute(_DROP, (today - _DAYS_UNUSED,))

    def _today(self) -> int:
        return int(self._clock() // _DAY_S)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            address = f"{self._path.absolute().as_uri()}?mode=rw"
            with closing(
                sqlite3.connect(address, uri=True, timeout=self._patience_s, isolation_level=None)
            ) as connection:
                self._make_ready(connection)
                yield connection
        except sqlite3.Error as fault:
            # A mistake in how SQLite is called has no code. The upper bits of one tell details.
            code = getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
            raise self._down(_SAYINGS.get(code, f"cannot be used: {fault}. Mend that.")) from fault
        except OSError as fault:
            raise self._down(f"cannot be used: {why(fault)}. Mend that.") from fault

    def _make_ready(self, connection: sqlite3.Connection) -> None:
        """Sees to it that the file is of this form.

        Raises:
            StoreDown: it is of another, and not ours to change.
        """
        if _form_of(connection) != (_APPLICATION, _VERSION):
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                application, version = _form_of(connection)  # another process may have been first
                (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                is_new = (application, version, tables) == (0, 0, 0)
                if version > _VERSION or not (is_new or application == _APPLICATION):
                    raise self._down(_NOT_OURS)
                if version < _VERSION:
                    for statement in _BEGIN_ANEW:
                        connection.execute(statement)
        # While others are in it, the file cannot change to this mode. It works in the old one, and does so later.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")

    def _down(self, saying: str) -> StoreDown:
        return StoreDown(f"'{self._path}' {saying}")


def _form_of(connection: sqlite3.Connection) -> tuple[int, int]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version
