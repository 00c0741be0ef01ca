"""What whoever deploys must be allowed, beside what AWS says of its types."""

import fnmatch
import json
import re
from typing import Any, Final

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped] # what AWS says of its types

from tests.deploy.choices import CHECKED
from tests.deploy.evaluation import ACCOUNT, REGION, parsed
from tests.deploy.plans import DOMAIN, ISSUER, POOL, STACK, UNKNOWN, carried_out, planned
from tollbook.deploy.found import Found
from tollbook.deploy.plan.actions import CALLS, KINDS
from tollbook.deploy.plan.changes import WORDS
from tollbook.deploy.plan.permissions import Permissions
from tollbook.deploy.template import bootstrap, template
from tollbook.sources.aws.reach.policy import policy_for

OURS: Final = {each["Type"] for text in (template(), bootstrap()) for each in parsed(text)["Resources"].values()}
NEEDLESS: Final = {
    "(kms|ec2|elasticfilesystem|s3files|kinesis|codedeploy|firehose|s3tables|cloudfront):.*": "no such thing is used",
    "iam:(PassRole|GetRole|PutRolePolicy|DeleteRolePolicy|CreateServiceLinkedRole)": "no role is given to them",
    "apigateway:UpdateRestApiPolicy|s3:(GetObject|GetObjectVersion|GetObjectMetadata)": "nothing is read from S3",
    "cognito-idp:AddCustomAttributes": "no attributes are added",
    "dynamodb:(.*Replica|.*Item|Query|Scan)|dynamodb:(Enable|Disable|Update)Kinesis.*": "one table, no stream",
    "dynamodb:.*Import.*|AWS::DynamoDB::Table (logs|s3):.*": "nothing is imported",
    "dynamodb:(Put|Delete)ResourcePolicy|dynamodb:UpdateContributorInsights": "not set",
    "logs:(Put|Delete)(ResourcePolicy|IndexPolicy|DataProtectionPolicy)|logs:CreateLogDelivery": "not set",
    "logs:(Dis)?[Aa]ssociateKmsKey|logs:PutBearerTokenAuthentication|logs:PutLogGroupDeletionProtection": "not set",
    "s3:REST.PUT.OBJECT": "no data protection",
    "iam:.*PermissionsBoundary": "not set",
    "lambda:(Put|Delete)Function(Concurrency|RecursionConfig|ScalingConfig|CodeSigningConfig)": "not set",
    "lambda:(GetCodeSigningConfig|GetLayerVersion|PassCapacityProvider|AssociateRuntimeAlias)": "not of an image",
    "lambda:PutRuntimeManagementConfig": "not of an image",
    "s3:(Put|Delete)Bucket(Abac|Acl|AnalyticsConfiguration|CORS|Cors|Encryption|Lifecycle|Logging)": "not set",
    "s3:(Put|Delete)Bucket(MetricsConfiguration|Notification|ObjectLockConfiguration|Replication)": "not set",
    "s3:(Put|Delete)Bucket(Versioning|Website)|s3:.*(Update|Create|Delete)BucketMetadata.*": "not set",
    "s3:Put(Accelerate|Analytics|IntelligentTiering|Inventory|Metrics|ObjectLock|Replication)Configuration": "not set",
    "s3:PutObjectAcl|s3:DeleteObject|s3:GetBucketAcl": "not set",
    "sns:PutDataProtectionPolicy": "not set",
    "secretsmanager:(ReplicateSecretToRegions|RemoveRegionsFromReplication)": "one region",
}
"""Actions that a schema names and our templates have no use for, with the reason."""
BESIDE: Final = {
    # https://docs.aws.amazon.com/lambda/latest/dg/images-create.html (permissions to make a function of an image)
    "AWS::Lambda::Function": {
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
        "ecr:GetRepositoryPolicy",
        "iam:PassRole",
    },
    # Tags are set at a path of their own, by PUT; and a schema names the fewest methods that it may.
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-tagging-iam-policy.html
    **{kind: {"apigateway:*"} for kind in OURS if kind.startswith("AWS::ApiGateway::")},
    "AWS::ApiGateway::Account": {"apigateway:*", "iam:GetRole", "iam:PassRole"},
    "AWS::IAM::Role": {"iam:GetRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy"},
}
"""Actions that are needed though NEEDLESS elsewhere, or though the schema does not name them."""


def schema(kind: str) -> set[str]:
    """What AWS's handlers of a type may ask for."""
    handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]
    return {action for name, each in handlers.items() if name != "list" for action in each["permissions"]}


def is_needless(kind: str, action: str, *forms: str) -> bool:
    return any(re.fullmatch(form, each) for form in forms or NEEDLESS for each in (action, f"{kind} {action}"))


def allowed(permissions: Permissions) -> set[str]:
    return {action for each in permissions.policy.statement for action in each.action}


def policy(permissions: Permissions) -> Any:
    return json.loads(permissions.policy.as_json())


@pytest.mark.parametrize("kind", sorted(OURS))
def test_a_type_of_the_templates_takes_what_awss_schema_says_and_no_more(kind: str) -> None:
    beside = BESIDE.get(kind, set())
    expected = {action for action in schema(kind) if not is_needless(kind, action)}
    missing = expected - set(KINDS[kind])
    too_many = {
        action
        for action in set(KINDS[kind]) - expected
        if not any(fnmatch.fnmatchcase(action, each) for each in beside)
    }
    assert (missing, too_many) == (set(), set())


