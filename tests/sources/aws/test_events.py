"""A log group read by FilterLogEvents, from the fake and from moto's server: the sums of its file, or what it lacks."""

import json
import re
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import boto3
import pytest

from tests.fakes.cloudwatch_logs import ACCOUNT, REGION, Faults, Logs, Setting
from tests.fakes.invocations import Rendered, Truth
from tests.fakes.moto import go_to_moto, moto_server
from tests.logs import call
from tests.sources.aws.conftest import TheLog
from tollbook.core.errors import SourceError
from tollbook.sources.aws.cloudwatch.events import Events
from tollbook.sources.aws.cloudwatch.groups import Group, group_of
from tollbook.sources.aws.cloudwatch.pace import Pace
from tollbook.sources.aws.cloudwatch.sheets import Sheets
from tollbook.sources.aws.cloudwatch.sweep import Patience
from tollbook.sources.files import read_files
from tollbook.sources.reading import Halted, Place, Stretch, Taken, Watch
from tollbook.spend.ledger import ledger_query
from tollbook.spend.query import Query
from tollbook.spend.record import Reason
from tollbook.spend.tally import Counted
from tollbook.spend.usage import Usage, UsageRow
from tollbook.spend.window import Window

FIRST: Final = datetime(2026, 11, 1, tzinfo=UTC)
DAY: Final = timedelta(days=1)
QUERY: Final = ledger_query(FIRST, FIRST + DAY)
FAST: Final = 1000.0
"""Requests a second, where a test is not about their number."""
SOON: Final = Patience(seconds=0.5)


def ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def days(number: int, first: datetime = FIRST) -> list[Stretch]:
    return [Stretch(first + place * DAY, first + (place + 1) * DAY) for place in range(number)]


def rendered(events: int, number: int = 1, **more: Any) -> Rendered:
    """So many events in so many days."""
    return Rendered(events, ms(FIRST), ms(FIRST + number * DAY), **more)


def source(logs: Logs, name: str, quota: float = FAST, *, client: Any = None, **more: Any) -> Events:
    return Events(client or logs.client(), Place(ACCOUNT, REGION, name), Pace(quota), **more)


def sums(counted: Counted) -> Usage:
    return sum((row.usage for row in counted.rows()), Usage())


def as_truth(counted: Counted) -> Truth:
    usage = sums(counted)
    broken = counted.rejected.total()
    return Truth(usage.calls, usage.input, usage.output, usage.cache_read, usage.cache_write, broken)


def rows(taken: Sequence[Taken]) -> set[UsageRow]:
    return {row for one in taken for row in one.counted.rows()}


@pytest.mark.parametrize("peaks", [False, True], ids=["evenly", "in peaks"])
@pytest.mark.parametrize("number", [1, 4])
def test_every_event_is_counted_once_however_they_are_spread(cloudwatch: Logs, peaks: bool, number: int) -> None:
    name = cloudwatch.set(Setting("/spread", rendered=rendered(20_000, number, peaks=peaks)))
    taken = source(cloudwatch, name).read(days(number), QUERY, Watch())
    for day, one in zip(days(number), taken, strict=True):
        assert as_truth(one.counted) == cloudwatch.truth(name, ms(day.since), ms(day.until))
        assert not one.unread
        assert (one.counted.duplicates, one.counted.outside) == (0, 0)
    stats = cloudwatch.stats(name)
    assert sum(one.requests for one in taken) == stats.requests
    assert sum(one.bytes for one in taken) == stats.bytes


