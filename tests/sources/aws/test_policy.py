"""The policies that sources need: their words, and what IAM makes of them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import boto3
import pytest

from tests.fakes.aws_calls import AwsCalls, allows
from tests.fakes.moto import REGION, go_to_moto, moto_server
from tollbook.core.errors import UsageError
from tollbook.core.iam import Policy
from tollbook.sources.aws.reach.policy import narrowed, policy_for, trust_policy

Client = Callable[[str], Any]

ACCOUNT: Final = "123456789012"
GROUP: Final = "/aws/bedrock/modelinvocations"
KEY: Final = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/logs/Reader"
LOGS: Final = f"arn:aws:s3:::logs-bucket/prod/AWSLogs/{ACCOUNT}/BedrockModelInvocationLogs/eu-west-1"
EVERYTHING: Final = {
    "cloudwatch": policy_for(f"cloudwatch:{GROUP}"),
    "events": policy_for(f"events:{GROUP}", region="eu-west-1", account=ACCOUNT),
    "insights": policy_for(f"insights:{GROUP}", region="us-gov-west-1"),
    "s3": policy_for("s3://logs-bucket/prod", logs_key=KEY),
    "bucket": policy_for("s3://logs-bucket"),
    "athena": policy_for(
        "athena:bedrock.logs",
        logs="s3://logs-bucket/prod",
        results="s3://results-bucket/athena",
        logs_key=KEY,
        results_key=KEY,
    ),
    "also": policy_for(names=True, metrics=True, keep="s3://days-bucket", keep_key=KEY, assume=[ROLE]),
}


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("moto") / "moto.log") as url:
        yield url


@pytest.fixture
def iam(moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    go_to_moto("IAM", moto, monkeypatch, tmp_path)
    client = boto3.client("iam")
    yield client
    client.close()


@pytest.mark.parametrize("name", EVERYTHING)
def test_iam_takes_every_policy(iam: Any, name: str) -> None:
    iam.create_policy(PolicyName=name, PolicyDocument=EVERYTHING[name].as_json())
    assert len({each.sid for each in EVERYTHING[name].statement}) == len(EVERYTHING[name].statement)
    assert all(each.sid.isalnum() for each in EVERYTHING[name].statement)


@pytest.mark.parametrize(("who", "external_id"), [(ACCOUNT, ""), (ROLE, "tollbook-42")])
def test_iam_takes_every_trust_policy(iam: Any, who: str, external_id: str) -> None:
    policy = trust_policy(who, external_id)
    iam.create_role(RoleName=f"Reader{len(external_id)}", AssumeRolePolicyDocument=policy.as_json())
    (statement,) = json.loads(policy.as_json())["Statement"]
    condition = {"Condition": {"StringEquals": {"sts:ExternalId": [external_id]}}} if external_id else {}
    assert statement == {
        "Sid": "MayAssume",
        "Effect": "Allow",
        "Principal": {"AWS": who},
        "Action": ["sts:AssumeRole"],
        **condition,
    }


def test_a_policy_is_a_document_of_2012() -> None:
    document = json.loads(EVERYTHING["events"].compact())
    assert list(document) == ["Version", "Statement"]
    assert document["Version"] == "2012-10-17"
    assert document["Statement"] == [
        {
            "Sid": "ReadLogGroup",
            "Effect": "Allow",
            "Action": ["logs:FilterLogEvents"],
            "Resource": [f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:{GROUP}:*"],
        },
        {
            "Sid": "FindLogGroup",
            "Effect": "Allow",
            "Action": ["logs:DescribeLogGroups"],
            "Resource": ["*"],
            "Condition": {"StringEquals": {"aws:RequestedRegion": ["eu-west-1"]}},
        },
    ]


QUERIES: Final = {"logs:StartQuery", "logs:GetQueryResults", "logs:StopQuery", "logs:DescribeLogGroups"}


@pytest.mark.parametrize(
    ("name", "actions"),
    [
        ("cloudwatch", QUERIES | {"logs:FilterLogEvents"}),
        ("insights", QUERIES),
        ("s3", {"s3:ListBucket", "s3:GetObject", "kms:Decrypt"}),
        ("bucket", {"s3:ListBucket", "s3:GetObject"}),
    ],
)
def test_a_source_needs_these_actions_and_no_others(name: str, actions: set[str]) -> None:
    assert EVERYTHING[name].actions == actions


def test_a_policy_for_everything_about_one_log_group_fits_into_a_session() -> None:
    """2,048 characters: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"""
    policy = policy_for(f"cloudwatch:{'g' * 512}", region="eu-west-1", account=ACCOUNT, names=True, metrics=True)
    assert len(policy.compact()) <= 2048


def may_get(policy: Policy, key: str) -> bool:
    return allows(policy, "s3:GetObject", key, {})


NARROW: Final = policy_for("s3://logs-bucket/prod", region="eu-west-1", account=ACCOUNT)


@pytest.mark.parametrize(
    ("key", "may"),
    [
        (f"{LOGS}/2026/11/20/09/20261120T0910Z_ab12.json.gz", True),
        (f"{LOGS}/2026/11/20/09/data/0f3c_input.json.gz", False),
        (f"{LOGS}/2026/11/20/09/data/deeper/0f3c_output.json.gz", False),
        (f"{LOGS}/2026/11/20/09/readme.txt", False),
        (f"{LOGS.replace('eu-west-1', 'us-east-1')}/2026/11/20/09/a.json.gz", False),
        (f"{LOGS.replace(ACCOUNT, '9' * 12)}/2026/11/20/09/a.json.gz", False),
        ("arn:aws:s3:::logs-bucket/prod/amazon-bedrock-logs-permission-check", False),
        ("arn:aws:s3:::logs-bucket/prod2/a.json.gz", False),
        ("arn:aws:s3:::logs-bucket-2/a.json.gz", False),
    ],
)
def test_log_files_may_be_read_and_prompts_beside_them_never(key: str, may: bool) -> None:
    assert may_get(NARROW, key) is may
    everywhere = policy_for("s3://logs-bucket/prod")
    assert "/data/" not in key or not may_get(everywhere, key)


@pytest.mark.parametrize(
    ("prefix", "may"),
    [
        ("prod/AWSLogs/", True),
        (f"prod/AWSLogs/{ACCOUNT}/BedrockModelInvocationLogs/eu-west-1/2026/", True),
        (f"prod/AWSLogs/{'9' * 12}/", False),
        ("prod/", False),
        ("", False),
    ],
)
def test_nothing_is_listed_but_logs_of_the_account(prefix: str, may: bool) -> None:
    assert allows(NARROW, "s3:ListBucket", "arn:aws:s3:::logs-bucket", {"s3:prefix": prefix}) is may


def test_an_address_below_the_place_narrows_as_options_do() -> None:
    below = f"s3://logs-bucket/prod/AWSLogs/{ACCOUNT}/BedrockModelInvocationLogs/eu-west-1/"
    assert policy_for(below) == NARROW
    assert narrowed(below, "*", "*") == ("eu-west-1", ACCOUNT)
    named = policy_for(below, names=True).statement[-1].resource
    assert named[0] == f"arn:aws:bedrock:eu-west-1:{ACCOUNT}:application-inference-profile/*"


def test_a_key_may_be_used_through_s3_in_its_region_alone() -> None:
    (statement,) = (each for each in EVERYTHING["s3"].statement if "kms:Decrypt" in each.action)
    assert statement.resource == (KEY,)
    assert statement.condition == {"StringEquals": {"kms:ViaService": ("s3.eu-west-1.amazonaws.com",)}}
    chinese = KEY.replace("arn:aws:", "arn:aws-cn:").replace("eu-west-1", "cn-north-1")
    policy = policy_for("s3://logs-bucket", region="cn-north-1", logs_key=chinese)
    assert '"kms:ViaService":["s3.cn-north-1.amazonaws.com.cn"]' in policy.compact()


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-west-1", "aws"),
        ("us-gov-west-1", "aws-us-gov"),
        ("cn-north-1", "aws-cn"),
        ("eusc-de-east-1", "aws-eusc"),
    ],
)
def test_an_arn_begins_with_the_partition_of_its_region(region: str, partition: str) -> None:
    policy = policy_for(f"events:{GROUP}", region=region)
    assert policy.statement[0].resource == (f"arn:{partition}:logs:{region}:*:log-group:{GROUP}:*",)


def test_athena_may_query_its_table_read_its_files_and_write_its_results() -> None:
    policy = policy_for(
        "athena:bedrock.logs",
        region="eu-west-1",
        account=ACCOUNT,
        logs="s3://logs-bucket/prod",
        results="s3://results-bucket/athena/",
        workgroup="finops",
    )
    by_sid = {each.sid: each.resource for each in policy.statement}
    glue = f"arn:aws:glue:eu-west-1:{ACCOUNT}"
    assert by_sid == {
        "RunQueries": (f"arn:aws:athena:eu-west-1:{ACCOUNT}:workgroup/finops",),
        "FindTable": (f"arn:aws:athena:eu-west-1:{ACCOUNT}:datacatalog/AwsDataCatalog",),
        "ReadTableDefinition": (
            f"{glue}:catalog",
            f"{glue}:database/default",
            f"{glue}:database/bedrock",
            f"{glue}:table/bedrock/logs",
        ),
        "ListLogFiles": ("arn:aws:s3:::logs-bucket",),
        "ReadLogFiles": (f"{LOGS}/*",),
        "ListResults": ("arn:aws:s3:::results-bucket",),
        "WriteResults": ("arn:aws:s3:::results-bucket/athena/*",),
        "FindUploads": ("arn:aws:s3:::results-bucket",),
        "FindBuckets": ("arn:aws:s3:::logs-bucket", "arn:aws:s3:::results-bucket"),
    }


def test_keys_of_athena_are_read_with_and_written_with_where_it_does() -> None:
    actions = {each.sid: each.action for each in EVERYTHING["athena"].statement if each.action[0].startswith("kms:")}
    assert actions == {"DecryptLogFiles": ("kms:Decrypt",), "EncryptResults": ("kms:Decrypt", "kms:GenerateDataKey")}


def test_where_athena_keeps_its_results_itself_no_bucket_is_written() -> None:
    policy = policy_for("athena:bedrock.logs", logs="s3://logs-bucket")
    assert "s3:PutObject" not in policy.actions


def test_a_bucket_for_results_alone_is_listed_whole() -> None:
    policy = policy_for("athena:bedrock.logs", logs="s3://logs-bucket", results="s3://results-bucket")
    assert allows(policy, "s3:ListBucket", "arn:aws:s3:::results-bucket", {})
    assert not allows(policy, "s3:ListBucket", "arn:aws:s3:::logs-bucket", {})


def test_days_are_kept_below_their_prefix_alone() -> None:
    policy = policy_for(keep="s3://days-bucket/tollbook", keep_key=KEY)
    assert policy.actions == {
        "s3:ListBucket",
        "s3:GetObject",
        "s3:PutObject",
        "kms:Decrypt",
        "kms:GenerateDataKey",
    }
    assert allows(policy, "s3:PutObject", "arn:aws:s3:::days-bucket/tollbook/v1/day", {})
    assert not allows(policy, "s3:PutObject", "arn:aws:s3:::days-bucket/tollbook-2/day", {})
    assert not allows(policy, "s3:GetObject", "arn:aws:s3:::days-bucket/other", {})


def test_only_roles_that_were_named_may_be_assumed() -> None:
    policy = policy_for(assume=[ROLE])
    assert allows(policy, "sts:AssumeRole", ROLE, {})
    assert not allows(policy, "sts:AssumeRole", f"{ROLE}2", {})


WRONG: Final[dict[str, dict[str, Any]]] = {
    "nothing": {},
    "a file": {"source": "logs.jsonl"},
    "a name without a kind": {"source": GROUP},
    "no log group": {"source": "cloudwatch:"},
    "a log group with a wildcard": {"source": "cloudwatch:/aws/*"},
    "a log group with a variable": {"source": "insights:${aws:username}"},
    "a log group with a quote": {"source": 'events:a"'},
    "a log group with a line break": {"source": "events:a\n"},
    "a bucket with a wildcard": {"source": "s3://logs-*"},
    "a prefix with a wildcard": {"source": "s3://logs-bucket/pro?"},
    "a prefix with a variable": {"source": "s3://logs-bucket/${x}"},
    "an address elsewhere below AWSLogs": {"source": "s3://logs-bucket/AWSLogs/me/"},
    "an address of another region": {
        "source": f"s3://logs-bucket/AWSLogs/{ACCOUNT}/BedrockModelInvocationLogs/eu-west-1",
        "region": "us-east-1",
    },
    "an address of another account": {"source": f"s3://logs-bucket/AWSLogs/{ACCOUNT}", "account": "9" * 12},
    "a table without a database": {"source": "athena:logs", "logs": "s3://logs-bucket"},
    "a table with a wildcard": {"source": "athena:bedrock.*", "logs": "s3://logs-bucket"},
    "Athena without its logs": {"source": "athena:bedrock.logs"},
    "Athena with another workgroup's name": {
        "source": "athena:bedrock.logs",
        "logs": "s3://logs-bucket",
        "workgroup": "a/*",
    },
    "a key for no results": {"source": "athena:bedrock.logs", "logs": "s3://logs-bucket", "results_key": KEY},
    "logs for no table": {"source": "s3://logs-bucket", "logs": "s3://logs-bucket"},
    "results for no table": {"source": f"events:{GROUP}", "results": "s3://results-bucket"},
    "a key for a log group": {"source": f"events:{GROUP}", "logs_key": KEY},
    "an alias for a key": {"source": "s3://logs-bucket", "logs_key": KEY.replace("key/", "alias/")},
    "a key for nothing kept": {"source": "s3://logs-bucket", "keep_key": KEY},
    "any role": {"assume": [ROLE.replace("Reader", "*")]},
    "no region": {"source": f"events:{GROUP}", "region": "x@evil.example/#"},
    "no account": {"source": f"events:{GROUP}", "account": "12345678901"},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_makes_no_sense_or_would_widen_a_policy_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError):
        policy_for(**WRONG[wrong])


@pytest.mark.parametrize(
    ("who", "external_id"), [("*", ""), ("12345", ""), (f"{ROLE}*", ""), (ACCOUNT, "x"), (ACCOUNT, "${x}")]
)
def test_trust_in_anyone_is_refused(who: str, external_id: str) -> None:
    with pytest.raises(UsageError):
        trust_policy(who, external_id)


@pytest.fixture
def calls(moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[AwsCalls, Client]]:
    """A recorder, and what makes clients that it listens to."""
    go_to_moto("S3", moto, monkeypatch, tmp_path)
    for service in ("CLOUDWATCH_LOGS", "STS", "ATHENA"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", moto)
    recorder, made = AwsCalls(ACCOUNT), []
    session = recorder.watch(boto3.Session())

    def client(service: str) -> Any:
        made.append(session.client(service))
        return made[-1]

    yield recorder, client
    for each in made:
        each.close()


def test_operations_of_s3_become_the_actions_that_iam_knows(calls: tuple[AwsCalls, Client]) -> None:
    recorder, client = calls
    s3 = client("s3")
    s3.create_bucket(Bucket="logs-bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    key = f"{LOGS.partition('/')[2]}/2026/11/20/09/a.json.gz"
    s3.put_object(Bucket="logs-bucket", Key=key, Body=b"")
    s3.copy_object(Bucket="logs-bucket", Key="a", CopySource={"Bucket": "logs-bucket", "Key": key})
    s3.list_objects_v2(Bucket="logs-bucket", Prefix="prod/AWSLogs/")
    s3.head_bucket(Bucket="logs-bucket")
    s3.get_object(Bucket="logs-bucket", Key=key)
    s3.head_object(Bucket="logs-bucket", Key="a")
    s3.list_buckets()
    assert recorder.operations[-5:] == [
        "s3:ListObjectsV2",
        "s3:HeadBucket",
        "s3:GetObject",
        "s3:HeadObject",
        "s3:ListBuckets",
    ]
    assert recorder.actions == {
        "s3:CreateBucket",
        "s3:PutObject",
        "s3:ListBucket",
        "s3:GetObject",
        "s3:ListAllMyBuckets",
    }
    assert recorder.beyond(NARROW) == [
        "s3:CreateBucket on arn:aws:s3:::logs-bucket",
        f"s3:PutObject on {LOGS}/2026/11/20/09/a.json.gz",
        "s3:GetObject on arn:aws:s3:::logs-bucket/a",
        "s3:PutObject on arn:aws:s3:::logs-bucket/a",
        "s3:ListBucket on arn:aws:s3:::logs-bucket",  # of no prefix
        "s3:ListAllMyBuckets on *",
    ]
    assert recorder.idle(NARROW) == frozenset()
    assert recorder.idle(EVERYTHING["s3"]) == {"kms:Decrypt"}
    assert recorder.idle(EVERYTHING["s3"], but=["kms:Decrypt"]) == frozenset()


def test_calls_of_log_groups_are_held_to_the_group_and_the_region(calls: tuple[AwsCalls, Client]) -> None:
    recorder, client = calls
    logs = client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.describe_log_groups(logGroupNamePrefix=GROUP)
    logs.filter_log_events(logGroupName=GROUP)
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}"
    with pytest.raises(
        logs.exceptions.ResourceNotFoundException
    ):  # moto knows no identifiers; it was asked all the same
        logs.filter_log_events(logGroupIdentifier=arn)
    query = logs.start_query(logGroupNames=[GROUP], startTime=0, endTime=1, queryString="fields @timestamp")
    logs.get_query_results(queryId=query["queryId"])
    whole = policy_for(f"cloudwatch:{GROUP}", region=REGION, account=ACCOUNT)
    assert recorder.beyond(whole) == ["logs:CreateLogGroup on anything"]
    assert recorder.idle(whole) == {"logs:StopQuery"}
    other = policy_for("cloudwatch:another", region=REGION, account=ACCOUNT)
    assert [line.partition(" on ")[0] for line in recorder.beyond(other)] == [
        "logs:CreateLogGroup",
        "logs:FilterLogEvents",
        "logs:StartQuery",
        "logs:GetQueryResults",
    ]
    elsewhere = policy_for(f"cloudwatch:{GROUP}", region="us-east-1", account=ACCOUNT)
    assert len(recorder.beyond(elsewhere)) == 5


def test_calls_of_athena_and_sts_are_held_to_the_workgroup_and_the_role(calls: tuple[AwsCalls, Client]) -> None:
    recorder, client = calls
    client("sts").get_caller_identity()
    client("sts").assume_role(RoleArn=ROLE, RoleSessionName="ana")
    athena = client("athena")
    athena.start_query_execution(QueryString="SELECT 1")
    with pytest.raises(athena.exceptions.ClientError):  # there is none
        athena.get_table_metadata(CatalogName="AwsDataCatalog", DatabaseName="bedrock", TableName="logs")
    assert recorder.beyond(EVERYTHING["athena"]) == [f"sts:AssumeRole on {ROLE}"]
    assert recorder.beyond(EVERYTHING["also"]) == [
        f"athena:StartQueryExecution on arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/primary",
        f"athena:GetTableMetadata on arn:aws:athena:{REGION}:{ACCOUNT}:datacatalog/AwsDataCatalog",
    ]
