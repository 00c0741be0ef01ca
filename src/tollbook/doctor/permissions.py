"""Whether a caller or a role may do what is needed, as IAM itself works it out.

Sources:
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tollbook.core.iam import Statement
from tollbook.doctor.finding import Finding, failed, ok, unknown

CHECK: Final = "permissions"
_NEEDS: Final = "iam:SimulatePrincipalPolicy"
_SESSION: Final = re.compile(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([\w+=,.@-]{1,64})/.+", re.ASCII)
_PRINCIPAL: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(?:user|role)/.+")
_SAMPLE: Final = "tollbook-doctor"
"""Stands where a statement holds for whatever name: IAM is asked about one resource, which a * is not."""
_MOST_PAGES: Final = 20
_FAULTS: Final = (ClientError, BotoCoreError, ResponseParserError)


class CannotSimulate(Exception):
    """Nothing is known of what the caller may; says why, as a sentence."""


def simulated(iam: Any, arn: str, statements: Sequence[Statement], region: str, wants: str) -> Finding:
    """Whether `arn` may do all that `statements` allow.

    Args:
        iam: a client.
        arn: of a user, a role or a role's session, as STS tells it.
        region: of the requests.
        wants: what prints those statements, such as `tollbook iam cloudwatch`.
    """
    try:
        principal = _principal(iam, arn)
        missing = [each for statement in statements for each in _missing(iam, principal, statement, region)]
    except CannotSimulate as why:
        said = f"For {region}: {why}"
        return unknown(CHECK, said, f"Compare its policies with what '{wants}' prints.", principal=arn, region=region)
    facts = {"principal": principal, "region": region, "missing": [action for action, _ in missing]}
    if missing:
        actions = list(dict.fromkeys(action for action, _ in missing))
        is_denied = any(decision == "explicitDeny" for _, decision in missing)
        how = "is denied" if is_denied else "lacks"
        remedy = "Whoever wrote that deny must take it back." if is_denied else f"Allow it what '{wants}' prints."
        return failed(CHECK, f"{principal} {how} {', '.join(actions)} in {region}.", remedy, **facts)
    return ok(CHECK, f"{principal} may do all that is needed in {region}.", **facts)


def role_name(arn: str) -> str | None:
    """The role that a session is one of; None for anybody else."""
    found = _SESSION.fullmatch(arn)
    return found[3] if found else None


def _principal(iam: Any, arn: str) -> str:
    """Whom IAM is to be asked about: policies are attached to roles, not to their sessions."""
    name = role_name(arn)
    if name is None:
        if _PRINCIPAL.fullmatch(arn):
            return arn
        raise CannotSimulate(f"IAM works nothing out for {arn}: only for users and roles.")
    try:
        # The session's ARN leaves out the role's path, which IAM Identity Center's roles have.
        return str(iam.get_role(RoleName=name)["Role"]["Arn"])
    except _FAULTS as fault:
        raise _cannot("iam:GetRole", fault) from fault


def _missing(iam: Any, principal: str, statement: Statement, region: str) -> Iterator[tuple[str, str]]:
    """The actions that are not allowed, each with IAM's decision."""
    if statement.effect != "Allow":
        return
    question = {
        "PolicySourceArn": principal,
        "ActionNames": list(statement.action),
        "ResourceArns": [each if each == "*" else each.replace("*", _SAMPLE) for each in statement.resource] or ["*"],
        "ContextEntries": _context(statement.condition, region),
    }
    marker: Mapping[str, str] = {}
    for _ in range(_MOST_PAGES):
        try:
            answer = iam.simulate_principal_policy(**question, **marker)
        except _FAULTS as fault:
            raise _cannot(_NEEDS, fault) from fault
        for result in answer.get("EvaluationResults", ()):
            if result["EvalDecision"] != "allowed":
                yield result["EvalActionName"], result["EvalDecision"]
        if not answer.get("IsTruncated"):
            return
        marker = {"Marker": answer["Marker"]}
    raise CannotSimulate("IAM's answer does not end.")


def _context(condition: Mapping[str, Mapping[str, Sequence[str]]], region: str) -> list[dict[str, Any]]:
    """Values of condition keys that the requests will have."""
    entries = {"aws:RequestedRegion": [region]}
    for keys in condition.values():
        entries |= {key: [value.replace("*", _SAMPLE) for value in values[:1]] for key, values in keys.items()}
    return [
        {"ContextKeyName": key, "ContextKeyValues": values, "ContextKeyType": "string"}
        for key, values in entries.items()
    ]


def _cannot(action: str, fault: Exception) -> CannotSimulate:
    code = fault.response.get("Error", {}).get("Code", "") if isinstance(fault, ClientError) else type(fault).__name__
    return CannotSimulate(f"IAM could not be asked what is allowed ({action}: {code}).")
