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
from tollbook.sources.aws.trouble import Trouble, translated
from tollbook.sources.named import CLOUDWATCH, Named

LOGGING: Final = "invocation logging"
SOURCE: Final = "source"
GROUP: Final = "log group"
_NEEDS: Final = "bedrock:GetModelInvocationLoggingConfiguration"
_NEEDS_GROUP: Final = "logs:DescribeLogGroups"
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
    """Whether tollbook reads where Bedrock writes; None if it does, or where names do not tell."""
    groups = [each.name for each in read if each.kind in CLOUDWATCH]
    if len(groups) < len(read) or delivery.log_group in groups:
        return None
    where = f"the log group {delivery.log_group}" if delivery.log_group else delivery.bucket
    said = f"Bedrock writes to {where} in {region}, and tollbook would read the log group {' and '.join(groups)}."
    right = f"cloudwatch:{delivery.log_group}" if delivery.log_group else delivery.bucket
    return failed(SOURCE, said, f"Name it as the source: --source {right}.")


def group_in(logs: Any, source: Named, region: str) -> Finding:
    """Whether a log group is there, for how long it keeps its records, and how they can be read."""
    name = source.name
    try:
        with translated(f"the log group {name} in {region}", _NEEDS_GROUP):
            answer = logs.describe_log_groups(logGroupNamePrefix=name)
    except Trouble as fault:
        return of_aws(GROUP, fault, _NEEDS_GROUP)
    group = next((each for each in answer.get("logGroups", ()) if each.get("logGroupName") == name), None)
    if group is None:
        said = f"There is no log group {name} in {region}."
        return failed(GROUP, said, f"Make it: aws logs create-log-group --log-group-name {name} --region {region}.")
    return judged_group(group, source)


def judged_group(group: Mapping[str, Any], source: Named) -> Finding:
    """What a group of `DescribeLogGroups` means for whoever reads it."""
    name = source.name
    days, kind = group.get("retentionInDays"), group.get("logGroupClass", "STANDARD")
    kept = f"keeps its records for {days} days" if days else "keeps its records for ever"
    facts = {"log_group": name, "class": kind, "retention_days": days}
    if kind == "DELIVERY":  # for Lambda's own logs; no query reads it
        said = f"{name} is of the class Delivery, which nothing can query."
        return failed(GROUP, said, "Log to a group of the class Standard; a group's class cannot be changed.", **facts)
    if kind == "INFREQUENT_ACCESS":
        if source.kind == "events":
            said = f"{name} is of the class Infrequent Access, which FilterLogEvents cannot read."
            return failed(GROUP, said, f"Name it insights:{name}.", **facts)
        said = f"{name} {kept}; its class is Infrequent Access, which Logs Insights alone reads, at $0.005 per GB."
        return ok(GROUP, said, **facts)
    if kind != "STANDARD":
        return unknown(GROUP, f"{name} is of the class {kind}, of which nothing is known here.", **facts)
    return ok(GROUP, f"{name} {kept}, and can be read either way.", **facts)
