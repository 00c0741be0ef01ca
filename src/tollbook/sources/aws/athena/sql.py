"""The one question that is put to Athena, as SQL. Pure text.

Nothing that a caller writes gets into it but the names of tables and the keys of tags, which are checked and quoted.

Source: https://docs.aws.amazon.com/athena/latest/ug/functions-env3.html
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from tollbook.core.errors import UsageError
from tollbook.sources.aws.athena.body import INVOKED, ONE_HOUR, TIER
from tollbook.sources.aws.athena.table import ACCOUNT, HOUR, REGION, Table
from tollbook.sources.aws.delivery import KIND, hours_of, is_account, is_region
from tollbook.sources.reading import Stretch
from tollbook.spend.record import Reason
from tollbook.spend.usage import CONTEXT_STEPS

_KEY_BYTES: Final = 256
"""Of a key of request metadata: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"""
_COUNTS: Final = {"text_in": "fresh", "text_out": "output", "text_read": "cache_read", "text_write": "cache_write"}
_MOST_TOKENS: Final = 10**12  # as `spend.record` has it
_GROSS: Final = "cache_read + cache_write > 0 AND fresh >= cache_read + cache_write"

_BODIES: Final = f"/{KIND}/[^/]+/[0-9]{{4}}/[0-9]{{2}}/[0-9]{{2}}/[0-9]{{2}}/data/"
_ROUTER: Final = "^arn:aws[a-z-]*:bedrock:[a-z0-9-]*:[0-9]*:(default-)?prompt-router/"
_ASSUMED_ROLE: Final = "^(arn:aws[a-z-]*:(?:iam|sts)::[0-9]*:assumed-role/[^/]*)/"
_ROLE: Final = (
    f"CASE WHEN regexp_like(arn, '{_ASSUMED_ROLE}') THEN regexp_extract(arn, '{_ASSUMED_ROLE}', 1) ELSE arn END"
)

# Milliseconds, or ISO 8601 with an offset: without one it would be no instant.
_MOMENT: Final = """coalesce(try_cast(written AS bigint) / 1000e0, CASE WHEN regexp_like(written, \
'(Z|[+-][0-9]{2}:?[0-9]{2})$') THEN to_unixtime(try(from_iso8601_timestamp(written))) END)"""


def _is_no_count(text: str) -> str:
    return f"({text} IS NOT NULL AND coalesce(try_cast({text} AS bigint) NOT BETWEEN 0 AND {_MOST_TOKENS}, true))"


def _step(prompt: str) -> str:
    steps = " ".join(f"WHEN {prompt} > {step} THEN {step}" for step in reversed(CONTEXT_STEPS))
    return f"CASE {steps} ELSE 0 END"


class Asked(msgspec.Struct, frozen=True):
    """What the rows of an answer tell.

    Attributes:
        slot: seconds: rows tell the hour, or the quarter of one.
        sessions: rows tell the sessions of a role, and not the role alone.
        tags: keys of request metadata.
    """

    slot: int
    sessions: bool
    tags: tuple[str, ...]


SERVED: Final = "served"
FAILED: Final = "failed"
DUPLICATE: Final = "duplicate"
"""What a row can be about; besides these, the values of `Reason`."""

_KEYS: Final = (
    "slot",
    "model",
    "accountid",
    "region",
    "who",
    "inferenceregion",
    "operation",
    "errorcode",
    "tier",
    "context",
    "context_net",
    "gross",
    "unseen",
    "invoked",
)
_SUMS: Final = (
    "records",
    "tokenless",
    "fresh",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "reading",
    "writing",
    "doing_both",
)


def columns_of(asked: Asked) -> tuple[str, ...]:
    """The columns of the answer to `question`, in order."""
    return ("kind", *_KEYS, *(f"tag_{number}" for number in range(len(asked.tags))), *_SUMS)


def question(
    table: Table,
    stretch: Stretch,
    asked: Asked,
    *,
    accounts: Sequence[str] = (),
    regions: Sequence[str] = (),
) -> str:
    """The query that adds up the records of `stretch`, each counted once however often it was delivered.

    Columns that no one asks for are told all the same, but for sessions and tags. Whether the cached tokens are
    part of an input count depends on the model behind an id, which Athena does not know: so it tells `gross`, whether
    they can be, and the context step for both cases.

    Args:
        accounts, regions: whose logs are read; all if none are given.

    Raises:
        UsageError: a tag's key cannot be one.
    """
    hours = list(hours_of(stretch))
    inside = [hour for hour in hours if hour < stretch.until]
    within = [
        f"{HOUR} >= {_text(_hour(hours[0]))}",
        f"{HOUR} <= {_text(_hour(hours[-1]))}",
        *_among(ACCOUNT, accounts, is_account),
        *_among(REGION, regions, is_region),
        f'NOT regexp_like("$path", {_text(_BODIES)})',
    ]
    since, until = stretch.since.timestamp(), stretch.until.timestamp()
    tags = [f"element_at(requestmetadata, {_text(_tag(key))})" for key in asked.tags]
    keys = {
        "slot": f"CAST(floor(moment / {asked.slot}) AS bigint) * {asked.slot}",
        "model": "model",
        "accountid": "accountid",
        "region": "region",
        "who": "arn" if asked.sessions else _ROLE,
        "inferenceregion": "inferenceregion",
        "operation": "operation",
        "errorcode": "errorcode",
        "tier": TIER,
        "context": _step("fresh + cache_read + cache_write"),
        "context_net": f"CASE WHEN {_GROSS} THEN {_step('fresh')} ELSE 0 END",
        "gross": _GROSS,
        "unseen": "cache_write > 0 AND one_hour IS NULL",
        "invoked": f"CASE WHEN regexp_like(model, {_text(_ROUTER)}) THEN {INVOKED} END",
        **{f"tag_{number}": tag for number, tag in enumerate(tags)},
    }
    columns = ",\n    ".join(f"CASE WHEN counts THEN {text} END AS {name}" for name, text in keys.items())
    return f"""\
