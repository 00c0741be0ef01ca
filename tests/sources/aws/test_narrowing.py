"""Session policies: what a role may do at the place it was assumed for, and that it may do nothing else."""

import json
import re
import subprocess
import sys
from typing import Any, Final

import msgspec
import pytest

from tests.fakes.aws_calls import allows
from tollbook.core.errors import UsageError
from tollbook.core.iam import Policy
from tollbook.sources.aws.reach.narrowing import LONGEST, check_name, session_policy
from tollbook.sources.aws.reach.policy import policy_for
from tollbook.sources.reading import Place

ACCOUNT: Final = "111122223333"
REGION: Final = "eu-west-1"
GROUP: Final = "/aws/bedrock/modelinvocations"
HERE: Final = {"aws:RequestedRegion": REGION}
HOUR: Final = f"AWSLogs/{ACCOUNT}/BedrockModelInvocationLogs/{REGION}/2026/11/22/05"


def place(name: str = GROUP, region: str = REGION) -> Place:
    return Place(ACCOUNT, region, name)


def policy(service: str, name: str = GROUP, partition: str = "aws", region: str = REGION) -> Policy:
    return msgspec.json.decode(session_policy(service, place(name, region), partition), type=Policy)


def group_arn(name: str = GROUP, account: str = ACCOUNT, region: str = REGION) -> str:
    return f"arn:aws:logs:{region}:{account}:log-group:{name}"


class TestALogGroup:
    @pytest.mark.parametrize("action", ["logs:FilterLogEvents", "logs:StartQuery", "logs:GetQueryResults"])
    def test_is_read_and_no_other_is(self, action: str) -> None:
        narrowed = policy("logs")
        for end in ("", ":*", ":log-stream:", ":log-stream:aws/bedrock/modelinvocations"):
            assert allows(narrowed, action, group_arn() + end, HERE)
        for other in (group_arn("/other"), group_arn(account="444455556666"), group_arn(region="us-east-1")):
            assert not allows(narrowed, action, f"{other}:log-stream:", HERE)
        assert not allows(narrowed, action, group_arn(f"{GROUP}-2") + ":*", HERE)

    def test_is_found_and_queries_are_stopped(self) -> None:
        narrowed = policy("logs")
        for action in ("logs:DescribeLogGroups", "logs:StopQuery"):
            assert allows(narrowed, action, "*", HERE)
            assert not allows(narrowed, action, "*", {"aws:RequestedRegion": "us-east-1"})

    def test_may_be_called_anything_that_is_allowed(self) -> None:
        for name in ("x" * 512, "a", "A.b-c_d/e#f9"):
            assert len(session_policy("logs", place(name), "aws")) <= LONGEST

    @pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
    def test_is_of_its_partition(self, region: str) -> None:
        partition = "aws-cn" if region.startswith("cn") else "aws-us-gov"
        text = session_policy("logs", place(region=region), partition)
        assert f"arn:{partition}:logs:{region}:" in text
        assert "arn:aws:" not in text

    @pytest.mark.parametrize(
        "name", ["", "a b", "a`b", "a|b", "a\nb", 'a"b', "a*", "a:*", "é", "x" * 513, "a'b", "a$b", "a?b"]
    )
    def test_is_called_nothing_else(self, name: str) -> None:
        with pytest.raises(UsageError, match="cannot be the name of a log group") as raised:
            check_name("logs", place(name))
        assert str(raised.value).isprintable()
        assert len(str(raised.value)) < 250
        with pytest.raises(UsageError):
            session_policy("logs", place(name), "aws")


