"""Logs in S3, as moto's server keeps them: the same report as from the same files on a disk, or a sentence that says
what is missing."""

import gzip
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config

from tests.fakes.faulty_s3 import Fault, FaultyS3, faulty
from tests.fakes.moto import moto_server
from tests.logs import ACCOUNT, call, lines
from tests.sources.aws.delivered import (
    DAYS,
    FIRST,
    LOGS,
    NAMES,
    QUESTIONS,
    REGION,
    from_files,
    make_log,
    over,
    reported,
    rows_of,
    together,
)
from tests.sources.aws.unhurried import Unhurried
from tollbook.core.errors import SourceError
from tollbook.sources.aws.s3.source import S3Logs, places_in
from tollbook.sources.reading import Halted, Place, Stretch, Taken, Watch

BUCKET: Final = "tollbook-logs"
PREFIX: Final = "team/logs"
PLACE: Final = Place(ACCOUNT, REGION, f"s3://{BUCKET}/{PREFIX}")
MODELS: Final = over("model")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    make_log(folder)
    return folder


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("aws") / "moto.log") as url:
        yield url


@pytest.fixture(scope="module")
def s3(aws: str, tree: Path) -> Any:
    client = client_at(aws)
    client.create_bucket(Bucket=BUCKET)
    for path in filter(Path.is_file, tree.rglob("*")):
        client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{path.relative_to(tree)}", Body=path.read_bytes())
    return client


@pytest.fixture
def between(aws: str, s3: Any) -> Iterator[FaultyS3]:
    with faulty(aws) as between:
        yield between


def client_at(url: str, region: str = REGION) -> Any:
    config = Config(
        retries={"total_max_attempts": 1},
        max_pool_connections=32,
        connect_timeout=5,
        read_timeout=20,
        s3={"addressing_style": "path"},
    )
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client("s3", region_name=region, endpoint_url=url, config=config, **keys)


def source(client: Any, **more: Any) -> S3Logs:
    return S3Logs(client, PLACE, BUCKET, PREFIX, ACCOUNT, REGION, names=NAMES, **more)


def own_bucket(aws: str, name: str, **files: bytes) -> S3Logs:
    """A source of a bucket of its own, whose files lie in the first hours of the first day."""
    client = client_at(aws)
    client.create_bucket(Bucket=name)
    for number, (key, content) in enumerate(files.items()):
        hour = FIRST + timedelta(hours=number)
        client.put_object(Bucket=name, Key=f"{LOGS}/{REGION}/{hour:%Y/%m/%d/%H}/{key}.json.gz", Body=content)
    return S3Logs(client, Place(ACCOUNT, REGION, f"s3://{name}"), name, "", ACCOUNT, REGION)


def calls(taken: Taken) -> int:
    return sum(row.usage.calls for row in taken.counted.rows())


def packed(*records: object) -> bytes:
    return gzip.compress(lines(records))


def at(hour: int, **fields: Any) -> dict[str, Any]:
    """A call in the first minute of an hour of the first day."""
    return call(timestamp=f"{FIRST + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}", **fields)


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_report_is_that_of_the_same_files_on_a_disk(s3: Any, tree: Path, question: str) -> None:
    query = QUESTIONS[question]
    counted, wanted = together(source(s3).read(DAYS, query, Watch())), from_files(tree, query)
    assert reported(counted, query) == reported(wanted, query)
    assert rows_of(counted) == rows_of(wanted)


def test_days_that_are_read_one_by_one_add_up_to_the_same(s3: Any) -> None:
    query = QUESTIONS["to be kept"]
    apart = [source(s3).read([day], query, Watch())[0] for day in DAYS]
    at_once = source(s3).read(DAYS, query, Watch())
    assert [reported(one.counted, query) for one in apart] == [reported(one.counted, query) for one in at_once]


