"""Records in a file of this machine, shared by its processes and kept over their restarts.

A statement runs at once, on the event loop, because in a write-ahead log no reader waits and a write costs some
microseconds. What could wait is left to one worker thread with a connection of its own: a write while another process
writes, the making of the file, the sweep of what has expired, and the checkpoints, which alone need an fsync.

Source: https://sqlite.org/wal.html
"""

import asyncio
import contextlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

from tollbook.core.errors import StoreDown, why
from tollbook.core.stores import Clock, Record
from tollbook.hosting.stores import checked, keys_between

_APPLICATION: Final = 0x746F6C6C  # "toll"
_VERSION: Final = 1
_SCHEMA: Final = f"""
PRAGMA journal_mode = WAL;
CREATE TABLE records(
    partition TEXT, key TEXT, expires REAL NOT NULL, value BLOB NOT NULL, PRIMARY KEY (partition, key)
) WITHOUT ROWID;
CREATE INDEX ends ON records(expires);
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
"""

_PUT: Final = """INSERT INTO records(partition, key, expires, value) VALUES (?, ?, ?, ?)
ON CONFLICT (partition, key) DO UPDATE SET expires = excluded.expires, value = excluded.value"""
_ADD: Final = _PUT + " WHERE records.expires <= ?"
_REPLACE: Final = "UPDATE records SET expires = ?, value = ? WHERE partition = ? AND key = ? AND expires > ?"
_GET: Final = "SELECT expires, value FROM records WHERE partition = ? AND key = ? AND expires > ?"
_LIST: Final = """SELECT key, expires, value FROM records
WHERE partition = ? AND key >= ? AND key < ? AND key <> ? AND expires > ? ORDER BY key"""
_COUNT: Final = "SELECT count(*) FROM records WHERE partition = ? AND expires > ?"
_REMOVE: Final = "DELETE FROM records WHERE partition = ? AND key = ? AND expires > ?"
_CLEAR: Final = """DELETE FROM records
WHERE partition = ?1 AND key IN (SELECT key FROM records WHERE partition = ?1 LIMIT ?2)"""
_SWEEP: Final = """DELETE FROM records
WHERE (partition, key) IN (SELECT partition, key FROM records WHERE expires <= ? ORDER BY expires LIMIT ?)"""

_BATCH: Final = 200  # rows removed in one transaction: about a millisecond
_PAGE: Final = 4096  # bytes
_LARGEST_LOG: Final = 16 << 20  # bytes; a longer one is cut when it begins anew
_PAGES_BETWEEN_TIDYINGS: Final = 1000  # as many as SQLite itself lets gather
_SECONDS_BETWEEN_TIDYINGS: Final = 60

_CANNOT_WRITE: Final = (
    "cannot be opened for writing. Let this user write to the file and to its folder, or name another file."
)
_NOT_OURS: Final = "is no store of this version of tollbook, or is damaged. Move it away, or name another file."
_SAYINGS: Final = {
    sqlite3.SQLITE_CANTOPEN: _CANNOT_WRITE,
    sqlite3.SQLITE_CORRUPT: _NOT_OURS,
    sqlite3.SQLITE_FULL: "has no more room. Make some on its disk, or name a file on another.",
    sqlite3.SQLITE_NOTADB: _NOT_OURS,
    sqlite3.SQLITE_PERM: _CANNOT_WRITE,
    sqlite3.SQLITE_READONLY: _CANNOT_WRITE,
}


class _BusyError(Exception):
    """The statement would have to wait."""


