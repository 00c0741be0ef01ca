"""Threats 41, 42, 44 and 46 where logs lie on AWS: what callers name, and what of theirs goes out.

A server of its own asks moto for logs of its account and of another; every request that it sends is written down.
"""

import json
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import boto3
import httpx2
import pytest

from tests.auth_servers.issuer import SCOPE, Canary, Issuer
from tests.fakes.moto import REGION, go_to_moto, moto_server
from tests.fakes.recorder import Recorder, Request, recorder
from tests.hosting.serving import messages
from tests.hosting.wire import Instance, instances
from tests.threats.canaries import Canaries
from tests.threats.door import Door, a_real_door, environment_of
from tollbook.sources.aws.reach.clients import session_name

pytestmark = pytest.mark.anyio

REPORT: Final = "get_bedrock_usage_report"
OWN: Final = "123456789012"  # moto's
PROD: Final = "111122223333"
STRANGER: Final = "999988887777"
ROLE: Final = f"arn:aws:iam::{PROD}:role/tollbook-reader"
EXTERNAL_ID: Final = "Example/7"
GROUP: Final = "/aws/bedrock/modelinvocations"
QUERIED: Final = "/queried"
BREAKING_OUT: Final = (
    "x` | limit 1",
    "x| fields @message",
    'x" or "1"="1',
    "x' or '1'='1",
    "x\n| stats count(*)",
    "x # y",
    "x\\",
)


class Running:
    """A server that reads logs on AWS.

    Attributes:
        released: the credentials that callers showed it.
    """

    def __init__(self, instance: Instance, aws: Recorder) -> None:
        self.instance, self.aws = instance, aws
        self.released = Canaries()

    def since(self, number: int) -> list[Request]:
        """What was sent to AWS after so many requests."""
        return self.aws.requests[number:]


@pytest.fixture(scope="module")
def today() -> Iterator[Issuer]:
    """An issuer who keeps everyone's time."""
    with Issuer() as running:
        yield running


