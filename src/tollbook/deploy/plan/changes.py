"""What a change set will do, in words. Pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Final, Literal

import msgspec

from tollbook.deploy.plan.options import flag_of


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that will be otherwise.

    Attributes:
        kind: `make`, `change` or `remove`.
        what: resources in words, or the flag of what is said otherwise.
        before, after: of a parameter, as written; empty where it is not set.
        effect: what people notice, as a sentence; empty where they notice nothing.
    """

    kind: Literal["make", "change", "remove"]
    what: str
    before: str = ""
    after: str = ""
    effect: str = ""


def all_new(resources: Mapping[str, str]) -> Iterator[Change]:
    """What is made where nothing was: a line for each service.

    Args:
        resources: types by logical id.
    """
    services: dict[str, Counter[str]] = {}
    for kind in resources.values():
        services.setdefault(_service(kind), Counter())[kind] += 1
    for service, kinds in services.items():
        parts = (_counted(kind, number) for kind, number in kinds.items())
        yield Change(kind="make", what=f"{service}: {', '.join(parts)}")


def between(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    """The resources that are made and removed; both by logical id, without hashes."""
    for name, kind in after.items():
        if name not in before:
            yield Change(kind="make", what=_named(name, kind))
    for name, kind in before.items():
        if name not in after:
            effect = _STAYS if kind in _KEPT else ""
            yield Change(kind="remove", what=_named(name, kind), effect=effect)


def said_otherwise(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    """The parameters of a stack that change, in the template's order."""
    others = {name for name, value in after.items() if before.get(name, "") != value}
    for name, value in after.items():
        if name in others:
            yield Change(
                kind="change",
                what=_WORDS_OF_PLAN.get(name) or flag_of(name),
                before=before.get(name, ""),
                after=value,
                effect=_effect(name, before, after, others),
            )


def _effect(name: str, before: Mapping[str, str], after: Mapping[str, str], others: Collection[str]) -> str:
    """What people notice of a parameter that changes, among `others`."""
    has_domain = bool(before.get("DomainName") and before.get("DomainName") == after["DomainName"])
    if name == "StageName" and has_domain:
        return ""
    if name == "AuthMethod" and not any(_EFFECTS.get(each, "").endswith(_ANEW) for each in others):
        return f"{_EFFECTS[name]} Nobody has to log in anew."
    if name == "CognitoAllowedClientIds" and after["OwnPool"] == "yes":
        return "Tokens of these clients are accepted beside those of the stack's own."
    if name == "TollbookSource" and after["RoleArn"]:
        return "Reports are about other logs: see that the role of --role-arn may read them."
    if name == "TollbookSource" and after[name].startswith("athena:"):
        return "Reports are about other logs; for Athena the server's role gets nothing but what --policy-arns name."
    return _EFFECTS.get(name, "")


def _named(name: str, kind: str) -> str:
    """A resource in words, with the name by which CloudFormation will tell of it."""
    return f"{_counted(kind, 1)} of {_service(kind)} ({name})"


def _service(kind: str) -> str:
    service = kind.split("::")[1]
    return _SERVICES.get(service, service)


def _counted(kind: str, number: int) -> str:
    one, many = WORDS.get(kind, (f"a {kind}", kind))
    return one if number == 1 else f"{number} {many}"


_SERVICES: Final = {
    "ApiGateway": "API Gateway",
    "Events": "EventBridge",
    "Logs": "CloudWatch Logs",
    "Route53": "Route 53",
    "SecretsManager": "Secrets Manager",
}
WORDS: Final = {
    "AWS::ApiGateway::Account": ("the account's role for logs", "roles for logs"),
    "AWS::ApiGateway::Authorizer": ("an authorizer", "authorizers"),
    "AWS::ApiGateway::BasePathMapping": ("a mapping of the domain", "mappings of domains"),
    "AWS::ApiGateway::Deployment": ("a deployment", "deployments"),
    "AWS::ApiGateway::DomainName": ("a domain", "domains"),
    "AWS::ApiGateway::GatewayResponse": ("a gateway response", "gateway responses"),
    "AWS::ApiGateway::Method": ("a method", "methods"),
    "AWS::ApiGateway::Resource": ("a path", "paths"),
    "AWS::ApiGateway::RestApi": ("an API", "APIs"),
    "AWS::ApiGateway::Stage": ("a stage", "stages"),
    "AWS::CloudWatch::Alarm": ("an alarm", "alarms"),
    "AWS::Cognito::ManagedLoginBranding": ("the look of its login pages", "looks of login pages"),
    "AWS::Cognito::UserPool": ("a user pool", "user pools"),
    "AWS::Cognito::UserPoolClient": ("an app client", "app clients"),
    "AWS::Cognito::UserPoolDomain": ("a domain for logins", "domains for logins"),
    "AWS::Cognito::UserPoolGroup": ("a group", "groups"),
    "AWS::Cognito::UserPoolResourceServer": ("a resource server", "resource servers"),
    "AWS::DynamoDB::Table": ("a table", "tables"),
    "AWS::ECR::Repository": ("a repository for the image", "repositories"),
    "AWS::Events::Rule": ("a schedule", "schedules"),
    "AWS::IAM::Role": ("a role", "roles"),
    "AWS::Lambda::Alias": ("an alias", "aliases"),
    "AWS::Lambda::Function": ("a function", "functions"),
    "AWS::Lambda::Permission": ("a permission", "permissions"),
    "AWS::Lambda::Url": ("a function URL", "function URLs"),
    "AWS::Lambda::Version": ("a version", "versions"),
    "AWS::Logs::LogGroup": ("a log group", "log groups"),
    "AWS::Route53::RecordSet": ("a record", "records"),
    "AWS::Route53::RecordSetGroup": ("a group of records", "groups of records"),
    "AWS::S3::Bucket": ("a bucket", "buckets"),
    "AWS::S3::BucketPolicy": ("its policy", "policies"),
    "AWS::SNS::Subscription": ("a subscription", "subscriptions"),
    "AWS::SNS::Topic": ("a topic", "topics"),
    "AWS::SNS::TopicPolicy": ("its policy", "policies"),
    "AWS::SecretsManager::Secret": ("a secret", "secrets"),
}
"""One and several of each type of resource."""

_KEPT: Final = frozenset(
    {
        "AWS::Cognito::UserPool",
        "AWS::DynamoDB::Table",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
    }
)
"""What the template keeps, with what is in it, when the stack lets it go."""
_STAYS: Final = "The stack lets it go; it stays as it is until 'tollbook destroy'."
_ANEW: Final = "all log in anew."
_MOVED: Final = f"The URL changes: give clients the new one; {_ANEW}"
_LOGINS: Final = f"Logins of before count no longer: {_ANEW}"
_WORDS_OF_PLAN: Final = {
    "ApiLogRole": "API Gateway's role for logs",
    "FunctionUrlHost": "the function URL's host",
    "ImageUri": "the image",
    "OwnPool": "a user pool of the stack's own",
}
"""What nobody says by a flag, or need not."""
_EFFECTS: Final = {
    "FunctionName": "The function is replaced: calls that are under way end with an error.",
    "FunctionUrl": "The function URL comes or goes; one that went never comes back under its address.",
    "StageName": _MOVED,
    "DomainName": _MOVED,
    "AuthMethod": "The gateway asks in another way; there is no moment at which nobody asks.",
    "ApiKeys": "Programs with API keys are let in, or no longer.",
    "OwnPool": _LOGINS,
    "CallbackUrls": "Hosts whose address is not among them cannot log in.",
    "CognitoUserPoolId": _LOGINS,
    "CognitoAllowedClientIds": "Tokens of clients that are not among them are refused.",
    "OauthIssuer": _LOGINS,
    "OauthAudience": _LOGINS,
    "OauthRequiredScope": f"Tokens without it are refused: {_ANEW}",
    "SeesAll": "Who sees whose calls changes.",
    "SeesTeam": "Who sees whose calls changes.",
    "OwnCalls": "Who sees whose calls changes.",
    "TeamCalls": "Who sees whose calls changes.",
    "TollbookSource": "Reports are about other logs; the server's role may read those and no others.",
}
"""What people notice of a changed parameter."""
