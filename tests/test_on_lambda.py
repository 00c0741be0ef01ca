"""`tollbook.app.on_lambda:app`: what is usual on AWS Lambda, and what may not be there."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import boto3
import httpx2
import pytest

from tests.auth_servers.issuer import AUDIENCE, SCOPE, Issuer
from tests.fakes.cloudwatch_logs import Logs, Setting, cloudwatch_logs
from tests.fakes.invocations import Rendered
from tests.fakes.lambda_service import Configuration, deployed
from tests.fakes.lambda_service.invocations import FunctionError
from tests.fakes.moto import REGION
from tests.hosting.runtime.conftest import a_table as a_table
from tests.hosting.runtime.conftest import dynamodb_server as dynamodb_server
from tests.hosting.runtime.conftest import issuer as issuer
from tests.hosting.runtime.deployment import LOOP, Deployment, Table, on_lambda
from tests.hosting.serving import messages, modern, request, tool
from tests.tools.desk import TOOL
from tollbook.app.on_lambda import lambda_settings
from tollbook.core.errors import UsageError

APP: Final = "tollbook.app.on_lambda:app"
BUCKET: Final = "kept-by-tollbook"
GROUP: Final = "/tollbook/on-lambda"
KEY: Final = "a key of 32 characters for tests only"
NEEDED: Final = {
    "PUBLIC_URL": AUDIENCE,
    "OAUTH_ISSUER": "https://issuer.example",
    "OAUTH_REQUIRED_SCOPE": SCOPE,
    "REQUEST_STATE_KEYS": KEY,
    "SEES_ALL": "anyone",
}
"""What has no default there."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def problems(**environment: str) -> list[str]:
    """What is wrong with an environment, by the variables that are named."""
    with pytest.raises(UsageError) as fault:
        lambda_settings({**NEEDED, **environment})
    assert fault.value.message == "The server cannot start on Lambda:"
    assert KEY not in str(fault.value)
    return list(fault.value.more)


class TestSettings:
    def test_that_are_needed_are_all_named_at_once(self) -> None:
        with pytest.raises(UsageError) as fault:
            lambda_settings({})
        named = [line.partition("(")[2].partition(")")[0] for line in fault.value.more]
        assert sorted(named) == [
            "OAUTH_ISSUER",
            "OAUTH_REQUIRED_SCOPE",
            "OWN_CALLS",
            "PUBLIC_URL",
            "REQUEST_STATE_KEYS",
        ]

    def test_have_the_defaults_of_instances_that_share_nothing(self) -> None:
        settings = lambda_settings(NEEDED)
        assert settings.session_store == "dynamodb:tollbook"
        assert settings.source == ("cloudwatch:/aws/bedrock/modelinvocations",)
        assert settings.metrics == "tollbook"
        assert settings.auth == "oauth"
        assert settings.allowed_hosts == ("tollbook.example",)
        assert (settings.aws.closed_days, settings.results_place) == ("", "")

    def test_keep_days_and_results_in_the_one_bucket_that_is_named(self) -> None:
        settings = lambda_settings({**NEEDED, "TOLLBOOK_BUCKET": "s3://bucket/prefix/"})
        assert settings.aws.closed_days == "s3://bucket/prefix/days"
        assert settings.results_place == "s3://bucket/prefix/results"
        apart = lambda_settings({**NEEDED, "TOLLBOOK_BUCKET": "s3://bucket", "TOLLBOOK_CLOSED_DAYS": "none"})
        assert (apart.aws.closed_days, apart.results_place) == ("none", "s3://bucket/results")

    def test_that_are_given_go_before_the_defaults_and_an_empty_one_is_none(self) -> None:
        given = {"SESSION_STORE": "dynamodb:mine", "TOLLBOOK_METRICS": "emf:Costs/Prod", "TOLLBOOK_SOURCE": "s3://logs"}
        settings = lambda_settings({**NEEDED, **given, "ALLOWED_HOSTS": "abc.execute-api.eu-west-1.amazonaws.com"})
        assert (settings.session_store, settings.metrics) == ("dynamodb:mine", "Costs/Prod")
        assert settings.source == ("s3://logs",)
        assert settings.allowed_hosts == ("tollbook.example", "abc.execute-api.eu-west-1.amazonaws.com")
        unset = lambda_settings({**NEEDED, "SESSION_STORE": "", "TOLLBOOK_METRICS": "none"})
        assert (unset.session_store, unset.metrics) == ("dynamodb:tollbook", "")

    @pytest.mark.parametrize(
        ("variable", "value", "said"),
        [
            ("SESSION_STORE", "memory", "instances do not share it; name a table as dynamodb:TABLE"),
            ("SESSION_STORE", "sqlite:/tmp/store.db", "instances do not share it"),
            ("SESSION_STORE", "redis://x", "'redis://x' is no store"),
            ("REQUEST_STATE_KEYS", "", "it is missing; give a secret of 32 characters or more, which every instance"),
            ("REQUEST_STATE_KEYS", "short-secret", "keys of 32 characters or more"),
            ("TOLLBOOK_BUCKET", "bucket", "'bucket' is no place in S3. Write s3://BUCKET/PREFIX."),
            ("TOLLBOOK_CLOSED_DAYS", "s3://Bucket", "'s3://Bucket' is no place in S3."),
            ("TOLLBOOK_METRICS", "statsd", "emf, emf:NAMESPACE or none is wanted, not 'statsd'"),
            ("TOLLBOOK_METRICS", "emf:AWS/Lambda", "emf, emf:NAMESPACE or none is wanted"),
            ("SEES_ALL", "", "nobody would see any calls"),
        ],
    )
    def test_that_cannot_be_are_said_in_one_sentence(self, variable: str, value: str, said: str) -> None:
        (problem,) = problems(**{variable: value})
        assert f"({variable})" in problem
        assert said in problem
        assert "short-secret" not in problem

    @pytest.mark.parametrize("environment", [{"TOLLBOOK_HOST": "127.0.0.1"}, {"PUBLIC_URL": "http://127.0.0.1/mcp"}])
    def test_never_leave_it_open_who_asks(self, environment: Mapping[str, str]) -> None:
        """`tollbook serve` asks nobody where only this machine can reach it."""
        said = "\n".join(problems(**{"OAUTH_ISSUER": "", **environment}))
        assert "(OAUTH_ISSUER): it is missing" in said

    def test_offer_no_login_that_believes_everyone(self) -> None:
        assert any("the development login believes everyone" in line for line in problems(AUTH_METHOD="dev"))


