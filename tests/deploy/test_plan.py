"""What a deployment comes to: what is decided, what is refused, what is said to change."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.deploy.choices import CHECKED
from tests.deploy.evaluation import ACCOUNT, IMAGE, REGION, Made
from tests.deploy.plans import (
    CERTIFICATE,
    DOMAIN,
    ISSUER,
    NOTHING,
    POOL,
    STACK,
    UNKNOWN,
    carried_out,
    planned,
    statements,
)
from tollbook.app.deployed import statements_for, with_files
from tollbook.core.errors import UsageError
from tollbook.deploy.found import Found, Stack
from tollbook.deploy.plan.document import defaults, hash_in
from tollbook.deploy.plan.notes import USUAL
from tollbook.deploy.plan.options import OPTIONS
from tollbook.deploy.plan.planning import Change, Plan, Wanted, plan
from tollbook.deploy.template import template
from tollbook.sources import named

URL: Final = "https://abc.lambda-url.eu-west-1.on.aws/"
SOME: Final = {
    "FunctionName": ["ours"],
    "RoleArn": [f"arn:aws:iam::{ACCOUNT}:role/ours"],
    "App": ["my_server:app"],
    "Architecture": ["x86_64"],
    "MemorySize": ["2048", "512"],
    "Timeout": ["60"],
    "SnapStart": ["yes"],
    "LogRetentionDays": ["7"],
    "ApiName": ["My API"],
    "StageName": ["prod"],
    "ThrottleRate": ["10"],
    "ThrottleBurst": ["20"],
    "AccessLogs": ["no"],
    "FunctionUrl": ["yes"],
    "AuthMethod": ["lambda"],
    "AuthorizerName": ["asks"],
    "CallbackUrls": ["https://a.example/callback"],
    "AlarmTopicArn": [f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"],
    "AlarmEmail": ["finops@example.com"],
    "AlarmLatencyMs": ["1000"],
    "AlarmScanUsd": ["2.5"],
    "SeesAll": ["group:leads"],
    "OwnCalls": ["user/{username}"],
    "TollbookSource": ["cloudwatch:/ours", "s3://our-logs/bedrock"],
    "CallLimitSeconds": ["60"],
    "LogLevel": ["debug"],
}
"""Parameters that go together in any choice."""
some_given = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in SOME.items()})


def refusal(given: Mapping[str, str], found: Found = NOTHING, **wanted: Any) -> tuple[str, ...]:
    with pytest.raises(UsageError) as caught:
        planned(given, found, **wanted)
    assert caught.value.message == "This cannot be deployed:"
    return caught.value.more


def flags_of(problems: tuple[str, ...]) -> list[str]:
    return [problem.partition(":")[0] for problem in problems]


def effects(changes: tuple[Change, ...]) -> dict[str, str]:
    return {change.what: change.effect for change in changes}


class TestAgain:
    @settings(deadline=None, max_examples=25)
    @given(some_given)
    def test_planning_what_was_just_carried_out_changes_nothing(self, asked: dict[str, str]) -> None:
        first = planned(asked)
        again = planned({}, carried_out(first))
        assert again.changes == ()
        assert (again.template, again.parameters) == (first.template, first.parameters)

    @settings(deadline=None, max_examples=25)
    @given(some_given, some_given)
    def test_saying_what_is_so_already_changes_nothing(self, asked: dict[str, str], others: dict[str, str]) -> None:
        first = planned({**asked, **others})
        assert planned(others, carried_out(first)).changes == ()

    @settings(deadline=None, max_examples=25)
    @given(some_given, some_given)
    def test_what_is_asked_for_goes_before_what_is_there_and_the_rest_stays(
        self, before: dict[str, str], asked: dict[str, str]
    ) -> None:
        there = carried_out(planned(before))
        after = planned(asked, there)
        assert {name: after.parameters[name] for name in asked} == asked
        untouched = set(before) - set(asked)
        assert {name: after.parameters[name] for name in untouched} == {name: before[name] for name in untouched}

    @settings(deadline=None, max_examples=15)
    @given(some_given)
    def test_the_hash_is_another_just_when_something_is(self, asked: dict[str, str]) -> None:
        plain, other = planned({}), planned(asked)
        is_other = plain.parameters != other.parameters
        assert (plain.template != other.template) == is_other

    def test_the_hash_stands_where_snapshots_are(self) -> None:
        (digits,) = set(re.findall(r"(?<=ServerVersion)[0-9a-f]{10}(?=:)", planned({}).template))
        assert f"  ApiDeployment{digits}:" in planned({}).template
        assert f"content-{digits}" in planned({}).template


@pytest.mark.parametrize("option", [each for each in OPTIONS if each.parameter in SOME], ids=lambda each: each.name)
def test_each_option_has_its_effect_and_is_shown(option: Any) -> None:
    first = planned({})
    (value, *_) = SOME[option.parameter]
    after = planned({option.parameter: value}, carried_out(first))
    assert after.parameters[option.parameter] == value
    (change,) = [each for each in after.changes if each.what == option.setting.flag]
    assert (change.kind, change.before, change.after) == ("change", first.parameters[option.parameter], value)


class TestANewStack:
    def test_everything_has_a_value_and_what_is_not_said_is_the_templates_default(self) -> None:
        made = planned({"MemorySize": "2048"})
        usual = {name: default or "" for name, default in defaults(template()).items()}
        assert made.parameters == usual | {
            "ImageUri": IMAGE,
            "MemorySize": "2048",
            "ApiLogRole": "yes",
            "LoginPrefix": f"{STACK}-{ACCOUNT}",
            "SeesAll": "group:finops",
            "OwnCalls": "role/AWSReservedSSO_*/{username}",
        }
        assert made.is_new

    def test_what_will_be_made_is_said_by_service(self) -> None:
        said = dict(change.what.split(": ") for change in planned({}).changes)
        assert said["ECR"] == f"a repository for the image, in the stack {STACK}-bootstrap"
        assert said["DynamoDB"] == "a table"
        assert said["CloudWatch"] == "4 alarms"
        assert said["Lambda"] == "a function, a version, an alias, a permission"
        assert {change.kind for change in planned({}).changes} == {"make"}

    def test_what_is_made_is_what_cloudformation_makes_of_it(self) -> None:
        for asked in ({}, {"ApiKeys": "yes"}, POOL, {**ISSUER, **DOMAIN}, {"FunctionUrl": "yes", "AccessLogs": "no"}):
            done = planned(asked)
            made = Made(done.template, {}, **done.parameters).resources
            assert sorted(done.resources.values()) == sorted(each["Type"] for each in made.values())

    def test_nothing_is_known_without_credentials_and_that_is_said(self) -> None:
        done = planned({}, UNKNOWN)
        assert done.parameters["LoginPrefix"] == f"{STACK}-account"
        assert any(note.startswith("There were no credentials") for note in done.notes)
        assert not done.is_known

    def test_an_image_that_is_made_later_may_be_missing_now(self) -> None:
        done = plan(Wanted(stack=STACK), NOTHING, statements)
        assert done.parameters["ImageUri"] == ""
        assert "The image is made of this installation, unless the repository has that very one." in done.notes

    def test_the_repository_is_made_once_and_only_for_an_image_that_is_built(self) -> None:
        assert not any("ECR" in change.what for change in planned({}, builds=False).changes)
        assert not any("ECR" in change.what for change in planned({}, carried_out(planned({}))).changes)

    @pytest.mark.parametrize(
        ("stack", "prefix"),
        [
            ("Books", f"books-{ACCOUNT}"),
            ("aws-costs", f"costs-{ACCOUNT}"),
            ("my-amazon-cognito-books", f"my-books-{ACCOUNT}"),
            ("my-aws-costs", f"my-costs-{ACCOUNT}"),
            ("aws", ACCOUNT),
            ("b" * 60, f"{'b' * 50}-{ACCOUNT}"),
        ],
    )
    def test_the_login_pages_are_called_by_the_stack_as_far_as_cognito_allows(self, stack: str, prefix: str) -> None:
        done = plan(Wanted(stack=stack, given={"ImageUri": IMAGE}), NOTHING, statements)
        assert done.parameters["LoginPrefix"] == prefix
        (option,) = [each for each in OPTIONS if each.parameter == "LoginPrefix"]
        assert option.setting.read(prefix) == prefix

    def test_the_login_pages_of_a_pool_stay_where_they_are(self) -> None:
        there = carried_out(planned({"LoginPrefix": "our-books"}))
        with pytest.raises(UsageError, match=r"--login-prefix: .* Leave it at 'our-books'"):
            planned({"LoginPrefix": "our-tomes"}, there)
        assert planned({"LoginPrefix": "our-books"}, there).parameters["LoginPrefix"] == "our-books"
        assert planned({**POOL, "LoginPrefix": ""}, there).parameters["OwnPool"] == "no"


class TestWhoAsksAtTheGateway:
    @pytest.mark.parametrize(
        ("asked", "method", "why"),
        [
            ({}, "oauth", "Cognito's authorizer asks"),
            (POOL, "oauth", "Cognito's authorizer asks"),
            (ISSUER, "lambda", "since Cognito's cannot: it accepts tokens of a Cognito user pool alone"),
            ({"ApiKeys": "yes"}, "lambda", "since Cognito's cannot: it knows no API keys"),
            ({"OauthClientsWithoutAud": "a,b:noscope"}, "lambda", "those of ':noscope' clients have none"),
            ({"OauthClientsWithoutAud": "a,b"}, "oauth", "Cognito's authorizer asks"),
            ({"AuthMethod": "lambda"}, "lambda", "as was said"),
        ],
    )
    def test_it_is_chosen_by_what_must_get_in_and_the_plan_says_why(
        self, asked: dict[str, str], method: str, why: str
    ) -> None:
        done = planned(asked)
        assert done.parameters["AuthMethod"] == method
        assert any(note.startswith("At the gateway ") and why in note for note in done.notes)

    @pytest.mark.parametrize("asked", [ISSUER, {"ApiKeys": "yes"}, {"OauthClientsWithoutAud": "b:noscope"}])
    def test_oauth_is_refused_where_it_would_keep_somebody_out(self, asked: dict[str, str]) -> None:
        (problem,) = refusal({**asked, "AuthMethod": "oauth"})
        assert problem.startswith("--auth-method: oauth puts Cognito's authorizer at the gateway, and it ")
        assert problem.endswith(". Say lambda.")

    def test_a_stack_changes_over_when_it_must_and_stays_when_it_need_not(self) -> None:
        there = carried_out(planned({}))
        over = planned({"ApiKeys": "yes"}, there)
        assert over.parameters["AuthMethod"] == "lambda"
        made = {(change.kind, change.what) for change in over.changes}
        assert {
            ("make", "an authorizer of API Gateway (LambdaAuthorizer)"),
            ("remove", "an authorizer of API Gateway (CognitoAuthorizer)"),
        } <= made
        back = planned({"ApiKeys": "no"}, carried_out(over))
        assert back.parameters["AuthMethod"] == "oauth"
        assert any("(oauth), since nothing keeps it from that any longer;" in note for note in back.notes)
        stays = planned({"MemorySize": "2048"}, carried_out(planned({"AuthMethod": "lambda"})))
        assert stays.parameters["AuthMethod"] == "lambda"
        assert any("(lambda), as before;" in note for note in stays.notes)
        for method in ("oauth", ""):
            after = planned({"AuthMethod": method, "ApiKeys": "no"}, carried_out(over))
            assert after.parameters["AuthMethod"] == "oauth"


class TestWhoseUsers:
    def test_of_a_pool_that_is_brought_nobody_is_guessed_to_see_anything(self) -> None:
        problems = refusal({name: value for name, value in POOL.items() if name != "OwnCalls"})
        assert flags_of(problems) == ["--sees-all, --own-calls"]

    def test_the_apps_of_a_pool_that_is_brought_must_be_named(self) -> None:
        problems = refusal({name: value for name, value in POOL.items() if name != "CognitoAllowedClientIds"})
        assert flags_of(problems) == ["--cognito-client-ids"]

    def test_what_was_guessed_for_an_own_pool_is_forgotten_with_it(self) -> None:
        there = carried_out(planned({}))
        assert flags_of(refusal({name: POOL[name] for name in list(POOL)[:2]}, there)) == ["--sees-all, --own-calls"]
        moved = planned(POOL, there)
        assert (moved.parameters["OwnPool"], moved.parameters["SeesAll"]) == ("no", "")
        assert effects(moved.changes)["--cognito-user-pool-id"] == "Logins of before count no longer: all log in anew."
        stays = "The stack lets it go; it stays as it is until 'tollbook destroy'."
        assert effects(moved.changes)["a user pool of Cognito (UserPool)"] == stays

    def test_what_is_said_with_the_change_counts(self) -> None:
        after = planned({"CognitoUserPoolId": "", "CognitoAllowedClientIds": "another"}, carried_out(planned(POOL)))
        assert after.parameters["CognitoAllowedClientIds"] == "another"

    def test_what_was_said_for_an_own_pool_stays(self) -> None:
        there = carried_out(planned({"SeesAll": "group:leads"}))
        assert planned({name: POOL[name] for name in list(POOL)[:2]}, there).parameters["SeesAll"] == "group:leads"

    def test_a_pool_of_ones_own_takes_the_place_of_one_that_was_brought(self) -> None:
        there = carried_out(planned({**POOL, "CognitoDomain": "their-login"}))
        after = planned({"CognitoUserPoolId": ""}, there)
        assert after.parameters["OwnPool"] == "yes"
        assert after.parameters["CognitoAllowedClientIds"] == after.parameters["CognitoDomain"] == ""
        assert after.parameters["LoginPrefix"] == f"{STACK}-{ACCOUNT}"

    def test_an_issuer_takes_the_place_of_a_pool_and_a_pool_that_of_an_issuer(self) -> None:
        issuer = planned(ISSUER, carried_out(planned(POOL)))
        assert issuer.parameters["CognitoUserPoolId"] == issuer.parameters["CognitoAllowedClientIds"] == ""
        pool = planned(POOL, carried_out(planned({**ISSUER, "OauthJwksUrl": "https://login.example.com/keys"})))
        assert pool.parameters["OauthIssuer"] == pool.parameters["OauthJwksUrl"] == ""
        both = planned(
            {**POOL, "OauthIssuer": "https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI"}
        )
        assert both.parameters["CognitoUserPoolId"] == POOL["CognitoUserPoolId"]

    def test_who_sees_what_of_an_own_pool_is_said_in_the_plan(self) -> None:
        assert (
            "Who sees what: whoever is of the group finops sees all calls; everybody else sees those of "
            "role/AWSReservedSSO_*/{username}."
        ) in planned({}).notes
        assert any("cleo@example.com is invited" in note for note in planned({}, first_user="cleo@example.com").notes)


class TestWhatToKnow:
    def test_that_everyone_sees_everything_is_said_first(self) -> None:
        said = "Everyone who can log in sees every call, whoever made it (--sees-all anyone)."
        assert planned({"SeesAll": "anyone"}).notes[0] == said
        assert planned({**ISSUER, "SeesAll": "group:a,anyone"}).notes[0] == said

    @pytest.mark.parametrize(
        ("sight", "said"),
        [
            (
                {"SeesAll": "group:a,scope:b"},
                "whoever is of the group a or scope:b sees all calls; everybody else sees none.",
            ),
            ({"OwnCalls": "user/{sub},tag:x={sub}"}, "everybody sees those of user/{sub} and tag:x={sub}."),
        ],
    )
    def test_who_sees_what_is_always_said(self, sight: dict[str, str], said: str) -> None:
        for issuer in ({}, {"OauthIssuer": ISSUER["OauthIssuer"]}):
            assert planned({**issuer, **sight}).notes[0] == f"Who sees what: {said}"

    def test_who_sees_his_teams_is_said(self) -> None:
        notes = planned({"SeesTeam": "anyone", "TeamCalls": "tag:team={team}"}).notes
        assert "Of a team's calls, which are tag:team={team}, everyone sees those of his own team." in notes

    def test_a_group_that_an_own_pool_does_not_have_must_be_made(self) -> None:
        there = carried_out(planned({**POOL, "OwnCalls": "", "SeesAll": "group:leads"}))
        back = planned({"CognitoUserPoolId": ""}, there)
        missing = "The pool has the group finops alone: make leads in it yourself, and put people there."
        assert f"{missing} Until then nobody sees any call." in back.notes
        assert missing in planned({"SeesAll": "group:leads", "OwnCalls": "user/{username}"}).notes
        for others in ({}, {"SeesAll": "group:finops"}, {**POOL, "SeesAll": "group:leads"}):
            assert not any("put people there" in note for note in planned(others).notes)

    def test_what_the_function_may_do_is_said(self) -> None:
        usual = planned({}).notes
        assert (
            "The function's role may use the stack's own table, bucket and log, and what it reads; nothing else."
            in usual
        )
        assert f"It reads {USUAL}, in {REGION}; it asks Bedrock and CloudWatch for names and metrics." in usual
        role, policy = f"arn:aws:iam::{ACCOUNT}:role/reader", "arn:aws:iam::aws:policy/One"
        accounts = {
            "TollbookAccounts": '{"111122223333":{"role":"arn:aws:iam::111122223333:role/r"},"222233334444":"oam"}'
        }
        notes = planned({**accounts, "BedrockRoleArn": role, "PolicyArns": policy, "TollbookLookUp": "none"}).notes
        assert any(note.endswith(f"nothing else, and has the policies {policy}.") for note in notes)
        assert f"It reads {USUAL}, in {REGION}, as {role}, which must let it." in notes
        assert "For other accounts it assumes arn:aws:iam::111122223333:role/r: those must let it." in notes
        brought = planned({"RoleArn": role}).notes
        assert f"The function runs as {role}, which stays as it is: see that it may do what is needed." in brought

    def test_what_it_reads_where_nothing_is_said_is_the_servers_own_default(self) -> None:
        assert named.USUAL == USUAL

    def test_of_athena_it_is_said_that_the_role_gets_nothing(self) -> None:
        athena = {"TollbookSource": "athena:logs.bedrock"}

        def is_said(**more: str) -> bool:
            return any(
                note.startswith("Its role gets nothing for Athena") for note in planned({**athena, **more}).notes
            )

        assert is_said()
        assert not any("what it reads" in note for note in planned(athena).notes)
        assert not is_said(PolicyArns="arn:aws:iam::aws:policy/One")
        assert not is_said(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/ours")

    def test_what_comes_with_a_snapshot_and_with_a_function_url_is_said(self) -> None:
        notes = planned({"SnapStart": "yes", "FunctionUrl": "yes", "MemorySize": "2048"}).notes
        assert any(
            note.startswith("The snapshot costs about 7.91 dollars a month while nobody calls.") for note in notes
        )
        assert any(note.startswith("Before a function URL stand neither") for note in notes)
        assert not any("snapshot" in note or "function URL" in note for note in planned({}).notes)

    def test_clients_beside_that_of_an_own_pool_are_named(self) -> None:
        (note,) = [each for each in planned({"CognitoAllowedClientIds": "a,b"}).notes if "app clients" in each]
        assert note == "Tokens of the app clients a and b are accepted too, beside those of the client that is made."

    def test_the_pools_own_name_as_issuer_is_explained(self) -> None:
        issuer = f"https://issuer-cognito-idp.{REGION}.amazonaws.com/{POOL['CognitoUserPoolId']}"
        note = f"Tokens count if their issuer is {issuer}, as the pool may write itself."
        assert note in planned({**POOL, "OauthIssuer": issuer}).notes
        after = planned({"OauthIssuer": issuer}, carried_out(planned(POOL)))
        assert after.parameters["CognitoUserPoolId"] == POOL["CognitoUserPoolId"]

    def test_when_budgets_are_checked_and_who_is_told_is_said(self) -> None:
        notes = planned({**CHECKED, "BudgetEmail": "a@example.com"}).notes
        assert any(note.startswith("Budgets are checked by rate(1 day), in UTC.") for note in notes)
        assert "a@example.com gets a mail of SNS, and must confirm it before budgets are told." in notes
        brought = planned({**CHECKED, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/ours"}).notes
        assert any("see that the role of --role-arn may do sns:Publish on it" in note for note in brought)
        assert not any("Budgets are checked" in note for note in planned({}).notes)

    def test_who_is_told_of_budgets_goes_with_their_check(self) -> None:
        there = carried_out(planned({**CHECKED, "BudgetEmail": "a@example.com"}))
        after = planned({"BudgetSchedule": ""}, there)
        assert after.parameters["BudgetEmail"] == ""
        assert after.parameters["TollbookBudgets"] == CHECKED["TollbookBudgets"]
        assert not any(name.startswith("Budget") for name in after.resources)

    def test_whom_it_asks_beside_the_logs_is_said(self) -> None:
        def asks(what: str) -> str:
            (note,) = [note for note in planned({"TollbookLookUp": what}).notes if note.startswith("It reads ")]
            return note.partition(REGION)[2]

        assert asks("none") == "."
        assert asks("bill") == "; it asks Cost Explorer for the bill, at $0.01 a request for the bill."
        assert asks("names,metrics,bill").startswith("; it asks Bedrock, CloudWatch and Cost Explorer for names, ")

    def test_both_who_are_told_of_alarms_are_named(self) -> None:
        both = {"AlarmEmail": "a@example.com", "AlarmTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"}
        assert any("beside the topic of --alarm-topic-arn" in note for note in planned(both).notes)


class TestWhatTheRoleMayRead:
    """What is blamed on which flag, where the statements of the server's role are made."""

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"TollbookAccounts": '{"123":"x"}'}, "--accounts: '123' is not an account of twelve digits."),
            ({"BedrockRoleArn": "nope"}, "--bedrock-role-arn: 'nope' is not the ARN of a role."),
            ({"TollbookSource": "./logs"}, "--source: './logs' is a file,"),
        ],
    )
    def test_a_problem_begins_with_its_own_flag(self, asked: dict[str, str], said: str) -> None:
        with pytest.raises(UsageError) as caught:
            statements_for({"App": "", **asked}, ACCOUNT, REGION)
        assert str(caught.value).startswith(said)

    def test_a_file_of_accounts_that_is_not_there_is_told_in_words(self) -> None:
        with pytest.raises(UsageError, match=r"^--accounts: cannot use nofile\.json: no such file or directory\.$"):
            with_files({"TollbookAccounts": "nofile.json"})

    def test_a_file_of_accounts_is_told_in_ascii(self, tmp_path: Path) -> None:
        file = tmp_path / "accounts.json"
        file.write_text('{"111122223333": {"via": "oam", "name": "größe"}}', encoding="utf-8")
        (text,) = with_files({"TollbookAccounts": str(file)}).values()
        assert text == '{"111122223333":{"via":"oam","name":"gr\\u00f6\\u00dfe"}}'

    def test_a_file_of_budgets_is_told_as_json(self, tmp_path: Path) -> None:
        file = tmp_path / "tollbook.toml"
        file.write_text('[deploy]\nmemory = 1024\n[budgets.all]\nusd = 99.5\nmodel = "größe"\n', encoding="utf-8")
        (text,) = with_files({"TollbookBudgets": str(file)}).values()
        assert text == '{"all":{"usd":99.5,"model":"gr\\u00f6\\u00dfe"}}'
        file.write_text("[deploy]\n", encoding="utf-8")
        with pytest.raises(UsageError, match=r"^--budgets: .*holds no budgets"):
            with_files({"TollbookBudgets": str(file)})

    def test_the_bill_may_be_asked_for_only_where_it_is_to_be(self) -> None:
        def allowed(what: str) -> bool:
            return "ce:GetCostAndUsage" in statements_for({"App": "", "TollbookLookUp": what}, ACCOUNT, REGION)

        assert allowed("names,bill")
        assert allowed("bill")
        assert not allowed("")
        role = f"arn:aws:iam::{ACCOUNT}:role/reads"
        assert "ce:GetCostAndUsage" in statements_for(
            {"App": "", "TollbookLookUp": "bill", "BedrockRoleArn": role}, ACCOUNT, REGION
        )


