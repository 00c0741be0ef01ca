"""A server with awslabs' mcp-lambda-handler, for AWS's own runtime; SESSIONS names the table of its sessions, if any.

It needs a virtual environment of its own, which `start.py` makes.
"""

import os
from typing import Any

from awslabs.mcp_lambda_handler import MCPLambdaHandler  # type: ignore[import-not-found]

_server = MCPLambdaHandler("start", "1", session_store=os.environ.get("SESSIONS"))


@_server.tool()  # type: ignore[untyped-decorator]
def greet(name: str) -> str:
    return f"Hello, {name}!"


def handler(event: dict[str, Any], context: object) -> Any:
    return _server.handle_request(event, context)
