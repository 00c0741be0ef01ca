"""What Athena is told: how Bedrock's logs lie in S3, and the one question that is put to them. Pure text.

Nothing that a caller writes gets into it but the names of tables and the keys of tags, which are checked and quoted.

Sources:
    https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
    https://docs.aws.amazon.com/athena/latest/ug/openx-json-serde.html
    https://docs.aws.amazon.com/athena/latest/ug/functions-env3.html
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final

import msgspec

from tollbook.core.errors import UsageError
from tollbook.sources.aws.delivery import KIND, Delivery, hours_of, is_account, is_region
from tollbook.sources.reading import Stretch
from tollbook.spend.record import Reason
from tollbook.spend.usage import CONTEXT_STEPS, UNSEEN

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
_KEY_BYTES: Final = 256
"""Of a key of request metadata: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"""


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


# What a body tells, as `spend.body` reads it: a body may be the list of its parts, and each part may hold what it
# tells at a lower level. The first that tells something counts.
_PARTS: Final = "CASE WHEN body LIKE '[%' THEN CAST(json_parse(body) AS ARRAY(JSON)) ELSE ARRAY[json_parse(body)] END"
_LEVELS: Final = (
    f"flatten(transform({_PARTS}, part -> ARRAY[part, json_extract(part, '$.message'), "
    "json_extract(part, '$.metadata'), json_extract(part, '$.response')]))"
)


def _first_told(told: str) -> str:
    """
    Args:
        told: what a `lvl` tells; NULL where it tells nothing.
    """
    return f"try(element_at(filter(transform({_LEVELS}, lvl -> {told}), told -> told IS NOT NULL), 1))"


def _of_level(path: str) -> str:
    return f"json_extract_scalar(lvl, '$.{path}')"


def _is(what: str, path: str) -> str:
    """Whether there is an object, `{`, or a list, `[`."""
    return f"json_format(json_extract(lvl, '$.{path}')) LIKE '{what}%'"


def _tokens_at(path: str) -> str:
    """What there is above 0."""
    return f"CASE WHEN try_cast({_of_level(path)} AS bigint) > 0 THEN try_cast({_of_level(path)} AS bigint) ELSE 0 END"


_MOST_LIFETIMES: Final = 4  # there are two: five minutes and an hour
_LIFETIMES: Final = " + ".join(
    f"CASE WHEN {_of_level(f'usage.cacheDetails[{place}].ttl')} = '1h' "
    f"THEN {_tokens_at(f'usage.cacheDetails[{place}].inputTokens')} ELSE 0 END"
    for place in range(_MOST_LIFETIMES)
)
_ONE_HOUR: Final = (
    f"CASE WHEN {_is('{', 'usage.cache_creation')} THEN {_tokens_at('usage.cache_creation.ephemeral_1h_input_tokens')} "
    f"WHEN {_is('[', 'usage.cacheDetails')} THEN {_LIFETIMES} END"
)
_INVOKED: Final = f"nullif({_of_level('trace.promptRouter.invokedModelId')}, '')"
_TIER_KEYS: Final = ("serviceTier", "service_tier")
_TIER_TOLD: Final = (
    f"nullif(CASE WHEN {_is('{', 'serviceTier')} THEN {_of_level('serviceTier.type')} "
    f"ELSE {_of_level('service_tier')} END, '')"
)
_HIDES_TIER: Final = "coalesce(operation, '') IN ('', 'InvokeModel', 'InvokeModelWithResponseStream')"
# Most bodies tell no tier, and then need not be taken apart.
_MAY_TELL: Final = " OR ".join(("body LIKE '[%'", *(f"strpos(body, '\"{key}\"') > 0" for key in _TIER_KEYS)))
_TIER: Final = (
    f"CASE WHEN body IS NULL OR {_HIDES_TIER} THEN '{UNSEEN}' "
    f"WHEN {_MAY_TELL} THEN coalesce({_first_told(_TIER_TOLD)}, '') ELSE '' END"
)


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
        "tier": _TIER,
        "context": _step("fresh + cache_read + cache_write"),
        "context_net": f"CASE WHEN {_GROSS} THEN {_step('fresh')} ELSE 0 END",
        "gross": _GROSS,
        "unseen": "cache_write > 0 AND one_hour IS NULL",
        "invoked": f"CASE WHEN regexp_like(model, {_text(_ROUTER)}) THEN {_first_told(_INVOKED)} END",
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
    CASE WHEN cache_write > 0 THEN {_first_told(_ONE_HOUR)} END AS one_hour
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
