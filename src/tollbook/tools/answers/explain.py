"""Why it changed, as a tool."""

from datetime import timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import Field

from tollbook.core.errors import UsageError
from tollbook.spend.answers.explain import EXPLAIN_BY, Explanation, explanation_of, hull, last_whole_days, preceding
from tollbook.spend.window import Window, instant
from tollbook.tools.answers.names import EXPLAIN
from tollbook.tools.answers.offer import Wanted, made_by, offer
from tollbook.tools.arguments import Day, WholeDays
from tollbook.tools.desk import Asked, Desk
from tollbook.tools.surface import Surface

_DESCRIPTION: Final = """\
Says why Amazon Bedrock cost more or less than before: two stretches of whole days, the change in dollars split into
parts that add up to it (new and gone principals and models, number of calls, mix, tokens per call, prompt cache,
prices), and which principals and models moved it most.

Use it for any "why did it rise, fall or change". Not for totals (get_bedrock_usage_report) or for single bad days
(find_bedrock_anomalies). By default the last 7 whole days against the 7 before; today is never among them."""

Since = Annotated[Day, Field(title="Since", description="First day, YYYY-MM-DD in `tz`; instead of `days`.")]
Until = Annotated[Day, Field(title="Until", description="Last day; yesterday without it.")]
AgainstSince = Annotated[
    Day, Field(title="Against since", description="First day to compare with; by default as many days just before.")
]
AgainstUntil = Annotated[Day, Field(title="Against until", description="Last day to compare with.")]


def add(surface: Surface, desk: Desk) -> None:
    """Offers the tool."""

    def question(
        asked: Asked,
        days: WholeDays = 7,
        since: Since = "",
        until: Until = "",
        against_since: AgainstSince = "",
        against_until: AgainstUntil = "",
    ) -> Wanted:
        if since:
            yesterday = (asked.now.astimezone(asked.zone) - timedelta(days=1)).date().isoformat()
            after = _days("since", since, "until", until or yesterday, asked.zone)
            before = preceding(after)
        else:
            before, after = last_whole_days(days, asked.now, asked.zone)
        if against_since and against_until and since:
            before = _days("against_since", against_since, "against_until", against_until, asked.zone)
        elif against_since or against_until or (until and not since):
            raise UsageError("Give since with until, and both of these with against_since and against_until.")
        make = made_by(explanation_of, before, after, asked.now)
        return Wanted(hull(before, after), EXPLAIN_BY, make)

    offer(
        surface,
        desk,
        question,
        Explanation,
        name=EXPLAIN,
        title="Why Bedrock spend changed",
        description=_DESCRIPTION,
    )


def _days(first_name: str, first: str, last_name: str, last: str, zone: ZoneInfo) -> Window:
    start, end = instant(first_name, first, zone), instant(last_name, last, zone, end_of_day=True)
    if end <= start:
        raise UsageError(f"{last_name} {last} comes before {first_name} {first}. Exchange the two.")
    return Window(start, end, zone)
