"""The structured content of a report: what `tollbook report --format json` prints, with fewer groups.

The models are for the schema that clients see; `spend.render.machine` makes the documents.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from tollbook.core.text import printable
from tollbook.spend.render.machine import document, measures
from tollbook.spend.report import Report, Sum

Document = dict[str, Any]
"""A report as `docs/report-schema.json` has it."""

Count = Annotated[int, Field(ge=0)]
Money = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$")] | None
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None
Status = Literal["exact", "assumed_5m", "assumed_tier", "assumed_region", "gross_assumed", "unpriced"]


class Window(BaseModel):
    """The stretch of time that was asked for."""

    since: Instant = Field(description="Its first instant, ISO 8601 with offset.")
    until: Instant = Field(description="Just after its last instant, ISO 8601 with offset.")
    tz: str = Field(description="The IANA time zone whose days it consists of.")


class Measures(BaseModel):
    """Calls, tokens and money."""

    calls: Count = Field(description="Requests that were served.")
    errors: Count = Field(description="Requests that failed; they are not priced.")
    input_tokens: Count = Field(description="Prompt tokens neither read from the cache nor written to it.")
    output_tokens: Count = Field(description="Completion tokens.")
    cache_read_tokens: Count = Field(description="Prompt tokens read from the cache.")
    cache_write_tokens: Count = Field(description="Prompt tokens written to the cache.")
    cost_usd: Money = Field(description="US dollars at list price, in full; null where nothing is priced.")
    cache_saving_usd: Money = Field(description="US dollars the cache saved, less what filling it cost; may be < 0.")


class Group(Measures):
    """Calls that share the values of the dimensions in group_by, which stand beside the measures by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str | None] = Field(init=False)

    status: list[Status] = Field(description="How sure cost_usd is: exact, what was assumed, or unpriced in part.")


class LeftOut(Measures):
    """The groups that are not listed, added up."""

    groups: Count = Field(description="How many there are.")


class Unpriced(BaseModel):
    """What no source gives a price for: counted, but never as $0."""

    calls: Count
    tokens: Count
    models: list[str] = Field(description="Model ids.")


class Rejected(BaseModel):
    """Lines that are no records. They count all that was read, whatever the filters; none for who may not see all."""

    lines: Count
    reasons: dict[str, Count] = Field(description="Lines by reason.")


class Whole(BaseModel):
    """Where all groups can be read, as MCP resources."""

    json_uri: str = Field(description="The first page, as JSON; each page names the next in `next`.")
    csv_uri: str = Field(description="The first page, as CSV.")
    pages: Annotated[int, Field(ge=1)]
    expires: str = Field(description="Until when, ISO 8601 in UTC.", json_schema_extra={"format": "date-time"})


class UsageReport(BaseModel):
    """Who spent what on Amazon Bedrock."""

    version: Literal["tollbook.report/1"] = Field(alias="schema")
    window: Window
    group_by: list[str] = Field(description="The dimensions of the groups, in order.")
    totals: Measures
    groups: list[Group] = Field(description="The dearest first, or in order of time where days or hours are asked for.")
    groups_left_out: LeftOut = Field(description="What `top` cut off; all zero if nothing.")
    unpriced: Unpriced
    rejected: Rejected
    duplicates: Count = Field(description="Records that came again and were not counted again; as `rejected`.")
    unread: list[str] = Field(description="What could not be read, so that every figure is too low; empty if nothing.")
    notes: list[str] = Field(description="What to know before using the figures. Pass on what matters.")
    whole: Whole | None = Field(description="Where all groups can be read; null if they could not be kept.")


_LONGEST_NAME: Final = 1024  # characters; AWS allows a role's session 64, a value of request metadata 256
_LONGEST_ROW: Final = 16_000
_LONGEST_LIST: Final = 40_000  # bytes


def sized(report: Report) -> Document:
    """The report as a document without names and lists that no one could read, and so of pages that end."""
    whole = document(report)
    unread = list(_first([printable(sentence) for sentence in whole["unread"]]))
    longest = min(_LONGEST_NAME, _LONGEST_ROW // max(1, len(report.by)))
    groups = [{name: _shortened(value, longest) for name, value in group.items()} for group in whole["groups"]]
    models, notes = whole["unpriced"]["models"], [printable(note) for note in whole["notes"]]
    some_models = list(_first(models))
    if left := len(models) - len(some_models):
        notes.insert(0, f"unpriced.models leaves out {left:,} more")
    some_notes = list(_first(notes))
    if left := len(notes) - len(some_notes):
        some_notes.append(f"and {left:,} more notes")
    return {
        **whole,
        "groups": groups,
        "unpriced": {**whole["unpriced"], "models": some_models},
        "unread": unread,
        "notes": some_notes,
    }


def with_top(whole: Document, report: Report, top: int) -> Document:
    """The document with its first `top` groups, and the sum of the others."""
    others = Sum()
    for group in report.groups[top:]:
        others.take(group.sum)
    left = {"groups": max(0, len(report.groups) - top), **measures(others)}
    return {**whole, "groups": whole["groups"][:top], "groups_left_out": left}


def _shortened(value: Any, longest: int) -> Any:
    return f"{value[: longest - 1]}…" if isinstance(value, str) and len(value) > longest else value


def _first(texts: Sequence[str]) -> Iterator[str]:
    """The first of `texts`, as many as a list may hold."""
    for text, size in zip(texts, accumulate(len(text.encode()) for text in texts), strict=True):
        if size > _LONGEST_LIST:
            return
        yield text