class TestTheRoleForLogs:
    def test_it_is_made_where_the_account_has_none_and_then_stays(self) -> None:
        first = planned({})
        assert first.parameters["ApiLogRole"] == "yes"
        there = carried_out(first)
        assert there.has_api_log_role
        assert planned({}, there).parameters["ApiLogRole"] == "yes"

    def test_one_that_came_to_the_account_since_is_left_alone(self) -> None:
        without = planned({"AccessLogs": "no"}, carried_out(planned({})))
        assert without.parameters["ApiLogRole"] == "no"
        assert planned({"AccessLogs": "yes"}, carried_out(without)).parameters["ApiLogRole"] == "no"

    def test_one_that_is_there_is_left_alone(self) -> None:
        found = Found(account=ACCOUNT, region=REGION, has_api_log_role=True)
        assert planned({}, found).parameters["ApiLogRole"] == "no"

    def test_none_is_made_without_access_logs(self) -> None:
        assert planned({"AccessLogs": "no"}).parameters["ApiLogRole"] == "no"


class TestAFunctionUrl:
    def test_its_host_is_served_once_it_is_known(self) -> None:
        first = planned({"FunctionUrl": "yes"})
        assert first.parameters["FunctionUrlHost"] == ""
        assert any("second change set" in note for note in first.notes)
        second = planned({}, carried_out(first, FunctionUrl=URL))
        assert second.parameters["FunctionUrlHost"] == "abc.lambda-url.eu-west-1.on.aws"
        assert planned({}, carried_out(second, FunctionUrl=URL)).changes == ()

    def test_its_host_goes_with_it(self) -> None:
        there = carried_out(planned({}, carried_out(planned({"FunctionUrl": "yes"}), FunctionUrl=URL)), FunctionUrl=URL)
        assert planned({"FunctionUrl": "no"}, there).parameters["FunctionUrlHost"] == ""


