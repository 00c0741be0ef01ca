"""How Bedrock's logs lie in S3, in the words of Athena: the definition of a table. Pure text.

Sources:
    https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
    https://docs.aws.amazon.com/athena/latest/ug/openx-json-serde.html
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import msgspec

from tollbook.core.errors import UsageError
from tollbook.sources.aws.delivery import KIND, Delivery, is_account, is_region

ACCOUNT: Final = "log_account"
REGION: Final = "log_region"
HOUR: Final = "log_hour"
"""The partitions. They are named unlike any field of a record, which has a `region` of its own."""

_TEXT: Final = "string"
_COLUMNS: Final[Mapping[str, str | Mapping[str, str]]] = {
    "timestamp": _TEXT,
    "accountId": _TEXT,
    "region": _TEXT,
    "requestId": _TEXT,
    "operation": _TEXT,
    "modelId": _TEXT,
    "inferenceRegion": _TEXT,
    "errorCode": _TEXT,
    "identity": {"arn": _TEXT},
    "requestMetadata": "map<string,string>",
    # Counts as text: one that is no number then costs its record, and not the whole query.
    "input": {"inputTokenCount": _TEXT, "cacheReadInputTokenCount": _TEXT, "cacheWriteInputTokenCount": _TEXT},
    "output": {"outputTokenCount": _TEXT, "outputBodyJson": _TEXT},
}
"""The fields of a record that are needed, and their types; of those that hold others, the types of these."""

FIRST_DAY: Final = date(2023, 9, 28)
"""Bedrock began: https://aws.amazon.com/blogs/aws/amazon-bedrock-is-now-generally-available-build-and-scale-generative-ai-applications-with-foundation-models/"""

# https://docs.aws.amazon.com/athena/latest/ug/tables-databases-columns-names.html
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,254}")
# What a key of S3 may hold without meaning something else in a statement or in a template of locations.
_PREFIX: Final = re.compile(r"[A-Za-z0-9!_.()=+,@:/ -]*")


class Table(msgspec.Struct, frozen=True):
    """A table of Athena."""

    database: str
    name: str

    def __str__(self) -> str:
        return f"{self.database}.{self.name}"


def table_of(database: str, name: str) -> Table:
    """
    Raises:
        UsageError: it cannot be the name of a table.
    """
    for text, what in ((database, "database"), (name, "table")):
        if not _NAME.fullmatch(text):
            message = f"{text!a} cannot be the name of a {what} in Athena. Use letters, digits and underscores."
            raise UsageError(message)
    return Table(database.lower(), name.lower())


def table_definition(
    table: Table,
    delivery: Delivery,
    *,
    accounts: Sequence[str] = (),
    regions: Sequence[str] = (),
    since: date = FIRST_DAY,
) -> str:
    """The statement that makes a table of the logs that Bedrock delivers to a bucket.

    Its partitions are computed from the question, so nothing need be added as time goes by.

    Args:
        accounts, regions: whose logs lie there; if none are given, a question has to name them.
        since: the first day of UTC that has logs.

    Raises:
        UsageError: something given cannot be.
    """
    accounts, regions = (
        accounts or [delivery.account][: bool(delivery.account)],
        regions or [delivery.region][: bool(delivery.region)],
    )
    for account in accounts:
        if not is_account(account):
            raise UsageError(f"{account!a} is no account of AWS. An account's id has twelve digits.")
    for region in regions:
        if not is_region(region):
            raise UsageError(f"{region!a} is no region of AWS. Write it as in eu-west-1.")
    if not _PREFIX.fullmatch(delivery.prefix):
        raise UsageError(
            f"Athena cannot be told of {delivery.name!a}: its prefix holds characters that mean something."
        )
    root = f"s3://{delivery.bucket}/{delivery.root}"
    properties = {
        "projection.enabled": "true",
        **_projection(ACCOUNT, accounts),
        **_projection(REGION, regions),
        f"projection.{HOUR}.type": "date",
        f"projection.{HOUR}.format": "yyyy/MM/dd/HH",
        f"projection.{HOUR}.range": f"{since:%Y/%m/%d}/00,NOW",
        f"projection.{HOUR}.interval": "1",
        f"projection.{HOUR}.interval.unit": "HOURS",
        "storage.location.template": f"{root}${{{ACCOUNT}}}/{KIND}/${{{REGION}}}/${{{HOUR}}}/",
    }
    # Keys as they are written: those of tags differ by case, and bodies may hold two that differ in nothing else.
    reading = {"case.insensitive": "false", "ignore.malformed.json": "true", **_mappings()}
    columns = ",\n".join(f"  `{name.lower()}` {_type(kind)}" for name, kind in _COLUMNS.items())
    return f"""\
CREATE EXTERNAL TABLE IF NOT EXISTS `{table.database}`.`{table.name}` (
{columns}
)
PARTITIONED BY (`{ACCOUNT}` string, `{REGION}` string, `{HOUR}` string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES (
{_listed(reading)}
)
LOCATION '{root}'
TBLPROPERTIES (
{_listed(properties)}
)
"""


def _projection(column: str, values: Sequence[str]) -> dict[str, str]:
    if not values:
        return {f"projection.{column}.type": "injected"}
    return {f"projection.{column}.type": "enum", f"projection.{column}.values": ",".join(dict.fromkeys(values))}


def _mappings() -> dict[str, str]:
    """Columns are named in small letters only."""
    names = list(_COLUMNS)
    names += [name for kind in _COLUMNS.values() if not isinstance(kind, str) for name in kind]
    return {f"mapping.{name.lower()}": name for name in names if name != name.lower()}


def _type(kind: str | Mapping[str, str]) -> str:
    if isinstance(kind, str):
        return kind
    return f"struct<{','.join(f'{name.lower()}:{inner}' for name, inner in kind.items())}>"


def _listed(properties: Mapping[str, str]) -> str:
    return ",\n".join(f"  '{name}' = '{value}'" for name, value in properties.items())