@pytest.fixture(scope="module")
def running(today: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("aws")
    with pytest.MonkeyPatch.context() as patch, moto_server(folder / "moto.log") as moto, recorder(moto) as aws:
        go_to_moto("STS", moto, patch, folder)
        patch.setenv("AWS_ENDPOINT_URL", moto)
        _write_logs()
        environment = {
            **environment_of(today),
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ENDPOINT_URL_STS": aws.url,
            "TOLLBOOK_ACCOUNTS": json.dumps({PROD: {"role": ROLE, "external_id": EXTERNAL_ID, "name": "prod"}}),
            "TOLLBOOK_CLOSED_DAYS": "none",
            "SESSION_STORE": "memory",
            "LOG_LEVEL": "debug",
        }
        words = ["--source", f"events:{GROUP},insights:{QUERIED}"]
        with instances(folder, 1, words, environment) as (instance,):
            yield Running(instance, aws)


@pytest.fixture
async def door(today: Issuer, running: Running) -> AsyncIterator[Door]:
    async with a_real_door(today, running.instance.url) as opened:
        yield opened


def _write_logs() -> None:
    """A call of an hour ago, in the account at hand and in the other."""
    role = boto3.session.Session().client("sts").assume_role(RoleArn=ROLE, RoleSessionName="setup")["Credentials"]
    keys = {"aws_access_key_id": role["AccessKeyId"], "aws_secret_access_key": role["SecretAccessKey"]}
    now = time.time() - 3600
    for account, given in ((OWN, {}), (PROD, {**keys, "aws_session_token": role["SessionToken"]})):
        logs = boto3.session.Session().client("logs", **given)
        record = {
            "schemaType": "ModelInvocationLog",
            "schemaVersion": "1.0",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            "accountId": account,
            "region": REGION,
            "requestId": f"request-of-{account}",
            "operation": "Converse",
            "modelId": "anthropic.claude-3-haiku-20240307-v1:0",
            "identity": {"arn": f"arn:aws:iam::{account}:user/alice"},
            "input": {"inputTokenCount": 1000},
            "output": {"outputTokenCount": 10},
        }
        for name in (GROUP, QUERIED):
            logs.create_log_group(logGroupName=name)
            logs.create_log_stream(logGroupName=name, logStreamName="aws/bedrock/modelinvocations")
            logs.put_log_events(
                logGroupName=name,
                logStreamName="aws/bedrock/modelinvocations",
                logEvents=[{"timestamp": int(now * 1000), "message": json.dumps(record)}],
            )
        logs.close()


async def asked(door: Door, running: Running, era: str, who: str = "ana", **arguments: Any) -> Any:
    """The result of the report, for one who sees all: of two days, since an hour ago may have been yesterday."""
    token = door.issuer.token(sub=who, scope=f"{SCOPE} finops")
    running.released.token(token)
    response: httpx2.Response = await door.call(
        era, token, await door.session(era, token), REPORT, **{"days": 2, **arguments}
    )
    assert response.status_code == 200, response.text
    last: Mapping[str, Any] = messages(response)[-1]
    return last.get("result", last.get("error"))


def text_in(result: Any) -> str:
    return str(result["content"][0]["text"])


def accounts_in(result: Any) -> set[str]:
    assert not result["isError"], result
    return {group["account"] for group in result["structuredContent"]["groups"]}


class TestThreat41:
    """Nothing but the name of a place that is read gets into a request."""

    @pytest.mark.parametrize("name", [*BREAKING_OUT, f"{GROUP}`", f"{GROUP}:*", "*", "/another/group"])
    async def test_threat_41_a_log_group_that_is_none_or_not_read_here_is_refused(
        self, door: Door, running: Running, era: str, name: str
    ) -> None:
        before = len(running.aws.requests)
        result = await asked(door, running, era, log_group_name=name)
        assert result["isError"]
        assert "log_group_name" in text_in(result) or "is not read here" in text_in(result)
        assert running.since(before) == []

    @pytest.mark.parametrize("region", ["x@HOST/#", "HOST/", "eu-west-1.HOST", "eu-west-9", "eu-west-1\n", "../.."])
    async def test_threat_41_a_region_that_is_none_gets_no_signed_request(
        self, door: Door, running: Running, era: str, canary: Canary, region: str
    ) -> None:
        before = len(running.aws.requests)
        host = canary.url.removeprefix("http://")[:24]
        result = await asked(door, running, era, region=region.replace("HOST", host)[:32])
        assert result["isError"]
        assert running.since(before) == []
        assert canary.visits == 0


class TestThreat42:
    """Of what a caller writes, nothing is in a query."""

    @pytest.mark.parametrize("text", BREAKING_OUT)
    async def test_threat_42_no_tag_breaks_out_of_a_query(
        self, door: Door, running: Running, era: str, text: str
    ) -> None:
        before = len(running.aws.requests)
        result = await asked(door, running, era, log_group_name=QUERIED, group_by=f"tag:{text}")
        assert result["isError"]
        assert not [request for request in running.since(before) if request.query]

    @pytest.mark.parametrize("argument", ["principal", "model"])
    @pytest.mark.parametrize("text", BREAKING_OUT)
    async def test_threat_42_no_filter_is_in_a_query(
        self, door: Door, running: Running, era: str, text: str, argument: str
    ) -> None:
        before = len(running.aws.requests)
        arguments: dict[str, Any] = {argument: f"canary{text}", "log_group_name": QUERIED}
        await asked(door, running, era, **arguments)
        sent = running.since(before)
        assert [request for request in sent if request.query]
        assert not [request for request in sent if b"canary" in request.everything]

    async def test_threat_42_a_tag_that_can_be_one_is_quoted(self, door: Door, running: Running, era: str) -> None:
        before = len(running.aws.requests)
        await asked(door, running, era, log_group_name=QUERIED, group_by="tag:cost-center")
        queries = [request.query for request in running.since(before) if request.query]
        assert queries
        for query in queries:
            assert "cost-center" in query
            bare = re.sub("`[^`]*`", "", query).replace('"cost-center":', "")
            assert "cost-center" not in bare


class TestThreat44:
    """Accounts are those on the list, reached as the list says, in the name of whoever asks."""

    async def test_threat_44_an_account_that_is_not_listed_is_refused_without_a_request(
        self, door: Door, running: Running, era: str
    ) -> None:
        assert accounts_in(await asked(door, running, era, group_by="account", aws_account_id=OWN)) == {OWN}
        before = len(running.aws.requests)
        result = await asked(door, running, era, aws_account_id=STRANGER)
        assert result["isError"]
        assert f"Account {STRANGER} is not read here. There are prod ({PROD}), {OWN}." in text_in(result)
        assert running.since(before) == []

    async def test_threat_44_no_role_is_assumed_but_the_listed_one_and_as_it_is_listed(
        self, door: Door, running: Running, era: str
    ) -> None:
        for who in ("ana", "ben/../../x"):
            result = await asked(door, running, era, who, group_by="account", aws_account_id=PROD)
            assert accounts_in(result) == {PROD}
        assumed = running.aws.of("AssumeRole")
        assert {request.form["RoleArn"] for request in assumed} == {ROLE}
        assert {request.form["ExternalId"] for request in assumed} == {EXTERNAL_ID}
        assert {request.form["DurationSeconds"] for request in assumed} == {"3600"}

    async def test_threat_44_each_who_asks_has_a_session_of_his_own_name(
        self, door: Door, running: Running, era: str
    ) -> None:
        seen = {}
        for who in (f"carla-{era}", f"dora-{era}"):
            before = len(running.aws.requests)
            await asked(door, running, era, who, aws_account_id=PROD)
            seen[who] = {
                request.form["RoleSessionName"] for request in running.since(before) if request.form.get("RoleArn")
            }
        first, second = seen.values()
        assert len(first) == len(second) == 1
        assert first != second
        assert all(name.startswith("tollbook-") for names in seen.values() for name in names)

    async def test_threat_44_a_role_is_narrowed_to_what_is_read(self, door: Door, running: Running, era: str) -> None:
        await asked(door, running, era, f"emma-{era}", aws_account_id=PROD)
        policies = [json.loads(request.form["Policy"]) for request in running.aws.of("AssumeRole")]
        assert policies
        for policy in policies:
            allowed = json.dumps(policy["Statement"])
            assert '"*"' not in json.dumps([each["Action"] for each in policy["Statement"]])
            assert f":{PROD}:log-group:" in allowed or "bedrock:" in allowed

    @pytest.mark.parametrize("account", ["*", "1" * 11, f"{PROD}/x", f"arn:aws:iam::{STRANGER}:role/x", "١" * 12])
    async def test_threat_44_an_account_is_twelve_digits(
        self, door: Door, running: Running, era: str, account: str
    ) -> None:
        before = len(running.aws.requests)
        assert (await asked(door, running, era, aws_account_id=account))["isError"]
        assert running.since(before) == []

    def test_threat_44_names_that_cannot_be_a_sessions_are_hashed(self) -> None:
        assert session_name("ana@example.com") == "tollbook-ana@example.com"
        assert session_name('["https://issuer","client","ana"]').startswith("tollbook-sha256=")


class TestThreat46:
    """What a caller proves himself with goes no further."""

    async def test_threat_46_no_credential_of_a_caller_is_in_a_request_to_aws(
        self, door: Door, running: Running, era: str
    ) -> None:
        for account in (OWN, PROD):
            result = await asked(door, running, era, "finn", group_by="account", aws_account_id=account)
            assert accounts_in(result) == {account}
        sent = [request.everything for request in running.aws.requests]
        assert sent
        assert running.released.found_in(*sent) == []
        assert not [each for each in sent if b"earer" in each]

    async def test_threat_46_one_would_be_found(self, door: Door, running: Running, era: str) -> None:
        token = door.issuer.token(sub="gwen")
        running.released.token(token)
        assert running.released.found_in(f"x{token}y".encode())
