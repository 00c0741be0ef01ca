"""Logs Insights, as `tests.fakes.insights` plays it: the same report as from the same records in a file."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import boto3
import pytest
from botocore.config import Config

from tests.fakes.insights import FakeInsights, serving_insights
from tests.fakes.processes import unmeasured
from tests.logs import ACCOUNT, call
from tollbook.app.book import price_book
from tollbook.core.errors import SourceError, UsageError
from tollbook.sources.aws.cloudwatch.insights import Insights
from tollbook.sources.files import read_files
from tollbook.sources.reading import Halted, Place, Stretch, Taken, Watch
from tollbook.spend.ledger import folded, ledger_query
from tollbook.spend.model import Named
from tollbook.spend.query import Query
from tollbook.spend.render.machine import document
from tollbook.spend.report import report_of
from tollbook.spend.sight import Pattern, Sight
from tollbook.spend.tally import Counted
from tollbook.spend.usage import RowKey, Trait, Usage
from tollbook.spend.window import Window

GENERATOR: Final = Path(__file__).parents[3] / "bench" / "gen_logs.py"
FIRST: Final = datetime(2026, 11, 18, tzinfo=UTC)
DAYS: Final = 4
GROUP: Final = "/aws/bedrock/modelinvocations"
PLACE: Final = Place(ACCOUNT, "us-east-1", GROUP)
EVERYTHING: Final = (
    "hour",
    "model",
    "scope",
    "session",
    "account",
    "region",
    "inference_region",
    "operation",
    "error",
    "tier",
    "tag:team",
    "tag:env",
)
ROUTER: Final = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:default-prompt-router/anthropic.claude:1"
PROFILE: Final = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/abc123def456"
OPENAI: Final = "openai.gpt-oss-120b-1:0"
NAMES: Final = {"abc123def456": Named(OPENAI, "search")}

Event = tuple[int, str]


def day(number: int) -> Stretch:
    return Stretch(FIRST + timedelta(days=number), FIRST + timedelta(days=number + 1))


ALL_DAYS: Final = [day(number) for number in range(DAYS)]


def over(*by: str, zone: str = "UTC", since: datetime = FIRST, until: datetime | None = None, **more: Any) -> Query:
    return Query(Window(since, until or FIRST + timedelta(days=DAYS), ZoneInfo(zone)), by, **more)


class Hurried(Watch):
    """Does not wait, and counts for how long it would have."""

    waited = 0.0

    def wait(self, seconds: float) -> None:
        self.waited += seconds
        super().wait(0)


def event_of(record: dict[str, Any]) -> Event:
    """An event that was logged at the time of its record, written as Bedrock writes it: without spaces."""
    time = datetime.fromisoformat(record["timestamp"])
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1), text


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of calls; streams are logged in parts of five characters, so many records have over 200 fields."""
    path = tmp_path_factory.mktemp("insights") / "log.jsonl"
    words = ["--events", "1000", "--profile", "mixed", "--chunk", "5", "--days", str(DAYS), "--out", str(path)]
    words += ["--end", f"{FIRST + timedelta(days=DAYS):%Y-%m-%d}"]
    subprocess.run([sys.executable, str(GENERATOR), *words], check=True, capture_output=True, env=unmeasured())
    return path


@pytest.fixture(scope="module")
def events(log: Path) -> list[Event]:
    return [(event_of(json.loads(line))[0], line) for line in log.read_text().splitlines()]


