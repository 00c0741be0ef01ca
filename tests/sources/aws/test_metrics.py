"""How much of what CloudWatch counts the logs hold: moto's CloudWatch, and botocore's stub for what moto never does."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import boto3
import pytest
from botocore.stub import ANY, Stubber

from tests.fakes.aws_calls import AwsCalls
from tests.fakes.moto import REGION, go_to_moto, moto_server
from tollbook.sources.aws.cloudwatch.metrics import Coverage, compared, coverage_of, period_of
from tollbook.sources.aws.reach.policy import policy_for
from tollbook.sources.reading import Halted, Stretch, Watch

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HAIKU: Final = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
NOVA: Final = "amazon.nova-lite-v1:0"


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("moto") / "moto.log") as url:
        yield url


@pytest.fixture
def cloudwatch(moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Any]:
    go_to_moto("CLOUDWATCH", moto, monkeypatch, tmp_path)
    client = boto3.client("cloudwatch")
    yield client
    client.close()


@pytest.fixture
def now() -> datetime:
    """An hour that has just begun; CloudWatch takes no data that is older than two weeks."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def count(client: Any, when: datetime, model: str, calls: int, tokens: tuple[int, int], **more: str) -> None:
    dimensions = [{"Name": name, "Value": value} for name, value in {"ModelId": model, **more}.items()]
    values = {"Invocations": calls, "InputTokenCount": tokens[0], "OutputTokenCount": tokens[1]}
    client.put_metric_data(
        Namespace="AWS/Bedrock",
        MetricData=[
            {"MetricName": name, "Dimensions": dimensions, "Timestamp": when, "Value": value}
            for name, value in values.items()
        ],
    )


def test_the_metrics_of_all_models_are_added_up_within_the_stretch(cloudwatch: Any, now: datetime) -> None:
    stretch = Stretch(now - 3 * HOUR, now - HOUR)
    count(cloudwatch, stretch.since, HAIKU, 10, (1000, 100))
    count(cloudwatch, stretch.since + HOUR, HAIKU, 5, (500, 50))
    count(cloudwatch, stretch.until - timedelta(minutes=1), NOVA, 2, (20, 4))
    count(cloudwatch, stretch.until, NOVA, 100, (7, 7))
    count(cloudwatch, stretch.since - timedelta(minutes=1), NOVA, 100, (7, 7))
    count(cloudwatch, stretch.since, NOVA, 2, (20, 4), ServiceTier="flex")
    calls = AwsCalls()
    assert coverage_of(calls.watch(cloudwatch), stretch, now) == Coverage(17, 1520, 154)
    policy = policy_for(region=REGION, metrics=True)
    assert calls.beyond(policy) == []
    assert calls.idle(policy) == frozenset()


def test_where_nothing_was_called_nothing_is_counted(moto: str, cloudwatch: Any, now: datetime) -> None:
    elsewhere = boto3.client("cloudwatch", region_name="ap-south-1")
    assert coverage_of(elsewhere, Stretch(now - DAY, now), now) == Coverage(0, 0, 0, is_settled=False)
    elsewhere.close()


NOW: Final = datetime(2026, 11, 23, 12, 7, 30, tzinfo=UTC)
MIDNIGHT: Final = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "until", "period"),
    [
        (MIDNIGHT - DAY, MIDNIGHT, 3600),
        (MIDNIGHT - DAY, MIDNIGHT + timedelta(minutes=30), 1800),
        (MIDNIGHT - DAY + timedelta(minutes=45), MIDNIGHT, 900),
        (MIDNIGHT - DAY, MIDNIGHT + timedelta(minutes=5), 300),
        (MIDNIGHT - DAY, MIDNIGHT + timedelta(minutes=7), 60),
        (MIDNIGHT - DAY, MIDNIGHT + timedelta(seconds=7), None),
        (NOW - 15 * DAY, MIDNIGHT, None),  # seconds of its own
        (MIDNIGHT - 14 * DAY + timedelta(minutes=1), MIDNIGHT, 60),
        (MIDNIGHT - 15 * DAY + timedelta(minutes=1), MIDNIGHT, None),
        (MIDNIGHT - 15 * DAY + timedelta(minutes=5), MIDNIGHT, 300),
        (MIDNIGHT - 62 * DAY + timedelta(minutes=30), MIDNIGHT, 1800),
        (MIDNIGHT - 63 * DAY + timedelta(minutes=30), MIDNIGHT, None),
        (MIDNIGHT - 63 * DAY, MIDNIGHT, 3600),
        (MIDNIGHT - 454 * DAY, MIDNIGHT, 3600),
        (MIDNIGHT - 455 * DAY, MIDNIGHT, None),
    ],
)
def test_the_period_is_the_longest_that_fits_and_is_still_kept(
    since: datetime, until: datetime, period: int | None
) -> None:
    assert period_of(Stretch(since, until), NOW) == period