def test_it_starts_without_what_only_a_web_server_or_a_terminal_needs() -> None:
    program = (
        "import sys; from tollbook.app.on_lambda import app; app(); "
        "unwanted = {'keyring', 'prompt_toolkit', 'jsonschema', 'isal', 'tollbook.client', "
        "'tollbook.app.serve', 'tollbook.app.connections', 'tollbook.app.aws', 'tollbook.hosting.dev_login'}; "
        "sys.exit(' '.join(unwanted & set(sys.modules)) or 0)"
    )
    environment = {"PATH": "", "PYTHONPATH": str(Path(__file__).parent.parent / "src"), **NEEDED}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("variable", ["TOLLBOOK_PRICES", "TOLLBOOK_NAMES", "TOLLBOOK_ACCOUNTS"])
def test_a_file_that_is_not_there_is_missed_at_the_start(variable: str) -> None:
    program = "from tollbook.app.on_lambda import app; app()"
    environment = {"PYTHONPATH": str(Path(__file__).parent.parent / "src"), **NEEDED, variable: "missing.json"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert "missing.json" in done.stderr.splitlines()[-1]


@pytest.mark.anyio
async def test_what_is_wrong_is_told_to_lambda_at_once(tmp_path: Path) -> None:
    environment = {**NEEDED, "SESSION_STORE": "memory", "LOG_LEVEL": "loud", "REQUEST_STATE_KEYS": "short-secret"}
    configuration = Configuration(command=(*LOOP, APP), folder=tmp_path, environment=environment)
    with pytest.raises(FunctionError) as fault:
        async with deployed(configuration, provisioned=1):
            """It never comes so far."""
    said = fault.value.message
    assert said.startswith("The server cannot start on Lambda: ")
    assert all(f"({name})" in said for name in ("SESSION_STORE", "LOG_LEVEL", "REQUEST_STATE_KEYS"))
    assert "short-secret" not in said


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logs]:
    """CloudWatch Logs with one group, which has events of the last three days."""
    now = datetime.now(UTC)
    since_ms, until_ms = (int(each.timestamp() * 1000) for each in (now - timedelta(days=3), now))
    with cloudwatch_logs(tmp_path_factory.mktemp("cloudwatch") / "logs.log") as logs:
        rendered = Rendered(600, since_ms=since_ms, until_ms=until_ms)
        logs.set(Setting(GROUP, region=REGION, stored_bytes=900_000, created_ms=since_ms, rendered=rendered))
        yield logs


@pytest.fixture(scope="module")
def bucket(dynamodb_server: str) -> Iterator[Any]:
    """A client of boto3's; its bucket is there and empty."""
    session = boto3.session.Session("testing", "testing", region_name=REGION)
    with closing(session.client("s3", endpoint_url=dynamodb_server)) as client:
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield client


