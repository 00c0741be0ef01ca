"""Servers for AWS Lambda whose start `start.py` measures, each with one tool; its loop finds them by name."""

from typing import Any

HOST = "gate.example"


async def greet(name: str) -> str:
    return f"Hello, {name}!"


def _the_sdks() -> Any:
    from mcp.server import MCPServer

    server: Any = MCPServer("start", version="1", log_level="WARNING")
    server.tool()(greet)
    return server


def sdk() -> Any:
    """The SDK's own app, as anybody's may be."""
    from mcp.server.transport_security import TransportSecuritySettings

    return _the_sdks().streamable_http_app(transport_security=TransportSecuritySettings(allowed_hosts=[HOST]))


def hosted() -> Any:
    """The same server behind `tollbook.hosting`."""
    from tollbook.hosting import HostSettings, host
    from tollbook.hosting.stores import open_store

    return host(_the_sdks(), open_store("dynamodb:tollbook"), HostSettings(allowed_hosts=(HOST,)))


def hosted_lightly() -> Any:
    """And that imported as the deployed server is."""
    from tollbook.hosting.light_import import light_import

    with light_import():
        return hosted()
