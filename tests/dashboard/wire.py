"""A server in memory that is spoken to in JSON-RPC texts, by who has no event loop."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from anyio.from_thread import start_blocking_portal
from mcp.client._memory import InMemoryTransport
from mcp.server import MCPServer
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

Say = Callable[[str], list[str]]
"""Takes a message for the server; gives what the server said until it had answered."""


@contextmanager
def wired(server: MCPServer[Any]) -> Iterator[Say]:
    """The server, as long as it is needed."""
    with start_blocking_portal("asyncio") as portal, portal.wrap_async_context_manager(_connected(server)) as say:
        yield lambda text: portal.call(say, text)


@asynccontextmanager
async def _connected(server: MCPServer[Any]) -> AsyncIterator[Callable[[str], Awaitable[list[str]]]]:
    async with InMemoryTransport(server) as (heard, spoken):

        async def say(text: str) -> list[str]:
            await spoken.send(SessionMessage(jsonrpc_message_adapter.validate_json(text)))
            wanted = json.loads(text).get("id")
            answers: list[str] = []
            while wanted is not None:
                message = await heard.receive()
                assert isinstance(message, SessionMessage)
                answers.append(message.message.model_dump_json(by_alias=True, exclude_unset=True))
                if json.loads(answers[-1]).get("id") == wanted:
                    break
            return answers

        yield say
