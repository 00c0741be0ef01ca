"""What Athena refuses or fails at, in sentences that say what happened and what to do next."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from botocore.exceptions import ClientError

from tollbook.core.errors import SourceError
from tollbook.core.text import printable
from tollbook.sources.aws.athena.table import Table
from tollbook.sources.aws.denial import denial_in
from tollbook.sources.aws.trouble import trouble_of
from tollbook.sources.reading import Place

_MOST_CHARACTERS: Final = 300
_REQUESTS: Final = frozenset({"InvalidRequestException", "MetadataException"})
_CODE: Final = re.compile(r"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b")
_MAY_QUOTE_RECORDS: Final = re.compile(r"HIVE_(CURSOR_ERROR|BAD_DATA)|INVALID_(CAST|FUNCTION)_ARGUMENT")

_WHOSE: Final = (
    "Table {table} of Athena does not say whose logs it holds. Say which account and region you mean, or make it anew "
    "with what 'tollbook athena ddl' prints, with --accounts and --regions."
)
_MEANINGS: Final = (
    (
        r"(TABLE|SCHEMA|DATABASE)_NOT_FOUND|(Table|Schema|Database) \S+ (does not exist|not found)|EntityNotFound",
        "There is no table {table} of Athena in {region}. Make it with what 'tollbook athena ddl' prints, or name "
        "another.",
    ),
    (
        r"COLUMN_NOT_FOUND|Column \S+ cannot be resolved",
        "Table {table} of Athena has other columns than tollbook asks for. Drop it, and make it anew with what "
        "'tollbook athena ddl' prints.",
    ),
    (
        r"CONSTRAINT_VIOLATION|injected projected partition",
        _WHOSE,
    ),
    (
        r"Bytes scanned limit",
        "The workgroup {workgroup} of Athena allows no query to scan so much. Ask for fewer days, or have its limit "
        "raised.",
    ),
    (
        r"(?i)output (bucket|location)|results? location",
        "Athena cannot write its results. Give the workgroup {workgroup} a location for them where you may write, or "
        "name one.",
    ),
    (
        r"(?i)workgroup\b.* (not found|does not exist|disabled)",
        "Athena has no workgroup {workgroup} in {region} that works. Name another, such as primary.",
    ),
)


def refused(fault: Exception, place: Place, table: Table, workgroup: str) -> SourceError:
    """What a request came to that was refused, or got no answer."""
    action = "athena"
    if isinstance(fault, ClientError):
        action = f"athena:{fault.operation_name}"
        told = fault.response.get("Error", {})
        if told.get("Code") in _REQUESTS and (sentence := _meant(str(told.get("Message")), place, table, workgroup)):
            return SourceError(sentence)
    return trouble_of(fault, msgspec.structs.replace(place, name=str(table)), action)


def incomplete(table: Table) -> SourceError:
    """A table that wants to be told whose logs are meant."""
    return SourceError(_WHOSE.format(table=table))


def failed(status: Mapping[str, Any], id_: str, place: Place, table: Table, workgroup: str) -> SourceError:
    """What a query came to that has failed, or that someone cancelled.

    Args:
        status: of the query, as Athena tells it.
    """
    reason = str(status.get("StateChangeReason") or status.get("AthenaError", {}).get("ErrorMessage") or "")
    if sentence := _meant(reason, place, table, workgroup):
        return SourceError(sentence)
    look = f"Look for query {id_} in the workgroup {workgroup}."
    if _MAY_QUOTE_RECORDS.search(reason):  # what a log says is no one's to see here
        code = _CODE.search(reason)
        return SourceError(f"Athena cannot read what lies in table {table}: {code[0] if code else 'no reason'}. {look}")
    if status.get("State") == "CANCELLED":
        return SourceError(f"Someone, or a limit of the workgroup {workgroup}, cancelled the query of Athena. {look}")
    said = printable(reason[:_MOST_CHARACTERS].strip().rstrip(".")) or "no reason given"
    return SourceError(f"Athena failed: {said}. {look}")


def _meant(reason: str, place: Place, table: Table, workgroup: str) -> str:
    """A sentence for `reason`, if it is one that is known."""
    words = {"table": str(table), "region": place.region, "workgroup": workgroup}
    denial = denial_in(reason)
    if denial.action:
        lack = f"{denial.subject} lacks {denial.lack}{denial.reason}"
        return f"Athena cannot read table {table} in {place.region}: {lack}. Have it granted."
    for pattern, sentence in _MEANINGS:
        if re.search(pattern, reason):
            return sentence.format_map(words)
    if re.search(r"PERMISSION_DENIED|Access ?Denied", reason):
        return (
            f"Athena may not read what lies behind table {table} in {place.region}. Have s3:ListBucket and "
            "s3:GetObject granted for the logs, kms:Decrypt on the key that encrypts them, if one does, and "
            "glue:GetTable for the table."
        )
    return ""
