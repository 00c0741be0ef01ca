#!/usr/bin/env python3
"""A campaign that feeds tollbook's reader bytes that no one expects.

    fuzz_records.py --minutes 10 [--seed 7] [--corpus tests/data/fuzz] [--engine atheris]

Each input is a file of records, events or documents that was mutated: by structure (types swapped, keys doubled,
huge numbers, deep nests, surrogates, odd times), by bytes (flips, cuts, splices, NULs, half characters) and by
gzip (cut, corrupted, many members, bombs). Of each it is asked:

    raises      nothing but TollbookError leaves the reader, and nothing the report, in any form
    conserves   each line is a record, a duplicate, outside, a permission check or rejected; each object of a
                whole document likewise; nothing vanishes in silence
    agrees      a block gives what its lines give one by one, a document what its objects give as lines, and a
                file what it gives compressed
    renders     JSON and CSV parse, their sums are those of the records; no form holds a control character
    hurries     within seconds

Of each new kind of failure the smallest input found is kept in the corpus folder, under a name that tells the
failure; the exit code is 1 if anything failed. Inputs that lie in the folder are asked first, and serve as seeds.
With `--engine atheris` (which must be installed), coverage of tollbook's code guides the choice of inputs; else
chance does.
"""

import argparse
import csv
import functools
import gzip
import hashlib
import importlib
import io
import json
import random
import re
import sys
import tempfile
import time
import traceback
import types
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from rich.console import Console

from gen_logs import Writer
from tollbook.core.errors import TollbookError
from tollbook.sources.files import Reading, read_files
from tollbook.spend import prices
from tollbook.spend.query import Query
from tollbook.spend.render.machine import as_csv, as_json
from tollbook.spend.render.plain import as_markdown, as_text
from tollbook.spend.render.terminal import show
from tollbook.spend.report import Report, report_of
from tollbook.spend.tally import Counted, Tally
from tollbook.spend.window import Window, start_of

Json = dict[str, Any]

CORPUS: Final = Path(__file__).parents[1] / "tests/data/fuzz"
_SLOW_S: Final = 5.0
_MOST_BYTES: Final = 1 << 20  # of a mutated input; bombs are made apart
_POOL: Final = 400
_SHRINKS: Final = 600
_GZIP: Final = b"\x1f\x8b"
_PLAIN_STARTS: Final = (b"[", b'{"events"', b'{ "events"')
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_SEEN_AS_NOTHING: Final = ("Cc", "Cs", "Zl", "Zp")
_DIRECTIONS: Final = "\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"


# --- What is asked -----------------------------------------------------------------------------------------


class WrongAnswerError(Exception):
    """An answer that must not be.

    Attributes:
        kind: which, as the name of a file.
    """

    def __init__(self, kind: str, told: str) -> None:
        super().__init__(told)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Question:
    """A query, and how the answer is shown."""

    query: Query
    by: tuple[str, ...]
    width: int


def _question(by: tuple[str, ...], tz: str, width: int, days: tuple[str, str] | None = None) -> Question:
    zone = ZoneInfo(tz)
    since, until = (start_of(datetime.fromisoformat(day).date(), zone) for day in days) if days else (None, None)
    asked = tuple(dict.fromkeys((*by, "day", "region", "model", "principal")))
    return Question(Query(Window(since, until, zone), asked), by, width)


QUESTIONS: Final = (
    _question(("day", "model", "principal", "region", "inference_region", "operation"), "UTC", 120),
    _question(("session", "tag:team", "tier", "error"), "America/New_York", 80),
    _question(("hour", "vendor", "scope", "profile", "account"), "Asia/Kathmandu", 200),
    _question(("principal",), "Pacific/Apia", 40, ("2026-11-01", "2026-11-20")),
)


class Kind(Enum):
    """What a file holds, judged by Python's own JSON reader."""

    LINES = "lines"
    DOCUMENT = "document"
    UNCLEAR = "unclear"


