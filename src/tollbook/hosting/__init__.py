"""Serves any MCP server over Streamable HTTP, in every era of the protocol, from any number of instances."""

from tollbook.hosting.app import host
from tollbook.hosting.log import log_as_json
from tollbook.hosting.settings import HostSettings

__all__ = ["HostSettings", "host", "log_as_json"]
