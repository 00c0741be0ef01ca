"""While logs are read: the client is told how far it is, and a client that leaves ends it."""

import itertools
import os
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import LoggingMessageNotificationParams

from tests.logs import call, lines, write
from tests.tools.desk import ERAS, TOOL, called, served, text_of
from tollbook import tools
from tollbook.core.errors import UsageError

pytestmark = pytest.mark.anyio

BLOCK = lines([call(timestamp="2026-11-22T00:00:00Z") for _ in range(200)])


class Feed:
    """A pipe that is written to as long as someone reads it.

    Attributes:
        was_left: whether the reader left before the end.
    """

    def __init__(self, path: Path, *, most_blocks: int) -> None:
        os.mkfifo(path)
        self.was_left = False
        self._path, self._most_blocks = path, most_blocks
        self._thread = threading.Thread(target=self._write, daemon=True)
        self.go_on = threading.Event()

    def __enter__(self) -> "Feed":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _write(self) -> None:
        try:
            with self._path.open("wb", buffering=0) as pipe:
                self.go_on.wait()
                for _ in range(self._most_blocks):
                    pipe.write(BLOCK)
        except BrokenPipeError:
            self.was_left = True


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_leaves_ends_the_reading(tmp_path: Path, era: str) -> None:
    with Feed(tmp_path / "log.jsonl", most_blocks=4000) as feed:
        feed.go_on.set()
        async with Client(served(str(tmp_path / "log.jsonl")), mode=era) as client, anyio.create_task_group() as group:

            async def leave(progress: float, total: float | None, message: str | None) -> None:
                if (message or "").startswith("read "):  # the pipe was opened
                    group.cancel_scope.cancel()

            await client.call_tool(TOOL, {}, progress_callback=leave)
    assert feed.was_left


async def test_a_reading_that_is_not_left_comes_to_its_end(tmp_path: Path) -> None:
    """The same pipe, so that the test above means something."""
    with Feed(tmp_path / "log.jsonl", most_blocks=20) as feed:
        feed.go_on.set()
        result = await called(served(str(tmp_path / "log.jsonl")))
    assert "duplicates: 3,800 records" in text_of(result)
    assert not feed.was_left


async def test_the_client_hears_something_even_if_nothing_advances_and_progress_only_rises(tmp_path: Path) -> None:
    heard: list[float] = []
    with Feed(tmp_path / "log.jsonl", most_blocks=1) as feed:

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            assert message
            heard.append(progress)
            if len(heard) == 5:
                feed.go_on.set()

        async with Client(served(str(tmp_path / "log.jsonl"))) as client:
            with anyio.fail_after(60):
                assert not (await client.call_tool(TOOL, {}, progress_callback=hear)).is_error
    assert len(heard) >= 5
    assert all(one < next_one for one, next_one in itertools.pairwise(heard))


@pytest.mark.parametrize("era", ERAS)
async def test_a_log_says_what_will_be_read_and_progress_how_far_it_is_but_not_too_often(
    tmp_path: Path, era: str
) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jsonl").write_bytes(BLOCK * 30)
    size = 3 * 30 * len(BLOCK)
    logs: list[Any] = []
    stages: list[Any] = []

    async def log(params: LoggingMessageNotificationParams) -> None:
        logs.append((params.level, params.data))

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        stages.append((progress, total, message))

    settings = tools.Settings(progress_s=3600)
    server = served(str(tmp_path), settings=settings)
    async with Client(server, mode=era, logging_callback=log, log_level="info") as client:
        await client.call_tool(TOOL, {}, progress_callback=hear)
    megabytes = f"{size / 1e6:.3g} MB"
    assert logs == [("info", f"reading 3 files, {megabytes}")]
    assert stages == [(size, size, f"read {megabytes} of {megabytes} of 3 files")]


async def test_progress_comes_while_a_file_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(BLOCK * 1200)
    stages: list[tuple[float, float | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        stages.append((progress, total))

    async with Client(served(str(log), settings=tools.Settings(progress_s=0.01))) as client:
        await client.call_tool(TOOL, {}, progress_callback=hear)
    assert len(stages) > 2
    assert stages[-1] == (log.stat().st_size, log.stat().st_size)
    assert 0 < stages[-2][0] < log.stat().st_size


async def test_several_clients_ask_at_once_and_each_gets_its_own_answer(tmp_path: Path) -> None:
    for number in range(1, 9):
        records = [call(arn=f"arn:aws:iam::111122223333:user/u{number}", timestamp="2026-11-22T00:00:00Z")] * 1
        write(tmp_path / f"{number}.jsonl", *records)
    server = served(str(tmp_path))
    found: dict[int, Any] = {}

    async def ask(number: int) -> None:
        result = await called(server, era=ERAS[number % 2], principal=f"user/u{number}")
        found[number] = result.structured_content

    async with anyio.create_task_group() as group:
        for number in range(1, 9):
            group.start_soon(ask, number)
    assert {number: content["groups"][0]["principal"] for number, content in found.items()} == {
        number: f"user/u{number}" for number in range(1, 9)
    }


def test_the_standard_input_is_no_source_for_a_server() -> None:
    with pytest.raises(UsageError, match="standard input"):
        served("-")