class Examiner:
    """Asks all questions of files; knows no state between them."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "input"
        self._book = prices.load()

    def examine(self, data: bytes, question: Question) -> None:
        """Raises a `WrongAnswerError` if tollbook fails to answer `question` about a file that holds `data`."""
        began = time.monotonic()
        reading = self._read(data, question)
        if reading is None:
            return
        if (took := time.monotonic() - began) > _SLOW_S:
            raise WrongAnswerError("slow-reading", f"{len(data):,} bytes took {took:.1f} s")
        content = _inflated(data) if data.startswith(_GZIP) else data
        if content is None:
            if not reading.notes:
                raise WrongAnswerError("broken-gzip-unsaid", "a broken gzip file was read without a note")
        elif len(content) < _MOST_BYTES * 4:
            _check_conservation(content, reading)
            if _kind_of(content) is Kind.DOCUMENT and (lines := _as_lines(content)) is not None:
                self._check_alike(reading, self._read(lines, question), "document-differs-from-lines")
            if data.startswith(_GZIP) and not content.startswith(_GZIP):
                self._check_alike(reading, self._read(content, question), f"{_marked(content)}gzip-differs-from-plain")
            if _kind_of(content) is Kind.LINES:
                _check_blocks(content, question)
        began = time.monotonic()
        self._check_forms(reading, question)
        if (took := time.monotonic() - began) > _SLOW_S:
            raise WrongAnswerError("slow-report", f"{len(data):,} bytes took {took:.1f} s")

    def _read(self, data: bytes, question: Question) -> Reading | None:
        self._file.write_bytes(data)
        try:
            with _nothing_else("read"):
                return read_files([str(self._file)], question.query, _no_progress, processes=1)
        except TollbookError as fault:
            _check_harmless("error", str(fault))
            return None

    def _check_alike(self, one: Reading, other: Reading | None, kind: str) -> None:
        if other is None or _figures(one.counted) != _figures(other.counted):
            raise WrongAnswerError(kind, f"{_figures(one.counted)} != {_figures(other.counted) if other else None}")

    def _check_forms(self, reading: Reading, question: Question) -> None:
        with _nothing_else("report"):
            report = report_of(reading.counted, question.query, question.by, self._book, {}, reading.notes)
        forms: dict[str, Callable[[Report], str]] = {
            "json": as_json,
            "csv": as_csv,
            "text": as_text,
            "markdown": as_markdown,
            "table": functools.partial(_as_table, width=question.width),
        }
        shown = {}
        for name, form in forms.items():
            with _nothing_else(name):
                shown[name] = form(report)
            _check_harmless(name, shown[name].replace("\r\n", "\n") if name == "csv" else shown[name])
        _check_sums(shown["json"], shown["csv"], reading.counted, question)


def _no_progress(_done: int, _total: int) -> None: ...


def _as_table(report: Report, width: int) -> str:
    text = io.StringIO()
    show(report, Console(file=text, width=width, highlight=False, markup=False, emoji=False), 5)
    return text.getvalue()


class _nothing_else:  # noqa: N801 - reads as a statement
    """Turns an error that is none of tollbook's own into a `WrongAnswerError` that names where it was raised."""

    def __init__(self, step: str) -> None:
        self._step = step

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: object) -> None:
        if fault is None or isinstance(fault, TollbookError | KeyboardInterrupt | WrongAnswerError):
            return
        frames = traceback.extract_tb(fault.__traceback__)
        ours = [frame for frame in frames if "tollbook" in frame.filename]
        place = f"{Path(ours[-1].filename).stem}-{ours[-1].name}" if ours else "elsewhere"
        last = f"{ours[-1].filename}:{ours[-1].lineno}" if ours else ""
        raise WrongAnswerError(f"{self._step}-raises-{type(fault).__name__}-{place}", f"{fault!r} at {last}") from fault


def _check_conservation(content: bytes, reading: Reading) -> None:
    """Each line, or each object of a document, is counted as something."""
    kind, found = _kind_of(content), _accounted(reading.counted)
    if any("is no whole" in note for note in reading.notes):
        return  # it was said
    content = content.removeprefix(_BYTE_ORDER_MARK)
    if kind is Kind.LINES:
        lines = len(_lines(content))
        if found != lines:
            name = f"{_marked(content)}{'more' if found > lines else 'fewer'}-than-lines"
            raise WrongAnswerError(name, f"{lines} lines, {found} accounted for")
    elif kind is Kind.DOCUMENT:
        objects = sum(1 for _ in _objects_in(json.loads(content.strip())))
        if found != objects:
            form = "one-line-" if b"\n" not in content.strip() and not content.strip().startswith(_PLAIN_STARTS) else ""
            raise WrongAnswerError(f"{form}document-miscounted", f"{objects} objects, {found} accounted for")
        if not (found or reading.notes or isinstance(json.loads(content.strip()), list) or b'"events"' in content):
            raise WrongAnswerError("one-object-met-with-silence", "nothing was found, and nothing said")
    elif content.strip() and not found and not reading.notes:
        form = "document" if content.lstrip()[:1] in (b"[", b"{") else "text"
        raise WrongAnswerError(f"{form}-met-with-silence", "nothing was found, and nothing said")
    elif _looks_cut(content) and not reading.notes and not reading.counted.rejected:
        raise WrongAnswerError("broken-document-unsaid", f"{found} accounted for, and nothing said of the broken rest")


