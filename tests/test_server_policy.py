"""`tollbook iam server`: what the server keeps itself, beside what it really asks of AWS for that."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import boto3
import botocore.session
import httpx2
import pytest

from tests.fakes.aws_calls import AwsCalls
from tests.fakes.buckets import BUCKET
from tests.fakes.buckets import bucket as bucket
from tests.fakes.buckets import buckets_server as buckets_server
from tests.fakes.cloudwatch_logs import Setting, cloudwatch_logs
from tests.fakes.invocations import Rendered
from tests.fakes.moto import REGION
from tests.hosting.serving import serving, until
from tests.hosting.wire import Wire, initialize, request
from tests.logs import Ask
from tests.tools.desk import QUICK, TOOL
from tollbook import tools
from tollbook.app.aws import AwsBook
from tollbook.app.aws_questions import AwsAsker
from tollbook.app.aws_settings import AWS_SETTINGS, aws_settings
from tollbook.app.settings import kept_in
from tollbook.core.iam import Policy
from tollbook.core.settings import read_values
from tollbook.hosting import host
from tollbook.hosting.auth.apikeys import ApiKeys
from tollbook.hosting.stores.dynamodb import DynamodbStore, create_table
from tollbook.hosting.stores.s3 import S3Blobs
from tollbook.sources.aws.reach.policy import policy_for, server_policy
from tollbook.sources.named import named

ACCOUNT: Final = "123456789012"
TABLE: Final = "tollbook"
GROUP: Final = "/tollbook/policy"
PLACE: Final = f"s3://{BUCKET}/tollbook"
KEY: Final = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def calls(bucket: Any, buckets_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AwsCalls:
    """All that a server asks of AWS while it is used in every way."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", buckets_server)
    calls, (maker, table) = AwsCalls(ACCOUNT), (boto3.session.Session().client("dynamodb") for _ in range(2))
    create_table(maker, TABLE)
    calls.watch(table)
    calls.watch(bucket)
    now = datetime.now(UTC)
    since, until_ms = (int(each.timestamp() * 1000) for each in (now - timedelta(days=4), now))
    with cloudwatch_logs(tmp_path / "logs.log") as logs:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", logs.url)
        rendered = Rendered(200, since_ms=since, until_ms=until_ms)
        logs.set(Setting(GROUP, region=REGION, stored_bytes=300_000, created_ms=since, rendered=rendered))
        await _use(calls, DynamodbStore(TABLE, client=table), S3Blobs(BUCKET, "tollbook/results/", client=bucket))
    maker.delete_table(TableName=TABLE)
    maker.close()
    table.close()
    return calls


async def _use(calls: AwsCalls, store: DynamodbStore, blobs: S3Blobs) -> None:
    values, problems = read_values(AWS_SETTINGS, {}, {"closed_days": kept_in(PLACE).days, "look_up": "none"})
    assert not problems
    core = botocore.session.Session()
    calls.watch(boto3.session.Session(botocore_session=core))
    book = AwsBook([named(f"cloudwatch:{GROUP}")], aws_settings(values, {"AWS_REGION": REGION}), session=core)
    server = tools.build(AwsAsker(book), store, blobs=blobs, settings=QUICK)
    async with serving(host(server, store)) as url, httpx2.AsyncClient(timeout=30) as http:
        session = await initialize(http, url)
        whole = (await _report(session, url))["whole"]
        for uri in (whole["json_uri"], whole["json_uri"].replace("reports/", "reports/A")):
            assert (await session.send(url, request("resources/read", 2, uri=uri))).status_code == 200
        async with session.calling(url, "multi-greet", 3, name="Ann") as events:
            first = await anext(events)
        async with session.resuming(url, str(first.id)) as events:
            assert [event async for event in events]
        assert (await session.end(url)).status_code == 200
        keys = ApiKeys(store)
        text, key = await keys.create("ci", (), time.time() + 60, {})
        assert await keys.caller(text)
        assert await keys.list()
        await keys.revoke(key.id)
    await until(lambda: "dynamodb:BatchWriteItem" in calls.operations)
    await blobs.aclose()


async def _report(session: Wire, url: str) -> Mapping[str, Any]:
    result = await session.call(url, TOOL, days=3, log_group_name=GROUP)
    assert not result.get("isError"), result
    content: Mapping[str, Any] = result["structuredContent"]
    return content


