"""`tollbook explain`, `forecast`, `anomalies`, `what-if`, `budget`, `hygiene` and `reconcile`, as a user types them."""

import os
import pty
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from tests.logs import Ask, call, write

ROOT: Final = Path(__file__).parents[2]
LOG: Final = str(ROOT / "examples" / "eight-weeks.jsonl.gz")
NAMES: Final = ("--names", str(ROOT / "examples" / "names.json"))
NOW: Final = ("--now", "2026-11-22T12:00Z")
COMMANDS: Final = ("explain", "forecast", "anomalies", "what-if --caching none", "hygiene")
BUDGETS: Final = """
[budgets.everything]
usd = 80

[budgets.rag]
usd = 20
per = "week"
principal = "role/rag-api"
"""


def cost(ask: Ask, *words: str) -> Decimal:
    """What a report says that it cost."""
    return Decimal(ask("report", LOG, *NAMES, *words, "--format", "json").json["totals"]["cost_usd"])


def asked(ask: Ask, command: str, *words: str) -> Any:
    return ask(*command.split(), LOG, *NAMES, *NOW, *words, "--format", "json").json


@pytest.fixture
def team_file(tmp_path: Path) -> str:
    path = tmp_path / "tollbook.toml"
    path.write_text(BUDGETS)
    return str(path)


class TestWindows:
    """Which days an answer is about: the figures are those of a report of the same days."""

    def test_explain_compares_seven_whole_days_with_the_seven_before(self, ask: Ask) -> None:
        found = asked(ask, "explain")
        after = cost(ask, "--since", "2026-11-15", "--until", "2026-11-21")
        before = cost(ask, "--since", "2026-11-08", "--until", "2026-11-14")
        assert Decimal(found["after"]["cost_usd"]) == pytest.approx(after, abs=Decimal("0.000001"))
        assert Decimal(found["change_usd"]) == pytest.approx(after - before, abs=Decimal("0.000002"))

    def test_explain_takes_days_of_ones_own_and_as_many_before(self, ask: Ask) -> None:
        found = asked(ask, "explain", "--since", "2026-11-10", "--until", "2026-11-12")
        assert found["before_period"]["since"] == "2026-11-07T00:00:00Z"
        assert Decimal(found["after"]["cost_usd"]) == pytest.approx(
            cost(ask, "--since", "2026-11-10", "--until", "2026-11-12"), abs=Decimal("0.000001")
        )
        others = asked(
            ask,
            "explain",
            *("--since", "2026-11-10", "--until", "2026-11-12"),
            *("--against-since", "2026-10-10", "--against-until", "2026-10-12"),
        )
        assert others["before_period"]["since"] == "2026-10-10T00:00:00Z"
        assert others["after"] == found["after"]

    def test_days_are_those_of_the_zone(self, ask: Ask) -> None:
        zone = ("--tz", "America/New_York")
        found = asked(ask, "explain", "--days", "3", *zone)
        assert found["after_period"]["since"] == "2026-11-19T00:00:00-05:00"
        assert Decimal(found["after"]["cost_usd"]) == pytest.approx(
            cost(ask, "--since", "2026-11-19", "--until", "2026-11-21", *zone), abs=Decimal("0.000001")
        )

    def test_a_forecast_begins_with_what_the_month_has_cost_so_far(self, ask: Ask) -> None:
        found = asked(ask, "forecast")
        so_far = cost(ask, "--since", "2026-11-01", "--until", "2026-11-22")
        assert Decimal(found["so_far_usd"]) == pytest.approx(so_far, abs=Decimal("0.000001"))

    @pytest.mark.parametrize(("command", "field"), [("what-if --caching none", "current_usd"), ("hygiene", "usd")])
    def test_thirty_days_are_looked_at_where_no_time_is_asked_for(self, ask: Ask, command: str, field: str) -> None:
        found = asked(ask, command)
        assert Decimal(found[field]) == pytest.approx(cost(ask, "--days", "30", *NOW), abs=Decimal("0.000001"))
        some = asked(ask, command, "--days", "5")
        assert Decimal(some[field]) == pytest.approx(cost(ask, "--days", "5", *NOW), abs=Decimal("0.000001"))

    @pytest.mark.parametrize("command", ["explain", "what-if --caching none", "hygiene", "report"])
    def test_now_goes_with_days_of_ones_own(self, ask: Ask, command: str) -> None:
        words = (*command.split(), LOG, *NAMES, "--since", "2026-11-10", "--until", "2026-11-12")
        form = ("--format", "html" if command == "report" else "json")
        plain, dated = ask(*words, *form), ask(*words, *NOW, *form)
        assert (plain.code, dated.code) == (0, 0)
        if command != "report":  # the page says when it was made
            assert dated.json["basis"]["period"] == plain.json["basis"]["period"]

    def test_only_some_calls_may_be_meant(self, ask: Ask) -> None:
        found = asked(ask, "explain", "--principal", "rag-api", "--model", "sonnet")
        assert [mover["name"] for mover in found["principals"]] == ["role/rag-api"]
        assert len(found["models"]) == 1
        assert "only calls with principal rag-api, model sonnet" in str(found["basis"]["notes"])


