"""What a report is asked: which stretch of time, by what it groups, and which calls it counts."""

from typing import Final

import msgspec

from tollbook.core.errors import UsageError
from tollbook.spend.sight import EVERYTHING, Sight
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


class Filter(msgspec.Struct, frozen=True):
    """Which calls to count. An empty text leaves out none.

    Attributes:
        region, account: as the log has them.
        principal: a part of who called, in any case.
        model: a part of the model's id, of its short name or of its profile's, in any case.
    """

    region: str = ""
    account: str = ""
    principal: str = ""
    model: str = ""

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Those it looks at."""
        return tuple(name for name in self.__struct_fields__ if getattr(self, name))


class Query(msgspec.Struct, frozen=True):
    """What is asked.

    Attributes:
        by: the dimensions to group by, as written (`day`, `model`, `tag:team`, …).
        only: which calls to count, of those that may be seen.
        sight: which calls whoever asks may see.
        quarters: rows by hour tell the quarter of it.
    """

    window: Window
    by: tuple[str, ...] = ()
    only: Filter = Filter()
    sight: Sight = EVERYTHING
    quarters: bool = False

    @property
    def needed(self) -> tuple[str, ...]:
        """The dimensions that rows must tell: those to group by, those to filter by, and those that sight looks at."""
        seen_by = ("session",) if self.sight.principals else ()
        return tuple(dict.fromkeys((*self.by, *self.only.dimensions, *seen_by)))

    @property
    def by_hour(self) -> bool:
        return "hour" in self.by

    @property
    def tags(self) -> tuple[str, ...]:
        """The keys of request metadata that rows must tell: those asked for, in order, and those sight looks at."""
        asked = (dimension.removeprefix(TAG) for dimension in self.by if dimension.startswith(TAG))
        return tuple(dict.fromkeys((*asked, *self.sight.keys)))


def dimensions_of(text: str, option: str = "--by") -> tuple[str, ...]:
    """The dimensions in `text`, separated by commas; a hyphen is as good as an underscore.

    Args:
        option: where it was given, for the message.

    Raises:
        UsageError: one is unknown, or there is none.
    """
    found = []
    for word in filter(None, (word.strip() for word in text.split(","))):
        if not word.isprintable():
            raise UsageError(f"{option} {word!a} holds characters that no one can see. Leave them out.")
        name = word if word.startswith(TAG) else word.replace("-", "_").lower()
        if name not in DIMENSIONS and not name.removeprefix(TAG) != name != TAG:
            raise UsageError(
                f"{option} '{word}' is not known. Choose from {', '.join(DIMENSIONS)} and tag:KEY, separated by commas."
            )
        if name not in found:
            found.append(name)
    if not found:
        raise UsageError(f"{option} needs at least one of {', '.join(DIMENSIONS)} or tag:KEY.")
    return tuple(found)
