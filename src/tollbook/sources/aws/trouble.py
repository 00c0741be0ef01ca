"""What AWS refuses or fails at, in sentences that say what happened, where, and what to do next."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from tollbook.core.errors import SourceError
from tollbook.sources.reading import Place

_THROTTLED: Final = frozenset(
    {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}
)
_PASSING: Final = frozenset({"ServiceUnavailableException", "ServiceUnavailable", "InternalFailure", "InternalError"})


def is_throttling(fault: Exception) -> bool:
    """Whether AWS asks to come back more slowly."""
    return isinstance(fault, ClientError) and _code_of(fault) in _THROTTLED


def is_passing(fault: Exception) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(fault, ClientError):
        status = fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _code_of(fault) in _PASSING or status >= 500
    return isinstance(fault, BotoCoreError)


@contextmanager
def translated(place: Place, action: str) -> Iterator[None]:
    """Makes sentences of what AWS answers within the block.

    Args:
        action: the IAM action needed, such as `logs:FilterLogEvents`.

    Raises:
        SourceError: AWS refused or failed.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as fault:
        raise SourceError(f"Cannot read {place} ({action}): {fault}.") from fault


def _code_of(fault: ClientError) -> str:
    return str(fault.response.get("Error", {}).get("Code", ""))
