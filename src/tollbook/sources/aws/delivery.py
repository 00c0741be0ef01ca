"""How Bedrock lays its logs down in S3: by account, region and the hour of UTC in which they were delivered.

    s3://BUCKET/[PREFIX/]AWSLogs/ACCOUNT/BedrockModelInvocationLogs/REGION/YYYY/MM/DD/HH/*.json.gz

Bodies of more than 100 KB lie in `data/` below the hour, and are no records.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from tollbook.core.errors import UsageError
from tollbook.sources.reading import Stretch

LOGS: Final = "AWSLogs"
KIND: Final = "BedrockModelInvocationLogs"
PERMISSION_CHECK: Final = "amazon-bedrock-logs-permission-check"
"""The name of what Bedrock writes to see whether it may."""

LATE_BY: Final = timedelta(hours=1)
"""How long after its hour a record is still looked for. A record tells when the call was made, and a path when it
was delivered."""

NOT_LATER: Final = "records that were delivered to S3 more than an hour after the hour of their call are not looked for"

_HOUR: Final = timedelta(hours=1)
_SCHEME: Final = "s3://"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")
_FORM: Final = "Write s3://BUCKET or s3://BUCKET/PREFIX, as Bedrock's logging settings have it."


class Delivery(msgspec.Struct, frozen=True):
    """Where Bedrock delivers to.

    Attributes:
        prefix: without slashes at its ends; may be empty.
        account, region: where only their logs are meant; else empty.
    """

    bucket: str
    prefix: str = ""
    account: str = ""
    region: str = ""

    @property
    def name(self) -> str:
        """`s3://bucket/prefix`."""
        return f"{_SCHEME}{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")

    @property
    def root(self) -> str:
        """What the keys of all logs begin with."""
        return f"{self.prefix}/{LOGS}/" if self.prefix else f"{LOGS}/"

    def kind(self, account: str) -> str:
        """What the keys of an account's logs begin with."""
        return f"{self.root}{account}/{KIND}/"

    def folder(self, account: str, region: str, hour: datetime) -> str:
        """What the keys of the logs begin with that were delivered in `hour`."""
        return f"{self.kind(account)}{region}/{hour:%Y/%m/%d/%H}/"


def delivery_of(name: str) -> Delivery:
    """What `name` means: `s3://bucket`, `s3://bucket/prefix`, or the address of something below them.

    Raises:
        UsageError: it is no such address.
    """
    bucket, _, rest = name.removeprefix(_SCHEME).partition("/")
    if not name.startswith(_SCHEME) or not _BUCKET.fullmatch(bucket) or not rest.isprintable():
        raise UsageError(f"'{name}' names no bucket of S3. {_FORM}")
    words = rest.strip("/").split("/")
    if LOGS not in words:
        return Delivery(bucket, "/".join(words))
    at = words.index(LOGS)
    account, _, region = (*words[at + 1 : at + 4], "", "", "")[:3]
    if not is_account(account or "0" * 12) or not is_region(region or "us-east-1"):
        raise UsageError(f"'{name}' does not lie where Bedrock delivers logs. {_FORM}")
    return Delivery(bucket, "/".join(words[:at]), account, region)


def is_account(text: str) -> bool:
    return _ACCOUNT.fullmatch(text) is not None


def is_region(text: str) -> bool:
    """Whether it has the form of a region's name, such as `us-gov-west-1`."""
    return _REGION.fullmatch(text) is not None


def hours_of(stretch: Stretch) -> Iterator[datetime]:
    """The hours of delivery in which records of `stretch` are looked for, in order."""
    hour = stretch.since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while hour < stretch.until + LATE_BY:
        yield hour
        hour += _HOUR
