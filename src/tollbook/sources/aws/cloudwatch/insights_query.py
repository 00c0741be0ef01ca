r"""The one question put to CloudWatch Logs Insights, and what its rows mean. Pure.

The query counts what `spend.tally` counts, record by record, and adds up on AWS's side. Why it is as it is:

- Insights extracts at most 200 fields of a JSON record, in their order, and the token counts come after the bodies;
  of a group of the class Infrequent Access it extracts none. So what is needed is taken from the first of three that
  tells it: the extracted field, the same field of `jsonParse(@message)`, and, for what may come after a body, a
  `parse` of the text.
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html
- AWS says both that `parse` gets at fields beyond the 200 and that it does not. So counts are counted, too: what is
  still missing is said (see `Told.unread`).
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Parse.html
- A stretch is given in whole seconds, both ends included, to StartQuery; the exact one is in the first filter.
  https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
- `bin` cuts the time in UTC, hence hours, or quarters of one, which are folded into any zone later.
- Names of fields are never given twice, and none is used in the command that makes it: both are refused in places.
- Comparing, as in 'more than 100,000 tokens', is done with `least` and `greatest`, which are as old as the language.
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-operations-functions.html

The text holds nothing that a caller wrote but keys of request metadata, which are refused if they could be more.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from tollbook.core.errors import UsageError
from tollbook.core.text import printable
from tollbook.sources.reading import Stretch
from tollbook.spend.ledger import needs_quarters
from tollbook.spend.model import Named, model_of
from tollbook.spend.query import Query
from tollbook.spend.tally import fold_of
from tollbook.spend.usage import CONTEXT_STEPS, UNSEEN, RowKey, Trait, Usage, UsageRow

ABSENT: Final = "(none)"
"""Stands for a field that a record does not have. Request metadata cannot hold it: it takes no brackets.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (`requestMetadata`)
"""

LONGEST: Final = 10_000
"""Characters of a query.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
"""

_UNTOLD: Final = 10**12
"""Stands for a count that no body tells; see `spend.record`, which believes no larger one."""

_KEY: Final = re.compile(r"[A-Za-z0-9_.:/=+@ -]{1,256}")
"""Keys that are asked for. Bedrock takes `$`, `#` and `,` besides; but `#` begins a comment of the query language."""

_END: Final = r'(?:,"\w+":(?:"[^"\\]*"|\{[^{}]*\}|[\w.+-]+))*\}\s*$'
"""What follows a field at the top of a record that comes after the bodies: plain fields, and the record's end.

