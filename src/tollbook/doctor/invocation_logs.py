"""Whether Bedrock writes down what is asked of its models, where to, and whether that can be read.

Sources:
    https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_GetModelInvocationLoggingConfiguration.html
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch_Logs_Log_Classes.html
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tollbook.doctor.credentials import of_aws
from tollbook.doctor.finding import Finding, failed, ok, unknown
from tollbook.sources.aws.delivery import delivery_of
from tollbook.sources.aws.trouble import Trouble, translated
from tollbook.sources.named import CLOUDWATCH, Named

LOGGING: Final = "invocation logging"
SOURCE: Final = "source"
GROUP: Final = "log group"
_NEEDS: Final = "bedrock:GetModelInvocationLoggingConfiguration"
_NEEDS_GROUP: Final = "logs:DescribeLogGroups"
_KINDS_READ: Final = {"s3": "{}", "athena": "the table {}", "files": "{}"}
_KINDS: Final = ("text", "image", "embedding", "video", "audio")


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """Where the records of a region's calls go.

    Attributes:
        log_group, bucket: empty where none take them.
        contents: kinds of prompts and answers that are written down whole.
    """

    log_group: str = ""
    bucket: str = ""
    contents: Sequence[str] = ()


def delivery_in(bedrock: Any, region: str) -> tuple[Delivery | None, Finding]:
    """Where they go in `region`; None where nowhere, or where it could not be found out."""
    try:
        with translated(f"Bedrock's settings in {region}", _NEEDS):
            answer = bedrock.get_model_invocation_logging_configuration()
    except Trouble as fault:
        return None, of_aws(LOGGING, fault, _NEEDS)
    return judged_settings(answer.get("loggingConfig") or {}, region)


def judged_settings(settings: Mapping[str, Any], region: str) -> tuple[Delivery | None, Finding]:
    """What Bedrock's `loggingConfig` means."""
    group = (settings.get("cloudWatchConfig") or {}).get("logGroupName") or ""
    there = settings.get("s3Config") or {}
    name = there.get("bucketName") or ""
    bucket = f"s3://{name}/{there.get('keyPrefix') or ''}".rstrip("/") if name else ""
    if not group and not bucket:
        return None, failed(
            LOGGING,
            f"Model invocation logging is off in {region}: nothing tells what is spent there.",
            f"Switch it on: tollbook doctor --switch-on-logging --region {region}. Calls before that stay unknown.",
            region=region,
        )
    contents = [kind for kind in _KINDS if settings.get(f"{kind}DataDeliveryEnabled")]
    found = Delivery(log_group=group, bucket=bucket, contents=contents)
    where = " and ".join(filter(None, (group, bucket)))
    whole = f"with prompts and answers ({', '.join(contents)})" if contents else "without prompts and answers"
    facts = {"region": region, "log_group": group, "bucket": bucket, "contents": contents}
    return found, ok(LOGGING, f"Calls in {region} are written to {where}, {whole}.", **facts)


def judged_sources(delivery: Delivery, read: Sequence[Named], region: str) -> Finding | None:
    """Whether tollbook reads where Bedrock writes; None if it does."""
    if any(_is_read(delivery, each) for each in read):
        return None
    where = " and ".join(_places(delivery))
    right = f"cloudwatch:{delivery.log_group}" if delivery.log_group else delivery.bucket
    remedy = f"Name it as the source: --source {right}."
    facts = {"region": region, "log_group": delivery.log_group, "bucket": delivery.bucket}
    tables = [each.name for each in read if each.kind == "athena"]
    if tables and delivery.bucket:
        said = f"Bedrock writes to {where} in {region}; whether the table {tables[0]} lies over that is not known here."
        return unknown(SOURCE, said, f"See its LOCATION: SHOW CREATE TABLE {tables[0]}.", **facts)
    others = " and ".join(_KINDS_READ.get(each.kind, "the log group {}").format(each.name) for each in read)
    return failed(SOURCE, f"Bedrock writes to {where} in {region}, and tollbook would read {others}.", remedy, **facts)


def _places(delivery: Delivery) -> Sequence[str]:
    group = f"the log group {delivery.log_group}" if delivery.log_group else ""
    return [each for each in (group, delivery.bucket) if each]


def _is_read(delivery: Delivery, source: Named) -> bool:
    if source.kind in CLOUDWATCH:
        return source.name == delivery.log_group
    # Below the place the account and the region follow, which an address may name too.
    return source.kind == "s3" and bool(delivery.bucket) and delivery_of(source.name).name == delivery.bucket


def group_in(logs: Any, source: Named, region: str, *, is_written: bool, retention_days: int) -> Finding:
    """Whether a log group is there, for how long it keeps its records, and how they can be read.

    Args:
        is_written: whether Bedrock is known to write there.
        retention_days: of one that is made.
    """
    name = source.name
    try:
        with translated(f"the log group {name} in {region}", _NEEDS_GROUP):
            answer = logs.describe_log_groups(logGroupNamePrefix=name)
    except Trouble as fault:
        return of_aws(GROUP, fault, _NEEDS_GROUP)
    group = next((each for each in answer.get("logGroups", ()) if each.get("logGroupName") == name), None)
    if group is None:
        said = f"There is no log group {name} in {region}."
        if not is_written:
            return failed(GROUP, said, "Name the one that Bedrock writes to: its settings in the console show it.")
        # One that is made without more keeps its records for ever.
        remedy = (
            f"Make it: aws logs create-log-group --region {region} --log-group-name {name} && aws logs "
            f"put-retention-policy --region {region} --log-group-name {name} --retention-in-days {retention_days}."
        )
        return failed(GROUP, said, remedy)
    return judged_group(group, source, region)


def judged_group(group: Mapping[str, Any], source: Named, region: str) -> Finding:
    """What a group of `DescribeLogGroups` means for whoever reads it."""
    name = f"{source.name} in {region}"
    days, kind = group.get("retentionInDays"), group.get("logGroupClass", "STANDARD")
    kept = f"keeps its records for {days} days" if days else "keeps its records for ever"
    facts = {"log_group": source.name, "region": region, "class": kind, "retention_days": days}
    if kind == "DELIVERY":  # for Lambda's own logs; no query reads it
        said = f"{name} is of the class Delivery, which nothing can query."
        return failed(GROUP, said, "Log to a group of the class Standard; a group's class cannot be changed.", **facts)
    if kind == "INFREQUENT_ACCESS":
        if source.kind == "events":
            said = f"{name} is of the class Infrequent Access, which FilterLogEvents cannot read."
            return failed(GROUP, said, f"Name it insights:{source.name}.", **facts)
        said = f"{name} {kept}; its class is Infrequent Access, which Logs Insights alone reads, at $0.005 per GB."
        return ok(GROUP, said, **facts)
    if kind != "STANDARD":
        return unknown(GROUP, f"{name} is of the class {kind}, of which nothing is known here.", **facts)
    return ok(GROUP, f"{name} {kept}, and can be read either way.", **facts)
