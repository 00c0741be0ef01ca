"""What the template's roles allow, beside what the server and its authorizer really ask of AWS."""

import json
from collections.abc import Iterator
from typing import Any, Final

import anyio
import boto3
import pytest

from tests.auth_servers.issuer import SCOPE, Issuer
from tests.deploy.choices import CHECKED
from tests.deploy.evaluation import ACCOUNT, REGION, Made
from tests.fakes.api_gateway import status, token_event
from tests.fakes.aws_calls import AwsCalls
from tests.fakes.buckets import BUCKET
from tests.fakes.buckets import bucket as bucket
from tests.fakes.buckets import buckets_server as buckets_server
from tests.fakes.dynamodb import dynamodb as dynamodb
from tests.fakes.dynamodb import dynamodb_server as dynamodb_server
from tests.hosting.auth.asking import HOUR_S, bearer, environment_for
from tests.hosting.serving import SetClock
from tests.test_server_policy import GROUP, PLACE, TABLE
from tests.test_server_policy import calls as calls
from tollbook.app.deployed import statements_for
from tollbook.app.settings import kept_in
from tollbook.core.iam import Policy, Statement
from tollbook.deploy.plan.document import defaults
from tollbook.deploy.template import bootstrap, rendered, template
from tollbook.hosting.auth.apikeys import ApiKeys
from tollbook.hosting.auth.authorizer import Authorizer
from tollbook.hosting.auth.settings import auth_settings_from
from tollbook.hosting.stores.dynamodb import DynamodbStore, create_table
from tollbook.sources.aws.reach.policy import policy_for, server_policy

