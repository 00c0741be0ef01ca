"""Logs that Bedrock delivered to S3, read file by file."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, Final

from tollbook.core.errors import SourceError
from tollbook.sources.aws.delivery import NOT_LATER, PERMISSION_CHECK, Delivery, hours_of, is_account, is_region
from tollbook.sources.aws.patience import Losses, abreast
from tollbook.sources.aws.s3.counting import Desk, Pile, Shelf, piles, usd_of
from tollbook.sources.aws.s3.objects import Body, Object, pages
from tollbook.sources.aws.trouble import Throttled, Trouble, Unreachable, translated
from tollbook.sources.reading import Estimate, Place, Stretch, Taken, Watch
from tollbook.sources.seen import SeenIds
from tollbook.spend.model import Named
from tollbook.spend.query import Query

_SECONDS_PER_REQUEST: Final = 0.05
_BYTES_PER_SECOND: Final = 20 << 20
_BYTES_PER_RECORD: Final = 300  # compressed, and without long bodies
_MANY_HOURS: Final = 7 * 24
"""Above so many, days without any delivery are looked for first: an hour costs a request, whatever it holds."""
_MOST_FAULTS: Final = 32
"""Requests that may fail, each after all its patience, before no further one is made."""


class S3Logs:
    """The logs of one account and region in a bucket. See `Source`."""

    engine = "S3"
    blind_to: tuple[str, ...] = (NOT_LATER,)

    def __init__(
        self,
        client: Any,
        place: Place,
        bucket: str,
        prefix: str,
        account: str,
        region: str,
        *,
        names: Mapping[str, Named] | None = None,
        workers: int = 16,
    ) -> None:
        """Reads nothing yet.

        Args:
            client: boto3's for S3, for so many connections at once as there are workers.
            prefix: as in Bedrock's logging settings; may be empty.
            account, region: whose logs, as they stand in the keys.
            names: what opaque model ids stand for.
        """
        self.place = place
        self._client, self._delivery = client, Delivery(bucket, prefix.strip("/"))
        self._account, self._region = account, region
        self._names, self._workers = names, workers
        self._listed: dict[datetime, Shelf] = {}

    def estimate(self, stretches: Sequence[Stretch], watch: Watch) -> Estimate:
        """See `Source`. What it lists is not listed again by the reading that follows."""
        shelves = self._shelves(stretches, watch)
        lists, gets = sum(shelf.requests for shelf in shelves), sum(len(shelf.objects) for shelf in shelves)
        size = sum(shelf.size for shelf in shelves)
        return Estimate(
            bytes=size,
            requests=lists + gets,
            usd=usd_of(lists, gets),
            seconds=gets * _SECONDS_PER_REQUEST / self._workers + size / _BYTES_PER_SECOND,
            basis=f"{gets:,} file{'' if gets == 1 else 's'} listed in S3",
        )

    def read(self, stretches: Sequence[Stretch], query: Query, watch: Watch) -> Sequence[Taken]:
        """See `Source`."""
        shelves = self._shelves(stretches, watch)
        expected = sum(shelf.size for shelf in shelves) // _BYTES_PER_RECORD
        losses = Losses(_MOST_FAULTS)
        with SeenIds(expected, threading.Lock()) as seen:
            desks = [Desk(stretch, query, seen, self._names) for stretch in stretches]
            work = [(pile, found) for pile in piles(shelves, desks) for found in pile.shelf.objects]
            abreast(work, lambda item: self._read_one(*item, losses, watch), self._workers)
        losses.raise_if_all()
        for stretch in stretches:  # an hour that a later stretch has in common with one of these stays
            for hour in [hour for hour in self._listed if stretch.since <= hour < stretch.until]:
                del self._listed[hour]
        return [desk.taken() for desk in desks]

    def _read_one(self, pile: Pile, found: Object, losses: Losses, watch: Watch) -> None:
        if fault := losses.gives_up:
            pile.lose("file", fault.message)
            return

        def came(bytes_: int) -> None:
            pile.payer.pay(bytes_=bytes_)
            watch.tell(bytes_, 0)

        key = pile.shelf.folder + found.name
        with closing(Body(self._client, self._delivery.bucket, key, watch, came)) as body:
            try:
                with translated(self.place, "s3:GetObject"):
                    pile.count(body, watch)
                losses.gain()
            except SourceError as fault:
                if isinstance(fault, Trouble) and fault.code == "NoSuchKey":
                    pile.payer.note("gone since it was listed, as where a lifecycle rule deletes files")
                else:
                    losses.add(fault)
                    pile.lose("file", fault.message)
            finally:
                pile.payer.pay(gets=body.requests)

    def _shelves(self, stretches: Sequence[Stretch], watch: Watch) -> list[Shelf]:
        """What was delivered in the hours of `stretches`, in order; listed where it is not known yet.

        Raises:
            SourceError: nothing can be listed.
            Halted: see `Watch`.
        """
        hours = sorted({hour for stretch in stretches for hour in hours_of(stretch)})
        losses = Losses(_MOST_FAULTS)

        def list_one(hour: datetime) -> None:
            self._listed[hour] = self._shelf(hour, losses, watch)

        missing = [hour for hour in hours if hour not in self._listed or self._listed[hour].fault]
        if len(missing) < len(hours):
            losses.gain()
        if len(missing) > _MANY_HOURS:
            there = self._days(watch)
            empty = [hour for hour in missing if f"{hour:%Y/%m/%d}" not in there]
            self._listed |= {hour: Shelf(hour, self._folder(hour)) for hour in empty}
            missing = [hour for hour in missing if hour not in self._listed]
        abreast(missing, list_one, self._workers)
        losses.raise_if_all()
        return [self._listed[hour] for hour in hours]

    def _folder(self, hour: datetime) -> str:
        return self._delivery.folder(self._account, self._region, hour)

    def _days(self, watch: Watch) -> set[str]:
        """The days on which anything was delivered, such as `2026/11/23`: some requests for each year, not 8,760.

        Raises:
            SourceError: they cannot be listed.
            Halted: see `Watch`.
        """
        root = f"{self._delivery.kind(self._account)}{self._region}/"

        def below(path: str, levels: int) -> Iterator[str]:
            for page in pages(self._client, self._delivery.bucket, f"{root}{path}", watch):
                for folder in page.folders:
                    inner = f"{path}{folder}"
                    yield from below(f"{inner}/", levels - 1) if levels else (inner,)

        with translated(self.place, "s3:ListBucket"):
            return set(below("", 2))

    def _shelf(self, hour: datetime, losses: Losses, watch: Watch) -> Shelf:
        folder = self._folder(hour)
        if fault := losses.gives_up:
            return Shelf(hour, folder, fault=fault.message)
        objects: list[Object] = []
        requests = 0
        try:
            with translated(self.place, "s3:ListBucket"):
                for page in pages(self._client, self._delivery.bucket, folder, watch):
                    requests += 1
                    objects += (found for found in page.objects if found.size and found.name != PERMISSION_CHECK)
        except (Throttled, Unreachable) as fault:
            losses.add(fault)
            return Shelf(hour, folder, requests=requests, fault=fault.message)
        losses.gain()
        return Shelf(hour, folder, tuple(objects), requests)


def places_in(client: Any, bucket: str, prefix: str, watch: Watch | None = None) -> Sequence[Place]:
    """The accounts and regions whose logs lie in a bucket, in order.

    Args:
        prefix: as in Bedrock's logging settings; may be empty.

    Raises:
        SourceError: the bucket does not exist or may not be listed.
        Halted: see `Watch`.
    """
    delivery, watch = Delivery(bucket, prefix.strip("/")), watch or Watch()

    def folders(below: str) -> list[str]:
        with translated(Place("", str(client.meta.region_name), delivery.name), "s3:ListBucket"):
            return [name for page in pages(client, bucket, below, watch) for name in page.folders]

    return [
        Place(account, region, delivery.name)
        for account in folders(delivery.root)
        if is_account(account)
        for region in folders(delivery.kind(account))
        if is_region(region)
    ]
