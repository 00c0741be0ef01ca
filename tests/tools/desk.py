"""A server over log files, and clients that ask it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from mcp import Client
from mcp.server import MCPServer
from mcp_types import CallToolResult

from tests.logs import Answer, Ask
from tollbook import tools
from tollbook.app.questions import FileAsker
from tollbook.core.caller import Caller, set_caller
from tollbook.core.settings import read_values
from tollbook.core.stores import Blobs, Clock, Store
from tollbook.hosting.stores import open_store
from tollbook.tools.sight import SIGHT_SETTINGS, SightRules

ERAS = ("legacy", "2026-07-28")
SAMPLE = str(Path(__file__).parent.parent.parent / "examples" / "bedrock-logs.jsonl.gz")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TOOL = "get_bedrock_usage_report"
QUICK = tools.Settings(progress_s=0.01, silence_s=0.02, greeting_pause_s=0.01)


def rules(**environment: str) -> SightRules:
    """The rules that an environment's `SEES_ALL`, `SEES_TEAM`, `OWN_CALLS` and `TEAM_CALLS` come to."""
    values, problems = read_values(SIGHT_SETTINGS, environment, {})
    assert not problems, problems
    return SightRules(**values)


def ruled(settings: tools.Settings = QUICK, **environment: str) -> tools.Settings:
    """The same settings with those rules."""
    return msgspec.structs.replace(settings, sight=rules(**environment))


def served(
    *sources: str,
    store: Store | None = None,
    settings: tools.Settings = QUICK,
    now: Callable[[], datetime] = lambda: NOW,
    asker: tools.Asker | None = None,
    open_blobs: Callable[[Clock], Blobs] | None = None,
) -> MCPServer[Any]:
    """A server that reads `sources`.

    Args:
        open_blobs: opens what takes pages of whole results, if that is another place than the store.
    """

    def clock() -> float:
        return now().timestamp()

    kept, answers = open_store("memory", clock) if store is None else store, asker or FileAsker(sources)
    blobs = None if open_blobs is None else open_blobs(clock)
    return tools.build(answers, kept, blobs=blobs, settings=settings, now=now, clock=clock, version="1.2.3")


async def called(server: MCPServer[Any], tool: str = TOOL, era: str = ERAS[0], **arguments: Any) -> CallToolResult:
    async with Client(server, mode=era) as client:
        return await client.call_tool(tool, arguments)


async def reported(server: MCPServer[Any], **arguments: Any) -> Any:
    """The structured content of a report."""
    result = await called(server, **arguments)
    assert not result.is_error, text_of(result)
    return result.structured_content


def text_of(result: CallToolResult) -> str:
    block = result.content[0]
    assert block.type == "text"
    return block.text


def sections_of(text: str) -> dict[str, list[str]]:
    """The lines below each title."""
    parts = [part.split(" ---\n", 1) for part in f"\n{text}".split("\n--- ")[1:]]
    return {title: lines.strip("\n").split("\n") for title, lines in parts}


def printed(ask: Ask, source: str, *words: str, days: int, form: str = "json") -> Answer:
    """What the command line says to the same question."""
    return ask("report", source, "--days", str(days), "--now", NOW.isoformat(), "--format", form, *words)


@contextmanager
def calling_as(who: str | Caller) -> Iterator[None]:
    """Whoever opens a client within is `who`: a caller, or the subject of one."""
    token = set_caller(Caller(who) if isinstance(who, str) else who)
    try:
        yield
    finally:
        token.var.reset(token)
