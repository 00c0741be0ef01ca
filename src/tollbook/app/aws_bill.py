"""AWS's bill for Bedrock, for whoever compares the logs with it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from tollbook.app.aws_settings import AWS_SETTINGS, AwsSettings, aws_settings
from tollbook.core.errors import SourceError, UsageError
from tollbook.core.settings import read_values
from tollbook.sources.aws.billed import ENDPOINTS, bill_of
from tollbook.sources.aws.reach.access import Access
from tollbook.sources.reading import Halted, Watch
from tollbook.spend.answers.reconcile import Bill

if TYPE_CHECKING:
    from botocore.session import Session

_AT_ONCE: Final = 4


class AwsBill:
    """Asks Cost Explorer, with the credentials at hand. For any thread. See `tools.asking.Biller`."""

    def __init__(
        self,
        settings: AwsSettings,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        session: "Session | None" = None,
    ) -> None:
        """Asks AWS for nothing yet.

        Args:
            clock: tells what is billed for good; aware.
            session: botocore's; see `Access`.

        Raises:
            UsageError: the list of accounts cannot be used.
        """
        self._clock = clock
        region = settings.home_region or next(iter(settings.regions), None)
        self._access = Access(settings.listed(), region, session=session)
        self._turns = anyio.CapacityLimiter(_AT_ONCE)

    async def bill(self, since: date, until: date, account: str) -> Bill:
        """What was billed from `since` until before `until`, days of UTC. What is cancelled sends no further request.

        Args:
            account: whose; empty for the own one and those on the list.

        Raises:
            TollbookError: Cost Explorer cannot be asked, refuses or fails.
        """
        watch = Watch()
        try:
            return await anyio.to_thread.run_sync(
                self.read, since, until, account, watch, abandon_on_cancel=True, limiter=self._turns
            )
        except Halted:
            raise SourceError("The reading was stopped. Ask again.") from None
        finally:
            watch.halt()

    def read(self, since: date, until: date, account: str, watch: Watch) -> Bill:
        """The same, at once.

        Raises:
            TollbookError: as `bill`.
            Halted: see `Watch`.
        """
        accounts = self._accounts(account)
        return bill_of(self._client(), since, until, self._clock().astimezone(UTC).date(), accounts, watch)

    def _accounts(self, account: str) -> Sequence[str]:
        """
        Raises:
            UsageError: it is none of those that are read here.
            SourceError: AWS does not say whose the credentials are.
        """
        read = sorted({self._access.own_account(), *self._access.accounts.listed})
        if account and account not in read:
            names = ", ".join(map(self._access.accounts.name_of, read))
            raise UsageError(f"Account {account} is not read here.", (f"There are {names}.",))
        return (account,) if account else read

    def _client(self) -> object:
        partition = self._access.partition
        if partition not in ENDPOINTS:
            raise UsageError(
                f"Cost Explorer does not answer in the partition {partition}: its costs are billed to, and seen in, an "
                "account of another. Ask there."
            )
        return self._access.own_client("ce", ENDPOINTS[partition])


def bill_from_aws(
    since: date,
    until: date,
    *,
    given: Mapping[str, str | None],
    account: str = "",
    environment: Mapping[str, str],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Bill:
    """What was billed from `since` until before `until`, days of UTC, for the command line.

    Args:
        given: flags as written, by the names of `AWS_SETTINGS`.
        account: the only one that is meant; empty for the own one and those on the list.

    Raises:
        TollbookError: a setting makes no sense; or Cost Explorer cannot be asked, refuses or fails.
    """
    values, problems = read_values(AWS_SETTINGS, environment, given)
    if problems:
        raise UsageError("The bill cannot be read:", problems)
    watch = Watch()
    try:
        return AwsBill(aws_settings(values, environment), clock=clock).read(since, until, account, watch)
    finally:
        watch.halt()
