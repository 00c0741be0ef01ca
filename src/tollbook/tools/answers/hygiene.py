"""What is to be seen to, as a tool."""

from typing import Annotated, Final

from pydantic import Field

from tollbook.spend.answers.hygiene import Hygiene, hygiene_by, hygiene_of
from tollbook.spend.window import last_days
from tollbook.tools.answers.names import HYGIENE
from tollbook.tools.answers.offer import Wanted, made_by, offer
from tollbook.tools.arguments import Days
from tollbook.tools.desk import Asked, Desk
from tollbook.tools.surface import Surface

_DESCRIPTION: Final = """\
Checks what makes Amazon Bedrock spend hard to attribute or to trust: calls without a tag, unresolved model ids, the
root user and API keys in use, calls without a price, assumed token counts, many errors, prompts kept in logs; each with
its calls, dollars, who, why it matters and what to do.

Use it for "which calls have no team", "is anything unpriced" and "how clean is our usage". Not for totals or bills."""

Tag = Annotated[
    str,
    Field(
        title="Tag",
        description="The key of request metadata that every call should have; empty to check none.",
        max_length=256,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        examples=["team", "project"],
    ),
]


def add(surface: Surface, desk: Desk) -> None:
    """Offers the tool."""

    def question(asked: Asked, days: Days = 30, tag: Tag = "team") -> Wanted:
        window = last_days(days, asked.now, asked.zone)
        return Wanted(window, hygiene_by(tag.strip()), made_by(hygiene_of, tag.strip()))

    offer(
        surface,
        desk,
        question,
        Hygiene,
        name=HYGIENE,
        title="How clean Bedrock usage is",
        description=_DESCRIPTION,
    )
