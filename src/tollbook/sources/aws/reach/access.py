"""Who reaches which account and region: with the credentials at hand, or with a role that is on the list.

What a caller may name is an account, a region and a place. Each is checked before anything is sent, so that no request
is signed for a host, and no role assumed, that whoever runs tollbook did not mean. Nothing else of a caller comes here
but his name.
"""

import difflib
import time
from typing import TYPE_CHECKING, Any, Final

from tollbook.core.errors import SourceError, UsageError
from tollbook.core.text import printable
from tollbook.sources.aws.delivery import is_account
from tollbook.sources.aws.reach.accounts import Accounts, Entry
from tollbook.sources.aws.reach.clients import Clients, Clock, Role
from tollbook.sources.aws.reach.narrowing import check_name, session_policy
from tollbook.sources.aws.trouble import translated
from tollbook.sources.reading import Place

if TYPE_CHECKING:
    from botocore.session import Session

# What an account shares through the Observability Access Manager, of what is read here:
# https://docs.aws.amazon.com/OAM/latest/APIReference/API_CreateLink.html (ResourceTypes)
_SHARED_BY_OAM: Final = frozenset({"logs", "cloudwatch"})


class OutOfReach(UsageError, SourceError):
    """A region that AWS does not have, or an account that may not be read: the place cannot be, and asking for another
    helps."""


class Access:
    """Gives clients of boto3, each made once, for any thread."""

    def __init__(
        self,
        accounts: Accounts = Accounts(),  # noqa: B008 - frozen
        home_region: str | None = None,
        *,
        subject: str = "",
        session: "Session | None" = None,
        clock: Clock = time.time,
    ) -> None:
        """Sends nothing and loads nothing yet.

        Args:
            home_region: that of AWS_REGION; without it, that of AWS_DEFAULT_REGION or of the profile.
            subject: who asks, as CloudTrail shall name him; empty for whoever runs tollbook.
            session: botocore's, which holds the credentials at hand; by default they are found as every program of AWS
                finds them.
            clock: tells when credentials of a role end.
        """
        self.accounts, self.subject = accounts, subject
        self._home_region = home_region
        self._clients = Clients(session, clock)

    def of(self, subject: str) -> "Access":
        """The same for another who asks; he shares what is made with the credentials at hand."""
        other = Access(self.accounts, self._home_region, subject=subject)
        other._clients = self._clients
        return other

    @property
    def home_region(self) -> str:
        """The region where none is named.

        Raises:
            UsageError: there is none, or AWS has none of that name.
            SourceError: AWS's settings on this machine cannot be read.
        """
        region = self._home_region or self._clients.region()
        if not region:
            raise UsageError("No region is named: name one, or set AWS_REGION.")
        self.check_region(region)
        return region

    @property
    def partition(self) -> str:
        """That of the home region.

        Raises:
            UsageError, SourceError: as `home_region`.
        """
        return self._partition_of(self.home_region)

    def own_account(self) -> str:
        """The account of the credentials at hand; AWS is asked once.

        Raises:
            UsageError: no region is set.
            SourceError: AWS does not say, as where there are no credentials.
        """
        return self._clients.own_account(self.home_region)

    def check_region(self, region: str) -> None:
        """
        Raises:
            OutOfReach: AWS has no region of that name.
            SourceError: AWS's settings on this machine cannot be read.
        """
        self._partition_of(region)

    def client(self, service: str, place: Place) -> Any:
        """A client of `service` with which `place` can be read. A role is assumed by its first request.

        Args:
            service: `logs`, `s3`, `athena`; or `bedrock`, `cloudwatch`, for what lies beside the logs. Of a table, `s3`
                lists what lies behind it.

        Raises:
            OutOfReach: there is no such region, or the account is not on the list.
            UsageError: the place has a name that none can have.
            SourceError: the settings of AWS on this machine cannot be read; or AWS does not say which account the
                credentials are of, where that must be known.
        """
        partition = self._partition_of(place.region)
        check_name(service, place)
        entry = self._entry(place.account, place.region)
        role = None
        if entry is not None and entry.via == "oam":
            self._check_shared(service, place)
        elif entry is not None:
            role = self._role(entry, service, place, partition)
        with translated(place, ""):
            return self._clients.client(service, place.region, role)

    def own_client(self, service: str, region: str) -> Any:
        """A client with the credentials at hand, whatever role there is for their account.

        It is for what is tollbook's own, such as the days that it keeps.

        Raises:
            OutOfReach: there is no such region.
            SourceError: the settings of AWS on this machine cannot be read.
        """
        self.check_region(region)
        with translated(f"{service} in {region}", ""):
            return self._clients.client(service, region)

    def identifier(self, place: Place) -> str | None:
        """What stands for a log group in a request: its ARN where another account shares it; None where its name does.

        Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
            (logGroupIdentifier)

        Raises:
            UsageError, SourceError: as with `client`.
        """
        partition = self._partition_of(place.region)
        check_name("logs", place)
        entry = self._entry(place.account, place.region)
        if entry is None or entry.via != "oam":
            return None
        return f"arn:{partition}:logs:{place.region}:{place.account}:log-group:{place.name}"

    def close(self) -> None:
        """Closes every connection, those of others who ask too."""
        self._clients.close()

    def _partition_of(self, region: str) -> str:
        known = self._clients.partitions()
        if region in known:
            return known[region]
        near = difflib.get_close_matches(region[:32], known, n=4, cutoff=0.5)
        hint = f"near to it are {', '.join(near)}" if near else "write one such as us-east-1 or eu-west-1"
        raise OutOfReach(f"AWS has no region '{printable(region[:32])}'; {hint}.")

    def _entry(self, account: str, region: str) -> Entry | None:
        """How to reach it; None: with the credentials at hand."""
        listed, own_role = self.accounts.listed, self.accounts.own_role
        if account and not is_account(account):
            raise OutOfReach(f"'{printable(account[:32])}' is not an account of twelve digits.")
        if account in listed:
            return listed[account]
        if not account and not listed and own_role is None:
            return None
        own = self._clients.own_account(self._home_region or self._clients.region() or region)
        if account and account != own:
            known = ", ".join(self.accounts.name_of(each) for each in sorted({own, *listed}))
            raise OutOfReach(f"Account {account} is not on this server's list.", (f"It knows {known}.",))
        if own_role is not None and own_role.account != own:
            raise OutOfReach(
                f"The role for the own account, {own_role.role}, is not of the account of the AWS credentials, {own}: "
                f"list account {own_role.account} instead."
            )
        return listed.get(own, own_role)

    def _role(self, entry: Entry, service: str, place: Place, partition: str) -> Role:
        if entry.partition != partition:
            raise OutOfReach(
                f"The role {entry.role} reaches no region such as {place.region}, which is of partition {partition}."
            )
        home = self._home_region or self._clients.region()
        # A region of another partition has another STS. Any region of the same one knows the role.
        asked_in = home if self._clients.partitions().get(home) == partition else place.region
        place = Place(entry.account, place.region, place.name)
        return Role(entry, self.subject, session_policy(service, place, partition), asked_in)

    def _check_shared(self, service: str, place: Place) -> None:
        if service not in _SHARED_BY_OAM:
            raise OutOfReach(
                f"Account {self.accounts.name_of(place.account)} shares log groups through OAM and nothing else: list "
                f"a role for it to reach {service} there."
            )
