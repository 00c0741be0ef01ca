"""Where records can be kept: in this process, in a file of this machine, in a table on AWS."""

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from tollbook.core.errors import UsageError
from tollbook.core.stores import LARGEST_VALUE, Clock, Record, Store

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
_TABLE_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{3,255}", re.ASCII)


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


def _open_memory(clock: Clock) -> Store:
    from tollbook.hosting.stores.memory import MemoryStore

    return MemoryStore(clock)


def _open_sqlite(path: str, clock: Clock) -> Store:
    from tollbook.hosting.stores.sqlite import SqliteStore

    return SqliteStore(path, clock)


def _open_dynamodb(table: str, clock: Clock) -> Store:
    try:
        from tollbook.hosting.stores.dynamodb import DynamodbStore
    except ImportError as fault:
        raise UsageError(f"'dynamodb:{table}' needs boto3. Install it beside tollbook.") from fault

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
