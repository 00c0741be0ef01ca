"""What it would have cost elsewhere, as a tool."""

from collections.abc import Callable
from typing import Annotated, Final

from pydantic import Field

from tollbook.spend.answers.what_if import (
    AS_IS,
    TIERS,
    TO_SCOPES,
    WHAT_IF_BY,
    Change,
    WhatIf,
    checked,
    read_caching,
    what_if_of,
)
from tollbook.spend.prices import PriceBook
from tollbook.spend.window import last_days
from tollbook.tools.answers.names import WHAT_IF
from tollbook.tools.answers.offer import Wanted, made_by, offer
from tollbook.tools.arguments import Days
from tollbook.tools.desk import Asked, Desk
from tollbook.tools.surface import Surface

_DESCRIPTION: Final = """\
Says what past calls on Amazon Bedrock would have cost with another model, profile scope, region or service tier, or
with more, less or no prompt caching: the same tokens at other list prices, by model and principal, with what had to be
assumed and what it cannot know. Give at least one `to_…` or `caching`; `model` and `principal` choose the calls.

Use it for "what if we moved to Haiku" and "what does caching save". It says nothing about quality or speed, and other
models count tokens otherwise."""

ToModel = Annotated[
    str,
    Field(
        title="To model",
        description="The model to price them with: its id, its name or a part that fits one.",
        max_length=200,
        examples=["Claude Haiku 4.5", "amazon.nova-pro"],
    ),
]
ToScope = Annotated[
    str,
    Field(
        title="To scope",
        description=f"The profile to call through: {', '.join(TO_SCOPES)}; geo is that of each call's region.",
        max_length=32,
        examples=list(TO_SCOPES),
    ),
]
ToRegion = Annotated[
    str, Field(title="To region", description="The AWS region to call from.", max_length=32, examples=["eu-west-1"])
]
ToTier = Annotated[
    str,
    Field(
        title="To tier",
        description=f"The service tier: {', '.join(TIERS)}.",
        max_length=32,
        examples=list(TIERS),
    ),
]
Caching = Annotated[
    str,
    Field(
        title="Caching",
        description="as_is, none, or the share of prompt tokens that is read from the cache.",
        max_length=16,
        examples=[AS_IS, "none", "0.8"],
    ),
]


def add(surface: Surface, desk: Desk, book: Callable[[], PriceBook]) -> None:
    """Offers the tool.

    Args:
        book: gives the prices that reports are made with.
    """

    def question(
        asked: Asked,
        days: Days = 30,
        to_model: ToModel = "",
        to_scope: ToScope = "",
        to_region: ToRegion = "",
        to_tier: ToTier = "",
        caching: Caching = AS_IS,
    ) -> Wanted:
        change = Change(
            model=to_model.strip(),
            scope=to_scope.strip(),
            region=to_region.strip(),
            tier=to_tier.strip(),
            caching=read_caching(caching),
        )

        prices = book()
        checked(change, prices)  # reading costs money
        return Wanted(last_days(days, asked.now, asked.zone), WHAT_IF_BY, made_by(what_if_of, change, prices))

    offer(
        surface,
        desk,
        question,
        WhatIf,
        name=WHAT_IF,
        title="What Bedrock calls would have cost elsewhere",
        description=_DESCRIPTION,
    )
