"""The memory for request ids: exact, shared, and bounded."""

import itertools
import os
import resource
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tollbook.core.errors import SourceError
from tollbook.sources.crew import Crew
from tollbook.sources.seen import SeenIds


def some_hashes(count: int) -> list[int]:
    return [hash(("id", number)) for number in range(count)]


def test_the_first_claim_wins_however_far_apart_and_whatever_was_expected() -> None:
    hashes = some_hashes(300_000)
    for expected in (0, 300_000, 10**6):
        with SeenIds(expected, threading.Lock()) as seen:
            assert all(seen.claim(hashes))
            assert not any(seen.claim(hashes[::-1]))


def test_hashes_that_fall_into_one_place_are_told_apart() -> None:
    with SeenIds(0, threading.Lock()) as seen:
        places = len(seen._tables[0])
        collisions = [5 + places * step for step in range(300)] + [0, 1, -1]
        assert sum(seen.claim(collisions)) == len(collisions) - 1  # 0 stands for 1
        assert not any(seen.claim(collisions))


def test_several_processes_share_one_answer() -> None:
    """Each of three processes claims all ids; together they win each once."""
    crew = Crew(3)
    hashes = some_hashes(300_000)
    with SeenIds(10_000, crew.lock) as seen:  # so that further tables are opened while they run

        def claim_all(mine: object, done: object) -> int:
            return sum(sum(seen.claim(hashes[at : at + 512])) for at in range(0, len(hashes), 512))

        won = crew.run(claim_all, range(3), lambda units: None)
    assert sum(won) == len(hashes)
    assert len(won) == 3


def test_a_full_disk_is_a_sentence() -> None:
    """With a limit on the size of files, which stands in for a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with SeenIds(0, threading.Lock()) as seen, pytest.raises(SourceError, match="Set TMPDIR to a larger disk"):
            seen.claim(some_hashes(260_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with SeenIds(0, threading.Lock()) as seen:
        seen.claim(some_hashes(260_000))
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


class TestCrew:
    @pytest.mark.parametrize("size", [1, 2, 4])
    def test_every_item_is_taken_once(self, size: int) -> None:
        told: list[int] = []

        def work(mine: Sequence[int], done: object) -> list[int]:
            return list(mine)

        results = Crew(size).run(work, range(100), told.append)  # type: ignore[arg-type]
        assert sorted(itertools.chain(*results)) == list(range(100))

    def test_an_error_is_handed_on(self) -> None:
        def work(mine: object, done: object) -> None:
            raise SourceError("The log is gone.")

        with pytest.raises(SourceError, match=r"The log is gone\."):
            Crew(2).run(work, range(2), lambda units: None)

    def test_a_process_that_is_killed_is_a_sentence(self) -> None:
        def work(mine: object, done: object) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        with pytest.raises(SourceError, match="was killed"):
            Crew(2).run(work, range(2), lambda units: None)
