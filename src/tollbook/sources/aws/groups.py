"""What CloudWatch tells of a log group: whether it exists, how large it is, and how it may be read."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from tollbook.core.errors import SourceError
from tollbook.sources.aws.patience import patiently
from tollbook.sources.aws.trouble import translated
from tollbook.sources.reading import Place, Watch

_ACTION: Final = "logs:DescribeLogGroups"
_INFREQUENT: Final = "INFREQUENT_ACCESS"
_DAY: Final = timedelta(days=1)


class Group(msgspec.Struct, frozen=True):
    """A log group.

    Attributes:
        arn: without `:*` at its end, as an identifier of the group.
        stored_bytes: as CloudWatch counts them, which may lag behind.
        bytes_per_day: on average, over the days from which it still holds events.
        is_infrequent: of the class Infrequent Access, which Logs Insights alone can read:
            https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch_Logs_Log_Classes.html
    """

    arn: str
    stored_bytes: int = 0
    bytes_per_day: float = 0.0
    is_infrequent: bool = False


def group_of(client: Any, place: Place, now: datetime, watch: Watch, *, arn: str | None = None) -> Group:
    """The log group at `place`.

    Args:
        client: of CloudWatch Logs.
        now: aware.
        arn: the group's, for one of another account that is linked to that of the credentials:
            https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Unified-Cross-Account.html

    Raises:
        SourceError: there is none of that name, or it may not be looked at.
        Halted: see `Watch`.

    Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html
    """
    with translated(place, _ACTION):
        for found in _listed(client, place, watch, arn):
            if found.get("logGroupName") == place.name:
                return _group(found, now)
    raise SourceError(f"No {place}. Switch on model invocation logging there, or name another.")


def _listed(client: Any, place: Place, watch: Watch, arn: str | None) -> Iterator[dict[str, Any]]:
    """Groups that may be the one; those that are linked are asked for by their ARN, and by nothing besides."""
    question: dict[str, Any] = (
        {"logGroupNamePrefix": place.name}
        if arn is None
        else {"logGroupIdentifiers": [arn], "includeLinkedAccounts": True}
    )
    while True:
        answer = patiently(lambda: client.describe_log_groups(**question), watch)
        yield from answer.get("logGroups", ())
        token = answer.get("nextToken")
        if not token:
            return
        question["nextToken"] = token


def _group(found: dict[str, Any], now: datetime) -> Group:
    stored = int(found.get("storedBytes", 0))
    age = now - datetime.fromtimestamp(found.get("creationTime", 0) / 1000, UTC)
    kept = timedelta(days=found["retentionInDays"]) if found.get("retentionInDays") else age
    days = max(min(age, kept) / _DAY, 1.0)
    arn = found.get("logGroupArn") or str(found.get("arn", "")).removesuffix(":*")
    return Group(arn, stored, stored / days, found.get("logGroupClass") == _INFREQUENT)