Within a body nothing looks like that, whatever a caller or a model may have written there.
"""

_INPUT_END: Final = r'\}(?:,"output":\{"outputContentType"|' + _END + ")"
"""What follows the last field of `input`."""

_PARSES: Final = (
    r'"inputTokenCount":(?<p_in>\d+)[^{}]*' + _INPUT_END,
    r'"cacheReadInputTokenCount":(?<p_read>\d+),"cacheWriteInputTokenCount":(?<p_write>\d+)' + _INPUT_END,
    r'"outputTokenCount":(?<p_out>\d+)\}' + _END,
    r'"identity":\{"arn":"(?<p_arn>[^"\\]+)"\}' + _END,
    r'"inferenceRegion":"(?<p_inference>[a-z0-9-]+)"' + _END,
    r'"errorCode":"(?<p_error>[^"\\]+)"' + _END,
    r'"output":\{[^{}\[\]]*"outputBodyJson":(?<p_body>[\[{])',
)

_BODY: Final = "output.outputBodyJson"
_ROLE: Final = r"^(?<p_role>arn:aws[a-z-]*:sts::\d*:assumed-role\/[^\/]+)"

_GROUPS: Final = {
    "k_model": "model",
    "k_account": f'coalesce(accountId, r.accountId, "{ABSENT}")',
    "k_region": f'coalesce(region, r.region, "{ABSENT}")',
    "k_inference": f'coalesce(inferenceRegion, r.inferenceRegion, p_inference, "{ABSENT}")',
    "k_operation": f'coalesce(operation, r.operation, "{ABSENT}")',
    "k_error": f'coalesce(errorCode, r.errorCode, p_error, "{ABSENT}")',
    "k_body": f'coalesce(p_body, "{ABSENT}")',
    "k_tier": (
        f"coalesce({_BODY}.serviceTier.type, r.{_BODY}.serviceTier.type, {_BODY}.service_tier, r.{_BODY}.service_tier,"
        f' "{ABSENT}")'
    ),
    "k_routed": (
        f'coalesce({_BODY}.trace.promptRouter.invokedModelId, r.{_BODY}.trace.promptRouter.invokedModelId, "{ABSENT}")'
    ),
}
"""What rows are told apart by, besides the time, who called, tags and the size of the prompt."""

_SUMS: Final = {
    "n": "count(*)",
    "n_in": "count(seen_in)",
    "n_out": "count(seen_out)",
    "n_whole": "count(seen_whole)",
    "s_in": "sum(t_in)",
    "s_out": "sum(t_out)",
    "s_read": "sum(t_read)",
    "s_write": "sum(t_write)",
    "s_hour": "sum(t_hour)",
    "n_read": "sum(is_read)",
    "n_write": "sum(is_write)",
    "n_both": "sum(is_both)",
    "n_untold": "sum(is_untold)",
    "n_gross": "sum(is_gross)",
    "n_gross_untold": "sum(is_gross_untold)",
    "s_gross": "sum(t_gross)",
    "n_empty": "sum(is_empty)",
}

_DETAILS: Final = f"{_BODY}.usage.cacheDetails"


def _detail(number: int) -> str:
    """Tokens written to the cache for an hour, of one of the two entries that Converse may give."""
    lifetime = f'coalesce({_DETAILS}.{number}.ttl, r.{_DETAILS}[{number}].ttl, "-")'
    count = f"coalesce({_DETAILS}.{number}.inputTokens, r.{_DETAILS}[{number}].inputTokens, 0)"
    return f'strcontains({lifetime}, "1h") * {count}'


_HOUR: Final = "usage.cache_creation.ephemeral_1h_input_tokens"
_FIELDS: Final = (
    {
        "seen_in": "coalesce(input.inputTokenCount, r.input.inputTokenCount, p_in)",
        "seen_out": "coalesce(output.outputTokenCount, r.output.outputTokenCount, p_out)",
        "seen_whole": "coalesce(output.outputTokenCount, r.output.outputTokenCount)",
        # A count that was parsed is text until it is added to something.
        "t_read": "coalesce(input.cacheReadInputTokenCount, r.input.cacheReadInputTokenCount, p_read, 0) + 0",
        "t_write": "coalesce(input.cacheWriteInputTokenCount, r.input.cacheWriteInputTokenCount, p_write, 0) + 0",
        "hour_1": (
            f"coalesce({_BODY}.{_HOUR}, r.{_BODY}.{_HOUR}, {_BODY}.0.message.{_HOUR}, r.{_BODY}[0].message.{_HOUR},"
            f" {_UNTOLD}) + 0"
        ),
        "hour_2": f"{_detail(0)} + {_detail(1)}",
        "told_2": f'least(1, strlen(coalesce({_DETAILS}.0.ttl, r.{_DETAILS}[0].ttl, "")))',
    },
    {
        "t_in": "coalesce(seen_in, 0) + 0",
        "t_out": "coalesce(seen_out, 0) + 0",
        "cached": "t_read + t_write",
        "is_read": "least(1, t_read)",
        "is_write": "least(1, t_write)",
        "told_1": f"least(1, {_UNTOLD} - hour_1)",
    },
    {
        "is_both": "is_read * is_write",
        "is_untold": "is_write * (1 - greatest(told_1, told_2))",
        "t_hour": "least(t_write, told_1 * hour_1 + (1 - told_1) * hour_2)",
        # OpenAI's models count what the cache gave as input, too; which models are theirs is known here, not there.
        "is_gross": "least(1, cached) * least(1, greatest(0, t_in - cached + 1))",
        "prompt": "t_in + cached",
    },
    {
        "is_gross_untold": "is_gross * is_untold",
        "t_gross": "is_gross * cached",
        "gross_prompt": "prompt - is_gross * cached",
        "is_empty": "1 - least(1, prompt + t_out)",
    },
)
"""Made one command after the other. `is_…` is 1 or 0; `t_…` are tokens of one record."""


def query_text(stretch: Stretch, query: Query, most_rows: int) -> str:
    """The query that counts the records of `stretch`.

    Args:
        query: what rows must tell, and in which time zone; its window is not looked at.
        most_rows: rows to answer with, at most 100,000.

    Raises:
        UsageError: it asks for a tag that cannot be asked for here, or for too many.
    """
    tags = {f"k_tag{place}": _tag(place, key) for place, key in enumerate(query.tags)}
    steps = {"k_step": _step("prompt"), "k_gross_step": _step("gross_prompt")}
    who = _who(query)
    commands = [
        f"filter toMillis(@timestamp) >= {_millis(stretch.since)} and toMillis(@timestamp) < {_millis(stretch.until)}",
        'filter @message like /"modelId":/',
        *(f"parse @message /{regex}/" for regex in (*_PARSES, *map(_tag_regex, range(len(tags)), query.tags))),
        "fields jsonParse(@message) as r",
        "fields coalesce(modelId, r.modelId) as model, coalesce(identity.arn, r.identity.arn, p_arn) as arn",
        "filter ispresent(model)",
        *([f"parse arn /{_ROLE}/"] if who else []),
        *(_fields(made) for made in _FIELDS),
        _fields({**_GROUPS, **who, **tags, **steps}),
        "stats " + ", ".join(f"{made} as {name}" for name, made in _SUMS.items()),
    ]
    keys = ", ".join((*_GROUPS, *who, *tags, *steps))
    commands[-1] += f" by bin({'15m' if query.quarters or needs_quarters(query) else '1h'}) as k_start, {keys}"
    text = "\n| ".join([*commands, "sort k_start asc", f"limit {most_rows}"])
    if len(text) > LONGEST:
        raise UsageError(f"Logs Insights cannot be asked for {len(tags)} tags at once. Group by fewer.")
    return text


def _fields(made: Mapping[str, str]) -> str:
    return "fields " + ", ".join(f"{expression} as {name}" for name, expression in made.items())


def _who(query: Query) -> dict[str, str]:
    """Who called, if anyone asks. Sessions of a role are one unless they are asked for: there may be millions."""
    if "session" in query.needed:
        return {"k_who": f'coalesce(arn, "{ABSENT}")'}
    return {"k_who": f'coalesce(p_role, arn, "{ABSENT}")'} if "principal" in query.needed else {}


def _step(prompt: str) -> str:
    """How many of the steps a prompt exceeds."""
    return " + ".join(f"least(1, greatest(0, {prompt} - {step}))" for step in CONTEXT_STEPS)


def _tag(place: int, key: str) -> str:
    if not _KEY.fullmatch(key):
        raise UsageError(
            f"Logs Insights cannot be asked for tag:{printable(key)}. It takes letters, digits, spaces and _.:/=+@-."
        )
    return f'coalesce(`requestMetadata.{key}`, r.requestMetadata.`{key}`, p_tag{place}, "{ABSENT}")'


def _tag_regex(place: int, key: str) -> str:
    name = re.sub(r"([^A-Za-z0-9_ ])", r"\\\1", key)
    return rf'"requestMetadata":\{{[^{{}}]*?"{name}":"(?<p_tag{place}>[^"\\]*)"[^{{}}]*\}}' + _END


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _millis(time: datetime) -> int:
    """The first millisecond, since 1970, that does not come before `time`."""
    return -((_EPOCH - time) // timedelta(milliseconds=1))


Row = Mapping[str, str]
"""A row of the answer: a text for every name; one without a value is absent."""


class Told(msgspec.Struct, frozen=True):
    """What the rows of an answer tell.

    Attributes:
        rows: in the form of the ledger; several may have the same key.
        calls: that were served.
        tokenless: of these, without any tokens.
        unread: of these, at least so many have a token count that Insights did not find. An input count is missed
            wherever it is not there. An output count is missed only from models that gave one to another call:
            embeddings and images never have one.
    """

    rows: tuple[UsageRow, ...]
    calls: int
    tokenless: int
    unread: int


def told(rows: Sequence[Row], query: Query, names: Mapping[str, Named]) -> Told:
    """What `rows` mean, the answer to the `query_text` of `query`.

    Args:
        names: what opaque model ids stand for.
    """
    served = [row for row in rows if not _failed(row)]
    answering: dict[str, int] = defaultdict(int)
    for row in served:
        answering[row["k_model"]] += _count(row, "n_out")
    unread = 0
    for row in served:
        calls, inputs, outputs = _count(row, "n"), _count(row, "n_in"), _count(row, "n_out")
        unread += max(calls - inputs, calls - outputs if answering[row["k_model"]] else 0)
    return Told(
        tuple(_usage_rows(rows, query, names)),
        calls=sum(_count(row, "n") for row in served),
        tokenless=sum(_count(row, "n_empty") for row in served),
        unread=unread,
    )


def _usage_rows(rows: Iterable[Row], query: Query, names: Mapping[str, Named]) -> Iterator[UsageRow]:
    fold = fold_of(query)
    for row in rows:
        if not row.get("k_model"):
            continue
        model = model_of(row["k_model"], names)
        is_openai, is_router = model.vendor == "openai", model.kind == "router"
        start = datetime.fromisoformat(row["k_start"]).replace(tzinfo=UTC)
        operation, who = _text(row, "k_operation"), _text(row, "k_who")
        tier = _tier(row, operation)
        step = _count(row, "k_gross_step" if is_openai else "k_step")
        key = RowKey(
            utc_day=start.toordinal(),
            start=int(start.timestamp()),
            failed=_failed(row),
            model_id=row["k_model"],
            region=_text(row, "k_region"),
            tier=tier,
            context=CONTEXT_STEPS[step - 1] if step else 0,
            invoked=(_text(row, "k_routed") or "") if is_router else "",
            who=None if fold is None else fold(who),
            account=_text(row, "k_account"),
            inference_region=_text(row, "k_inference"),
            operation=operation,
            error=_text(row, "k_error") or None,
            tags=tuple(_text(row, f"k_tag{place}") for place in range(len(query.tags))) or None,
        )
        fresh = _count(row, "s_in") - (_count(row, "s_gross") if is_openai else 0)
        counts = (fresh, *(_count(row, name) for name in ("s_out", "s_read", "s_write")))
        if key.failed:
            yield UsageRow(key, Usage(0, _count(row, "n"), *counts))
        else:
            more = (_count(row, name) for name in ("s_hour", "n_read", "n_write", "n_both"))
            yield UsageRow(key, Usage(_count(row, "n"), 0, *counts, *more), _traits(row, tier, is_openai))


_WITHOUT_TIER: Final = frozenset({"InvokeModel", "InvokeModelWithResponseStream", None, ""})
"""Operations whose answers do not tell the service tier, as in `spend.tally`."""


def _tier(row: Row, operation: str | None) -> str:
    """The service tier; where the body is a list of parts, only what a part's own name tells."""
    body, tier = _text(row, "k_body"), _text(row, "k_tier")
    if operation in _WITHOUT_TIER or body is None:
        return UNSEEN
    if tier is None:
        return UNSEEN if body == "[" else ""
    return "default" if tier == "standard" else tier


