"""A log group, read in the way that its size suggests."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from tollbook.core.errors import SourceError
from tollbook.sources.aws.cloudwatch.events import Events
from tollbook.sources.aws.cloudwatch.groups import Group, group_of
from tollbook.sources.aws.cloudwatch.insights import Insights
from tollbook.sources.aws.cloudwatch.pace import Paces
from tollbook.sources.aws.reach.access import Access
from tollbook.sources.reading import Choice, Place, Stretch, Watch
from tollbook.spend.model import Named
from tollbook.spend.render.words import measure

MOST_FETCHED: Final = 100_000_000
"""Bytes above which Logs Insights reads a group: FilterLogEvents is free, but gives some 10 MB a second."""

_DAY: Final = timedelta(days=1)


class LogGroup:
    """A log group in one account and region. See `Spot`."""

    def __init__(
        self,
        place: Place,
        engine: Literal["cloudwatch", "events", "insights"],
        access: Access,
        paces: Paces,
        now: datetime,
        names: Mapping[str, Named],
    ) -> None:
        """
        Args:
            place: its account may be empty.
            engine: `cloudwatch` chooses.
        """
        self.place = place
        self._engine, self._access, self._paces, self._now, self._names = engine, access, paces, now, names
        self._group: Group | None = None

    def locate(self, watch: Watch) -> Place:
        """See `Spot`. The account is that in the group's ARN, so nobody need be asked for it."""
        client = self._access.client("logs", self.place)
        self._arn = self._access.identifier(self.place)
        self._group = group_of(client, self.place, self._now, watch, arn=self._arn)
        account = self._group.arn.split(":")[4] if self._group.arn.count(":") > 4 else ""
        self._asked, self.place = self.place, Place(self.place.account or account, self.place.region, self.place.name)
        return self.place

    @property
    def since(self) -> datetime | None:
        """See `Spot`."""
        return self._group.since if self._group else None

    def choose(self, stretches: Sequence[Stretch], watch: Watch) -> Choice:
        """See `Spot`.

        Raises:
            SourceError: FilterLogEvents was asked for, and cannot read this class of groups.
        """
        watch.go_on()
        group = self._group or Group("")
        size = int(group.bytes_per_day * sum((each.until - each.since) / _DAY for each in stretches))
        if self._engine == "events" and group.is_infrequent:
            raise SourceError(
                f"FilterLogEvents cannot read {self.place}: its class is Infrequent Access. "
                f"Name it insights:{self.place.name}."
            )
        if group.is_infrequent:
            engine, why = "insights", "its class is Infrequent Access"
        elif self._engine != "cloudwatch":
            engine, why = self._engine, "it was asked for"
        elif size > MOST_FETCHED:
            engine, why = "insights", f"about {measure(size)} are too much to fetch"
        else:
            engine, why = "events", f"about {measure(size)} can be fetched at no cost"
        client = self._access.client("logs", self._asked)
        if engine == "insights":
            insights = Insights(
                client,
                self.place,
                names=self._names,
                group_arn=self._arn,
                bytes_per_day=int(group.bytes_per_day),
            )
            return Choice(insights, why)
        # Requests count for whoever sends them: for linked accounts, that is the one they are linked to.
        counted_at = self.place if self._arn is None else Place(self._access.own_account(), self.place.region, "")
        pace = self._paces.of(counted_at)
        return Choice(Events(client, self.place, pace, names=self._names, group=group, group_arn=self._arn), why)
