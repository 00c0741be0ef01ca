"""What a deployment's role may read, and what its function would not start with."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.plans import NOTHING, POOL, STACK, planned
from tests.logs import Ask
from tollbook.app.deployed import check_settings, statements_for
from tollbook.core.errors import UsageError
from tollbook.deploy.plan.planning import Wanted, plan

ACCOUNT, REGION = "123456789012", "eu-west-1"


def allowed(**parameters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(statements_for(parameters, ACCOUNT, REGION))
    return found


def test_several_regions_come_to_no_more_statements_than_one() -> None:
    one, three = allowed(), allowed(TollbookRegions="eu-west-1,us-east-1,ap-south-1")
    assert [each["Sid"] for each in three] == [each["Sid"] for each in one]
    (group,) = [each for each in three if each["Sid"] == "ReadLogGroup"]
    assert [arn.split(":")[3] for arn in group["Resource"]] == ["eu-west-1", "us-east-1", "ap-south-1"]
    (metrics,) = [each for each in three if each["Sid"] == "ReadMetrics"]
    assert metrics["Condition"] == {"StringEquals": {"aws:RequestedRegion": ["eu-west-1", "us-east-1", "ap-south-1"]}}


def test_two_buckets_keep_their_prefixes_apart() -> None:
    lists = [each for each in allowed(TollbookSource="s3://one/a,s3://two/b") if each["Action"] == ["s3:ListBucket"]]
    assert [each["Sid"] for each in lists] == ["ListLogFiles", "ListLogFiles2"]
    assert [each["Resource"] for each in lists] == [["arn:aws:s3:::one"], ["arn:aws:s3:::two"]]


def test_a_role_that_is_assumed_reads_in_the_servers_place() -> None:
    (only,) = allowed(BedrockRoleArn=f"arn:aws:iam::{ACCOUNT}:role/reads-logs")
    assert (only["Action"], only["Resource"]) == (["sts:AssumeRole"], [f"arn:aws:iam::{ACCOUNT}:role/reads-logs"])


def test_a_server_of_somebodys_own_reads_no_logs() -> None:
    assert allowed(App="my_server:server") == []


def test_more_than_a_role_has_room_for_is_not_planned() -> None:
    regions = ",".join(f"eu-west-{number}" for number in range(1, 20))
    given = {"ImageUri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/i@sha256:{'a' * 64}", "TollbookRegions": regions}
    with pytest.raises(UsageError) as refused:
        plan(Wanted(stack=STACK, given=given), NOTHING, lambda parameters: statements_for(parameters, ACCOUNT, REGION))
    assert refused.value.more[0].startswith("--source, --regions, --accounts: what may be read comes to ")


def test_what_the_server_would_not_start_with_is_never_deployed() -> None:
    check_settings(planned(POOL).parameters, REGION)
    wrong = planned({"CallLimitSeconds": "900", "SessionIdleSeconds": "60"}).parameters
    with pytest.raises(UsageError) as refused:
        check_settings(wrong, REGION)
    assert refused.value.more == (
        "--session-idle: a session must not end before a call in it may: give at least --call-limit.",
    )


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are no credentials of AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))


@pytest.mark.usefixtures("nobody")
def test_a_functions_name_makes_a_name_for_the_stack(ask: Ask) -> None:
    for function, stack in (("my_mcp_server", "my-mcp-server"), ("1mcp", "tollbook-1mcp")):
        shown = ask("deploy", "--dry-run", "--region", REGION, "--function-name", function)
        assert shown.out.startswith(f"{stack} in {REGION}, account ACCOUNT: a new stack\n"), shown.err


@pytest.mark.usefixtures("nobody")
def test_what_a_file_says_is_shown_before_it_is_done(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    issuer = "https://login.example.org"
    (tmp_path / "tollbook.toml").write_text(
        f'[deploy]\nregion = "{REGION}"\noauth-issuer = "{issuer}"\nsees-all = "anyone"\n'
    )
    shown = ask("deploy", "--dry-run")
    assert shown.out.startswith(f"Read from {tmp_path}/tollbook.toml:\n")
    assert f"  oauth-issuer = {issuer}\n" in shown.out