@pytest.fixture(scope="module")
def long_and_odd() -> list[Event]:
    """What is rare in logs, and what must not be taken for something else."""
    started = {"type": "message_start", "message": {"usage": {"cache_creation": {"ephemeral_1h_input_tokens": 700}}}}
    stream = [started, *({"type": "content_block_delta", "delta": {"text": "word"}} for _ in range(300))]
    hour = {"usage": {"cache_creation": {"ephemeral_1h_input_tokens": 900}}}
    details = {"usage": {"cacheDetails": [{"ttl": "5m", "inputTokens": 20}, {"ttl": "1h", "inputTokens": 60}]}}
    nested = {
        "input": {"inputTokenCount": 1, "cacheReadInputTokenCount": 5, "cacheWriteInputTokenCount": 6},
        "output": {"outputTokenCount": 2},
        "identity": {"arn": f"arn:aws:iam::{ACCOUNT}:user/mallory"},
        "errorCode": "E42",
        "status": "failed",
        "inferenceRegion": "mars-north-1",
        "requestMetadata": {"team": "theirs"},
        "serviceTier": {"type": "flex"},
    }
    prompt = {
        "messages": [{"content": [{"toolResult": {"content": [{"json": nested}]}}]}],
        "serviceTier": {"type": "flex"},
    }
    many = [{"toolUse": {"input": nested}} for _ in range(60)]
    loaded = {"inputContentType": "application/json", "inputBodyJson": prompt, "inputTokenCount": 10}
    records = [
        call(operation="InvokeModel", body=hour, cache=(0, 1000)),
        call(operation="InvokeModel", body={"usage": {}}, cache=(10, 1000)),
        call(operation="InvokeModelWithResponseStream", body=stream, cache=(30, 800)),
        call(body=details, cache=(0, 80)),
        call(body={"usage": {}}, cache=(500, 80)),
        call(body={"serviceTier": {"type": "flex"}}),
        call(body={"serviceTier": {"type": "standard"}}),
        call(body={"service_tier": "priority"}, model=OPENAI, operation="ChatCompletions"),
        call(body={}, model=OPENAI, tokens=(1000, 5), cache=(400, 100)),
        call(body={}, model=OPENAI, tokens=(100, 5), cache=(400, 0)),
        call(body={}, model=PROFILE, tokens=(150_000, 5), cache=(60_000, 0)),
        call(body={}, tokens=(150_000, 5), cache=(60_000, 0)),
        call(body={}, tokens=(100_000, 5)),
        call(body={}, tokens=(100_001, 5)),
        call(body={}, tokens=(272_001, 5)),
        call(
            body={"trace": {"promptRouter": {"invokedModelId": "anthropic.claude-3-haiku-20240307-v1:0"}}}, model=ROUTER
        ),
        call(body={}, model=""),
        call(body={}, arn=None),
        call(body={}, arn="not an ARN"),
        call(body={}, arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/rag-api"),
        call(body={}, region=None, accountId=None, operation=None),
        call(body={}, errorCode="ThrottlingException", tokens=(30, 0), cache=(20, 4)),
        call(body={}, errorCode=""),
        call(body={}, requestMetadata={"team": "", "env": "a/b c"}),
        call(body={}, requestMetadata={"team": "search", "env": "-"}, inferenceRegion="us-west-2"),
        call(body={"content": many}, cache=None, input=loaded, arn=None),
        call(body={"content": many}, input=loaded, requestMetadata={"team": "ours"}, inferenceRegion="us-east-2"),
        call(body=None, tokens=(None, None), output={"outputBodyS3Path": "s3://logs/data/x_output.json.gz"}),
        call(model="amazon.titan-embed-text-v2:0", operation="InvokeModel", body={}, tokens=(12, None)),
    ]
    times = (FIRST + timedelta(hours=5, minutes=7 * number, milliseconds=number) for number in range(len(records)))
    found = [
        event_of({**record, "timestamp": f"{time:%Y-%m-%dT%H:%M:%S.%f}Z"})
        for record, time in zip(records, times, strict=True)
    ]
    noise = ["Permissions are correctly set for Amazon Bedrock logs", '{"no":"record"}', '{"nested":{"modelId":"x"}}']
    return found + [(found[0][0], text) for text in noise]


@contextmanager
def client_at(url: str) -> Iterator[Any]:
    credentials = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=32)
    client = boto3.client("logs", region_name="us-east-1", endpoint_url=url, config=config, **credentials)
    with closing(client):
        yield client