def test_an_estimate_tells_what_the_reading_takes_and_is_not_listed_again(between: FaultyS3) -> None:
    logs = source(client_at(between.url))
    estimate = logs.estimate(DAYS, Watch())
    lists = between.lists
    watch = Unhurried()
    taken = logs.read(DAYS, MODELS, watch)
    assert between.lists == lists == len(DAYS) * 24 + 1
    assert sum(one.bytes for one in taken) == estimate.bytes == watch.bytes
    assert sum(one.requests for one in taken) == estimate.requests == lists + between.gets()
    assert sum(one.usd for one in taken) == estimate.usd
    assert estimate.usd == lists * Decimal("0.000005") + between.gets() * Decimal("0.0000004")
    assert estimate.basis == f"{between.gets()} files listed in S3"
    assert estimate.seconds > 0
    assert watch.records > sum(map(calls, taken))


def test_days_without_any_delivery_cost_no_request_for_each_hour(between: FaultyS3) -> None:
    logs = source(client_at(between.url))
    before = [
        Stretch(FIRST - timedelta(days=number), FIRST - timedelta(days=number - 1)) for number in range(400, 0, -1)
    ]
    logs.estimate([*before, *DAYS], Watch())
    assert between.lists < len(DAYS) * 24 + 10
    assert sum(map(calls, logs.read(DAYS, MODELS, Watch()))) > 0


def test_a_file_between_two_days_is_read_once_and_bodies_never(between: FaultyS3) -> None:
    source(client_at(between.url)).read(DAYS, MODELS, Watch())
    assert between.gets("_late.json.gz") == 6
    assert len(between.asked) == len(set(between.asked))
    assert not any("/data/" in path or "permission-check" in path for path in between.asked)


def test_today_is_read_anew_though_the_days_before_were_listed_with_it(between: FaultyS3) -> None:
    logs = source(client_at(between.url))
    logs.estimate(DAYS, Watch())
    logs.read(DAYS[:3], MODELS, Watch())
    lists = between.lists
    assert calls(logs.read(DAYS[3:], MODELS, Watch())[0])
    assert between.lists == lists
    logs.read(DAYS[3:], MODELS, Watch())
    assert between.lists > lists


def test_part_of_a_day_holds_the_records_of_that_part(s3: Any, tree: Path) -> None:
    middle = [
        Stretch(FIRST + timedelta(hours=5, minutes=45), FIRST + timedelta(hours=13)),
        Stretch(FIRST + timedelta(hours=13), FIRST + timedelta(hours=20, minutes=15)),
    ]
    query = over("hour", "model", "session")
    whole = type(query)(type(query.window)(middle[0].since, middle[1].until, query.window.zone), query.by)
    taken = together(source(s3).read(middle, query, Watch()))
    wanted = from_files(tree, whole)
    assert wanted.outside
    assert not taken.outside
    ours, theirs = reported(taken, whole), reported(wanted, whole)
    assert ours["groups"] == theirs["groups"]
    assert ours["totals"] == theirs["totals"]


def test_what_is_no_record_is_counted_with_the_day_that_it_was_delivered_in(aws: str) -> None:
    logs = own_bucket(aws, "broken-lines", one=packed(at(0), "{no json"), two=packed(at(1), {"modelId": "x"}))
    first, second = logs.read([Stretch(FIRST, FIRST + timedelta(hours=1)), DAYS[1]], MODELS, Watch())
    assert (calls(first), first.counted.rejected.total()) == (1, 1)
    assert (calls(second), second.counted.rejected.total()) == (0, 0)


