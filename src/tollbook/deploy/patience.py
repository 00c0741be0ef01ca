"""How long is waited for AWS."""

from collections.abc import Callable
from typing import Final

import msgspec

from tollbook.core.stores import Clock
from tollbook.deploy.trouble import Unreachable

STEP_S: Final = 3.0
"""Seconds between two looks at the same thing."""


class Patience(msgspec.Struct, frozen=True):
    """
    Attributes:
        clock: the time.
        pause: waits so many seconds.
        most_s: how many nothing may happen.
    """

    clock: Clock
    pause: Callable[[float], None]
    most_s: float = 3600

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Waits until it `holds`.

        Args:
            what: is waited for, in words.

        Raises:
            Unreachable: it took too long.
        """
        ends = self.clock() + self.most_s
        while not holds():
            if self.clock() > ends:
                raise self.lost(what)
            self.pause(STEP_S)

    def lost(self, what: str) -> Unreachable:
        """What is to be said when it took too long."""
        return Unreachable(
            f"AWS has told nothing of {what} for {self.most_s / 60:.0f} minutes, and goes on by itself: run the same "
            "command again to wait on."
        )
