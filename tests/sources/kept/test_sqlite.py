"""What keeping days in a file does beyond what all do: several processes, age, and files that cannot be used."""

import contextlib
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from tests.sources.kept.conftest import DAY, DAY_S, PLACE, SetClock, a_day
from tollbook.core.errors import StoreDown
from tollbook.sources.kept.days import Key, key_of
from tollbook.sources.kept.sqlite import SqliteDays

KEY = key_of(PLACE, DAY, False, ())
NOT_OURS = "holds no kept days of this version of tollbook, or is damaged. Remove it; what it held will be read again."

KEEPS = """
import sys
from datetime import timedelta
from pathlib import Path
from tests.sources.kept.conftest import DAY, PLACE, a_day
from tollbook.sources.kept.days import key_of
from tollbook.sources.kept.sqlite import SqliteDays

days, own = SqliteDays(Path(sys.argv[1])), sys.argv[2]
for number in range(40):
    shared, mine = (key_of(PLACE, DAY - timedelta(days=number), False, tags) for tags in ((), (own,)))
    days.keep({shared: a_day(shared), mine: a_day(mine)})
    assert days.find([shared, mine]) == {shared: a_day(shared), mine: a_day(mine)}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "days.db"


@pytest.fixture
def days(path: Path, clock: SetClock) -> SqliteDays:
    return SqliteDays(path, clock, patience_s=0.05)


def back(number: int) -> Key:
    return key_of(PLACE, DAY - timedelta(days=number), False, ())


@contextlib.contextmanager
def other(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program at the same file."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def change(path: Path, statement: str, *values: object) -> None:
    with other(path) as connection:
        connection.execute(statement, values)


def refusal(days: SqliteDays) -> str:
    """What is said, whatever is asked."""
    said = set()
    asks: list[Callable[[], object]] = [lambda: days.find([KEY]), lambda: days.keep({KEY: a_day(KEY)})]
    for ask in asks:
        with pytest.raises(StoreDown) as fault:
            ask()
        said.add(str(fault.value))
    (sentence,) = said
    return sentence


def test_the_file_is_for_its_owner_only(days: SqliteDays, path: Path) -> None:
    days.keep({KEY: a_day(KEY)})
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [(each.name, stat.S_IMODE(each.stat().st_mode)) for each in path.parent.iterdir()] == [("days.db", 0o600)]
    with other(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.execute("SELECT * FROM days").fetchall()
        assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}


def test_the_file_may_have_a_name_that_an_address_may_not(tmp_path: Path, clock: SetClock) -> None:
    days = SqliteDays(tmp_path / "50% of? #all.db", clock)
    days.keep({KEY: a_day(KEY)})
    assert KEY in days.find([KEY])
    assert [each.name for each in tmp_path.iterdir()] == ["50% of? #all.db"]


def test_several_processes_that_begin_at_once_lose_nothing(path: Path, days: SqliteDays) -> None:
    words = [[sys.executable, "-c", KEEPS, str(path), name] for name in ("a", "b", "c")]
    started = [subprocess.Popen(each, stderr=subprocess.PIPE, text=True) for each in words]
    assert [each.communicate()[1] for each in started] == ["", "", ""]
    keys = [
        key_of(PLACE, back(number).day, False, tags) for number in range(40) for tags in ((), ("a",), ("b",), ("c",))
    ]
    assert len(days.find(keys)) == 160


def test_of_several_that_make_the_file_at_once_one_does_and_none_loses_a_day(tmp_path: Path) -> None:
    keys = [back(number) for number in range(4)]
    for number in range(40):
        path, together = tmp_path / f"{number}.db", threading.Barrier(len(keys))

        def keep(key: Key, path: Path = path, together: threading.Barrier = together) -> None:
            together.wait()
            SqliteDays(path).keep({key: a_day(key)})

        with ThreadPoolExecutor(len(keys)) as threads:
            list(threads.map(keep, keys))
        assert len(SqliteDays(path).find(keys)) == len(keys)


def test_a_day_is_read_while_another_process_writes(days: SqliteDays, path: Path, clock: SetClock) -> None:
    """Even where its last use should be noted."""
    days.keep({KEY: a_day(KEY)})
    clock.now += 2 * DAY_S
    with other(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert KEY in days.find([KEY])
        with pytest.raises(StoreDown, match=r"days\.db' is locked by another process\. Look which one holds it"):
            days.keep({KEY: a_day(KEY)})
    days.keep({KEY: a_day(KEY)})


def test_a_file_that_others_are_in_before_it_has_its_mode_gets_it_later(days: SqliteDays, path: Path) -> None:
    """As where several processes begin at once. SQLite does not wait for them then."""
    days.keep({KEY: a_day(KEY)})
    with other(path) as connection:
        assert connection.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM days").fetchall()
        assert KEY in days.find([KEY])
        connection.execute("COMMIT")
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert KEY in days.find([KEY])
    with other(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


class TestAge:
    @pytest.mark.parametrize(("days_later", "is_left"), [(400, True), (401, False)])
    def test_a_day_that_nobody_asks_for_is_dropped_after_400_days(
        self, days: SqliteDays, clock: SetClock, days_later: int, is_left: bool
    ) -> None:
        days.keep({KEY: a_day(KEY)})
        clock.now += days_later * DAY_S
        days.keep({back(1): a_day(back(1))})
        assert (KEY in days.find([KEY])) is is_left

    def test_a_day_that_is_asked_for_stays(self, days: SqliteDays, clock: SetClock) -> None:
        for number in range(3):
            days.keep({KEY: a_day(KEY)} if not number else {back(number): a_day(back(number))})
            clock.now += 399 * DAY_S
            assert KEY in days.find([KEY])

    def test_a_day_that_is_kept_again_is_as_good_as_new(self, days: SqliteDays, clock: SetClock) -> None:
        for _ in range(3):
            days.keep({KEY: a_day(KEY)})
            clock.now += 399 * DAY_S
        assert KEY in days.find([KEY])

    def test_a_clock_that_was_set_back_drops_nothing(self, days: SqliteDays, clock: SetClock) -> None:
        days.keep({KEY: a_day(KEY)})
        clock.now -= 1000 * DAY_S
        assert KEY in days.find([KEY])
        clock.now += 1000 * DAY_S
        days.keep({back(1): a_day(back(1))})
        assert len(days.find([KEY, back(1)])) == 2


class TestADamagedDay:
    @pytest.mark.parametrize("value", [b"", b"tollday1 but no more", "a text", 7])
    def test_is_read_anew_and_the_others_are_not(self, days: SqliteDays, path: Path, value: object) -> None:
        days.keep({key: a_day(key) for key in (KEY, back(1))})
        change(path, "UPDATE days SET value = ? WHERE name = ?", value, KEY.name)
        assert days.find([KEY, back(1)]) == {back(1): a_day(back(1))}
        days.keep({KEY: a_day(KEY)})
        assert len(days.find([KEY, back(1)])) == 2


class TestAFile:
    @pytest.mark.parametrize("content", [b"no database, but long enough to be one" * 100, b"short"])
    def test_that_is_something_else_is_left_alone(self, days: SqliteDays, path: Path, content: bytes) -> None:
        path.parent.mkdir()
        path.write_bytes(content)
        assert refusal(days) == f"'{path}' {NOT_OURS}"
        assert path.read_bytes() == content

    @pytest.mark.parametrize(
        "statement", ["PRAGMA user_version = 1", "CREATE TABLE days(name, used, value)", "PRAGMA application_id = 7"]
    )
    def test_of_another_program_is_left_alone(self, days: SqliteDays, path: Path, statement: str) -> None:
        path.parent.mkdir()
        change(path, statement)
        before = path.read_bytes()
        assert NOT_OURS in refusal(days)
        assert path.read_bytes() == before

    def test_of_an_older_version_begins_anew(self, days: SqliteDays, path: Path) -> None:
        days.keep({KEY: a_day(KEY)})
        for statement in ("DROP TABLE days", "CREATE TABLE days(of_old)", "PRAGMA user_version = 0"):
            change(path, statement)
        assert days.find([KEY]) == {}
        days.keep({KEY: a_day(KEY)})
        assert KEY in days.find([KEY])

    def test_of_a_later_version_is_left_alone(self, days: SqliteDays, path: Path) -> None:
        days.keep({KEY: a_day(KEY)})
        change(path, "PRAGMA user_version = 2")
        assert NOT_OURS in refusal(days)
        change(path, "PRAGMA user_version = 1")
        assert KEY in days.find([KEY])

    def test_whose_pages_are_damaged_is_told_of(self, days: SqliteDays, path: Path) -> None:
        days.keep({KEY: a_day(KEY, rows=1000)})
        content = path.read_bytes()
        path.write_bytes(content[:200] + b"\xff" * (len(content) - 200))
        assert NOT_OURS in refusal(days)

    def test_that_is_a_folder_is_told_of(self, tmp_path: Path, clock: SetClock) -> None:
        assert "cannot be opened for writing. Let this user write" in refusal(SqliteDays(tmp_path, clock))

    def test_that_lies_in_no_folder_is_told_of(self, tmp_path: Path, clock: SetClock) -> None:
        (tmp_path / "file").touch()
        assert "' cannot be used: file exists. Mend that." in refusal(SqliteDays(tmp_path / "file" / "days.db", clock))

    def test_that_cannot_grow_can_be_used_again_once_it_can(self, days: SqliteDays) -> None:
        """With a limit on the size of files, which stands in for a full disk."""
        days.keep({KEY: a_day(KEY)})
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        large = msgspec.structs.replace(a_day(back(1)), notes=(os.urandom(500_000).hex(),))
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
        try:
            with pytest.raises(StoreDown, match=r"days\.db' cannot be used: disk I/O error\. Mend that"):
                days.keep({back(1): large})
            assert list(days.find([KEY, back(1)])) == [KEY]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)
        days.keep({back(1): large})
        assert days.find([KEY, back(1)]) == {KEY: a_day(KEY), back(1): large}
