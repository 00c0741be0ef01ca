"""What linters say of the templates: cfn-lint nothing, and checkov what there is a reason for."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.deploy.evaluation import ACCOUNT, REGION
from tollbook.deploy.template import bootstrap, rendered, template
from tollbook.sources.aws.reach.policy import policy_for

CHECKOV: Final = Path(sys.prefix) / "checkov" / "bin" / "checkov"
"""In an environment of its own, made by `make`: it wants another botocore than ours."""

_KEYS_OF_AWS: Final = (
    "AWS encrypts it with a key of its own; a key of the customer's costs a dollar a month, and whoever wants one "
    "would have to give it to every reader"
)
EXCEPTIONS: Final = {
    ("CKV_AWS_18", "AWS::S3::Bucket"): "a second bucket to log who reads derived figures that go within days",
    ("CKV_AWS_21", "AWS::S3::Bucket"): "results that expire would live on as old versions; days can be read anew",
    ("CKV_AWS_26", "AWS::SNS::Topic"): "alarms cannot be sent to a topic that is encrypted with AWS's own key: "
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html",
    ("CKV_AWS_59", "AWS::ApiGateway::Method"): "metadata and health are for those who have not logged in yet",
    ("CKV_AWS_73", "AWS::ApiGateway::Stage"): "traces go by OpenTelemetry where somebody says where to",
    ("CKV_AWS_76", "AWS::ApiGateway::Stage"): "they are logged unless it is said otherwise: behind a condition, which "
    "the check does not see through",
    ("CKV_AWS_115", "AWS::Lambda::Function"): "a reserve for one is a limit for all other functions of the account; "
    "the stage is throttled",
    ("CKV_AWS_116", "AWS::Lambda::Function"): "the check of budgets alone is invoked so, and an alarm tells when it "
    "fails; the next run makes it good",
    ("CKV_AWS_117", "AWS::Lambda::Function"): "it speaks to AWS and to the issuer alone, and is called through the "
    "gateway; a network of its own would need endpoints that cost more than all else",
    ("CKV_AWS_119", "AWS::DynamoDB::Table"): _KEYS_OF_AWS,
    ("CKV_AWS_120", "AWS::ApiGateway::Stage"): "answers are one caller's own, and stream",
    ("CKV_AWS_136", "AWS::ECR::Repository"): _KEYS_OF_AWS,
    ("CKV_AWS_149", "AWS::SecretsManager::Secret"): _KEYS_OF_AWS,
    ("CKV_AWS_158", "AWS::Logs::LogGroup"): _KEYS_OF_AWS,
    ("CKV_AWS_173", "AWS::Lambda::Function"): _KEYS_OF_AWS,
    ("CKV_AWS_258", "AWS::Lambda::Url"): "IAM would keep MCP's clients out; the server asks for a token",
}
"""What checkov finds and stays as it is."""


@pytest.fixture
def texts(tmp_path: Path) -> list[Path]:
    """The templates as they lie there, and as one is deployed."""
    source = policy_for("s3://logs-of-bedrock/AWSLogs", account=ACCOUNT, region=REGION, metrics=True)
    whole = rendered(template(), msgspec.json.encode(source.statement).decode(), "0123456789")
    written = []
    for name, text in (("template", template()), ("bootstrap", bootstrap()), ("rendered", whole)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def test_cfn_lint_has_nothing_to_say(texts: list[Path]) -> None:
    program = str(Path(sys.executable).with_name("cfn-lint"))
    command = [program, "--regions", REGION, "us-east-1", "--include-checks", "I", "--template", *map(str, texts)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_checkov_finds_what_there_is_a_reason_for_and_no_more(texts: list[Path]) -> None:
    for path in texts:  # without conditions, since of what is not made by default it would see nothing
        path.write_text(re.sub(r"(?m)^    Condition: .*\n", "", path.read_text(encoding="utf-8")), encoding="utf-8")
    command = [str(CHECKOV), "--framework", "cloudformation", "--skip-download", "--quiet", "--output", "json"]
    files = [word for path in texts for word in ("--file", str(path))]
    found = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    report = json.loads(found.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["resource_count"] > 100
    failed = {(each["check_id"], each["resource"].rpartition(".")[0]) for each in report["results"]["failed_checks"]}
    assert failed == EXCEPTIONS.keys()
