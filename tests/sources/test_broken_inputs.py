"""Inputs that broke the reader once; `tests/data/fuzz/README.md` says how."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.logs import Ask, call, lines, write
from tollbook.sources.blocks import objects
from tollbook.sources.files import read_files
from tollbook.spend.query import Query
from tollbook.spend.window import Window, zone_of

FOUND = Path(__file__).parent.parent / "data" / "fuzz"
ALL_TIME = Query(Window(None, None, zone_of("UTC")), ("model",))

# By file: calls counted, lines rejected, and whether a note says that the input is not whole.
EXPECTED = {
    "last-day-of-the-calendar": (0, 1, False),
    "first-day-of-the-calendar": (0, 1, False),
    "event-at-the-end-of-the-calendar": (0, 1, False),
    "two-thousand-years": (1, 1, False),
    "bracket-then-records": (2, 0, False),
    "brace-then-records": (0, 1, True),
    "empty-page-then-records": (2, 0, False),
    "record-over-many-lines": (1, 0, False),
    "events-after-the-token": (1, 0, False),
    "cut-document": (1, 1, True),
    "document-in-short-members": (1, 0, False),
    "mark-in-gzip": (1, 0, False),
    "two-records-on-a-line": (3, 0, False),
    "record-over-two-lines": (2, 0, False),
    "surrogate-in-a-body": (1, 0, False),
    "half-a-letter-before-events": (0, 1, False),
    "brackets-that-do-not-match": (0, 1, True),
}


@pytest.mark.parametrize("name", sorted(path.name for path in FOUND.iterdir() if path.suffix != ".md"))
@pytest.mark.parametrize("tz", ["UTC", "Pacific/Auckland", "Pacific/Honolulu"])
def test_what_was_found_is_counted_or_said(ask: Ask, name: str, tz: str) -> None:
    report = ask("report", str(FOUND / name), "--tz", tz, "--format", "json").json
    is_said = any("is no whole" in note for note in report["notes"])
    assert (report["totals"]["calls"], report["rejected"]["lines"], is_said) == EXPECTED[name]
    assert ask("report", str(FOUND / name), "--tz", tz).code == 0


def test_a_compressed_document_is_not_shared_out(tmp_path: Path) -> None:
    """Where its objects begin only a reader of the whole knows, so one process reads it."""
    rows = [
        {key: value for key, value in call(body={"x": "y" * 900}).items() if key != "requestId"} for _ in range(6000)
    ]
    path = tmp_path / "events.json.gz"
    path.write_bytes(
        gzip.compress(
            json.dumps({"events": [{"timestamp": 1, "message": json.dumps(row)} for row in rows]}).encode(), 0
        )
    )
    counted = read_files([str(path)], ALL_TIME, lambda done, total: None, 2).counted
    assert sum(row.usage.calls for row in counted.rows()) == 6000
    assert not counted.rejected


def test_a_byte_order_mark_before_a_shared_file(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + lines(call(body={"x": "y" * 2000}) for _ in range(3000)))
    counted = read_files([str(path)], ALL_TIME, lambda done, total: None, 2).counted
    assert sum(row.usage.calls for row in counted.rows()) == 3000
    assert not counted.rejected


def test_a_string_without_an_end_is_given_up(ask: Ask, tmp_path: Path) -> None:
    """It is looked at a few times, not once for each block: that would take minutes."""
    path = tmp_path / "endless.json"
    path.write_bytes(b'{"events": [{"message": "' + b'\\"' * (8 << 20))
    assert ask("report", str(path), "--format", "json").json["rejected"]["lines"] == 1


@pytest.mark.parametrize("columns", ["1", "8", "9", "25", "31"])
def test_a_terminal_hardly_wider_than_a_word(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    records = [call(timestamp=f"2026-11-{day:02}T00:00:00Z") for day in range(1, 20)]
    assert ask("report", write(tmp_path / "log.jsonl", *records)).code == 0


def test_a_document_is_read_the_same_wherever_it_is_cut_in_two() -> None:
    document = json.dumps(
        {"nextToken": "x", "events": [{"message": 'a "quoted\\" } text'}, {}], "more": [{}]}, indent=1
    ).encode()
    document = document.replace(b'"events":', b'"events" :')
    whole = list(objects(iter([document]), pytest.fail))
    assert len(whole) == 2
    for cut in range(1, len(document)):
        assert list(objects(iter([document[:cut], document[cut:]]), pytest.fail)) == whole


def test_brackets_without_end_are_given_up(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_bytes(b"[" * (1 << 20))
    report = ask("report", str(path), "--format", "json").json
    assert any("nested deeper than" in note for note in report["notes"])


class TestWhatAReviewFound:
    def test_a_long_page_on_one_line_may_begin_with_its_token(self, ask: Ask, tmp_path: Path) -> None:
        events = [{"timestamp": 1795166102000, "message": json.dumps(call(body={"x": "y" * 900}))} for _ in range(200)]
        path = tmp_path / "page.json"
        path.write_text(json.dumps({"nextToken": "f/1", "n": 2, "more": None, "events": events}))
        report = ask("report", str(path), "--format", "json").json
        assert (report["totals"]["calls"], report["rejected"]["lines"]) == (200, 0)

    def test_a_provisioned_model_has_no_price_by_the_token_even_when_its_model_is_named(
        self, ask: Ask, tmp_path: Path
    ) -> None:
        names = tmp_path / "names.json"
        names.write_text('{"pm": {"model": "anthropic.claude-3-haiku-20240307-v1:0"}}')
        log = write(tmp_path / "log.jsonl", call(model="arn:aws:bedrock:us-east-1:1:provisioned-model/pm"))
        report = ask("report", log, "--by", "model", "--names", str(names), "--format", "json").json
        assert report["groups"][0]["cost_usd"] is None
        assert report["groups"][0]["model"] == "anthropic.claude-3-haiku-20240307-v1:0"

    @pytest.mark.parametrize(
        "behind", ["openai.gpt-oss-120b-1:0", "arn:aws:bedrock:us-east-1::foundation-model/openai.gpt-oss-120b-1:0"]
    )
    def test_openai_behind_a_named_profile_is_openai(self, ask: Ask, tmp_path: Path, behind: str) -> None:
        names = tmp_path / "names.json"
        names.write_text(json.dumps({"oai": {"model": behind}}))
        profile = "arn:aws:bedrock:us-east-1:1:application-inference-profile/oai"
        log = write(tmp_path / "log.jsonl", call(model=profile, tokens=(1000, 0), cache=(900, 0)))
        report = ask("report", log, "--by", "model", "--names", str(names), "--format", "json").json
        (group,) = report["groups"]
        assert (group["model"], group["input_tokens"]) == ("openai.gpt-oss-120b-1:0", 100)
        assert "gross_assumed" in group["status"]

    def test_an_error_code_may_be_a_number_and_so_may_a_request_id(self, ask: Ask, tmp_path: Path) -> None:
        log = write(tmp_path / "log.jsonl", call(errorCode=429), call(requestId=7), call(requestId=7))
        report = ask("report", log, "--by", "error", "--format", "json").json
        assert {group["error"]: group["calls"] + group["errors"] for group in report["groups"]} == {None: 1, "429": 1}
        assert report["duplicates"] == 1

    def test_a_date_is_a_whole_day_however_it_is_written(self, ask: Ask, tmp_path: Path) -> None:
        log = write(tmp_path / "log.jsonl", call())
        for day in ("2026-11-20", "20261120", "2026-W47-5"):
            assert ask("report", log, "--until", day, "--format", "json").json["totals"]["calls"] == 1

    def test_roles_of_one_path_stay_apart(self, ask: Ask, tmp_path: Path) -> None:
        records = [call(arn=f"arn:aws:iam::1:role/service/{name}") for name in "AB"]
        report = ask("report", write(tmp_path / "log.jsonl", *records), "--format", "json").json
        assert [group["principal"] for group in report["groups"]] == ["role/A", "role/B"]

    def test_what_the_table_adds_up_is_as_unpriced_as_its_parts(self, ask: Ask, tmp_path: Path) -> None:
        log = write(tmp_path / "log.jsonl", *(call(model=f"new.model-{number}") for number in range(3)), call())
        (rest,) = [
            line for line in ask("report", log, "--by", "model", "--top", "1").out.splitlines() if "3 more" in line
        ]
        assert "unpriced" in rest
        assert "$" not in rest

    def test_a_call_without_tokens_is_said(self, ask: Ask, tmp_path: Path) -> None:
        log = write(tmp_path / "log.jsonl", call(tokens=(None, None)))
        assert "served without any tokens in the log: 1 calls" in ask("report", log).out

    def test_links_that_lead_nowhere_or_in_circles_are_passed_over(self, ask: Ask, tmp_path: Path) -> None:
        write(tmp_path / "logs" / "a.jsonl", call())
        (tmp_path / "logs" / "loop.jsonl").symlink_to("loop.jsonl")
        (tmp_path / "logs" / "gone.jsonl").symlink_to("nowhere")
        assert ask("report", str(tmp_path / "logs"), "--format", "json").json["totals"]["calls"] == 1

    def test_a_glob_over_a_delivery_tree_leaves_its_bodies_out(self, ask: Ask, tmp_path: Path) -> None:
        hour = tmp_path / "2026/11/20/09"
        write(hour / "a.json", call())
        write(hour / "data" / "b.json", {"messages": []})
        report = ask("report", str(tmp_path / "**" / "*.json"), "--format", "json").json
        assert (report["totals"]["calls"], report["rejected"]["lines"]) == (1, 0)

    def test_csv_says_beside_it_what_it_leaves_out(self, ask: Ask, tmp_path: Path) -> None:
        answer = ask("report", write(tmp_path / "log.jsonl", call(model="new.model"), "broken"), "--format", "csv")
        assert "unpriced: 1 request, " in answer.err
        assert "rejected: 1 line (" in answer.err

    def test_a_screen_that_lacks_a_letter_shows_its_code(self, tmp_path: Path) -> None:
        log = write(
            tmp_path / "log.jsonl", call(model="amazon.nova-micro-v1:0", cache=(0, 10), region="Zürich 東京"), call()
        )
        words = [sys.executable, "-m", "tollbook", "report", log, "--by", "region"]
        done = subprocess.run(words, capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": "latin-1"})
        assert b"\\u6771" in done.stdout

    @pytest.mark.parametrize("words", ["''", "~nobody-of-this-name/x", "LOG --now 2026-11-20"])
    def test_a_sentence_and_no_traceback(self, ask: Ask, tmp_path: Path, words: str) -> None:
        log = write(tmp_path / "log.jsonl", call())
        answer = ask("report", *("" if word == "''" else word.replace("LOG", log) for word in words.split()))
        assert answer.code in (1, 2)
        assert answer.err.count("\n") == 1


def test_a_fault_of_our_own_is_a_sentence_too() -> None:
    """The fault is put there by hand: none is known."""
    program = "import sys; from tollbook import cli\ncli.main = lambda words: 1 / 0\ncli.run()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("tollbook: This is a fault of tollbook's own.")
    assert "Traceback" not in done.stderr
