"""Reading logs costs whoever runs the server money: above a limit, somebody is asked first."""

from decimal import Decimal
from typing import Any, Final

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import Elicit
from pydantic import BaseModel, Field

from tollbook.sources.reading import Estimate
from tollbook.spend.render.words import dollars, measure, rounded
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
    allowed = Decimal(str(max_scan_usd))
    too_dear = estimate.usd > allowed
    # Whoever allows more dollars than usual has been told of the bytes, too.
    too_large = 0 < settings.max_scan_bytes < estimate.bytes and allowed <= settings.max_scan_usd
    if not (too_dear or too_large):
        return GoOn(go_on=True)
    cost = dollars(rounded(estimate.usd))
    what = f"about {measure(int(rounded(Decimal(estimate.bytes))))} of logs, which AWS charges about {cost} for"
    if not sight.is_all:  # how large the logs are is not his to know
        what = "more of the logs than is read without asking"
    elicitation = context.client_capabilities and context.client_capabilities.elicitation
    if not elicitation or (elicitation.form is None and elicitation.url is not None):
        raise ToolError(
            f"This question reads {what}. The limit is {dollars(allowed)}. Ask for fewer days, or, once whoever pays "
            f"agrees, call again with {ARGUMENT}={_enough(estimate, settings, sight)}."
        )
    return Elicit(f"This question reads {what}. Go on?", GoOn)


def _enough(estimate: Estimate, settings: Settings, sight: Sight) -> str:
    highest = settings.max_scan_usd * HIGHEST
    if not sight.is_all:
        return str(highest.normalize())
    wanted = max(estimate.usd * Decimal("1.2"), settings.max_scan_usd + Decimal("0.01"))
    return f"{min(wanted, highest):.2f}"
