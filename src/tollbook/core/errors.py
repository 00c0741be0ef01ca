"""Every error that tollbook raises on purpose.

TollbookError                 one sentence for the user: what happened, and what to do next
├── UsageError                the question itself is wrong: exit code 2
├── SourceError               the logs cannot be read: exit code 1
│   └── Trouble               what AWS refuses or fails at (`sources.aws.trouble`)
├── PriceFileError            a price file cannot be trusted: exit code 1
├── UnknownPrice              nothing is on record for a model or a day (`spend.prices`)
├── UnknownKey                no API key of that id is kept (`hosting.auth.apikeys`)
├── OutOfSight                what was asked for is not the caller's to see (`tools.sight`)
├── StoreDown                 what instances share cannot be reached: exit code 1
├── DeployError               AWS refuses or fails while something is deployed (`deploy.trouble`)
├── EngineTrouble             an image cannot be built or pushed (`deploy.image.engines`)
├── ClientError               of a client and the servers it talks to (`client.trouble`)
└── Truncated, BrokenDocument a file is not whole; what was readable was counted (`sources.blocks`)
"""

from collections.abc import Sequence


class TollbookError(Exception):
    """Something a user can understand and mend; the message is shown as it is.

    Attributes:
        message: the sentence, or what those in `more` have in common.
        more: what there is to say besides, each on a line of its own.
    """

    exit_code = 1

    def __init__(self, message: str, more: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message, self.more = message, tuple(more)

    def __str__(self) -> str:
        return " ".join((self.message, *self.more))


class UsageError(TollbookError):
    """What was asked for makes no sense; asking differently helps."""

    exit_code = 2


class SourceError(TollbookError):
    """A place that should hold logs cannot be read, or holds none."""


class PriceFileError(TollbookError):
    """A file of prices is not in the form that `docs/prices.md` describes."""


class StoreDown(TollbookError):
    """What instances share (sessions, running calls, reports) cannot be reached just now."""


def why(fault: OSError | ValueError) -> str:
    """What the system says of a file that cannot be used, as the end of a sentence."""
    if isinstance(fault, PermissionError):
        return "permission denied; ask its owner, or copy it to where you may read"
    return (getattr(fault, "strerror", None) or str(fault)).lower()