def everything_of(moto: str, logs: Logs) -> dict[str, str]:
    """Where the function finds AWS, and what it is to report on."""
    return {
        "AWS_ENDPOINT_URL": moto,
        "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": logs.url,
        "TOLLBOOK_SOURCE": f"cloudwatch:{GROUP}",
        "TOLLBOOK_LOOK_UP": "none",
        "SEES_ALL": "anyone",
        "PYTHONUNBUFFERED": "",  # which would hide that a line waits in a buffer
    }


@pytest.fixture(scope="module")
async def aws(
    tmp_path_factory: pytest.TempPathFactory,
    issuer: Issuer,
    a_table: Callable[[], Table],
    dynamodb_server: str,
    logs: Logs,
    bucket: Any,
) -> AsyncIterator[Deployment]:
    """Two instances with a bucket."""
    folder = tmp_path_factory.mktemp("with-bucket")
    environment = {**everything_of(dynamodb_server, logs), "TOLLBOOK_BUCKET": f"s3://{BUCKET}/prod"}
    async with on_lambda(folder, issuer, a_table(), app=APP, instances=2, environment=environment) as deployment:
        yield deployment


async def reported(http: httpx2.AsyncClient, url: str) -> Any:
    """The structured content of a report of all that is logged: three days back lie on four days."""
    message, headers = modern(tool(TOOL, days=4))
    result = messages(await http.post(url, json=message, headers=headers))[-1]["result"]
    assert not result.get("isError"), result
    return result["structuredContent"]


@pytest.mark.anyio
async def test_days_and_results_lie_in_the_bucket_for_every_instance(aws: Deployment, bucket: Any) -> None:
    content = await reported(aws.http, aws.url)
    assert content["totals"]["calls"] > 500
    names = [found["Key"] for found in bucket.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert {name.split("/")[1] for name in names} == {"days", "results"}

    await aws.quiet()
    before = len(aws.function.invocations)
    first = aws.function.invocations[-1].instance
    await next(each for each in aws.function.instances if each.number == first).kill()
    message, headers = modern(request("resources/read", uri=content["whole"]["json_uri"]))
    answer = messages(await aws.http.post(aws.url, json=message, headers=headers))[-1]
    page = json.loads(answer["result"]["contents"][0]["text"])
    assert page["totals"] == content["totals"]
    assert aws.function.invocations[before].instance != first


@pytest.mark.anyio
async def test_each_call_is_a_line_of_metrics_among_lines_of_json(aws: Deployment) -> None:
    await reported(aws.http, aws.url)
    message, headers = modern(tool("no-such-tool-canary"))
    await aws.http.post(aws.url, json=message, headers=headers)
    await aws.quiet()
    lines = aws.log()
    measured = [line for line in lines if "_aws" in line]
    reports = [line for line in measured if line["tool"] == TOOL]
    assert all(line["Calls"] == 1 and line["Latency"] > 0 and line["ScanDollars"] >= 0 for line in reports)
    assert max(line["ScannedBytes"] for line in reports) > 100_000
    assert {line["_aws"]["CloudWatchMetrics"][0]["Namespace"] for line in measured} == {"tollbook"}
    assert {line["tool"] for line in measured} <= {TOOL, "other"}
    assert any(line["tool"] == "other" and line["Errors"] == 1 for line in measured)
    assert all({"time", "level", "logger", "event"} <= line.keys() for line in lines if "_aws" not in line)
    assert "no-such-tool-canary" not in json.dumps(measured)


@pytest.mark.anyio
async def test_nothing_is_written_but_below_the_folder_for_temporary_files(
    tmp_path: Path, issuer: Issuer, a_table: Callable[[], Table], dynamodb_server: str, logs: Logs
) -> None:
    """Without a bucket too; and there is no home."""
    folder, temporary, notes = tmp_path / "instances", tmp_path / "tmp", tmp_path / "writes"
    folder.mkdir()
    temporary.mkdir()
    own = {
        "TMPDIR": str(temporary),
        "HOME": str(temporary.parent / "no-such-home"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "WRITES": str(notes),
    }
    environment = {**everything_of(dynamodb_server, logs), **own, "TOLLBOOK_LOOK_UP": "names"}
    watched = "tests.watched_on_lambda:app"
    async with on_lambda(folder, issuer, a_table(), app=watched, instances=1, environment=environment) as alone:
        content = await reported(alone.http, alone.url)
        again = await reported(alone.http, alone.url)
        assert content["totals"] == again["totals"]
        assert content["whole"]
        assert any("days taken from those kept" in note for note in again["notes"])
    written = notes.read_text().splitlines()
    assert f"{temporary}/tollbook/days.db" in written
    assert [place for place in written if not place.startswith((f"{temporary}/", "/dev/"))] == []