def _traits(row: Row, tier: str, is_openai: bool) -> int:
    """The combinations of traits that occur among the calls of a row, as `UsageRow` has them."""
    calls, untold = _count(row, "n"), _count(row, "n_untold")
    gross, both = (_count(row, name) if is_openai else 0 for name in ("n_gross", "n_gross_untold"))
    found = {
        Trait.GROSS | Trait.LIFETIME_UNSEEN: both,
        Trait.GROSS: gross - both,
        Trait.LIFETIME_UNSEEN: untold - both,
        Trait(0): calls - gross - untold + both,
    }
    # Where Insights did not see a record to its end, it may have missed the tier before it.
    seen = 0 if tier == UNSEEN else calls if tier else _count(row, "n_whole")
    sides = [side for side, count in ((Trait(0), seen), (Trait.TIER_UNSEEN, calls - seen)) if count > 0]
    return sum(1 << int(side | traits) for traits, count in found.items() if count > 0 for side in sides)


def _failed(row: Row) -> bool:
    return bool(_text(row, "k_error"))


def _text(row: Row, name: str) -> str | None:
    value = row.get(name, ABSENT)
    return None if value == ABSENT else value


def _count(row: Row, name: str) -> int:
    """A sum; Insights may write it as `12`, `12.0` or `1.2E1`."""
    return int(Decimal(row.get(name) or 0))