WITH logs AS (
  SELECT
    nullif(modelid, '') AS model, "timestamp" AS written, accountid, region, requestid, operation, inferenceregion,
    nullif(errorcode, '') AS errorcode, "identity".arn AS arn, requestmetadata, {HOUR} AS delivered,
    "input".inputtokencount AS text_in, "output".outputtokencount AS text_out,
    "input".cachereadinputtokencount AS text_read, "input".cachewriteinputtokencount AS text_write,
    CASE WHEN "output".outputbodyjson LIKE '{{%' OR "output".outputbodyjson LIKE '[%' THEN "output".outputbodyjson END
      AS body
  FROM "{table.database}"."{table.name}"
  WHERE {" AND ".join(within)}
), timed AS (
  SELECT *, {_MOMENT} AS moment,
    {", ".join(f"coalesce(try_cast({text} AS bigint), 0) AS {name}" for text, name in _COUNTS.items())}
  FROM logs
), judged AS (
  SELECT *, CASE
    WHEN model IS NULL AND coalesce(written, accountid, region, requestid, operation, arn, text_in, text_out) IS NULL
      THEN '{Reason.NOT_JSON}'
    WHEN model IS NULL THEN '{Reason.NOT_AN_INVOCATION}'
    WHEN written IS NULL THEN '{Reason.NO_TIMESTAMP}'
    WHEN moment IS NULL THEN '{Reason.BAD_TIMESTAMP}'
    WHEN {" OR ".join(map(_is_no_count, _COUNTS))} THEN '{Reason.BAD_TOKEN_COUNT}'
    END AS reason
  FROM timed
), numbered AS (
  SELECT *, CASE WHEN reason IS NULL AND requestid <> '' THEN
    row_number() OVER (PARTITION BY accountid, region, requestid, reason ORDER BY moment) ELSE 1 END AS time_seen,
    CASE WHEN cache_write > 0 THEN {ONE_HOUR} END AS one_hour
  FROM judged
  WHERE (reason IS NULL AND moment >= {since!r} AND moment < {until!r})
    OR (reason IS NOT NULL AND delivered <= {_text(_hour(inside[-1]))})
), named AS (
  SELECT *, reason IS NULL AND time_seen = 1 AS counts,
    CASE WHEN reason IS NOT NULL THEN reason WHEN time_seen > 1 THEN '{DUPLICATE}'
      WHEN errorcode IS NOT NULL THEN '{FAILED}' ELSE '{SERVED}' END AS kind
  FROM numbered
), keyed AS (
  SELECT kind,
    {columns},
    fresh, output, cache_read, cache_write,
    CASE WHEN one_hour < cache_write THEN one_hour WHEN one_hour IS NULL THEN 0 ELSE cache_write END AS cache_write_1h
  FROM named
)
SELECT kind, {", ".join(keys)},
  count(*) AS records,
  count_if(fresh + output + cache_read + cache_write = 0) AS tokenless,
  sum(fresh) AS fresh, sum(output) AS output, sum(cache_read) AS cache_read, sum(cache_write) AS cache_write,
  sum(cache_write_1h) AS cache_write_1h,
  count_if(cache_read > 0) AS reading, count_if(cache_write > 0) AS writing,
  count_if(cache_read > 0 AND cache_write > 0) AS doing_both
FROM keyed
GROUP BY {", ".join(str(place) for place in range(1, len(keys) + 2))}
"""  # noqa: S608 - every value was checked and quoted


def _hour(hour: datetime) -> str:
    return f"{hour.astimezone(UTC):%Y/%m/%d/%H}"


def _text(text: str) -> str:
    """`text` as SQL has it. A backslash means nothing there: https://trino.io/docs/current/language/types.html#varchar"""
    return "'" + text.replace("'", "''") + "'"


def _tag(key: str) -> str:
    if not key.isprintable() or not 0 < len(key.encode()) <= _KEY_BYTES:
        raise UsageError(f"tag:{key[:40]!a} cannot be a key of request metadata. Leave it out.")
    return key


def _among(column: str, values: Sequence[str], is_one: Callable[[str], bool]) -> list[str]:
    if not all(map(is_one, values)):
        raise UsageError(f"{', '.join(map(ascii, values))}: not all of these can be accounts or regions of AWS.")
    return [f"{column} IN ({', '.join(map(_text, values))})"] if values else []