class TestForms:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_answer_says_which_form_its_json_has(self, ask: Ask, command: str) -> None:
        found = asked(ask, command)
        assert found["schema"] == f"tollbook.{command.split()[0]}/1"
        assert found["basis"]["whose"] == "all calls"

    @pytest.mark.parametrize("command", COMMANDS)
    def test_a_table_a_text_and_markdown_say_the_same_sentence(self, ask: Ask, command: str) -> None:
        table, text, markdown = (
            ask(*command.split(), LOG, *NAMES, *NOW, "--format", form) for form in ("table", "text", "markdown")
        )
        assert (table.code, text.code, markdown.code) == (0, 0, 0)
        lead = text.out.split("\n")[1]
        assert lead in " ".join(table.out.split())
        assert f"**{lead}**" in markdown.out.replace("\\", "")
        assert "\x1b" not in table.out
        assert max(map(len, table.out.split("\n"))) <= 80


class TestBudgets:
    def test_a_budget_that_is_not_used_up_is_fine(self, ask: Ask, team_file: str) -> None:
        answer = ask("budget", "check", LOG, *NAMES, *NOW, "--file", team_file)
        assert answer.code == 0
        first, second = answer.out.splitlines()
        assert re.match(r"warning  everything \(all calls\): spent at least \$\d+\.\d\d of \$80.00 ", first)
        assert second.startswith("ok       rag (principal role/rag-api): ")

    def test_a_threshold_decides_the_exit_code(self, ask: Ask, team_file: str) -> None:
        words = ("budget", "check", LOG, *NAMES, *NOW, "--file", team_file, "--threshold")
        share = asked(ask, "budget show", "--file", team_file)["budgets"][0]["spent_share"]
        percent = Decimal(share) * 100
        assert ask(*words, str(percent)).code == 1
        assert ask(*words, str(percent + 1)).code == 0
        over = ask(*words, "50")
        assert over.code == 1
        assert over.out.count("\n") == 2
        assert "everything" in over.err
        assert "rag" not in over.err

    @pytest.mark.parametrize("percent", ["10.5", "0.25", "33"])
    def test_the_threshold_is_told_as_it_was_given(self, ask: Ask, team_file: str, percent: str) -> None:
        over = ask("budget", "check", LOG, *NAMES, *NOW, "--file", team_file, "--threshold", percent)
        assert over.err.splitlines()[-1].startswith(f"tollbook: {percent}% or more of its limit is spent: everything")

    @pytest.mark.parametrize("action", ["check", "show"])
    @pytest.mark.parametrize("option", ["--model", "--principal"])
    def test_a_budget_is_never_judged_by_a_part_of_its_calls(self, team_file: str, action: str, option: str) -> None:
        done = run("budget", action, LOG, *NOW, "--file", team_file, option, "nobody")
        assert (done.returncode, done.stdout) == (2, b"")
        assert b"unrecognized arguments" in done.stderr

    def test_the_file_of_the_folder_is_read(self, ask: Ask, team_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(Path(team_file).parent)
        found = asked(ask, "budget show")
        assert [each["name"] for each in found["budgets"]] == ["everything", "rag"]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("[budgets", "is not TOML"),
            ("[deploy]\n", "holds no budgets. Write one there"),
            ("[budgets.a]\nper = 'week'\n", "budgets.a: It lacks its limit"),
            ("budgets = 3\n", "holds no budgets. Write one there"),
        ],
    )
    def test_a_file_that_cannot_be_used_is_said_to_be_so(self, ask: Ask, tmp_path: Path, text: str, says: str) -> None:
        path = tmp_path / "other.toml"
        path.write_text(text)
        answer = ask("budget", "show", LOG, "--file", str(path))
        assert (answer.code, answer.out) == (2, "")
        assert says in answer.err