NAMES: Final = {
    "Bucket": BUCKET,
    "Bucket.Arn": f"arn:aws:s3:::{BUCKET}",
    "Table": TABLE,
    "Table.Arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{TABLE}",
    "ServerLogs.Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:books-ServerLogs:*",
    "BudgetLogs.Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:books-BudgetLogs:*",
    "BudgetTopic": f"arn:aws:sns:{REGION}:{ACCOUNT}:budgets",
    "BudgetRule.Arn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/books-BudgetRule",
    "AuthorizerLogs.Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:books-AuthorizerLogs:*",
}
LOGGING: Final = {"logs:CreateLogStream", "logs:PutLogEvents"}
"""Lambda's own calls: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-loggroups.html"""
ASKED_ELSEWHERE: Final = policy_for(names=True, metrics=True).actions
"""Names and metrics, which the tests of what they are looked up for hold to the same policy."""
ANYTHING: Final = {"FindLogGroupAndStopQueries", "ReadMetrics"}
"""Statements of which AWS knows no resource: `tollbook.sources.aws.reach.policy` has the pages."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def made(**parameters: str) -> Made:
    """The stack as it is deployed for those parameters."""
    values = {name: default or "" for name, default in defaults(template()).items()} | parameters
    statements = statements_for(values, ACCOUNT, REGION)
    return Made(rendered(template(), statements, "0" * 10), NAMES, **parameters)


def several(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def policy(role: Any) -> Policy:
    """What a role allows."""
    statements = [each for policy in role["Policies"] for each in policy["PolicyDocument"]["Statement"]]
    return Policy(tuple(map(statement, statements)))


def statement(written: Any) -> Statement:
    return Statement(
        sid=written["Sid"],
        effect=written["Effect"],
        action=several(written["Action"]),
        resource=several(written["Resource"]),
        condition={
            operator: {key: several(values) for key, values in keys.items()}
            for operator, keys in written.get("Condition", {}).items()
        },
    )


def test_the_server_may_do_what_the_command_prints_and_write_its_log() -> None:
    own = server_policy(TABLE, kept_in(PLACE), region=REGION, account=ACCOUNT).statement
    source = policy_for(
        "cloudwatch:/aws/bedrock/modelinvocations", region=REGION, account=ACCOUNT, names=True, metrics=True
    ).statement
    log = Statement(
        sid="WriteOwnLog", effect="Allow", action=tuple(sorted(LOGGING)), resource=(NAMES["ServerLogs.Arn"],)
    )
    as_deployed = policy(made().properties("ServerRole"))
    as_it_stands = policy(Made(template(), NAMES).properties("ServerRole"))
    assert as_deployed == as_it_stands == Policy((log, *own, *source))


def test_where_budgets_are_checked_the_same_role_may_tell_of_them_and_nobody_else_may() -> None:
    usual, checking = (policy(made(**each).properties("ServerRole")).statement for each in ({}, CHECKED))
    more = [each for each in checking if each not in usual]
    assert [(each.sid, each.action, each.resource) for each in more] == [
        ("WriteOwnLog", usual[0].action, (NAMES["ServerLogs.Arn"], NAMES["BudgetLogs.Arn"])),
        ("TellOfBudgets", ("sns:Publish",), (NAMES["BudgetTopic"],)),
    ]
    stack = made(**CHECKED)
    assert stack.properties("BudgetFunction")["Role"] == stack.properties("ServerFunction")["Role"]
    role = f"arn:aws:iam::{ACCOUNT}:role/ours"
    assert made(**CHECKED, RoleArn=role).properties("BudgetFunction")["Role"] == role


@pytest.mark.anyio
async def test_the_server_asks_for_nothing_else_and_for_all_of_it(calls: AwsCalls) -> None:
    role = policy(made(TollbookSource=f"events:{GROUP}").properties("ServerRole"))
    assert calls.beyond(role) == []
    # s3:ListBucket: what the permission is for, see `tollbook.hosting.stores.s3`.
    assert calls.idle(role, {*LOGGING, *ASKED_ELSEWHERE, "s3:ListBucket"}) == frozenset()
    assert calls.beyond(policy(made(TollbookSource="cloudwatch:/another").properties("ServerRole")))


@pytest.fixture
def keys_table(dynamodb: Any) -> Iterator[None]:
    create_table(dynamodb, TABLE)
    yield
    dynamodb.delete_table(TableName=TABLE)


@pytest.mark.usefixtures("keys_table")
def test_the_authorizer_asks_for_nothing_else_and_for_all_of_it() -> None:
    clock, calls = SetClock(), AwsCalls(ACCOUNT)
    client = calls.watch(boto3.session.Session().client("dynamodb"))
    with Issuer(clock=clock) as issuer:
        settings = auth_settings_from(environment_for(issuer))
        authorizer = Authorizer(settings, lambda _: DynamodbStore(TABLE, clock, client), clock=clock)
        assert status(authorizer, token_event(bearer(issuer))) == 200
        assert calls.actions == frozenset()
        assert status(authorizer, token_event(f"Bearer {_a_key(clock)}")) == 200
        authorizer.close()
    client.close()
    with_keys = policy(made(AuthMethod="lambda", ApiKeys="yes").properties("AuthorizerRole"))
    assert calls.beyond(with_keys) == []
    assert calls.idle(with_keys, LOGGING) == frozenset()
    without = policy(made(AuthMethod="lambda").properties("AuthorizerRole"))
    assert without.actions == LOGGING
    assert calls.beyond(without)


def _a_key(clock: SetClock) -> str:
    async def make() -> str:
        store = DynamodbStore(TABLE, clock)
        text, _ = await ApiKeys(store, clock).create("build-server", (SCOPE,), clock() + HOUR_S, {})
        await store.aclose()
        return text

    return anyio.run(make)


@pytest.mark.parametrize("method", ["oauth", "lambda"])
def test_nothing_is_allowed_on_anything_but_where_aws_knows_no_resource(method: str) -> None:
    keys = "yes" if method == "lambda" else "no"
    stack = made(AuthMethod=method, ApiKeys=keys, FunctionUrl="yes", **CHECKED)
    for role in stack.of_type("AWS::IAM::Role").values():
        for each in policy(role).statement:
            assert not [action for action in each.action if "*" in action]
            assert (each.resource == ("*",)) == (each.sid in ANYTHING), each
            if each.sid in ANYTHING:
                assert each.condition == {"StringEquals": {"aws:RequestedRegion": (REGION,)}}


def test_a_role_is_lambdas_alone_and_has_no_policy_of_aws_unless_one_is_named() -> None:
    named = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    for role in made(AuthMethod="lambda").of_type("AWS::IAM::Role").values():
        (trusted,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trusted["Principal"] == {"Service": "lambda.amazonaws.com"}
        assert "ManagedPolicyArns" not in role
    assert made(PolicyArns=named).properties("ServerRole")["ManagedPolicyArns"] == [named]
    assert "ServerRole" not in made(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/ours").resources


def test_roles_are_assumed_where_others_are_named_and_nowhere_else() -> None:
    role = "arn:aws:iam::210987654321:role/reads-logs"
    accounts = json.dumps({"210987654321": {"role": role}})
    assert "sts:AssumeRole" not in policy(made().properties("ServerRole")).actions
    statements = policy(made(TollbookAccounts=accounts).properties("ServerRole")).statement
    assert [each.resource for each in statements if "sts:AssumeRole" in each.action] == [(role,)]


def test_nobody_invokes_a_function_but_this_api_and_where_it_was_asked_for_everyone_by_its_url() -> None:
    def invokers(**parameters: str) -> set[tuple[str, str]]:
        permissions = made(**parameters).of_type("AWS::Lambda::Permission").values()
        return {(each["Principal"], each.get("SourceArn", "")) for each in permissions}

    api = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:abcde12345"
    gateway = ("apigateway.amazonaws.com", f"{api}/v1/*")
    assert invokers() == {gateway}
    asking = ("apigateway.amazonaws.com", f"{api}/authorizers/LambdaAuthorizer")
    assert invokers(AuthMethod="lambda") == {gateway, asking}
    assert invokers(FunctionUrl="yes") == {gateway, ("*", "")}
    assert invokers(**CHECKED) == {gateway, ("events.amazonaws.com", NAMES["BudgetRule.Arn"])}
    # https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html: without these conditions anyone could invoke it.
    for each in made(FunctionUrl="yes").of_type("AWS::Lambda::Permission").values():
        if each["Principal"] == "*":
            opens = each["Action"] == "lambda:InvokeFunctionUrl"
            assert ("FunctionUrlAuthType" if opens else "InvokedViaFunctionUrl") in each


def test_a_policy_that_names_everyone_only_forbids() -> None:
    for each in made().of_type("AWS::S3::BucketPolicy").values():
        for written in each["PolicyDocument"]["Statement"]:
            assert (written["Principal"], written["Effect"]) == ("*", "Deny")


def test_the_repository_lets_lambda_read_images_for_functions_of_this_account() -> None:
    (written,) = Made(bootstrap()).properties("Repository")["RepositoryPolicyText"]["Statement"]
    assert written["Principal"] == {"Service": "lambda.amazonaws.com"}
    # https://docs.aws.amazon.com/lambda/latest/dg/images-create.html (Amazon ECR permissions)
    assert written["Action"] == ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    functions = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:*"
    assert written["Condition"] == {"StringLike": {"aws:SourceArn": functions}}
