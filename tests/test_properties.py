"""What holds for any log."""

import gzip
import json
import random
import tempfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.logs import call, lines
from tollbook.sources.files import read_files
from tollbook.spend import prices
from tollbook.spend.prices.rate import Rate, Rates, Source
from tollbook.spend.query import Query
from tollbook.spend.render.machine import as_json
from tollbook.spend.report import report_of
from tollbook.spend.tally import Tally
from tollbook.spend.usage import CONTEXT_STEPS, Usage
from tollbook.spend.window import Window, zone_of

BOOK = prices.load()
BY = ("day", "model", "principal", "error", "tier", "tag:team")
QUERY = Query(Window(None, None, zone_of("Europe/Berlin")), BY)

tokens = st.integers(0, 400_000)
maybe = st.none() | tokens
records = st.builds(
    call,
    model=st.sampled_from(
        [
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "amazon.nova-micro-v1:0",
            "us.openai.gpt-5.6-sol",
            "stability.stable-image-core-v1:1",
            "arn:aws:bedrock:us-east-1:1:provisioned-model/x",
        ]
    ),
    tokens=st.tuples(maybe, maybe),
    cache=st.none() | st.tuples(tokens, tokens),
    arn=st.sampled_from(
        [None, "arn:aws:iam::1:root", "arn:aws:sts::1:assumed-role/a/b", "arn:aws:sts::1:assumed-role/a/c"]
    ),
    body=st.sampled_from(
        [None, {"serviceTier": {"type": "flex"}}, {"usage": {"cacheDetails": [{"ttl": "1h", "inputTokens": 5}]}}]
    ),
    timestamp=st.datetimes(datetime(2026, 9, 1), datetime(2027, 3, 1)).map(lambda time: f"{time:%Y-%m-%dT%H:%M:%S}Z"),
    errorCode=st.sampled_from([None, None, None, "ThrottlingException"]),
    requestMetadata=st.sampled_from([None, {"team": "search"}, {"team": ""}]),
    requestId=st.none() | st.uuids().map(str),
)


def report(*files: bytes) -> dict[str, Any]:
    """The JSON report on some files' contents."""
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(files):
            Path(folder, f"{number}.jsonl").write_bytes(content)
        reading = read_files([folder], QUERY, lambda done, total: None, processes=1)
    found: dict[str, Any] = json.loads(as_json(report_of(reading.counted, QUERY, BY, BOOK, {}, reading.notes)))
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(records | st.just("broken"), max_size=25), st.randoms(use_true_random=False), st.integers(1, 4))
def test_order_and_splitting_never_change_a_report(rows: list[Any], dice: random.Random, pieces: int) -> None:
    rows = [*rows, *(row for row in rows if isinstance(row, dict) and "requestId" in row and dice.random() < 0.3)]
    whole = report(lines(rows))
    dice.shuffle(rows)
    parts = [lines(rows[start::pieces]) for start in range(pieces)]
    assert report(*(gzip.compress(part) if dice.random() < 0.5 else part for part in parts)) == whole


usages = st.builds(Usage, tokens, st.just(0), tokens, tokens, tokens, tokens, st.just(0))
amounts = st.none() | st.decimals(0, 1000, places=6)
rates = st.builds(Rates, st.decimals(0, 1000, places=6), amounts, amounts, amounts, amounts)


@given(usages, usages, rates, rates, st.sampled_from([0, *CONTEXT_STEPS]))
def test_the_cost_of_a_sum_is_the_sum_of_the_costs(a: Usage, b: Usage, low: Rates, high: Rates, context: int) -> None:
    """Of calls that share their step of context: a long prompt costs more by the token than two short ones."""
    rate = Rate("m", "in-region", None, "default", date(2026, 11, 1), Source("s"), low, {200_000: high})
    one, other, both = (rate.charge(usage, context) for usage in (a, b, a + b))
    assert both.usd == one.usd + other.usd
    assert both.unrated_tokens == one.unrated_tokens + other.unrated_tokens
    assert both.saving_usd == one.saving_usd + other.saving_usd


def test_a_long_prompt_costs_more_than_two_halves_of_it() -> None:
    halves, whole = [call(tokens=(150_000, 0)), call(tokens=(150_000, 0))], [call(tokens=(300_000, 0))]
    costs = [Decimal(report(lines(rows))["totals"]["cost_usd"]) for rows in (halves, whole)]
    assert costs == [300_000 * Decimal("3.30") / 10**6, 300_000 * Decimal("6.60") / 10**6]


@given(st.integers(0, 300_000), st.integers(0, 300_000), st.integers(0, 300_000))
def test_the_step_of_context_is_that_of_the_whole_prompt(fresh: int, read: int, write: int) -> None:
    tally = Tally(QUERY, lambda hashes: [True] * len(hashes))
    tally.read(lines([call(tokens=(fresh, 1), cache=(read, write))]))
    (row,) = tally.counted().rows()
    prompt = fresh + read + write
    assert row.key.context == max((step for step in CONTEXT_STEPS if prompt > step), default=0)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=12,
)
FIELDS = [*call(cache=(1, 1)), "inferenceRegion", "errorCode", "requestMetadata", "message"]
mangled = st.builds(
    lambda record, changes: {**record, **changes}, records, st.dictionaries(st.sampled_from(FIELDS), json_values)
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.binary(max_size=200).filter(lambda part: b"\n" not in part)
        | mangled.map(lambda row: json.dumps(row).encode()),
        max_size=6,
    )
)
def test_every_line_is_counted_or_rejected_whatever_its_bytes(parts: list[bytes]) -> None:
    tally = Tally(QUERY, lambda hashes: [True] * len(hashes))
    tally.read(b"\n".join(parts))
    counted = tally.counted()
    records = sum(row.usage.calls + row.usage.errors for row in counted.rows())
    lines_with_text = sum(not part.isspace() and part != b"" for part in parts)
    assert records + sum(counted.rejected.values()) + counted.permission_lines == lines_with_text


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400) | st.binary(max_size=200).map(gzip.compress).map(lambda data: data[:-3]))
def test_no_file_whatever_raises_anything(content: bytes) -> None:
    assert report(content)["totals"]["calls"] == 0