def test_a_broken_file_is_noted_and_the_rest_counted(aws: str) -> None:
    whole = packed(at(0), *(at(0, body="x" * 200) for _ in range(400)))
    logs = own_bucket(aws, "broken-files", whole=packed(at(0)), cut=whole[: len(whole) // 2], bad=b"\x1f\x8b no gzip")
    (taken,) = logs.read(DAYS[:1], MODELS, Watch())
    assert calls(taken) > 1
    assert not taken.unread
    assert taken.notes == (
        "1 file of 2026-11-18: no whole gzip file (it ends in the middle); what came before that was counted",
        "1 file of 2026-11-18: no whole gzip file (its data is damaged); what came before that was counted",
    )


def refused_where(part: str, fault: Fault, times: int = 10**9) -> Any:
    """A judge who lets requests fail whose path holds `part`."""
    return lambda _method, path, before: fault if part in path and before < times else None


SLOW_DOWN: Final = Fault("SlowDown", "Please reduce your request rate.", 503)
KEY: Final = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/0a1b2c3d-1111-2222-3333-444455556666"
NO_DECRYPT: Final = Fault(
    "AccessDenied",
    f"User: arn:aws:sts::{ACCOUNT}:assumed-role/x/y is not authorized to perform: kms:Decrypt on resource: {KEY} "
    "because no identity-based policy allows the kms:Decrypt action",
    403,
)
DENIED: Final = Fault("AccessDenied", "Access Denied", 403)


def test_throttled_requests_are_made_again_and_nothing_is_counted_twice(between: FaultyS3, tree: Path) -> None:
    between.judge = refused_where("", SLOW_DOWN, times=3)
    query = QUESTIONS["to be kept"]
    watch = Unhurried()
    taken = source(client_at(between.url)).read(DAYS, query, watch)
    assert reported(together(taken), query) == reported(from_files(tree, query), query)
    assert sorted(set(watch.waited)) == [0.1, 0.2, 0.4]


@pytest.mark.parametrize("after", [0, 1, 200])
def test_a_connection_that_is_cut_goes_on_where_it_was(between: FaultyS3, tree: Path, after: int) -> None:
    between.judge = refused_where(".gz", Fault(cut_after=after), times=3)
    query = QUESTIONS["to be kept"]
    watch = Unhurried()
    taken = source(client_at(between.url)).read(DAYS, query, watch)
    assert reported(together(taken), query) == reported(from_files(tree, query), query)
    assert watch.bytes == sum(path.stat().st_size for path in tree.rglob("*_*.json.gz") if path.parent.name != "data")


def test_a_file_whose_connection_is_always_cut_is_unread(between: FaultyS3) -> None:
    between.judge = refused_where("_late.json.gz", Fault(cut_after=0))
    taken = source(client_at(between.url)).read(DAYS, MODELS, Unhurried())
    assert [len(one.unread) for one in taken] == [1, 1, 1, 1]
    assert taken[0].unread[0].startswith("2 files of ")
    assert "_late" not in " ".join(sentence for one in taken for sentence in one.unread)
    assert between.gets("_late.json.gz") == 6 * 6


def test_a_file_that_is_replaced_meanwhile_is_unread(aws: str) -> None:
    with faulty(aws) as between:
        own_bucket(aws, "replaced", one=packed(*(at(0) for _ in range(500))), two=packed(at(1)))
        client = client_at(aws)
        key = f"{LOGS}/{REGION}/{FIRST:%Y/%m/%d/%H}/one.json.gz"

        def judge(_method: str, path: str, before: int) -> Fault | None:
            if "one.json" in path and not before:
                return Fault(cut_after=100)
            if "one.json" in path:
                client.put_object(Bucket="replaced", Key=key, Body=packed(at(0)))
            return None

        between.judge = judge
        place = Place(ACCOUNT, REGION, "s3://replaced")
        logs = S3Logs(client_at(between.url), place, "replaced", "", ACCOUNT, REGION)
        (taken,) = logs.read(DAYS[:1], MODELS, Unhurried())
    assert taken.unread == ("1 file of 2 of 2026-11-18: It was replaced while it was read: ask again.",)


def test_a_file_that_is_gone_is_noted(between: FaultyS3) -> None:
    between.judge = refused_where("20261120T000500123Z_late", Fault("NoSuchKey", "The key does not exist.", 404))
    taken = source(client_at(between.url)).read(DAYS, MODELS, Watch())
    assert not any(one.unread for one in taken)
    assert [one.notes for one in taken] == [(), (), taken[2].notes, ()]
    assert taken[2].notes[0].startswith("1 file of 2026-11-20: gone since it was listed")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (DENIED, f"Cannot read {PLACE}: whoever asked lacks s3:GetObject"),
        (NO_DECRYPT, f"lacks kms:Decrypt on {KEY}, the key that encrypts it"),
        (Fault("KMS.DisabledException", "The key is disabled."), "its KMS key is disabled"),
        (Fault("InvalidObjectState", "No.", 403), "is archived: restore it"),
    ],
)
def test_what_may_not_be_read_is_said(between: FaultyS3, fault: Fault, sentence: str) -> None:
    between.judge = refused_where("/2026/11/19/", fault)
    list_too = between.judge
    between.judge = lambda method, path, before: None if "list-type" in path else list_too(method, path, before)
    taken = source(client_at(between.url)).read(DAYS, MODELS, Watch())
    assert [bool(one.unread) for one in taken] == [True, True, False, False]  # the first has its late records there
    assert sentence in taken[1].unread[0]
    assert calls(taken[0])

    between.judge = lambda method, path, before: None if "list-type" in path else fault
    between.asked.clear()
    with pytest.raises(SourceError) as raised:
        source(client_at(between.url)).read(DAYS, MODELS, Watch())
    assert sentence in str(raised.value)
    assert between.gets() < 32 + 16


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (DENIED, f"Cannot read {PLACE}: whoever asked lacks s3:ListBucket"),
        (Fault("NoSuchBucket", "No.", 404), f"No bucket '{BUCKET}', where {PLACE} should be"),
        (
            Fault("PermanentRedirect", "No.", 301, (("x-amz-bucket-region", "eu-north-1"),)),
            f"The bucket of {PLACE} lies in eu-north-1: name that region.",
        ),
    ],
)
def test_a_bucket_that_cannot_be_listed_is_an_error(between: FaultyS3, fault: Fault, sentence: str) -> None:
    between.judge = refused_where("", fault)
    logs = source(client_at(between.url))
    for attempt in (lambda: logs.estimate(DAYS, Watch()), lambda: logs.read(DAYS, MODELS, Watch())):
        with pytest.raises(SourceError) as raised:
            attempt()
        assert sentence in str(raised.value)
    assert between.gets() == 0


