"""Parameters that people may choose, by what they are about; and the stack that comes of them."""

from typing import Final

import pytest

from tests.deploy.evaluation import Made
from tollbook.deploy.template import template

OWN: Final[dict[str, str]] = {}
POOL: Final = {
    "OwnPool": "no",
    "CognitoUserPoolId": "us-east-1_AbCdEfGhI",
    "CognitoAllowedClientIds": "first,second",
    "CognitoDomain": "our-login",
    "SeesAll": "group:leads",
}
ISSUER: Final = {
    "OwnPool": "no",
    "OauthIssuer": "https://login.example.com",
    "OauthRequiredScope": "tollbook/use,tollbook/more",
    "OwnCalls": "user/{sub}",
}
LAMBDA: Final = {"AuthMethod": "lambda"}
KEYS: Final = {"AuthMethod": "lambda", "ApiKeys": "yes"}
DOMAIN: Final = {"DomainName": "mcp.example.com", "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/1"}
ZONE: Final = {**DOMAIN, "HostedZoneId": "Z0123456789"}
URL: Final = {"FunctionUrl": "yes"}
KNOWN_URL: Final = {"FunctionUrl": "yes", "FunctionUrlHost": "x.lambda-url.eu-west-1.on.aws"}
HOSTS: Final = {"AllowedHosts": "a.example.com,b.example.com"}
NAMES: Final = {
    "FunctionName": "server",
    "ApiName": "api",
    "AuthorizerName": "authorizer",
    "LoginPrefix": "our-books",
    "StageName": "prod",
}
ROLE: Final = {"RoleArn": "arn:aws:iam::123456789012:role/ours"}
POLICIES: Final = {"PolicyArns": "arn:aws:iam::aws:policy/One,arn:aws:iam::aws:policy/Two"}
SNAPSHOT: Final = {"SnapStart": "yes"}
READY: Final = {"ProvisionedConcurrency": "2"}
SILENT: Final = {"AccessLogs": "no"}
LOG_ROLE: Final = {"ApiLogRole": "yes"}
TOPIC: Final = {"AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms"}
MAIL: Final = {"AlarmEmail": "finops@example.com"}
CHECKED: Final = {"TollbookBudgets": '{"all":{"usd":100}}', "BudgetSchedule": "rate(1 day)"}
MAILED: Final = {**CHECKED, "BudgetEmail": "finops@example.com"}
LONG: Final = {"ResultsKeptSeconds": "2592000"}
NO_SCOPES: Final = {"CognitoSupportedScopes": ""}

LOGINS: Final = (
    OWN,
    {**OWN, **LAMBDA},
    {**OWN, **KEYS},
    POOL,
    {**POOL, **KEYS},
    {**ISSUER, **LAMBDA},
    {**ISSUER, **KEYS},
)
DOORS: Final = (OWN, DOMAIN, ZONE, URL, KNOWN_URL, {**KNOWN_URL, **HOSTS}, {**DOMAIN, **KNOWN_URL}, HOSTS)
OTHERS: Final = (
    *(NAMES, ROLE, POLICIES, SNAPSHOT, READY, SILENT, LOG_ROLE),
    *(TOPIC, MAIL, {**TOPIC, **MAIL}, CHECKED, MAILED, LONG, NO_SCOPES),
)


def made(**parameters: str) -> Made:
    """The stack, of the template as it lies in the package."""
    return Made(template(), **parameters)


@pytest.fixture(params=LOGINS, ids=lambda each: " ".join(each.values()) or "own pool")
def login(request: pytest.FixtureRequest) -> dict[str, str]:
    """Who may ask, in each way in turn."""
    return dict(request.param)


@pytest.fixture(params=[OWN, NAMES, DOMAIN], ids=["stage", "another stage", "domain"])
def door(request: pytest.FixtureRequest) -> dict[str, str]:
    """Where clients come in, likewise."""
    return dict(request.param)
