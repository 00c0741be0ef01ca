"""The table as a terminal shows it."""

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pyte
import pytest

ROOT = Path(__file__).parent.parent
WORDS = [
    "report",
    "examples/bedrock-logs.jsonl.gz",
    "--names",
    "examples/names.json",
    "--days",
    "14",
    "--now",
    "2026-11-22T12:00Z",
]
LINES = 60


def screen(columns: int, *words: str, margin: int = 0) -> pyte.Screen:
    """What stands on a terminal of that width once the program has ended; with a margin that it does not know of."""
    ours, theirs = pty.openpty()
    environment = {
        **os.environ,
        "COLUMNS": str(columns),
        "LINES": str(LINES),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }
    environment.pop("NO_COLOR", None)
    program = [sys.executable, "-m", "tollbook", *words]
    with subprocess.Popen(
        program, stdout=theirs, stderr=theirs, stdin=theirs, env=environment, cwd=ROOT, close_fds=True
    ) as running:
        os.close(theirs)
        shown = pyte.Screen(columns + margin, LINES)
        stream = pyte.ByteStream(shown)
        while select.select([ours], [], [], 30)[0]:
            try:
                data = os.read(ours, 1 << 16)
            except OSError:  # the terminal is closed at their end
                break
            stream.feed(data)
        running.wait(30)
    os.close(ours)
    assert running.returncode == 0
    return shown


def picture(columns: int) -> str:
    """The demo on a terminal of that width, without its colours."""
    return "\n".join(line.rstrip() for line in screen(columns, *WORDS).display).rstrip() + "\n"


@pytest.mark.parametrize("columns", [80, 120])
def test_the_demo_looks_as_it_should(columns: int) -> None:
    """After a change that is meant: `python -m tests.test_screen`, and look at the files it writes."""
    assert picture(columns) == (ROOT / "tests" / "data" / f"screen-{columns}.txt").read_text()


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
def test_no_line_is_broken_at_any_width(columns: int) -> None:
    """The screen is wider than the program is told, so that a line that is too long shows as such."""
    lines = screen(columns, *WORDS, "--by", "model,scope", margin=80).display
    assert any(set(line.strip()) == {"─"} for line in lines)
    assert max(len(line.rstrip()) for line in lines) <= columns


def test_the_chart_is_in_colour_on_a_terminal() -> None:
    shown = screen(80, *WORDS)
    colours = {shown.buffer[row][column].fg for row in range(LINES) for column in range(80)}
    assert {"3987e5", "1baf7a", "eda100"} <= colours


if __name__ == "__main__":  # writes the screens anew; look at them
    for width in (80, 120):
        Path(__file__).with_name("data").joinpath(f"screen-{width}.txt").write_text(picture(width))
