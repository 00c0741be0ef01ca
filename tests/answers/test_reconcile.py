"""An estimate beside a bill: that the two are added up alike, and which causes of a difference are told."""

from datetime import date, timedelta
from decimal import Decimal
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.answers.rows import BOOK, HAIKU, NOVA, SONNET, Calls, report, usage, window
from tollbook.core.errors import UsageError
from tollbook.spend.answers.reconcile import (
    RECONCILE_BY,
    Bill,
    Billed,
    Reconciliation,
    check_comparable,
    reconciliation_of,
)
from tollbook.spend.query import Filter, Query
from tollbook.spend.render.answers.reconcile import telling_of_reconcile
from tollbook.spend.report import report_of
from tollbook.spend.sight import Sight
from tollbook.spend.tally import Counted
from tollbook.spend.window import Window

MONDAY = date(2026, 11, 16)
TUESDAY = MONDAY + timedelta(days=1)
LATER = MONDAY + timedelta(days=30)
CLAUDE = "Claude Sonnet 4.5 (Amazon Bedrock Edition)"
WINDOW = window(MONDAY, TUESDAY)
MILLION = usage(1, 1_000_000)  # of Sonnet 4.5 in a US profile $3.30, of Nova Pro $0.80


def reconciled(calls: list[Calls], *lines: Billed, as_of: date = LATER, until: date | None = None) -> Reconciliation:
    bill = Bill(MONDAY, until or TUESDAY + timedelta(days=1), as_of, lines, ("111122223333",))
    return reconciliation_of(report(calls, WINDOW, RECONCILE_BY), bill)


def seen(found: Reconciliation) -> dict[str, Decimal | None]:
    return {cause.cause: cause.usd for cause in found.causes if cause.is_seen}


def possible(found: Reconciliation) -> set[str]:
    return {cause.cause for cause in found.causes if not cause.is_seen}


def test_both_are_told_by_day_and_by_service_and_models_of_the_marketplace_by_their_own() -> None:
    found = reconciled(
        [Calls(MONDAY, MILLION), Calls(TUESDAY, MILLION, model=NOVA)],
        Billed(MONDAY, CLAUDE, Decimal("3.30")),
        Billed(TUESDAY, "Amazon Bedrock", Decimal("0.80")),
        Billed(MONDAY, "Amazon Simple Storage Service", Decimal(99)),
    )
    assert [(day.estimate_usd, day.usage_usd) for day in found.days] == [
        (Decimal("3.3"), Decimal("3.3")),
        (Decimal("0.8"), Decimal("0.8")),
    ]
    assert {each.service: each.difference_usd for each in found.services} == {CLAUDE: 0, "Amazon Bedrock": 0}
    assert found.agrees
    assert found.causes == ()
    assert "agrees with the $4.10 that AWS billed for use" in telling_of_reconcile(found).lead


def test_what_is_taken_off_or_added_is_a_cause_of_its_own_and_no_difference_of_use() -> None:
    found = reconciled(
        [Calls(MONDAY, MILLION)],
        Billed(MONDAY, CLAUDE, Decimal("3.30")),
        Billed(MONDAY, CLAUDE, Decimal("-1.10"), "Credit"),
        Billed(MONDAY, CLAUDE, Decimal("0.30"), "Tax"),
    )
    assert (found.usage_usd, found.billed_usd, found.difference_usd) == (Decimal("3.3"), Decimal("2.5"), Decimal(0))
    assert seen(found) == {"adjustments": Decimal("-0.8")}
    assert telling_of_reconcile(found).sentences[0].startswith("-$0.80: charges that are not for use (Credit, Tax)")


def test_use_that_a_plan_covers_counts_at_its_own_price() -> None:
    found = reconciled(
        [Calls(MONDAY, MILLION)],
        Billed(MONDAY, CLAUDE, Decimal("3.30"), "SavingsPlanCoveredUsage"),
        Billed(MONDAY, CLAUDE, Decimal("-3.30"), "SavingsPlanNegation"),
    )
    assert found.agrees
    assert found.billed_usd == 0


def test_days_with_a_bill_and_without_a_call_say_that_logging_was_off() -> None:
    found = reconciled([Calls(TUESDAY, MILLION)], *(Billed(day, CLAUDE, Decimal("3.30")) for day in (MONDAY, TUESDAY)))
    assert seen(found) == {"days_without_logs": Decimal("3.3")}
    assert "+$3.30: billed on 1 day without a logged call" in telling_of_reconcile(found).sentences[0]
    assert possible(found) == {"not_logged", "other_regions", "other_features", "provisioned"}


def test_services_that_no_call_belongs_to_are_named() -> None:
    found = reconciled(
        [Calls(MONDAY, MILLION)],
        Billed(MONDAY, CLAUDE, Decimal("3.30")),
        Billed(MONDAY, "Amazon Bedrock AgentCore", Decimal("2.00")),
    )
    assert seen(found) == {"other_services": Decimal(2)}
    (agents,) = [each for each in found.services if "AgentCore" in each.service]
    assert (agents.estimate_usd, agents.difference_usd) == (None, None)


def test_young_days_are_not_settled_before_the_third_day() -> None:
    found = reconciled([], as_of=MONDAY + timedelta(days=3))
    assert [day.is_settled for day in found.days] == [True, False]
    assert "not_settled" in seen(found)


def test_unpriced_calls_provisioned_models_and_assumptions_are_told_as_seen() -> None:
    provisioned = "arn:aws:bedrock:us-east-1:111122223333:provisioned-model/abc123def456"
    found = reconciled([Calls(MONDAY, MILLION, model=provisioned)], Billed(MONDAY, "Amazon Bedrock", Decimal(40)))
    assert {"unpriced", "provisioned"} <= seen(found).keys()
    assert "provisioned" not in possible(found)


