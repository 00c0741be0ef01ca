"""A server that is a process: how it starts, dies, misbehaves, and what is left of it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.client.wire.watching import Watching
from tests.hosting.serving import until
from tollbook.client.connection import Connection
from tollbook.client.protocol import ToolResult, read
from tollbook.client.session import EraChoice
from tollbook.client.targets import Target
from tollbook.client.trouble import CallLost, RpcError, TimedOut, Unreachable

pytestmark = pytest.mark.anyio

PROGRAM = str(Path(__file__).with_name("process_server.py"))


def process(
    user: Watching,
    *words: str,
    era: EraChoice = "handshake",
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    timeout_s: float = 60,
) -> Connection:
    """A connection to `process_server.py` with these words."""
    target = Target(
        name="it",
        command=[sys.executable, PROGRAM, *words],
        environment=environment or {},
        folder=None if folder is None else str(folder),
    )
    return Connection(target, user, era=era, timeout_s=timeout_s)


def text(raw: Any) -> str:
    return str(read(raw, ToolResult).content[0].text)


async def about(connection: Connection) -> Any:
    return json.loads(text(await connection.call_tool("about", {})))


def is_gone(pid: int) -> bool:
    """Whether there is no such process, not even one that has ended and was not waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture(autouse=True)
def _no_pipe_is_left() -> Any:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= before + 4, "the loop's own remain"


# Beginning


@pytest.mark.parametrize("era", ["handshake", "modern", "auto"])
async def test_a_process_is_asked_and_ends_with_the_connection(user: Watching, era: EraChoice) -> None:
    async with process(user, "modern", era=era) as connection:
        assert connection.server is not None
        assert connection.server.era == ("handshake" if era == "handshake" else "modern")
        assert not connection.server.has_session
        pid = (await about(connection))["pid"]
        assert not is_gone(pid)
        assert not await connection.terminate(), "it keeps no session"
    assert is_gone(pid)


async def test_an_older_server_is_spoken_to_in_its_era(user: Watching) -> None:
    async with process(user, "old", era="auto") as connection:
        assert connection.server is not None
        assert (connection.server.era, connection.server.version) == ("handshake", "2025-06-18")


@pytest.mark.parametrize(("how", "timeout_s"), [("silent", 60), ("late", 4)])
async def test_a_server_that_ignores_what_it_does_not_know_is_spoken_to_in_its_era(
    user: Watching, how: str, timeout_s: float
) -> None:
    """What it says of the first question after all is not taken for the answer to the second."""
    async with process(user, how, era="auto", timeout_s=timeout_s) as connection:
        assert connection.server is not None
        assert connection.server.era == "handshake"
        assert (await about(connection))["pid"]


