"""`tollbook doctor` as it is typed: what it prints, what it asks, and the exit codes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.auth_servers.issuer import CLIENT, SCOPE, Issuer
from tests.client.repl.typist import typist
from tests.doctor.aws import Aws
from tests.fakes.moto import REGION
from tests.fakes.processes import free_port, listening
from tests.hosting.wire import ROOT, instances
from tests.logs import Ask
from tollbook.client.login.login import Login
from tollbook.client.login.vault import Vault
from tollbook.deploy.cloudformation.stacks import TAG

GROUP: Final = "/aws/bedrock/modelinvocations"


class TestAServerOfThisMachine:
    def test_one_that_asks_nobody(self, ask: Ask, tmp_path: Path) -> None:
        with instances(tmp_path, 1, ["--session-store", "memory"]) as (server,):
            answer = ask("doctor", server.url)
        assert answer.code == 0, answer.out
        lines = answer.out.splitlines()
        assert lines[0] == f"✓ address             {server.url} answers."
        assert lines[-1].endswith("checks were made, and nothing is wrong.")
        assert any(line.startswith("✓ streaming           Answers stream: ") for line in lines)
        assert max(map(len, lines)) <= 100
        assert not answer.err

    def test_one_with_the_development_login(self, ask: Ask, tmp_path: Path) -> None:
        with instances(tmp_path, 1, ["--session-store", "memory", "--auth", "dev"]) as (server,):
            answer = ask("doctor", server.url, "--json")
        found = json.loads(answer.out)
        assert answer.code == found["exit_code"] == 3
        assert found["target"] == server.url
        token = next(each for each in found["findings"] if each["check"] == "token")
        assert token["status"] == "skipped"
        assert f"tollbook login {server.url}" in token["remedy"]
        assert {each["status"] for each in found["findings"]} == {"ok", "skipped"}

    def test_a_token_that_is_not_good(self, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ACCESS_TOKEN", "not-a-good-token")
        with instances(tmp_path, 1, ["--session-store", "memory", "--auth", "dev"]) as (server,):
            answer = ask("doctor", server.url)
        assert answer.code == 1
        assert "✗ token" in answer.out
        assert "1 of them" not in answer.out
        assert "'token' failed." in answer.out
        assert "not-a-good-token" not in answer.out + answer.err

    def test_a_name_that_the_server_does_not_go_by(self, ask: Ask, tmp_path: Path) -> None:
        port = free_port()
        command = [sys.executable, "-m", "tollbook", "serve", "--port", str(port), "--session-store", "memory"]
        with listening([*command, "--allowed-hosts", "mcp.example.com"], port, tmp_path / "server.log"):
            answer = ask("doctor", f"http://127.0.0.1:{port}/mcp")
        assert answer.code == 1
        assert "does not go by the name" in " ".join(answer.out.split())
        assert "ALLOWED_HOSTS" in answer.out

    def test_nobody_is_there(self, ask: Ask) -> None:
        answer = ask("doctor", f"http://127.0.0.1:{free_port()}/mcp")
        assert answer.code == 1
        assert answer.out.startswith("✗ address")
        assert "Is the server running, and is the port right?" in answer.out
        assert "- skipped             'address' failed: health, clock, " in answer.out


class TestAServerWithALogin:
    @contextmanager
    def serve(self, folder: Path, issuer: Issuer, **settings: str) -> Iterator[str]:
        """`tollbook serve` that trusts `issuer`, but for what is set otherwise; `{url}` stands for its own address."""
        for document in issuer.documents.values():
            document["scopes_supported"] = [SCOPE]
        port = free_port()
        url = f"http://127.0.0.1:{port}/mcp"
        right = {"PUBLIC_URL": url, "OAUTH_ISSUER": issuer.url, "OAUTH_REQUIRED_SCOPE": SCOPE, "SEES_ALL": "anyone"}
        environment = {**os.environ, **right, **{name: value.format(url=url) for name, value in settings.items()}}
        command = [sys.executable, "-m", "tollbook", "serve", "--auth", "oauth", "--session-store", "memory"]
        with listening([*command, "--port", str(port)], port, folder / "instance-0.log", environment):
            yield url

    @pytest.mark.parametrize(
        ("settings", "check", "remedy"),
        [
            ({"PUBLIC_URL": "{url}/v2"}, "resource metadata", "PUBLIC_URL"),
            ({"OAUTH_ISSUER": "http://127.0.0.1:1"}, "login server", "network"),
        ],
    )
    def test_a_setting_that_is_wrong_is_named(
        self, ask: Ask, tmp_path: Path, issuer: Issuer, settings: dict[str, str], check: str, remedy: str
    ) -> None:
        with self.serve(tmp_path, issuer, **settings) as url:
            answer = ask("doctor", url, "--json")
        bad = [each for each in json.loads(answer.out)["findings"] if each["status"] == "failed"]
        assert answer.code == 1
        assert bad[0]["check"] == check
        assert remedy in bad[0]["remedy"]

    def test_the_login_that_is_kept_is_used(
        self, ask: Ask, tmp_path: Path, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TOLLBOOK_KEEP_IN", "file")
        with self.serve(tmp_path, issuer) as url:
            assert ask("doctor", url).code == 3
            token = issuer.token(aud=url)
            vault = Vault(tmp_path / "user-data" / "tollbook" / "logins", "file", time.time)
            vault.keep(Login(resource=url, issuer=issuer.url, client_id=CLIENT, access_token=token, issued=time.time()))
            answer = ask("doctor", url)
        assert answer.code == 0, answer.out
        assert "✓ token               The server takes the token." in answer.out
        assert token not in answer.out + answer.err


class TestTheAccount:
    def test_without_credentials_nothing_else_is_asked(
        self, ask: Ask, aws: Aws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        answer = ask("doctor")
        assert answer.code == 1
        assert answer.out.startswith("✗ credentials")
        assert "'credentials' failed: invocation logging, log group, permissions" in answer.out

    def test_a_profile_that_there_is_not(self, ask: Ask, aws: Aws) -> None:
        answer = ask("doctor", "--profile", "nobody")
        assert answer.code == 1
        assert "no profile 'nobody'" in answer.out

    def test_logging_is_off(self, ask: Ask, aws: Aws) -> None:
        answer = ask("doctor", "--region", f"{REGION},us-east-1", "--json")
        assert answer.code == 1
        bad = [each for each in json.loads(answer.out)["findings"] if each["status"] == "failed"]
        assert [(each["check"], each["facts"]["region"]) for each in bad] == [
            ("invocation logging", REGION),
            ("invocation logging", "us-east-1"),
        ]
        assert "--switch-on-logging" in bad[0]["remedy"]

    def test_it_is_switched_on(self, ask: Ask, aws: Aws) -> None:
        answer = ask("doctor", "--switch-on-logging", "--yes", "--retention-days", "30")
        assert answer.code == 0, answer.out
        assert f"are written to {GROUP} from now on" in " ".join(answer.out.split())
        assert f"The log group {GROUP} is made." in answer.err
        answer = ask("doctor")
        assert answer.code == 0, answer.out
        assert "for 30 days" in answer.out

    def test_nobody_is_there_to_be_asked(self, ask: Ask, aws: Aws) -> None:
        answer = ask("doctor", "--switch-on-logging")
        assert answer.code == 2
        assert "add --yes" in answer.err
        assert not answer.out, "nothing was looked at"
        assert not aws("logs").describe_log_groups()["logGroups"]

    @pytest.mark.parametrize(("key", "code"), [("y", 0), ("n", 1), ("", 1)])
    def test_at_a_terminal_it_asks(self, aws: Aws, key: str, code: int) -> None:
        with typist("doctor", columns=200, program="tollbook") as user:
            user.sees("Do it? [y/N]")
            assert "Prompts and answers are not written down" in user.text
            user.press(f"{key}\r")
            assert user.leaves() == code
            assert ("from now on" in user.text) == (key == "y")
        assert bool(aws("logs").describe_log_groups()["logGroups"]) == (key == "y")

    def test_tollbook_reads_another_group_than_bedrock_writes_to(self, ask: Ask, aws: Aws) -> None:
        settings = {"cloudWatchConfig": {"logGroupName": "/theirs", "roleArn": f"arn:aws:iam::{'1' * 12}:role/r"}}
        aws("bedrock").put_model_invocation_logging_configuration(loggingConfig=settings)
        answer = ask("doctor", "--source", "cloudwatch")
        assert "✗ source" in answer.out
        assert "--source cloudwatch:/theirs" in " ".join(answer.out.split())

    @pytest.mark.parametrize("words", [[], ["--json"], ["http://127.0.0.1:9/mcp", "--source", "cloudwatch", "--json"]])
    def test_no_region_is_known(self, ask: Ask, aws: Aws, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        answer = ask("doctor", *words)
        assert answer.code == 2
        assert "Name one with --region" in answer.err
        assert not answer.out, "nothing was looked at"

    def test_the_region_of_the_environment_is_taken(self, ask: Ask, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        monkeypatch.setenv("AWS_REGION", "us-west-2")
        assert "is off in us-west-2" in " ".join(ask("doctor").out.split())

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--source", "cloudwatch:/my/größe"], "--source: 'cloudwatch:/my/gr"),
            (["--source", "s3://x/y"], "a bucket's name has 3 to 63"),
            (["--source", "./AWSLogs"], "is no place on AWS"),
            (["--source", "foo:bar"], "is no place on AWS"),
            (["--source", "athena:a"], "names no table"),
            (["--source", "s3://logs/p,cloudwatch:/a"], "one kind only"),
            (["--region", "mars"], "--region: "),
            (["--region", f"{REGION},mars"], "--region: "),
            (["1abc"], "STACK: "),
            (["./foo"], "is a path"),
            (["http://"], "no host"),
        ],
    )
    def test_all_that_is_typed_is_checked_before_anything_is_done(
        self, ask: Ask, aws: Aws, words: list[str], said: str
    ) -> None:
        answer = ask("doctor", "--switch-on-logging", "--yes", "--region", REGION, *words)
        assert answer.code == 2
        assert said in answer.err
        assert not answer.out
        assert not aws("logs").describe_log_groups()["logGroups"]


class TestAStack:
    def make(self, aws: Aws, url: str, tag: str = TAG) -> None:
        keys = {"partition": "HASH", "key": "RANGE"}
        table = {
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in keys],
        }
        template = {
            "Resources": {
                "Table": {"Type": "AWS::DynamoDB::Table", "Properties": table},
                "Bucket": {"Type": "AWS::S3::Bucket"},
            },
            "Outputs": {
                "Url": {"Value": url},
                "Table": {"Value": {"Ref": "Table"}},
                "Bucket": {"Value": {"Ref": "Bucket"}},
            },
        }
        tags = [{"Key": tag, "Value": "tollbook"}]
        aws("cloudformation").create_stack(StackName="tollbook", TemplateBody=json.dumps(template), Tags=tags)
        (table_name,) = aws("dynamodb").list_tables()["TableNames"]
        expiry = {"Enabled": True, "AttributeName": "expires"}  # which moto does not take out of a template
        aws("dynamodb").update_time_to_live(TableName=table_name, TimeToLiveSpecification=expiry)

    def test_its_stores_and_its_server_are_looked_at(self, ask: Ask, aws: Aws, tmp_path: Path) -> None:
        with instances(tmp_path, 1, ["--session-store", "memory"]) as (server,):
            self.make(aws, server.url)
            answer = ask("doctor", "tollbook", "--json")
        found = {each["check"]: each["status"] for each in json.loads(answer.out)["findings"]}
        assert {found[check] for check in ("stack", "session store", "bucket", "address", "streaming")} == {"ok"}
        assert found["invocation logging"] == "failed"

    def test_one_that_is_somebody_elses_is_left_alone(self, ask: Ask, aws: Aws) -> None:
        self.make(aws, "https://mcp.example.com/mcp", tag="other")
        answer = ask("doctor", "tollbook", "--json")
        assert answer.code == 1
        last = json.loads(answer.out)["findings"][-1]
        assert (last["check"], last["status"]) == ("stack", "failed")
        assert last["said"] == "The stack 'tollbook' is none of tollbook's."
        assert "the server's address" in last["remedy"]

    def test_the_teams_file_says_where_it_is(
        self, ask: Ask, aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "tollbook.toml").write_text('[deploy]\nstack = "ours"\nregion = "us-west-2"\nmemory = 2048\n')
        assert "There is no stack 'nothing' in us-west-2." in ask("doctor", "nothing").out
        assert f"There is no stack 'nothing' in {REGION}." in ask("doctor", "nothing", "--region", REGION).out
        (tmp_path / "tollbook.toml").write_text('[deploy]\nprofile = "nobody"\n')
        assert "no profile 'nobody'" in ask("doctor", "nothing").out
        (tmp_path / "tollbook.toml").write_text('[deploy]\nregion = "mars"\n')
        answer = ask("doctor", "nothing")
        assert answer.code == 2
        assert "tollbook.toml cannot be used" in answer.err

    def test_there_is_none_of_that_name(self, ask: Ask, aws: Aws) -> None:
        answer = ask("doctor", "nothing")
        assert answer.code == 1
        assert f"There is no stack 'nothing' in {REGION}." in answer.out
        assert "tollbook deploy" in answer.out


def test_the_page_shows_the_help_as_it_is() -> None:
    command = [sys.executable, "-m", "tollbook", "doctor", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "100"})
    assert done.stdout.strip() in (ROOT / "docs" / "doctor.md").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["http://127.0.0.1:3000/mcp", "--patience", "soon"], "--patience: seconds"),
        (["--retention-days", "100"], "--retention-days: one of 1, 3, 5"),
        (["http://"], "no host"),
        (["https://mcp.example.com/mcp#x"], "fragment"),
        (["--header", "x"], "A header is written as"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_sentence(ask: Ask, words: list[str], said: str) -> None:
    answer = ask("doctor", *words)
    assert answer.code == 2
    assert said in answer.err


def test_a_token_for_a_machine_elsewhere_does_not_go_in_the_clear(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCESS_TOKEN", "not-for-everyone")
    answer = ask("doctor", "http://mcp.example.com/mcp")
    assert answer.code == 2
    assert "Use an https address" in answer.err
    assert "not-for-everyone" not in answer.err