def test_where_more_was_estimated_than_billed_other_causes_are_possible() -> None:
    found = reconciled([Calls(MONDAY, MILLION, model=HAIKU)], Billed(MONDAY, "Amazon Bedrock", Decimal("0.50")))
    assert found.difference_usd < 0
    assert possible(found) == {"private_prices"}
    assert "less (120.0% of what was billed) than our estimate" in telling_of_reconcile(found).lead


def test_only_days_that_both_hold_are_compared() -> None:
    found = reconciled([Calls(MONDAY, MILLION), Calls(TUESDAY, MILLION)], until=TUESDAY)
    assert [day.day for day in found.days] == [MONDAY]
    assert found.estimate_usd == Decimal("3.3")
    assert sum((each.estimate_usd or Decimal(0)) for each in found.services) == Decimal("3.3")


def test_credits_that_are_booked_as_use_make_no_bill_agree_that_is_far_off() -> None:
    found = reconciled([], Billed(MONDAY, "Amazon Bedrock", Decimal(-100)))
    assert (found.difference_usd, found.agrees) == (Decimal(-100), False)
    assert reconciled([], Billed(MONDAY, "Amazon Bedrock", Decimal("-0.01"))).agrees


@pytest.mark.parametrize(("billed", "agrees"), [("3.33", True), ("3.34", False), ("3.27", True), ("3.26", False)])
def test_a_hundredth_of_what_was_billed_is_as_good_as_the_same(billed: str, agrees: bool) -> None:
    assert reconciled([Calls(MONDAY, MILLION)], Billed(MONDAY, CLAUDE, Decimal(billed))).agrees is agrees


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (Query(window(MONDAY, TUESDAY, "Europe/Berlin"), RECONCILE_BY), "Cost Explorer counts days of UTC"),
        (Query(WINDOW, RECONCILE_BY, Filter(model="claude")), "not told apart by model"),
        (Query(WINDOW, RECONCILE_BY, sight=Sight()), "The bill is everybody's"),
        (Query(Window(None, None, WINDOW.zone), RECONCILE_BY), "no day in common"),
    ],
)
def test_what_cannot_be_compared_is_refused(query: Query, said: str) -> None:
    answered = report_of(Counted(), query, RECONCILE_BY, BOOK, {})
    with pytest.raises(UsageError, match=said):
        reconciliation_of(answered, Bill(MONDAY, TUESDAY, LATER, ()))


def test_an_account_may_be_compared_alone() -> None:
    check_comparable("UTC", sees_all=True, filtered_by=("account",))


def test_names_of_a_bill_that_would_act_on_a_screen_are_made_harmless() -> None:
    found = reconciled([], Billed(MONDAY, "Bedrock \x1b[2J", Decimal(1)), Billed(MONDAY, "Bedrock", Decimal(1), "\x07"))
    told = str(msgspec.to_builtins(telling_of_reconcile(found)))
    assert "\\x1b" not in told
    assert "\\x07" not in told


@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_and_lines_changes_nothing(random: Random) -> None:
    calls = [Calls(day, usage(1, 333_333), model=model) for day in (MONDAY, TUESDAY) for model in (SONNET, NOVA)]
    lines = [
        Billed(day, service, Decimal("1.23"), kind)
        for day in (MONDAY, TUESDAY)
        for service in (CLAUDE, "Amazon Bedrock")
        for kind in ("Usage", "Tax", "Credit")
    ]
    usual = msgspec.to_builtins(reconciled(calls, *lines))
    random.shuffle(calls)
    random.shuffle(lines)
    assert msgspec.to_builtins(reconciled(calls, *lines)) == usual


amounts = st.decimals(min_value=-1000, max_value=1000, places=10)  # as many as Cost Explorer has
lines_of_bills = st.builds(
    Billed,
    st.sampled_from([MONDAY, TUESDAY]),
    st.sampled_from([CLAUDE, "Amazon Bedrock", "Amazon Bedrock AgentCore"]),
    amounts,
    st.sampled_from(["Usage", "Tax", "Credit"]),
)


# Their cost has more digits than a millionth of a dollar.
some_calls = st.builds(
    lambda day, tokens, model: Calls(day, usage(1, tokens), model=model),
    st.sampled_from([MONDAY, TUESDAY]),
    st.integers(0, 999),
    st.sampled_from([SONNET, HAIKU, NOVA]),
)


@given(st.lists(some_calls, max_size=9), st.lists(lines_of_bills, max_size=20))
def test_days_services_and_charges_each_add_up_to_bill_and_estimate(calls: list[Calls], lines: list[Billed]) -> None:
    found = reconciled(calls, *lines)
    rounding = Decimal("0.0000005")
    assert abs(found.billed_usd - sum(line.usd for line in lines)) <= rounding * len(lines)
    exact = sum((row.usd or Decimal(0) for row in report(calls, WINDOW, RECONCILE_BY).rows), Decimal(0))
    assert abs(found.estimate_usd - exact) <= rounding
    for parts in (found.days, found.services):
        assert sum(each.billed_usd for each in parts) == found.billed_usd
        assert sum(each.usage_usd for each in parts) == found.usage_usd
        assert sum(each.estimate_usd or Decimal(0) for each in parts) == found.estimate_usd
    assert found.usage_usd + sum(each.usd for each in found.adjustments) == found.billed_usd
    assert sum(day.difference_usd for day in found.days) == found.difference_usd == found.usage_usd - found.estimate_usd
    assert all(day.difference_usd == day.usage_usd - day.estimate_usd for day in found.days)
