"""`tollbook iam`, as a user types it."""

import json
import subprocess
import sys

import pytest

from tests.logs import Ask
from tollbook.sources.aws.reach.policy import policy_for, trust_policy

GROUP = "/aws/bedrock/modelinvocations"
ACCOUNT = "123456789012"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def test_a_policy_is_printed_alone_where_everything_was_said(ask: Ask) -> None:
    answer = ask("iam", f"cloudwatch:{GROUP}", "--region", "eu-west-1", "--account", ACCOUNT)
    assert answer.err == ""
    assert answer.out == policy_for(f"cloudwatch:{GROUP}", region="eu-west-1", account=ACCOUNT).as_json() + "\n"
    assert answer.json["Version"] == "2012-10-17"


def test_what_it_assumes_is_said_beside_it(ask: Ask) -> None:
    answer = ask("iam", "athena:bedrock.logs", "--logs", "s3://logs-bucket/prod")
    assert answer.err.splitlines() == [
        "It holds for every region. Narrow it with --region REGION.",
        "It holds for logs of every account. Narrow it with --account ACCOUNT.",
        "It assumes that Athena keeps its results itself. If a bucket takes them, name it with --results PLACE.",
        "It assumes that no KMS key encrypts the log files. If one does, name it with --kms-key ARN.",
    ]
    json.loads(answer.out)


def test_nothing_is_assumed_that_makes_no_difference(ask: Ask) -> None:
    below = f"s3://logs-bucket/AWSLogs/{ACCOUNT}/BedrockModelInvocationLogs/eu-west-1"
    assert ask("iam", below, "--kms-key", KEY).err == ""
    assert ask("iam", "--keep", "s3://days-bucket/tollbook").err == ""


def test_every_option_reaches_the_policy(ask: Ask) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/Reader"
    words = ["athena:bedrock.logs", "--logs", "s3://logs-bucket", "--results", "s3://results-bucket/athena"]
    words += ["--workgroup", "finops", "--kms-key", KEY, "--results-kms-key", f"{KEY}-2", "--names", "--metrics"]
    words += ["--bill", "--keep", "s3://days-bucket", "--keep-kms-key", f"{KEY}-3"]
    words += ["--assume", role, "--assume", f"{role}2"]
    answer = ask("iam", *words, "--region", "eu-west-1", "--account", ACCOUNT)
    policy = policy_for(
        "athena:bedrock.logs",
        region="eu-west-1",
        account=ACCOUNT,
        logs="s3://logs-bucket",
        results="s3://results-bucket/athena",
        workgroup="finops",
        logs_key=KEY,
        results_key=f"{KEY}-2",
        names=True,
        metrics=True,
        bill=True,
        keep="s3://days-bucket",
        keep_key=f"{KEY}-3",
        assume=[role, f"{role}2"],
    )
    assert (answer.out, answer.err) == (policy.as_json() + "\n", "")


def test_a_trust_policy_is_printed_for_the_role(ask: Ask) -> None:
    answer = ask("iam", "--trust", ACCOUNT, "--external-id", "tollbook-42")
    assert (answer.out, answer.err) == (trust_policy(ACCOUNT, "tollbook-42").as_json() + "\n", "")


def test_trust_in_a_whole_account_is_said_to_be_wide(ask: Ask) -> None:
    wide = "Whoever in that account may assume roles may assume this one. Narrow it with --external-id ID.\n"
    assert ask("iam", "--trust", ACCOUNT).err == wide
    assert ask("iam", "--trust", f"arn:aws:iam::{ACCOUNT}:role/Server").err == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Say what a policy is wanted for: cloudwatch:LOG_GROUP, "),
        (["logs.jsonl"], "'logs.jsonl' needs no policy of AWS: it is none of cloudwatch:LOG_GROUP, "),
        (["events:a*"], "'a*' is not a log group's name."),
        (["events:a", "--region", "mars"], "'mars' is not a region such as eu-west-1."),
        (["events:a", "--external-id", "xyz"], "--external-id belongs to --trust"),
        (["events:a", "--trust", ACCOUNT], "--trust prints the trust policy alone."),
        (["--trust", ""], "'' is not an account of twelve digits or the ARN of a role or user."),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_with_one_sentence(ask: Ask, words: list[str], said: str) -> None:
    answer = ask("iam", *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"tollbook: {said}")
    assert answer.err.count("\n") == 1


def test_it_is_printed_without_a_library_of_aws() -> None:
    program = (
        "import sys; from tollbook.cli import main; main(['iam', 's3://logs-bucket', '--names', '--metrics']); "
        "sys.exit(' '.join({'boto3', 'botocore', 'mcp'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
