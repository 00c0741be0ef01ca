"""What an app may know of the invocation that brings it a request, where something like AWS Lambda runs it."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

INVOCATION: Final = "tollbook.invocation"
"""Where in the `extensions` of an ASGI scope it lies."""


class Invocation(msgspec.Struct, frozen=True):
    """One invocation.

    Attributes:
        id: what the platform calls it; for logs.
        deadline: when its work should have ended and been answered, by the event loop's clock.
        hard_stop: when what still runs is cancelled, by the same.
        wait_until: takes a task that must end before the process is put to sleep, though the response may have ended
            long before. It is waited for until the hard stop; afterwards it raises RuntimeError. As
            https://developer.mozilla.org/en-US/docs/Web/API/ExtendableEvent/waitUntil
    """

    id: str
    deadline: float
    hard_stop: float
    wait_until: Callable[[asyncio.Task[Any]], None]


def invocation_of(scope: Mapping[str, Any]) -> Invocation | None:
    """The invocation that brought a request; None where it came to a server that just runs."""
    found: Invocation | None = (scope.get("extensions") or {}).get(INVOCATION)
    return found