class TestMistakes:
    """Each gets one sentence."""

    @pytest.mark.parametrize(
        ("words", "code", "says"),
        [
            ("explain LOG --days 0 NOW", 2, "a whole number from 1 to 3660"),
            ("explain LOG --days 3 --since 2026-11-20 --until 2026-11-21", 2, "Give one of them"),
            ("explain LOG --since 2026-11-20", 2, "Give "),
            ("explain LOG --since 2026-11-20T10:00 --until 2026-11-21", 2, "Whole days are compared"),
            ("explain LOG NOW --against-since 2026-11-02", 2, "Give both"),
            ("explain LOG NOW --against-since 2026-11-02 --against-until 2026-11-01", 2, "Exchange the two"),
            ("explain LOG NOW --against-since soon --against-until 2026-11-01", 2, "--against-since 'soon' is no date"),
            ("forecast LOG --now soon", 2, "--now 'soon' is no date or time"),
            ("forecast LOG NOW --tz Mars", 2, "There is no time zone 'Mars'"),
            ("forecast LOG --now 2026-10-01", 2, "7"),
            ("anomalies LOG NOW --floor much", 2, "--floor takes a number"),
            ("anomalies LOG NOW --days 0", 2, "--days takes a whole number from 1"),
            ("what-if LOG NOW --to-model nothing-like-it", 2, "nothing-like-it"),
            ("what-if LOG NOW --caching often", 2, "Caching 'often' is not known"),
            ("what-if LOG NOW --to-tier gold", 2, "gold"),
            ("budget check LOG NOW --threshold x --file nowhere.toml", 2, "--threshold takes a number"),
            ("budget show LOG NOW --file nowhere.toml", 1, "Cannot read nowhere.toml"),
            ("hygiene LOG NOW --account 111122223333", 2, "--account and --fresh are for logs on AWS"),
            ("reconcile LOG NOW", 1, "requests to Cost Explorer at $0.01 each"),
            ("reconcile LOG NOW --tz Europe/Berlin --yes", 2, "days of UTC"),
            ("report LOG NOW --since 2026-11-20 --until 2026-11-18", 2, "--until 2026-11-18 comes before --since"),
            ("report LOG NOW --since 2026-11-20", 2, "--now is the moment that --days counts back from"),
            ("hygiene LOG NOW --since 2026-11-20 --until 2026-11-18", 2, "--until 2026-11-18 comes before --since"),
            ("explain LOG NOW --since 2026-11-20 --until 2026-11-18", 2, "--until 2026-11-18 comes before --since"),
            ("report LOG --since 2026-11-20 --now soon --format html", 2, "--now 'soon' is no date or time"),
            ("explain nowhere.jsonl", 1, "There is no file or folder nowhere.jsonl"),
            ("report LOG --format html --by model", 2, "Leave out --by"),
        ],
    )
    def test_one_sentence_and_no_traceback(self, ask: Ask, words: str, code: int, says: str) -> None:
        answer = ask(*words.replace("LOG", LOG).replace("NOW", " ".join(NOW)).split())
        assert says in answer.err
        assert (answer.code, answer.out) == (code, "")
        assert re.fullmatch(r"tollbook: [^\n]+\n", answer.err)

    def test_where_no_calls_lie_it_says_on_which_days_some_do_and_what_to_type(self, ask: Ask) -> None:
        answer = ask("explain", LOG, "--now", "2027-03-01")
        assert answer.code == 1
        assert answer.err == (
            "tollbook: No calls lie in Feb 15 – Feb 28, 2027 UTC: these logs have them from 2026-09-28 to 2026-11-22. "
            "Add --now 2026-11-23.\n"
        )
        assert ask("explain", LOG, "--now", "2026-11-23").code == 0
        answer = ask("hygiene", LOG, "--since", "2027-01-01")
        assert answer.err == (
            "tollbook: No calls lie in the time that was asked for: these logs have them from 2026-09-28 to "
            "2026-11-22. Ask for some of those days.\n"
        )

    def test_where_no_call_is_meant_it_says_which_were_asked_for(self, ask: Ask) -> None:
        answer = ask("forecast", LOG, *NOW, "--principal", "nobody\u202e")
        assert (answer.code, answer.out) == (1, "")
        assert answer.err == "tollbook: There are no calls with principal nobody<U+202E> in these logs.\n"

    @pytest.mark.parametrize("command", [*COMMANDS, "budget check", "budget show"])
    def test_lines_that_are_no_records_are_told_where_there_is_nothing_else(
        self, ask: Ask, tmp_path: Path, team_file: str, command: str
    ) -> None:
        log = write(tmp_path / "log.jsonl", "hello", "{}", "[1]", "also not")
        also = ("--file", team_file) if command.startswith("budget") else ()
        answer = ask(*command.split(), log, *NOW, *also)
        assert (answer.code, answer.out) == (1, "")
        assert answer.err == (
            "tollbook: There are no calls in these logs.\n  rejected: 4 lines (not_an_invocation 2, not_json 2)\n"
        )

    def test_lines_that_are_no_records_are_told_where_the_calls_lie_elsewhere(self, ask: Ask, tmp_path: Path) -> None:
        log = write(tmp_path / "log.jsonl", "hello", call())
        answer = ask("hygiene", log, "--now", "2027-03-01")
        assert answer.err.endswith(" Add --now 2026-11-21.\n  rejected: 1 line (not_json 1)\n")

    def test_lines_that_are_no_records_are_told_beside_a_page(self, ask: Ask, tmp_path: Path) -> None:
        log = write(tmp_path / "log.jsonl", "hello", "{}")
        page, table = (ask("report", log, "--format", form) for form in ("html", "table"))
        assert page.err == "rejected: 2 lines (not_an_invocation 1, not_json 1)\n"
        assert page.code == table.code == 0

    def test_standard_input_is_read_only_once(self, tmp_path: Path) -> None:
        log = write(tmp_path / "log.jsonl", call())
        done = run("explain", "-", "--now", "2027-03-01", stdin=Path(log).read_bytes())
        assert done.returncode == 1
        assert b"No calls lie in Feb 15" in done.stderr


