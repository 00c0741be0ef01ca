"""What clients are told of a tool besides its description."""

from typing import Final

from mcp_types import ToolAnnotations

READS_ONLY: Final = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
"""It changes nothing, can be called again, and looks at nothing but the logs."""
