"""What an assumed role is narrowed to: the place that it was assumed for, whatever else it may do. Pure.

A session has the rights that both the role and the session policy give.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session
"""

import json
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from tollbook.core.errors import UsageError
from tollbook.core.iam import Policy, Statement
from tollbook.core.text import printable
from tollbook.sources.aws.delivery import KIND, delivery_of
from tollbook.sources.aws.reach.policy import policy_for
from tollbook.sources.reading import Place

LONGEST: Final = 2048
"""Characters. Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html (Policy)"""

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
_LOG_GROUP: Final = re.compile(r"[A-Za-z0-9_./#-]{1,512}")
# https://docs.aws.amazon.com/athena/latest/ug/tables-databases-columns-names.html
_TABLE: Final = re.compile(r"[A-Za-z0-9_-]{1,255}\.[A-Za-z0-9_-]{1,255}")
# What a policy takes for a wildcard or a variable, if it does not stand in a variable of its own:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars
_SPECIAL: Final = re.compile(r"[*?$]")


def check_name(service: str, place: Place) -> None:
    """Lets pass what can be the name of a place that `service` holds, and nothing that means more in a request.

    Raises:
        UsageError: the name of `place` cannot.
    """
    shown = f"'{printable(place.name[:80])}'"
    if service == "logs" and not _LOG_GROUP.fullmatch(place.name):
        raise UsageError(f"{shown} cannot be the name of a log group: it has A-Z a-z 0-9 and . - _ / # alone.")
    if service == "s3" and not _TABLE.fullmatch(place.name):
        delivery_of(place.name)
    if service == "athena" and not _TABLE.fullmatch(place.name):
        raise UsageError(f"{shown} cannot be a table of Athena: write DATABASE.TABLE.")


def session_policy(service: str, place: Place, partition: str) -> str:
    """The session policy for a client of `service` that reads `place`.

    Args:
        service: as boto3 names it: `logs`, `s3`, `athena`; or `bedrock`, `cloudwatch`, for what lies beside the logs.
        partition: of the region, such as `aws-cn`.

    Raises:
        UsageError: see `check_name`; or the name is too long for a session policy.
    """
    check_name(service, place)
    if service == "logs":
        policy = _log_group(place)
    elif service == "s3":
        found = _sizes(partition) if _TABLE.fullmatch(place.name) else _objects(place, partition)
        policy = Policy(tuple(found))
    elif service == "athena":
        policy = Policy(tuple(_table(place, partition)))
    elif service in ("bedrock", "cloudwatch"):
        policy = policy_for(region=place.region, account=place.account, names=True, metrics=True)
    else:
        raise ValueError(service)
    # STS takes no character beyond U+00FF.
    text = json.dumps(json.loads(policy.compact()), separators=(",", ":"))
    if len(text) > LONGEST:
        raise UsageError(f"The name of {printable(place.name[:80])}… is too long to be read in another account.")
    return text


def _log_group(place: Place) -> Policy:
    policy = policy_for(f"cloudwatch:{place.name}", region=place.region, account=place.account)
    return Policy(tuple(msgspec.structs.replace(each, resource=_both(each.resource)) for each in policy.statement))


def _both(resources: tuple[str, ...]) -> tuple[str, ...]:
    """With `:*`, which stands for the streams, and without, which some requests are checked against.

    Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogGroup.html (arn, logGroupArn)
    """
    return tuple(each for one in resources for each in dict.fromkeys((one, one.removesuffix(":*"))))


def _objects(place: Place, partition: str) -> Iterator[Statement]:
    logs = delivery_of(place.name)
    bucket, root = f"arn:{partition}:s3:::{logs.bucket}", _plain(logs.root)
    below = {"StringLike": {"s3:prefix": (f"{root}*",)}}
    yield Statement(sid="List", effect="Allow", action=("s3:ListBucket",), resource=(bucket,), condition=below)
    files = f"{bucket}/{root}*/{KIND}/*.json.gz"
    yield Statement(sid="Read", effect="Allow", action=("s3:GetObject",), resource=(files,))
    prompts = f"{bucket}/{root}*/{KIND}/*/data/*"
    yield Statement(sid="NeverPrompts", effect="Deny", action=("s3:GetObject",), resource=(prompts,))
    yield _through_s3("kms:Decrypt")


def _sizes(partition: str) -> Iterator[Statement]:
    """For what lies behind a table; where that is, the table tells later."""
    everywhere = (f"arn:{partition}:s3:::*",)
    yield Statement(sid="List", effect="Allow", action=("s3:ListBucket",), resource=everywhere)


def _table(place: Place, partition: str) -> Iterator[Statement]:
    where = f"arn:{partition}:%s:{place.region}:{place.account}:"
    queries = ("StartQueryExecution", "GetQueryExecution", "GetQueryResults", "StopQueryExecution", "GetTableMetadata")
    actions = tuple(f"athena:{name}" for name in queries)
    resources = (where % "athena" + "workgroup/*", where % "athena" + "datacatalog/*")
    yield Statement(sid="Ask", effect="Allow", action=actions, resource=resources)
    database, _, table = place.name.partition(".")
    parts = (
        "catalog",
        "database/default",
        f"database/{database}",
        f"table/{database}/{table}",
    )
    yield Statement(
        sid="Define",
        effect="Allow",
        action=("glue:GetDatabase", "glue:GetTable", "glue:GetPartitions"),
        resource=tuple(where % "glue" + part for part in parts),
    )
    # Where the table and its results lie is known to Athena alone, so that here the role itself is the limit.
    files = ("GetObject", "PutObject", "AbortMultipartUpload", "ListMultipartUploadParts")
    buckets = ("ListBucket", "GetBucketLocation", "ListBucketMultipartUploads")
    named = tuple(f"s3:{name}" for name in (*files, *buckets))
    yield Statement(sid="Files", effect="Allow", action=named, resource=(f"arn:{partition}:s3:::*",))
    yield _through_s3("kms:Decrypt", "kms:GenerateDataKey")


def _through_s3(*actions: str) -> Statement:
    """Which key a bucket uses is not known beforehand.

    Source: https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
    """
    via = {"StringLike": {"kms:ViaService": ("s3.*",)}}
    return Statement(sid="Key", effect="Allow", action=actions, resource=("*",), condition=via)


def _plain(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"${{{found[0]}}}", text)
