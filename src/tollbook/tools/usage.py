"""The report as a tool."""

from typing import Annotated, Any, Final

import anyio.to_thread
import msgspec
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Resolve
from mcp_types import CallToolResult, TextContent
from pydantic import Field

from tollbook.core.errors import StoreDown, UsageError
from tollbook.core.text import printable
from tollbook.spend.query import DIMENSIONS, dimensions_of
from tollbook.spend.render.brief import as_brief_text
from tollbook.spend.render.plain import SECTIONS
from tollbook.spend.report import Report
from tollbook.spend.window import last_days
from tollbook.tools.annotations import READS_ONLY
from tollbook.tools.arguments import Account, Days, LogGroup, ModelPart, Principal, Region, Zone, scan_limit
from tollbook.tools.desk import Asked, Consent, Desk, Ready
from tollbook.tools.document import UsageReport, sized, with_top
from tollbook.tools.settings import ALL_REGIONS
from tollbook.tools.shelf import Kept, Shelf, unreachable

USAGE_TOOL: Final = "get_bedrock_usage_report"

_DESCRIPTION: Final = """\
Says what Amazon Bedrock cost over the last days and who spent it, from Bedrock's model invocation logs: calls,
tokens, US dollars at list price, prompt-cache savings and errors, in total and by day, region, model and principal,
and by anything else that group_by names.

Use it for any question about Bedrock spend, usage, tokens, cost per user, role, team or model. Not for AWS bills,
discounts, credits, other AWS services or calls outside of the logs (bedrock-mantle, batch, asynchronous).

Comes back: a short text; structured content with the `top` dearest groups and the sum of the others; and links to
the whole result as JSON and CSV. `~` marks an assumption, `≥` a sum that leaves out what has no price. Read the notes
and pass on what matters. Reading may take a while; progress is reported, and cancelling stops it."""

GroupBy = Annotated[
    str,
    Field(
        title="Group by",
        description=f"What to group by, separated by commas: {', '.join(DIMENSIONS)}, or tag:KEY for a key of the "
        "calls' request metadata.",
        max_length=500,
        examples=["principal", "day,model", "tag:team,model"],
    ),
]
Top = Annotated[
    int,
    Field(
        title="Top",
        description="How many groups the structured content lists. The others are added up there, and are in the whole "
        "result.",
        ge=1,
        le=200,
        examples=[5, 20],
    ),
]


def add_usage_report(server: MCPServer[Any], desk: Desk, shelf: Shelf) -> None:
    """Offers the report."""
    settings = desk.settings

    async def prepared(asked: Annotated[Asked, Resolve(desk.asked)], days: int, group_by: str) -> Ready:
        by = dimensions_of(group_by, "group_by")
        every = tuple(dict.fromkeys((*by, *SECTIONS.values())))
        return await desk.ready(asked, last_days(days, asked.now, asked.zone), every, by)

    @server.tool(
        name=USAGE_TOOL,
        title="Bedrock usage and cost",
        description=_DESCRIPTION,
        annotations=READS_ONLY,
    )
    async def get_bedrock_usage_report(
        context: Context[Any, Any],
        region: Region = settings.region,
        log_group_name: LogGroup = settings.log_group,
        days: Days = 1,
        aws_account_id: Account = "",
        tz: Zone = "UTC",
        group_by: GroupBy = "principal",
        principal: Principal = "",
        model: ModelPart = "",
        top: Top = 20,
        max_scan_usd: Annotated[float, scan_limit(settings)] = float(settings.max_scan_usd),
        *,
        ready: Annotated[Ready, Resolve(prepared)],
        consent: Annotated[Consent, Resolve(desk.consent_to(prepared))],
    ) -> Annotated[CallToolResult, UsageReport]:
        place = "all regions" if region == ALL_REGIONS else region

        async def answer(report: Report) -> CallToolResult:
            return await _answer(report, shelf, top, f"Past {days} days - {place}", settings.text_bytes)

        return await desk.answer(context, ready, consent, answer)


async def _answer(report: Report, shelf: Shelf, top: int, asked: str, text_bytes: int) -> CallToolResult:
    whole = await anyio.to_thread.run_sync(sized, report)
    kept: Kept | None = None
    try:
        kept = await shelf.keep(whole, report.query.sight)
    except (StoreDown, UsageError) as fault:
        why = unreachable(fault) if isinstance(fault, StoreDown) else printable(str(fault))
        note = f"the whole result could not be kept: {why}"
        report = msgspec.structs.replace(report, notes=(*report.notes, note))
        whole = {**whole, "notes": [*whole["notes"], note]}

    def shown() -> CallToolResult:
        text = as_brief_text(report, asked, text_bytes, whole_is_kept=kept is not None)
        content = {**with_top(whole, report, top), "whole": kept and kept.document()}
        links = kept.links() if kept else ()
        return CallToolResult(content=[TextContent(text=text), *links], structured_content=content)

    return await anyio.to_thread.run_sync(shown)  # a report of many groups takes a while