@pytest.fixture
def insights() -> Iterator["Make"]:
    """Makes a fake over events, and what reads it."""
    with ExitStack() as at_end:

        def make(
            events: Sequence[Event], fake: dict[str, Any] | None = None, place: Place = PLACE, **more: Any
        ) -> tuple[FakeInsights, Insights]:
            served = at_end.enter_context(serving_insights(FakeInsights(events, **(fake or {}))))
            client = at_end.enter_context(client_at(served.url))
            return served, Insights(client, place, **{"names": NAMES, **more})

        yield make


Make = Callable[..., tuple[FakeInsights, Insights]]


def together(taken: Sequence[Taken]) -> Counted:
    counted = Counted()
    for one in taken:
        assert not one.unread
        counted.add(one.counted)
    return counted


def rows_of(counted: Counted) -> dict[RowKey, tuple[Usage, int]]:
    """Rows by key; what was read of several days may be in several."""
    found: dict[RowKey, tuple[Usage, int]] = {}
    for row in counted.rows():
        usage, traits = found.get(row.key, (Usage(), 0))
        found[row.key] = (usage + row.usage, traits | row.traits)
    return found


def reported(counted: Counted, query: Query) -> Any:
    book, notes = price_book(None)
    return document(report_of(counted, query, query.by, book, {}, notes))


def from_file(path: Path, query: Query) -> Counted:
    return read_files([str(path)], query, lambda _done, _total: None, processes=1, names=NAMES).counted


# The same figures.


@pytest.mark.parametrize(
    "query",
    [
        over("day", "model"),
        over("model", "principal", zone="Europe/Berlin"),
        over("day", "region", "operation", "error", zone="America/New_York"),
        over(*EVERYTHING),
        over(*EVERYTHING, zone="Asia/Kolkata"),
        over("hour", "model", zone="Asia/Kathmandu", quarters=True),
        over(),
        over("day", sight=Sight("own", "your own calls", (Pattern(("role/ccwb/dev0", "")),))),
        over("day", sight=Sight("team", "your team's calls", (), (("team", "search"),))),
    ],
    ids=["day", "Berlin", "New York", "everything", "Kolkata", "quarters", "total", "own calls", "a team's calls"],
)
def test_rows_and_dollars_are_those_of_the_same_records_in_a_file(
    insights: Make, log: Path, events: list[Event], query: Query
) -> None:
    _, source = insights(events)
    found, expected = together(source.read(ALL_DAYS, query, Hurried())), from_file(log, query)
    assert rows_of(found) == rows_of(expected)
    assert (found.first, found.last, found.tokenless) == (expected.first, expected.last, expected.tokenless)
    assert reported(found, query) == reported(expected, query)


@pytest.mark.parametrize(
    "fake",
    [{"parses": False}, {"discovers": False}],
    ids=["jsonParse sees no more than 200 fields", "no field is extracted, as in Infrequent Access"],
)
def test_what_one_way_to_a_field_does_not_see_another_does(
    insights: Make, log: Path, events: list[Event], fake: dict[str, Any]
) -> None:
    query = over(*EVERYTHING)
    _, source = insights(events, fake)
    assert rows_of(together(source.read(ALL_DAYS, query, Hurried()))) == rows_of(from_file(log, query))


@pytest.mark.parametrize("fake", [{}, {"discovers": False}], ids=["Standard", "Infrequent Access"])
def test_rare_records_are_counted_as_in_a_file_and_nothing_within_a_body_is_believed(
    insights: Make, long_and_odd: list[Event], tmp_path: Path, fake: dict[str, Any]
) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text("\n".join(text for _, text in long_and_odd))
    query = over(*EVERYTHING)
    _, source = insights(long_and_odd, fake, names=NAMES)
    [taken] = source.read([day(0)], query, Hurried())
    expected = from_file(path, query)
    assert rows_of(taken.counted) == rows_of(expected)
    assert taken.counted.tokenless == expected.tokenless == 1
    assert not taken.unread


