"""What there is of a deployment. Pure."""

from collections.abc import Mapping
from typing import Final

import msgspec

_BOOTSTRAP: Final = "-bootstrap"


def bootstrap_of(stack: str) -> str:
    """The name of the stack that holds the images of another."""
    return f"{stack}{_BOOTSTRAP}"


def without_bootstrap(name: str) -> str:
    """The name of the stack whose images a stack holds; its own, if it holds none."""
    return name.removesuffix(_BOOTSTRAP)


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """A stack of CloudFormation as it is.

    Attributes:
        status: CloudFormation's own word, such as `UPDATE_COMPLETE`.
        template: its text, as it was sent; empty where it was not asked for.
    """

    name: str
    status: str
    parameters: Mapping[str, str] = {}
    outputs: Mapping[str, str] = {}
    template: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What there is before the deployment.

    Attributes:
        account: of twelve digits; the word `ACCOUNT` where nothing is known.
        partition: `aws`, `aws-cn`, `aws-us-gov` or `aws-eusc`.
        stack: None where there is none, or none that lasts: one that never came to be is made anew.
        has_api_log_role: whether API Gateway may write logs in this account and region already.
        is_known: False without credentials: then it is planned as if nothing were there.
    """

    account: str
    region: str
    partition: str = "aws"
    stack: Stack | None = None
    has_api_log_role: bool = False
    bootstrap: Stack | None = None
    is_known: bool = True