class TestAStackThatIsThere:
    def test_one_of_somebody_elses_is_left_alone(self) -> None:
        stack = Stack(name=STACK, status="CREATE_COMPLETE", parameters={"ImageUri": IMAGE, "Size": "1"})
        with pytest.raises(UsageError, match=r"^The stack 'books' is not tollbook's\. Give yours another name"):
            planned({}, Found(account=ACCOUNT, region=REGION, stack=stack))

    def test_one_whose_template_is_written_in_another_way_is_changed_all_the_same(self) -> None:
        there = carried_out(planned({}))
        assert there.stack is not None
        odd = there.stack.template.replace("!Equals [!Ref OwnPool, 'yes']", "!Either [!Ref OwnPool, 'yes']")
        assert odd != there.stack.template
        odder = msgspec.structs.replace(there, stack=msgspec.structs.replace(there.stack, template=odd))
        assert [change.what for change in planned({}, odder).changes] == ["the template"]

    def test_an_image_that_was_brought_is_not_made_for_another_processor(self) -> None:
        wanted = Wanted(stack=STACK, given={"Architecture": "x86_64"}, builds=False)
        done = plan(wanted, carried_out(planned({})), statements)
        assert done.parameters["ImageUri"] == IMAGE
        assert "The image stays the one that runs: see that it is for x86_64." in done.notes