class _Line:
    """One connection: opened when it is first used, and anew after an error.

    Args:
        patience_s: how long it may wait for others. Where it is 0, the line is busy instead, and as long as there is
            no file.
        trusts_s: for how long it believes that the file is still where it was.
    """

    def __init__(self, path: Path, *, patience_s: float, trusts_s: float) -> None:
        self._path = path
        self._patience_s = patience_s
        self._trusts_s = trusts_s
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._looked = 0.0

    def run(self, now: float, sql: str, *values: object) -> tuple[list[Any], int]:
        """The rows that a statement gives, and how many it changed.

        Raises:
            _BusyError: another connection writes.
            StoreDown: anything else went wrong; the next statement opens the file anew.
        """
        try:
            connection = self._connection
            if connection is None or not self._looked <= now < self._looked + self._trusts_s:
                connection = self._found(now)
            cursor = connection.execute(sql, values)
            return cursor.fetchall(), cursor.rowcount
        except sqlite3.Error as fault:
            # A mistake in how SQLite is called has no code.
            code = getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
            if code == sqlite3.SQLITE_BUSY:
                raise _BusyError from fault
            self.close()
            raise self.down(_SAYINGS.get(code, f"cannot be used: {fault}. Mend that, or name another file.")) from fault
        except PermissionError as fault:
            self.close()
            raise self.down(_CANNOT_WRITE) from fault
        except OSError as fault:
            self.close()
            raise self.down(f"cannot be used: {why(fault)}. Mend that, or name another file.") from fault

    def wait(self, now: float, seconds: float) -> None:
        """From now on, waits so long before it is busy."""
        self.run(now, f"PRAGMA busy_timeout = {seconds * 1000:.0f}")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def down(self, saying: str) -> StoreDown:
        return StoreDown(f"'{self._path}' {saying}")

    def _found(self, now: float) -> sqlite3.Connection:
        """The connection to the file that lies at the path now."""
        connection = self._connection
        if connection is not None and _identity(self._path) != self._file:
            # SQLite would go on in the old file, which nobody else sees.
            self.close()
            connection = None
            if not self._patience_s:  # so that it is told once
                raise self.down("was moved or replaced while it was in use. Put it back, or go on with an empty one.")
        if connection is None:
            if not self._path.exists():
                if not self._patience_s:
                    raise _BusyError
                _make(self._path)
            connection = self._connection = self._opened()
            self._file = _identity(self._path)
        self._looked = now
        return connection

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=self._patience_s,
            isolation_level=None,
            check_same_thread=False,  # `aclose` ends it in the worker thread, where an fsync may take its time
        )
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_LOG}")
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        if (application, version) != (_APPLICATION, _VERSION):
            connection.close()
            raise self.down(_NOT_OURS)
        return connection


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _make(path: Path) -> None:
    """Makes the file. It appears whole: of several processes that make it at once, one gives it its name."""
    _make_folder(path.parent)
    # In a folder of its own, because SQLite lays a log beside it.
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        draft = Path(folder) / path.name
        draft.touch(mode=0o600)
        with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.executescript(_SCHEMA)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


