"""Who asks AWS from here."""

import re
from typing import Any, Final

import msgspec

from tollbook.doctor.finding import Finding, failed, failed_with, ok, unknown
from tollbook.sources.aws.trouble import Denied, NotLoggedIn, Trouble, Unreachable, translated

CHECK: Final = "credentials"
_ARN: Final = re.compile(r"arn:(aws[a-z-]*):[a-z]+::(\d{12}):(.+)")


class Caller(msgspec.Struct, frozen=True):
    """Whoever the credentials at hand are of.

    Attributes:
        arn: as STS has it: of a user, of a role's session, or of the account's root.
    """

    arn: str
    account: str
    partition: str


def caller(sts: Any) -> tuple[Caller | None, Finding]:
    """Who asks; None where AWS does not say.

    Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html (no permission is needed)
    """
    try:
        with translated("your account", "sts:GetCallerIdentity"):
            arn = str(sts.get_caller_identity()["Arn"])
    except Trouble as fault:
        return None, failed_with(CHECK, fault)
    found = _ARN.fullmatch(arn)
    if found is None:
        return None, failed(
            CHECK, f"AWS says that you are {arn}, which is no ARN.", "See whether a proxy answers for AWS."
        )
    return Caller(arn, found[2], found[1]), ok(CHECK, f"You are {arn}.", arn=arn, account=found[2])


def of_aws(check: str, fault: Trouble, needs: str) -> Finding:
    """What a fault of AWS means for a check.

    Args:
        needs: the permission that the check takes; without it nothing is known, and nothing need be wrong.
    """
    if isinstance(fault, Denied):
        return unknown(check, f"The credentials at hand may not look ({needs}).", f"Ask again with {needs} allowed.")
    if isinstance(fault, Unreachable | NotLoggedIn):
        return failed_with(check, fault)
    return unknown(check, str(fault), "Ask again; if it stays so, look in the AWS console.")
