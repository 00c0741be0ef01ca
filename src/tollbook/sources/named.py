"""What a SOURCE means: files, or a place on AWS and the way to read it. Pure."""

import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from tollbook.core.errors import UsageError

Kind = Literal["files", "cloudwatch", "events", "insights", "s3", "athena"]

LOG_GROUP: Final = "/aws/bedrock/modelinvocations"
"""Where Bedrock's model invocation logging writes if it is set up as AWS shows it."""
USUAL: Final = f"cloudwatch:{LOG_GROUP}"
CLOUDWATCH: Final[tuple[Kind, ...]] = ("cloudwatch", "events", "insights")

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html (logGroupName)
_LOG_GROUP: Final = re.compile(r"[A-Za-z0-9_/.#-]{1,512}")


class Named(msgspec.Struct, frozen=True):
    """What a SOURCE names.

    Attributes:
        kind: `cloudwatch` is read by FilterLogEvents (`events`) or Logs Insights (`insights`), as its size suggests.
        name: the file, folder or glob; the log group; `s3://bucket/prefix`; `DATABASE.TABLE`.
    """

    kind: Kind
    name: str


def named(source: str) -> Named:
    """What `source` means.

    Raises:
        UsageError: it looks like a place on AWS, and is none.
    """
    kind, colon, name = source.partition(":")
    if source.startswith("s3://"):
        return Named("s3", source)
    if kind in CLOUDWATCH and (colon or source == "cloudwatch"):
        name = name or LOG_GROUP
        if not _LOG_GROUP.fullmatch(name):
            raise UsageError(f"{source!a} names no log group. Write {USUAL}.")
        return Named(kind, name)
    if kind == "athena" and colon:
        if name.count(".") != 1 or not all(name.split(".")):
            raise UsageError(f"{source!a} names no table. Write athena:DATABASE.TABLE.")
        return Named("athena", name)
    return Named("files", source)


def one_kind(sources: Sequence[str]) -> tuple[Named, ...]:
    """What `sources` mean, each once.

    Raises:
        UsageError: they are of several kinds: Bedrock may deliver a call to all of them.
    """
    found = tuple(dict.fromkeys(map(named, sources)))
    kinds = {"cloudwatch" if each.kind in CLOUDWATCH else each.kind for each in found}
    if len(kinds) > 1:
        raise UsageError(
            f"Sources of one kind only can be read together, not {' and '.join(sorted(kinds))}: the same calls may lie "
            "in both, and would count twice."
        )
    if len({each.name for each in found}) < len(found):
        raise UsageError("A log group is named twice, to be read in two ways. Name it once.")
    return found