class TestContradictions:
    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"SnapStart": "yes", "ProvisionedConcurrency": "2"}, "Lambda allows one of them."),
            ({"ImageUri": IMAGE.replace(REGION, "us-east-1")}, "the image is in us-east-1;"),
            ({"ImageUri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/books:v1"}, "Name it by its digest"),
            ({"RoleArn": "arn:aws:iam::999999999999:role/ours"}, "it is of the account 999999999999,"),
            ({"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/a", "PolicyArns": "arn:aws:iam::aws:policy/A"}, "attach them"),
            ({"DomainName": "mcp.example.com"}, f"needs a certificate of ACM in {REGION}."),
            ({"CertificateArn": CERTIFICATE}, "it belongs to a domain."),
            ({"HostedZoneId": "Z1"}, "it belongs to a domain."),
            ({**DOMAIN, "CertificateArn": CERTIFICATE.replace(REGION, "us-east-1")}, "it is in us-east-1;"),
            ({"AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:a"}, "the topic is in us-east-1;"),
            ({"OauthRequiredScope": "other/use"}, "has one scope, tollbook/use."),
            ({"CognitoDomain": "their-login"}, "it is that of a pool you bring."),
            ({"OauthJwksUrl": "https://login.example.com/keys"}, "it is that of an issuer you bring."),
            ({**ISSUER, "OauthIssuer": "https://127.0.0.1:8080"}, "cannot reach https://127.0.0.1:8080."),
            ({**ISSUER, "OauthIssuer": "https://10.0.0.1/x"}, "cannot reach https://10.0.0.1/x."),
            ({**ISSUER, "OauthJwksUrl": "https://localhost/keys"}, "cannot reach https://localhost/keys."),
            ({**POOL, "OauthIssuer": "https://login.example.com"}, "so that nobody would get in."),
            ({"SeesTeam": "group:leads"}, "nothing says which those are."),
            ({"TeamCalls": "tag:team={team}"}, "nobody may see his team's calls."),
            ({"AllowedOrigins": "https://a.example," * 200}, "and Lambda takes 4,096."),
            ({"TollbookSource": "cloudwatch:/a*"}, "'cloudwatch:/a*' names no log group."),
            ({"BudgetSchedule": "rate(1 day)"}, "there are no budgets to check."),
            ({"BudgetEmail": "a@example.com"}, "nothing is checked."),
            ({**CHECKED, "App": "mine:server"}, "a server of your own takes its place."),
            ({"TollbookBudgets": "{" + "x" * 4096 + "}"}, "and Lambda takes 4,096."),
        ],
    )
    def test_what_aws_or_the_server_would_refuse_is_refused_in_one_sentence(
        self, asked: dict[str, str], said: str
    ) -> None:
        (problem,) = refusal(asked)
        assert re.match(r"--[a-z-]+(, --[a-z-]+)*( and others)?: ", problem)
        assert said in problem
        assert problem.endswith((".", "…."))

    def test_every_one_is_told_at_once(self) -> None:
        problems = refusal({"SnapStart": "yes", "ProvisionedConcurrency": "1", "CertificateArn": CERTIFICATE})
        assert flags_of(problems) == ["--snap-start, --provisioned-concurrency", "--certificate-arn"]

    def test_an_image_must_come_from_somewhere(self) -> None:
        with pytest.raises(UsageError) as caught:
            plan(Wanted(stack=STACK, builds=False), NOTHING, statements)
        assert flags_of(caught.value.more) == ["--image-uri"]

    def test_of_an_account_that_is_not_known_nothing_can_be_wrong(self) -> None:
        role = f"arn:aws:iam::{ACCOUNT}:role/ours"
        assert planned({"RoleArn": role}, UNKNOWN).parameters["RoleArn"] == role

    def test_an_image_by_its_tag_is_refused_where_aws_cannot_be_asked_too(self) -> None:
        uri = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/books:v1"
        assert flags_of(refusal({"ImageUri": uri}, UNKNOWN)) == ["--image-uri"]

    def test_files_must_be_in_the_image(self) -> None:
        files = {"TollbookPrices": "ours.toml", "TollbookNames": "names.json"}
        assert flags_of(refusal(files)) == ["--prices", "--names"]
        assert planned(files, builds=False).parameters["TollbookPrices"] == "ours.toml"

    def test_what_cloudformation_would_forget_is_refused(self) -> None:
        (problem,) = refusal({"SeesAll": "group:größe"})
        assert problem.startswith("--sees-all: CloudFormation keeps ASCII alone")

    def test_users_are_made_in_a_pool_of_ones_own_alone(self) -> None:
        assert flags_of(refusal(POOL, first_user="cleo@example.com")) == ["--first-user"]

    def test_names_that_are_made_of_the_stacks_must_not_be_too_long(self) -> None:
        wanted = {"ImageUri": IMAGE, "AuthMethod": "lambda"}
        with pytest.raises(UsageError) as caught:
            plan(Wanted(stack="b" * 65, given=wanted), NOTHING, statements)
        assert flags_of(caught.value.more) == ["--function-name", "--lambda-authorizer-name"]
        named = {**wanted, "FunctionName": "a", "AuthorizerName": "b"}
        assert plan(Wanted(stack="b" * 65, given=named), NOTHING, statements).parameters["FunctionName"] == "a"

    def test_a_parameter_that_the_template_does_not_have_is_named(self) -> None:
        with pytest.raises(UsageError, match=r"^The template has no parameter Colour\. Leave it out\.$"):
            planned({"Colour": "red"})

    def test_a_server_of_ones_own_needs_no_say_on_who_sees_what(self) -> None:
        asked = {name: POOL[name] for name in list(POOL)[:2]}
        assert planned({**asked, "App": "my_server:app"}).parameters["SeesAll"] == ""

    def test_what_belongs_to_a_domain_goes_with_it(self) -> None:
        after = planned({"DomainName": ""}, carried_out(planned(DOMAIN)))
        assert after.parameters["CertificateArn"] == after.parameters["HostedZoneId"] == ""


