"""The dashboard: a page inside of hosts that show one (MCP Apps), and a tool that the page asks.

Source: https://github.com/modelcontextprotocol/ext-apps/blob/main/specification/2026-01-26/apps.mdx
"""

from functools import partial
from typing import Annotated, Any, Final

from mcp.server.apps import client_supports_apps
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, TextContent
from pydantic import Field

from tollbook.core.errors import UsageError
from tollbook.spend.answers.overview import OVERVIEW_BY, Overview, overview_of, overview_window
from tollbook.spend.render.answers import document_of
from tollbook.spend.window import last_days
from tollbook.tools.answers.drill import DRILL_BY, Drilled, drilled
from tollbook.tools.answers.names import DASHBOARD, DASHBOARD_URI, DRILL
from tollbook.tools.answers.offer import Document, Wanted, in_words, made_by, offer
from tollbook.tools.arguments import Days
from tollbook.tools.desk import Asked, Desk
from tollbook.tools.surface import Surface

META_KEY: Final = "tollbook/overview"
"""Where the overview stands besides the structured content, which some hosts do not hand on to the page."""

_DESCRIPTION: Final = """\
Shows a dashboard of Amazon Bedrock spend, where the client can show one: daily cost by model and principal, cache, what
changed, the month's forecast, what stands out, what is not priced. Everyone gets the same in a short text.

Use it when somebody wants to see, browse or present spend. For a single figure or question the other tools are
shorter."""

_DRILL_DESCRIPTION: Final = """\
For the dashboard's page alone: what the calls of one principal or one model consist of. Ask
get_bedrock_usage_report instead."""

# Some hosts look for the address at a key of its own, as it was before the specification was final.
_FLAT: Final = "ui/resourceUri"

_MOST_DAYS: Final = 400
"""A year, and what a year before is compared with: a page of more days shows no day any more."""

DaysShown = Annotated[Days, Field(le=_MOST_DAYS)]
Whole = Annotated[str, Field(max_length=2048, examples=["role/rag-api"])]
OfPrincipal = Annotated[
    Whole,
    Field(title="Of principal", description="One principal's calls, by the whole name.", examples=["role/rag-api"]),
]
OfModel = Annotated[
    Whole,
    Field(
        title="Of model",
        description="One model's calls, by the whole id.",
        examples=["anthropic.claude-haiku-4-5-20251001-v1:0"],
    ),
]


def add(surface: Surface, desk: Desk) -> None:
    """Offers both tools. The page itself is another matter: see `page`."""

    def overview(asked: Asked, days: DaysShown = 30) -> Wanted:
        make = made_by(partial(overview_of, is_detailed=False), asked.now, days)
        return Wanted(overview_window(days, asked.now, asked.zone), OVERVIEW_BY, make)

    offer(
        surface,
        desk,
        overview,
        Overview,
        name=DASHBOARD,
        title="Bedrock spend dashboard",
        description=_DESCRIPTION,
        meta={"ui": {"resourceUri": DASHBOARD_URI}, _FLAT: DASHBOARD_URI},
        shown=_with_meta,
    )

    def details(asked: Asked, days: DaysShown = 30, of_principal: OfPrincipal = "", of_model: OfModel = "") -> Wanted:
        if not (of_principal or of_model):
            raise UsageError("of_principal or of_model is needed: the whole name of the one that is meant.")
        return Wanted(last_days(days, asked.now, asked.zone), DRILL_BY, made_by(drilled, of_principal, of_model))

    offer(
        surface,
        desk,
        details,
        Drilled,
        name=DRILL,
        title="Details for the dashboard",
        description=_DRILL_DESCRIPTION,
        meta={"ui": {"resourceUri": DASHBOARD_URI, "visibility": ["app"]}},
        shown=_for_the_page,
    )


def _with_meta(answer: Overview, most_bytes: int, context: Context[Any, Any]) -> CallToolResult:
    found = in_words(answer, most_bytes, context)
    if client_supports_apps(context):
        found.meta = {META_KEY: found.structured_content}
    return found


def _for_the_page(answer: Drilled, _most_bytes: int, _context: Context[Any, Any]) -> CallToolResult:
    content: Document = document_of(answer)
    text = f"{answer.total.calls:,} calls. For what they cost ask get_bedrock_usage_report."
    return CallToolResult(content=[TextContent(text=text)], structured_content=content)
