"""What Athena answers to our question, as rows of the ledger."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from tollbook.sources.aws.athena.sql import DUPLICATE, FAILED, SERVED, Asked
from tollbook.spend.ledger import folded, needs_quarters
from tollbook.spend.model import Named, model_of
from tollbook.spend.principal import principal_of, session_of
from tollbook.spend.query import Query
from tollbook.spend.record import Reason
from tollbook.spend.tally import Counted
from tollbook.spend.usage import UNSEEN, RowKey, Trait, Usage, UsageRow
from tollbook.spend.window import Window

_HOUR: Final = 3600
_QUARTER: Final = 900

Answer = Mapping[str, str | None]
"""A row of the answer: texts by column, None for NULL."""


def asked_by(query: Query) -> Asked:
    """What has to be asked so that `query` can be answered."""
    in_quarters = query.quarters or needs_quarters(query)
    return Asked(_QUARTER if in_quarters else _HOUR, "session" in query.needed, query.tags)


def counted_of(answers: Iterable[Answer], query: Query, names: Mapping[str, Named] | None = None) -> Counted:
    """What `answers` tell of `query`, whatever its window.

    Args:
        names: what opaque model ids stand for.
    """
    asked = asked_by(query)
    who = session_of if asked.sessions else principal_of
    rows: list[UsageRow] = []
    others = Counted()
    for answer in answers:
        kind, records = answer["kind"], _number(answer, "records")
        if kind in (SERVED, FAILED):
            rows.append(_row(answer, asked, who(answer["who"]), names))
            others.tokenless += _number(answer, "tokenless") if kind == SERVED else 0
        elif kind == DUPLICATE:
            others.duplicates += records
        else:
            others.rejected[Reason(kind or "")] += records
    open_window = Window(None, None, query.window.zone)
    counted = folded(rows, msgspec.structs.replace(query, window=open_window), asked.tags)
    counted.add(others)
    return counted


def _row(answer: Answer, asked: Asked, who: str, names: Mapping[str, Named] | None) -> UsageRow:
    start = _number(answer, "slot")
    model_id, tier = answer["model"] or "", answer["tier"] or ""
    model = model_of(model_id, names)
    failed = answer["kind"] == FAILED
    records, fresh = _number(answer, "records"), _number(answer, "fresh")
    read, write = _number(answer, "cache_read"), _number(answer, "cache_write")
    output = _number(answer, "output")
    # As the tally has it: of what a router chose, the log does not tell how it counts.
    is_gross = model.vendor == "openai" and model.kind != "router" and answer["gross"] == "true"
    if is_gross:
        fresh -= read + write
    key = RowKey(
        utc_day=datetime.fromtimestamp(start, UTC).toordinal(),
        start=start,
        failed=failed,
        model_id=model_id,
        region=answer["region"],
        tier=tier,
        context=_number(answer, "context_net" if is_gross else "context"),
        invoked=answer["invoked"] or "",
        who=who,
        account=answer["accountid"],
        inference_region=answer["inferenceregion"],
        operation=answer["operation"],
        error=answer["errorcode"],
        tags=tuple(answer[f"tag_{number}"] for number in range(len(asked.tags))) or None,
    )
    if failed:
        return UsageRow(key, Usage(0, records, fresh, output, read, write))
    usage = Usage(
        records,
        0,
        fresh,
        output,
        read,
        write,
        _number(answer, "cache_write_1h"),
        _number(answer, "reading"),
        _number(answer, "writing"),
        _number(answer, "doing_both"),
    )
    traits = (
        (Trait.TIER_UNSEEN if tier == UNSEEN else 0)
        | (Trait.GROSS if is_gross else 0)
        | (Trait.LIFETIME_UNSEEN if answer["unseen"] == "true" else 0)
    )
    return UsageRow(key, usage, 1 << int(traits))


def _number(answer: Answer, column: str) -> int:
    return int(answer[column] or 0)
