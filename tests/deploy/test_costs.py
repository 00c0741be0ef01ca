"""What a deployment may cost."""

from decimal import Decimal
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.deploy.choices import CHECKED
from tests.deploy.plans import POOL, planned
from tollbook.deploy.plan.costs import CALLS, PRICES, checks_a_month

MONTH_S: Final = 730 * 3600


def bill(**asked: str) -> dict[str, tuple[Decimal, ...]]:
    return {each.service: each.dollars for each in planned(asked).costs.services}


def test_what_nobody_calls_costs_what_is_kept_for_it() -> None:
    idle = {service: dollars[0] for service, dollars in bill().items() if dollars[0]}
    assert idle == {
        "CloudWatch": 4 * PRICES["alarms"].usd,
        "Secrets Manager": PRICES["secrets"].usd,
        "ECR": Decimal("0.050"),
    }


def test_a_million_calls_cost_what_their_parts_cost_by_hand() -> None:
    # 1 GB: 3 s a call and 0.1 s for the other request, a start of 2 s in 20 calls; 2 requests.
    duration = Decimal(10**6) * (Decimal("3.1") + Decimal("0.1")) * PRICES["lambda_arm64"].usd
    assert bill()["Lambda"][2] == duration + 2 * PRICES["lambda_requests"].usd
    assert bill()["API Gateway"][2] == 2 * PRICES["gateway_requests"].usd == 7
    assert bill()["DynamoDB"][2] == 40 * PRICES["table_writes"].usd + 5 * PRICES["table_reads"].usd
    assert bill()["Cognito"][2] == 2000 * PRICES["users"].usd


@settings(deadline=None, max_examples=30)
@given(st.integers(512, 10_240), st.sampled_from(["arm64", "x86_64"]), st.integers(0, 5))
def test_more_of_anything_never_costs_less(memory: int, processor: str, ready: int) -> None:
    asked = {"MemorySize": str(memory), "Architecture": processor, "ProvisionedConcurrency": str(ready)}
    total = planned(asked).costs.total
    assert list(total) == sorted(total)
    assert planned({**asked, "MemorySize": "10240"}).costs.total >= total
    assert planned({**asked, "ProvisionedConcurrency": "6"}).costs.total[0] >= total[0]
    assert len(total) == len(CALLS)


def test_instances_that_are_kept_ready_cost_when_nobody_calls() -> None:
    assert bill(ProvisionedConcurrency="2")["Lambda"][0] == 2 * MONTH_S * PRICES["ready_arm64"].usd
    x86 = bill(ProvisionedConcurrency="2", Architecture="x86_64", MemorySize="2048")["Lambda"][0]
    assert x86 == 4 * MONTH_S * PRICES["ready_x86_64"].usd


def test_a_snapshot_costs_when_nobody_calls_and_its_starts_cost_when_somebody_does() -> None:
    kept = MONTH_S * PRICES["snapshot_kept"].usd
    assert bill(SnapStart="yes")["Lambda"][0] == kept
    called = 10**6 * Decimal("3.1") * PRICES["lambda_arm64"].usd + 2 * PRICES["lambda_requests"].usd
    assert bill(SnapStart="yes")["Lambda"][2] == kept + called + 50_000 * PRICES["snapshot_restored"].usd


def test_checks_of_budgets_cost_their_time_and_their_alarm() -> None:
    usual, checked = bill(), bill(**CHECKED)
    runs = Decimal(730) / 24
    each = 20 * PRICES["lambda_arm64"].usd + PRICES["lambda_requests"].usd / 10**6
    assert checked["Lambda"][0] - usual["Lambda"][0] == runs * each
    assert checked["CloudWatch"][0] - usual["CloudWatch"][0] == PRICES["alarms"].usd


@pytest.mark.parametrize(
    ("schedule", "runs"),
    [("", 0), ("rate(1 hour)", 730), ("rate(12 hours)", Decimal(730) / 12), ("cron(0 6 * * ? *)", 30)],
)
def test_a_rate_says_how_often_budgets_are_checked_and_of_others_it_is_assumed(schedule: str, runs: Decimal) -> None:
    assert checks_a_month(schedule) == runs


def test_images_cost_where_they_are_made() -> None:
    assert "ECR" not in {each.service for each in planned({}, builds=False).costs.services}


def test_a_server_of_ones_own_keeps_no_results_in_the_bucket() -> None:
    assert "S3" not in bill(App="my_server:app")


def test_an_authorizer_costs_its_requests_and_its_time() -> None:
    more = bill(AuthMethod="lambda")["Lambda"][2] - bill()["Lambda"][2]
    assert more == PRICES["lambda_requests"].usd + 10**6 * Decimal("0.1") * PRICES["lambda_arm64"].usd


def test_users_of_somebody_elses_pool_cost_nothing_here() -> None:
    assert "Cognito" not in bill(**POOL)
    assert "Cognito" in bill()


@pytest.mark.parametrize("name", PRICES)
def test_each_price_says_where_it_stands(name: str) -> None:
    assert PRICES[name].usd > 0
    assert PRICES[name].source.startswith("https://aws.amazon.com/")
    assert PRICES[name].unit


def test_bytes_cost_where_they_are_written_and_where_they_lie() -> None:
    # 4 KB of logs a call; 22 metrics; 4 alarms.
    logs = Decimal(4 * 1024 * 10**6) / 1024**3 * PRICES["log_gb"].usd
    assert bill()["CloudWatch"][2] == logs + 22 * PRICES["metrics"].usd + 4 * PRICES["alarms"].usd
    # 200 KB of results a call, for 2 days of 30; 4 writes and 10 reads of the bucket.
    lie = Decimal(200 * 1024 * 10**6) / 1024**3 * 2 / 30 * PRICES["bucket_gb"].usd
    asked = 4 * PRICES["bucket_writes"].usd + 10 * PRICES["bucket_reads"].usd
    assert round(bill()["S3"][2], 10) == round(lie + asked, 10)
