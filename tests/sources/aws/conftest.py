"""CloudWatch Logs as a server of its own, and the log that all sources are to give the same report of."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fakes.cloudwatch_logs import Logs, cloudwatch_logs
from tests.fakes.processes import unmeasured
from tollbook.sources.reading import Stretch

_GENERATOR: Final = Path(__file__).parents[3] / "bench" / "gen_logs.py"
_DAYS: Final = 13  # moto drops events that are older than 14


@dataclass(frozen=True, slots=True)
class TheLog:
    """A log of 13 days up to the beginning of today.

    Attributes:
        path: JSON lines, some of them twice.
        truth: what `bench/gen_logs.py` says of it.
        days: all of them, as stretches.
    """

    path: Path
    truth: Any
    days: tuple[Stretch, ...]


@pytest.fixture(scope="session")
def cloudwatch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logs]:
    """A server that runs as long as the tests do; each test makes log groups of its own."""
    with cloudwatch_logs(tmp_path_factory.mktemp("cloudwatch") / "logs.log") as logs:
        yield logs


@pytest.fixture(scope="session")
def the_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TheLog]:
    """Some thousand records; TOLLBOOK_TEST_RECORDS=50000 makes it a log of half a gigabyte."""
    path = tmp_path_factory.mktemp("the-log") / "log.jsonl"
    midnight = datetime.combine(datetime.now(UTC).date(), datetime.min.time(), UTC)
    events = os.environ.get("TOLLBOOK_TEST_RECORDS", "2500")
    words = ["--events", events, "--profile", "mixed", "--dupes", "0.01", "--days", str(_DAYS)]
    words += ["--end", f"{midnight:%Y-%m-%d}", "--out", str(path)]
    subprocess.run([sys.executable, str(_GENERATOR), *words], check=True, capture_output=True, env=unmeasured())
    starts = [midnight - timedelta(days=number) for number in range(_DAYS, 0, -1)]
    days = tuple(Stretch(start, start + timedelta(days=1)) for start in starts)
    yield TheLog(path, json.loads(Path(f"{path}.truth.json").read_text()), days)
    path.unlink()
