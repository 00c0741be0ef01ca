"""What the command line makes of logs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

EIGHT_WEEKS: Final = Path(__file__).parents[2] / "examples" / "eight-weeks.jsonl.gz"
NOW: Final = "2026-11-22T12:00Z"


def printed(
    tmp_path_factory: pytest.TempPathFactory, *words: str, logs: Path = EIGHT_WEEKS, now: str | None = NOW
) -> str:
    """What `tollbook report` prints, with nothing of the user's in it."""
    home = str(tmp_path_factory.mktemp("home"))
    command = [sys.executable, "-m", "tollbook", "report", str(logs), *words, *(["--now", now] if now else [])]
    environment = {**os.environ, "XDG_DATA_HOME": home, "XDG_CACHE_HOME": home}
    done = subprocess.run(command, capture_output=True, env=environment, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
