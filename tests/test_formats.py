"""The forms of a report, and that nothing in a log can deceive whoever reads one."""

import csv
import io
import json
import re
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.logs import SAMPLES, Ask, call, write

ROOT = Path(__file__).parent.parent
DEMO = ("report", str(ROOT / "examples" / "bedrock-logs.jsonl.gz"), "--names", str(ROOT / "examples" / "names.json"))
SCHEMA = json.loads((ROOT / "docs" / "report-schema.json").read_text())
ALL = (
    "day,hour,model,vendor,scope,profile,principal,session,account,region,inference-region,operation,error,tier,"
    "tag:team,tag:none"
)
FORMATS = ("table", "text", "json", "csv", "markdown")


@pytest.mark.parametrize("by", ["principal", ALL, "tag:team"])
@pytest.mark.parametrize("log", [str(SAMPLES), DEMO[1]])
def test_json_keeps_its_promise(ask: Ask, log: str, by: str) -> None:
    report = ask("report", log, "--by", by, "--format", "json").json
    jsonschema.validate(report, SCHEMA, format_checker=jsonschema.FormatChecker())
    assert report["group_by"] == by.replace("-", "_").split(",")
    assert report["groups"]


@pytest.mark.parametrize("by", ["principal", "model,region", "day,model", "tier,operation", "tag:team", ALL])
def test_the_groups_add_up_to_the_totals(ask: Ask, by: str) -> None:
    report = ask(*DEMO, "--by", by, "--format", "json").json
    for measure, total in report["totals"].items():
        values = [group[measure] for group in report["groups"]]
        if measure.endswith("_usd"):
            assert sum(Decimal(value) for value in values if value is not None) == Decimal(total)
        else:
            assert sum(values) == total


def test_groups_come_by_money_the_dearest_first_and_days_in_order(ask: Ask) -> None:
    def costs(by: str) -> list[tuple[Any, Decimal]]:
        groups = ask(*DEMO, "--by", by, "--format", "json").json["groups"]
        return [(group[by.partition(",")[0]], Decimal(group["cost_usd"] or 0)) for group in groups]

    money = [cost for _, cost in costs("principal")]
    assert money == sorted(money, reverse=True)
    by_day = costs("day,model")
    assert by_day == sorted(by_day, key=lambda pair: (pair[0], -pair[1]))


def test_groups_alike_come_in_one_order_however_the_log_is_read(ask: Ask, tmp_path: Path) -> None:
    tagged = [call(requestMetadata={"team": ""}), call(), call(requestMetadata={"team": "a"})]
    texts = {
        ask("report", write(tmp_path / "log.jsonl", *records), "--by", "tag:team", "--format", "csv").out
        for records in permutations(tagged)
    }
    assert len(texts) == 1


def test_csv_says_the_same_as_json(ask: Ask) -> None:
    words = (*DEMO, "--by", "model,tag:team")
    report = ask(*words, "--format", "json").json
    rows = list(csv.DictReader(io.StringIO(ask(*words, "--format", "csv").out)))
    assert [{**row, "status": row["status"].split()} for row in rows] == [
        {key: value if key == "status" else "" if value is None else str(value) for key, value in group.items()}
        for group in report["groups"]
    ]


def test_text_has_the_layout_of_the_original_with_money_and_cache(ask: Ask) -> None:
    assert ask("report", str(SAMPLES), "--format", "text").out == (ROOT / "tests" / "data" / "records.txt").read_text()


def test_markdown_is_a_table(ask: Ask) -> None:
    text = ask("report", str(SAMPLES), "--by", "model,region", "--format", "markdown").out
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert table[0].startswith("| model | region | calls | errors |")
    assert len(table) == 2 + 7
    assert {line.count("|") for line in table} == {12}
    assert "- unpriced: 2 requests, 29,002 tokens" in text
    assert "- not in these logs: bedrock-mantle, batch, async" in text


