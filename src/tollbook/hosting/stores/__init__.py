"""Where records can be kept: in this process, in a file of this machine, in a table or a bucket on AWS."""

import importlib.util
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from tollbook.core.errors import UsageError
from tollbook.core.stores import LARGEST_VALUE, Blobs, Clock, Record, Store

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
_TABLE_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{3,255}", re.ASCII)
# What means nothing to IAM. https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9!_.'()/-]{0,300}))?")


def open_store(text: str, clock: Clock = time.time) -> Store:
    """The store that `text` names: `memory`, `sqlite:PATH` or `dynamodb:TABLE`.

    Nothing is reached before the first record is asked for.

    Raises:
        UsageError: `text` names none.
    """
    return opener_of(text)(clock)


def opener_of(text: str) -> Callable[[Clock], Store]:
    """What opens the store that `text` names, which may need more than whoever never opens it should wait for.

    Raises:
        UsageError: `text` names none. That boto3 is not there is said only when a table is opened.
    """
    kind, _, name = text.partition(":")
    if text == "memory":
        return _open_memory
    if kind == "sqlite" and name:
        return partial(_open_sqlite, name)
    if kind == "dynamodb" and _TABLE_NAME.fullmatch(name):
        return partial(_open_dynamodb, name)
    shown = f"{kind}:…" if "@" in text else text  # before an @ there may be a password
    raise UsageError(
        f"'{shown}' is no store. Use memory, sqlite:PATH, or dynamodb:TABLE with a table's name of 3 to 255 "
        "letters, digits, '_', '.' and '-'."
    )


def open_blobs(text: str, clock: Clock = time.time) -> Blobs:
    """What is kept in the bucket that `text` names, `s3://BUCKET/PREFIX`. Nothing is reached before it is used.

    Raises:
        UsageError: `text` names none.
    """
    found = _BUCKET.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!a} is no place in S3. Write s3://BUCKET/PREFIX.")
    from tollbook.hosting.stores.s3 import S3Blobs

    bucket, prefix = found[1], (found[2] or "").strip("/")
    return S3Blobs(bucket, f"{prefix}/" if prefix else "", clock)


def _open_memory(clock: Clock) -> Store:
    from tollbook.hosting.stores.memory import MemoryStore

    return MemoryStore(clock)


def _open_sqlite(path: str, clock: Clock) -> Store:
    from tollbook.hosting.stores.sqlite import SqliteStore

    return SqliteStore(path, clock)


def _open_dynamodb(table: str, clock: Clock) -> Store:
    if importlib.util.find_spec("botocore") is None:
        raise UsageError(f"'dynamodb:{table}' needs boto3. Install it beside tollbook.")
    from tollbook.hosting.stores.dynamodb import DynamodbStore

    return DynamodbStore(table, clock)


def keys_between(prefix: str, after: str) -> tuple[str, str]:
    """The first and the last text between which every key lies that begins with `prefix` and comes after `after`.

    The key `after` itself may be the first. Neither is empty. Where the first is greater, there is no such key.
    """
    # Keys are printable ASCII: none comes before a blank, and none has a character after '~', which U+007F follows.
    return max(prefix, after, " "), prefix + "\x7f"


def checked(record: Record) -> Record:
    """`record`, if every store takes it.

    Raises:
        ValueError: its value is too large.
    """
    if len(record.value) > LARGEST_VALUE:
        raise ValueError(f"A value of {len(record.value):,} bytes is too large; a store takes {LARGEST_VALUE:,}.")
    return record
