"""docs/answers.md and the README: what they show of answers was printed."""

import re
import shlex
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Final

import pytest
from rich.console import Console

from tests.answers.rows import BOOK, window
from tests.logs import Ask
from tollbook.sources.files import read_files
from tollbook.spend.answers.reconcile import RECONCILE_BY, Bill, Billed, reconciliation_of
from tollbook.spend.model import read_names
from tollbook.spend.query import Query
from tollbook.spend.render.answers import telling_of
from tollbook.spend.render.telling_screen import show_telling
from tollbook.spend.report import report_of

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = (ROOT / "docs" / "answers.md").read_text(encoding="utf-8")
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN: Final = dict(re.findall(r"^```\n\$ tollbook ([^\n]*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
BILLED: Final = "reconcile cloudwatch --since 2026-11-16 --until 2026-11-20"
WIDTH: Final = 100


def stripped(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


@pytest.fixture(autouse=True)
def _as_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", str(WIDTH))


def test_each_answer_has_an_example() -> None:
    shown = {shlex.split(command)[0] for command in SHOWN}
    assert shown == {"explain", "forecast", "anomalies", "budget", "what-if", "hygiene", "reconcile"}


@pytest.mark.parametrize("command", [command for command in SHOWN if command != BILLED])
def test_an_example_is_what_the_program_prints(command: str, ask: Ask) -> None:
    (logs,) = re.findall(r"`LOGS` stands for `([^`]*)`", PAGE)
    said = ask(*shlex.split(command.replace("LOGS", logs)))
    assert stripped(said.out) == SHOWN[command]


def test_the_readme_shows_how_an_explanation_begins(ask: Ask) -> None:
    found = re.search(r"^```\n\$ tollbook (explain [^\n]*)\n(.*?)^…\n```$", README, re.MULTILINE | re.DOTALL)
    assert found
    assert stripped(ask(*shlex.split(found[1])).out).startswith(found[2])


def test_its_budgets_are_those_of_the_example() -> None:
    assert f"```toml\n{(ROOT / 'examples' / 'budgets.toml').read_text(encoding='utf-8')}```" in PAGE


def lines() -> Iterator[Billed]:
    """A bill as it might be: five percent off, a guardrail, and a tax."""
    usage = {
        "Claude Sonnet 4.5 (Amazon Bedrock Edition)": ("2.10", "3.29", "4.71", "4.78", "4.51"),
        "Claude Opus 4.5 (Amazon Bedrock Edition)": ("0.59", "1.41", "1.35", "3.55", "1.00"),
        "Claude Haiku 4.5 (Amazon Bedrock Edition)": ("0.53", "0.10", "0.02", "0.00", "0.00"),
        "Amazon Bedrock": ("0.16", "0.24", "0.09", "0.21", "0.31"),
    }
    for service, amounts in usage.items():
        for days, amount in enumerate(amounts):
            yield Billed(date(2026, 11, 16) + timedelta(days), service, Decimal(amount))
    yield Billed(date(2026, 11, 16), "Amazon Bedrock", Decimal("1.90"), "Tax")


def test_the_reconciliation_is_what_a_made_up_bill_gives() -> None:
    since, until = date(2026, 11, 16), date(2026, 11, 21)
    query = Query(window(since, until - timedelta(1)), RECONCILE_BY)
    names = read_names(Path("examples/names.json").read_bytes(), "names.json")
    counted = read_files(["examples/eight-weeks.jsonl.gz"], query, lambda _done, _all: None, names=names).counted
    report = report_of(counted, query, query.by, BOOK, names)
    bill = Bill(since, until, date(2026, 11, 22), tuple(lines()), requests=1)
    screen = Console(width=WIDTH, file=StringIO(), highlight=False, markup=False, emoji=False)
    show_telling(telling_of(reconciliation_of(report, bill)), screen)
    assert isinstance(screen.file, StringIO)
    assert stripped(screen.file.getvalue()) == SHOWN[BILLED]
