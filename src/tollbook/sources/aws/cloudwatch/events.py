"""A log group of CloudWatch, read by FilterLogEvents: every event is fetched, and only what a report needs decoded.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from tollbook.sources.aws.cloudwatch.groups import Group, group_of
from tollbook.sources.aws.cloudwatch.pace import Clock, Pace
from tollbook.sources.aws.cloudwatch.pages import keep_bytes
from tollbook.sources.aws.cloudwatch.sheets import Sheets
from tollbook.sources.aws.cloudwatch.sweep import PATIENCE, Patience, Sweep
from tollbook.sources.reading import Estimate, Place, Stretch, Taken, Watch
from tollbook.sources.seen import SeenIds
from tollbook.spend.model import Named
from tollbook.spend.query import Query

_PAGE: Final = 1_000_000  # bytes
_RECORD: Final = 1_500  # bytes of a short one
_DAY_S: Final = 86_400


class Events:
    """FilterLogEvents on one log group.

    It costs nothing but requests, of which an account may send few a second: see `pace`.
    """

    engine = "FilterLogEvents"
    blind_to: tuple[str, ...] = ("FilterLogEvents looks for a record up to 15 minutes after the time written in it",)

    def __init__(
        self,
        client: Any,
        place: Place,
        pace: Pace,
        *,
        names: Mapping[str, Named] | None = None,
        workers: int = 16,
        group: Group | None = None,
        group_arn: str | None = None,
        patience: Patience = PATIENCE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Clock = time.monotonic,
    ) -> None:
        """
        Args:
            client: of CloudWatch Logs, from boto3; it is changed, see `pages.keep_bytes`.
            pace: shared with all who send FilterLogEvents to the account and region.
            names: what opaque model ids stand for.
            workers: requests that are under way at once, at most.
            group: what is known of the log group; looked up for an estimate if None.
            group_arn: for a group of another account that is linked to that of the credentials.
        """
        keep_bytes(client)
        self.place = place
        self._client, self._pace, self._names, self._workers = client, pace, names or {}, workers
        self._group, self._arn = group, group_arn
        self._patience, self._now, self._clock = patience, now, clock

    def estimate(self, stretches: Sequence[Stretch], watch: Watch) -> Estimate:
        """See `Source.estimate`; judged by the average size of a day."""
        if self._group is None:
            self._group = group_of(self._client, self.place, self._now(), watch, arn=self._arn)
        size = self._expected(stretches)
        requests = math.ceil(size / _PAGE) + len(stretches)
        return Estimate(size, requests, seconds=requests / self._pace.rate, basis="the log group's stored bytes")

    def read(self, stretches: Sequence[Stretch], query: Query, watch: Watch) -> Sequence[Taken]:
        """See `Source.read`.

        Args:
            stretches: apart from one another.
        """
        group = {"logGroupName": self.place.name} if self._arn is None else {"logGroupIdentifier": self._arn}
        with SeenIds(self._expected(stretches) // _RECORD, threading.Lock()) as seen:
            sheets = Sheets(stretches, query, seen.claim, self._names)
            sweep = Sweep(
                self._client,
                self.place,
                group,
                sheets,
                self._pace,
                watch,
                workers=self._workers,
                patience=self._patience,
                clock=self._clock,
            )
            return sweep.run()

    def _expected(self, stretches: Sequence[Stretch]) -> int:
        """About the bytes of the events in `stretches`; 0 while nothing is known of the group."""
        if self._group is None:
            return 0
        days = sum((stretch.until - stretch.since).total_seconds() for stretch in stretches) / _DAY_S
        return int(min(days * self._group.bytes_per_day, self._group.stored_bytes))
