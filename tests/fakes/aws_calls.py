"""What was really asked of AWS, as IAM would see it, beside what a policy allows."""

import re
import threading
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from tollbook.core.iam import Policy, Statement

_IAM: Final[Mapping[str, tuple[str, ...]]] = {
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:ListObjects": ("s3:ListBucket",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject",),
    "s3:ListBuckets": ("s3:ListAllMyBuckets",),
    "s3:DeleteObjects": ("s3:DeleteObject",),
    "s3:CopyObject": ("s3:GetObject", "s3:PutObject"),
    "s3:CreateMultipartUpload": ("s3:PutObject",),
    "s3:UploadPart": ("s3:PutObject",),
    "s3:CompleteMultipartUpload": ("s3:PutObject",),
    "s3:ListParts": ("s3:ListMultipartUploadParts",),
    "s3:ListMultipartUploads": ("s3:ListBucketMultipartUploads",),
    # "No permissions are required": https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    "sts:GetCallerIdentity": (),
}
"""The actions that an operation needs, where it is not the one of its own name."""

_PREFIX: Final = {"service-quotas": "servicequotas"}
"""A service's name in IAM, where botocore has another."""

_BEDROCK_ARNS: Final = (
    "inferenceProfileIdentifier",
    "provisionedModelId",
    "customModelDeploymentIdentifier",
    "modelIdentifier",
    "promptRouterArn",
    "resourceARN",
)


class Asked(NamedTuple):
    """One permission that a call needed.

    Attributes:
        resources: their ARNs; empty where the action takes none, or where the call does not tell them.
        context: values of condition keys.
    """

    action: str
    resources: tuple[str, ...]
    context: Mapping[str, str]


class AwsCalls:
    """Listens to clients of boto3 and lists what they ask, whatever is answered.

    Source of the event: https://docs.aws.amazon.com/boto3/latest/guide/events.html

    Args:
        account: whose resources they ask for.
    """

    def __init__(self, account: str = "123456789012") -> None:
        self._account, self._turn = account, threading.Lock()
        self._groups: list[str] = []  # that queries were started on
        self.operations: list[str] = []
        """Such as `s3:ListObjectsV2`, in their order."""
        self.asked: list[Asked] = []

    def watch(self, speaker: Any) -> Any:
        """Listens to a client, or to all that a session of boto3 makes from now on; gives it back."""
        events = speaker.events if hasattr(speaker, "events") else speaker.meta.events
        events.register("provide-client-params", self._hear)
        return speaker

    @property
    def actions(self) -> frozenset[str]:
        """The IAM actions that were needed, such as `s3:ListBucket`."""
        return frozenset(each.action for each in self.asked)

    def beyond(self, policy: Policy) -> list[str]:
        """What was asked and `policy` does not allow, as `ACTION on RESOURCES`; empty if it allows all."""
        refused = dict.fromkeys(
            f"{each.action} on {', '.join(each.resources) or 'anything'}"
            for each in self.asked
            if not all(allows(policy, each.action, arn, each.context) for arn in each.resources or ("*",))
        )
        return list(refused)

    def idle(self, policy: Policy, but: Collection[str] = ()) -> frozenset[str]:
        """Actions that `policy` allows and nobody asked, without those in `but`."""
        return policy.actions - self.actions - frozenset(but)

    def _hear(self, params: Mapping[str, Any], model: Any, context: Mapping[str, Any], **_: Any) -> None:
        service = _PREFIX.get(model.service_model.service_name, model.service_model.service_name)
        operation, region = f"{service}:{model.name}", context["client_region"]
        with self._turn:
            self.operations.append(operation)
            resources = tuple(self._resources(service, operation, params, region))
            values = {"aws:RequestedRegion": region}
            if operation in ("s3:ListObjects", "s3:ListObjectsV2"):
                values["s3:prefix"] = params.get("Prefix", "")
            self.asked += [Asked(action, resources, values) for action in _IAM.get(operation, (operation,))]

    def _resources(self, service: str, operation: str, params: Mapping[str, Any], region: str) -> list[str]:
        match service:
            case "s3":
                bucket = f"arn:aws:s3:::{params['Bucket']}" if "Bucket" in params else "*"
                return [f"{bucket}/{params['Key']}" if "Key" in params else bucket]
            case "logs":
                return self._log_groups(operation, params, region)
            case "athena" if "CatalogName" in params:
                return [f"arn:aws:athena:{region}:{self._account}:datacatalog/{params['CatalogName']}"]
            case "athena":
                group = params.get("WorkGroup", "primary")
                return [f"arn:aws:athena:{region}:{self._account}:workgroup/{group}"]
            case "bedrock":
                return [params[name] for name in _BEDROCK_ARNS if name in params]
            case "dynamodb":
                tables = [params["TableName"]] if "TableName" in params else list(params["RequestItems"])
                return [f"arn:aws:dynamodb:{region}:{self._account}:table/{table}" for table in tables]
            case "sns":
                return [params["TopicArn"]] if "TopicArn" in params else []
            case "sts":
                return [params["RoleArn"]] if "RoleArn" in params else []
        return []

    def _log_groups(self, operation: str, params: Mapping[str, Any], region: str) -> list[str]:
        if operation == "logs:GetQueryResults":
            return self._groups[:]
        if operation not in ("logs:FilterLogEvents", "logs:StartQuery"):
            return []
        names = [params[name] for name in ("logGroupName", "logGroupIdentifier") if name in params]
        names += [*params.get("logGroupNames", ()), *params.get("logGroupIdentifiers", ())]
        here = f"arn:aws:logs:{region}:{self._account}:log-group:"
        arns = [f"{name if name.startswith('arn:') else here + name}:*" for name in names]
        if operation == "logs:StartQuery":
            self._groups += arns
        return arns


def allows(policy: Policy, action: str, resource: str, context: Mapping[str, str]) -> bool:
    """Whether IAM would: some statement allows it, and none denies it.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    """
    effects = {each.effect for each in policy.statement if _concerns(each, action, resource, context)}
    return effects == {"Allow"}


def _concerns(statement: Statement, action: str, resource: str, context: Mapping[str, str]) -> bool:
    return (
        action in statement.action
        and any(_like(pattern, resource) for pattern in statement.resource)
        and all(
            key in context and any(_like(value, context[key]) for value in values)
            for operator in ("StringEquals", "StringLike")
            for key, values in statement.condition.get(operator, {}).items()
        )
    )


def _like(pattern: str, text: str) -> bool:
    """`*` is any characters, slashes and colons too, and `?` is one.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL) is not None
