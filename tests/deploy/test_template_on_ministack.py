"""The template, taken by CloudFormation: what it makes, and what it refuses."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3
import botocore.exceptions
import pytest

from tests.deploy.choices import (
    DOMAIN,
    HOSTS,
    ISSUER,
    KEYS,
    KNOWN_URL,
    LAMBDA,
    MAIL,
    MAILED,
    POOL,
    READY,
    ROLE,
    SNAPSHOT,
)
from tests.deploy.evaluation import IMAGE, Made
from tests.fakes.ministack import ACCOUNT, go_to_ministack
from tests.fakes.ministack import ministack as ministack
from tests.fakes.moto import REGION
from tollbook.app.deployed import statements_for
from tollbook.deploy.plan.document import defaults
from tollbook.deploy.template import bootstrap, rendered, template

STACKS: Final = {
    "own-pool": {},
    "own-pool-and-keys": KEYS,
    "another-pool": {**POOL, **ROLE, "AccessLogs": "no"},
    "another-issuer": {**ISSUER, **LAMBDA},
    "domain": {**DOMAIN, "HostedZoneId": "ZONE"},
    "function-url": {**KNOWN_URL, **HOSTS, **SNAPSHOT},
    "ready": {**READY, **MAIL, **MAILED, "ApiLogRole": "yes", "ResultsKeptSeconds": "2592000"},
}


@pytest.fixture
def cloud(ministack: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A client of CloudFormation."""
    go_to_ministack(ministack, monkeypatch, tmp_path)
    with contextlib.closing(boto3.session.Session().client("cloudformation")) as client:
        yield client


@pytest.fixture
def zone(cloud: Any) -> Iterator[str]:
    """The id of a hosted zone for the domain."""
    with contextlib.closing(boto3.session.Session().client("route53")) as route53:
        made = route53.create_hosted_zone(Name=DOMAIN["DomainName"], CallerReference="tests")
        yield made["HostedZone"]["Id"].rpartition("/")[2]


def whole(**parameters: str) -> str:
    """The template as it is deployed."""
    values = {name: default or "" for name, default in defaults(template()).items()} | parameters
    return rendered(template(), statements_for(values, ACCOUNT, REGION), "0123456789")


def as_it_stands() -> str:
    """The template without its comments: with them a request has no room for it.

    The console puts what it is given into S3, from where CloudFormation takes 1 MB:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
    """
    return re.sub(r"(?m)^ *#.*\n", "", template())


def create(cloud: Any, name: str, text: str, **parameters: str) -> Any:
    """The stack that came of it."""
    cloud.create_stack(
        StackName=name,
        TemplateBody=text,
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Tags=[{"Key": "tollbook:stack", "Value": name}],
    )
    cloud.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    return cloud.describe_stacks(StackName=name)["Stacks"][0]


@pytest.mark.parametrize("name", STACKS)
def test_makes_what_its_conditions_say(cloud: Any, zone: str, name: str) -> None:
    parameters = {**STACKS[name]}
    if "HostedZoneId" in parameters:
        parameters["HostedZoneId"] = zone
    text = whole(**parameters)
    stack = create(cloud, name, text, ImageUri=IMAGE, **parameters)
    there = {each["LogicalResourceId"] for each in cloud.describe_stack_resources(StackName=name)["StackResources"]}
    expected = Made(text, **parameters)
    assert there == expected.resources.keys()
    assert {each["OutputKey"] for each in stack["Outputs"]} == expected.outputs.keys()


def test_can_be_deployed_as_it_stands(cloud: Any) -> None:
    assert create(cloud, "as-it-stands", as_it_stands(), ImageUri=IMAGE)["StackStatus"] == "CREATE_COMPLETE"
    (outputs,) = (create(cloud, "images", bootstrap())["Outputs"],)
    assert {each["OutputKey"] for each in outputs} == {"RepositoryUri", "RepositoryName"}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({**SNAPSHOT, **READY}, "SnapStart excludes ProvisionedConcurrency"),
        ({"ApiKeys": "yes"}, "Cognito's authorizer knows no API keys"),
        (ISSUER, "Cognito's authorizer needs a user pool"),
        ({"CognitoUserPoolId": "eu-west-1_A", "CognitoAllowedClientIds": "a"}, "are for OwnPool no"),
        ({"OauthRequiredScope": "other/use"}, "The own pool has one scope"),
        ({"OwnPool": "no", **LAMBDA, "SeesAll": "anyone"}, "Somebody must issue tokens"),
        ({**POOL, "SeesAll": ""}, "Say who sees what"),
        ({**POOL, "CognitoAllowedClientIds": ""}, "Name the app clients"),
        ({"DomainName": "mcp.example.com"}, "A DomainName needs its CertificateArn"),
        ({"ImageUri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/books:latest"}, "an image by its digest"),
    ],
)
def test_refuses_what_contradicts_itself(cloud: Any, parameters: dict[str, str], said: str) -> None:
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        create(cloud, "refused", as_it_stands(), **{"ImageUri": IMAGE, **parameters})
    assert said in str(refusal.value)
