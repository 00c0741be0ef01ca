"""In revision 2026-07-28 a question to the user rides on the result, and the answer on the next request, anywhere."""

from pathlib import Path
from typing import Annotated, Any

import httpx2
import pytest
from mcp.server import MCPServer
from mcp.server.mcpserver import Elicit, Resolve
from mcp.server.request_state import RequestStateSecurity
from pydantic import BaseModel

from tests.hosting.serving import modern, serving, tool
from tollbook.hosting import host
from tollbook.hosting.stores import open_store

pytestmark = pytest.mark.anyio

KEY = "0123456789abcdef0123456789abcdef"


class Size(BaseModel):
    """What is asked."""

    number: int


async def which() -> Elicit[Size]:
    return Elicit("How many?", Size)


def shop(key: str) -> MCPServer[Any]:
    security = RequestStateSecurity(keys=[key], audience="shop")
    server: MCPServer[Any] = MCPServer("shop", version="1", log_level="ERROR", request_state_security=security)

    @server.tool()
    async def order(size: Annotated[Size, Resolve(which)]) -> str:
        return f"{size.number} ordered"

    return server


@pytest.mark.parametrize(("key", "is_accepted"), [(KEY, True), (KEY[::-1], False)])
async def test_the_answer_is_taken_by_every_instance_that_shares_the_key(
    tmp_path: Path, key: str, is_accepted: bool
) -> None:
    stores = [open_store(f"sqlite:{tmp_path / 'store.db'}") for _ in range(2)]
    async with (
        serving(host(shop(KEY), stores[0])) as here,
        serving(host(shop(key), stores[1])) as there,
        httpx2.AsyncClient(timeout=20) as http,
    ):
        asked = (await _post(http, here, tool("order")))["result"]
        assert asked["resultType"] == "input_required"
        ((name, _question),) = asked["inputRequests"].items()
        again = tool("order", 2)
        again["params"]["requestState"] = asked["requestState"]
        again["params"]["inputResponses"] = {name: {"action": "accept", "content": {"number": 3}}}
        answered = await _post(http, there, again)
    if is_accepted:
        assert answered["result"]["content"][0]["text"] == "3 ordered"
    else:
        assert "error" in answered


async def _post(http: httpx2.AsyncClient, url: str, message: dict[str, Any]) -> Any:
    whole, headers = modern(message)
    whole["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = {"elicitation": {}}
    return (await http.post(url, json=whole, headers=headers)).json()
