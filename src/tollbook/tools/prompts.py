"""Prompts that ask for a report and for a review, and what arguments may be completed to."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Final

from mcp.server import MCPServer
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)
from pydantic import Field

from tollbook.spend import prices
from tollbook.tools.answers import names
from tollbook.tools.settings import ALL_REGIONS, Settings
from tollbook.tools.shelf import FIRST_PAGE, FORMATS, FURTHER_PAGE
from tollbook.tools.usage import USAGE_TOOL

_PROMPT: Final = "spend-report"
_REVIEW: Final = "weekly-review"
_MOST_VALUES: Final = 100  # "Completions return an array of values ranked by relevance, with: maximum 100 items"

Region = Annotated[str, Field(description="An AWS region such as us-east-1, or all.")]
ModelPart = Annotated[str, Field(description="Part of a model's id or name, such as sonnet; all models without it.")]
LogGroup = Annotated[str, Field(description="The CloudWatch log group, if it is not the usual one.")]
PrincipalPart = Annotated[str, Field(description="Part of a user's or role's name; all without it.")]
Zone = Annotated[
    str, Field(description="The IANA time zone whose days are meant, such as Europe/Berlin; UTC without it.")
]


def add_prompts(server: MCPServer[Any], settings: Settings) -> None:
    """Offers the prompts, and the completion of arguments."""

    @server.prompt(
        name=_PROMPT,
        title="Bedrock spend report",
        description="Asks for a report of what Amazon Bedrock cost over the last week, and what stands out in it.",
    )
    async def spend_report(region: Region = "", model: ModelPart = "", log_group: LogGroup = "") -> str:
        given = {"region": region, "model": model, "log_group_name": log_group}
        arguments = ", ".join([f"{name}={value!r}" for name, value in given.items() if value] + ["days=7"])
        return (
            f"Tell me what Amazon Bedrock cost over the last seven days and who spent it. Call {USAGE_TOOL} with "
            f"{arguments}, once as it is and once with group_by='day,model'.\n\n"
            "Then say, in this order and briefly:\n"
            "1. the total in dollars, and how sure it is: ~ marks an assumption, ≥ what has no price\n"
            "2. the three principals and the three models that cost most, with their shares\n"
            "3. days that stand out, and which model or principal explains them\n"
            "4. what the prompt cache saved, and errors if there are many\n"
            "5. what the notes say is not priced, not read or not logged\n\n"
            "Do not add up figures that the report already adds up, and do not guess prices."
        )

    @server.prompt(
        name=_REVIEW,
        title="Weekly review of Bedrock spend",
        description="Asks why Amazon Bedrock's cost changed last week, what stood out, and how month and budgets end.",
    )
    async def weekly_review(principal: PrincipalPart = "", tz: Zone = "") -> str:
        given = {"principal": principal, "tz": tz}
        arguments = ", ".join([f"{name}={value!r}" for name, value in given.items() if value])
        call = f" each with {arguments}" if arguments else ""
        return (
            f"Review what Amazon Bedrock cost last week. Call {names.EXPLAIN}, {names.ANOMALIES}, {names.FORECAST} and "
            f"{names.BUDGETS}{call}.\n\n"
            "Then say, in this order and briefly:\n"
            "1. by how much the last seven whole days differ from the seven before, and the largest parts of that\n"
            "2. days or hours that stood out, with who and which model; nothing if nothing did\n"
            "3. where the month will end, with the interval, and budgets that are over or near their limit\n"
            "4. one or two things to look into, and what the notes say is not priced or not read\n\n"
            "Take every figure as it is told, and name no cause that the figures do not show."
        )

    choices = _choices(settings)

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(
        ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, _: CompletionContext | None
    ) -> Completion | None:
        place = ref.name if isinstance(ref, PromptReference) else ref.uri
        found = choices.get(place, {}).get(argument.name)
        return None if found is None else _matching(found(), argument.value)


def _choices(settings: Settings) -> Mapping[str, Mapping[str, Callable[[], Iterable[str]]]]:
    """By prompt or resource template, and argument: what there is to choose from."""

    @cache
    def book() -> prices.PriceBook:  # read when someone first completes something
        return prices.load()

    formats = {"format": lambda: FORMATS}
    return {
        _PROMPT: {
            "region": lambda: sorted({ALL_REGIONS, settings.region, *(rate.region for rate in book() if rate.region)}),
            "model": lambda: sorted({rate.model for rate in book()}),
            "log_group": lambda: [settings.log_group],
        },
        FIRST_PAGE: formats,
        FURTHER_PAGE: formats,
    }


def _matching(values: Iterable[str], typed: str) -> Completion:
    """Those of `values` that contain what was typed, in any case; first those that begin with it."""
    part = typed.casefold()
    found = [value for value in values if part in value.casefold()]
    found.sort(key=lambda value: not value.casefold().startswith(part))
    return Completion(values=found[:_MOST_VALUES], total=len(found), has_more=len(found) > _MOST_VALUES)
