"""What answering a question took is said to whoever counts it."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.fakes.insights import FakeInsights, serving_insights
from tests.logs import call
from tests.tools.desk import ERAS, NOW, SAMPLE, called, served, text_of
from tests.tools.groups import at, reading
from tollbook.core import measures

pytestmark = pytest.mark.anyio

GROUP = "/aws/bedrock/modelinvocations"
USD_PER_GB = Decimal("0.005")
"""Logs Insights: https://aws.amazon.com/cloudwatch/pricing/"""


@pytest.fixture
def insights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, buckets_server: str) -> Iterator[FakeInsights]:
    """Logs Insights over some hundred records of the last two days; moto plays the rest of AWS."""
    moments = [NOW - timedelta(minutes=10 * number) for number in range(200)]
    events = [(int(each.timestamp() * 1000), json.dumps(call(timestamp=each.isoformat()))) for each in moments]
    with serving_insights(FakeInsights(events)) as fake:
        here = {"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": fake.url, "TOLLBOOK_CLOSED_DAYS": "none"}
        at(buckets_server, monkeypatch, tmp_path, **here)
        yield fake


@pytest.mark.parametrize("era", ERAS)
async def test_reading_files_says_how_much_was_read(era: str) -> None:
    with measures.hearing() as heard:
        await called(served(SAMPLE), era=era, days=14)
    assert heard == [measures.Measure("ScannedBytes", Path(SAMPLE).stat().st_size, "Bytes")]


@pytest.mark.parametrize("era", ERAS)
async def test_reading_on_aws_says_what_it_cost_too(era: str, insights: FakeInsights) -> None:
    with measures.hearing() as heard:
        result = await called(reading(f"insights:{GROUP}"), era=era, days=2)
    assert not result.is_error, text_of(result)
    scanned = sum(len(message.encode()) for _, message in insights.events)
    size, cost = heard
    assert (size.name, size.unit, cost.name, cost.unit) == ("ScannedBytes", "Bytes", "ScanDollars", "None")
    assert size.value == pytest.approx(scanned, rel=0.1)  # queries overlap a little
    assert cost.value == pytest.approx(size.value * float(USD_PER_GB) / 10**9, rel=1e-9)


async def test_a_question_that_reads_nothing_says_nothing() -> None:
    with measures.hearing() as heard:
        await called(served("/no/such.jsonl"), days=1)
        await called(served(), "greet", name="Ann")
    assert heard == []
