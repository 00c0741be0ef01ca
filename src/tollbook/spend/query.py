"""What a report is asked: which stretch of time, and by what it groups."""

from typing import Final

import msgspec

from tollbook.core.errors import UsageError
from tollbook.spend.window import Window

TAG: Final = "tag:"
DIMENSIONS: Final = (
    "day",
    "hour",
    "model",
    "vendor",
    "scope",
    "profile",
    "principal",
    "session",
    "account",
    "region",
    "inference_region",
    "operation",
    "error",
    "tier",
)


class Query(msgspec.Struct, frozen=True):
    """A window and the dimensions to group by, as written: `day`, `model`, `tag:team`, …"""

    window: Window
    by: tuple[str, ...] = ()

    @property
    def by_hour(self) -> bool:
        return "hour" in self.by

    @property
    def tags(self) -> tuple[str, ...]:
        """The keys of request metadata that are asked for, in order."""
        return tuple(dimension.removeprefix(TAG) for dimension in self.by if dimension.startswith(TAG))


def dimensions_of(text: str) -> tuple[str, ...]:
    """The dimensions in `text`, separated by commas; a hyphen is as good as an underscore.

    Raises:
        UsageError: one is unknown, or there is none.
    """
    found = []
    for word in filter(None, (word.strip() for word in text.split(","))):
        if not word.isprintable():
            raise UsageError(f"--by {word!a} holds characters that no one can see. Leave them out.")
        name = word if word.startswith(TAG) else word.replace("-", "_").lower()
        if name not in DIMENSIONS and not name.removeprefix(TAG) != name != TAG:
            raise UsageError(
                f"--by '{word}' is not known. Choose from {', '.join(DIMENSIONS)} and tag:KEY, separated by commas."
            )
        if name not in found:
            found.append(name)
    if not found:
        raise UsageError(f"--by needs at least one of {', '.join(DIMENSIONS)} or tag:KEY.")
    return tuple(found)
