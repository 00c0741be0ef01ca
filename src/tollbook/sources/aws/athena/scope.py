"""What a query of Athena will scan: the sizes of the files in the folders that it looks into."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tollbook.core.errors import SourceError, UsageError
from tollbook.sources.aws.athena.table import ACCOUNT, REGION, Table
from tollbook.sources.aws.athena.trouble import incomplete, refused
from tollbook.sources.aws.delivery import Delivery, delivery_of, hours_of
from tollbook.sources.aws.patience import abreast, patiently
from tollbook.sources.aws.s3.objects import pages
from tollbook.sources.aws.trouble import translated
from tollbook.sources.reading import Place, Stretch, Watch

_MOST_FOLDERS: Final = 500
_AT_ONCE: Final = 16


class Scope(msgspec.Struct, frozen=True):
    """Where a table's files lie.

    Attributes:
        accounts, regions: whose logs a query reads.
    """

    delivery: Delivery
    accounts: tuple[str, ...]
    regions: tuple[str, ...]

    def folders(self, hour: datetime) -> list[str]:
        """Those of one hour."""
        return [self.delivery.folder(account, region, hour) for account in self.accounts for region in self.regions]


class Sizes(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        bytes: for each stretch, in their order.
        requests: that it took.
        listed, folders: how many folders were looked into, and how many there are.
    """

    bytes: tuple[int, ...]
    requests: int
    listed: int
    folders: int


def scope_of(
    client: Any,
    table: Table,
    place: Place,
    workgroup: str,
    accounts: Sequence[str],
    regions: Sequence[str],
    watch: Watch,
) -> Scope:
    """What the table's definition says of where its files lie.

    Args:
        client: boto3's for Athena.
        accounts, regions: whose logs are to be read; all that the table knows if none are given.

    Raises:
        SourceError: there is no such table, or it is none of tollbook's.
        Halted: see `Watch`.
    """

    def ask() -> Any:
        return client.get_table_metadata(
            CatalogName="AwsDataCatalog", DatabaseName=table.database, TableName=table.name, WorkGroup=workgroup
        )

    try:
        settings = patiently(ask, watch)["TableMetadata"].get("Parameters", {})
    except (ClientError, BotoCoreError, ResponseParserError) as fault:
        raise refused(fault, place, table, workgroup) from fault

    def values(column: str, given: Sequence[str]) -> tuple[str, ...]:
        known = settings.get(f"projection.{column}.values", "").split(",")
        if settings.get(f"projection.{column}.type") == "injected":
            known = list(given)
        if not any(known):
            raise incomplete(table)
        meant = tuple(value for value in known if not given or value in given)
        if not meant:
            raise SourceError(f"Table {table} of Athena holds no logs of {', '.join(given)}. Name others, or none.")
        return meant

    root = settings.get("storage.location.template", "").partition("$")[0]
    try:
        delivery = delivery_of(root)
    except UsageError as fault:
        raise SourceError(
            f"Table {table} of Athena does not say where its files lie. Make it anew with what 'tollbook athena ddl' "
            "prints."
        ) from fault
    return Scope(delivery, values(ACCOUNT, accounts), values(REGION, regions))


def sizes(client: Any, scope: Scope, stretches: Sequence[Stretch], place: Place, watch: Watch) -> Sizes:
    """What queries for `stretches` will scan. Of very many folders some are listed, and the rest taken to be like them.

    Args:
        client: boto3's for S3.

    Raises:
        SourceError: the bucket may not be listed.
        Halted: see `Watch`.
    """
    looked = [[folder for hour in hours_of(stretch) for folder in scope.folders(hour)] for stretch in stretches]
    folders = sorted({folder for those in looked for folder in those})
    step = max(1, -(-len(folders) // _MOST_FOLDERS))
    found: dict[str, int] = {}
    requests: list[int] = []
    bucket = scope.delivery.bucket

    def weigh(folder: str) -> None:
        with translated(Place(place.account, place.region, scope.delivery.name), "s3:ListBucket"):
            listed = list(pages(client, bucket, folder, watch, deep=True))
        found[folder] = sum(one.size for page in listed for one in page.objects)
        requests.append(len(listed))

    abreast(folders[::step], weigh, _AT_ONCE)
    usual = sum(found.values()) / max(1, len(found))
    return Sizes(
        tuple(int(sum(found.get(folder, usual) for folder in those)) for those in looked),
        sum(requests),
        len(found),
        len(folders),
    )