def test_where_answers_are_slow_slices_are_split_and_no_event_is_lost_or_doubled(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/split", rendered=rendered(20_000, peaks=True), faults=Faults(latency_s=0.3)))
    (taken,) = source(cloudwatch, name, quota=40).read(days(1), QUERY, Watch())
    assert as_truth(taken.counted) == cloudwatch.truth(name, ms(FIRST), ms(FIRST + DAY))
    assert taken.counted.duplicates == 0
    # With that pace there are six slices at first.
    assert cloudwatch.stats(name).most_at_once > 6


def test_one_worker_is_enough(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/one", rendered=rendered(5_000)))
    (taken,) = source(cloudwatch, name, workers=1).read(days(1), QUERY, Watch())
    assert as_truth(taken.counted) == cloudwatch.truth(name, ms(FIRST), ms(FIRST + DAY))
    assert cloudwatch.stats(name).most_at_once == 1


def test_more_requests_than_the_quota_are_never_sent_in_any_second(cloudwatch: Logs) -> None:
    faults = Faults(latency_s=0.1, quota=25)
    name = cloudwatch.set(Setting("/quota", rendered=rendered(30_000, peaks=True), faults=faults))
    source(cloudwatch, name, quota=25).read(days(1), QUERY, Watch())
    stats = cloudwatch.stats(name)
    assert stats.most_a_second <= 25
    assert stats.refused == 0


def test_few_requests_are_made_beside_those_that_are_needed(cloudwatch: Logs) -> None:
    faults = Faults(latency_s=0.1)
    name = cloudwatch.set(Setting("/few", rendered=rendered(30_000), faults=faults))
    source(cloudwatch, name, quota=25).read(days(1), QUERY, Watch())
    stats = cloudwatch.stats(name)
    assert stats.requests <= 1.15 * stats.bytes / 1_000_000


def test_stretches_that_lie_apart_are_read_alone(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/apart", rendered=rendered(20_000, 20)))
    asked = [days(20)[place] for place in (17, 2, 3)]
    taken = source(cloudwatch, name).read(asked, QUERY, Watch())
    for day, one in zip(asked, taken, strict=True):
        assert as_truth(one.counted) == cloudwatch.truth(name, ms(day.since), ms(day.until))
    assert sum(one.bytes for one in taken) < 0.2 * len(cloudwatch.lines(name))


def test_where_nothing_is_asked_nothing_is_read(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/nothing", rendered=rendered(10)))
    assert list(source(cloudwatch, name).read([], QUERY, Watch())) == []
    assert cloudwatch.stats(name).requests == 0


def test_a_record_counts_on_the_day_of_its_own_time_whatever_that_of_its_event(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/late", rendered=rendered(20_000, 3, late_ms=10 * 60_000)))
    middle = days(3)[1]
    (alone,) = source(cloudwatch, name).read([middle], QUERY, Watch())
    _, among, _ = source(cloudwatch, name).read(days(3), QUERY, Watch())
    for one in (alone, among):
        assert as_truth(one.counted) == cloudwatch.truth(name, ms(middle.since), ms(middle.until))
        assert one.counted.outside == 0
    assert rows([alone]) == rows([among])


def test_lines_that_are_no_records_count_once_on_the_day_of_their_event(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/broken", rendered=rendered(20_000, 3, broken=5)))
    taken = source(cloudwatch, name).read(days(3), QUERY, Watch())
    for day, one in zip(days(3), taken, strict=True):
        assert one.counted.rejected[Reason.NOT_JSON] == cloudwatch.truth(name, ms(day.since), ms(day.until)).broken > 0


ODD: Final[Sequence[str]] = (
    json.dumps(call(timestamp="2026-11-01T00:00:00Z")),
    json.dumps(call(timestamp="2026-11-01T00:00:00Z"), indent=2),
    json.dumps(call(timestamp=None)),
    json.dumps(call(timestamp=1793527200000)),
    json.dumps(call(timestamp="2026-11-01T00:00:00Z", tokens=("twelve", 3))),  # type: ignore[arg-type]
    json.dumps(call(timestamp="2026-11-01T00:00:00Z", body={"text": "gr\u00f6\u00dfe \ud83d"})),
    json.dumps(call(timestamp="2026-11-01T00:00:00Z", requestMetadata={"team": "red"}), ensure_ascii=False),
    json.dumps(call(timestamp="2026-11-01T00:00:00Z", errorCode="ThrottlingException", tokens=(5, None))),
    "\n".join(json.dumps(call(timestamp="2026-11-01T00:00:00Z")) for _ in range(2)),
    "Permissions are correctly set for Amazon Bedrock logs.",
    "{}",
    "[1, 2]",
    " ",
    "\n",
    "no record, and\nof two lines",
    '{"half": ',
)


HALF: Final = "half a character: \ud83d"


def put(client: Any, name: str, messages: Sequence[str], times: Sequence[datetime]) -> None:
    """Makes a log group whose events have these messages and times.

    A batch may hold so much: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
    """
    stream = {"logGroupName": name, "logStreamName": "aws/bedrock/modelinvocations"}
    client.create_log_group(logGroupName=name)
    client.create_log_stream(**stream)
    batch: list[dict[str, Any]] = []
    size = 0
    for time, message in zip(times, messages, strict=True):
        length = len(message.encode("utf-8", "surrogatepass")) + 26
        if batch and (size + length > 1_000_000 or len(batch) == 10_000):
            client.put_log_events(**stream, logEvents=batch)
            batch, size = [], 0
        batch.append({"timestamp": ms(time), "message": message})
        size += length
    client.put_log_events(**stream, logEvents=batch)


def as_file(logs: Logs, name: str, folder: Path) -> str:
    """The same events as `aws logs filter-log-events` writes them."""
    path = folder / "events.json"
    path.write_text(json.dumps({"events": [json.loads(line) for line in logs.lines(name).splitlines()]}))
    return str(path)


def of_file(path: str, query: Query, since: datetime, until: datetime) -> Counted:
    asked = Query(Window(since, until, ZoneInfo("UTC")), query.by)
    return read_files([path], asked, lambda *_: None).counted


@pytest.mark.parametrize("tags", [(), ("team",)], ids=["without tags", "with tags"])
@pytest.mark.parametrize("more", [ODD[9:], [HALF]], ids=["some twice", "half a character"])
def test_odd_lines_mean_what_they_mean_in_a_file(
    cloudwatch: Logs, tmp_path: Path, tags: Sequence[str], more: Sequence[str]
) -> None:
    name = f"/odd/{len(tags)}/{len(more)}"
    messages = [*ODD, ODD[0], *more]
    put(cloudwatch.client(), name, messages, [FIRST + timedelta(seconds=place) for place in range(len(messages))])
    query = ledger_query(FIRST, FIRST + DAY, tags)
    (taken,) = source(cloudwatch, name).read(days(1), query, Watch())
    found, same = taken.counted, of_file(as_file(cloudwatch, name, tmp_path), query, FIRST, FIRST + DAY)
    assert set(found.rows()) == set(same.rows())
    assert (found.rejected, found.permission_lines) == (same.rejected, same.permission_lines)
    assert (found.duplicates, found.tokenless) == (same.duplicates, same.tokenless)
    assert (found.first, found.last) == (same.first, same.last)


def test_the_log_gives_the_same_rows_as_its_file(cloudwatch: Logs, the_log: TheLog) -> None:
    put_the_log(cloudwatch.client(), "/the-log", the_log)
    check_the_log(source(cloudwatch, "/the-log"), the_log)


def test_the_log_gives_the_same_rows_from_motos_server(
    the_log: TheLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moto_server(tmp_path / "moto.log") as url:
        go_to_moto("CLOUDWATCH_LOGS", url, monkeypatch, tmp_path)
        client = boto3.session.Session().client("logs")
        put_the_log(client, "/the-log", the_log)
        place = Place(ACCOUNT, REGION, "/the-log")
        assert group_of(client, place, datetime.now(UTC), Watch()).stored_bytes > 0
        check_the_log(Events(client, place, Pace(FAST)), the_log)


def put_the_log(client: Any, name: str, log: TheLog) -> None:
    messages = log.path.read_text().splitlines()
    put(client, name, messages, [datetime.fromisoformat(json.loads(message)["timestamp"]) for message in messages])


def check_the_log(events: Events, log: TheLog) -> None:
    query = ledger_query(log.days[0].since, log.days[-1].until)
    taken = events.read(log.days, query, Watch())
    same = of_file(str(log.path), query, log.days[0].since, log.days[-1].until)
    assert rows(taken) == set(same.rows())
    assert sum(one.counted.duplicates for one in taken) == same.duplicates == log.truth["dupes"] > 0
    assert not any(one.unread for one in taken)


def test_pages_without_events_do_not_end_a_slice(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/empty-pages", rendered=rendered(5_000), faults=Faults(empty=3)))
    (taken,) = source(cloudwatch, name).read(days(1), QUERY, Watch())
    assert as_truth(taken.counted) == cloudwatch.truth(name, ms(FIRST), ms(FIRST + DAY))


def test_a_page_that_comes_twice_counts_once_its_broken_lines_too(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/twice", rendered=rendered(5_000, broken=5), faults=Faults(repeats=True)))
    (taken,) = source(cloudwatch, name).read(days(1), QUERY, Watch())
    assert as_truth(taken.counted) == cloudwatch.truth(name, ms(FIRST), ms(FIRST + DAY))
    assert not taken.unread


def test_pages_that_lead_round_in_a_circle_end_and_it_is_said(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/circle", rendered=rendered(5_000, broken=5), faults=Faults(circles=True)))
    (taken,) = source(cloudwatch, name).read(days(1), QUERY, Watch())
    assert as_truth(taken.counted) == cloudwatch.truth(name, ms(FIRST), ms(FIRST + DAY))
    (sentence,) = taken.unread
    assert "circle" in sentence
    assert name in sentence


def test_an_empty_log_group_holds_nothing_and_nothing_is_missing(cloudwatch: Logs) -> None:
    cloudwatch.client().create_log_group(logGroupName="/empty")
    (taken,) = source(cloudwatch, "/empty").read(days(1), QUERY, Watch())
    assert (list(taken.counted.rows()), taken.unread) == ([], ())


def test_throttling_for_a_while_is_survived_and_slows_the_reading_down(cloudwatch: Logs) -> None:
    faults = Faults(throttles_s=2)
    name = cloudwatch.set(Setting("/throttled", rendered=rendered(5_000), faults=faults))
    pace = Pace(25)
    (taken,) = Events(cloudwatch.client(), Place(ACCOUNT, REGION, name), pace).read(days(1), QUERY, Watch())
    assert as_truth(taken.counted) == cloudwatch.truth(name, ms(FIRST), ms(FIRST + DAY))
    assert not taken.unread
    assert 0 < cloudwatch.stats(name).refused < 25
    assert taken.requests == cloudwatch.stats(name).requests
    assert pace.rate < 24


@pytest.mark.parametrize("code", ["ServiceUnavailableException", "ThrottlingException"])
def test_what_fails_in_passing_is_asked_again(cloudwatch: Logs, code: str) -> None:
    faults = Faults(refuses=code, after=2, only=2)
    name = cloudwatch.set(Setting("/passing", rendered=rendered(5_000), faults=faults))
    (taken,) = source(cloudwatch, name).read(days(1), QUERY, Watch())
    assert as_truth(taken.counted) == cloudwatch.truth(name, ms(FIRST), ms(FIRST + DAY))
    assert not taken.unread
    assert cloudwatch.stats(name).refused == 2


def test_an_answer_that_breaks_off_is_asked_for_again(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/breaks", rendered=rendered(5_000), faults=Faults(breaks=(0, 3))))
    (taken,) = source(cloudwatch, name).read(days(1), QUERY, Watch())
    assert as_truth(taken.counted) == cloudwatch.truth(name, ms(FIRST), ms(FIRST + DAY))


def test_a_connection_that_hangs_is_given_up_and_asked_again(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/hangs", rendered=rendered(5_000), faults=Faults(hangs=(1,))))
    client = cloudwatch.client(read_timeout=1)
    (taken,) = source(cloudwatch, name, client=client).read(days(1), QUERY, Watch())
    assert as_truth(taken.counted) == cloudwatch.truth(name, ms(FIRST), ms(FIRST + DAY))


def test_credentials_that_expire_in_the_middle_leave_what_was_read_and_say_what_is_missing(cloudwatch: Logs) -> None:
    faults = Faults(refuses="ExpiredTokenException", after=20, latency_s=0.02)
    name = cloudwatch.set(Setting("/expires", rendered=rendered(40_000, 4), faults=faults))
    taken = source(cloudwatch, name).read(days(4), QUERY, Watch())
    stats = cloudwatch.stats(name)
    assert stats.refused <= 16  # each worker finds out at most once
    assert 0 < sum(sums(one.counted).calls for one in taken) < 40_000
    for day, one in zip(days(4), taken, strict=True):
        if sums(one.counted).calls < 10_000:
            assert any(name in sentence and f" in {day.since:%Y-%m-%d} " in sentence for sentence in one.unread)


def test_what_is_said_to_be_missing_is_all_that_is(cloudwatch: Logs) -> None:
    faults = Faults(refuses="ExpiredTokenException", after=10, latency_s=0.02)
    name = cloudwatch.set(Setting("/rest", rendered=rendered(20_000), faults=faults))
    (taken,) = source(cloudwatch, name, workers=4).read(days(1), QUERY, Watch())
    check_the_rest(cloudwatch, name, taken)


def check_the_rest(logs: Logs, name: str, taken: Taken) -> None:
    """What the sentences name, read anew, makes the sums whole; the event where it begins may be among both."""
    times = re.findall(r"([\d-]+ [\d:.]+) to ([\d-]+ [\d:.]+)", " ".join(taken.unread))
    ends = [[datetime.fromisoformat(text).replace(tzinfo=UTC) for text in pair] for pair in times]
    stretches = [Stretch(since, until) for since, until in ends]
    logs.reset(name)
    rest = sum(sums(one.counted).calls for one in source(logs, name).read(stretches, QUERY, Watch()))
    read = sums(taken.counted).calls
    assert 0 < read < 20_000
    assert 20_000 <= read + rest <= 20_000 + len(stretches)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ExpiredTokenException", "UnrecognizedClientException"])
def test_where_nothing_may_be_read_that_is_said_at_once(cloudwatch: Logs, code: str) -> None:
    name = cloudwatch.set(Setting("/refused", rendered=rendered(5_000), faults=Faults(refuses=code)))
    with pytest.raises(SourceError, match=name):
        source(cloudwatch, name, workers=1).read(days(9)[::2], QUERY, Watch())
    assert cloudwatch.stats(name).requests == 1


def test_a_log_group_that_does_not_exist_is_named(cloudwatch: Logs) -> None:
    with pytest.raises(SourceError, match=f"'/nowhere' in {REGION}"):
        source(cloudwatch, "/nowhere").read(days(1), QUERY, Watch())
    with pytest.raises(SourceError, match=f"No log group '/nowhere' in {REGION} of account {ACCOUNT}: switch on"):
        group_of(cloudwatch.client(), Place(ACCOUNT, REGION, "/nowhere"), FIRST, Watch())


@pytest.mark.parametrize(
    "faults",
    [Faults(throttles_s=60), Faults(refuses="ServiceUnavailableException"), Faults(breaks=tuple(range(1000)))],
    ids=["throttles", "is out of order", "talks nonsense"],
)
def test_a_service_that_answers_nothing_is_given_up_after_a_bounded_time(cloudwatch: Logs, faults: Faults) -> None:
    name = cloudwatch.set(Setting("/silent", rendered=rendered(5_000), faults=faults))
    with pytest.raises(SourceError, match=name):
        source(cloudwatch, name, patience=SOON, workers=1).read(days(9)[::2], QUERY, Watch())
    assert cloudwatch.stats(name).requests <= 6


def test_a_slice_that_cannot_be_had_is_missing_and_the_others_are_counted(cloudwatch: Logs) -> None:
    faults = Faults(hangs=tuple(range(3, 400, 4)))
    name = cloudwatch.set(Setting("/some", rendered=rendered(20_000), faults=faults))
    client = cloudwatch.client(read_timeout=0.2)
    (taken,) = source(cloudwatch, name, client=client, patience=Patience(tries=1)).read(days(1), QUERY, Watch())
    check_the_rest(cloudwatch, name, taken)


def test_a_day_whose_late_events_are_missing_is_not_whole() -> None:
    """Records of its last minutes may have their events in the next day's first."""
    day = days(1)[0]
    sheets = Sheets([day], QUERY, lambda hashes: [True] * len(hashes), {})
    end = ms(day.until)
    for start, until, is_whole in ((end, end + 300_000, False), (end + 900_000, end + 10**7, True)):
        (taken,) = sheets.taken([(start, until, "Why not.")])
        assert (taken.unread == ()) == is_whole


def test_once_halted_no_request_is_begun(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/halted", rendered=rendered(40_000), faults=Faults(latency_s=0.05)))
    watch = Watch(lambda _bytes, _records: watch.halt())
    with pytest.raises(Halted):
        source(cloudwatch, name, quota=100).read(days(1), QUERY, watch)
    for thread in readers():
        thread.join(10)
    begun = cloudwatch.stats(name).requests
    assert begun <= 16
    with pytest.raises(Halted):
        source(cloudwatch, name).read(days(1), QUERY, watch)
    assert not readers()
    assert cloudwatch.stats(name).requests == begun


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "FilterLogEvents"]


def test_a_reading_that_hangs_ends_when_it_is_halted(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/hanging", rendered=rendered(100), faults=Faults(hangs=tuple(range(100)))))
    watch = Watch()
    client = cloudwatch.client(read_timeout=1)
    threading.Timer(0.3, watch.halt).start()
    with pytest.raises(Halted):
        source(cloudwatch, name, client=client).read(days(1), QUERY, watch)
    assert readers()
    for thread in readers():
        thread.join(10)
    assert cloudwatch.stats(name).requests <= 16


def test_whoever_watches_hears_of_every_page(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/told", rendered=rendered(20_000)))
    heard: Counter[str] = Counter()
    watch = Watch(lambda size, records: heard.update(bytes=size, records=records))
    source(cloudwatch, name).read(days(1), QUERY, watch)
    assert heard["bytes"] == cloudwatch.stats(name).bytes
    assert heard["records"] >= 20_000


def test_what_the_watcher_raises_reaches_whoever_reads(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/raises", rendered=rendered(20_000)))

    def tell(_bytes: int, _records: int) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        source(cloudwatch, name).read(days(1), QUERY, Watch(tell))


def test_a_group_of_another_account_is_asked_for_by_its_arn(cloudwatch: Logs) -> None:
    other = "444455556666"
    setting = Setting("/linked", account=other, rendered=rendered(100), stored_bytes=5_000)
    name = cloudwatch.set(setting)
    arn = f"arn:aws:logs:{REGION}:{other}:log-group:{name}"
    events = Events(cloudwatch.client(), Place(other, REGION, name), Pace(FAST), group_arn=arn)
    (taken,) = events.read(days(1), QUERY, Watch())
    assert sums(taken.counted).calls == 100
    assert group_of(cloudwatch.client(), Place(other, REGION, name), FIRST, Watch(), arn=arn).arn == arn


def test_a_group_is_found_among_those_whose_names_begin_alike(cloudwatch: Logs) -> None:
    for number in range(60):
        cloudwatch.set(Setting(f"/alike-{number:02d}", stored_bytes=number))
    cloudwatch.set(Setting("/alike", stored_bytes=7_000, created_ms=ms(FIRST - 70 * DAY)))
    client = cloudwatch.client()
    assert group_of(client, Place(ACCOUNT, REGION, "/alike"), FIRST, Watch()).stored_bytes == 7_000
    assert group_of(client, Place(ACCOUNT, REGION, "/alike-59"), FIRST, Watch()).stored_bytes == 59
    with pytest.raises(SourceError, match="'/alik' "):
        group_of(client, Place(ACCOUNT, REGION, "/alik"), FIRST, Watch())


def test_the_size_of_a_day_is_judged_by_the_days_that_are_still_kept(cloudwatch: Logs) -> None:
    born = ms(FIRST - 100 * DAY)
    place = Place(ACCOUNT, REGION, cloudwatch.set(Setting("/size", stored_bytes=5_000_000, created_ms=born)))
    assert group_of(cloudwatch.client(), place, FIRST, Watch()).bytes_per_day == 50_000
    cloudwatch.set(Setting("/size", stored_bytes=5_000_000, created_ms=born, retention_days=10))
    assert group_of(cloudwatch.client(), place, FIRST, Watch()).bytes_per_day == 500_000
    cloudwatch.set(Setting("/size", stored_bytes=5_000_000, created_ms=ms(FIRST)))
    assert group_of(cloudwatch.client(), place, FIRST, Watch()).bytes_per_day == 5_000_000


def test_the_class_of_infrequent_access_is_told(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/infrequent", log_class="INFREQUENT_ACCESS"))
    assert group_of(cloudwatch.client(), Place(ACCOUNT, REGION, name), FIRST, Watch()).is_infrequent


def test_an_estimate_tells_bytes_requests_and_seconds_and_that_it_costs_nothing(cloudwatch: Logs) -> None:
    born = ms(FIRST - 100 * DAY)
    name = cloudwatch.set(Setting("/estimate", stored_bytes=10**9, created_ms=born))
    events = source(cloudwatch, name, quota=25, now=lambda: FIRST)
    estimate = events.estimate(days(7, FIRST - 7 * DAY), Watch())
    assert (estimate.bytes, estimate.requests, estimate.usd) == (70_000_000, 77, Decimal(0))
    assert estimate.seconds == pytest.approx(77 / 24)
    assert cloudwatch.stats(name).requests == 0


def test_an_estimate_needs_no_request_where_the_group_is_known(cloudwatch: Logs) -> None:
    events = source(cloudwatch, "/unknown", group=Group("arn", 10**6, 10**5))
    assert events.estimate(days(2), Watch()).bytes == 200_000
    assert events.estimate(days(30), Watch()).bytes == 10**6


def test_a_client_that_gives_bytes_serves_other_operations_as_before(cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/both", rendered=rendered(10), stored_bytes=3))
    client = cloudwatch.client()
    for _ in range(2):
        (taken,) = source(cloudwatch, name, client=client).read(days(1), QUERY, Watch())
        assert sums(taken.counted).calls == 10
    (group,) = client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert group["storedBytes"] == 3
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.filter_log_events(logGroupName="/nowhere")
