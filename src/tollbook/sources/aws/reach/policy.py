"""The IAM policy that a source needs, or the server for what it keeps itself, and no more than it. Pure.

Which actions take which resources is as AWS's service authorization reference has it:
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonathena.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsglue.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscostexplorerservice.html
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from tollbook.core.errors import UsageError
from tollbook.core.iam import Policy, Statement, partition_of
from tollbook.sources.aws.delivery import Delivery, delivery_of, is_account

ANY: Final = "*"
"""In place of a region or an account: whichever."""

FORMS: Final = "cloudwatch:LOG_GROUP, events:LOG_GROUP, insights:LOG_GROUP, s3://BUCKET/PREFIX or athena:DATABASE.TABLE"

_REGION: Final = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
_LOG_GROUP: Final = re.compile(r"[A-Za-z0-9_./#-]{1,512}")
# What means nothing to IAM. https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX: Final = re.compile(r"[A-Za-z0-9!_.'()/=+@:, -]{0,512}")
_TABLE: Final = re.compile(r"([A-Za-z0-9_-]{1,255})\.([A-Za-z0-9_-]{1,255})")
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
_RECORDS: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}")
# https://docs.aws.amazon.com/athena/latest/APIReference/API_CreateWorkGroup.html
_WORKGROUP: Final = re.compile(r"[a-zA-Z0-9._-]{1,128}")
_KEY: Final = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:key/[A-Za-z0-9-]{1,128}", re.ASCII)
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}", re.ASCII)
_PRINCIPAL: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(root|(role|user)/[A-Za-z0-9_+=,.@/-]{1,576})", re.ASCII)
# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
_EXTERNAL_ID: Final = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}")


class Bucket(msgspec.Struct, frozen=True):
    """A bucket and where in it; `prefix` is empty or ends in a slash."""

    name: str
    prefix: str = ""


class _Where(msgspec.Struct, frozen=True):
    region: str
    account: str

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{partition_of(self.region)}:{service}:{self.region}:{self.account}:{resource}"

    def bucket(self, name: str) -> str:
        return f"arn:{partition_of(self.region)}:s3:::{name}"

    def objects(self, bucket: str, keys: str) -> str:
        return f"{self.bucket(bucket)}/{keys}"

    @property
    def here(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """Keeps an action that takes no resource to the region."""
        return {} if self.region == ANY else {"StringEquals": {"aws:RequestedRegion": (self.region,)}}


def policy_for(
    source: str = "",
    *,
    region: str = ANY,
    account: str = ANY,
    logs: str = "",
    results: str = "",
    workgroup: str = "primary",
    logs_key: str = "",
    results_key: str = "",
    names: bool = False,
    metrics: bool = False,
    bill: bool = False,
    keep: str = "",
    keep_key: str = "",
    assume: Sequence[str] = (),
) -> Policy:
    """What tollbook calls when it reads `source`, and for whatever else is asked of it.

    Args:
        source: one of `FORMS`; may be empty if something else is asked.
        region, account: of the logs.
        logs: for Athena: the place of S3 that its table is laid over.
        results: for Athena: the place of S3 that takes what it finds; empty where Athena keeps that itself.
        workgroup: of Athena.
        logs_key, results_key, keep_key: ARNs of the KMS keys that encrypt the objects there.
        names: the models behind opaque ids are looked up.
        metrics: logs are compared with CloudWatch's metrics.
        bill: they are compared with AWS's bill.
        keep: the place of S3 that keeps the rows of days that are over.
        assume: ARNs of roles in other accounts, which have policies of their own.

    Raises:
        UsageError: one of them is not of its form, or nothing was asked for.
    """
    where = _where(region, account)
    kind, _, name = source.partition(":")
    statements: list[Statement] = []
    if kind in _LOG_ACTIONS:
        statements += _log_group(kind, _matched(_LOG_GROUP, name, "a log group's name")[0], where)
    elif kind == "athena":
        table = _matched(_TABLE, name, "a table of Athena; write athena:DATABASE.TABLE")
        statements += _athena(table[1], table[2], logs, results, workgroup, logs_key, results_key, where)
    elif kind == "s3":
        logs_at, where = _delivered(source, where)
        statements += _log_files(logs_at, logs_key, where)
    elif source:
        raise UsageError(f"'{source}' needs no policy of AWS: it is none of {FORMS}.")
    if kind != "athena" and (logs or results or results_key):
        raise UsageError("--logs, --results and --results-kms-key belong to athena:DATABASE.TABLE.")
    if kind not in ("athena", "s3") and logs_key:
        raise UsageError("--kms-key belongs to log files in S3: CloudWatch Logs decrypts without the reader's help.")
    if keep_key and not keep:
        raise UsageError("--keep-kms-key belongs to --keep.")
    statements += _kept(bucket_of(keep), keep_key, where) if keep else ()
    statements += _names(where) if names else ()
    statements += _metrics(where) if metrics else ()
    statements += _bill() if bill else ()
    if assume:
        roles = tuple(_matched(_ROLE, role, "the ARN of a role")[0] for role in assume)
        statements.append(_allow("AssumeRoles", ["sts:AssumeRole"], roles))
    if not statements:
        raise UsageError(
            f"Say what a policy is wanted for: {FORMS}, or --keep, --names, --metrics, --bill or --assume."
        )
    return Policy(tuple(statements))


def server_policy(
    table: str,
    places: Sequence[str] = (),
    *,
    table_key: str = "",
    places_key: str = "",
    region: str = ANY,
    account: str = ANY,
) -> Policy:
    """What tollbook's server calls for what it keeps itself, whatever it reads.

    Args:
        table: of DynamoDB, with sessions, running calls and API keys.
        places: in one bucket of S3, with whole results and days that are over.
        table_key, places_key: ARNs of the KMS keys that encrypt them, if keys of one's own do.
        region, account: of the table.

    Raises:
        UsageError: one of them is not of its form.
    """
    where = _where(region, account)
    name = _matched(_RECORDS, table, "a table of DynamoDB")[0]
    actions = tuple(f"dynamodb:{each}" for each in ("GetItem", "PutItem", "DeleteItem", "Query", "BatchWriteItem"))
    statements = [_allow("KeepRecords", actions, (where.arn("dynamodb", f"table/{name}"),))]
    if table_key:
        # Of what the key of a table must allow, this is what its use takes; seen in
        # https://github.com/aws/aws-cdk/issues/10010
        statements.append(_with_key("DecryptRecords", ["kms:Decrypt"], table_key, "dynamodb"))
    if places_key and not places:
        raise UsageError("--bucket-kms-key belongs to --bucket.")
    found = [bucket_of(place) for place in places]
    if found:
        objects = tuple(where.objects(each.name, f"{each.prefix}*") for each in found)
        # See `_kept`.
        statements.append(_allow("TellWhatIsMissing", ["s3:ListBucket"], (where.bucket(found[0].name),)))
        statements.append(_allow("KeepDaysAndResults", ["s3:GetObject", "s3:PutObject"], objects))
    if places_key:
        statements.append(_with_key("EncryptWhatIsKept", ["kms:Decrypt", "kms:GenerateDataKey"], places_key))
    return Policy(tuple(statements))


def narrowed(source: str, region: str, account: str) -> tuple[str, str]:
    """The region and account that a policy for `source` holds for: those given, or those in its address.

    Raises:
        UsageError: as `policy_for` does.
    """
    if not source.startswith("s3://"):
        return region, account
    where = _delivered(source, _where(region, account))[1]
    return where.region, where.account


def trust_policy(who: str, external_id: str = "") -> Policy:
    """What a role says of those that may assume it.

    Args:
        who: an account, or the ARN of a role or user in it.
        external_id: without it nobody may. Source:
            https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html

    Raises:
        UsageError: one of them is not of its form.
    """
    if not is_account(who):  # which stands for the account itself, in any partition
        _matched(_PRINCIPAL, who, "an account of twelve digits or the ARN of a role or user")
    condition = {}
    if external_id:
        known = _matched(_EXTERNAL_ID, external_id, "an external id; it has 2 to 1,224 of A-Z a-z 0-9 _+=,.@:/-")[0]
        condition = {"StringEquals": {"sts:ExternalId": (known,)}}
    return Policy(
        (
            Statement(
                sid="MayAssume",
                effect="Allow",
                principal={"AWS": who},
                action=("sts:AssumeRole",),
                condition=condition,
            ),
        )
    )


def bucket_of(place: str) -> Bucket:
    """The bucket and prefix in `s3://BUCKET/PREFIX`.

    Raises:
        UsageError: it is not of that form, or has a character that IAM would take for a wildcard or a variable.
    """
    scheme, slashes, rest = place.partition("//")
    name, _, prefix = rest.partition("/")
    if scheme + slashes != "s3://" or not name:
        raise UsageError(f"'{place}' is not a place in S3; write s3://BUCKET/PREFIX.")
    if not _BUCKET.fullmatch(name):
        raise UsageError(
            f"'{place}' is not a place in S3: a bucket's name has 3 to 63 of a-z 0-9 . and -, and a letter or a digit "
            f"at both ends, unlike '{name}'."
        )
    if not _PREFIX.fullmatch(prefix):
        raise UsageError(
            f"'{place}' is not a place in S3 that a policy can name: a prefix has at most 512 of A-Z a-z 0-9 blank and "
            "!_.'()/=+@:,- here, and nothing that IAM takes for a wildcard or a variable."
        )
    prefix = prefix.strip("/")
    return Bucket(name, f"{prefix}/" if prefix else "")


_FIND: Final = "logs:DescribeLogGroups"
_LOG_ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "cloudwatch": ("logs:FilterLogEvents", "logs:StartQuery", "logs:GetQueryResults"),
    "events": ("logs:FilterLogEvents",),
    "insights": ("logs:StartQuery", "logs:GetQueryResults"),
}


def _log_group(kind: str, name: str, where: _Where) -> Iterator[Statement]:
    # "Use this version [with a trailing :*] to refer to the ARN in IAM policies":
    # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogGroup.html
    yield _allow("ReadLogGroup", _LOG_ACTIONS[kind], (where.arn("logs", f"log-group:{name}:*"),))
    # The reference names no resource for these two.
    actions = (_FIND, "logs:StopQuery") if "logs:StartQuery" in _LOG_ACTIONS[kind] else (_FIND,)
    yield _allow("FindLogGroupAndStopQueries" if len(actions) > 1 else "FindLogGroup", actions, (ANY,), where.here)


def _log_files(logs: Delivery, key: str, where: _Where) -> Iterator[Statement]:
    folder = f"{logs.kind(where.account)}{where.region}/"
    yield _list_logs(logs, where)
    yield _allow("ReadLogFiles", ["s3:GetObject"], (where.objects(logs.bucket, f"{folder}*.json.gz"),))
    # What is too long for a record lies beside it, in data/: prompts and answers, which a report never needs.
    # https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html
    prompts = (where.objects(logs.bucket, f"{folder}*/data/*"),)
    yield Statement(sid="NeverReadPrompts", effect="Deny", action=("s3:GetObject",), resource=prompts)
    if key:
        yield _with_key("DecryptLogFiles", ["kms:Decrypt"], key)


def _athena(
    database: str, table: str, logs: str, results: str, workgroup: str, key: str, results_key: str, where: _Where
) -> Iterator[Statement]:
    if not logs:
        raise UsageError("Athena reads the log files itself: name their place with --logs s3://BUCKET/PREFIX.")
    if results_key and not results:
        raise UsageError("--results-kms-key belongs to --results.")
    group = _matched(_WORKGROUP, workgroup, "a workgroup of Athena")[0]
    queries = ("StartQueryExecution", "GetQueryExecution", "GetQueryResults", "StopQueryExecution")
    actions = tuple(f"athena:{name}" for name in queries)
    yield _allow("RunQueries", actions, (where.arn("athena", f"workgroup/{group}"),))
    # How the table lies over its files.
    yield _allow("FindTable", ["athena:GetTableMetadata"], (where.arn("athena", "datacatalog/AwsDataCatalog"),))
    # Athena looks at the catalog and at the database "default" whatever is asked:
    # https://docs.aws.amazon.com/athena/latest/ug/fine-grained-access-to-glue-resources.html
    parts = ("catalog", "database/default", f"database/{database}", f"table/{database}/{table}")
    definitions = ("glue:GetDatabase", "glue:GetTable", "glue:GetPartitions")
    yield _allow("ReadTableDefinition", definitions, tuple(where.arn("glue", part) for part in parts))
    delivery, there = _delivered(logs, where)
    yield _list_logs(delivery, there)
    # Every object, data/ included: Athena fails a query for one object below a partition that it may not read.
    # https://docs.aws.amazon.com/athena/latest/ug/tables-location-format.html
    everything = f"{delivery.kind(there.account)}{there.region}/*"
    yield _allow("ReadLogFiles", ["s3:GetObject"], (there.objects(delivery.bucket, everything),))
    buckets = [there.bucket(delivery.bucket)]
    if key:
        yield _with_key("DecryptLogFiles", ["kms:Decrypt"], key)
    if results:
        found = bucket_of(results)
        buckets.append(where.bucket(found.name))
        # The actions are those of AWS's own policy:
        # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonAthenaFullAccess.html
        yield _list("ListResults", found.name, (f"{found.prefix}*",), where)
        uploads = ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
        yield _allow("WriteResults", uploads, (where.objects(found.name, f"{found.prefix}*"),))
        yield _allow("FindUploads", ["s3:ListBucketMultipartUploads"], (where.bucket(found.name),))
    yield _allow("FindBuckets", ["s3:GetBucketLocation"], tuple(dict.fromkeys(buckets)))
    if results_key:
        yield _with_key("EncryptResults", ["kms:Decrypt", "kms:GenerateDataKey"], results_key)


def _kept(place: Bucket, key: str, where: _Where) -> Iterator[Statement]:
    # Nothing is listed. But without this, S3 says of a day that was never kept that it may not be read; and such a
    # request tells no prefix that a condition could ask for.
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html#API_GetObject_Permissions
    yield _allow("TellMissingDays", ["s3:ListBucket"], (where.bucket(place.name),))
    yield _allow("KeepDays", ["s3:GetObject", "s3:PutObject"], (where.objects(place.name, f"{place.prefix}*"),))
    if key:
        yield _with_key("EncryptKeptDays", ["kms:Decrypt", "kms:GenerateDataKey"], key)


def _names(where: _Where) -> Iterator[Statement]:
    kinds = {
        "GetInferenceProfile": ("application-inference-profile", "inference-profile"),
        "GetProvisionedModelThroughput": ("provisioned-model",),
        "GetCustomModelDeployment": ("custom-model-deployment",),
        "GetCustomModel": ("custom-model",),
        "GetImportedModel": ("imported-model",),
        "GetPromptRouter": ("prompt-router", "default-prompt-router"),
        "ListTagsForResource": (),
    }
    resources = tuple(where.arn("bedrock", f"{kind}/*") for several in kinds.values() for kind in several)
    yield _allow("ResolveModelNames", [f"bedrock:{name}" for name in kinds], resources)


def _metrics(where: _Where) -> Iterator[Statement]:
    # They take no resource, and the key cloudwatch:namespace is not theirs.
    yield _allow("ReadMetrics", ["cloudwatch:ListMetrics", "cloudwatch:GetMetricData"], (ANY,), where.here)


def _bill() -> Iterator[Statement]:
    # Its only resources are billing views, which nobody names here; and one endpoint answers for every region.
    yield _allow("ReadBill", ["ce:GetCostAndUsage"], (ANY,))


def _list_logs(logs: Delivery, where: _Where) -> Statement:
    below = (f"{logs.root}*",) if where.account == ANY else (logs.root, f"{logs.root}{where.account}/*")
    return _list("ListLogFiles", logs.bucket, below, where)


def _list(sid: str, bucket: str, prefixes: tuple[str, ...], where: _Where) -> Statement:
    """Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html"""
    condition = {} if prefixes == (ANY,) else {"StringLike": {"s3:prefix": prefixes}}
    return _allow(sid, ["s3:ListBucket"], (where.bucket(bucket),), condition)


def _with_key(sid: str, actions: Sequence[str], key: str, service: str = "s3") -> Statement:
    """Use of a key through one service alone, in the key's region.

    Source: https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
    """
    form = "the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID); of an alias, name the key behind it"
    region = _matched(_KEY, key, form)[1]
    suffix = ".cn" if region.startswith("cn-") else ""
    via = {"StringEquals": {"kms:ViaService": (f"{service}.{region}.amazonaws.com{suffix}",)}}
    return _allow(sid, actions, (key,), via)


def _delivered(source: str, where: _Where) -> tuple[Delivery, _Where]:
    """Where Bedrock delivers to; an account and a region that stand in the address hold where none were given."""
    bucket_of(source)  # nothing in it means anything to IAM
    logs = delivery_of(source)
    for given, told in ((where.region, logs.region), (where.account, logs.account)):
        if told and given not in (ANY, told):
            raise UsageError(f"The logs at '{source}' are those of {told}, not of {given}. Leave one of them out.")
    return logs, _Where(logs.region or where.region, logs.account or where.account)


def _where(region: str, account: str) -> _Where:
    if region != ANY and not _REGION.fullmatch(region):
        raise UsageError(f"'{region}' is not a region such as eu-west-1.")
    if account != ANY and not is_account(account):
        raise UsageError(f"'{account}' is not an account of twelve digits.")
    return _Where(region, account)


def _allow(
    sid: str,
    actions: Sequence[str],
    resources: tuple[str, ...],
    condition: Mapping[str, Mapping[str, tuple[str, ...]]] = {},
) -> Statement:
    return Statement(sid=sid, effect="Allow", action=tuple(actions), resource=resources, condition=condition)


def _matched(form: re.Pattern[str], text: str, what: str) -> re.Match[str]:
    found = form.fullmatch(text)
    if found is None:
        raise UsageError(f"'{text}' is not {what}.")
    return found
