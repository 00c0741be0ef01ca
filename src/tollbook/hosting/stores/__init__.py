"""Where records can be kept: in this process, in a file of this machine, in a table on AWS."""

import re
import time
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
    kind, _, name = text.partition(":")
    if text == "memory":
        from tollbook.hosting.stores.memory import MemoryStore

        return MemoryStore(clock)
    if kind == "sqlite" and name:
        from tollbook.hosting.stores.sqlite import SqliteStore

        return SqliteStore(name, clock)
    if kind == "dynamodb" and _TABLE_NAME.fullmatch(name):
        try:
            from tollbook.hosting.stores.dynamodb import DynamodbStore
        except ImportError as fault:
            raise UsageError(f"'{text}' needs boto3. Install it beside tollbook.") from fault

        return DynamodbStore(name, clock)
    raise UsageError(
        f"'{text}' is no store. Use memory, sqlite:PATH, or dynamodb:TABLE with a table's name of 3 to 255 "
        "letters, digits, '_', '.' and '-'."
    )


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
