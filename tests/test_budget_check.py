"""The check of budgets that AWS runs on a schedule: by our loop in AWS's emulator, and by hand where it is to fail.

CloudWatch Logs, SNS, and the queue of SQS that hears the topic, are moto's.
"""

import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any, Final

import boto3
import botocore.session
import httpx2
import pytest

from tests.deploy.choices import CHECKED
from tests.deploy.evaluation import ACCOUNT, Made
from tests.deploy.test_template_policies import policy
from tests.fakes.aws_calls import AwsCalls
from tests.fakes.emulator import emulated, emulator
from tests.fakes.moto import REGION, go_to_moto, moto_server
from tests.hosting.wire import ROOT
from tests.logs import Ask
from tollbook.app.budget_check import TOPIC, check, check_in, handler
from tollbook.app.deployed import statements_for
from tollbook.core.errors import SourceError, UsageError
from tollbook.core.iam import Policy
from tollbook.deploy.plan.document import defaults
from tollbook.deploy.template import rendered, template

__all__ = ["emulator"]

GROUP: Final = "/aws/bedrock/modelinvocations"
BUDGETS: Final = {"all": {"usd": 3, "per": "day"}, "etl": {"usd": 1000, "per": "day", "principal": "role/etl"}}


class Aws:
    """An account with a log group, and a topic that a queue hears."""

    def __init__(self, url: str) -> None:
        httpx2.post(f"{url}/moto-api/reset").raise_for_status()
        keys = dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "testing")
        self._clients = ExitStack()
        session = boto3.session.Session(region_name=REGION, **keys)
        self.logs, self.sns, self.sqs = (
            session.client(service, endpoint_url=url) for service in ("logs", "sns", "sqs")
        )
        for client in (self.logs, self.sns, self.sqs):
            self._clients.callback(client.close)
        self.logs.create_log_group(logGroupName=GROUP)
        self.logs.create_log_stream(logGroupName=GROUP, logStreamName="aws/bedrock/modelinvocations")
        self.topic = str(self.sns.create_topic(Name="budgets")["TopicArn"])
        self._queue = self.sqs.create_queue(QueueName="mails")["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:123456789012:mails"
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)

    def spend(self, tokens: int, who: str = "rag-api") -> None:
        """Today's first call: of Claude Sonnet 4.5 in a US profile, whose answers cost $16.50 a million."""
        midnight = datetime.combine(datetime.now(UTC).date(), time.min, UTC)
        record = {
            "timestamp": midnight.isoformat().replace("+00:00", "Z"),
            "modelId": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "operation": "Converse",
            "region": REGION,
            "accountId": "123456789012",
            "requestId": f"request-{who}",
            "identity": {"arn": f"arn:aws:sts::123456789012:assumed-role/{who}/i-1"},
            "input": {"inputTokenCount": 0},
            "output": {"outputTokenCount": tokens},
        }
        event = {"timestamp": int(midnight.timestamp() * 1000), "message": json.dumps(record)}
        stream = "aws/bedrock/modelinvocations"
        self.logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=[event])

    def told(self) -> list[Mapping[str, Any]]:
        """What the topic was told since the last time."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    def close(self) -> None:
        self._clients.close()


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("moto") / "moto.log") as url:
        yield url


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Aws]:
    """The account, which the environment leads to, with budgets to check."""
    go_to_moto("SNS", moto, monkeypatch, tmp_path)
    account = Aws(moto)
    variables = {
        "AWS_ENDPOINT_URL": moto,
        "AWS_REGION": REGION,
        "TOLLBOOK_SOURCE": f"events:{GROUP}",
        "TOLLBOOK_LOOK_UP": "none",
        "TOLLBOOK_CLOSED_DAYS": "none",
        "TOLLBOOK_BUDGETS": json.dumps(BUDGETS),
        TOPIC: account.topic,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    yield account
    account.close()


@pytest.fixture(autouse=True)
def _logging_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import logging

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_the_function_tells_the_topic_of_a_budget_that_is_over_and_again_with_each_run(
    aws: Aws, emulator: Path, tmp_path: Path
) -> None:
    aws.spend(200_000)
    command = [sys.executable, "-m", "tollbook.app.image", "tollbook.app.budget_check:handler"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src")))}
    with emulated(emulator, command, tmp_path, environment) as function:
        answers = [function.invoke({"source": "aws.events"}).json for _ in range(2)]
        assert '"budgets checked"' in function.log.read_text()
    assert answers == [{"state": "over", "budgets": {"all": "over", "etl": "ok"}, "unread": [], "told": True}] * 2
    first, second = aws.told()
    assert first["Subject"] == "tollbook: of 2 Bedrock budgets 1 over the limit"
    assert "all (all calls): spent $3.30 of $3.00 (110%) today" in first["Message"]
    assert second["Message"].splitlines()[1:2] == first["Message"].splitlines()[1:2]


def test_it_asks_aws_for_nothing_but_what_the_stacks_role_allows(aws: Aws) -> None:
    aws.spend(200_000)
    session, calls = botocore.session.Session(), AwsCalls(ACCOUNT)
    calls.watch(boto3.session.Session(botocore_session=session))
    assert check(check_in(os.environ), session=session)["told"]

    def role(topic: str) -> Policy:
        names = {"BudgetTopic": topic}
        values = {name: default or "" for name, default in defaults(template()).items()} | CHECKED
        statements = statements_for({**values, "TollbookSource": f"events:{GROUP}"}, ACCOUNT, REGION)
        made = Made(rendered(template(), statements, "0" * 10), names, **CHECKED)
        return policy(made.properties("ServerRole"))

    assert calls.beyond(role(aws.topic)) == []
    assert "sns:Publish" in calls.actions
    assert calls.beyond(role(f"{aws.topic}-2")) == [f"sns:Publish on {aws.topic}"]


def test_nobody_is_told_while_all_is_well(aws: Aws) -> None:
    aws.spend(1000)
    assert handler({}, None) == {
        "state": "ok",
        "budgets": {"all": "ok", "etl": "ok"},
        "unread": [],
        "told": False,
    }
    assert aws.told() == []


def test_a_budget_that_is_nearly_used_up_is_told_as_near(aws: Aws) -> None:
    aws.spend(160_000)
    assert handler({}, None)["state"] == "warning"
    assert [message["Subject"] for message in aws.told()] == ["tollbook: of 2 Bedrock budgets 1 near it"]


@pytest.mark.parametrize(
    ("tokens", "state", "subject"),
    [
        (1000, "ok", "tollbook: not all logs could be read for 2 Bedrock budgets"),
        (200_000, "over", "tollbook: of 2 Bedrock budgets 1 over the limit, and not all logs could be read"),
    ],
)
def test_where_some_logs_cannot_be_read_the_topic_is_told_that_much_and_the_log_which(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tokens: int, state: str, subject: str
) -> None:
    aws.spend(tokens)
    monkeypatch.setenv("TOLLBOOK_SOURCE", f"events:{GROUP},events:/secret/group")
    found = handler({}, None)
    (line,) = capsys.readouterr().err.splitlines()
    assert (found["state"], found["told"]) == (state, True)
    (unread,) = found["unread"]
    assert "/secret/group" in unread
    assert (json.loads(line)["unread"], json.loads(line)["level"]) == ([unread], "error")
    (mail,) = aws.told()
    assert mail["Subject"] == subject
    assert len(subject) <= 100  # https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
    assert "Some of the logs could not be read; the log of the function says which." in mail["Message"]
    assert "all (all calls): spent at least $" in mail["Message"]


def test_the_command_too_fails_where_some_logs_cannot_be_read(aws: Aws, ask: Ask, tmp_path: Path) -> None:
    aws.spend(1000)
    budgets = tmp_path / "tollbook.toml"
    budgets.write_text('[budgets.all]\nusd = 3\nper = "day"\n')
    words = ("--file", str(budgets), "--yes")
    assert ask("budget", "check", f"events:{GROUP}", *words).code == 0
    answer = ask("budget", "check", f"events:{GROUP}", "events:/secret/group", *words)
    assert answer.code == 1
    assert answer.out.startswith("ok       all (all calls): spent at least $")
    assert "not read: No log group '/secret/group'" in answer.err


@pytest.mark.parametrize("others", ["", ",events:/secret/group"])
def test_a_mail_holds_the_budgets_and_no_place_account_or_path(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, others: str
) -> None:
    aws.spend(200_000)
    monkeypatch.setenv("TOLLBOOK_SOURCE", f"events:{GROUP}{others}")
    handler({}, None)
    (mail,) = aws.told()
    assert "etl (principal role/etl): spent" in mail["Message"]
    assert "an estimate at list price" in mail["Message"]
    for told in ("/aws/bedrock", "/secret", "s3://", "arn:", "123456789012", REGION, "events"):
        assert told not in mail["Message"]


def test_a_fault_of_our_own_fails_the_invocation_without_a_word_of_what_it_quotes(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.spend(200_000)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", "a-secret that is no URL")
    with pytest.raises(SourceError) as fault:
        handler({}, None)
    whole = "".join(traceback.format_exception(fault.value)) + capsys.readouterr().err
    assert "a-secret" not in whole
    assert "a fault of tollbook's own; the log says where" in whole
    assert aws.told() == []


def test_logs_that_cannot_be_read_fail_the_invocation_with_a_line_in_the_log(
    aws: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.logs.delete_log_group(logGroupName=GROUP)
    with pytest.raises(SourceError, match="No log group"):
        handler({}, None)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "the budgets could not be checked"
    assert "No log group" in json.loads(line)["reason"]
    assert aws.told() == []


def test_a_topic_that_is_not_there_fails_the_invocation(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.spend(200_000)
    monkeypatch.setenv(TOPIC, f"{aws.topic}-2")
    with pytest.raises(SourceError, match=r"nobody was told: the topic .*-2 cannot be published to \(NotFound"):
        handler({}, None)


def test_nothing_is_read_for_more_than_the_limit_since_nobody_can_agree(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.spend(200_000)
    monkeypatch.setenv("TOLLBOOK_MAX_SCAN_GB", "0.0000001")
    with pytest.raises(SourceError, match="nobody is there to agree"):
        handler({}, None)


def test_every_mistake_of_the_environment_is_told_at_once() -> None:
    said = {"TOLLBOOK_SOURCE": "logs/", "TOLLBOOK_TAGS": ",", TOPIC: "budgets"}
    with pytest.raises(UsageError) as fault:
        check_in(said)
    assert {line.partition(":")[0] for line in fault.value.more} == {
        "--tags (TOLLBOOK_TAGS)",
        TOPIC,
        "TOLLBOOK_SOURCE",
    }
    with pytest.raises(UsageError, match="there are no budgets to check"):
        check_in({TOPIC: f"arn:aws:sns:{REGION}:123456789012:budgets"})


def test_days_that_are_over_are_kept_where_the_server_keeps_them() -> None:
    said = {TOPIC: f"arn:aws:sns:{REGION}:123456789012:budgets", "TOLLBOOK_BUDGETS": json.dumps(BUDGETS)}
    assert check_in({**said, "TOLLBOOK_BUCKET": "s3://bucket/tollbook"}).aws.closed_days == "s3://bucket/tollbook/days"
