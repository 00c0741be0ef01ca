"""The server that the suite's scenarios call: its tools, prompts and resources have the names they ask for.

It is registered here, never in the product, and served by the product's own hosting.
Source: the scenarios' descriptions in `@modelcontextprotocol/conformance`.
"""

import asyncio
import base64
import json
import os
import socket
import sys
from typing import Annotated, Any, Final

import uvicorn
from mcp.server import MCPServer, ServerRequestContext
from mcp.server.mcpserver import Context, RequestStateSecurity
from mcp.server.mcpserver.prompts.base import Message, UserMessage
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    Completion,
    CompletionArgument,
    CompletionContext,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequiredResult,
    PromptReference,
    ResourceTemplateReference,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import Field
from starlette.types import ASGIApp

from tests.conformance.fixture_questions import QUESTION_TOOLS, answer_to, ask_for_context
from tollbook.hosting import HostSettings, host
from tollbook.hosting.stores import open_store

PIXEL: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
)
"""A red PNG of one pixel."""

SILENCE: Final = base64.b64decode("UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA==")
"""A WAV of one sample."""

JSON_SCHEMA_2020_12: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
"""What no model of pydantic says, and `tools/list` must not lose."""


async def json_schema_2020_12_tool() -> str:
    """Has an input schema with the keywords of JSON Schema 2020-12."""
    return "called"


_schema_tool = Tool.from_function(json_schema_2020_12_tool).model_copy(update={"parameters": JSON_SCHEMA_2020_12})

server = MCPServer(
    "conformance",
    version="1.0.0",
    # Every instance must open what another one sealed. A deployment takes its key from a secret.
    request_state_security=RequestStateSecurity(keys=[b"a key that only the fixtures have"], audience="conformance"),
    log_level="WARNING",
    tools=[*map(Tool.from_function, QUESTION_TOOLS), _schema_tool],
)


# Tools: what they return


@server.tool()
async def test_simple_text() -> str:
    """Returns a sentence."""
    return "This is a simple text response for testing."


@server.tool()
async def test_image_content() -> list[ImageContent]:
    """Returns a picture."""
    return [_image()]


@server.tool()
async def test_audio_content() -> list[AudioContent]:
    """Returns a sound."""
    return [AudioContent(data=base64.b64encode(SILENCE).decode(), mime_type="audio/wav")]


@server.tool()
async def test_embedded_resource() -> list[EmbeddedResource]:
    """Returns a resource."""
    return [_embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


@server.tool()
async def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """Returns a sentence, a picture and a resource."""
    return [
        TextContent(text="Multiple content types test:"),
        _image(),
        _embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ]


@server.tool()
async def test_error_handling() -> str:
    """Fails."""
    raise RuntimeError("This tool intentionally returns an error for testing")


def _image() -> ImageContent:
    return ImageContent(data=base64.b64encode(PIXEL).decode(), mime_type="image/png")


def _embedded(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


# Tools: what they do meanwhile


@server.tool()
async def test_tool_with_progress(ctx: Context) -> str:
    """Reports its progress in three steps."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100, f"Completed step {done} of 100")
        await asyncio.sleep(0.05)
    return "Three steps were reported."


@server.tool()
async def test_tool_with_logging(ctx: Context) -> str:
    """Logs three lines."""
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(line)
        await asyncio.sleep(0.05)
    return "Three lines were logged."


@server.tool()
async def test_logging_tool(ctx: Context) -> str:
    """Logs a line, which reaches only a client that asked for logs."""
    await ctx.info("Not for everyone")
    return "A line was logged."


@server.tool()
async def test_reconnection(ctx: Context) -> str:
    """Ends its stream before its result, so that the client has to come back for it."""
    await ctx.info("Before disconnect")
    await ctx.close_sse_stream()
    await asyncio.sleep(0.2)  # the client comes back while the call still runs
    await ctx.info("After reconnect")
    return "Reconnection test completed"


# Tools: what they need


@server.tool()
async def test_x_mcp_header(
    region: Annotated[str, Field(description="Where", json_schema_extra={"x-mcp-header": "Region"})],
) -> str:
    """Takes an argument that the client repeats in a header."""
    return f"region={region}"


@server.tool()
async def test_missing_capability(ctx: Context) -> str:
    """Refuses a client that cannot sample."""
    if ctx.client_capabilities is None or ctx.client_capabilities.sampling is None:
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "This tool needs a client that can sample.",
            {"requiredCapabilities": {"sampling": {}}},
        )
    return "The client can sample."


@server.tool()
async def test_trigger_tool_change(ctx: Context) -> str:
    """Announces a change of the tools to those who listen."""
    await ctx.notify_tools_changed()
    return "announced"


@server.tool()
async def test_trigger_prompt_change(ctx: Context) -> str:
    """Announces a change of the prompts to those who listen."""
    await ctx.notify_prompts_changed()
    return "announced"


# Resources


@server.resource("test://static-text", mime_type="text/plain")
async def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
async def static_binary() -> bytes:
    """A picture."""
    return PIXEL


@server.resource("test://template/{id}/data", mime_type="application/json")
async def template(id: str) -> str:  # noqa: A002 - the scenario's word
    """A text with a parameter."""
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@server.resource("test://watched-resource", mime_type="text/plain")
async def watched() -> str:
    """A text that can be subscribed to."""
    return "Watched resource content"


# Prompts


@server.prompt()
async def test_simple_prompt() -> str:
    """A sentence."""
    return "This is a simple prompt for testing."


@server.prompt()
async def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A sentence with two arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@server.prompt()
async def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:  # noqa: N803 - the scenario's word
    """A resource and a sentence."""
    return [
        UserMessage(_embedded(resourceUri, "text/plain", "Embedded resource content for testing.")),
        UserMessage("Please process the embedded resource above."),
    ]


@server.prompt()
async def test_prompt_with_image() -> list[Message]:
    """A picture and a sentence."""
    return [UserMessage(_image()), UserMessage("Please analyze the image above.")]


@server.prompt()
async def test_input_required_result_prompt(ctx: Context) -> list[Message] | InputRequiredResult:
    """Asks for its context first."""
    answer = answer_to("user_context", ctx)
    if answer is None:
        return ask_for_context()
    return [UserMessage(f"Use the following context: {answer.get('context')}")]


# What MCPServer has no word for


@server.completion()  # type: ignore[untyped-decorator,no-untyped-call]
async def complete(
    ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
) -> Completion:
    """Completes an argument of a prompt with the names of towns."""
    towns = [town for town in ("paris", "parma", "passau") if town.startswith(argument.value)]
    return Completion(values=towns, total=len(towns), has_more=False)


async def _accept(ctx: ServerRequestContext[Any, Any], params: object) -> EmptyResult:
    return EmptyResult()


# MCPServer has no public way to serve what 2026-07-28 took out of the protocol.
server._lowlevel_server.add_request_handler("logging/setLevel", SetLevelRequestParams, _accept)
server._lowlevel_server.add_request_handler("resources/subscribe", SubscribeRequestParams, _accept)
server._lowlevel_server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, _accept)


def app() -> ASGIApp:
    """The fixtures, hosted as any server is: `uvicorn --factory tests.conformance.fixture_server:app`.

    SESSION_STORE names the store that the instances share, `sqlite:/path`.
    """
    return host(server, open_store(os.environ["SESSION_STORE"]), HostSettings())


if __name__ == "__main__":  # with the number of a socket that listens: `stack` hands it over
    config = uvicorn.Config(app, factory=True, log_level="warning", timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