def printed(ask: Ask, *words: str) -> Any:
    return json.loads(ask("iam", *words, "--region", REGION, "--account", ACCOUNT).out)


def both(*policies: Policy) -> Policy:
    return Policy(tuple(statement for policy in policies for statement in policy.statement))


@pytest.mark.anyio
async def test_the_server_asks_for_what_its_policies_allow_and_for_all_of_it(calls: AwsCalls, ask: Ask) -> None:
    own = server_policy(TABLE, kept_in(PLACE), region=REGION, account=ACCOUNT)
    assert printed(ask, "server", "--bucket", PLACE) == json.loads(own.as_json())
    assert printed(ask, "server", "--bucket", f"{PLACE}/") == json.loads(own.as_json())
    source = policy_for(f"cloudwatch:{GROUP}", region=REGION, account=ACCOUNT)
    assert calls.beyond(both(own, source)) == []
    # Nothing is listed; what the permission is for, see `tollbook.hosting.stores.s3`.
    assert calls.idle(own, {"s3:ListBucket"}) == frozenset()
    for other in (
        server_policy("another", kept_in(PLACE), region=REGION, account=ACCOUNT),
        server_policy(TABLE, kept_in(f"s3://{BUCKET}"), region=REGION, account=ACCOUNT),
        server_policy(TABLE, kept_in(PLACE)[:1], region=REGION, account=ACCOUNT),
        server_policy(TABLE, kept_in(PLACE)[1:], region=REGION, account=ACCOUNT),
    ):
        assert calls.beyond(both(other, source))


def test_keys_of_ones_own_are_used_through_their_service_alone(ask: Ask) -> None:
    words = ("server", "--table", "mine", "--table-kms-key", KEY, "--bucket", PLACE, "--bucket-kms-key", KEY)
    statements = {each["Sid"]: each for each in printed(ask, *words)["Statement"]}
    assert statements["KeepRecords"]["Resource"] == [f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/mine"]
    for sid, service, actions in (
        ("DecryptRecords", "dynamodb", ["kms:Decrypt"]),
        ("EncryptWhatIsKept", "s3", ["kms:Decrypt", "kms:GenerateDataKey"]),
    ):
        assert statements[sid]["Action"] == actions
        assert statements[sid]["Resource"] == [KEY]
        via = {"StringEquals": {"kms:ViaService": [f"{service}.eu-west-1.amazonaws.com"]}}
        assert statements[sid]["Condition"] == via


def test_what_it_assumes_is_said_beside_it(ask: Ask) -> None:
    answer = ask("iam", "server")
    assert answer.err.splitlines() == [
        "It holds for tables of that name in every region. Narrow it with --region REGION.",
        "It holds for tables of that name in every account. Narrow it with --account ACCOUNT.",
        "It assumes that no bucket takes whole results and days. If one does, name it with --bucket PLACE.",
        "What the server reads needs more: tollbook iam SOURCE.",
    ]
    assert [each["Sid"] for each in answer.json["Statement"]] == ["KeepRecords"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["server", "--table", "a*"], "'a*' is not a table of DynamoDB."),
        (["server", "--bucket", "bucket"], "'bucket/days' is not a place in S3; write s3://BUCKET/PREFIX."),
        (["server", "--bucket", "s3://bucket/*"], "'s3://bucket/*/days' is not a place in S3"),
        (["server", "--bucket-kms-key", KEY], "--bucket-kms-key belongs to --bucket."),
        (["server", "--bucket", PLACE, "--bucket-kms-key", "alias/x"], "'alias/x' is not the ARN of a KMS key"),
        (["server", "--region", "mars"], "'mars' is not a region such as eu-west-1."),
        (["server", "--metrics"], "What the server keeps needs a policy of its own, with --region,"),
        (["server", "--workgroup", "finops"], "What the server keeps needs a policy of its own"),
        (["cloudwatch:", "--table", "mine"], "--table, --bucket and their keys are the server's: tollbook iam server."),
        (["server", "--trust", ACCOUNT], "--trust prints the trust policy alone."),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_with_one_sentence(ask: Ask, words: list[str], said: str) -> None:
    answer = ask("iam", *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"tollbook: {said}")
    assert answer.err.count("\n") == 1
