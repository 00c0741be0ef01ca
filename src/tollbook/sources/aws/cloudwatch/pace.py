"""How fast requests may follow one another, so that AWS need not refuse any.

A quota counts the requests of a whole account in a region, whoever sends them. So all readings of one account
and region share one pace; it slows down when AWS throttles, for others ask too, and speeds up again after.

Source of the quotas: https://docs.aws.amazon.com/general/latest/gr/cwl_region.html
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from tollbook.sources.reading import Place, Watch

Clock = Callable[[], float]
"""Seconds; never goes back."""

_DEFAULT_QUOTA: Final = 10.0
QUOTAS: Final[Mapping[str, float]] = {
    "us-east-1": 25.0,
    "ap-northeast-3": 5.0,
    "ap-southeast-3": 5.0,
    "ca-west-1": 5.0,
    "eu-central-1": 5.0,
    "il-central-1": 5.0,
}
"""Requests of FilterLogEvents a second, for an account in a region; elsewhere 10."""

_SHARE: Final = 0.96
"""Of the quota, that is used: AWS counts requests as they arrive, and some take 1/25 s longer than others."""
_SECOND: Final = 1.04  # with what some requests take longer than others
_SLOWER: Final = 0.6
_SLOWEST: Final = 0.05  # of the quota's share
_FASTER: Final = 0.02  # of the quota's share, for each answer
_ONE_OPINION_S: Final = 1.0  # requests under way together are refused for the same reason
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0


class Pace:
    """The pace of one kind of request, for one account in one region. For any thread.

    Attributes:
        quota: requests a second that AWS lets through.
    """

    def __init__(self, quota: float, clock: Clock = time.monotonic, draw: Callable[[], float] = random.random) -> None:
        """
        Args:
            draw: a number from 0 to just below 1, so that those who were refused do not all come back at once.
        """
        self.quota = quota
        self._top = self._rate = quota * _SHARE
        self._clock, self._draw = clock, draw
        self._lock = threading.Lock()
        self._next = clock()
        self._sent: deque[float] = deque(maxlen=max(1, int(quota)))
        self._slowed = self._next - _ONE_OPINION_S

    @property
    def rate(self) -> float:
        """Requests a second, as it goes now."""
        return self._rate

    def turn(self, watch: Watch) -> None:
        """Waits until a request may be sent.

        Raises:
            Halted: see `Watch`.
        """
        with self._lock:
            now = self._clock()
            # Turns that nobody took are lost: taken later, they would come on top of the quota.
            due = max(self._next, now)
            self._next = due + 1 / self._rate
        while (wait := due - self._clock()) > 0 or (wait := self._go()) > 0:
            watch.wait(wait)
        watch.go_on()

    def _go(self) -> float:
        """Takes note of a request that is sent now, or gives the seconds by which it would come too soon.

        Whoever slept longer than he meant to goes late, and those behind him would follow too closely.
        """
        with self._lock:
            now = self._clock()
            if len(self._sent) == self._sent.maxlen and (wait := self._sent[0] + _SECOND - now) > 0:
                return wait
            self._sent.append(now)
            return 0.0

    def free_in(self) -> float:
        """The seconds until there is a turn that nobody waits for; 0 or less if there is one now."""
        return self._next - self._clock()

    def succeeded(self) -> None:
        """AWS answered a request."""
        with self._lock:
            self._rate = min(self._top, self._rate + self._top * _FASTER)

    def throttled(self) -> None:
        """AWS refused a request for coming too soon."""
        with self._lock:
            now = self._clock()
            if now - self._slowed >= _ONE_OPINION_S:
                self._slowed = now
                self._rate = max(self._top * _SLOWEST, self._rate * _SLOWER)

    def pause(self, tries: int) -> float:
        """The seconds to wait before a request that was refused, or failed, so many times is sent again.

        Source: https://docs.aws.amazon.com/prescriptive-guidance/latest/cloud-design-patterns/retry-backoff.html
        """
        longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(tries, 16))
        return longest * (0.5 + 0.5 * self._draw())


class Paces:
    """The paces of a process: one for each account and region. For any thread."""

    def __init__(self, quotas: Mapping[str, float] = QUOTAS) -> None:
        """
        Args:
            quotas: requests a second, by region.
        """
        self._quotas = quotas
        self._paces: dict[tuple[str, str], Pace] = {}
        self._lock = threading.Lock()

    def of(self, place: Place) -> Pace:
        """The pace of the requests to the account and region of `place`."""
        with self._lock:
            key = (place.account, place.region)
            if key not in self._paces:
                self._paces[key] = Pace(self._quotas.get(place.region, _DEFAULT_QUOTA))
            return self._paces[key]