@pytest.mark.parametrize("form", ["table", "text", "markdown"])
def test_every_form_for_people_says_what_it_leaves_out(ask: Ask, tmp_path: Path, form: str) -> None:
    duplicate = call()
    log = write(tmp_path / "log.jsonl", call(model="new.model"), duplicate, duplicate, "broken", "broken too")
    text = ask("report", log, "--format", form).out.replace("\\", "")
    assert "unpriced: 1 request, 1,100 tokens" in text
    assert "rejected: 2 lines" in text
    assert "not_json 2" in text
    assert "duplicates: 1 record" in text
    assert "not in these logs: bedrock-mantle, batch, async" in text


@pytest.mark.parametrize("form", ["table", "text", "markdown"])
def test_one_of_a_kind_and_none_are_told_as_such(ask: Ask, tmp_path: Path, form: str) -> None:
    one = ask("report", write(tmp_path / "one.jsonl", call(), "broken"), "--format", form).out.replace("\\", "")
    assert "rejected: 1 line (not_json 1)" in one
    none = ask("report", write(tmp_path / "none.jsonl", "broken", "too"), "--format", form).out
    assert "Past 0 days" not in none
    if form == "table":
        assert "  1 call\n" in one
    if form == "text":
        assert "(Past 1 day - us-east-1)" in one
        assert "(No days - no region)" in none


EVIL = "evil\x1b[31mred\x07\u202egnp.exe\u200b\x9b2J\r\nnew\ttab\x00\ufeff"
DANGEROUS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


@pytest.mark.parametrize("form", FORMATS)
def test_control_and_bidi_characters_never_reach_the_screen(ask: Ask, tmp_path: Path, form: str) -> None:
    record = call(
        model=EVIL,
        arn=f"arn:aws:sts::1:assumed-role/{EVIL}/{EVIL}",
        region=EVIL,
        operation=EVIL,
        accountId=EVIL,
        requestMetadata={"team": EVIL},
    )
    log = write(tmp_path / "log.jsonl", record, {**record, "errorCode": EVIL, "requestId": "x"})
    by = "model,principal,session,region,operation,account,error,tag:team"
    answer = ask("report", log, "--by", by, "--format", form)
    assert answer.code == 0
    assert not DANGEROUS.search(answer.out.replace("\r\n", "\n") if form == "csv" else answer.out)
    if form == "csv":
        assert answer.out.count("\n") == 1 + 2  # the line breaks in the log's fields made no lines of their own
    if form == "json":
        assert answer.json["groups"][0]["region"] == EVIL


def test_nor_do_they_by_way_of_a_file_name_or_an_error(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "log\x1b[31m.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00broken")
    for words in (
        (str(path),),
        (str(tmp_path / "no\x1b[2J"),),
        (str(path), "--by", "\x1b[31m"),
        (str(path), "--tz", "\u202e"),
    ):
        answer = ask("report", *words)
        assert not DANGEROUS.search(answer.out + answer.err)


def test_a_spreadsheet_runs_nothing(ask: Ask, tmp_path: Path) -> None:
    records = [call(region=f"{sign}HYPERLINK(1)") for sign in "=+-@"]
    rows = csv.reader(
        io.StringIO(ask("report", write(tmp_path / "log.jsonl", *records), "--by", "region", "--format", "csv").out)
    )
    assert [row[0][:2] for row in rows][1:] == ["'+", "'-", "'=", "'@"]


def test_markdown_shows_letter_for_letter(ask: Ask, tmp_path: Path) -> None:
    record = call(region="![x](http://h/)|<b>`a`_*&amp;")
    text = ask("report", write(tmp_path / "log.jsonl", record), "--by", "region", "--format", "markdown").out
    assert r"| \!\[x\](http://h/)\|\<b\>\`a\`\_\*&amp;amp; |" in text


def test_piped_output_has_no_colours_and_no_bar(ask: Ask) -> None:
    answer = ask(*DEMO)
    assert "\x1b" not in answer.out
    assert answer.err == ""


def test_top_lists_the_dearest_and_adds_up_the_rest(ask: Ask) -> None:
    answer = ask(*DEMO, "--by", "principal", "--top", "2")
    assert "role/claims-triage" in answer.out
    assert "federated-user/carol" not in answer.out
    assert re.search(r"9 more \(--top 0\)", answer.out)
    assert "federated-user/carol" in ask(*DEMO, "--by", "principal", "--top", "0").out
