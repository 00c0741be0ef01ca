"""What all answers have in common as tools. A module says what is read and what is made of it; the rest is here."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import msgspec
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.resolve import Resolve
from mcp_types import CallToolResult, TextContent

from tollbook.spend.render.answers import Answer, document_of, telling_of
from tollbook.spend.report import Report
from tollbook.spend.window import Window
from tollbook.tools.annotations import READS_ONLY
from tollbook.tools.arguments import common_arguments
from tollbook.tools.desk import Asked, Consent, Desk, Ready
from tollbook.tools.schema import schema_of
from tollbook.tools.surface import Surface

Document = dict[str, Any]
Result = TypeVar("Result")

# Nothing stops what is being computed. A limiter of anyio's would give the turn of an abandoned thread to the next one,
# so that who asks and leaves, again and again, would have any number at work.
_THREADS: Final = ThreadPoolExecutor(4, "tollbook-answer")  # more would only take turns, and each holds its rows


class Wanted(msgspec.Struct, frozen=True):
    """What an answer is made of.

    Attributes:
        window: the stretch of time to read.
        by: the dimensions that rows must tell.
        answer: makes it.
    """

    window: Window
    by: tuple[str, ...]
    answer: Callable[[Report], Awaitable[Answer]]


async def computed(make: Callable[..., Result], *arguments: Any) -> Result:
    """What `make` makes of `arguments`, in one of a few threads: of many rows that takes a while.

    Who is cancelled goes at once. What waits for a thread is then not begun; what has begun keeps its own to the end.
    """
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(copy_context().run, make, *arguments))


def made_by(make: Callable[..., Answer], *more: Any) -> Callable[[Report], Awaitable[Answer]]:
    """What `make` makes of a report and `more`, `computed`."""

    async def answer(report: Report) -> Answer:
        return await computed(make, report, *more)

    return answer


Shown = Callable[[Any, int, Context[Any, Any]], CallToolResult]
"""Shows an answer in at most so many bytes of text."""


def in_words(answer: Answer, most_bytes: int, _context: Context[Any, Any]) -> CallToolResult:
    """The answer as text, and as structured content: some hosts show a model the one, some the other."""
    return CallToolResult(
        content=[TextContent(text=text_of(answer, most_bytes))], structured_content=document_of(answer)
    )


def text_of(answer: Answer, most_bytes: int) -> str:
    """The answer in words and tables."""
    from tollbook.spend.render.telling_text import as_text  # with rich, which a start does not need

    return as_text(telling_of(answer), most_bytes)


def offer(
    surface: Surface,
    desk: Desk,
    question: Callable[..., Wanted],
    kind: type[Any],
    *,
    name: str,
    title: str,
    description: str,
    meta: Document | None = None,
    shown: Shown = in_words,
) -> None:
    """Offers an answer as a tool.

    Args:
        question: from what every question says, and from arguments of its own, what is wanted. As they are declared
            there, with types and defaults, the tool has them, before those that all have.
        kind: of answers, whose schema is published.
        meta: what makes it a tool of the page. The page knows its answers: no more than their roots are published.
    """
    own = tuple(inspect.signature(question).parameters.values())[1:]
    common = common_arguments(desk.settings)

    async def wanted(asked: Asked, **given: Any) -> Wanted:
        return question(asked, **given)

    _declare(wanted, _resolved("asked", Asked, desk.asked), *own)

    async def prepared(
        asked: Annotated[Asked, Resolve(desk.asked)], wanted: Annotated[Wanted, Resolve(wanted)]
    ) -> Ready:
        return await desk.ready(asked, wanted.window, wanted.by)

    async def tool(
        context: Context[Any, Any], wanted: Wanted, ready: Ready, consent: Consent, **_: Any
    ) -> CallToolResult:
        async def answer(report: Report) -> CallToolResult:
            found = await wanted.answer(report)
            return await computed(shown, found, desk.settings.text_bytes, context)

        return await desk.answer(context, ready, consent, answer)

    _declare(
        tool,
        *own,
        *common,
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=Context[Any, Any]),
        _resolved("wanted", Wanted, wanted),
        _resolved("ready", Ready, prepared),
        _resolved("consent", Consent, desk.consent_to(prepared)),
    )
    surface.add_tool(
        tool,
        name=name,
        title=title,
        description=description,
        annotations=READS_ONLY,
        meta=meta,
        structured_output=False,
    )
    surface.publish(name, partial(schema_of, kind, is_whole=meta is None))


def _resolved(name: str, kind: Any, resolver: Callable[..., Any]) -> inspect.Parameter:
    """A parameter that the SDK fills in with what `resolver` gives."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[kind, Resolve(resolver)])


def _declare(function: Callable[..., Any], *parameters: inspect.Parameter) -> None:
    """Gives `function` these parameters, for whoever looks: the SDK finds out from them what to call it with."""
    named = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    function.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    function.__annotations__ = {each.name: each.annotation for each in named}