class TestChanges:
    def test_what_changes_is_said_and_nothing_besides(self) -> None:
        there = carried_out(planned({"MemorySize": "2048"}))
        (change,) = planned({"MemorySize": ""}, there).changes
        assert (change.kind, change.what, change.before, change.after) == ("change", "--memory", "2048", "1024")

    def test_a_parameter_that_is_new_and_not_set_changes_nothing(self) -> None:
        there = carried_out(planned({}))
        assert there.stack is not None
        older = {name: value for name, value in there.stack.parameters.items() if name != "TollbookTags"}
        stack = msgspec.structs.replace(there.stack, parameters=older)
        assert planned({}, msgspec.structs.replace(there, stack=stack)).changes == ()

    def test_another_policy_for_the_same_logs_is_another_content(self) -> None:
        first = planned({})
        wanted = Wanted(stack=STACK, given={"ImageUri": IMAGE})
        other = plan(wanted, carried_out(first), lambda _: '[{"Sid": "Other"}]')
        assert [change.what for change in other.changes] == ["the template"]
        assert hash_in(other.template) != hash_in(first.template)

    def test_a_change_of_the_url_is_said(self) -> None:
        moved = "The URL changes: give clients the new one; all log in anew."
        there = carried_out(planned({}))
        assert effects(planned({"StageName": "prod"}, there).changes)["--stage-name"] == moved
        assert effects(planned(DOMAIN, there).changes)["--domain-name"] == moved
        has_domain = carried_out(planned(DOMAIN))
        assert effects(planned({"StageName": "prod"}, has_domain).changes)["--stage-name"] == ""

    def test_a_resource_that_comes_or_goes_is_named(self) -> None:
        changes = planned({"FunctionUrl": "yes"}, carried_out(planned({}))).changes
        assert ("make", "a function URL of Lambda (ServerUrl)") in {(each.kind, each.what) for each in changes}
        gone = planned({"FunctionUrl": "no"}, carried_out(planned({"FunctionUrl": "yes"}))).changes
        assert ("remove", "a function URL of Lambda (ServerUrl)") in {(each.kind, each.what) for each in gone}

    def test_a_template_of_another_version_is_said_to_be_one(self) -> None:
        there = carried_out(planned({}))
        assert there.stack is not None
        older = there.stack.template.replace("MinimumLength: 14", "MinimumLength: 12")
        there = msgspec.structs.replace(there, stack=msgspec.structs.replace(there.stack, template=older))
        (change,) = planned({}, there).changes
        assert (change.kind, change.what) == ("change", "the template")

    def test_other_logs_change_what_the_role_may_read(self) -> None:
        changes = planned({"TollbookSource": "s3://our-logs/bedrock"}, carried_out(planned({}))).changes
        assert [change.what for change in changes] == ["--source", "the template"]
        assert changes[1].effect == "The server's role may do otherwise: what it reads is said below."

    def test_for_athena_no_role_is_said_to_read_what_it_cannot(self) -> None:
        def effect(**more: str) -> str:
            table = {"TollbookSource": "athena:logs.bedrock", **more}
            return effects(planned(table, carried_out(planned({}))).changes)["--source"]

        assert "gets nothing but what --policy-arns name" in effect()
        assert "see that the role of --role-arn" in effect(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/ours")

    def test_nobody_is_told_both_to_log_in_anew_and_not_to(self) -> None:
        there = carried_out(planned({}))
        alone = effects(planned({"AuthMethod": "lambda"}, there).changes)["--auth-method"]
        assert alone.endswith("there is no moment at which nobody asks. Nobody has to log in anew.")
        with_issuer = effects(planned(ISSUER, there).changes)
        assert with_issuer["--oauth-issuer"].endswith("all log in anew.")
        assert with_issuer["--auth-method"].endswith("there is no moment at which nobody asks.")

    def test_a_server_of_ones_own_is_not_said_to_be_another_version(self) -> None:
        changes = planned({"App": "dice:server"}, carried_out(planned({}))).changes
        assert effects(changes)["the template"] == "The server's role may do otherwise: what it reads is said below."

    def test_clients_come_beside_that_of_an_own_pool(self) -> None:
        after = planned({"CognitoAllowedClientIds": "zzz"}, carried_out(planned({})))
        beside = "Tokens of these clients are accepted beside those of the stack's own."
        assert effects(after.changes)["--cognito-allowed-client-ids"] == beside
        made = Made(after.template, {"UserPoolClient": "ours"}, **after.parameters)
        variables = made.properties("ServerFunction")["Environment"]["Variables"]
        assert variables["COGNITO_ALLOWED_CLIENT_IDS"] == "ours,zzz"

    def test_a_plan_says_what_there_will_be_and_where(self) -> None:
        done = planned({})
        assert isinstance(done, Plan)
        assert (done.stack, done.account, done.region, done.partition) == (STACK, ACCOUNT, REGION, "aws")
