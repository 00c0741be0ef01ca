"""What CloudWatch tells of a log group: whether it exists, how large it is, and how it may be read."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from tollbook.sources.aws.patience import patiently
from tollbook.sources.aws.trouble import NoSuchPlace, translated
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
        since: it keeps no events from before; None if it keeps all.
        is_infrequent: of the class Infrequent Access, which Logs Insights alone can read:
            https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch_Logs_Log_Classes.html
    """

    arn: str
    stored_bytes: int = 0
    bytes_per_day: float = 0.0
    since: datetime | None = None
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
    # Of the names that begin so, the one that ends there comes first. A linked group is asked for by its ARN alone.
    question: dict[str, Any] = (
        {"logGroupNamePrefix": place.name}
        if arn is None
        else {"logGroupIdentifiers": [arn], "includeLinkedAccounts": True}
    )
    with translated(place, _ACTION):
        answer = patiently(lambda: client.describe_log_groups(**question), watch)
    for found in answer.get("logGroups", ()):
        if found.get("logGroupName") == place.name:
            return _group(found, now)
    raise NoSuchPlace(
        f"No {place}: switch on model invocation logging there, or name another log group.", place, _ACTION
    )


def _group(found: dict[str, Any], now: datetime) -> Group:
    stored = int(found.get("storedBytes", 0))
    age = now - datetime.fromtimestamp(found.get("creationTime", 0) / 1000, UTC)
    kept = timedelta(days=found["retentionInDays"]) if found.get("retentionInDays") else age
    days = max(min(age, kept) / _DAY, 1.0)
    arn = found.get("logGroupArn") or str(found.get("arn", "")).removesuffix(":*")
    # Events may be older than their group, but not than what it keeps:
    # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
    since = now - kept if found.get("retentionInDays") else None
    return Group(arn, stored, stored / days, since, found.get("logGroupClass") == _INFREQUENT)
