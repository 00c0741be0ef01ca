"""Logs in S3 and behind Athena, as places of a survey."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from tollbook.core.errors import SourceError
from tollbook.sources.aws.athena.source import Athena
from tollbook.sources.aws.delivery import delivery_of
from tollbook.sources.aws.reach.access import Access
from tollbook.sources.aws.s3.source import S3Logs, places_in
from tollbook.sources.reading import Choice, Place, Stretch, Watch
from tollbook.spend.model import Named


class Folder:
    """The logs of one account and region in a bucket. See `Spot`."""

    since = None

    def __init__(self, place: Place, access: Access, names: Mapping[str, Named]) -> None:
        self.place, self._access, self._names = place, access, names

    def locate(self, watch: Watch) -> Place:
        """See `Spot`."""
        watch.go_on()
        return self.place

    def choose(self, stretches: Sequence[Stretch], watch: Watch) -> Choice:  # noqa: ARG002 - there is one way
        """See `Spot`."""
        place, delivery = self.place, delivery_of(self.place.name)
        # The bucket is read with the credentials at hand, whoever's calls it holds.
        client = self._access.client("s3", Place("", place.region, place.name))
        source = S3Logs(client, place, delivery.bucket, delivery.prefix, place.account, place.region, names=self._names)
        return Choice(source, "")


def folders(
    address: str,
    regions: Collection[str],
    account: str,
    access: Access,
    names: Mapping[str, Named],
    watch: Watch,
) -> Sequence[Folder]:
    """A spot for each account and region whose logs lie at `address`.

    Args:
        regions, account: the only ones that are meant; empty for all.

    Raises:
        UsageError: `address` names no bucket.
        SourceError: it may not be listed, or holds no such logs.
    """
    delivery = delivery_of(address)
    client = access.client("s3", Place("", access.home_region, delivery.name))
    found = places_in(client, delivery.bucket, delivery.prefix, watch)

    def is_meant(place: Place) -> bool:
        wanted = ((delivery.account, place.account), (account, place.account), (delivery.region, place.region))
        return all(asked in ("", has) for asked, has in wanted) and (not regions or place.region in regions)

    meant = [Folder(place, access, names) for place in found if is_meant(place)]
    if not meant:
        which = " ".join(
            filter(None, (f"of account {account}" if account else "", f"in {', '.join(regions)}" if regions else ""))
        )
        raise SourceError(
            f"There are no Bedrock logs {which}{' ' if which else ''}in {delivery.name}. Name the bucket and prefix "
            "that model invocation logging delivers to."
        )
    return meant


class Table:
    """A table of Athena. See `Spot`."""

    since = None

    def __init__(
        self,
        name: str,
        access: Access,
        names: Mapping[str, Named],
        *,
        workgroup: str,
        output: str,
        accounts: Iterable[str] = (),
        regions: Iterable[str] = (),
    ) -> None:
        """
        Args:
            name: `DATABASE.TABLE`.
            accounts, regions: whose logs are read; all if none are given.
        """
        self._access, self._names = access, names
        self._workgroup, self._output = workgroup, output
        self._accounts, self._regions = tuple(accounts), tuple(regions)
        self._name = name
        self.place = Place("", access.home_region, name)

    def locate(self, watch: Watch) -> Place:
        """See `Spot`. What it is restricted to is part of its name, since days are kept by that."""
        watch.go_on()
        only = ",".join((*self._accounts, *self._regions))
        name = f"{self._name} ({only})" if only else self._name
        self.place = Place(self._access.own_account(), self.place.region, name)
        return self.place

    def choose(self, stretches: Sequence[Stretch], watch: Watch) -> Choice:  # noqa: ARG002 - there is one way
        """See `Spot`."""
        place = Place("", self.place.region, self._name)
        database, _, table = self._name.partition(".")
        source = Athena(
            self._access.client("athena", place),
            place,
            database,
            table,
            s3=self._access.client("s3", place),
            workgroup=self._workgroup,
            output=self._output,
            names=self._names,
            accounts=self._accounts,
            regions=self._regions,
        )
        return Choice(source, "")
