"""Serves any MCP server over Streamable HTTP, in every era of the protocol, from any number of instances."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tollbook.hosting.app import host
    from tollbook.hosting.log import log_as_json
    from tollbook.hosting.metrics import embedded_metrics
    from tollbook.hosting.settings import HostSettings

__all__ = ["HostSettings", "embedded_metrics", "host", "log_as_json"]


def __getattr__(name: str) -> Any:
    """Imports what is named when it is: the Lambda authorizer is in this package too, and starts without the SDK."""
    match name:
        case "host":
            from tollbook.hosting.app import host

            return host
        case "log_as_json":
            from tollbook.hosting.log import log_as_json

            return log_as_json
        case "embedded_metrics":
            from tollbook.hosting.metrics import embedded_metrics

            return embedded_metrics
        case "HostSettings":
            from tollbook.hosting.settings import HostSettings

            return HostSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