def test_a_body_deceives_no_one_where_only_parsing_is_left(insights: Make, long_and_odd: list[Event]) -> None:
    _, source = insights(long_and_odd, {"parses": False})
    [taken] = source.read([day(0)], over("principal", "error", "inference_region", "tag:team"), Hurried())
    keys = [row.key for row in taken.counted.rows()]
    assert not {"user/mallory"} & {key.who for key in keys}
    assert {key.error for key in keys} == {None, "ThrottlingException"}
    assert "mars-north-1" not in {key.inference_region for key in keys}
    assert ("theirs",) not in {key.tags for key in keys}


def test_kept_rows_answer_a_later_question_in_another_zone(insights: Make, log: Path, events: list[Event]) -> None:
    _, source = insights(events)
    kept = together(source.read(ALL_DAYS, ledger_query(FIRST, ALL_DAYS[-1].until, ["app", "team"]), Hurried()))
    query = over("day", "vendor", "principal", "tag:team", zone="America/New_York", since=FIRST + timedelta(hours=5))
    assert rows_of(folded(kept.rows(), query, ["app", "team"])) == rows_of(from_file(log, query))


def test_a_stretch_begins_and_ends_at_its_millisecond(insights: Make, tmp_path: Path) -> None:
    since, until = FIRST + timedelta(hours=9, minutes=30, milliseconds=250), FIRST + timedelta(hours=10, seconds=9)
    moments = [since + timedelta(milliseconds=step) for step in (-250, -1, 0)]
    moments += [until + timedelta(milliseconds=step) for step in (-1, 0, 400)]
    found = [event_of(call(timestamp=f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z", body={})) for moment in moments]
    _, source = insights(found)
    before, within, after = (Stretch(*ends) for ends in ((FIRST, since), (since, until), (until, day(0).until)))
    taken = source.read([before, within, after], over("hour", since=since, until=until), Hurried())
    assert [sum(row.usage.calls for row in each.counted.rows()) for each in taken] == [2, 2, 2]


def test_a_record_that_was_delivered_twice_is_counted_twice_and_that_is_said(insights: Make) -> None:
    event = event_of(call(timestamp=f"{FIRST:%Y-%m-%dT%H:%M:%SZ}", body={}))
    _, source = insights([event, event])
    [taken] = source.read([day(0)], over(), Hurried())
    assert [row.usage.calls for row in taken.counted.rows()] == [2]
    assert any("delivered twice" in sentence for sentence in source.blind_to)


def test_an_answer_logged_in_parts_hides_the_tier_and_that_is_said(insights: Make) -> None:
    event = event_of(call(timestamp=f"{FIRST:%Y-%m-%dT%H:%M:%SZ}", operation="ConverseStream", body=[{"a": 1}]))
    _, source = insights([event])
    [taken] = source.read([day(0)], over("tier"), Hurried())
    [row] = taken.counted.rows()
    assert row.key.tier == "?"
    assert list(row.combinations()) == [Trait.TIER_UNSEEN]
    assert any("several parts" in sentence for sentence in source.blind_to)


def test_counts_that_insights_does_not_find_are_counted(insights: Make) -> None:
    seen = call(timestamp=f"{FIRST:%Y-%m-%dT%H:%M:%SZ}", body={"content": ["a"] * 9})
    hidden = {**seen, "output": {**seen["output"], "outputBodyJson": {"content": ["a"] * 300}}}
    embedding = call(timestamp=seen["timestamp"], model="amazon.titan-embed-text-v2:0", body={}, tokens=(9, None))
    # With spaces between its fields, as Bedrock does not write it: no regular expression matches.
    spaced = (event_of(hidden)[0], json.dumps(hidden))
    _, source = insights([event_of(seen), event_of(embedding), spaced], {"parses": False})
    [taken] = source.read([day(0)], over("tier"), Hurried())
    assert taken.notes == (
        f"records unread by Logs Insights: 1 of the 3 calls of 2026-11-18 in {PLACE} have token counts that it did not"
        " find",
    )
    assert not taken.unread


def test_a_tier_may_stand_where_insights_no_longer_looks(insights: Make) -> None:
    seen, hidden = ({"content": ["a"] * parts} for parts in (9, 300))
    found = [event_of(call(timestamp=f"{FIRST:%Y-%m-%dT%H:%M:%SZ}", body=body)) for body in (seen, hidden)]
    _, source = insights(found, {"parses": False})
    [taken] = source.read([day(0)], over("day"), Hurried())
    [row] = taken.counted.rows()
    assert row.usage.output == 200
    assert set(row.combinations()) == {Trait(0), Trait.TIER_UNSEEN}


# Many rows.


def test_an_answer_of_many_pages_is_read_to_its_end(insights: Make, log: Path, events: list[Event]) -> None:
    query = over(*EVERYTHING)
    fake, source = insights(events, {"page": 100})
    assert rows_of(together(source.read(ALL_DAYS, query, Hurried()))) == rows_of(from_file(log, query))
    assert sum("nextToken" in request for request in fake.asked("GetQueryResults")) > DAYS


def test_a_page_that_comes_again_and_again_is_not_counted_twice(insights: Make, events: list[Event]) -> None:
    fake, source = insights(events, {"page": 100, "repeats": True})
    with pytest.raises(SourceError, match="the same page"):
        source.read([day(0)], over(*EVERYTHING), Hurried())
    assert len(fake.asked("GetQueryResults")) < 10


@pytest.mark.parametrize("counts", [True, False], ids=["AWS tells how many rows there are", "AWS does not"])
def test_a_stretch_with_more_rows_than_a_query_gives_is_read_in_halves(
    insights: Make, log: Path, events: list[Event], counts: bool
) -> None:
    query = over(*EVERYTHING, zone="Asia/Kolkata")
    fake, source = insights(events, {"counts": counts}, most_rows=100)
    taken = source.read(ALL_DAYS, query, Hurried())
    assert rows_of(together(taken)) == rows_of(from_file(log, query))
    started = fake.asked("StartQuery")
    assert len(started) > 2 * DAYS
    assert sum(one.bytes for one in taken) > sum(len(text.encode()) for _, text in events)  # halves are paid again


def test_an_hour_with_more_rows_than_a_query_gives_is_said_to_be_incomplete(insights: Make) -> None:
    models = [f"amazon.nova-{number}-v1:0" for number in range(9)]
    found = [event_of(call(model=model, timestamp=f"{FIRST:%Y-%m-%dT%H:%M:%SZ}", body={})) for model in models]
    _, source = insights(found, most_rows=5)
    [taken] = source.read([day(0)], over("model"), Hurried())
    assert sum(row.usage.calls for row in taken.counted.rows()) == 5
    [sentence] = taken.unread
    assert sentence.startswith("2026-11-18 00:00 to 2026-11-18 01:00 UTC: Logs Insights gives no more than 5 rows")


@pytest.mark.parametrize(
    ("region", "limit"), [("us-east-1", 100_000), ("us-gov-west-1", 10_000), ("cn-north-1", 10_000)]
)
def test_a_query_asks_for_as_many_rows_as_its_region_gives(insights: Make, region: str, limit: int) -> None:
    fake, source = insights([], place=Place("", region, GROUP))
    source.read([day(0)], over(), Hurried())
    assert [request["queryString"].rpartition("| ")[2] for request in fake.asked("StartQuery")] == [f"limit {limit}"]


# What is asked.


def test_a_group_of_another_account_is_asked_for_by_its_arn(insights: Make, log: Path, events: list[Event]) -> None:
    arn = FakeInsights.ARN + GROUP
    fake, source = insights(events, group_arn=arn)
    query = over("day")
    assert rows_of(together(source.read(ALL_DAYS, query, Hurried()))) == rows_of(from_file(log, query))
    assert all(request["logGroupIdentifiers"] == [arn] for request in fake.asked("StartQuery"))
    assert not any("logGroupName" in request for request in fake.asked("StartQuery"))


@pytest.mark.parametrize(
    "key",
    ["a`b", "a|limit 1", 'a"b', "a\nb", "a\\b", "a\x00", "a(b", "#a", "", "k" * 257, "größe"],
)
def test_a_tag_that_could_be_more_than_a_name_is_refused_before_anything_is_asked(insights: Make, key: str) -> None:
    fake, source = insights([])
    with pytest.raises(UsageError, match=r"^Logs Insights cannot be asked for tag:"):
        source.read([day(0)], over(f"tag:{key}", sight=Sight("team", "", (), ((key, "x"),))), Hurried())
    assert not fake.requests


@pytest.mark.parametrize("fake", [{}, {"parses": False}], ids=["jsonParse", "parse"])
@pytest.mark.parametrize("key", ["cost-center", "a.b", "team/x:y=z+1@home", "two words", "_a"])
def test_the_value_of_a_tag_is_found_whatever_its_name(insights: Make, key: str, fake: dict[str, Any]) -> None:
    body = {"content": ["a"] * 300}
    record = call(
        timestamp=f"{FIRST:%Y-%m-%dT%H:%M:%SZ}", body=body, requestMetadata={"a": "no", key: "yes", "z": "no"}
    )
    _, source = insights([event_of(record)], fake)
    [taken] = source.read([day(0)], over(f"tag:{key}"), Hurried())
    assert [row.key.tags for row in taken.counted.rows()] == [("yes",)]


def test_more_tags_than_a_query_has_room_for_are_refused(insights: Make) -> None:
    fake, source = insights([])
    with pytest.raises(UsageError, match="Group by fewer"):
        source.read([day(0)], over(*(f"tag:{'k' * 200}{number}" for number in range(20))), Hurried())
    assert not fake.requests


def test_nothing_is_asked_for_no_stretch(insights: Make) -> None:
    fake, source = insights([])
    assert source.read([], over(), Hurried()) == []
    assert not fake.requests


# What it takes.


def test_what_it_took_is_told_while_it_is_read_and_after(insights: Make, events: list[Event]) -> None:
    told: list[tuple[int, int]] = []
    watch = Hurried(lambda scanned, records: told.append((scanned, records)))
    fake, source = insights(events)
    taken = source.read(ALL_DAYS, over("day"), watch)
    scanned = sum(len(text.encode()) for _, text in events)
    assert sum(one.bytes for one in taken) == scanned
    assert sum(one.usd for one in taken) == scanned * Decimal("0.005") / 10**9
    assert sum(one.requests for one in taken) == len(fake.requests)
    assert [sum(column) for column in zip(*told, strict=True)] == [scanned, len(events)]


def test_the_estimate_follows_from_what_the_group_takes_in(insights: Make) -> None:
    fake, source = insights([], bytes_per_day=10**10)
    estimate = source.estimate([*ALL_DAYS, Stretch(FIRST, FIRST + timedelta(hours=12))], Watch())
    assert estimate.bytes == 45 * 10**9
    assert estimate.usd == Decimal("0.225")
    assert estimate.requests > 0
    assert estimate.seconds > 0
    assert estimate.basis
    assert not fake.requests


# Faults.


class Impatient(Hurried):
    """Halts when it is to wait for so many things at once."""

    def __init__(self, is_enough: Callable[[], bool]) -> None:
        super().__init__()
        self._is_enough = is_enough

    def wait(self, seconds: float) -> None:
        if self._is_enough():
            self.halt()
        super().wait(seconds)


def test_halting_stops_every_query_that_runs_and_begins_no_other(insights: Make, events: list[Event]) -> None:
    fake, source = insights(events, {"polls": 10**9}, at_once=3)
    with pytest.raises(Halted):
        source.read(ALL_DAYS, over(), Impatient(lambda: len(fake.running) == 3))
    assert not fake.running
    assert len(fake.asked("StartQuery")) == 3
    assert {request["queryId"] for request in fake.asked("StopQuery")} == {"query-0", "query-1", "query-2"}


def test_nothing_is_asked_once_halted(insights: Make, events: list[Event]) -> None:
    fake, source = insights(events)
    watch = Watch()
    watch.halt()
    with pytest.raises(Halted):
        source.read(ALL_DAYS, over(), watch)
    with pytest.raises(Halted):
        source.estimate(ALL_DAYS, watch)
    assert not fake.requests


def test_whatever_ends_a_reading_stops_its_queries(insights: Make, events: list[Event]) -> None:
    failing = iter([RuntimeError("the screen is gone")])

    def fail(_scanned: int, _records: int) -> None:
        for fault in failing:
            raise fault

    fake, source = insights(events, {"polls": 10**9})
    with pytest.raises(RuntimeError, match="the screen is gone"):
        source.read(ALL_DAYS, over(), Hurried(fail))
    assert not fake.running
    assert len(fake.asked("GetQueryResults")) < 500


def test_a_query_that_cannot_be_stopped_hides_nothing(insights: Make, events: list[Event]) -> None:
    fake, source = insights(events, {"polls": 10**9, "faults": {"StopQuery": [("AccessDeniedException", 400)] * 9}})
    with pytest.raises(Halted):
        source.read([day(0)], over(), Impatient(lambda: len(fake.running) == 1))
    assert len(fake.asked("StopQuery")) == 1


@pytest.mark.parametrize("operation", ["StartQuery", "GetQueryResults"])
@pytest.mark.parametrize("fault", [("ThrottlingException", 400), ("ServiceUnavailableException", 503)])
def test_what_passes_is_waited_for(
    insights: Make, log: Path, events: list[Event], operation: str, fault: tuple[str, int]
) -> None:
    query = over("day", "model")
    _, source = insights(events, {"faults": {operation: [fault] * 5}})
    watch = Hurried()
    assert rows_of(together(source.read(ALL_DAYS, query, watch))) == rows_of(from_file(log, query))
    assert watch.waited > 1


def test_what_does_not_pass_ends_within_minutes(insights: Make, events: list[Event]) -> None:
    _, source = insights(events, {"faults": {"StartQuery": [("ThrottlingException", 400)] * 10**4}})
    watch = Hurried()
    with pytest.raises(SourceError):
        source.read(ALL_DAYS, over(), watch)
    assert watch.waited < 5 * 60


def test_fewer_queries_run_where_the_account_has_no_room_for_more(
    insights: Make, log: Path, events: list[Event]
) -> None:
    query = over("day", "model")
    fake, source = insights(events, {"at_once": 2}, at_once=4)
    quarters = [
        Stretch(each.since + timedelta(hours=6 * part), each.since + timedelta(hours=6 * part + 6))
        for each in ALL_DAYS
        for part in range(4)
    ]
    assert rows_of(together(source.read(quarters, query, Hurried()))) == rows_of(from_file(log, query))
    assert fake.most <= 2
    assert len(fake.asked("StartQuery")) <= len(quarters) + 4  # nobody knocks again and again


def test_a_half_waits_for_room_so_that_nothing_is_paid_for_twice(
    insights: Make, log: Path, events: list[Event]
) -> None:
    query = over(*EVERYTHING)
    crowded = [("LimitExceededException", 400)] * 3
    fake, source = insights(events, {"faults": {"StartQuery": []}}, most_rows=100, at_once=2)

    class Crowding(Hurried):
        def tell(self, bytes_: int, records: int) -> None:
            if records and crowded:
                fake.faults["StartQuery"].append(crowded.pop())

    assert rows_of(together(source.read(ALL_DAYS, query, Crowding()))) == rows_of(from_file(log, query))
    started = fake.asked("StartQuery")
    assert len(started) - 3 == len({(request["startTime"], request["endTime"]) for request in started})


def test_an_account_that_never_has_room_is_left_after_minutes(insights: Make, events: list[Event]) -> None:
    _, source = insights(events, {"at_once": 0})
    watch = Hurried()
    with pytest.raises(SourceError):
        source.read(ALL_DAYS, over(), watch)
    assert watch.waited < 6 * 60


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("Failed", "failed at AWS. Ask again."),
        ("Cancelled", "was cancelled by someone else. Ask again."),
        ("Timeout", "took longer than the hour that AWS grants. Group by less, or read the logs from S3."),
        ("Unknown", "ended in a way that AWS does not tell. Ask again."),
    ],
)
def test_a_query_that_ends_badly_leaves_its_day_unread_and_no_other(
    insights: Make, log: Path, events: list[Event], status: str, words: str
) -> None:
    _, source = insights(events, {"ends": {int(day(3).since.timestamp()): status}})
    taken = source.read(ALL_DAYS, over("day"), Hurried())
    expected = from_file(log, over("day", until=day(3).since))
    assert rows_of(together(taken[:3])) == rows_of(expected)
    assert taken[3].unread == (f"2026-11-21: The query of Logs Insights over {PLACE} {words}",)
    assert not list(taken[3].counted.rows())


def test_a_query_that_does_not_end_is_stopped_and_its_day_unread(insights: Make, events: list[Event]) -> None:
    fake, source = insights(events, {"polls": 10**9})
    with pytest.raises(SourceError, match="does not end"):
        source.read([day(0)], over(), Hurried())
    assert not fake.running


def test_days_before_the_group_was_made_are_empty_and_that_is_said(
    insights: Make, log: Path, events: list[Event]
) -> None:
    _, source = insights(events, {"created": int(day(0).until.timestamp()) * 1000 + 60_000})
    before, *others = source.read([day(-1), *ALL_DAYS[1:]], over("day"), Hurried())
    assert not before.unread
    assert before.notes == (f"{PLACE} was made after 2026-11-17, or keeps it no longer",)
    assert rows_of(together(others)) == rows_of(from_file(log, over("day", since=day(1).since)))


def test_a_group_that_does_not_exist_is_asked_for_once(insights: Make) -> None:
    fake, source = insights([], {"group": "/other"}, at_once=1)
    with pytest.raises(SourceError, match="No log group '/aws/bedrock/modelinvocations' in us-east-1"):
        source.read(ALL_DAYS, over(), Hurried())
    assert len(fake.requests) == 1


def test_credentials_that_expire_leave_the_later_days_unread(insights: Make, log: Path, events: list[Event]) -> None:
    fake, source = insights(events, at_once=1)

    class Expiring(Hurried):
        def tell(self, bytes_: int, records: int) -> None:
            if records:
                fake.faults["StartQuery"] = [("ExpiredTokenException", 400)] * 9

    first, *others = source.read(ALL_DAYS, over("day"), Expiring())
    assert rows_of(first.counted) == rows_of(from_file(log, over("day", until=day(0).until)))
    assert all(taken.unread for taken in others)
    assert len(fake.asked("StartQuery")) == 2


def test_a_start_that_may_have_succeeded_is_not_made_again(insights: Make, events: list[Event]) -> None:
    fake, source = insights(events, {"hangs": True})
    with pytest.raises(SourceError):
        source.read([day(0)], over(), Hurried())
    assert len(fake.asked("StartQuery")) == 1


def test_a_place_where_nobody_listens_is_given_up_within_minutes(insights: Make) -> None:
    with serving_insights(FakeInsights([])) as gone:
        pass
    watch = Hurried()
    with client_at(gone.url) as client, pytest.raises(SourceError):
        Insights(client, PLACE).read([day(0)], over(), watch)
    assert 10 < watch.waited < 5 * 60


def test_an_answer_in_another_form_is_a_sentence() -> None:
    class Odd(FakeInsights):
        """Names its columns otherwise."""

        def answer(self, operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
            found = super().answer(operation, request)
            rows = [[{"field": "x", "value": "1"}]]
            return {**found, "results": rows} if operation == "GetQueryResults" else found

    with (
        serving_insights(Odd([event_of(call(timestamp="2026-11-18T09:00:00Z"))])) as fake,
        client_at(fake.url) as client,
        pytest.raises(SourceError, match=rf"read it with events:{GROUP}\."),
    ):
        Insights(client, PLACE).read([day(0)], over("model"), Hurried())