def _check_blocks(content: bytes, question: Question) -> None:
    """A block gives what its lines give one by one."""
    figures = []
    for at_once in (True, False):
        tally = Tally(question.query, functools.partial(_claim, set()))
        with _nothing_else("tally"):
            if at_once:
                tally.read(content)
            else:
                tally.read_each(content.split(b"\n"))
            figures.append(_figures(tally.counted()))
    if figures[0] != figures[1]:
        raise WrongAnswerError("block-differs-from-lines", f"{figures[0]} != {figures[1]}")


def _claim(seen: set[int], hashes: list[int]) -> list[bool]:
    first = []
    for value in hashes:
        first.append(value not in seen)
        seen.add(value)
    return first


def _check_sums(json_form: str, csv_form: str, counted: Counted, question: Question) -> None:
    document = json.loads(json_form)
    if any(not isinstance(document.get(name), list) for name in ("groups", "notes")):
        raise WrongAnswerError("json-form", "groups and notes are no lists")
    rows = list(csv.DictReader(io.StringIO(csv_form, newline="")))
    if len(rows) != len(document["groups"]) or any(None in row or None in row.values() for row in rows):
        raise WrongAnswerError("csv-form", f"{len(rows)} rows for {len(document['groups'])} groups")
    usages = [row.usage for row in counted.rows()]
    sums = {
        "calls": sum(usage.calls for usage in usages),
        "errors": sum(usage.errors for usage in usages),
        "input_tokens": sum(usage.input for usage in usages),
        "output_tokens": sum(usage.output for usage in usages),
    }
    for name, total in sums.items():
        for form, groups in (("json", document["groups"]), ("csv", rows)):
            if sum(int(group[name]) for group in groups) != total or document["totals"][name] != total:
                raise WrongAnswerError(f"{form}-sums", f"{name} of the groups by {question.by} is not {total}")


def _check_harmless(form: str, text: str) -> None:
    for char in set(text):
        if char != "\n" and (unicodedata.category(char) in _SEEN_AS_NOTHING or char in _DIRECTIONS):
            raise WrongAnswerError(f"{form}-holds-control", f"U+{ord(char):04X} in the {form} form")


def _figures(counted: Counted) -> tuple[object, ...]:
    rows = sorted(repr(row) for row in counted.rows())
    return counted.duplicates, counted.outside, counted.permission_lines, dict(+counted.rejected), rows


def _accounted(counted: Counted) -> int:
    records = sum(row.usage.calls + row.usage.errors for row in counted.rows())
    return records + counted.duplicates + counted.outside + counted.permission_lines + sum(counted.rejected.values())


def _marked(content: bytes) -> str:
    """What of the start of `content` may be why, for the name of the failure."""
    first = content.removeprefix(_BYTE_ORDER_MARK).lstrip().partition(b"\n")[0].rstrip()
    bracket = "bracket-first-" if first in (b"[", b"{") or first.startswith(_PLAIN_STARTS) else ""
    return ("marked-" if content.startswith(_BYTE_ORDER_MARK) else "") + bracket


def _lines(content: bytes) -> list[bytes]:
    return [line for line in content.removeprefix(_BYTE_ORDER_MARK).split(b"\n") if line.strip()]


def _inflated(data: bytes) -> bytes | None:
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error):
        return None


