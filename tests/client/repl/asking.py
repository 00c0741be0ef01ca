"""A server that asks its user, changes its tools, and wants a token if one is named.

Run as `python -m tests.client.repl.asking PORT [TOKEN]`.
"""

import asyncio
import sys
from typing import Any, Final, Literal

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp_types import Completion, PromptReference
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

TRIP: Final = {
    "type": "object",
    "properties": {
        "destination": {
            "type": "string",
            "title": "Destination",
            "description": "Where to go.",
            "oneOf": [{"const": "rom", "title": "Rome"}, {"const": "osl", "title": "Oslo"}],
        },
        "nights": {"type": "integer", "title": "Nights", "minimum": 1, "maximum": 30, "default": 2},
        "email": {"type": "string", "title": "Address", "description": "For the ticket.", "format": "email"},
        "from": {"type": "string", "title": "First day", "format": "date"},
        "extras": {
            "type": "array",
            "title": "Extras",
            "items": {"type": "string", "enum": ["breakfast", "bicycle", "quiet"]},
            "maxItems": 2,
        },
        "insured": {"type": "boolean", "title": "Insurance", "default": True},
    },
    "required": ["destination", "email", "insured"],
}


def a_server() -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer("travel\x1b[31m agency", version="1", log_level="ERROR")
    bell = asyncio.Event()
    ringing: set[asyncio.Task[None]] = set()

    @server.tool()
    async def trip(context: Context[Any, Any]) -> str:
        answer = await context.session.elicit_form("Tell us about your trip.\nAll of it.", TRIP, context.request_id)
        return f"{answer.action}: {answer.content}"

    @server.tool()
    async def colour(context: Context[Any, Any]) -> str:
        form = {"type": "object", "properties": {"colour": {"type": "string", "enum": ["red", "green"]}}}
        answer = await context.session.elicit_form("Which colour?", form, context.request_id)
        return f"{answer.action}: {answer.content}"

    @server.tool()
    async def two_colours(context: Context[Any, Any]) -> str:
        """Asks both at once."""
        forms = ({"type": "object", "properties": {name: {"type": "string"}}} for name in ("wall", "door"))
        asked = (context.session.elicit_form("Which colour?", form, context.request_id) for form in forms)
        return " and ".join(str(answer.content) for answer in await asyncio.gather(*asked))

    @server.tool()
    async def never_ends(context: Context[Any, Any]) -> None:
        """Asks something, and then waits."""
        await context.session.elicit_form("Ready?", {"type": "object", "properties": {}}, context.request_id)
        await context.report_progress(1, 2, "waiting")
        await asyncio.Event().wait()

    @server.tool()
    async def page(context: Context[Any, Any], url: str = "https://pay.example.com/bill?id=7") -> str:
        answer = await context.session.elicit_url("Please pay the bill.", url, "bill-7", context.request_id)
        return str(answer.action)

    @server.tool()
    async def listens(context: Context[Any, Any]) -> str:
        """Says that its tools have changed once someone rings."""

        async def tell() -> None:
            await bell.wait()
            await context.session.send_tool_list_changed()

        ringing.add(task := asyncio.create_task(tell()))
        task.add_done_callback(ringing.discard)
        return "listening"

    @server.tool()
    async def paint(shade: Literal["light", "dark"], glossy: bool = False, coats: int = 1) -> str:
        return f"{coats} coats of {shade}{', glossy' if glossy else ''}"

    @server.prompt()
    async def advice(city: str, style: str = "") -> str:
        return f"What is there to see in {city}?"

    @server.resource("city://{name}/map")
    async def city_map(name: str) -> str:
        return f"a map of {name}"

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(ref: Any, argument: Any, _: Any) -> Completion:
        cities = ["Amsterdam", "Athens", "Oslo"] if argument.name in ("city", "name") else []
        await asyncio.sleep(0 if isinstance(ref, PromptReference) or argument.value != "never" else 3600)
        return Completion(values=[each for each in cities if each.lower().startswith(argument.value.lower())])

    @server.custom_route("/ring", methods=["POST"])  # type: ignore[untyped-decorator]
    async def ring(_: Request) -> Response:
        bell.set()
        return Response()

    return server


def guarded(app: Starlette, token: str) -> Starlette:
    async def check(request: Request, go_on: Any) -> Response:
        if request.headers.get("authorization") != f"Bearer {token}":
            return JSONResponse({"error": "invalid_token"}, 401, {"www-authenticate": "Bearer"})
        answer: Response = await go_on(request)
        return answer

    app.add_middleware(BaseHTTPMiddleware, dispatch=check)
    return app


def main(port: str, token: str = "") -> None:
    app = a_server().streamable_http_app()
    uvicorn.run(guarded(app, token) if token else app, port=int(port), log_level="error")


if __name__ == "__main__":
    main(*sys.argv[1:])
