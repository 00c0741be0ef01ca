"""What AWS billed, read from Cost Explorer as moto plays it: whatever a test puts there.

moto charges nothing, and answers with results that it was given before:
https://docs.getmoto.org/en/latest/docs/services/ce.html
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import boto3
import botocore.session
import httpx2
import pytest
from mcp import Client

from tests.fakes.aws_calls import AwsCalls
from tests.fakes.moto import go_to_moto, moto_server
from tests.fakes.recorder import Recorder, recorder
from tests.logs import Ask, call, write
from tollbook.app.aws_bill import AwsBill, bill_from_aws
from tollbook.app.aws_settings import AWS_SETTINGS, aws_settings
from tollbook.app.questions import FileAsker
from tollbook.app.server import server
from tollbook.app.settings import read_settings
from tollbook.core.errors import SourceError, TollbookError, UsageError
from tollbook.core.settings import read_values
from tollbook.hosting.stores.memory import MemoryStore
from tollbook.sources.aws.reach.policy import policy_for
from tollbook.sources.reading import Watch
from tollbook.spend.answers.reconcile import Bill, Billed

pytestmark = pytest.mark.anyio

OWN: Final = "123456789012"  # moto's
OTHER: Final = "999988887777"
MONDAY, TUESDAY = date(2026, 11, 16), date(2026, 11, 17)
NOW: Final = datetime(2026, 11, 20, 23, tzinfo=UTC)
ROLES: Final = json.dumps({OTHER: {"name": "growth", "role": f"arn:aws:iam::{OTHER}:role/Reader"}})


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("moto") / "moto.log") as url:
        yield url


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Recorder]:
    """moto behind a door that writes down what is asked."""
    httpx2.post(f"{moto}/moto-api/reset").raise_for_status()
    with recorder(moto) as door:
        go_to_moto("COST_EXPLORER", door.url, monkeypatch, tmp_path)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto)
        yield door


def period(day: date, *groups: tuple[str, str, str], unit: str = "USD") -> Mapping[str, Any]:
    return {
        "TimePeriod": {"Start": str(day), "End": str(day.replace(day=day.day + 1))},
        "Total": {},
        "Groups": [
            {"Keys": [service, kind], "Metrics": {"UnblendedCost": {"Amount": amount, "Unit": unit}}}
            for service, kind, amount in groups
        ],
        "Estimated": True,
    }


def answers(moto: str, *pages: Mapping[str, Any]) -> None:
    """What Cost Explorer is to answer, page by page."""
    url = f"{moto}/moto-api/static/ce/cost-and-usage-results"
    httpx2.post(url, json={"results": pages}).raise_for_status()


def billed(account: str = "", environment: Mapping[str, str] | None = None) -> Bill:
    return bill_from_aws(
        MONDAY,
        date(2026, 11, 18),
        given={},
        account=account,
        environment={"AWS_REGION": "eu-west-1", **(environment or {})},
        clock=lambda: NOW,
    )


def test_what_is_billed_under_bedrocks_name_is_read_by_day_service_and_kind_of_charge(moto: str, aws: Recorder) -> None:
    claude = "Claude Sonnet 4.5 (Amazon Bedrock Edition)"
    services = [(claude, "Usage", "3.3000000001"), ("Amazon Bedrock", "Tax", "0.5"), ("AWS Lambda", "Usage", "7")]
    answers(moto, {"ResultsByTime": [period(MONDAY, *services), period(TUESDAY)]})
    bill = billed()
    assert bill.lines == (
        Billed(MONDAY, claude, Decimal("3.3000000001")),
        Billed(MONDAY, "Amazon Bedrock", Decimal("0.5"), "Tax"),
    )
    assert (bill.since, bill.until, bill.as_of) == (MONDAY, date(2026, 11, 18), NOW.date())
    assert (bill.accounts, bill.requests) == ((OWN,), 1)


def test_the_endpoint_that_answers_for_all_regions_is_asked_for_whole_days_of_the_own_account(
    moto: str, aws: Recorder
) -> None:
    billed()
    (request,) = aws.of("GetCostAndUsage")
    assert request.region == "us-east-1"
    assert json.loads(request.body) == {
        "TimePeriod": {"Start": "2026-11-16", "End": "2026-11-18"},
        "Granularity": "DAILY",
        "Metrics": ["UnblendedCost"],
        "GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}, {"Type": "DIMENSION", "Key": "RECORD_TYPE"}],
        "Filter": {"Dimensions": {"Key": "LINKED_ACCOUNT", "Values": [OWN]}},
    }


def test_it_asks_for_what_the_policy_allows_and_for_all_of_it(aws: Recorder) -> None:
    environment = {"AWS_REGION": "eu-west-1"}
    values, _ = read_values(AWS_SETTINGS, environment, {})
    session, calls = botocore.session.Session(), AwsCalls(OWN)
    calls.watch(boto3.session.Session(botocore_session=session))
    AwsBill(aws_settings(values, environment), session=session).read(MONDAY, TUESDAY, "", Watch())
    policy = policy_for(bill=True)
    assert calls.beyond(policy) == []
    assert calls.idle(policy) == frozenset()


def test_further_pages_are_asked_for_and_counted(moto: str, aws: Recorder) -> None:
    first = {"ResultsByTime": [period(MONDAY, ("Amazon Bedrock", "Usage", "1"))], "NextPageToken": "second"}
    answers(moto, first, {"ResultsByTime": [period(TUESDAY, ("Amazon Bedrock", "Usage", "2"))]})
    bill = billed()
    assert [str(line.usd) for line in bill.lines] == ["1", "2"]
    assert bill.requests == 2
    assert json.loads(aws.of("GetCostAndUsage")[1].body)["NextPageToken"] == "second"


def test_accounts_on_the_list_are_asked_for_too_and_one_alone_if_it_is_named(moto: str, aws: Recorder) -> None:
    listed = {"TOLLBOOK_ACCOUNTS": ROLES}
    assert billed(environment=listed).accounts == (OWN, OTHER)
    assert billed(OTHER, listed).accounts == (OTHER,)
    with pytest.raises(UsageError, match="Account 111122223333 is not read here"):
        billed("111122223333", listed)


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        (
            "AccessDeniedException",
            f"User: arn:aws:iam::{OWN}:user/a is not authorized to perform: ce:GetCostAndUsage on resource: *",
            "lacks ce:GetCostAndUsage",
        ),
        ("AccessDeniedException", "User not enabled for cost explorer access", "Cost Explorer is not switched on"),
        ("DataUnavailableException", "no data", "Cost Explorer has no data for these days"),
        ("BillExpirationException", "expired", "Cost Explorer has no data for these days"),
        ("RequestChangedException", "changed", "ask again"),
        ("ValidationException", "Start date is too old", "Start date is too old"),
    ],
)
def test_what_cost_explorer_refuses_is_said_in_a_sentence(aws: Recorder, code: str, message: str, said: str) -> None:
    aws.refuse_as_json("GetCostAndUsage", 400, code, message)
    with pytest.raises(SourceError, match=said) as fault:
        billed()
    assert str(fault.value).endswith((".", ")."))


def test_a_bill_in_another_currency_is_refused(moto: str, aws: Recorder) -> None:
    answers(moto, {"ResultsByTime": [period(MONDAY, ("Amazon Bedrock", "Usage", "1"), unit="CNY")]})
    with pytest.raises(SourceError, match="another currency than US dollars"):
        billed()


@pytest.mark.parametrize("amount", ["", "NaN", "a lot"])
def test_an_answer_of_another_form_is_no_bill(moto: str, aws: Recorder, amount: str) -> None:
    answers(moto, {"ResultsByTime": [period(MONDAY, ("Amazon Bedrock", "Usage", amount))]})
    with pytest.raises(SourceError, match="not of the form that is known"):
        billed()


def test_where_a_partition_has_no_cost_explorer_that_is_said(aws: Recorder) -> None:
    with pytest.raises(UsageError, match="does not answer in the partition aws-us-gov"):
        billed(environment={"AWS_REGION": "us-gov-west-1"})


async def test_a_server_gets_the_same_bill(moto: str, aws: Recorder) -> None:
    answers(moto, {"ResultsByTime": [period(MONDAY, ("Amazon Bedrock", "Usage", "1.25"))]})
    environment = {"AWS_REGION": "eu-west-1"}
    values, _ = read_values(AWS_SETTINGS, environment, {})
    bill = await AwsBill(aws_settings(values, environment), clock=lambda: NOW).bill(MONDAY, TUESDAY, "")
    assert bill.lines == (Billed(MONDAY, "Amazon Bedrock", Decimal("1.25")),)


def test_a_setting_that_makes_no_sense_is_told_before_anything_is_asked(aws: Recorder) -> None:
    with pytest.raises(TollbookError, match="TOLLBOOK_LOOK_UP"):
        billed(environment={"TOLLBOOK_LOOK_UP": "everything"})
    assert aws.requests == []


def test_the_command_puts_the_estimate_for_a_file_beside_the_bill_of_the_same_days(
    ask: Ask, moto: str, aws: Recorder, tmp_path: Path
) -> None:
    log = write(tmp_path / "log.jsonl", call(timestamp=f"{MONDAY}T09:00:00Z"), call(timestamp=f"{TUESDAY}T09:00:00Z"))
    answers(moto, {"ResultsByTime": [period(MONDAY, ("Amazon Bedrock", "Usage", "0.01")), period(TUESDAY)]})
    words = ("reconcile", log, "--since", str(MONDAY), "--until", str(TUESDAY))
    assert ask(*words).code == 1
    assert aws.of("GetCostAndUsage") == []
    found = ask(*words, "--yes", "--format", "json").json
    assert found["accounts"] == [OWN]
    assert [(day["day"], day["billed_usd"]) for day in found["days"]] == [
        (str(MONDAY), "0.010000"),
        (str(TUESDAY), "0.000000"),
    ]
    assert Decimal(found["estimate_usd"]) > 0
    (request,) = aws.of("GetCostAndUsage")
    assert json.loads(request.body)["TimePeriod"] == {"Start": "2026-11-16", "End": "2026-11-18"}
    assert "our estimate beside AWS's bill" in ask(*words, "--yes").out
    assert f"There are no calls with account {OWN} in these logs" in ask(*words, "--yes", "--account", OWN).err


async def _tools(environment: Mapping[str, str]) -> set[str]:
    settings, store = read_settings(environment, {}), MemoryStore(lambda: NOW.timestamp())
    async with Client(server(settings, FileAsker(()), store)) as client:
        return {tool.name for tool in (await client.list_tools()).tools}


async def test_a_server_compares_with_the_bill_only_where_it_is_told_to_look_it_up() -> None:
    usual = await _tools({})
    assert "compare_with_aws_bill" not in usual
    assert await _tools({"TOLLBOOK_LOOK_UP": "names,metrics,bill"}) == usual | {"compare_with_aws_bill"}


async def test_a_server_answers_from_the_bill_of_its_account(moto: str, aws: Recorder, tmp_path: Path) -> None:
    answers(moto, {"ResultsByTime": [period(MONDAY, ("Amazon Bedrock", "Usage", "1.25"))]})
    log = tmp_path / "log.jsonl"
    record = {
        "timestamp": "2026-11-16T09:00:00Z",
        "modelId": "us.amazon.nova-pro-v1:0",
        "region": "us-east-1",
        "operation": "Converse",
        "requestId": "one",
        "input": {"inputTokenCount": 1_000_000},
        "output": {"outputTokenCount": 0},
    }
    log.write_text(json.dumps(record) + "\n", encoding="utf-8")
    said = {"TOLLBOOK_LOOK_UP": "bill", "TOLLBOOK_NOW": "2026-11-17T12:00:00Z", "AWS_REGION": "eu-west-1"}
    settings, store = read_settings(said, {}), MemoryStore(lambda: NOW.timestamp())
    async with Client(server(settings, FileAsker((str(log),)), store)) as client:
        answer = await client.call_tool("compare_with_aws_bill", {"days": 2})
    assert not answer.is_error, answer.content
    assert answer.structured_content is not None
    days = {day["day"]: day for day in answer.structured_content["days"]}
    assert Decimal(days["2026-11-16"]["usage_usd"]) == Decimal("1.25")
    assert Decimal(days["2026-11-16"]["estimate_usd"]) == Decimal("0.8")
