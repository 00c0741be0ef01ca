"""Who the server takes a caller for, and what he may see."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, Field

from tollbook.core.caller import Caller, current_caller
from tollbook.core.text import printable
from tollbook.spend.sight import NOTHING
from tollbook.tools.annotations import READS_ONLY
from tollbook.tools.settings import Settings
from tollbook.tools.sight import SightRules

WHOAMI_TOOL: Final = "whoami"

_DESCRIPTION: Final = """\
Says who this server takes the caller for, with which client and scopes, and whose calls the caller may see: all, the
team's or the caller's own. Use it when a report seems to lack someone's calls, or is refused. It tells nothing about
spend."""


class WhoAmI(BaseModel):
    """Who calls, as far as it was proven."""

    proven: bool = Field(description="Whether the caller proved who he is; false where nobody is asked.")
    subject: str | None = Field(description="Who the caller is to the issuer.")
    client: str | None = Field(description="The program in use, by its id with the issuer.")
    issuer: str | None = Field(description="Who vouches for the caller.")
    scopes: list[str] = Field(description="What the caller lets the client do.")
    sight: Literal["all", "team", "own", "none"] = Field(description="Whose calls reports count.")
    sees: str = Field(description="The same in words.")
    expires: str | None = Field(
        description="When the proof ends, ISO 8601 in UTC.", json_schema_extra={"format": "date-time"}
    )


def add_whoami(server: MCPServer[Any], settings: Settings) -> None:
    """Offers the tool."""

    @server.tool(name=WHOAMI_TOOL, title="Who am I?", description=_DESCRIPTION, annotations=READS_ONLY)
    async def whoami() -> Annotated[CallToolResult, WhoAmI]:
        caller = current_caller()
        found = _known(caller, settings.sight)
        text = "\n".join(_lines(found, caller, settings.sight))
        return CallToolResult(content=[TextContent(text=text)], structured_content=found.model_dump())


def _known(caller: Caller, rules: SightRules) -> WhoAmI:
    sight = rules.sight_of(caller)
    return WhoAmI(
        proven=caller.is_proven,
        subject=printable(caller.subject) or None,
        client=printable(caller.client) or None,
        issuer=printable(caller.issuer) or None,
        scopes=sorted(map(printable, caller.scopes)),
        sight=sight.extent,
        sees=sight.words,
        expires=None if caller.expires is None else datetime.fromtimestamp(int(caller.expires), UTC).isoformat(),
    )


def _lines(found: WhoAmI, caller: Caller, rules: SightRules) -> list[str]:
    why = f": {printable(rules.why_nothing(caller))}" if found.sight == NOTHING.extent else ""
    sees = f"You see {found.sees}{why}."
    if not found.proven:
        return ["Nobody was asked who he is.", sees]
    return [
        f"You are {found.subject}, as {found.issuer} says, with the client {found.client or 'of no name'}.",
        sees,
        f"Scopes: {', '.join(found.scopes) or 'none'}.",
        f"The proof ends at {found.expires}." if found.expires else "The proof does not end.",
    ]
