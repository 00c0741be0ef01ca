"""Reading logs costs whoever runs the server money: above a limit, somebody is asked first."""

from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import Elicit
from pydantic import BaseModel, Field

from tollbook.sources.reading import Estimate
from tollbook.spend.render.words import dollars, measure, plain, rounded
from tollbook.spend.sight import Sight
from tollbook.tools.settings import Settings

ARGUMENT: Final = "max_scan_usd"
HIGHEST: Final = 20
"""How many times the server's limit a caller may allow."""


class GoOn(BaseModel):
    """What somebody answers."""

    go_on: bool = Field(title="Go on", description="Read the logs at this cost.")


def consent_to(
    estimate: Estimate, sight: Sight, max_scan_usd: float, settings: Settings, context: Context[Any, Any]
) -> GoOn | Elicit[GoOn]:
    """Consent, where none is needed; else the question to ask for it.

    Raises:
        ToolError: it is needed, and this client cannot ask anybody.
    """
    allowed, highest = Decimal(str(max_scan_usd)), settings.max_scan_usd * HIGHEST
    if not sight.is_all:  # from what he allows step by step he would learn how much there is
        allowed = max(step for step in (Decimal(0), settings.max_scan_usd, highest) if step <= allowed)
    too_dear = estimate.usd > allowed
    # Whoever allows more dollars than usual has been told of the bytes, too.
    too_large = 0 < settings.max_scan_bytes < estimate.bytes and allowed <= settings.max_scan_usd
    if not (too_dear or too_large):
        return GoOn(go_on=True)
    what = _size(estimate) if sight.is_all else "more of the logs than is read without asking"
    elicitation = context.client_capabilities and context.client_capabilities.elicitation
    # A capability that names no mode is one for forms:
    # https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation
    if elicitation and (elicitation.form is not None or elicitation.url is None):
        return Elicit(f"This question reads {what}. Go on?", GoOn)
    wanted = max(
        estimate.usd * Decimal("1.2") if too_dear else Decimal(0),
        settings.max_scan_usd + Decimal("0.01") if too_large else Decimal(0),
    ).quantize(Decimal("0.01"), ROUND_CEILING)
    if wanted > highest:
        way = "That is more than a client may allow that cannot ask its user. Ask about a shorter time or one region."
    else:
        enough = plain(wanted if sight.is_all else highest)
        way = (
            "Ask about a shorter time or one region, or, once whoever pays agrees, call again with "
            f"{ARGUMENT}={enough}."
        )
    raise ToolError(f"This question reads {what}. Nothing was read. {way}")


def _size(estimate: Estimate) -> str:
    """In words that stay the same for a while: a client of 2026-07-28 whose question has changed is asked again."""
    cost = f"about {dollars(rounded(estimate.usd))}" if estimate.usd else "nothing"
    return f"about {measure(int(rounded(Decimal(estimate.bytes))))} of logs, which AWS charges {cost} for"