def _kind_of(content: bytes) -> Kind:
    whole = _parsed(content.strip())  # form feeds are space to the reader, and to JSON they are not
    if whole is not _BROKEN and b"\n" in content.strip():
        return Kind.DOCUMENT
    if isinstance(whole, list) or (isinstance(whole, dict) and isinstance(whole.get("events"), list)):
        return Kind.DOCUMENT
    values = [_parsed(line) for line in _lines(content)]
    if any(_holds_events(value) for value in values):
        return Kind.UNCLEAR
    known = any(isinstance(value, dict) and {"modelId", "message"} & value.keys() for value in values)
    return Kind.LINES if known else Kind.UNCLEAR


_BROKEN: Final = object()


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _BROKEN


def _holds_events(value: Any) -> bool:
    if isinstance(value, dict):
        return isinstance(value.get("events"), list) and bool(value["events"])
    return isinstance(value, list) and any(isinstance(item, dict | list) for item in value)


def _objects_in(value: Any) -> Iterator[Json]:
    """What counts in a document: the objects of a list at its top or of its `events`; else itself, if an object."""
    if isinstance(value, dict) and isinstance(value.get("events"), list):
        value = value["events"]
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            yield item


def _as_lines(document: bytes) -> bytes | None:
    """The objects of `document` as lines; None where Python's JSON does not give them back as they were."""

    def unless_doubled(pairs: list[tuple[str, Any]]) -> Json:
        if len(found := dict(pairs)) < len(pairs):
            raise ValueError
        return found

    try:
        value = json.loads(document, object_pairs_hook=unless_doubled)
        return b"".join(json.dumps(item, allow_nan=False).encode() + b"\n" for item in _objects_in(value))
    except (ValueError, RecursionError):
        return None


def _looks_cut(content: bytes) -> bool:
    return content.lstrip()[:10] == b'{"events":' and _parsed(content) is _BROKEN and b"\n" not in content.strip()


# --- What is fed -------------------------------------------------------------------------------------------