async def test_a_process_has_the_environment_and_the_folder_it_is_given_and_a_session_of_its_own(
    user: Watching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C at the terminal goes to the foreground's process group: this is another."""
    monkeypatch.setenv("ACCESS_TOKEN", "secret")
    given = {"PATH": "/usr/bin:/bin", "KEY": "vælue"}
    async with process(user, "old", environment=given, folder=tmp_path) as connection:
        seen = json.loads(text(await connection.call_tool("environment", {})))
        its = await about(connection)
    assert {name: value for name, value in seen.items() if name not in ("LC_CTYPE", "PWD")} == given
    assert its["folder"] == str(tmp_path)
    assert its["session"] == its["group"] == its["pid"] != os.getsid(0)


@pytest.mark.parametrize(
    ("command", "folder", "said"),
    [
        (
            ["no-such-program\x1b"],
            None,
            "There is no program 'no-such-program<U+001B>'. Check its name; programs are looked for along PATH.",
        ),
        (["/"], None, "'/' cannot be started: permission denied. Check its command and its folder."),
        ([sys.executable], "/no/such", "There is no folder '/no/such'. Check its name."),
        (
            [sys.executable],
            "/dev/null",
            f"'{sys.executable}' cannot be started: not a directory. Check its command and its folder.",
        ),
        (
            [sys.executable, "a\0b"],
            None,
            f"'{sys.executable}' cannot be started: embedded null byte. Check its command and its folder.",
        ),
    ],
)
async def test_a_process_that_cannot_be_started(
    user: Watching, command: Sequence[str], folder: str | None, said: str
) -> None:
    with pytest.raises(Unreachable) as raised:
        await Connection(Target(name="it", command=command, folder=folder), user).open()
    assert str(raised.value) == said


@pytest.mark.parametrize("era", ["handshake", "modern", "auto"])
async def test_a_process_that_dies_at_once_is_quoted(user: Watching, era: EraChoice) -> None:
    with pytest.raises(Unreachable) as raised:
        await process(user, "dies", era=era).open()
    assert str(raised.value) == (
        "There is no connection to 'it': the server's process ended with code 1, and said last: 'ModuleNotFoundError: "
        "No module named 'stars''. Is it an MCP server?"
    )
    assert [line for line in user.debugged if line.startswith("stderr")] == [
        "stderr: Traceback …",
        "stderr: ModuleNotFoundError: No module named 'stars'",
    ]


async def test_a_program_that_is_no_server(user: Watching) -> None:
    with pytest.raises(
        Unreachable, match=r"^There is no connection to 'it': the server's process ended with code 0\. "
    ):
        await Connection(Target(name="it", command=["/bin/true"]), user).open()


# In the middle of it


@pytest.mark.parametrize(
    ("tool", "how"),
    [
        ("dies", "the server's process ended with code 7, and said last: 'no licence found in <here><U+001B>[2J'"),
        ("is killed", "the server's process was ended by signal 9"),
        ("closes", "the server's process closed its output"),
        ("too long", "the server's process sent a line of more than 64 MiB"),
    ],
)
async def test_a_process_that_ends_at_work_is_started_anew_and_its_call_is_lost(
    user: Watching, tool: str, how: str
) -> None:
    async with process(user, "old") as connection:
        first = (await about(connection))["pid"]
        with pytest.raises(CallLost) as raised:
            await connection.call_tool(tool, {})
        assert str(raised.value) == (
            f"The answer of '{tool}' was lost: {how}. Whether it was done is not known, and the server does not say "
            "that it may be called twice. Look before you call it again."
        )
        second = (await about(connection))["pid"]
        assert first != second
    assert is_gone(first)
    assert is_gone(second)


async def test_a_process_that_died_between_two_calls_is_started_anew(user: Watching) -> None:
    async with process(user, "old") as connection:
        first = (await about(connection))["pid"]
        os.kill(first, signal.SIGKILL)
        assert (await about(connection))["pid"] != first


async def test_what_is_no_message_is_passed_over(user: Watching) -> None:
    async with process(user, "old") as connection:
        assert text(await connection.call_tool("rubbish", {})) == "done"
    assert user.seen == [("log", "info", "well"), ("progress", 1, None, None)]
    rubbish = [line for line in user.debugged if line.startswith("Not a message")]
    assert rubbish[:2] == ["Not a message: Listening …", "Not a message: {"]
    assert len(rubbish) == 6
    assert all(len(line) < 300 for line in rubbish)


async def test_an_answer_of_several_megabytes_is_read(user: Watching) -> None:
    async with process(user, "old") as connection:
        assert len(text(await connection.call_tool("big", {}))) == 5 << 20


async def test_an_error_without_a_request_answers_the_last_one(user: Watching) -> None:
    async with process(user, "old") as connection:
        with pytest.raises(RpcError, match=r"^The server answered tools/call with error -32700: Parse error\.$"):
            await connection.call_tool("null", {})


async def test_a_flood_on_standard_error_stops_nobody(user: Watching) -> None:
    async with process(user, "old") as connection:
        assert text(await connection.call_tool("floods", {})) == "done"
        await until(lambda: "stderr: over" in user.debugged)
    assert max(map(len, user.debugged)) < 600


async def test_silence_ends_a_call_and_cancelling_reaches_the_process(user: Watching) -> None:
    async with process(user, "old", timeout_s=4) as connection:
        with pytest.raises(TimedOut):
            await connection.call_tool("waits", {})
        assert user.seen == [("progress", 1, None, None)]
        calling = asyncio.create_task(connection.call_tool("waits", {}))
        await until(lambda: len(user.seen) == 2)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        assert len(json.loads(text(await connection.call_tool("cancelled", {})))) == 2


async def test_calls_at_once_get_each_their_own_answer(user: Watching) -> None:
    async with process(user, "old") as connection:
        answers = await asyncio.gather(*(about(connection) for _ in range(10)))
    assert len({answer["pid"] for answer in answers}) == 1


# The end


async def test_a_process_that_will_not_end_is_killed(user: Watching) -> None:
    async with process(user, "stubborn") as connection:
        pid = (await about(connection))["pid"]
    assert is_gone(pid)


@pytest.mark.parametrize("words", [[], ["far"]], ids=["in its group", "in another"])
async def test_a_child_that_keeps_the_pipes_open_holds_up_nobody(user: Watching, words: Sequence[str]) -> None:
    async with process(user, "parent", *words) as connection:
        pid = (await about(connection))["pid"]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert is_gone(pid)
    for child in map(int, children):
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


async def test_whoever_leaves_while_it_starts_leaves_nothing_behind(user: Watching) -> None:
    connection = process(user, "silent", era="modern")
    opening = asyncio.create_task(connection.open())
    await until(lambda: "server/discover as request 1" in user.debugged)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert connection.server is None
    assert not [pid for pid in _children() if PROGRAM in _command(pid)]


def _children() -> Sequence[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