class SqliteStore:
    """A `Store` in the file at `path`, which is made when it is missing. A `~` stands for the user's folder.

    Args:
        patience_s: how long a write waits for other processes before the store is down.
    """

    def __init__(self, path: str | Path, clock: Clock = time.time, patience_s: float = 5) -> None:
        self._clock = clock
        self._patience_s = patience_s
        at = Path(path).expanduser()
        self._here = _Line(at, patience_s=0, trusts_s=1)
        self._aside = _Line(at, patience_s=patience_s, trusts_s=0)
        self._worker = ThreadPoolExecutor(1, "tollbook-sqlite")
        self._pages = 0  # written since it was last tidied, about
        self._tidied = 0.0
        self._tidying = False
        self._restarting = False
        self._closed = False

    async def add(self, record: Record) -> bool:
        now = self._clock()
        checked(record)
        values = record.partition, record.key, record.expires, record.value, now
        return await self._write(now, len(record.value), _ADD, *values) == 1

    async def replace(self, record: Record) -> bool:
        now = self._clock()
        checked(record)
        values = record.expires, record.value, record.partition, record.key, now
        return await self._write(now, len(record.value), _REPLACE, *values) == 1

    async def put(self, record: Record) -> None:
        checked(record)
        values = record.partition, record.key, record.expires, record.value
        await self._write(self._clock(), len(record.value), _PUT, *values)

    async def get(self, partition: str, key: str) -> Record | None:
        now = self._clock()
        rows, _ = await self._run(now, _GET, partition, key, now)
        for expires, value in rows:
            return Record(partition, key, value, expires)
        return None

    async def list(self, partition: str, prefix: str = "", after: str = "") -> Sequence[Record]:
        now, (first, last) = self._clock(), keys_between(prefix, after)
        rows, _ = await self._run(now, _LIST, partition, first, last, after, now)
        return [Record(partition, key, value, expires) for key, expires, value in rows]

    async def count(self, partition: str) -> int:
        now = self._clock()
        (((count,),), _) = await self._run(now, _COUNT, partition, now)
        return int(count)

    async def remove(self, partition: str, key: str) -> bool:
        now = self._clock()
        return await self._write(now, 0, _REMOVE, partition, key, now) == 1

    async def clear(self, partition: str) -> None:
        while await self._write(self._clock(), 0, _CLEAR, partition, _BATCH) == _BATCH:
            await asyncio.sleep(0)  # others come first

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._worker, self._close)
            self._worker.shutdown()

    def _close(self) -> None:
        self._here.close()
        self._aside.close()

    async def _run(self, now: float, sql: str, *values: object) -> tuple[Sequence[Any], int]:
        try:
            return self._here.run(now, sql, *values)
        except _BusyError:
            return await self._run_later(now, sql, *values)

    async def _write(self, now: float, size: int, sql: str, *values: object) -> int:
        """Runs a statement that writes values of `size` bytes; says how many rows it changed."""
        run = self._run_later if self._restarting else self._run
        _, changed = await run(now, sql, *values)
        self._pages += max(changed, 1) + size // _PAGE
        if self._pages >= _PAGES_BETWEEN_TIDYINGS or abs(now - self._tidied) >= _SECONDS_BETWEEN_TIDYINGS:
            self._tidy_soon(now)
        return changed

    async def _run_later(self, now: float, sql: str, *values: object) -> tuple[Sequence[Any], int]:
        run = partial(self._run_aside, time.monotonic() + self._patience_s, now, sql, *values)
        return await asyncio.get_running_loop().run_in_executor(self._worker, run)

    def _run_aside(self, until: float, now: float, sql: str, *values: object) -> tuple[Sequence[Any], int]:
        try:
            # Who waited in the queue waits less for the lock.
            self._aside.wait(now, max(0.0, until - time.monotonic()))
            return self._aside.run(now, sql, *values)
        except _BusyError as fault:
            saying = f"was locked for {self._patience_s:g} s. Look which process holds it, and end that."
            raise self._aside.down(saying) from fault

    def _tidy_soon(self, now: float) -> None:
        if not self._tidying:
            self._tidying, self._pages, self._tidied = True, 0, now
            self._worker.submit(self._tidy, now)

    def _tidy(self, now: float) -> None:
        """Sweeps what has expired, then moves the log's pages into the file. What fails is tried again next time."""
        swept = 0
        with contextlib.suppress(StoreDown, _BusyError):
            if not self._closed:
                self._aside.wait(now, 0.1)
                _, swept = self._aside.run(now, _SWEEP, now, _BATCH)
                if swept < _BATCH:
                    # Other processes wait for the second step only, without which the log would never begin anew. This
                    # one keeps clear of both, and of the first page of the new log: they wait for the disk.
                    self._restarting = True
                    self._aside.run(now, "PRAGMA wal_checkpoint(PASSIVE)")
                    self._aside.run(now, "PRAGMA wal_checkpoint(RESTART)")
                    self._aside.run(now, f"PRAGMA user_version = {_VERSION}")
        self._restarting = False
        self._tidying = swept == _BATCH
        if self._tidying:
            self._worker.submit(self._tidy, now)  # behind the writes that wait