def test_an_hour_that_cannot_be_listed_is_unread(between: FaultyS3) -> None:
    between.judge = refused_where("/2026/11/19/07/", SLOW_DOWN)
    logs = source(client_at(between.url))
    logs.estimate(DAYS, Unhurried())
    taken = logs.read(DAYS, MODELS, Unhurried())
    assert [len(one.unread) for one in taken] == [0, 1, 0, 0]
    assert taken[1].unread[0].startswith("1 hour of 2026-11-19: ")
    assert calls(taken[1])


def test_a_region_that_is_down_is_given_up_soon(between: FaultyS3) -> None:
    between.judge = refused_where("", Fault("InternalError", "We encountered an internal error.", 500))
    with pytest.raises(SourceError, match=BUCKET):
        source(client_at(between.url)).read(DAYS, MODELS, Unhurried())
    assert len(set(between.asked)) < 32 + 16


def test_credentials_that_expire_in_the_middle_leave_a_partial_answer(between: FaultyS3) -> None:
    gone = Fault("ExpiredToken", "The provided token has expired.", 400)
    between.judge = lambda _method, _path, _before: gone if between.gets() > 30 else None
    taken = source(client_at(between.url), workers=1).read(DAYS[:3], MODELS, Unhurried())
    assert [bool(one.unread) for one in taken] == [False, True, True]
    assert calls(taken[0])
    assert between.gets() == 30 + 32
    assert sum(one.requests for one in taken) == len(between.asked)


