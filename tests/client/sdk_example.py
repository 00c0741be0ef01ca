"""The servers that the documentation of the Python SDK begins with, in one.

`python -m tests.client.sdk_example` serves it on standard input and output.

Source: https://py.sdk.modelcontextprotocol.io, "First steps", "Elicitation", "Dependencies", "Progress", "Completions".
"""

import asyncio
import sys
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Elicit, Resolve
from mcp_types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference
from pydantic import BaseModel, Field

LANGUAGES = ["go", "javascript", "python", "rust", "typescript"]


class AlternativeDate(BaseModel):
    accept_alternative: bool = Field(description="Try another date?")
    date: str = Field(default="2025-12-26", description="Alternative date (YYYY-MM-DD)")


class Backorder(BaseModel):
    confirm: bool = Field(description="Order anyway and wait?")


async def confirm_backorder(title: str) -> Elicit[Backorder]:
    return Elicit(f"{title!r} is out of stock (2-3 weeks). Order anyway?", Backorder)


def demo() -> MCPServer[Any]:
    mcp: MCPServer[Any] = MCPServer("Demo", log_level="ERROR")

    @mcp.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @mcp.resource("greeting://{name}")
    def greeting(name: str) -> str:
        """Greet someone by name."""
        return f"Hello, {name}!"

    @mcp.prompt()
    def review_code(language: str, code: str) -> str:
        """Review a snippet of code."""
        return f"Review this {language} code:\n{code}"

    @mcp.completion()  # type: ignore[untyped-decorator,no-untyped-call]
    async def handle_completion(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        if isinstance(ref, PromptReference) and argument.name == "language":
            return Completion(values=[each for each in LANGUAGES if each.startswith(argument.value)])
        return None

    @mcp.tool()
    async def import_catalog(urls: list[str], ctx: Context[Any, Any]) -> str:
        """Import book records from a list of catalog URLs."""
        for done, url in enumerate(urls, start=1):
            await ctx.report_progress(done, total=len(urls), message=f"Imported {url}")
        return f"Imported {len(urls)} records."

    @mcp.tool()
    async def book_table(date: str, party_size: int, ctx: Context[Any, Any]) -> str:
        """Book a table at the bistro."""
        if date != "2025-12-25":
            return f"Booked a table for {party_size} on {date}."
        result = await ctx.elicit(
            message=f"No tables for {party_size} on {date}. Would you like to try another date?",
            schema=AlternativeDate,
        )
        if result.action == "accept" and result.data.accept_alternative:
            return await book_table(result.data.date, party_size, ctx)
        return "No booking made."

    @mcp.tool()
    async def order_book(title: str, backorder: Annotated[Backorder, Resolve(confirm_backorder)]) -> str:
        """Order a book from the shop."""
        return f"Backordered {title!r}." if backorder.confirm else "No order placed."

    @mcp.tool()
    async def wait(ctx: Context[Any, Any]) -> None:
        """Not of the documentation: says so if it is stopped."""
        try:
            await ctx.report_progress(1)
            await asyncio.Event().wait()
        finally:
            print("stopped", file=sys.stderr, flush=True)

    return mcp


if __name__ == "__main__":
    demo().run()
