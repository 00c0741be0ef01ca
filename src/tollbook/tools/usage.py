"""The report as a tool."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final

import anyio.to_thread
import msgspec
from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve
from mcp_types import CallToolResult, TextContent
from pydantic import BeforeValidator, Field

from tollbook.core.caller import current_caller
from tollbook.core.errors import StoreDown, UsageError
from tollbook.core.text import printable
from tollbook.spend.query import DIMENSIONS, Filter, Query, dimensions_of
from tollbook.spend.render.brief import as_brief_text
from tollbook.spend.render.plain import SECTIONS
from tollbook.spend.report import Report
from tollbook.spend.window import MOST_DAYS, last_days, zone_of
from tollbook.tools.annotations import READS_ONLY
from tollbook.tools.asking import Asker, Prepared, Question
from tollbook.tools.consent import HIGHEST, GoOn, consent_to
from tollbook.tools.discretion import answer_to, prepare
from tollbook.tools.document import UsageReport, sized, with_top
from tollbook.tools.settings import ALL_REGIONS, Settings
from tollbook.tools.shelf import Kept, Shelf, unreachable
from tollbook.tools.telling import while_telling

USAGE_TOOL: Final = "get_bedrock_usage_report"
_LONGEST_TEXT: Final = 200

_DESCRIPTION: Final = """\
Says what Amazon Bedrock cost over the last days and who spent it, from Bedrock's model invocation logs: calls,
tokens, US dollars at list price, prompt-cache savings and errors, in total and by day, region, model and principal,
and by anything else that group_by names.

Use it for any question about Bedrock spend, usage, tokens, cost per user, role, team or model. Not for AWS bills,
discounts, credits, other AWS services or calls outside of the logs (bedrock-mantle, batch, asynchronous).

Comes back: a short text; structured content with the `top` dearest groups and the sum of the others; and links to
the whole result as JSON and CSV. `~` marks an assumption, `≥` a sum that leaves out what has no price. Read the notes
and pass on what matters. Reading may take a while; progress is reported, and cancelling stops it."""

Region = Annotated[
    str,
    Field(
        title="Region",
        description="The AWS region whose calls to count, or all for every region.",
        pattern=r"^(all|[a-z]{2}(-[a-z]+)+-[0-9]{1,2})$",
        max_length=32,
        examples=["us-east-1", ALL_REGIONS],
    ),
]
LogGroup = Annotated[
    str,
    Field(
        title="Log group",
        description="The CloudWatch log group that Bedrock's model invocation logging writes to.",
        pattern=r"^[A-Za-z0-9_/.#-]{1,512}$",  # CreateLogGroup, AWS API reference
        examples=["/aws/bedrock/modelinvocations"],
    ),
]
Days = Annotated[
    int,
    Field(
        title="Days",
        description="How many whole days of `tz`, today included: 1 is today alone, 7 today and the six days before.",
        ge=1,
        le=MOST_DAYS,
        examples=[1, 7, 30],
    ),
]
Account = Annotated[
    str,
    BeforeValidator(lambda given: str(given) if isinstance(given, int) else given),  # as models like to write it
    Field(
        title="AWS account",
        description="Counts only calls from this account, of twelve digits. Leave it out for all.",
        pattern=r"^([0-9]{12})?$",
        examples=["111122223333"],
    ),
]
Zone = Annotated[
    str,
    Field(
        title="Time zone",
        description="The IANA time zone whose days and hours are meant.",
        max_length=64,
        examples=["UTC", "Europe/Berlin", "America/New_York"],
    ),
]
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
Principal = Annotated[
    str,
    Field(
        title="Principal",
        description="Counts only calls of users and roles whose name contains this, in any case. Names look like "
        "role/rag-api or user/alice.",
        max_length=_LONGEST_TEXT,
        examples=["rag-api", "user/alice"],
    ),
]
ModelPart = Annotated[
    str,
    Field(
        title="Model",
        description="Counts only calls of models whose id, short name or profile contains this, in any case.",
        max_length=_LONGEST_TEXT,
        examples=["sonnet", "anthropic.claude", "Nova Pro"],
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


class _Ready(msgspec.Struct, frozen=True):
    """A question, and what answering it will take."""

    question: Question
    prepared: Prepared


def _max_scan(limit: float, highest: float) -> Any:
    return Field(
        title="Most dollars to spend on reading",
        description="What AWS may charge for reading the logs. Above it the user is asked, or nothing is read and the "
        "cost told. Raise it only if whoever pays agrees.",
        ge=0,
        le=highest,
        examples=list(dict.fromkeys((limit, highest))),
    )


def add_usage_report(
    server: MCPServer[Any], asker: Asker, shelf: Shelf, settings: Settings, now: Callable[[], datetime]
) -> None:
    """Offers the report."""
    limit, highest = float(settings.max_scan_usd), float(settings.max_scan_usd * HIGHEST)

    async def prepared(
        region: str,
        log_group_name: str,
        days: int,
        aws_account_id: str,
        tz: str,
        group_by: str,
        principal: str,
        model: str,
    ) -> _Ready:
        by = dimensions_of(group_by, "group_by")
        only = Filter("" if region == ALL_REGIONS else region, aws_account_id, principal.strip(), model.strip())
        caller = current_caller()
        sight = settings.sight.sight_to_ask_with(caller)
        every = tuple(dict.fromkeys((*by, *SECTIONS.values())))
        query = Query(last_days(days, now(), zone_of(tz)), every, only, sight)
        question = Question(query, by, log_group_name, settings.log_group, caller.subject)
        return _Ready(question, await prepare(question, asker))

    async def consent(
        context: Context[Any, Any], ready: Annotated[_Ready, Resolve(prepared)], max_scan_usd: float
    ) -> GoOn | Elicit[GoOn]:
        sight = ready.question.query.sight
        return consent_to(ready.prepared.estimate, sight, max_scan_usd, settings, context)

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
        max_scan_usd: Annotated[float, _max_scan(limit, highest)] = limit,
        *,
        ready: Annotated[_Ready, Resolve(prepared)],
        consent: Annotated[ElicitationResult[GoOn], Resolve(consent)],
    ) -> Annotated[CallToolResult, UsageReport]:
        if not (isinstance(consent, AcceptedElicitation) and consent.data.go_on):
            raise UsageError(
                "Nothing was read, since nobody agreed to the cost. Ask for fewer days, and it costs less."
            )
        report = await while_telling(context, settings, lambda tell: answer_to(ready.question, ready.prepared, tell))
        place = "all regions" if region == ALL_REGIONS else region
        return await _answer(report, shelf, top, f"Past {days} days - {place}", settings.text_bytes)


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
