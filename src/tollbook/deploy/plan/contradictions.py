"""What cannot be deployed, said before AWS would: each as a sentence that begins with the options it is about. Pure."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from tollbook.core.loopback import is_loopback

_YES: Final = "yes"
_LONGEST_NAME: Final = 64
"""Source: https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"""
_AUTHORIZER: Final = "-authorizer"
_VARIABLES: Final = 4096
"""Bytes of all variables of a function: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
_MADE: Final = 100
"""Bytes to expect of a variable that the template puts together itself: the longest of them are URLs and secrets."""


def why_not_cognito(values: Mapping[str, str]) -> str:
    """Why Cognito's authorizer cannot stand at the gateway, as the end of a sentence; empty if it can.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-integrate-with-cognito.html
    """
    if values["OwnPool"] != _YES and not values["CognitoUserPoolId"]:
        return "it accepts tokens of a Cognito user pool alone, and the issuer is another"
    if values["ApiKeys"] == _YES:
        return "it knows no API keys"
    if ":noscope" in values["OauthClientsWithoutAud"]:
        return "it asks every token for the scope, and those of ':noscope' clients have none"
    return ""


def is_of_pool(issuer: str, pool: str) -> bool:
    """Whether a Cognito user pool may write itself as `issuer`.

    Source: https://docs.aws.amazon.com/cognito/latest/developerguide/federation-endpoints.html
    """
    form = rf"https://(issuer-)?cognito-idp\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/{re.escape(pool)}"
    return bool(pool and re.fullmatch(form, issuer))


def contradictions(
    values: Mapping[str, str], *, stack: str, region: str, account: str, template: str, first_user: str
) -> Iterator[str]:
    """What is wrong with the parameters `values` of `stack`.

    Args:
        account: of twelve digits, or the word `ACCOUNT`, of which nothing can be wrong.
    """
    yield from _function(values, stack, region, account)
    yield from _door(values, region)
    yield from _login(values, first_user)
    yield from _sight(values)
    yield from _budgets(values)
    if (size := _size_of_variables(template, values)) > _VARIABLES:
        yield (
            f"--accounts, --budgets, --allowed-origins and others: the function's variables come to about {size:,} "
            f"bytes, and Lambda takes {_VARIABLES:,}. Say less, or put the accounts into a file in the image."
        )


def _function(values: Mapping[str, str], stack: str, region: str, account: str) -> Iterator[str]:
    if values["SnapStart"] == _YES and values["ProvisionedConcurrency"] != "0":
        # https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html
        yield "--snap-start, --provisioned-concurrency: Lambda allows one of them. Leave the other out."
    names = [("--function-name", values["FunctionName"], "")]
    if values["AuthMethod"] == "lambda":
        names.append(("--lambda-authorizer-name", values["AuthorizerName"], _AUTHORIZER))
    for flag, given, ending in names:
        if not given and len(stack + ending) > _LONGEST_NAME:
            yield f"{flag}: '{stack}{ending}' is too long for a function of Lambda. Give it another name of 64 letters."
    image = re.match(r"(\d{12})\.dkr[.-]ecr\.([a-z0-9-]+)\.", values["ImageUri"])
    if image and image[2] != region:
        # https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
        yield f"--image-uri: the image is in {image[2]}; Lambda takes one of its own region, {region}. Copy it there."
    role = re.match(r"arn:[a-z-]+:iam::(\d{12}):", values["RoleArn"])
    if values["RoleArn"] and values["PolicyArns"]:
        yield "--policy-arns: they are for the role that is made; attach them to that of --role-arn yourself."
    if role and account.isdigit() and role[1] != account:
        yield f"--role-arn: it is of the account {role[1]}, and the function will be in {account}. Name one there."


def _door(values: Mapping[str, str], region: str) -> Iterator[str]:
    domain, certificate, zone = values["DomainName"], values["CertificateArn"], values["HostedZoneId"]
    if domain and not certificate:
        yield f"--domain-name: {domain} needs a certificate of ACM in {region}. Give its ARN with --certificate-arn."
    if certificate and not domain:
        yield "--certificate-arn: it belongs to a domain. Give that with --domain-name."
    if zone and not domain:
        yield "--hosted-zone-id: it belongs to a domain. Give that with --domain-name."
    found = re.match(r"arn:[a-z-]+:acm:([a-z0-9-]+):", certificate)
    if found and found[1] != region:
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-custom-domains-prerequisites.html
        yield f"--certificate-arn: it is in {found[1]}; a regional API takes one of its own region, {region}."
    topic = re.match(r"arn:[a-z-]+:sns:([a-z0-9-]+):", values["AlarmTopicArn"])
    if topic and topic[1] != region:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html (AlarmActions)
        yield f"--alarm-topic-arn: the topic is in {topic[1]}; an alarm tells one of its own region, {region}."