class TestABucket:
    @pytest.mark.parametrize("prefix", ["", "team/logs", "data"])
    def test_is_read_below_its_prefix_but_for_prompts(self, prefix: str) -> None:
        narrowed = policy("s3", f"s3://company-logs/{prefix}".rstrip("/"))
        below = f"{prefix}/" if prefix else ""
        bucket = "arn:aws:s3:::company-logs"
        assert allows(narrowed, "s3:GetObject", f"{bucket}/{below}{HOUR}/0123.json.gz", {})
        assert not allows(narrowed, "s3:GetObject", f"{bucket}/{below}{HOUR}/data/0123_input.json.gz", {})
        assert not allows(narrowed, "s3:GetObject", f"{bucket}/{below}{HOUR}/0123.json", {})
        assert not allows(narrowed, "s3:GetObject", f"{bucket}/elsewhere/0123.json.gz", {})
        assert not allows(narrowed, "s3:GetObject", f"{bucket}-2/{below}{HOUR}/0123.json.gz", {})
        assert not allows(narrowed, "s3:PutObject", f"{bucket}/{below}{HOUR}/0123.json.gz", {})
        for listed in ("AWSLogs/", f"AWSLogs/{ACCOUNT}/", HOUR):
            assert allows(narrowed, "s3:ListBucket", bucket, {"s3:prefix": below + listed})
        assert not allows(narrowed, "s3:ListBucket", bucket, {"s3:prefix": "elsewhere/"})

    def test_is_decrypted_through_s3_alone(self) -> None:
        narrowed = policy("s3", "s3://company-logs")
        key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
        assert allows(narrowed, "kms:Decrypt", key, {"kms:ViaService": f"s3.{REGION}.amazonaws.com"})
        assert not allows(narrowed, "kms:Decrypt", key, {"kms:ViaService": f"dynamodb.{REGION}.amazonaws.com"})
        assert not allows(narrowed, "kms:Encrypt", key, {"kms:ViaService": f"s3.{REGION}.amazonaws.com"})

    def test_is_of_its_partition(self) -> None:
        assert "arn:aws-cn:s3:::company-logs" in session_policy("s3", place("s3://company-logs"), "aws-cn")

    def test_may_have_a_prefix_that_means_something_to_iam(self) -> None:
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
        text = session_policy("s3", place("s3://company-logs/a*b?c$d"), "aws")
        assert "company-logs/a${*}b${?}c${$}d/AWSLogs/" in text

    def test_may_have_a_prefix_in_any_letters(self) -> None:
        text = session_policy("s3", place("s3://company-logs/größe/日"), "aws")
        assert text.isascii()
        assert "größe/日/AWSLogs/" in json.loads(text)["Statement"][1]["Resource"][0]

    def test_has_a_prefix_with_an_end(self) -> None:
        assert len(session_policy("s3", place(f"s3://company-logs/{'x' * 400}"), "aws")) <= LONGEST
        with pytest.raises(UsageError, match="is too long to be read in another account"):
            session_policy("s3", place(f"s3://company-logs/{'x' * 900}"), "aws")

    @pytest.mark.parametrize("name", ["s3://UPPER", "company-logs", "s3://", "s3://a*b", "s3://x/\n"])
    def test_is_called_nothing_else(self, name: str) -> None:
        with pytest.raises(UsageError):
            check_name("s3", place(name))


class TestATable:
    TABLE: Final = "logs.bedrock"

    def test_is_asked_about_and_no_other_is(self) -> None:
        narrowed = policy("athena", self.TABLE)
        glue = f"arn:aws:glue:{REGION}:{ACCOUNT}:"
        for part in ("catalog", "database/logs", "table/logs/bedrock"):
            assert allows(narrowed, "glue:GetTable", glue + part, {})
        for part in ("database/other", "table/logs/other"):
            assert not allows(narrowed, "glue:GetTable", glue + part, {})
        assert allows(
            narrowed, "athena:StartQueryExecution", f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/primary", {}
        )

    def test_is_weighed_by_listing_and_nothing_else(self) -> None:
        narrowed = policy("s3", self.TABLE)
        assert narrowed.actions == {"s3:ListBucket"}
        assert allows(narrowed, "s3:ListBucket", "arn:aws:s3:::company-logs", {})

    @pytest.mark.parametrize("name", ["logs", "a.b.c", 'a."b', "a.b;", "a.b (1)", "s3://b"])
    def test_is_called_nothing_else(self, name: str) -> None:
        with pytest.raises(UsageError, match="cannot be a table of Athena"):
            check_name("athena", place(name))


@pytest.mark.parametrize("service", ["bedrock", "cloudwatch"])
def test_what_lies_beside_the_logs_is_looked_up_and_no_log_is_read(service: str) -> None:
    narrowed = policy(service)
    arn = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:application-inference-profile/x"
    assert allows(narrowed, "bedrock:GetInferenceProfile", arn, HERE)
    assert allows(narrowed, "cloudwatch:GetMetricData", "*", HERE)
    assert not [action for action in narrowed.actions if not action.startswith(("bedrock:", "cloudwatch:"))]
    assert not [action for action in narrowed.actions if re.search(r":(Invoke|Put|Create|Delete)", action)]


@pytest.mark.parametrize(
    ("service", "name", "needed"),
    [
        ("logs", GROUP, {"source": f"cloudwatch:{GROUP}"}),
        ("s3", "s3://company-logs/p", {"source": "s3://company-logs/p"}),
        (
            "athena",
            "logs.bedrock",
            {"source": "athena:logs.bedrock", "logs": "s3://company-logs", "results": "s3://results/x"},
        ),
        ("bedrock", GROUP, {"names": True}),
        ("cloudwatch", GROUP, {"metrics": True}),
    ],
)
def test_a_session_may_do_all_that_tollbook_iam_asks_for(service: str, name: str, needed: Any) -> None:
    asked = policy_for(**{**needed, "region": REGION, "account": ACCOUNT})
    assert asked.actions <= policy(service, name).actions


def test_every_policy_is_short_enough_and_in_the_letters_that_sts_takes() -> None:
    for service, name in (("logs", GROUP), ("s3", "s3://b-c/d"), ("athena", "a.b"), ("bedrock", "x"), ("s3", "a.b")):
        text = session_policy(service, place(name), "aws")
        assert len(text) <= LONGEST
        assert re.fullmatch("[\t\n\r -ÿ]+", text)
        assert json.loads(text)["Version"] == "2012-10-17"


def test_the_list_and_the_policies_need_no_botocore() -> None:
    program = (
        "import sys; from tollbook.sources.aws.reach import accounts, narrowing; sys.exit('botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
