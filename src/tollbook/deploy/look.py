"""What there is in an account before anything is done; nothing is changed."""

from collections.abc import Mapping

from tollbook.deploy.aws import Clients
from tollbook.deploy.cloudformation.stacks import Stacks
from tollbook.deploy.found import Found, bootstrap_of
from tollbook.deploy.trouble import translated


def account_of(aws: Clients) -> str:
    """The account that is spoken to, of twelve digits.

    Raises:
        DeployError: AWS refused or failed; `NotLoggedIn` where there are no credentials.
    """
    return _caller(aws)["Account"]


def look(aws: Clients, stacks: Stacks, stack: str) -> Found:
    """What a plan for `stack` begins with.

    Source: https://docs.aws.amazon.com/apigateway/latest/api/API_GetAccount.html

    Raises:
        DeployError: AWS refused or failed; `NotLoggedIn` where there are no credentials.
    """
    caller = _caller(aws)
    gateway = aws("apigateway")
    with translated("apigateway"):
        account = gateway.get_account()
    return Found(
        account=caller["Account"],
        region=gateway.meta.region_name,
        partition=caller["Arn"].split(":")[1],
        stack=stacks.find(stack, stack),
        has_api_log_role=bool(account.get("cloudwatchRoleArn")),
        bootstrap=stacks.find(bootstrap_of(stack), stack),
    )


def _caller(aws: Clients) -> Mapping[str, str]:
    """Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html"""
    with translated("sts"):
        caller: Mapping[str, str] = aws("sts").get_caller_identity()
    return caller
