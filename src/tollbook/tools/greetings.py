"""Greetings: to see that a client and the server understand each other."""

from typing import Annotated, Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from pydantic import Field

from tollbook.tools.annotations import READS_ONLY
from tollbook.tools.settings import Settings
from tollbook.tools.telling import say

Name = Annotated[str, Field(title="Name", description="Who to greet.", examples=["Ada"])]


def add_greetings(server: MCPServer[Any], settings: Settings) -> None:
    """Offers two tools, a prompt and a resource that greet."""

    @server.tool(
        name="greet",
        title="Greet",
        description="Greets someone by name, in one line of text. Use it to check that the server answers; it tells "
        "nothing about spend.",
        annotations=READS_ONLY,
        structured_output=False,
    )
    async def greet(name: Name) -> str:
        return f"Hello, {name}!"

    @server.tool(
        name="multi-greet",
        title="Greet several times",
        description="Greets someone over some two seconds, with log messages and progress on the way. Use it to check "
        "that notifications arrive while a tool runs; for a plain greeting use greet.",
        annotations=READS_ONLY,
        structured_output=False,
    )
    async def multi_greet(name: Name, context: Context[Any, Any]) -> str:
        await context.report_progress(0, 3)
        await say(context, "debug", f"Starting multi-greet for {name}")
        await context.report_progress(1, 3)
        for done, which in enumerate(("first", "second"), 2):
            await anyio.sleep(settings.greeting_pause_s)
            await say(context, "info", f"Sending {which} greeting to {name}")
            await context.report_progress(done, 3)
        return f"Good morning, {name}!"

    @server.prompt(name="greeting-template", title="Greeting", description="Asks for a polite greeting of someone.")
    async def greeting_template(name: Name) -> str:
        return f"Please greet {name} in a friendly manner."

    @server.resource(
        "https://example.com/greetings/default",
        name="greeting-resource",
        title="Default greeting",
        description="A plain greeting.",
        mime_type="text/plain",
    )
    async def greeting_resource() -> str:
        return "Hello, world!"
