"""Reports made of rows, for answers: without a log, and so quick enough for thousands of examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Final

from tollbook.spend import prices
from tollbook.spend.model import Named
from tollbook.spend.prices import PriceBook
from tollbook.spend.query import Query
from tollbook.spend.report import Report, report_of
from tollbook.spend.tally import Counted
from tollbook.spend.usage import RowKey, Usage, UsageRow
from tollbook.spend.window import Window, start_of, zone_of

BOOK: Final = prices.load()
SONNET: Final = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
HAIKU: Final = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
OPUS: Final = "us.anthropic.claude-opus-4-5-20251101-v1:0"
NOVA: Final = "us.amazon.nova-pro-v1:0"


@dataclass(frozen=True)
class Calls:
    """Some calls alike.

    Attributes:
        day: of UTC.
        hour: of UTC; only told apart in reports by hour.
        failed: they ended with an error code.
    """

    day: date
    usage: Usage
    model: str = SONNET
    who: str = "role/rag-api"
    hour: int = 9
    region: str = "us-east-1"
    tier: str = ""
    context: int = 0
    failed: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


def usage(calls: int, input_: int = 0, output: int = 0, read: int = 0, write: int = 0) -> Usage:
    """The usage of `calls` served calls with these tokens in all."""
    return Usage(calls, 0, input_, output, read, write)


def window(first: date, last: date, zone: str = "UTC") -> Window:
    """The whole days from `first` to `last`."""
    found = zone_of(zone)
    end = date.fromordinal(last.toordinal() + 1)
    return Window(start_of(first, found), start_of(end, found), found)


def report(
    calls: Sequence[Calls],
    asked: Window,
    by: tuple[str, ...] = ("day", "model", "principal"),
    *,
    book: PriceBook = BOOK,
    names: Mapping[str, Named] | None = None,
) -> Report:
    """The report of `calls`, which must lie in `asked`, a window of UTC."""
    query = Query(asked, by)
    rows = [_row(each, query) for each in calls]
    return report_of(Counted(others=rows), query, by, book, names or {})


def _row(calls: Calls, query: Query) -> UsageRow:
    instant = datetime.combine(calls.day, time(calls.hour), UTC)
    key = RowKey(
        utc_day=calls.day.toordinal(),
        start=int(instant.timestamp()) if query.by_hour else calls.day.toordinal(),
        failed=calls.failed,
        model_id=calls.model,
        region=calls.region,
        tier=calls.tier,
        context=calls.context,
        invoked="",
        who=calls.who,
        account=None,
        inference_region=None,
        operation=None,
        error="ThrottlingException" if calls.failed else None,
        tags=tuple(calls.tags.get(tag) for tag in query.tags) or None,
    )
    counted = calls.usage if not calls.failed else Usage(0, calls.usage.calls or 1)
    return UsageRow(key, counted)