@pytest.fixture
def stub(cloudwatch: Any) -> Iterator[Stubber]:
    with Stubber(cloudwatch) as stub:
        yield stub
        stub.assert_no_pending_responses()


YESTERDAY: Final = Stretch(MIDNIGHT - DAY, MIDNIGHT)


def listing(*models: str, **more: str) -> Mapping[str, Any]:
    dimensions = [[{"Name": "ModelId", "Value": model}] for model in models]
    return {"Metrics": [{"Dimensions": each} for each in dimensions], **more}


def data(*series: tuple[str, list[float], str], **more: str) -> Mapping[str, object]:
    return {"MetricDataResults": [{"Id": i, "Values": v, "StatusCode": code} for i, v, code in series], **more}


def test_a_stretch_off_the_grid_asks_nothing(cloudwatch: Any, stub: Stubber) -> None:
    assert coverage_of(cloudwatch, Stretch(MIDNIGHT - 500 * DAY, MIDNIGHT), NOW) is None


def test_pages_are_followed_to_the_end(cloudwatch: Any, stub: Stubber) -> None:
    asked = {"Namespace": "AWS/Bedrock", "MetricName": "Invocations", "Dimensions": [{"Name": "ModelId"}]}
    stub.add_response("list_metrics", listing(HAIKU, NextToken="2"), asked)
    stub.add_response("list_metrics", listing(NOVA), {**asked, "NextToken": "2"})
    window = {"MetricDataQueries": ANY, "StartTime": YESTERDAY.since, "EndTime": YESTERDAY.until}
    first = data(("m0", [3.0], "PartialData"), ("m1", [10.0], "Complete"), NextToken="more")
    stub.add_response("get_metric_data", first, window)
    rest = data(("m0", [4.0, 1.0], "Complete"), ("m4", [5.0], "Complete"))
    stub.add_response("get_metric_data", rest, {**window, "NextToken": "more"})
    assert coverage_of(cloudwatch, YESTERDAY, NOW) == Coverage(8, 15, 0)


def test_more_metrics_than_one_request_takes_are_asked_for_in_several(cloudwatch: Any, stub: Stubber) -> None:
    stub.add_response("list_metrics", listing(*(f"model{number}" for number in range(167))))
    stub.add_response("get_metric_data", data(("m0", [1.0], "Complete"), ("m499", [9.0], "Complete")))
    stub.add_response("get_metric_data", data(("m0", [2.0], "Complete")))
    assert coverage_of(cloudwatch, YESTERDAY, NOW) == Coverage(1, 9, 2)


def test_models_that_cloudwatch_lists_no_more_are_asked_for_by_the_ids_of_the_logs(
    cloudwatch: Any, stub: Stubber
) -> None:
    old = Stretch(MIDNIGHT - 30 * DAY, MIDNIGHT - 29 * DAY)
    profile = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc"
    part = {"Dimensions": [{"Name": "ServiceTier", "Value": "flex"}, {"Name": "ModelId", "Value": NOVA}]}
    stub.add_response("list_metrics", {"Metrics": [*listing(HAIKU)["Metrics"], part]})
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Bedrock",
                    "MetricName": name,
                    "Dimensions": [{"Name": "ModelId", "Value": model}],
                },
                "Period": 3600,
                "Stat": "Sum",
            },
        }
        for number, (model, name) in enumerate(
            (model, name) for model in ("abc", HAIKU) for name in ("Invocations", "InputTokenCount", "OutputTokenCount")
        )
    ]
    window = {"MetricDataQueries": queries, "StartTime": old.since, "EndTime": old.until}
    stub.add_response("get_metric_data", data(("m0", [6.0], "Complete")), window)
    assert coverage_of(cloudwatch, old, NOW, models=[profile, HAIKU]) == Coverage(6, 0, 0, is_whole=False)


