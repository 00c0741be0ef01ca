"""What to know of a plan before one says yes: a sentence each. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from tollbook.deploy.found import Found
from tollbook.deploy.plan.costs import snapshot_a_month
from tollbook.deploy.plan.options import YES

USUAL: Final = "cloudwatch:/aws/bedrock/modelinvocations"
"""What the server reports on where nothing is said."""
_ATHENA: Final = "athena:"
_LOOK_UPS: Final = (
    ("names", "Bedrock", "names"),
    ("metrics", "CloudWatch", "metrics"),
    ("bill", "Cost Explorer", "the bill"),
)
"""Each word of the server's setting, who is asked, and for what."""
_GROUP: Final = "group:"
_OF_POOL: Final = "finops"
"""The group that the template makes."""


def on_what_there_is(
    values: Mapping[str, str], given: Mapping[str, str], found: Found, *, builds: bool
) -> Iterator[str]:
    """What was found, and what the image is made of.

    Args:
        values: every parameter.
        given: what was said of them.
    """
    if not found.is_known:
        yield "There were no credentials, so nothing of AWS was looked at: it is planned as if nothing were there."
    if builds and not given.get("ImageUri"):
        project = " and of your project" if values["App"] else ""
        yield f"The image is made of this installation{project}, unless the repository has that very one."
    if "Architecture" in given and not (builds or "ImageUri" in given):
        yield f"The image stays the one that runs: see that it is for {values['Architecture']}."
    if values["App"]:
        yield f"It serves {values['App']} in place of tollbook's own server."
    if values["ApiLogRole"] == YES and not found.has_api_log_role:
        yield "API Gateway may write no logs here yet: it gets a role for that, which holds for the account and region."


def on_what_it_does(values: Mapping[str, str], region: str) -> Iterator[str]:
    """What the function may do and reads, and what comes with the ways in which it runs."""
    yield _role(values)
    if not values["App"]:
        yield from _reading(values, region)
    if values["SnapStart"] == YES:
        dollars = snapshot_a_month(values).quantize(Decimal("0.01"))
        yield (
            f"The snapshot costs about {dollars} dollars a month while nobody calls. One page of AWS says that "
            "SnapStart takes images, another that it does not: if Lambda refuses it, the change is rolled back."
        )
    if values["FunctionUrl"] == YES:
        yield (
            "Before a function URL stand neither the gateway's authorizer nor its throttle: the server alone asks for "
            "a token there, and anybody's requests start it, which costs."
        )
        if not values["FunctionUrlHost"]:
            yield "The host of a function URL is known once it is there: deploying makes a second change set for it."


def _role(values: Mapping[str, str]) -> str:
    if values["RoleArn"]:
        return f"The function runs as {values['RoleArn']}, which stays as it is: see that it may do what is needed."
    besides = f", and has the policies {_listed(values['PolicyArns'])}" if values["PolicyArns"] else ""
    if values["App"] or values["TollbookSource"].startswith(_ATHENA):
        reads = "" if values["App"] or values["TollbookLookUp"] == "none" else ", and what names and metrics take"
    else:
        reads = ", and what it reads"
    return f"The function's role may use the stack's own table, bucket and log{reads}; nothing else{besides}."


def _reading(values: Mapping[str, str], region: str) -> Iterator[str]:
    source = values["TollbookSource"] or USUAL
    where = "" if source.startswith("s3:") else f", in {_listed(values['TollbookRegions'] or region)}"
    roles, own = _roles(values), values["BedrockRoleArn"]
    by = f", as {own}, which must let it" if own else ""
    yield f"It reads {_listed(source)}{where}{by}{_look_up(values)}."
    if roles:
        yield f"For other accounts it assumes {_listed(','.join(roles))}: those must let it."
    if source.startswith(_ATHENA) and not (values["RoleArn"] or values["PolicyArns"] or own):
        yield (
            "Its role gets nothing for Athena, whose buckets and keys are not known here: name a policy of what "
            f"'tollbook iam {source}' prints with --policy-arns, or bring a role with --role-arn."
        )


def _look_up(values: Mapping[str, str]) -> str:
    asked = _words(values["TollbookLookUp"]) or ["names", "metrics"]
    found = [(who, what) for word, who, what in _LOOK_UPS if word in asked]
    if not found:
        return ""
    whom, what = (_listed(",".join(words)) for words in zip(*found, strict=True))
    cost = ", at $0.01 a request for the bill" if "bill" in asked else ""
    return f"; it asks {whom} for {what}{cost}"


