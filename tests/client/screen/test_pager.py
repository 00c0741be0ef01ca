"""Long answers and the user's pager, which is a program that writes down what it is given."""

import asyncio
import shlex
import sys
from pathlib import Path

import pytest
from rich.text import Text

from tests.client.screen.terminals import Terminal
from tollbook.client.protocol import Content, ToolResult
from tollbook.client.screen import Screen, tool_result
from tollbook.client.screen.pager import command

pytestmark = pytest.mark.anyio

LONG = tool_result(ToolResult(content=[Content(type="text", text="a line\n" * 40)], is_error=True))

_WRITES_DOWN = """
import os, sys
text = sys.stdin.buffer.read()
with open(sys.argv[1], "wb") as file:
    file.write(text)
with open(sys.argv[1] + ".less", "w") as file:
    file.write(os.environ["LESS"])
"""
_IS_INTERRUPTED = (
    """
import os, signal
os.kill(os.getppid(), signal.SIGINT)
"""
    + _WRITES_DOWN
)


def pager(folder: Path, program: str) -> tuple[Path, str]:
    script, paged = folder / "pager.py", folder / "paged"
    script.write_text(program)
    return paged, shlex.join([sys.executable, str(script), str(paged)])


class OnDisk(Terminal):
    """A terminal with a real file, which a pager can be given as its output."""

    def __init__(self, path: Path, is_terminal: bool = True, **environment: str) -> None:
        super().__init__()
        self.file = path.open("w+", encoding="utf-8")
        self.file.isatty = lambda: is_terminal  # type: ignore[method-assign]
        size = {"COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
        self.screen = Screen(self.file, self.err, {**size, **environment})

    @property
    def seen(self) -> str:
        self.file.flush()
        return Path(self.file.name).read_text(encoding="utf-8")

    def __enter__(self) -> "OnDisk":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


async def test_what_is_longer_than_the_terminal_goes_through_the_pager_with_its_colours(tmp_path: Path) -> None:
    paged, words = pager(tmp_path, _WRITES_DOWN)
    with OnDisk(tmp_path / "seen", PAGER=words) as terminal:
        await terminal.screen.show(LONG)
        assert terminal.seen == ""
    assert paged.read_text().count("\x1b[31ma line\x1b[0m\n") == 40
    assert paged.with_suffix(".less").read_text() == "FRX"


async def test_what_fits_does_not(tmp_path: Path) -> None:
    paged, words = pager(tmp_path, _WRITES_DOWN)
    with OnDisk(tmp_path / "seen", PAGER=words) as terminal:
        await terminal.screen.show(Text("\n".join(["line"] * 23)))
        assert terminal.seen.count("line\n") == 23
        await terminal.screen.show(Text("\n".join(["line"] * 24)))
        assert terminal.seen.count("line\n") == 23
    assert paged.read_text().count("line\n") == 24


async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    paged, words = pager(tmp_path, _WRITES_DOWN)
    with OnDisk(tmp_path / "seen", PAGER=words) as terminal:
        terminal.screen.pages = False
        await terminal.screen.show(LONG)
        assert terminal.seen.count("a line") == 40
    assert not paged.exists()


@pytest.mark.parametrize(("is_terminal", "term"), [(False, "xterm"), (True, "dumb")])
async def test_a_file_is_not_paged_nor_a_terminal_that_cannot(tmp_path: Path, is_terminal: bool, term: str) -> None:
    paged, words = pager(tmp_path, _WRITES_DOWN)
    with OnDisk(tmp_path / "seen", is_terminal, PAGER=words, TERM=term) as terminal:
        await terminal.screen.show(LONG)
        assert terminal.seen.count("a line") == 40
    assert not paged.exists()


async def test_without_the_program_everything_is_written(tmp_path: Path) -> None:
    with OnDisk(tmp_path / "seen", PAGER=str(tmp_path / "no-such-pager")) as terminal:
        await terminal.screen.show(LONG)
        assert terminal.seen.count("a line") == 40


async def test_a_pager_that_is_left_early_is_no_fault(tmp_path: Path) -> None:
    leaves = shlex.join([sys.executable, "-c", "import sys; sys.stdin.read(1)"])
    with OnDisk(tmp_path / "seen", PAGER=leaves) as terminal:
        await terminal.screen.show(Text("long line\n" * 20_000))
        assert terminal.seen == ""


async def test_ctrl_c_in_the_pager_does_not_end_the_client(tmp_path: Path) -> None:
    paged, words = pager(tmp_path, _IS_INTERRUPTED)
    with OnDisk(tmp_path / "seen", PAGER=words) as terminal:
        await terminal.screen.show(LONG)
    assert paged.exists()


async def test_lines_that_come_meanwhile_wait(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    waits = f"""
import pathlib, sys, time
sys.stdin.buffer.read()
print("open", flush=True)
while not pathlib.Path({str(gate)!r}).exists():
    time.sleep(0.01)
"""
    with OnDisk(tmp_path / "seen", PAGER=shlex.join([sys.executable, "-c", waits])) as terminal:
        showing = asyncio.create_task(terminal.screen.show(LONG))
        while "open" not in terminal.seen:
            await asyncio.sleep(0.01)
        terminal.screen.say("meanwhile")
        assert terminal.err.written == ""
        gate.touch()
        await showing
        assert "meanwhile" in terminal.err.written


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"PAGER": "less"}, ["less", "-R"]),
        ({"PAGER": "/usr/bin/less -S"}, ["/usr/bin/less", "-S", "-R"]),
        ({"PAGER": "bat --paging=always"}, ["bat", "--paging=always"]),
        ({"PAGER": ""}, None),
        ({"PAGER": "cat"}, None),
        ({"PAGER": "less 'unended"}, None),
        ({"PATH": ""}, None),
    ],
)
def test_which_pager(environment: dict[str, str], expected: list[str] | None) -> None:
    assert command(environment) == expected


def test_less_is_taken_where_there_is_one(tmp_path: Path) -> None:
    less = tmp_path / "less"
    less.touch(0o755)
    assert command({"PATH": str(tmp_path)}) == [str(less), "-R"]
