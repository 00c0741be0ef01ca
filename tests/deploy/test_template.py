"""The template, as it is written and as CloudFormation would take it under many parameters."""

import json
import re
from itertools import chain

import msgspec
import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped] # what AWS says of its types
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.deploy.choices import (
    CHECKED,
    DOMAIN,
    DOORS,
    ISSUER,
    KEYS,
    LOG_ROLE,
    LOGINS,
    LONG,
    MAIL,
    OTHERS,
    POOL,
    ROLE,
    SILENT,
    TOPIC,
    URL,
    made,
)
from tests.deploy.evaluation import DanglingError, Made, parsed
from tollbook.app.on_lambda import lambda_settings
from tollbook.app.settings import SETTINGS
from tollbook.deploy.plan.document import defaults
from tollbook.deploy.template import LARGEST, bootstrap, rendered, template
from tollbook.sources.aws.reach.policy import policy_for


class TestItsText:
    def test_defaults_are_read_as_a_parser_of_yaml_reads_them(self) -> None:
        declared = parsed(template())["Parameters"]
        assert defaults(template()) == {
            name: str(each["Default"]) if "Default" in each else None for name, each in declared.items()
        }
        assert [name for name, default in defaults(template()).items() if default is None] == ["ImageUri"]
        assert defaults(bootstrap()) == {}

    def test_is_within_what_a_request_may_hold_with_as_long_a_policy_as_a_role_may_have(self) -> None:
        document = Made(rendered(template(), "[]", "0" * 10)).properties("ServerRole")["Policies"][0]["PolicyDocument"]
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: 10,240, white space not counted
        room = 10_240 - len(json.dumps(document, separators=(",", ":")))
        longest = json.dumps(["x" * (room // 20)] * 20)
        assert len(rendered(template(), longest, "0" * 10).encode()) < LARGEST

    def test_comes_back_as_it_was_sent(self) -> None:
        # Of other characters CloudFormation gives back question marks, and each plan would see another template:
        # https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1220
        assert template().isascii()
        assert bootstrap().isascii()

    def test_says_the_same_without_its_comments_and_what_its_parameters_mean(self) -> None:
        # The statements of the default source are not said in the words of `policy_for` there, but by functions.
        bare = parsed(rendered(template(), "[]", "HASH"))
        whole = parsed(re.sub(r"(?ms)^ *# begin.*?# end\n", "", template()))
        assert sum("Description" in each for each in whole["Parameters"].values()) > 50
        for parameter in whole["Parameters"].values():
            parameter.pop("Description", None)
        assert bare == whole

    def test_holds_the_content_where_something_must_be_made_anew_and_nowhere_else(self) -> None:
        before, after = (parsed(rendered(template(), "[]", digits)) for digits in ("0123456789", "abcdef0123"))
        anew = {"ServerVersion", "ApiDeployment"}
        assert before["Resources"].keys() - after["Resources"].keys() == {f"{name}0123456789" for name in anew}
        assert after["Resources"].keys() - before["Resources"].keys() == {f"{name}abcdef0123" for name in anew}
        assert before["Resources"]["ServerFunction"]["Properties"]["Description"].endswith("content-0123456789")
        assert json.loads(json.dumps(before).replace("0123456789", "abcdef0123")) == after
        assert after["Resources"]["Table"]["Properties"]["KeySchema"][0]["KeyType"] == "HASH"

    def test_takes_the_statements_of_any_source_and_no_others(self) -> None:
        other = policy_for("s3://logs-of-bedrock/AWSLogs", metrics=True).statement
        whole = rendered(template(), msgspec.json.encode(other).decode(), "0" * 10)
        statements = Made(whole).properties("ServerRole")["Policies"][0]["PolicyDocument"]["Statement"]
        assert [each["Sid"] for each in statements[4:]] == [each.sid for each in other]
        assert statements[4:] == json.loads(msgspec.json.encode(other))
        none = Made(rendered(template(), "[]", "0" * 10)).properties("ServerRole")["Policies"][0]["PolicyDocument"]
        assert [each["Sid"] for each in none["Statement"]] == [each["Sid"] for each in statements[:4]]

    def test_has_no_condition_that_nothing_asks_for_and_no_parameter_that_changes_nothing(self) -> None:
        document = parsed(template())
        for name in document["Conditions"]:
            uses = re.findall(rf"\b{name}\b", template())
            assert len(uses) > 1, name
        for name in document["Parameters"]:
            body = template()[template().index("\nConditions:") :]
            assert re.search(rf"(?:!Ref |\$\{{){name}\b", body), name


class TestUnderAnyParameters:
    @settings(deadline=None)
    @given(st.sampled_from(LOGINS), st.sampled_from(DOORS), st.lists(st.sampled_from(OTHERS), max_size=4))
    def test_nothing_refers_to_what_is_not_made(
        self, login: dict[str, str], door: dict[str, str], others: list[dict[str, str]]
    ) -> None:
        together = dict(chain.from_iterable(each.items() for each in (login, door, *others)))
        assert made(**together).outputs["Url"]

    def test_what_refers_to_nothing_would_be_found(self) -> None:
        broken = template().replace("  CognitoAuthorizer:\n", "  AnotherAuthorizer:\n")
        with pytest.raises(DanglingError, match="CognitoAuthorizer"):
            Made(broken)

    def test_outputs_are_those_that_others_rely_on(self) -> None:
        always = {"Url", "FunctionName", "ImageUri", "RoleArn", "Table", "Bucket", "SecretArn", "ServerLogGroup"}
        always |= {"AuthMethod", "Issuer", "Scope", "Region"}
        pool = {"UserPoolId", "ClientId", "LoginDomain"}
        assert made().outputs.keys() == always | pool | {"AccessLogGroup"}
        assert made(**ISSUER, **KEYS, **SILENT).outputs.keys() == always | {"AuthorizerLogGroup"}
        both = made(**DOMAIN, **URL, **ROLE).outputs
        assert both.keys() == always | pool | {"AccessLogGroup", "FunctionUrl", "DomainTarget"}
        assert both["Url"] == "https://mcp.example.com/mcp"
        assert both["RoleArn"] == ROLE["RoleArn"]
        theirs = made(**POOL).outputs
        checked = made(**CHECKED).outputs.keys() - made().outputs.keys()
        assert checked == {"BudgetTopicArn", "BudgetFunctionName", "BudgetLogGroup"}
        assert theirs["Issuer"] == "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI"
        assert (theirs["ClientId"], theirs["LoginDomain"]) == ("first", "our-login")


class TestWhatIsKept:
    def test_outlives_the_stack_and_nothing_else_does(self) -> None:
        stack = made(**KEYS, **LOG_ROLE, **CHECKED)
        kept = {name for name, each in stack.resources.items() if each.get("DeletionPolicy", "Delete") != "Delete"}
        data = {"Table", "Bucket", "BucketPolicy", "UserPool", "ServerLogs", "AuthorizerLogs", "AccessLogGroup"}
        data |= {"BudgetLogs"}
        data |= {"FinOps", "ResourceServer", "UserPoolClient"}
        # Others may use these: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
        accounts = {"ApiLogWriter", "ApiAccount"}
        assert kept == data | accounts
        for name in kept:
            attributes = stack.resources[name]
            assert attributes["UpdateReplacePolicy"] == "Retain"
            assert attributes["DeletionPolicy"] == ("RetainExceptOnCreate" if name in data else "Retain")
        kinds = {stack.resources[name]["Type"] for name in data}
        assert not [name for name, each in stack.resources.items() if each["Type"] in kinds and name not in data]
        assert Made(bootstrap()).resources["Repository"]["DeletionPolicy"] == "RetainExceptOnCreate"

    def test_is_named_by_cloudformation_so_that_what_is_left_is_in_nobodys_way(self) -> None:
        for name in ("Table", "Bucket", "ServerLogs", "AuthorizerLogs", "AccessLogGroup"):
            assert not {"TableName", "BucketName", "LogGroupName"} & made(**KEYS).properties(name).keys()

    def test_results_go_a_day_after_they_have_expired_at_the_earliest(self) -> None:
        usual = next(float(each.default or 0) for each in SETTINGS if each.variable == "RESULTS_KEPT_SECONDS")

        def days(**parameters: str) -> int:
            results, _ = made(**parameters).properties("Bucket")["LifecycleConfiguration"]["Rules"]
            assert f"s3://books-bucket/{results['Prefix']}" == f"{bucket(**parameters)}/"
            return int(results["ExpirationInDays"])

        def bucket(**parameters: str) -> str:
            return lambda_settings(made(**parameters).variables("ServerFunction")).results_place

        assert days() == usual / 86_400 + 1
        assert days(**LONG) == float(LONG["ResultsKeptSeconds"]) / 86_400 + 1

    def test_the_table_has_the_form_that_the_store_wants(self) -> None:
        table = made().properties("Table")
        assert [each["AttributeName"] for each in table["KeySchema"]] == ["partition", "key"]
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


class TestAlarms:
    def test_look_at_the_alias_and_at_what_the_server_tells(self) -> None:
        stack = made(AlarmLatencyMs="5000", AlarmScanUsd="3")
        watched = {
            each["MetricName"]: (each["Namespace"], "Dimensions" in each, str(each["Threshold"]))
            for each in stack.of_type("AWS::CloudWatch::Alarm").values()
        }
        namespace = lambda_settings(stack.variables("ServerFunction")).metrics
        assert watched == {
            "Errors": ("AWS/Lambda", True, "0"),
            "Throttles": ("AWS/Lambda", True, "0"),
            "Latency": (namespace, False, "5000"),
            "ScanDollars": (namespace, False, "3"),
        }

    @pytest.mark.parametrize(
        ("said", "told"), [({}, []), (TOPIC, [TOPIC["AlarmTopicArn"]]), (MAIL, ["AlarmTopic"]), ({**TOPIC, **MAIL}, 2)]
    )
    def test_tell_whoever_is_named(self, said: dict[str, str], told: object) -> None:
        for each in made(**said).of_type("AWS::CloudWatch::Alarm").values():
            assert told in (each["AlarmActions"], len(each["AlarmActions"]))


@pytest.mark.parametrize("text", [template(), bootstrap()], ids=["template", "bootstrap"])
def test_every_resource_that_can_have_tags_gets_those_of_the_stack(text: str) -> None:
    for kind in {each["Type"] for each in parsed(text)["Resources"].values()}:
        tagging = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-west-1", kind).schema["tagging"]
        # https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html (tagging)
        assert not tagging["taggable"] or (tagging["tagOnCreate"] and tagging["tagUpdatable"]), kind