def _roles(values: Mapping[str, str]) -> Iterable[str]:
    """The roles in the list of accounts."""
    try:
        listed: Any = msgspec.json.decode(values["TollbookAccounts"] or "{}")
    except msgspec.DecodeError:
        return ()
    entries = listed.values() if isinstance(listed, dict) else ()
    return [each["role"] for each in entries if isinstance(each, dict) and isinstance(each.get("role"), str)]


def on_who_sees_what(values: Mapping[str, str]) -> Iterator[str]:
    """Whose calls are shown to whom; of a server of one's own there are none."""
    if values["App"]:
        return
    who, own, team = (_words(values[name]) for name in ("SeesAll", "OwnCalls", "SeesTeam"))
    if "anyone" in who:
        yield "Everyone who can log in sees every call, whoever made it (--sees-all anyone)."
        return
    all_calls = f"{_people(who)} all calls" if who else ""
    others = "everybody else" if who else "everybody"
    theirs = f"{others} sees those of {_listed(values['OwnCalls'])}" if own else f"{others} sees none"
    sentence = "; ".join(filter(None, (all_calls, theirs)))
    yield f"Who sees what: {sentence}."
    if team:
        sees = "everyone sees" if "anyone" in team else _people(team)
        yield f"Of a team's calls, which are {_listed(values['TeamCalls'])}, {sees} those of his own team."
    groups = [each.removeprefix(_GROUP) for each in who if each.startswith(_GROUP)]
    others_than_ours = [each for each in groups if each != _OF_POOL]
    if values["OwnPool"] == YES and others_than_ours:
        nobody = "" if own or len(groups) < len(who) or _OF_POOL in groups else " Until then nobody sees any call."
        yield (
            f"The pool has the group {_OF_POOL} alone: make {_listed(','.join(others_than_ours))} in it yourself, and "
            f"put people there.{nobody}"
        )


def _people(who: Iterable[str]) -> str:
    named = [f"the group {each.removeprefix(_GROUP)}" if each.startswith(_GROUP) else each for each in who]
    return f"whoever is of {_listed(','.join(named), 'or')} sees"


def on_what_to_do(values: Mapping[str, str], first_user: str) -> Iterator[str]:
    """What is left for people to do, or comes to them."""
    if values["OwnPool"] == YES:
        yield "The user pool is the stack's own. Nobody can sign up: whoever administers it makes its users."
        if values["CognitoAllowedClientIds"]:
            clients = _listed(values["CognitoAllowedClientIds"])
            yield f"Tokens of the app clients {clients} are accepted too, beside those of the client that is made."
    elif values["CognitoUserPoolId"]:
        yield "The user pool is yours: see that its client has the callback URLs of docs/cognito.md."
        if values["OauthIssuer"]:
            yield f"Tokens count if their issuer is {values['OauthIssuer']}, as the pool may write itself."
    if first_user:
        yield f"{first_user} is invited by mail, and put into its group {_OF_POOL}."
    if values["DomainName"] and not values["HostedZoneId"]:
        yield f"Let {values['DomainName']} lead to the API yourself: the output DomainTarget says where it is."
    if values["AlarmEmail"]:
        too = ", beside the topic of --alarm-topic-arn" if values["AlarmTopicArn"] else ""
        yield f"{values['AlarmEmail']} gets a mail of SNS, and must confirm it before alarms come{too}."
    yield from _on_budgets(values)


def _on_budgets(values: Mapping[str, str]) -> Iterator[str]:
    if not values["BudgetSchedule"]:
        return
    own = "; see that the role of --role-arn may do sns:Publish on it" if values["RoleArn"] else ""
    yield (
        f"Budgets are checked by {values['BudgetSchedule']}, in UTC. While one is over its limit or near it, each run "
        f"tells the topic of the output BudgetTopicArn{own}."
    )
    yield "A run reads eight weeks of logs; days that are over are kept, so that later runs read few of them."
    if values["BudgetEmail"]:
        yield f"{values['BudgetEmail']} gets a mail of SNS, and must confirm it before budgets are told."


def _words(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _listed(text: str, last: str = "and") -> str:
    """What stands between commas, as a part of a sentence."""
    *before, end = _words(text)
    return f"{', '.join(before)} {last} {end}" if before else end
