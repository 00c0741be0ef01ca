"""What a deployment comes to: what is decided, what is refused, what is said to change."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from tollbook.core.errors import UsageError
from tollbook.deploy.found import Found, Stack
from tollbook.deploy.plan.document import defaults, hash_in
from tollbook.deploy.plan.options import OPTIONS
from tollbook.deploy.plan.planning import Change, Plan, Wanted, plan
from tollbook.deploy.template import template

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
    @settings(deadline=None, max_examples=60)
    @given(some_given)
    def test_planning_what_was_just_carried_out_changes_nothing(self, asked: dict[str, str]) -> None:
        first = planned(asked)
        again = planned({}, carried_out(first))
        assert again.changes == ()
        assert (again.template, again.parameters) == (first.template, first.parameters)

    @settings(deadline=None, max_examples=60)
    @given(some_given, some_given)
    def test_saying_what_is_so_already_changes_nothing(self, asked: dict[str, str], others: dict[str, str]) -> None:
        first = planned({**asked, **others})
        assert planned(others, carried_out(first)).changes == ()

    @settings(deadline=None, max_examples=60)
    @given(some_given, some_given)
    def test_what_is_asked_for_goes_before_what_is_there_and_the_rest_stays(
        self, before: dict[str, str], asked: dict[str, str]
    ) -> None:
        there = carried_out(planned(before))
        after = planned(asked, there)
        assert {name: after.parameters[name] for name in asked} == asked
        untouched = set(before) - set(asked)
        assert {name: after.parameters[name] for name in untouched} == {name: before[name] for name in untouched}

    @settings(deadline=None, max_examples=30)
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
    (change,) = [each for each in after.changes if each.what == option.parameter]
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
        assert done.notes[1].startswith("There were no credentials")
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
            ("my-amazon-cognito-books", f"my---books-{ACCOUNT}"),
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
        assert why in done.notes[0]

    @pytest.mark.parametrize("asked", [ISSUER, {"ApiKeys": "yes"}, {"OauthClientsWithoutAud": "b:noscope"}])
    def test_oauth_is_refused_where_it_would_keep_somebody_out(self, asked: dict[str, str]) -> None:
        (problem,) = refusal({**asked, "AuthMethod": "oauth"})
        assert problem.startswith("--auth-method: oauth puts Cognito's authorizer at the gateway, and it ")
        assert problem.endswith(". Say lambda.")

    def test_a_stack_changes_over_when_it_must_and_stays_when_it_need_not(self) -> None:
        there = carried_out(planned({}))
        over = planned({"ApiKeys": "yes"}, there)
        assert over.parameters["AuthMethod"] == "lambda"
        made = {(change.kind, change.what.partition(",")[0]) for change in over.changes}
        assert {("make", "LambdaAuthorizer"), ("remove", "CognitoAuthorizer")} <= made
        back = planned({"ApiKeys": "no"}, carried_out(over))
        assert back.parameters["AuthMethod"] == "lambda"
        assert "(lambda), as before;" in back.notes[0]
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
        assert effects(moved.changes)["CognitoUserPoolId"] == "Logins of before count no longer: all log in anew."
        stays = "The stack lets it go; it stays as it is until 'tollbook destroy'."
        assert effects(moved.changes)["UserPool, a user pool of Cognito"] == stays

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
        assert any("group finops see all calls" in note for note in planned({}).notes)
        assert not any("finops" in note for note in planned({"SeesAll": "group:leads"}).notes)
        assert any("cleo@example.com is invited" in note for note in planned({}, first_user="cleo@example.com").notes)


class TestTheRoleForLogs:
    def test_it_is_made_where_the_account_has_none_and_then_stays(self) -> None:
        first = planned({})
        assert first.parameters["ApiLogRole"] == "yes"
        there = carried_out(first)
        assert there.has_api_log_role
        assert planned({}, there).parameters["ApiLogRole"] == "yes"
        assert planned({"AccessLogs": "no"}, there).parameters["ApiLogRole"] == "yes"

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
            ({"SeesTeam": "group:leads"}, "nothing says which those are."),
            ({"TeamCalls": "tag:team={team}"}, "nobody may see his team's calls."),
            ({"TollbookAccounts": f'{{"{"1" * 3000}": 1}}'}, "and Lambda takes 4,096."),
            ({"TollbookSource": "cloudwatch:/a*"}, "'/a*'"),
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

    def test_an_image_by_its_tag_can_be_planned_with_where_aws_cannot_be_asked_for_its_digest(self) -> None:
        uri = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/books:v1"
        assert planned({"ImageUri": uri}, UNKNOWN).parameters["ImageUri"] == uri

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
        assert (change.kind, change.what, change.before, change.after) == ("change", "MemorySize", "2048", "1024")

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
        assert effects(planned({"StageName": "prod"}, there).changes)["StageName"] == moved
        assert effects(planned(DOMAIN, there).changes)["DomainName"] == moved
        has_domain = carried_out(planned(DOMAIN))
        assert effects(planned({"StageName": "prod"}, has_domain).changes)["StageName"] == ""

    def test_a_resource_that_comes_or_goes_is_named(self) -> None:
        changes = planned({"FunctionUrl": "yes"}, carried_out(planned({}))).changes
        assert ("make", "ServerUrl, a function URL of Lambda") in {(each.kind, each.what) for each in changes}
        gone = planned({"FunctionUrl": "no"}, carried_out(planned({"FunctionUrl": "yes"}))).changes
        assert ("remove", "ServerUrl, a function URL of Lambda") in {(each.kind, each.what) for each in gone}

    def test_a_template_of_another_version_is_said_to_be_one(self) -> None:
        there = carried_out(planned({}))
        assert there.stack is not None
        older = there.stack.template.replace("MinimumLength: 14", "MinimumLength: 12")
        there = msgspec.structs.replace(there, stack=msgspec.structs.replace(there.stack, template=older))
        (change,) = planned({}, there).changes
        assert (change.kind, change.what) == ("change", "the template")

    def test_other_logs_change_what_the_role_may_read(self) -> None:
        changes = planned({"TollbookSource": "s3://our-logs/bedrock"}, carried_out(planned({}))).changes
        assert [change.what for change in changes] == ["TollbookSource", "the template"]

    def test_a_plan_says_what_there_will_be_and_where(self) -> None:
        done = planned({})
        assert isinstance(done, Plan)
        assert (done.stack, done.account, done.region, done.partition) == (STACK, ACCOUNT, REGION, "aws")
