"""Plans for tests: an account, what is asked for, and the stack that a plan comes to."""

from collections.abc import Mapping
from typing import Any, Final

from tests.deploy.evaluation import ACCOUNT, IMAGE, REGION
from tollbook.app.deployed import statements_for
from tollbook.deploy.found import Found, Stack
from tollbook.deploy.plan.planning import Plan, Wanted, plan

STACK: Final = "books"
NOTHING: Final = Found(account=ACCOUNT, region=REGION)
UNKNOWN: Final = Found(account="ACCOUNT", region=REGION, is_known=False)
POOL: Final = {
    "CognitoUserPoolId": "eu-west-1_AbCdEfGhI",
    "CognitoAllowedClientIds": "first,second",
    "OwnCalls": "user/{sub}",
}
ISSUER: Final = {"OauthIssuer": "https://login.example.com", "SeesAll": "group:leads"}
CERTIFICATE: Final = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1"
DOMAIN: Final = {"DomainName": "mcp.example.com", "CertificateArn": CERTIFICATE, "HostedZoneId": "Z0123456789"}


def statements(parameters: Mapping[str, str]) -> str:
    """What the server's role needs to read the logs that `parameters` name."""
    return statements_for(parameters, ACCOUNT, REGION)


def planned(given: Mapping[str, str], found: Found = NOTHING, **wanted: Any) -> Plan:
    """The plan for an image that is there."""
    return plan(Wanted(stack=STACK, given={"ImageUri": IMAGE, **given}, **wanted), found, statements)


def carried_out(done: Plan, **outputs: str) -> Found:
    """What there is once a plan was carried out."""
    stack = Stack(
        name=done.stack, status="UPDATE_COMPLETE", parameters=done.parameters, outputs=outputs, template=done.template
    )
    images = Stack(name=f"{done.stack}-bootstrap", status="CREATE_COMPLETE")
    return Found(account=ACCOUNT, region=REGION, stack=stack, bootstrap=images, has_api_log_role=True)
