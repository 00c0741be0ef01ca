"""The forms in which logs lie about."""

import gzip
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.logs import Ask, call, lines, write
from tollbook.sources.blocks import objects, whole_lines
from tollbook.sources.files import read_files
from tollbook.spend.query import Query
from tollbook.spend.window import Window, zone_of

ALL_TIME = Query(Window(None, None, zone_of("UTC")), ("model",))


def calls(ask: Ask, *sources: str) -> tuple[int, int]:
    """Calls counted, and lines rejected."""
    report = ask("report", *sources, "--format", "json").json
    return report["totals"]["calls"], report["rejected"]["lines"]


def events(*records: object) -> list[dict[str, Any]]:
    """Records as CloudWatch hands them out."""
    return [
        {
            "logStreamName": "aws/bedrock/modelinvocations",
            "timestamp": 1795166102000,
            "message": json.dumps(record),
            "eventId": "1",
        }
        for record in records
    ]


def test_json_lines(ask: Ask, tmp_path: Path) -> None:
    assert calls(ask, write(tmp_path / "log.jsonl", call(), call())) == (2, 0)


def test_gzip_by_its_content_and_not_by_its_name(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_bytes(gzip.compress(lines([call(), call()])))
    assert calls(ask, str(path)) == (2, 0)


def test_gzip_of_several_members_and_padding(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    whole = lines([call(), call()])
    path.write_bytes(gzip.compress(whole[:700]) + gzip.compress(whole[700:]) + gzip.compress(b"") + b"\0" * 512)
    assert calls(ask, str(path)) == (2, 0)


def test_a_byte_order_mark_is_no_part_of_the_first_record(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + lines([call()]))
    assert calls(ask, str(path)) == (1, 0)


def test_the_last_line_may_lack_its_end(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines([call(), call()]).rstrip())
    assert calls(ask, str(path)) == (2, 0)


@pytest.mark.parametrize("indent", [None, 4])
def test_what_the_aws_command_line_prints(ask: Ask, tmp_path: Path, indent: int | None) -> None:
    document = {"events": events(call(), "no record", call()), "searchedLogStreams": [{"logStreamName": "x"}]}
    path = tmp_path / "filter.json"
    path.write_text(json.dumps(document, indent=indent))
    assert calls(ask, str(path)) == (2, 1)


def test_what_get_log_events_prints_page_after_page(ask: Ask, tmp_path: Path) -> None:
    pages = [{"events": events(call()), "nextForwardToken": "f/1", "nextBackwardToken": "b/1"} for _ in range(3)]
    path = tmp_path / "get.json"
    path.write_text("\n".join(json.dumps(page, indent=2) for page in pages))
    assert calls(ask, str(path)) == (3, 0)


def test_an_array_of_records(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "array.json"
    path.write_text(json.dumps([call(body={"list": [{"a": "]}"}]}), call()], indent=1))
    assert calls(ask, str(path)) == (2, 0)


def test_lines_of_events_take_their_time_where_the_record_has_none(ask: Ask, tmp_path: Path) -> None:
    record = {key: value for key, value in call().items() if key != "timestamp"}
    path = write(tmp_path / "log.jsonl", *events(record, call()))
    report = ask("report", path, "--by", "day", "--format", "json").json
    assert [(group["day"], group["calls"]) for group in report["groups"]] == [("2026-11-20", 2)]


def test_everything_mixed_in_one_file(ask: Ask, tmp_path: Path) -> None:
    path = write(
        tmp_path / "log.jsonl", call(), *events(call()), "Permissions are correctly set for Amazon Bedrock logs."
    )
    assert calls(ask, path) == (2, 0)


def test_an_s3_delivery_tree_without_its_bodies(ask: Ask, tmp_path: Path) -> None:
    hour = tmp_path / "AWSLogs/111122223333/BedrockModelInvocationLogs/us-east-1/2026/11/20/09"
    write(hour / "20261120T091500Z_a.json.gz", call())
    write(hour / "20261120T094500Z_b.json.gz", call())
    write(hour / "data" / "id_input.json.gz", {"messages": []})
    write(hour.parents[4] / "amazon-bedrock-logs-permission-check", "test")
    assert calls(ask, str(tmp_path)) == (2, 0)
    assert calls(ask, str(hour)) == (2, 0)


def test_a_folder_called_data_is_read(ask: Ask, tmp_path: Path) -> None:
    write(tmp_path / "data" / "log.jsonl", call())
    assert calls(ask, str(tmp_path)) == (1, 0)


def test_a_glob_and_a_file_twice(ask: Ask, tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", {**call(), "requestId": ""})
    write(tmp_path / "b.jsonl", call())
    assert calls(ask, str(tmp_path / "*.jsonl"), first) == (2, 0)


def test_the_standard_input(tmp_path: Path) -> None:
    data = gzip.compress(lines([call(), call()]))
    words = [sys.executable, "-m", "tollbook", "report", "-", "--format", "json"]
    done = subprocess.run(words, input=data, capture_output=True, check=True, cwd=tmp_path)
    assert json.loads(done.stdout)["totals"]["calls"] == 2


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    source = write(tmp_path / "log.jsonl", call(), call())
    words = [sys.executable, "-m", "tollbook", "report", str(pipe), "--format", "json"]
    with subprocess.Popen(["cp", source, str(pipe)]), subprocess.Popen(words, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert json.loads(program.stdout.read())["totals"]["calls"] == 2


class TestTruncatedGzip:
    def test_gives_what_was_readable_and_says_so(self, ask: Ask, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl.gz"
        whole = gzip.compress(lines(call() for _ in range(3000)))
        path.write_bytes(whole[: len(whole) // 2])
        report = ask("report", str(path), "--format", "json").json
        readable = gzip_prefix(path.read_bytes())
        assert report["totals"]["calls"] == readable.count(b"\n") > 500
        assert any("log.jsonl.gz is no whole gzip file" in note for note in report["notes"])

    def test_so_does_a_corrupt_one(self, ask: Ask, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl.gz"
        whole = bytearray(gzip.compress(lines(call() for _ in range(3000))))
        whole[len(whole) // 2] ^= 0xFF
        path.write_bytes(whole)
        report = ask("report", str(path), "--format", "json").json
        assert report["totals"]["calls"] > 500
        assert any("no whole gzip file" in note for note in report["notes"])


def gzip_prefix(data: bytes) -> bytes:
    """What the standard library can inflate of `data`."""
    return zlib.decompressobj(31).decompress(data)


@pytest.fixture(scope="module")
def long_log() -> bytes:
    """A log that is worth sharing out: 9,000 records, 50 of them twice but far apart, and a broken line."""
    body = {"text": "x" * 4000}
    rows = [call(body=body, tokens=(number, 1)) for number in range(9000)]
    return lines([*rows, *rows[:50], "broken"])


class TestSeveralProcesses:
    """A file that is large enough to be shared out gives the report that one process gives."""

    @pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
    @pytest.mark.parametrize("processes", [2, 3])
    def test_whatever_their_number(self, tmp_path: Path, long_log: bytes, compressed: bool, processes: int) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(gzip.compress(long_log, 0) if compressed else long_log)
        seen: list[int] = []
        reading = read_files([str(path)], ALL_TIME, lambda done, total: seen.append(done * 100 // total), processes)
        counted = reading.counted
        assert sum(row.usage.calls for row in counted.rows()) == 9000
        assert sum(row.usage.input for row in counted.rows()) == sum(range(9000))
        assert counted.duplicates == 50
        assert sum(counted.rejected.values()) == 1
        assert seen == sorted(seen)
        assert seen[-1] <= 100


def test_a_line_beyond_all_measure_is_left_out_and_counted(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with path.open("wb") as file:
        file.write(lines([call()]))
        file.write(b'{"x": "')
        for _ in range(66):
            file.write(b"y" * (1 << 20))
        file.write(b'"}\n' + lines([call()]))
    report = ask("report", str(path), "--format", "json").json
    assert report["totals"]["calls"] == 2
    assert report["rejected"]["reasons"] == {"too_long": 1}


def test_memory_does_not_follow_the_compression(tmp_path: Path) -> None:
    """256 MiB of line breaks in a quarter of one are read in pieces."""
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(256):
            file.write(b"\n" * (1 << 20))
    program = (
        "import re, sys; from pathlib import Path; from tollbook.cli import main\n"
        "code = main(['report', sys.argv[1], '--format', 'json'])\n"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1], file=sys.stderr)\n"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stderr) < 100_000


def test_readers_see_the_same_in_any_pieces() -> None:
    document = json.dumps(
        {"events": [{"message": 'a "quoted\\" } text', "n": [1, {"deep": []}]}, {}, {"x": "]"}]}, indent=1
    ).encode()
    whole = list(objects(iter([document]), pytest.fail))
    text = lines([call(), "x", call()])
    for size in (1, 2, 3, 7, 64):
        pieces = [document[at : at + size] for at in range(0, len(document), size)]
        assert list(objects(iter(pieces), pytest.fail)) == whole
        cut = whole_lines(iter([text[at : at + size] for at in range(0, len(text), size)]), pytest.fail)
        assert b"".join(cut) == text
    assert [json.loads(part) for part in whole] == json.loads(document)["events"]
