"""Inputs that broke the reader once; `tests/data/fuzz/README.md` says how."""

import gzip
import json
from pathlib import Path

import pytest

from tests.logs import Ask, call, lines, write
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