def test_a_reading_that_is_halted_asks_for_nothing_more(between: FaultyS3) -> None:
    watch = Watch()
    seen: list[int] = []

    def judge(_method: str, path: str, _before: int) -> None:
        if between.gets() == 10:
            watch.halt()
            seen.append(len(between.asked))

    between.judge = judge
    with pytest.raises(Halted):
        source(client_at(between.url), workers=1).read(DAYS[:2], MODELS, watch)
    assert len(between.asked) == seen[0]
    with pytest.raises(Halted):
        source(client_at(between.url)).estimate(DAYS[:2], watch)
    assert len(between.asked) == seen[0]


def test_the_accounts_and_regions_of_a_bucket_are_found(aws: str) -> None:
    client = client_at(aws)
    client.create_bucket(Bucket="of-several")
    for key in (
        "org/AWSLogs/111122223333/BedrockModelInvocationLogs/eu-west-1/2026/11/18/00/a.json.gz",
        "org/AWSLogs/111122223333/BedrockModelInvocationLogs/us-gov-west-1/2026/11/18/00/a.json.gz",
        "org/AWSLogs/111122223333/BedrockModelInvocationLogs/amazon-bedrock-logs-permission-check",
        "org/AWSLogs/111122223333/CloudTrail/eu-west-1/a.json.gz",
        "org/AWSLogs/444455556666/BedrockModelInvocationLogs/ap-southeast-2/2026/11/18/00/a.json.gz",
        "org/AWSLogs/o-organisation/444455556666/x",
        "elsewhere/AWSLogs/777788889999/BedrockModelInvocationLogs/eu-west-1/a",
    ):
        client.put_object(Bucket="of-several", Key=key, Body=b"")
    found = [("111122223333", "eu-west-1"), ("111122223333", "us-gov-west-1"), ("444455556666", "ap-southeast-2")]
    name = "s3://of-several/org"
    assert list(places_in(client, "of-several", "org/")) == [Place(account, region, name) for account, region in found]
    assert list(places_in(client, "of-several", "nothing")) == []
    with pytest.raises(SourceError, match="No bucket 'not-there'"):
        places_in(client, "not-there", "")


def test_more_files_than_one_page_are_listed(between: FaultyS3, tree: Path) -> None:
    between.page = 1
    query = QUESTIONS["to be kept"]
    logs = source(client_at(between.url))
    estimate = logs.estimate(DAYS, Watch())
    assert estimate.requests == between.lists + len(list(tree.rglob("2*.json.gz")))
    assert between.lists > 24 * len(DAYS) + 1
    assert reported(together(logs.read(DAYS, query, Watch())), query) == reported(from_files(tree, query), query)
    found = places_in(client_at(between.url), BUCKET, PREFIX)
    assert list(found) == [PLACE]


def test_a_line_that_is_no_log_is_counted_once_and_the_rest_read(aws: str) -> None:
    logs = own_bucket(aws, "long-lines", one=gzip.compress(b"x" * (65 << 20) + b"\n" + lines([at(0)])))
    (taken,) = logs.read(DAYS[:1], MODELS, Watch())
    assert calls(taken) == 1
    assert dict(taken.counted.rejected) == {"too_long": 1}


def test_a_file_that_may_no_longer_be_read_when_its_connection_was_cut_is_unread(between: FaultyS3) -> None:
    def judge(_method: str, path: str, before: int) -> Fault | None:
        if "_late.json.gz" not in path:
            return None
        return DENIED if before else Fault(cut_after=50)

    between.judge = judge
    (taken,) = source(client_at(between.url)).read(DAYS[3:], MODELS, Unhurried())
    assert [sentence.partition("lacks ")[2][:12] for sentence in taken.unread] == ["s3:GetObject"]