_TIMES: Final[tuple[Any, ...]] = (
    *("2026-11-20T09:15:02Z", "2026-11-20T09:15:02.123456789+05:45", "2026-11-20T09:15:02", "2026-11-20", "", "now"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"),
    *("2026-02-30T00:00:00Z", "2026-11-20T24:00:00Z", "2026-06-30T23:59:60Z", "1883-11-18T12:03:58-04:56"),
    *(0, -1, 1763630102000, 253402300799999, -62135596800000, 10**18, -(10**30), 1.5, True, None, [], {}),
)
_NUMBERS: Final[tuple[Any, ...]] = (
    *(0, 1, -1, 10**12, 10**12 + 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**40),
    *(0.0, 1.0, 1.5, -0.0, 1e300, 5e-324, "5", "", True, None, [], {}, [1]),
)
_TEXTS: Final[tuple[Any, ...]] = (
    *("", " ", "\x00", "\x1b[31mred", "\x1b]8;;http://x\x07", "a\nb", "\r", "\u202egnp.exe", "\u2028", "\ufeff"),
    *("\x9b", "=1+1", "@x", "-1", "+1", "'", '"', ",", "|", "](http://x)", "<script>", "`", "\\", "%s", "{}"),
    *("[bold]x", "🜂" * 40, "us.", ".", "..", "-", "us.a.b", "a.", ".b", "a.-", "a.--1:0", "a.²", "us-gov.x.y"),
    *("anthropic.claude-1-2-3", "openai.x", "arn:aws:bedrock:::prompt-router/x", "arn:aws:bedrock:::prompt-router/"),
    *("arn:aws:sts::1:assumed-role/", "arn:aws:sts::1:assumed-role//", "arn:aws:iam::1:root", "arn:aws:iam::1:user"),
    *("arn:aws:iam::1:\n", "x" * 5000, "東京" * 100, "Permissions are correctly set for Amazon Bedrock logs."),
    *("null", "{}", "[]", '{"modelId":"a"}', '{"message":"{}"}'),
)
_RAW: Final = (
    *(b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"', b'"\\u00"', b'"\\x"', b"NaN", b"Infinity", b"-0"),
    *(b"1e999", b"01", b"'x'", b"1" * 5000, b'"\xff"', b'"\xed\xa0\x80"', b'"\xf0\x9f"', b'"\xc0\x80"', b'"\x00"'),
    *(b'"\x1b"', b"\x00", b"tru"),
)
_PLACEHOLDER: Final = "@raw@"
_BODIES: Final[tuple[Any, ...]] = (
    {"serviceTier": {"type": "flex"}, "usage": {"cacheDetails": [{"ttl": "1h", "inputTokens": 5}]}},
    {"serviceTier": "flex"},
    {"service_tier": "priority"},
    {"service_tier": "\x1b[2J"},
    {"serviceTier": {"type": "reserved"}},
    {"usage": {"cache_creation": {"ephemeral_1h_input_tokens": 10**30}}},
    {"usage": {"cacheDetails": [{"ttl": "1h", "inputTokens": -5}, {"ttl": None}]}},
    {"trace": {"promptRouter": {"invokedModelId": "us.amazon.nova-lite-v1:0"}}},
    [{"metadata": {"serviceTier": {"type": "flex"}}}, {"message": {"usage": None}}, None],
    [[]],
    "text",
)


class Mutator:
    """Makes files and changes them."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        writer = Writer(draw, "small", 0)
        start = datetime(2026, 11, 1, tzinfo=UTC)
        self._records = [writer.record(number, start + timedelta(hours=number)) for number in range(600)]
        self._big = [Writer(draw, "body10k", 0).record(number, start) for number in range(6)]

    def fresh(self) -> bytes:
        """A new file: lines, a document, or either compressed."""
        draw = self._draw
        form = draw.choice((self._as_lines, self._as_lines, self._as_document, self._as_big_document))
        return self.packed(form())

    def mutated(self, data: bytes) -> bytes:
        """`data`, changed a little: within its compression, if it is compressed."""
        draw = self._draw
        if data.startswith(_GZIP):
            content = _inflated(data)
            if content is None or draw.random() < 0.3:
                return self._bytes_changed(data)
            return self.packed(self.mutated(content))
        changes = (
            self._bytes_changed,
            self._line_changed,
            self._line_changed,
            self._lines_moved,
            self._grammar_changed,
        )
        for _ in range(draw.choice((1, 1, 1, 2, 4))):
            data = draw.choice(changes)(data)
        return data[:_MOST_BYTES] if draw.random() < 0.9 else self.packed(data[:_MOST_BYTES])

    def packed(self, content: bytes) -> bytes:
        draw = self._draw
        if draw.random() < 0.7:
            return content
        level = draw.choice((0, 1, 9))
        if draw.random() < 0.5:
            return gzip.compress(content, level)
        cuts = sorted(draw.randrange(len(content) + 1) for _ in range(draw.choice((1, 2, 30))))
        members = b"".join(
            gzip.compress(content[start:end], level)
            for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)
        )
        return members + draw.choice((b"", b"", b"\0" * draw.randrange(70000), b"tail"))

    def _as_lines(self) -> bytes:
        draw = self._draw
        lines = [self._line(self._odd(draw.choice(self._records))) for _ in range(draw.choice((1, 1, 2, 5, 40)))]
        if draw.random() < 0.3:
            lines.insert(draw.randrange(len(lines) + 1), b"Permissions are correctly set for Amazon Bedrock logs.")
        if draw.random() < 0.3:
            lines.append(draw.choice(lines))
        return draw.choice((b"\n", b"\n", b"\r\n", b"\n\n", b" \n\t")).join(lines) + draw.choice((b"\n", b""))

    def _as_document(self, most: int = 30) -> bytes:
        draw = self._draw
        records = [self._odd(draw.choice(self._records)) for _ in range(draw.randrange(most))]
        items: list[Any] = [self._event(record) for record in records] if draw.random() < 0.8 else records
        rest: Json = draw.choice(
            ({}, {"searchedLogStreams": []}, {"nextToken": "x"}, {"searchedLogStreams": [{"a": []}]})
        )
        document = draw.choice((items, {"events": items, **rest}, {**rest, "events": items}))
        return self._dumped(document, draw.choice((None, None, 1, 4)))

    def _as_big_document(self) -> bytes:
        """Beyond one block, so that strings lie across its edges."""
        events = [self._event(self._draw.choice(self._big)) for _ in range(self._draw.choice((10, 14, 30)))]
        return self._dumped({"events": events, "searchedLogStreams": []}, self._draw.choice((None, 4)))

    def _event(self, record: Json) -> Json:
        draw = self._draw
        event: Json = {"logStreamName": "aws/bedrock/modelinvocations", "timestamp": 1763630102000}
        event["message"] = self._line(record).decode("utf-8", "replace")
        if draw.random() < 0.2:
            event[draw.choice(tuple(event))] = draw.choice(_TEXTS + _NUMBERS + _TIMES)
        return event

    def _odd(self, record: Json) -> Json:
        """`record`, or one with a few fields changed."""
        draw = self._draw
        if draw.random() < 0.4:
            return record
        changed: Json = json.loads(json.dumps(record))
        for _ in range(draw.choice((1, 1, 2, 5))):
            self._change_field(changed)
        return changed

    def _change_field(self, record: Json) -> None:
        draw = self._draw
        place = record
        for part in ("input", "output", "identity", "requestMetadata"):
            if isinstance(record.get(part), dict) and draw.random() < 0.15:
                place = record[part]
        if not place:
            return
        name = draw.choice(tuple(place))
        if name == "outputBodyJson" or draw.random() < 0.1:
            record.setdefault("output", {})
            if isinstance(record["output"], dict):
                record["output"]["outputBodyJson"] = draw.choice(_BODIES)
            return
        choices: Sequence[Any] = _TEXTS
        if name == "timestamp":
            choices = _TIMES
        elif name.endswith("TokenCount"):
            choices = _NUMBERS
        chance = draw.random()
        if chance < 0.65:
            place[name] = draw.choice(choices)
        elif chance < 0.75:
            place[name] = draw.choice(_TEXTS + _NUMBERS + _TIMES)
        elif chance < 0.85:
            place[name] = _PLACEHOLDER
        elif chance < 0.93:
            del place[name]
        else:
            place[name] = _nest(draw.choice((5, 200, 1100, 5000)), draw.random() < 0.5)

    def _line(self, record: Json) -> bytes:
        return self._dumped(record, None).replace(b"\n", b" ")

    def _dumped(self, value: Any, indent: int | None) -> bytes:
        draw = self._draw
        try:
            text = json.dumps(value, ensure_ascii=draw.random() < 0.3, indent=indent).encode("utf-8", "surrogatepass")
        except RecursionError:
            text = b'{"modelId": "amazon.nova-lite-v1:0", "x": ' + b"[" * 100000 + b"]" * 100000 + b"}"
        return re.sub(rb'"@raw@"', lambda _: draw.choice(_RAW), text)

    def _line_changed(self, data: bytes) -> bytes:
        """One line, if it is a record or an event, changed by structure."""
        lines = data.split(b"\n")
        place = self._draw.randrange(len(lines))
        value = _parsed(lines[place])
        if isinstance(value, dict):
            self._change_field(value)
            lines[place] = self._line(value)
        return b"\n".join(lines)

    def _lines_moved(self, data: bytes) -> bytes:
        draw = self._draw
        lines = data.split(b"\n")
        place, other = draw.randrange(len(lines)), draw.randrange(len(lines))
        odd = (
            b"[]",
            b"[",
            b"{",
            b"{}",
            b"null",
            b'{"events": []}',
            b"\x00",
            b"\xef\xbb\xbf",
            b"\x0c",
            b"1",
            b'"',
            b"x" * 300,
        )
        match draw.randrange(6):
            case 0:
                lines[place], lines[other] = lines[other], lines[place]
            case 1:
                lines.insert(place, lines[other])
            case 2:
                lines.insert(place, draw.choice(odd))
            case 3:
                lines[place : place + 2] = [b"".join(lines[place : place + 2])]
            case 4:
                del lines[place]
            case _:
                lines.insert(0, draw.choice(odd))
        return b"\n".join(lines)

    def _grammar_changed(self, data: bytes) -> bytes:
        """A key doubled, or a piece of JSON's grammar put in, taken out or repeated."""
        draw = self._draw
        if not data:
            return data
        place = draw.randrange(len(data))
        if draw.random() < 0.3:
            found = list(re.finditer(rb'"(?:modelId|timestamp|input|requestId|inputTokenCount|message)":', data))
            if found:
                match = draw.choice(found)
                doubled = match[0] + draw.choice((*_RAW, b"1", b'"x"', b"null", b"{}")) + b","
                return data[: match.start()] + doubled + data[match.start() :]
        piece = draw.choice((b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\n", b" ", b"null", b"1", *_RAW))
        return data[:place] + piece * draw.choice((1, 1, 3, 2000)) + data[place + draw.choice((0, 1, 5)) :]

    def _bytes_changed(self, data: bytes) -> bytes:
        draw = self._draw
        if not data:
            return b"\x1f\x8b"
        place, end = sorted((draw.randrange(len(data) + 1), draw.randrange(len(data) + 1)))
        match draw.randrange(6):
            case 0:
                changed = bytearray(data)
                for _ in range(draw.choice((1, 1, 8))):
                    changed[draw.randrange(len(data))] = draw.randrange(256)
                return bytes(changed)
            case 1:
                return data[:place]
            case 2:
                return data[:place] + data[min(end, place + 100) :]
            case 3:
                return data[:place] + draw.randbytes(draw.choice((1, 3, 50))) + data[place:]
            case 4:
                return data[:end] + data[place:]
            case _:
                return data[:place] + b"\x00" * draw.choice((1, 4000)) + data[place:]


def _nest(depth: int, in_arrays: bool) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if in_arrays else {"a": value}
    return value


def bombs() -> Iterator[bytes]:
    """Small files that swell, and large ones of one kind of thing."""
    record = b'{"timestamp":"2026-11-20T09:15:02Z","modelId":"amazon.nova-lite-v1:0"}\n'
    yield gzip.compress(b"\0" * (200 << 20))
    yield gzip.compress(b"\n" * (50 << 20) + record)
    yield gzip.compress(b"[" * (16 << 20))
    yield gzip.compress(b'{"events":[{"message":"' + b"a" * (32 << 20))
    yield gzip.compress(b'{"events":[{"message":"' + b'\\"' * (4 << 20))
    yield gzip.compress(b"[" + b"{}," * (2 << 20))
    yield gzip.compress(b"x\n" * (2 << 20))
    yield gzip.compress(record * 100_000)
    yield gzip.compress(b"") * 50_000 + gzip.compress(record)
    yield b"".join(gzip.compress(record, 1) for _ in range(20_000))
    yield b'{"modelId":"a","timestamp":1,"x":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}\n" + record
    yield b'{"modelId":"a","timestamp":' + b"9" * 1_000_000 + b"}\n" + record


# --- The campaign ------------------------------------------------------------------------------------------


class Campaign:
    """Examines inputs until the time is over, and keeps the smallest of each kind that fails."""

    def __init__(self, examiner: Examiner, corpus: Path) -> None:
        self._examiner = examiner
        self._corpus = corpus
        self.inputs = 0
        self.found: dict[str, tuple[bytes, str]] = {}
        self.times: Counter[str] = Counter()
        self._old: set[str] = set()  # kinds of which an input is kept already

    def ask_again(self, path: Path) -> None:
        """Examines, by every question, an input that was kept before."""
        data = path.read_bytes()
        self.inputs += 1
        faults = {fault.kind: fault for question in QUESTIONS if (fault := self._fault_of(data, question))}
        for kind, fault in faults.items():
            print(f"! {path.name} still fails: {kind}: {str(fault)[:150]}", flush=True)
            self.times[kind] += 1
            self.found[kind] = data, str(fault)
            self._old.add(kind)

    def examine(self, data: bytes) -> bool:
        """Whether nothing failed."""
        self.inputs += 1
        question = QUESTIONS[zlib.crc32(data) % len(QUESTIONS)]
        fault = self._fault_of(data, question)
        if fault is None:
            return True
        self.times[fault.kind] += 1
        if fault.kind in self._old:
            return False
        known = self.found.get(fault.kind)
        if known is None:
            self._keep(fault, data)
            data = self._shrunk(data, fault.kind, question)
        if known is None or len(data) < len(known[0]):
            self._keep(self._fault_of(data, question) or fault, data)
        return False

    def _fault_of(self, data: bytes, question: Question) -> WrongAnswerError | None:
        try:
            self._examiner.examine(data, question)
        except WrongAnswerError as fault:
            return fault
        return None

    def _keep(self, fault: WrongAnswerError, data: bytes) -> None:
        kind = fault.kind
        if kind not in self.found:
            print(f"! {kind}: {fault}", flush=True)
        self.found[kind] = data, str(fault)
        self._corpus.mkdir(parents=True, exist_ok=True)
        if len(data) <= _MOST_BYTES:
            (self._corpus / re.sub(r"[^A-Za-z0-9_-]", "", kind)).write_bytes(data)

    def _shrunk(self, data: bytes, kind: str, question: Question) -> bytes:
        """A smaller input that fails alike, found by leaving out ever smaller parts."""

        def fails(smaller: bytes) -> bool:
            fault = self._fault_of(smaller, question)
            return fault is not None and fault.kind == kind

        if kind.startswith("slow"):
            return data
        if data.startswith(_GZIP) and (content := _inflated(data)) is not None and fails(content):
            data = content
        tries, size = _SHRINKS, max(1, len(data) // 2)
        deadline = time.monotonic() + 10
        while size and tries and time.monotonic() < deadline:
            start = 0
            while start < len(data) and tries and time.monotonic() < deadline:
                smaller = data[:start] + data[start + size :]
                tries -= 1
                if fails(smaller):
                    data = smaller
                else:
                    start += size
            size //= 2
        return data

    def report(self) -> int:
        """Prints what was found; gives the exit code."""
        print(f"{self.inputs:,} inputs, {len(self.found)} kinds of failure")
        for kind, (data, told) in sorted(self.found.items()):
            stem = hashlib.sha256(data).hexdigest()[:8]
            print(f"- {kind} ({self.times[kind]} times; {len(data):,} bytes, {stem}): {told[:300]}\n    {data[:300]!r}")
        return 1 if self.found else 0


def by_chance(campaign: Campaign, mutator: Mutator, seeds: list[bytes], draw: random.Random, deadline: float) -> None:
    pool = seeds[-_POOL:]
    while time.monotonic() < deadline:
        data = mutator.fresh() if len(pool) < 50 or draw.random() < 0.2 else mutator.mutated(draw.choice(pool))
        if campaign.examine(data) and len(data) < 100_000:
            if len(pool) < _POOL:
                pool.append(data)
            else:
                pool[draw.randrange(_POOL)] = data


def by_coverage(campaign: Campaign, mutator: Mutator, seeds: list[bytes], draw: random.Random, minutes: float) -> None:
    """The same inputs, bred by libFuzzer: those that reach new lines of tollbook breed on."""
    atheris = importlib.import_module("atheris")
    for name, module in list(sys.modules.items()):
        if name.startswith("tollbook"):
            for thing in vars(module).values():
                for function in vars(thing).values() if isinstance(thing, type) else [thing]:
                    if isinstance(function, types.FunctionType) and function.__module__ == name:
                        atheris.instrument_func(function)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        draw.seed(seed)
        return (mutator.mutated(data) if data and draw.random() < 0.9 else mutator.fresh())[:most]

    with tempfile.TemporaryDirectory(prefix="tollbook-fuzz-") as folder:
        for number, seed in enumerate(seeds):
            Path(folder, str(number)).write_bytes(seed)
        limits = ("-max_len=1000000", "-rss_limit_mb=4096", "-timeout=600", "-verbosity=0")
        words = [sys.argv[0], f"-max_total_time={int(minutes * 60)}", *limits, folder]
        atheris.Setup(words, lambda data: None if campaign.examine(data) else -1, custom_mutator=mutate)
        atheris.Fuzz()  # ends the process: what failed was told as it was found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--engine", choices=["chance", "atheris"], default="chance")
    parser.add_argument("--no-bombs", action="store_true")
    options = parser.parse_args()
    deadline = time.monotonic() + options.minutes * 60
    draw = random.Random(options.seed)
    mutator = Mutator(draw)
    kept = sorted(path for path in options.corpus.glob("*") if path.suffix != ".md") if options.corpus.is_dir() else []
    seeds = [*(path.read_bytes() for path in kept), *(mutator.fresh() for _ in range(60))]
    with tempfile.TemporaryDirectory(prefix="tollbook-fuzz-") as folder:
        campaign = Campaign(Examiner(Path(folder)), options.corpus)
        for path in kept:
            campaign.ask_again(path)
        for data in () if options.no_bombs else bombs():
            campaign.examine(data)
        if options.engine == "atheris":
            by_coverage(campaign, mutator, seeds, draw, options.minutes)
        else:
            by_chance(campaign, mutator, seeds, draw, deadline)
        return campaign.report()


if __name__ == "__main__":
    sys.exit(main())
