"""What a store in a file does beyond what all do: several processes, restarts, and files that cannot be used."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.hosting.stores.conftest import SetClock
from tollbook.core.errors import StoreDown
from tollbook.core.stores import Record
from tollbook.hosting.stores.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

FAR = 4e9
START = 1_800_000_000.25
NOBODY = 65534

WRITES = """
import asyncio, os, sys
from tollbook.core.stores import Record
from tollbook.hosting.stores import open_store

async def write(path, name):
    store, won = open_store(f"sqlite:{path}"), 0
    for number in range(300):
        await store.put(Record("own", f"{name}{number:03}", b"%d" % number, 4e9))
        won += await store.add(Record("shared", f"{number:03}", name.encode(), 4e9))
    return won
"""


def record(key: str = "k", value: bytes = b"v", expires: float = FAR, partition: str = "p") -> Record:
    return Record(partition, key, value, expires)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path, clock: SetClock) -> AsyncIterator[SqliteStore]:
    async with opened(path, clock) as it:
        yield it


@contextlib.asynccontextmanager
async def opened(path: Path | str, clock: SetClock, patience_s: float = 5) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, clock, patience_s)
    try:
        yield store
    finally:
        await store.aclose()


@contextlib.contextmanager
def other(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program at the same file."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        yield connection


def rows(path: Path) -> int:
    with other(path) as connection:
        return int(connection.execute("SELECT count(*) FROM records").fetchone()[0])


def run(program: str, path: Path) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-c", program, str(path)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


class TestTheFile:
    async def test_is_made_with_its_folders_at_the_first_use_for_its_owner_only(
        self, tmp_path: Path, clock: SetClock
    ) -> None:
        path = tmp_path / "new" / "folder" / "store.db"
        async with opened(path, clock) as store:
            assert not path.parent.exists()
            await store.put(record())
            await store.put(record())
            files = list(path.parent.iterdir())
            assert {each.name for each in files} == {"store.db", "store.db-wal", "store.db-shm"}
            assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
            assert {stat.S_IMODE(each.stat().st_mode) for each in path.parents[:2]} == {0o700}
        assert list(path.parent.iterdir()) == [path]

    async def test_may_lie_in_the_users_folder(
        self, tmp_path: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        async with opened("~/store.db", clock) as store:
            await store.put(record())
        assert rows(tmp_path / "store.db") == 1

    async def test_may_have_a_name_that_an_address_may_not(self, tmp_path: Path, clock: SetClock) -> None:
        path = tmp_path / "50% of? #all.db"
        async with opened(path, clock) as store:
            await store.put(record())
            assert await store.get("p", "k") == record()
        assert list(tmp_path.iterdir()) == [path]

    async def test_keeps_its_records_over_a_restart(self, path: Path, clock: SetClock) -> None:
        for number in range(3):
            async with opened(path, clock) as store:
                assert await store.add(record(f"{number}"))
                assert await store.count("p") == number + 1

    async def test_keeps_its_records_when_a_process_is_killed(self, path: Path, clock: SetClock) -> None:
        done = run(f"{WRITES}\nasyncio.run(write(sys.argv[1], 'a'))\nos.kill(os.getpid(), 9)", path)
        assert done.returncode == -signal.SIGKILL, done.stderr
        async with opened(path, clock) as store:
            assert await store.count("own") == await store.count("shared") == 300

    async def test_whose_folder_goes_away_is_told_once_and_then_made_anew(
        self, store: SqliteStore, path: Path, clock: SetClock
    ) -> None:
        await store.put(record())
        assert await store.get("p", "k") == record()
        shutil.rmtree(path.parent)
        clock.now += 1
        with pytest.raises(StoreDown, match=r"store\.db' was moved or replaced while it was in use\."):
            await store.get("p", "k")
        assert await store.get("p", "k") is None
        await store.put(record())
        assert rows(path) == 1


class TestSeveralProcesses:
    async def test_that_begin_at_once_and_write_all_the_time_lose_nothing(self, path: Path, clock: SetClock) -> None:
        program = f"{WRITES}\nprint(asyncio.run(write(*sys.argv[1:])))"
        words = [[sys.executable, "-c", program, str(path), name] for name in ("a", "b", "c")]
        started = [subprocess.Popen(each, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for each in words]
        said = [await asyncio.to_thread(each.communicate) for each in started]
        assert [errors for _, errors in said] == ["", "", ""]
        assert sum(int(won) for won, _ in said) == 300
        async with opened(path, clock) as store:
            assert await store.count("own") == 900
            assert {each.key: each.value for each in await store.list("own")} == {
                f"{name}{number:03}": b"%d" % number for name in "abc" for number in range(300)
            }
            assert await store.count("shared") == 300

    async def test_a_write_waits_for_another_process_and_the_loop_does_not(
        self, store: SqliteStore, path: Path
    ) -> None:
        await store.put(record("before"))
        loop_runs = threading.Event()
        with other(path) as connection:

            def release() -> bool:
                ran = loop_runs.wait(3)  # less than the store waits
                connection.execute("COMMIT")
                return ran

            connection.execute("BEGIN IMMEDIATE")
            releasing = asyncio.create_task(asyncio.to_thread(release))
            writing = asyncio.create_task(store.put(record()))
            await asyncio.sleep(0)
            assert await store.get("p", "before")
            assert not writing.done()
            loop_runs.set()
            assert await releasing
            await writing
        assert await store.get("p", "k") == record()

    async def test_a_lock_that_stays_is_a_sentence_and_no_end(self, path: Path, clock: SetClock) -> None:
        async with opened(path, clock, patience_s=0.05) as store:
            await store.put(record())
            with other(path) as connection:
                connection.execute("BEGIN IMMEDIATE")
                tries = await asyncio.gather(*(store.put(record()) for _ in range(3)), return_exceptions=True)
                assert [type(each) for each in tries] == [StoreDown] * 3
                assert str(tries[0]) == f"'{path}' was locked for 0.05 s. Look which process holds it, and end that."
            await store.put(record("after"))
            assert await store.count("p") == 2


class TestTidying:
    async def test_what_has_expired_leaves_the_file(self, store: SqliteStore, path: Path, clock: SetClock) -> None:
        for number in range(20_000):
            await store.put(record(f"{number}", expires=START + 10))
        await store.put(record("stays"))
        clock.now += 61
        async with asyncio.timeout(30):
            while await asyncio.to_thread(rows, path) > 1:
                await store.put(record("stays"))
        assert [each.key for each in await store.list("p")] == ["stays"]

    async def test_the_log_begins_anew_even_while_another_instance_writes(
        self, store: SqliteStore, path: Path, clock: SetClock
    ) -> None:
        """Twenty thousand writes would make it 80 MB long."""

        async def write(into: SqliteStore) -> None:
            for number in range(10_000):
                await into.put(record(f"{number % 10}", b"x" * 1000))
                await asyncio.sleep(0)

        async with opened(path, clock) as instance:
            await asyncio.gather(write(store), write(instance))
            assert path.with_name("store.db-wal").stat().st_size < 60_000_000

    async def test_no_task_is_left_running(self, store: SqliteStore, clock: SetClock) -> None:
        before = asyncio.all_tasks()
        for _ in range(3):
            clock.now += 3600
            await store.put(record())
        assert asyncio.all_tasks() == before


class TestAFileThatCannotBeUsed:
    async def refusal(self, path: Path, clock: SetClock) -> str:
        """What is said of it, whatever is asked, and that again."""
        said = set()
        async with opened(path, clock) as store:
            for ask in (store.get("p", "k"), store.put(record()), store.list("p"), store.clear("p")):
                with pytest.raises(StoreDown) as refusal:
                    await ask
                said.add(str(refusal.value))
        (sentence,) = said
        return sentence

    @pytest.mark.parametrize("content", [b"", b"no database, but long enough to be one" * 100])
    async def test_that_is_something_else(self, path: Path, clock: SetClock, content: bytes) -> None:
        path.write_bytes(content)
        assert await self.refusal(path, clock) == (
            f"'{path}' is no store of this version of tollbook, or is damaged. Move it away, or name another file."
        )
        assert path.read_bytes() == content

    @pytest.mark.parametrize("statement", ["PRAGMA user_version = 1", "CREATE TABLE records(a)"])
    async def test_that_is_the_database_of_another_program(self, path: Path, clock: SetClock, statement: str) -> None:
        with other(path) as connection:
            connection.execute(statement)
        assert "is no store of this version of tollbook" in await self.refusal(path, clock)

    async def test_that_is_of_a_later_version(self, path: Path, clock: SetClock) -> None:
        async with opened(path, clock) as store:
            await store.put(record())
        with other(path) as connection:
            connection.execute("PRAGMA user_version = 2")
        assert "is no store of this version of tollbook" in await self.refusal(path, clock)

    async def test_that_is_a_folder(self, tmp_path: Path, clock: SetClock) -> None:
        assert "cannot be opened for writing. Let this user" in await self.refusal(tmp_path, clock)

    async def test_that_lies_in_no_folder(self, tmp_path: Path, clock: SetClock) -> None:
        (tmp_path / "file").touch()
        assert "cannot be used: " in await self.refusal(tmp_path / "file" / "store.db", clock)

    async def test_that_lies_in_a_folder_of_others(self, folder_of_others: Path, clock: SetClock) -> None:
        assert "cannot be opened for writing. Let this user" in await self.refusal(folder_of_others / "x.db", clock)

    @pytest.mark.parametrize("mode_of_its_folder", [0o555, 0o777])
    async def test_that_may_only_be_read(
        self, folder_of_others: Path, clock: SetClock, mode_of_its_folder: int
    ) -> None:
        path = folder_of_others / "store.db"
        with as_owner():
            folder_of_others.chmod(0o700)
            async with opened(path, clock) as store:
                await store.put(record())
            path.chmod(0o444)
            folder_of_others.chmod(mode_of_its_folder)
        async with opened(path, clock) as store:
            for _ in range(3):
                with pytest.raises(StoreDown, match="cannot be opened for writing"):
                    await store.put(record())

    async def test_that_cannot_grow_can_be_used_again_once_it_can(self, store: SqliteStore, path: Path) -> None:
        """With a limit on the size of files, which stands in for a full disk."""
        await store.put(record())
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
        try:
            for _ in range(2):
                with pytest.raises(StoreDown, match=r"store\.db' cannot be used: disk I/O error\. Mend that"):
                    await store.put(record("large", b"x" * 300_000))
            assert await store.get("p", "large") is None
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)
        await store.put(record("large", b"x" * 300_000))
        assert await store.count("p") == 2


@pytest.fixture
def folder_of_others() -> Iterator[Path]:
    """A folder where this process may not write, even where root runs it."""
    with tempfile.TemporaryDirectory() as name:  # because pytest's are closed to all but their owner
        folder, owner = Path(name), os.geteuid()
        folder.chmod(0o555)
        if owner == 0:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(owner)
            folder.chmod(0o700)


@contextlib.contextmanager
def as_owner() -> Iterator[None]:
    user = os.geteuid()
    os.seteuid(os.getuid())
    try:
        yield
    finally:
        os.seteuid(user)
