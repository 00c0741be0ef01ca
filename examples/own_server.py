"""An MCP server of your own, hosted: uvicorn --app-dir examples own_server:app --port 8000 --workers 2"""

import secrets

from mcp.server import MCPServer

from tollbook.hosting import host
from tollbook.hosting.stores import open_store

server = MCPServer("dice", version="1.0")


@server.tool()
async def roll(sides: int = 6) -> int:
    """Rolls a die."""
    return secrets.randbelow(sides) + 1


app = host(server, open_store("sqlite:dice.db"))
