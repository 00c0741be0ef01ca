"""`tollbook explain cloudwatch:…` and others: what the same events in a file say, under the same limits."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fakes.cloudwatch_logs import Logs, Setting
from tests.fakes.invocations import Rendered
from tests.fakes.moto import REGION, go_to_moto
from tests.logs import Ask

NOW: Final = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)
ASKED: Final = ("--format", "json", "--now", NOW.isoformat())


@pytest.fixture
def group(cloudwatch: Logs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A log group with 16 days of calls."""
    go_to_moto("CLOUDWATCH_LOGS", cloudwatch.url, monkeypatch, tmp_path)
    monkeypatch.setenv("TOLLBOOK_LOOK_UP", "none")
    since, until = (int(time.timestamp()) * 1000 for time in (NOW - timedelta(days=16), NOW))
    events = Rendered(1_500, since_ms=since, until_ms=until)
    return cloudwatch.set(Setting("/tollbook/answers", rendered=events, region=REGION))


def figures(found: Any) -> Any:
    """An answer without what tells how it was made."""
    basis = {key: value for key, value in found["basis"].items() if key not in ("notes", "duplicates")}
    return {**found, "basis": basis}


@pytest.mark.parametrize("command", ["explain", "forecast", "hygiene --days 9"])
def test_it_says_what_the_same_events_in_a_file_say(
    ask: Ask, cloudwatch: Logs, group: str, tmp_path: Path, command: str
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(cloudwatch.lines(group))
    found = ask(*command.split(), f"cloudwatch:{group}", *ASKED).json
    assert figures(found) == figures(ask(*command.split(), str(path), *ASKED).json)


def test_nothing_is_read_above_the_limits_unless_somebody_agrees(ask: Ask, cloudwatch: Logs, group: str) -> None:
    created, now = (int(time.timestamp()) * 1000 for time in (NOW - timedelta(days=20), NOW))
    events = Rendered(9, since_ms=now - 999, until_ms=now)
    dear = Setting("/tollbook/dear", rendered=events, region=REGION, stored_bytes=10**13, created_ms=created)
    answer = ask("explain", f"events:{cloudwatch.set(dear)}", *ASKED, "--max-scan-gb", "0.5")
    assert (answer.code, answer.out) == (1, "")
    assert "Nothing was read: it takes about" in answer.err
    assert cloudwatch.stats(dear.name).requests == 0
    assert ask("explain", f"events:{group}", *ASKED, "--max-scan-gb", "0.000001", "--yes").code == 0


def test_where_nobody_calls_budgets_are_unspent_and_other_answers_say_that_there_is_nothing(
    ask: Ask, group: str, tmp_path: Path
) -> None:
    path = tmp_path / "tollbook.toml"
    path.write_text("[budgets.all]\nusd = 1\n")
    early = ("--now", (NOW - timedelta(days=90)).isoformat())
    answer = ask("budget", "check", f"cloudwatch:{group}", *early, "--file", str(path))
    assert (answer.code, answer.out[:36]) == (0, "ok       all (all calls): spent $0.0")
    answer = ask("explain", f"cloudwatch:{group}", *early)
    assert answer.code == 1
    assert "Ask for another time with --now." in answer.err