@pytest.mark.parametrize("operation", ["list_metrics", "get_metric_data"])
def test_without_permission_there_is_no_figure_and_no_fault(cloudwatch: Any, stub: Stubber, operation: str) -> None:
    if operation == "get_metric_data":
        stub.add_response("list_metrics", listing(HAIKU))
    stub.add_client_error(operation, "AccessDenied", http_status_code=403)
    assert coverage_of(cloudwatch, YESTERDAY, NOW) is None


@pytest.mark.parametrize(
    "answer", [data(("m0", [1.0], "InternalError")), data(("m0", [1.0], "Forbidden")), data(("x", [1.0], "Complete"))]
)
def test_an_answer_that_is_not_whole_is_no_figure(cloudwatch: Any, stub: Stubber, answer: Mapping[str, object]) -> None:
    stub.add_response("list_metrics", listing(HAIKU))
    stub.add_response("get_metric_data", answer)
    assert coverage_of(cloudwatch, YESTERDAY, NOW) is None


def test_pages_without_end_are_left(cloudwatch: Any, stub: Stubber) -> None:
    calls = AwsCalls()
    for _ in range(200):
        stub.add_response("list_metrics", listing(NextToken="again"))
    assert coverage_of(calls.watch(cloudwatch), YESTERDAY, NOW) is None
    assert len(calls.operations) == 200


def test_nothing_is_asked_once_nobody_waits_for_the_answer(cloudwatch: Any, stub: Stubber) -> None:
    watch = Watch()
    watch.halt()
    with pytest.raises(Halted):
        coverage_of(cloudwatch, YESTERDAY, NOW, watch=watch)


@pytest.mark.parametrize(
    ("coverage", "calls", "more", "sentence"),
    [
        (
            Coverage(12_508, 0, 0),
            12_345,
            {},
            "logs hold 98.6 % of the invocations that AWS/Bedrock counts in eu-west-1 (12,345 of 12,508)",
        ),
        (
            Coverage(12_508, 0, 0),
            12_340,
            {"failed": 5},
            "logs hold 98.6 % of the invocations that AWS/Bedrock counts in eu-west-1 "
            "(12,345 of 12,508, failed calls included)",
        ),
        (Coverage(12, 0, 0), 12, {}, "logs hold all of the 12 invocations that AWS/Bedrock counts in eu-west-1"),
        (
            Coverage(100_000, 0, 0),
            99_999,
            {},
            "logs hold 99.9 % of the invocations that AWS/Bedrock counts in eu-west-1 (99,999 of 100,000)",
        ),
        (
            Coverage(1000, 0, 0),
            0,
            {},
            "logs hold 0.0 % of the invocations that AWS/Bedrock counts in eu-west-1 (0 of 1,000)",
        ),
        (
            Coverage(100, 0, 0),
            125,
            {},
            "logs hold 125.0 % of the invocations that AWS/Bedrock counts in eu-west-1 (125 of 100), "
            "more than it knows of",
        ),
        (Coverage(0, 0, 0), 7, {}, "AWS/Bedrock counts no invocations in eu-west-1, and the logs hold 7"),
        (Coverage(0, 0, 0), 0, {}, ""),
        (
            Coverage(10, 1000, 0, is_whole=False, is_settled=False),
            5,
            {"input_tokens": 499, "output_tokens": 3},
            "logs hold 50.0 % of the invocations that AWS/Bedrock counts in eu-west-1 so far (5 of 10), "
            "49.9 % of the input tokens; models without a call in the last two weeks may be missing there",
        ),
    ],
)
def test_the_sentence_says_how_much_of_what_cloudwatch_counts_the_logs_hold(
    coverage: Coverage, calls: int, more: Mapping[str, int], sentence: str
) -> None:
    assert compared(coverage, "eu-west-1", calls, **more) == sentence