def _login(values: Mapping[str, str], first_user: str) -> Iterator[str]:
    if values["AuthMethod"] == "oauth" and (reason := why_not_cognito(values)):
        yield f"--auth-method: oauth puts Cognito's authorizer at the gateway, and {reason}. Say lambda."
    own = values["OwnPool"] == _YES
    if values["CognitoUserPoolId"] and not values["CognitoAllowedClientIds"]:
        yield (
            "--cognito-client-ids: it is missing; name the app clients whose users may ask, since every app of the "
            "pool gets tokens of the same issuer."
        )
    if own and values["OauthRequiredScope"] != "tollbook/use":
        yield "--oauth-required-scope: the pool that is made has one scope, tollbook/use. Leave it at that."
    if own and values["CognitoDomain"]:
        yield (
            "--cognito-domain: it is that of a pool you bring. Give --cognito-user-pool-id too, or name the login "
            "pages of the pool that is made with --login-prefix."
        )
    if own and values["OauthJwksUrl"]:
        yield "--oauth-jwks-url: it is that of an issuer you bring. Give --oauth-issuer too."
    issuer = values["OauthIssuer"]
    if issuer and values["CognitoUserPoolId"] and not is_of_pool(issuer, values["CognitoUserPoolId"]):
        yield (
            f"--oauth-issuer: tokens of the pool {values['CognitoUserPoolId']} never name {issuer} as their issuer, so "
            "that nobody would get in. Leave it out, or leave out --cognito-user-pool-id."
        )
    for flag, url in (("--oauth-issuer", issuer), ("--oauth-jwks-url", values["OauthJwksUrl"])):
        if _is_out_of_reach(urlsplit(url).hostname or ""):
            yield f"{flag}: a function of Lambda cannot reach {url}. Name an address that the Internet reaches."
    if first_user and not own:
        yield "--first-user: users are made in a pool that is made here; make this one in your own."


def _is_out_of_reach(host: str) -> bool:
    """Whether `host` is an address of one machine or network alone; nothing is looked up."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return is_loopback(host)


def _sight(values: Mapping[str, str]) -> Iterator[str]:
    if values["App"]:  # which has calls of nobody to show
        return
    if not (values["SeesAll"] or values["OwnCalls"]):
        yield (
            "--sees-all, --own-calls: nobody would see any calls. Say who sees all, such as group:finops, or which "
            "calls are whose, by what people of your issuer cannot choose themselves."
        )
    if values["SeesTeam"] and not values["TeamCalls"]:
        yield "--team-calls: some may see their team's calls, and nothing says which those are."
    if values["TeamCalls"] and not values["SeesTeam"]:
        yield "--sees-team: nobody may see his team's calls. Say who may, such as anyone."


def _budgets(values: Mapping[str, str]) -> Iterator[str]:
    if values["BudgetSchedule"] and values["App"]:
        yield "--budget-schedule: budgets are tollbook's, and a server of your own takes its place. Leave it out."
    elif values["BudgetSchedule"] and not values["TollbookBudgets"]:
        yield "--budget-schedule: there are no budgets to check. Write [budgets.NAME] into tollbook.toml."
    if values["BudgetEmail"] and not values["BudgetSchedule"]:
        yield "--budget-email: nothing is checked. Say when with --budget-schedule."


def _size_of_variables(template: str, values: Mapping[str, str]) -> int:
    """About how many bytes the variables of the largest function come to."""
    largest = 0
    for block in re.findall(r"^ {8}Variables:[^\n]*\n((?: {10}.*\n|\s*#.*\n)+)", template, re.MULTILINE):
        size = 0
        for name, said in re.findall(r"^ {10}(\w+): (.*)$", block, re.MULTILINE):
            plain = re.fullmatch(r"!Ref (\w+)", said)
            named = {each for each in re.findall(r"\w+", said) if each in values}
            size += len(name) + sum(len(values[each].encode()) for each in named) + (0 if plain else _MADE)
        largest = max(largest, size)
    return largest
