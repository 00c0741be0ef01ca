"""The value of every parameter: of what is said, of what the stack has, and of what is decided here. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from tollbook.deploy.plan.contradictions import is_of_pool, why_not_cognito
from tollbook.deploy.plan.limits import reserved_in
from tollbook.deploy.plan.options import YES

OWN_SIGHT: Final = {"SeesAll": "group:finops", "OwnCalls": "role/AWSReservedSSO_*/{username}"}
"""Who sees what in a pool that is made here, unless it is said."""
_OF_A_POOL: Final = ("CognitoAllowedClientIds", "CognitoDomain")
_LONGEST_PREFIX: Final = 63
"""Source: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_CreateUserPoolDomain.html"""


def decided(
    given: Mapping[str, str],
    present: Mapping[str, str],
    usual: Mapping[str, str],
    *,
    stack: str,
    account: str,
    has_api_log_role: bool,
    function_url: str,
) -> tuple[Mapping[str, str], str]:
    """The parameters of a stack, and a sentence on who asks at its gateway.

    Args:
        given: what is said; an empty text goes back to what is usual.
        present: what the stack has; nothing for a new one.
        usual: the template's defaults, by which the parameters are known.
        account: of twelve digits, or the word `ACCOUNT`.
        has_api_log_role: whether API Gateway may write logs in this account and region already.
        function_url: as the stack tells it; empty where there is none yet.
    """
    values = {
        name: (given[name] or default) if name in given else present.get(name, default)
        for name, default in usual.items()
    }
    values.update({name: usual[name] for name in _stale(given, values, present)})
    values["OwnPool"] = "no" if values["CognitoUserPoolId"] or values["OauthIssuer"] else YES
    if values["OwnPool"] == YES:
        if not (values["SeesAll"] or values["OwnCalls"]):
            values.update(OWN_SIGHT)
        values["LoginPrefix"] = values["LoginPrefix"] or _prefix(stack, account)
    has_none = not has_api_log_role and values["AccessLogs"] == YES
    # One that was made stays; one that somebody else has made since is left alone.
    has_ours = (present.get("ApiLogRole"), present.get("AccessLogs"), values["AccessLogs"]) == (YES, YES, YES)
    values["ApiLogRole"] = YES if has_none or has_ours else "no"
    values["FunctionUrlHost"] = urlsplit(function_url).hostname or "" if values["FunctionUrl"] == YES else ""
    values["AuthMethod"], why = _gateway(given, values, {**usual, **present} if present else {})
    return values, why


def _stale(given: Mapping[str, str], values: Mapping[str, str], present: Mapping[str, str]) -> Iterator[str]:
    """The parameters that belonged to what the stack had, and make no sense with what it shall have."""
    pool, issuer = values["CognitoUserPoolId"], values["OauthIssuer"]
    stale = set[str]()
    if not values["DomainName"]:
        stale |= {"CertificateArn", "HostedZoneId"}
    if not values["BudgetSchedule"]:
        stale |= {"BudgetEmail"}
    if pool and not present.get("CognitoUserPoolId"):
        stale |= {"OauthIssuer", "OauthJwksUrl"}
    if issuer and not present.get("OauthIssuer") and not is_of_pool(issuer, pool):
        stale |= {"CognitoUserPoolId", *_OF_A_POOL}
    if present.get("OwnPool") == "no" and not (pool or issuer):
        stale |= {"OauthJwksUrl", "OauthAudience", "OauthClientsWithoutAud", "OauthRequiredScope", *_OF_A_POOL}
    if present.get("OwnPool") == YES and (pool or issuer):
        # What was right for people whom an administrator named: elsewhere somebody might choose his own name.
        stale |= {name for name, value in OWN_SIGHT.items() if values[name] == value}
    yield from (name for name in stale if name in present and name not in given)


def _gateway(given: Mapping[str, str], values: Mapping[str, str], present: Mapping[str, str]) -> tuple[str, str]:
    """Who asks at the gateway, and why he.

    Args:
        present: every parameter of the stack; nothing for a new one.
    """
    reason, said = why_not_cognito(values), given.get("AuthMethod", "")
    before = "" if "AuthMethod" in given else present.get("AuthMethod", "")
    # The stack does not tell whether it was said: where there was a reason, that is taken to be why.
    is_free = bool(before == "lambda" and not reason and why_not_cognito(present))
    method = said or ("lambda" if reason else "oauth" if is_free else before or "oauth")
    if method == "oauth":
        again = ", since nothing keeps it from that any longer" if is_free else ""
        return (
            method,
            "At the gateway Cognito's authorizer asks for a token and its scope (oauth)"
            f"{again}; the server asks again.",
        )
    why = f"since Cognito's cannot: {reason}" if reason else "as was said" if said else "as before"
    return method, f"At the gateway tollbook's authorizer asks for a token (lambda), {why}; the server asks again."


def _prefix(stack: str, account: str) -> str:
    """Of the login pages: told apart by the account too, since those of everyone in a region share their names."""
    name = stack.lower()
    while word := reserved_in(name):
        name = re.sub("-{2,}", "-", name.replace(word, ""))
    return f"{name[: _LONGEST_PREFIX - len(account) - 1].strip('-')}-{account.lower()}".strip("-")
