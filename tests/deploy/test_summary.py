"""A plan as it is printed."""

from typing import Final

import pytest

from tests.deploy.evaluation import IMAGE
from tests.deploy.plans import DOMAIN, ISSUER, POOL, STACK, UNKNOWN, carried_out, planned
from tollbook.deploy.plan.costs import UNKNOWN as NOT_PRICED
from tollbook.deploy.plan.costs import USE
from tollbook.deploy.plan.planning import Plan
from tollbook.deploy.plan.summary import WIDTH, lines

PLANS: Final = {
    "new": planned({}),
    "unknown": planned({"FunctionUrl": "yes", "AlarmEmail": "finops@example.com"}, UNKNOWN),
    "domain": planned({**ISSUER, **DOMAIN}, first_user=""),
    "nothing": planned({}, carried_out(planned({}))),
    "moved": planned(POOL, carried_out(planned({}))),
    "image": planned({"ImageUri": IMAGE.replace("0" * 64, "1" * 64)}, carried_out(planned({}))),
    "dear": planned({"MemorySize": "10240", "ProvisionedConcurrency": "1000"}),
}


def text(plan: Plan) -> str:
    return "\n".join(lines(plan))


def flat(plan: Plan) -> str:
    return " ".join(text(plan).split())


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_it_is_plain_text_of_a_hundred_columns(plan: Plan) -> None:
    printed = list(lines(plan))
    assert max(map(len, printed)) <= WIDTH == 100
    assert max(map(len, lines(planned({}), 80))) <= 80
    assert all(line == line.rstrip() for line in printed)
    assert all(line.isprintable() for line in printed)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_it_says_all_that_is_assumed_and_all_that_is_not_known(plan: Plan) -> None:
    for name, use in USE.items():
        assert (use.what in flat(plan)) == (bool(plan.parameters["BudgetSchedule"]) or not name.startswith("check"))
    for thing in NOT_PRICED:
        assert thing in flat(plan)
    assert "Free tiers are left out." in flat(plan)
    for note in plan.notes:
        assert note in flat(plan)
    assert f"{len(plan.permissions.actions)} actions" in flat(plan)


def test_a_new_stack_is_told_by_service() -> None:
    printed = list(lines(PLANS["new"]))
    assert printed[0] == f"{STACK} in eu-west-1, account 123456789012: a new stack"
    assert "What will be made" in printed
    assert "  DynamoDB         a table" in printed
    assert "  Secrets Manager  a secret" in printed


def test_a_change_is_told_with_what_it_was_and_what_people_notice() -> None:
    printed = list(lines(planned({"StageName": "prod", "MemorySize": "2048"}, carried_out(planned({})))))
    at = printed.index("  change  --memory: 1024 -> 2048")
    assert printed[at + 1 : at + 3] == [
        "  change  --stage-name: v1 -> prod",
        "          The URL changes: give clients the new one; all log in anew.",
    ]


def test_nothing_to_change_is_said_in_the_first_line() -> None:
    printed = list(lines(PLANS["nothing"]))
    assert printed[0].endswith(": nothing to change")
    assert "What will change" not in printed


def test_long_values_are_cut_and_an_image_is_told_by_its_digest() -> None:
    assert "  change  the image: …@sha256:000000000000… -> …@sha256:111111111111…" in list(lines(PLANS["image"]))
    long = planned({"CallbackUrls": f"https://a.example/{'x' * 90}"}, carried_out(planned({})))
    assert f"https://a.example/{'x' * 21}…" in flat(long)
    assert "x" * 22 not in flat(long)


def test_what_would_deceive_a_reader_is_shown_as_its_code() -> None:
    there = carried_out(planned({"ApiName": "a\x1b[2Jb"}))
    assert "--api-name: a<U+001B>[2Jb -> (not set)" in flat(planned({"ApiName": ""}, there))


def test_it_says_where_it_ends() -> None:
    assert "and the account's role for logs of API Gateway." in flat(PLANS["new"])
    silent = flat(planned({"AccessLogs": "no"}))
    assert f"It touches nothing but the stacks {STACK} and {STACK}-bootstrap." in silent


def test_where_no_image_is_made_no_repository_is_touched_or_paid_for() -> None:
    brought = flat(planned({}, builds=False))
    assert f"It touches nothing but the stack {STACK}, and the account's role" in brought
    assert "ECR" not in brought
    assert "images kept" not in brought
    assert "images kept" in flat(PLANS["new"])


def test_of_a_server_of_ones_own_nothing_of_bedrock_is_said() -> None:
    own = flat(planned({"App": "dice:server"}))
    assert "It serves dice:server in place of tollbook's own server." in own
    assert "Not in it: what your server itself asks of AWS and of others; data that leaves AWS" in own
    for word in ("Bedrock", "finops", "report", "sees", "S3   "):
        assert word not in own.replace("tollbook report", "")


def test_somebody_to_invite_is_something_to_do() -> None:
    there = carried_out(planned({}))
    assert ": nothing to change, and somebody to invite" in text(planned({}, there, first_user="cleo@example.com"))


def test_it_says_how_its_permissions_are_printed() -> None:
    assert "The same command with --permissions prints them as a policy." in flat(PLANS["new"])


def test_money_is_told_in_columns() -> None:
    (total,) = [line for line in lines(PLANS["dear"]) if line.startswith("  in all")]
    assert total.split()[2].count(",") == 1
    (title,) = [line for line in lines(PLANS["dear"]) if line.endswith("1,000,000 calls")]
    assert len(title) == len(total)