def test_there_is_nothing_for_types_that_the_templates_do_not_have() -> None:
    assert KINDS.keys() == OURS
    assert WORDS.keys() >= OURS


@pytest.mark.parametrize("form", NEEDLESS)
def test_what_is_called_needless_stands_in_a_schema(form: str) -> None:
    assert any(is_needless(kind, action, form) for kind in OURS for action in schema(kind))


def test_only_what_a_plan_makes_is_asked_for() -> None:
    services = {name: {each.partition(":")[0] for each in allowed(planned(asked).permissions)} for name, asked in {
        "own": {}, "pool": POOL, "issuer": ISSUER, "zone": DOMAIN, "mail": {"AlarmEmail": "a@example.com"},
        "checked": CHECKED,
    }.items()}  # fmt: skip
    assert "cognito-idp" in services["own"]
    assert "cognito-idp" not in services["pool"] | services["issuer"]
    assert services["zone"] - services["own"] == {"route53"}
    assert services["mail"] - services["own"] == {"sns"}
    assert services["checked"] - services["own"] == {"events", "sns"}


def test_a_role_that_is_brought_is_passed_and_none_is_made() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/elsewhere/ours"
    brought = planned({"RoleArn": role, "AccessLogs": "no"}).permissions
    assert {action for action in allowed(brought) if action.startswith("iam:")} == {"iam:PassRole", "iam:GetRole"}
    (passing,) = [each for each in policy(brought)["Statement"] if each["Action"] == ["iam:PassRole"]]
    assert role in passing["Resource"]
    assert passing["Condition"]["StringEquals"]["iam:PassedToService"] == [
        "lambda.amazonaws.com",
        "apigateway.amazonaws.com",
    ]
    assert "iam:CreateRole" in allowed(planned({}).permissions)


def test_an_image_that_is_there_takes_no_right_to_push() -> None:
    there = allowed(planned({}, builds=False).permissions)
    assert not {"ecr:PutImage", "ecr:CreateRepository", "ecr:GetAuthorizationToken"} & there
    assert {"ecr:PutImage", "ecr:CreateRepository", "ecr:GetAuthorizationToken"} <= allowed(planned({}).permissions)


def test_somebody_is_invited_only_where_that_was_asked_for() -> None:
    invites = allowed(planned({}, first_user="cleo@example.com").permissions)
    assert invites - allowed(planned({}).permissions) == {
        "cognito-idp:AdminAddUserToGroup",
        "cognito-idp:AdminCreateUser",
    }


def test_each_action_says_what_needs_it_and_stands_in_the_policy_once() -> None:
    for asked in ({}, {"ApiKeys": "yes", "FunctionUrl": "yes"}, {**ISSUER, **DOMAIN}):
        permissions = planned(asked).permissions
        assert {each.of for each in permissions.needed} <= KINDS.keys() | CALLS.keys()
        stated = [action for each in permissions.policy.statement for action in each.action]
        assert sorted(stated) == list(permissions.actions)
        assert len({each.sid for each in permissions.policy.statement}) == len(permissions.policy.statement)


def test_the_policy_names_what_may_be_acted_on_as_far_as_its_name_is_known() -> None:
    document = policy(planned({"FunctionName": "reads-logs"}).permissions)
    assert document["Version"] == "2012-10-17"
    assert {each["Effect"] for each in document["Statement"]} == {"Allow"}
    by_sid = {each["Sid"]: each["Resource"] for each in document["Statement"]}
    assert by_sid["Dynamodb"] == [f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{STACK}*"]
    assert by_sid["Lambda"] == [
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{STACK}*",
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:reads-logs",
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:reads-logs:*",
    ]
    assert by_sid["S3"] == [f"arn:aws:s3:::{STACK}*", f"arn:aws:s3:::{STACK}*/*"]
    everywhere = [each for each in document["Statement"] if each["Resource"] == ["*"]]
    assert all(each["Sid"].endswith("AsAWhole") for each in everywhere)
    assert sum(len(each["Action"]) for each in everywhere) < 12


def test_where_the_account_is_not_known_the_policy_holds_for_any() -> None:
    by_sid = {each["Sid"]: each["Resource"] for each in policy(planned({}, UNKNOWN).permissions)["Statement"]}
    assert by_sid["Dynamodb"] == [f"arn:aws:dynamodb:{REGION}:*:table/{STACK}*"]


@pytest.mark.parametrize("region", ["eu-west-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1"])
def test_without_credentials_the_partition_is_that_of_the_region(region: str) -> None:
    unknown = Found(account="ACCOUNT", region=region, is_known=False)
    (statement,) = policy_for("insights:x", region=region).statement[:1]
    partition = statement.resource[0].split(":")[1]
    for each in policy(planned({"ImageUri": ""}, unknown).permissions)["Statement"]:
        assert {arn.split(":")[1] for arn in each["Resource"] if arn != "*"} <= {partition}


def test_it_fits_into_the_policy_of_a_role() -> None:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: 10,240 of all inline policies
    asked = {**DOMAIN, **CHECKED, "ApiKeys": "yes", "FunctionUrl": "yes", "AlarmEmail": "a@example.com"}
    largest = planned(asked).permissions
    assert len(largest.policy.compact()) < 10_240


def test_what_a_change_removes_has_to_be_allowed_too() -> None:
    switched = planned(POOL, carried_out(planned({})))
    assert "UserPoolDomain" not in switched.resources
    assert "cognito-idp:DeleteUserPoolDomain" in switched.permissions.actions