class TestPage:
    def test_html_is_a_page_with_the_figures_inside(self, ask: Ask) -> None:
        answer = ask("report", LOG, *NAMES, *NOW, "--days", "14", "--format", "html")
        assert answer.code == 0
        assert answer.out.startswith("<!doctype html>")
        assert "tollbook.overview/1" in answer.out

    def test_html_is_not_written_to_a_terminal(self) -> None:
        ours, theirs = pty.openpty()
        done = run("report", LOG, "--format", "html", stdout=theirs)
        os.close(theirs)
        os.close(ours)
        assert done.returncode == 2
        assert b"Send it to a file: tollbook report " in done.stderr


@pytest.mark.parametrize("form", ["table", "text", "json", "html"])
@pytest.mark.parametrize("command", ["explain", "report"])
def test_whoever_stops_reading_is_no_fault(command: str, form: str) -> None:
    if (command, form) == ("explain", "html"):
        form = "markdown"
    theirs, ours = os.pipe()
    os.close(theirs)
    done = run(command, LOG, "--days", "7", *NOW, "--format", form, stdout=ours)
    os.close(ours)
    assert done.returncode == 0
    assert b"rror" not in done.stderr


def run(*words: str, stdin: bytes = b"", stdout: int = subprocess.PIPE) -> "subprocess.CompletedProcess[bytes]":
    program = [sys.executable, "-m", "tollbook", *words]
    # What nobody reads from a terminal would be written forever.
    return subprocess.run(
        program, input=stdin, stdout=stdout, stderr=subprocess.PIPE, check=False, cwd=ROOT, timeout=60
    )


@pytest.mark.parametrize("words", ["explain", "budget check", "hygiene --tag team"])
def test_files_are_answered_without_what_only_a_server_or_aws_needs(words: str, team_file: str) -> None:
    also = ["--file", team_file] if words.startswith("budget") else []
    program = (
        "import sys; from tollbook.cli import main; "
        f"main({[*words.split(), LOG, *NOW, *also, '--format', 'json']!r}); "
        "sys.exit(' '.join({'mcp', 'uvicorn', 'boto3', 'pydantic', 'starlette', 'rich'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
