"""What reading a log asks of AWS, beside the policy that `tollbook iam` prints for it: no more, and no less."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import boto3
import botocore.session
import pytest

from tests.agreement import REGION, Way, made, played
from tests.fakes.aws_calls import AwsCalls
from tests.logs import ACCOUNT, Ask
from tollbook.app.aws import Asked, AwsBook
from tollbook.app.aws_settings import AWS_SETTINGS, aws_settings
from tollbook.core.settings import read_values
from tollbook.sources.aws.reach.policy import policy_for
from tollbook.sources.named import named
from tollbook.sources.reading import Watch
from tollbook.spend.query import Query
from tollbook.spend.window import last_days, zone_of

OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {"athena:logs.bedrock": ("--logs", "s3://bucket")}
"""What the command must be told beside the source."""

IN_TROUBLE: Final = frozenset({"logs:StopQuery", "athena:StopQueryExecution"})
"""Asked only where a reading is halted."""

BY_ATHENA: Final = frozenset({"glue:GetDatabase", "glue:GetTable", "glue:GetPartitions", "s3:GetBucketLocation"})
"""Asked by Athena on the reader's behalf."""


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Way]]:
    folder = tmp_path_factory.mktemp("permissions")
    midnight = datetime.combine(datetime.now(UTC).date(), datetime.min.time(), UTC)
    with played(folder, made(folder, midnight, ("--events", "200", "--profile", "small"))) as ways:
        yield {way.name: way for way in ways}


def asked_of_aws(way: Way, monkeypatch: pytest.MonkeyPatch, **settings: str) -> AwsCalls:
    """What a report of two days asks."""
    for name, value in way.environment.items():
        monkeypatch.setenv(name, value)
    values, problems = read_values(AWS_SETTINGS, {}, {"closed_days": "none", "look_up": "none", **settings})
    assert not problems
    session, calls = botocore.session.Session(), AwsCalls(ACCOUNT)
    calls.watch(boto3.session.Session(botocore_session=session))
    book = AwsBook([named(way.source)], aws_settings(values, way.environment), session=session)
    query = Query(last_days(3, datetime.now(UTC), zone_of("UTC")), ("model",))
    surveyed = book.survey(Asked(query), Watch())
    report = book.report(surveyed, Asked(query), ("model",), Watch())
    assert report.total.calls
    assert not report.unread
    return calls


def printed(ask: Ask, *words: str) -> Any:
    return json.loads(ask("iam", *words, "--region", REGION, "--account", ACCOUNT).out)


@pytest.mark.parametrize("name", ["FilterLogEvents", "Logs Insights", "S3", "Athena"])
def test_reading_asks_for_what_the_policy_allows_and_for_all_of_it(
    ways: Mapping[str, Way], name: str, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    way = ways[name]
    calls = asked_of_aws(way, monkeypatch)
    logs = "s3://bucket" if name == "Athena" else ""
    policy = policy_for(way.source, region=REGION, account=ACCOUNT, logs=logs)
    assert printed(ask, way.source, *OPTIONS.get(way.source, ())) == json.loads(policy.as_json())
    assert calls.beyond(policy) == []
    assert calls.idle(policy, IN_TROUBLE | (BY_ATHENA if name == "Athena" else frozenset())) <= {"s3:GetObject"}
    if name != "Athena":
        assert not calls.idle(policy, IN_TROUBLE)


def test_a_policy_for_another_place_would_not_be_enough(
    ways: Mapping[str, Way], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = asked_of_aws(ways["S3"], monkeypatch)
    assert calls.beyond(policy_for("s3://another", region=REGION, account=ACCOUNT))
    assert calls.beyond(policy_for("s3://bucket", region="eu-west-1", account=ACCOUNT))


def test_names_metrics_and_kept_days_ask_for_what_their_policy_allows(
    ways: Mapping[str, Way], monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    way = ways["FilterLogEvents"]
    s3 = boto3.client(
        "s3",
        endpoint_url=way.environment["AWS_ENDPOINT_URL"],
        region_name=REGION,
        **dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "testing"),
    )
    s3.create_bucket(Bucket="keeps")
    calls = asked_of_aws(way, monkeypatch, closed_days="s3://keeps/days", look_up="names,metrics")
    also = ("--names", "--metrics", "--keep", "s3://keeps/days")
    policy = policy_for(way.source, region=REGION, account=ACCOUNT, names=True, metrics=True, keep="s3://keeps/days")
    assert printed(ask, way.source, *also) == json.loads(policy.as_json())
    assert calls.beyond(policy) == []
    assert {"s3:PutObject", "s3:GetObject", "cloudwatch:ListMetrics"} <= calls.actions
