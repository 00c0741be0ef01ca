"""Logs behind Athena: the same report as from the same files on a disk, or a sentence that says what is missing."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config

from tests.fakes.athena import Failure, FakeAthena, Refusal, athena
from tests.fakes.moto import moto_server
from tests.logs import ACCOUNT, call
from tests.sources.aws.delivered import (
    DAYS,
    FIRST,
    LOGS,
    NAMES,
    QUESTIONS,
    REGION,
    deliver,
    from_files,
    make_log,
    over,
    reported,
    rows_of,
    together,
)
from tests.sources.aws.unhurried import Unhurried
from tollbook.core.errors import SourceError, UsageError
from tollbook.sources.aws.athena.source import Athena
from tollbook.sources.aws.athena.table import table_definition, table_of
from tollbook.sources.aws.delivery import delivery_of
from tollbook.sources.reading import Halted, Place, Taken, Watch

PLACE: Final = Place(ACCOUNT, REGION, "logs.bedrock")
TABLE: Final = table_of("logs", "bedrock")
BUCKET: Final = delivery_of("s3://bucket")
DEFINITION: Final = table_definition(TABLE, BUCKET, accounts=[ACCOUNT], regions=[REGION])
MODELS: Final = over("model")
KEYS: Final = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
CONFIG: Final = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    make_log(folder)
    return folder


@pytest.fixture
def fake(tree: Path) -> Iterator[FakeAthena]:
    with athena(DEFINITION, tree) as fake:
        yield fake


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory, tree: Path) -> Iterator[Any]:
    with moto_server(tmp_path_factory.mktemp("aws") / "moto.log") as url:
        client = boto3.client("s3", region_name=REGION, endpoint_url=url, config=CONFIG, **KEYS)
        client.create_bucket(Bucket="bucket")
        for path in filter(Path.is_file, tree.rglob("*")):
            client.put_object(Bucket="bucket", Key=str(path.relative_to(tree)), Body=path.read_bytes())
        yield client


def source(fake: FakeAthena, **more: Any) -> Athena:
    client = boto3.client("athena", region_name=REGION, endpoint_url=fake.url, config=CONFIG, **KEYS)
    given = {"database": "logs", "table": "bedrock", "s3": None, "names": NAMES, **more}
    return Athena(client, PLACE, **given)


def calls(taken: Taken) -> int:
    return sum(row.usage.calls for row in taken.counted.rows())


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_report_is_that_of_the_same_files_on_a_disk(fake: FakeAthena, tree: Path, question: str) -> None:
    query = QUESTIONS[question]
    counted, wanted = together(source(fake).read(DAYS, query, Watch())), from_files(tree, query)
    assert reported(counted, query) == reported(wanted, query)
    assert rows_of(counted) == rows_of(wanted)


def test_days_that_are_read_one_by_one_add_up_to_the_same(fake: FakeAthena) -> None:
    query = QUESTIONS["to be kept"]
    apart = [source(fake).read([day], query, Watch())[0] for day in DAYS]
    at_once = source(fake).read(DAYS, query, Watch())
    assert [reported(one.counted, query) for one in apart] == [reported(one.counted, query) for one in at_once]


def test_each_day_is_one_query_that_scans_its_folders_and_the_hour_after(fake: FakeAthena, tree: Path) -> None:
    watch = Unhurried()
    taken = source(fake).read(DAYS[:1], MODELS, watch)
    assert fake.count("StartQueryExecution") == 1
    hours = [FIRST + timedelta(hours=number) for number in range(25)]
    folders = [tree / LOGS / REGION / f"{hour:%Y/%m/%d/%H}" for hour in hours]
    scanned = sum(path.stat().st_size for folder in folders for path in folder.rglob("*.gz"))
    assert taken[0].bytes == watch.bytes == scanned
    assert taken[0].requests == len(fake.asked) == 4
    assert watch.waited == [0.2]


@pytest.mark.parametrize(
    ("scanned", "usd"),
    [(0, "0.00005"), (10_000_000, "0.00005"), (10_000_001, "0.000055"), (2 * 10**12, "10")],
)
def test_a_query_costs_five_dollars_a_terabyte_and_ten_megabytes_at_least(
    fake: FakeAthena, scanned: int, usd: str
) -> None:
    fake.scanned = scanned
    (taken,) = source(fake).read(DAYS[:1], MODELS, Unhurried())
    assert (taken.bytes, taken.usd) == (scanned, Decimal(usd))


def test_the_estimate_is_what_lies_in_the_folders_that_will_be_scanned(fake: FakeAthena, s3: Any) -> None:
    athena = source(fake, s3=s3)
    estimate = athena.estimate(DAYS, Watch())
    taken = athena.read(DAYS, MODELS, Unhurried())
    assert estimate.bytes == sum(one.bytes for one in taken)
    assert estimate.usd == sum(one.usd for one in taken)
    assert estimate.basis == "the files of 97 folders listed in S3"
    assert estimate.seconds > 0
    assert estimate.requests > 0


def test_of_very_many_folders_some_are_listed_and_the_rest_taken_to_be_like_them(tree: Path, s3: Any) -> None:
    regions = [REGION, *(f"eu-west-{number}" for number in range(1, 10))]
    with athena(table_definition(TABLE, BUCKET, accounts=[ACCOUNT], regions=regions), tree) as fake:
        estimate = source(fake, s3=s3).estimate(DAYS, Watch())
    assert estimate.basis == "the files of 485 of 970 folders listed in S3"
    everything = sum(path.stat().st_size for path in tree.rglob("*.gz"))
    assert everything / 2 < estimate.bytes < everything * 2


def test_an_estimate_asks_only_for_those_who_are_meant(fake: FakeAthena, tree: Path, s3: Any) -> None:
    with pytest.raises(SourceError, match=r"Table logs.bedrock of Athena holds no logs of 999999999999\."):
        source(fake, s3=s3, accounts=["999999999999"]).estimate(DAYS, Watch())
    with athena(table_definition(TABLE, BUCKET), tree) as injected:
        with pytest.raises(SourceError, match="does not say whose logs it holds"):
            source(injected, s3=s3).estimate(DAYS, Watch())
        meant = source(injected, s3=s3, accounts=[ACCOUNT], regions=[REGION])
        assert meant.estimate(DAYS, Watch()).bytes == source(fake, s3=s3).estimate(DAYS, Watch()).bytes


def test_an_estimate_names_what_is_missing(fake: FakeAthena, s3: Any) -> None:
    with pytest.raises(SourceError, match=r"There is no table logs\.other of Athena in us-east-1\. Make it with"):
        source(fake, s3=s3, table="other").estimate(DAYS, Watch())
    fake.table.properties["storage.location.template"] = ""
    with pytest.raises(SourceError, match="does not say where its files lie"):
        source(fake, s3=s3).estimate(DAYS, Watch())
    fake.table.properties["storage.location.template"] = "s3://not-there/AWSLogs/${log_account}"
    with pytest.raises(SourceError, match="No bucket 'not-there'"):
        source(fake, s3=s3).estimate(DAYS, Watch())


def test_a_table_that_does_not_say_whose_logs_it_holds_is_read_for_those_who_are_named(tree: Path) -> None:
    query = QUESTIONS["to be kept"]
    with athena(table_definition(TABLE, BUCKET), tree) as fake:
        with pytest.raises(SourceError, match="does not say whose logs it holds"):
            source(fake).read(DAYS, query, Unhurried())
        taken = source(fake, accounts=[ACCOUNT], regions=[REGION]).read(DAYS, query, Unhurried())
    assert reported(together(taken), query) == reported(from_files(tree, query), query)


def test_logs_of_others_are_left_out_where_one_is_named(tmp_path: Path) -> None:
    for region in ("us-east-1", "eu-west-1"):
        deliver(tmp_path, FIRST, call(timestamp="2026-11-18T00:00:00Z", region=region), region=region)
    both = table_definition(TABLE, BUCKET, accounts=[ACCOUNT], regions=["us-east-1", "eu-west-1"])
    with athena(both, tmp_path) as fake:
        assert calls(source(fake).read(DAYS[:1], MODELS, Unhurried())[0]) == 2
        (taken,) = source(fake, regions=["eu-west-1"]).read(DAYS[:1], MODELS, Unhurried())
        assert [row.key.region for row in taken.counted.rows()] == ["eu-west-1"]


def test_a_day_without_records_is_empty(fake: FakeAthena) -> None:
    far = type(DAYS[0])(FIRST - timedelta(days=9), FIRST - timedelta(days=8))
    (taken,) = source(fake).read([far], MODELS, Unhurried())
    assert (calls(taken), taken.bytes, taken.unread) == (0, 0, ())


def test_answers_of_more_than_one_page_are_read_whole(fake: FakeAthena, tree: Path) -> None:
    query = QUESTIONS["to be kept"]
    fake.page = 50
    taken = source(fake).read(DAYS, query, Unhurried())
    assert fake.count("GetQueryResults") > 8
    assert sum(one.requests for one in taken) == len(fake.asked)
    assert reported(together(taken), query) == reported(from_files(tree, query), query)


def test_where_results_go_and_which_workgroup_pays_is_said(fake: FakeAthena) -> None:
    source(fake).read(DAYS[:1], MODELS, Unhurried())
    source(fake, workgroup="finops", output="s3://results/here/").read(DAYS[:1], MODELS, Unhurried())
    first, second = (given for action, given in fake.asked if action == "StartQueryExecution")
    assert (first["WorkGroup"], first.get("ResultConfiguration")) == ("primary", None)
    assert (second["WorkGroup"], second["ResultConfiguration"]) == ("finops", {"OutputLocation": "s3://results/here/"})
    assert first["QueryExecutionContext"] == {"Database": "logs"}


def test_a_request_that_is_throttled_is_made_again_and_starts_no_second_query(fake: FakeAthena) -> None:
    throttled = Refusal("TooManyRequestsException", "You have exceeded the limit for the number of queries.")
    for action in ("StartQueryExecution", "GetQueryExecution", "GetQueryResults"):
        fake.refusals[action] = [throttled, Refusal("InternalServerException", "No.", 500)]
    watch = Unhurried()
    (taken,) = source(fake).read(DAYS[:1], MODELS, watch)
    assert calls(taken)
    assert len(fake.queries) == 1
    assert watch.waited == [0.1, 0.2, 0.1, 0.2, 0.2, 0.1, 0.2]
    tokens = {given["ClientRequestToken"] for action, given in fake.asked if action == "StartQueryExecution"}
    assert len(tokens) == 1


def test_a_query_that_athena_says_may_succeed_is_put_again(fake: FakeAthena) -> None:
    fake.failures = [Failure("INTERNAL_ERROR: Query exhausted resources", retryable=True)] * 2
    (taken,) = source(fake).read(DAYS[:1], MODELS, Unhurried())
    assert calls(taken)
    assert len(fake.queries) == 3
    fake.failures = [Failure("EXCEEDED: again", retryable=True)] * 4
    with pytest.raises(SourceError, match="EXCEEDED"):
        source(fake).read(DAYS[:1], MODELS, Unhurried())
    assert len(fake.failures) == 1


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (
            Failure("TABLE_NOT_FOUND: line 3:8: Table 'awsdatacatalog.logs.bedrock' does not exist"),
            "There is no table logs.bedrock of Athena in us-east-1. Make it with what 'tollbook athena ddl' prints",
        ),
        (Failure("SCHEMA_NOT_FOUND: line 3:8: Schema 'logs' does not exist"), "There is no table logs.bedrock"),
        (
            Failure("COLUMN_NOT_FOUND: line 1:8: Column 'log_hour' cannot be resolved or requester is not authorized"),
            "Table logs.bedrock of Athena has other columns than tollbook asks for. Drop it",
        ),
        (
            Failure("Query cancelled! : Bytes scanned limit was exceeded", state="CANCELLED"),
            "The workgroup finops of Athena allows no query to scan so much.",
        ),
        (Failure("", state="CANCELLED"), "Someone, or a limit of the workgroup finops, cancelled the query"),
        (
            Failure(
                "Access Denied (Service: Amazon S3; Status Code: 403; User: arn:aws:sts::111122223333:assumed-role/a/b "
                "is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-east-1:111122223333:key/k)"
            ),
            "assumed-role/a/b lacks kms:Decrypt on arn:aws:kms:us-east-1:111122223333:key/k",
        ),
        (
            Failure("PERMISSION_DENIED: Access Denied (Service: Amazon S3; Status Code: 403; Request ID: X)"),
            "Athena may not read what lies behind table logs.bedrock in us-east-1. Have s3:ListBucket and s3:GetObject",
        ),
        (
            Failure("HIVE_CURSOR_ERROR: Row is not a valid JSON Object: a prompt that is no one's business"),
            "Athena cannot read what lies in table logs.bedrock: HIVE_CURSOR_ERROR. Look for query query-0 in",
        ),
        (Failure("HIVE_BAD_DATA"), "Athena cannot read what lies in table logs.bedrock: HIVE_BAD_DATA."),
        (Failure("Something \x1b[31m else.\n"), "Athena failed: Something <U+001B>[31m else. Look for query query-0"),
        (Failure(""), "Athena failed: no reason given."),
    ],
)
def test_a_query_that_fails_says_why(fake: FakeAthena, failure: Failure, sentence: str) -> None:
    fake.failures = [failure]
    with pytest.raises(SourceError) as raised:
        source(fake, workgroup="finops").read(DAYS[:1], MODELS, Unhurried())
    assert sentence in str(raised.value)
    assert "business" not in str(raised.value)
    assert fake.count("StopQueryExecution") == 0


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (
            Refusal(
                "AccessDeniedException",
                "User: arn:aws:iam::111122223333:user/a is not authorized to perform: athena:StartQueryExecution on "
                "resource: arn:aws:athena:us-east-1:111122223333:workgroup/primary because no identity-based policy "
                "allows the athena:StartQueryExecution action",
            ),
            "lacks athena:StartQueryExecution on arn:aws:athena:us-east-1:111122223333:workgroup/primary",
        ),
        (
            Refusal("InvalidRequestException", "Unable to verify/create output bucket results"),
            "Athena cannot write its results. Give the workgroup primary a location",
        ),
        (
            Refusal("InvalidRequestException", "No output location provided. An output location is required."),
            "Athena cannot write its results.",
        ),
        (Refusal("InvalidRequestException", "WorkGroup is not found."), "Athena has no workgroup primary in us-east-1"),
        (Refusal("ExpiredTokenException", "The security token included in the request is expired"), "have expired"),
        (Refusal("InvalidRequestException", "line 1:1: mismatched input"), "mismatched input"),
    ],
)
def test_a_request_that_is_refused_says_why(fake: FakeAthena, refusal: Refusal, sentence: str) -> None:
    fake.refusals["StartQueryExecution"] = [refusal]
    with pytest.raises(SourceError) as raised:
        source(fake).read(DAYS[:1], MODELS, Unhurried())
    assert sentence in str(raised.value)


def test_a_day_that_fails_leaves_the_others(fake: FakeAthena) -> None:
    fake.failures = [Failure("Query timeout")]
    taken = source(fake).read(DAYS, MODELS, Unhurried())
    lost = [number for number, one in enumerate(taken) if one.unread]
    assert len(lost) == 1
    (sentence,) = taken[lost[0]].unread
    assert sentence.startswith(f"{DAYS[lost[0]].since:%Y-%m-%d}: Athena failed: Query timeout. Look for query query-")
    assert calls(taken[lost[0]]) == 0
    assert all(calls(one) for number, one in enumerate(taken) if number not in lost)


def test_an_athena_that_always_fails_is_not_asked_for_every_day(fake: FakeAthena) -> None:
    fake.failures = [Failure("Query timeout")] * 100
    days = [type(DAYS[0])(FIRST + timedelta(days=n), FIRST + timedelta(days=n + 1)) for n in range(40)]
    with pytest.raises(SourceError, match="Query timeout"):
        source(fake).read(days, MODELS, Unhurried())
    assert len(fake.queries) < 8


def test_what_is_lost_while_the_answer_is_fetched_stops_nothing_and_is_unread(fake: FakeAthena) -> None:
    fake.refusals["GetQueryResults"] = [Refusal("InvalidRequestException", "Query results are gone")]
    taken = source(fake).read(DAYS[:2], MODELS, Unhurried())
    assert sorted(len(one.unread) for one in taken) == [0, 1]


def test_a_reading_that_is_halted_stops_its_queries_and_asks_for_nothing_more(fake: FakeAthena) -> None:
    fake.held = True

    class Impatient(Unhurried):
        def wait(self, seconds: float) -> None:
            if len(self.waited) >= 10:
                self.halt()
            super().wait(seconds)

    with pytest.raises(Halted):
        source(fake).read(DAYS, MODELS, Impatient())
    assert {query.state for query in fake.queries.values()} == {"CANCELLED"}
    assert fake.count("StopQueryExecution") == len(fake.queries)
    asked = len(fake.asked)
    halted = Unhurried()
    halted.halt()
    for attempt in (lambda: source(fake).read(DAYS, MODELS, halted), lambda: source(fake).estimate(DAYS, halted)):
        with pytest.raises(Halted):
            attempt()
    assert len(fake.asked) == asked


def test_a_query_that_cannot_be_followed_is_stopped(fake: FakeAthena) -> None:
    fake.refusals["GetQueryExecution"] = [Refusal("AccessDeniedException", "No.")]
    fake.refusals["StopQueryExecution"] = [Refusal("AccessDeniedException", "No.")]
    with pytest.raises(SourceError, match="lacks athena:GetQueryExecution"):
        source(fake).read(DAYS[:1], MODELS, Unhurried())
    assert fake.count("StopQueryExecution") == 1


def test_a_query_without_end_is_stopped_after_an_hour(fake: FakeAthena) -> None:
    fake.held = True
    watch = Unhurried()
    with pytest.raises(SourceError, match="Athena has not answered query query-0 within an hour"):
        source(fake).read(DAYS[:1], MODELS, watch)
    assert 3600 <= sum(watch.waited) <= 3610
    assert fake.queries["query-0"].state == "CANCELLED"


def test_what_cannot_be_a_table_is_refused_before_anything_is_asked(fake: FakeAthena) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a table"):
        source(fake, table='bedrock" WHERE 1=1 --')
    with pytest.raises(UsageError, match="not all of these can be accounts or regions"):
        source(fake, regions=["eu-west-1') OR (1=1"]).read(DAYS[:1], MODELS, Unhurried())
    assert not fake.asked
