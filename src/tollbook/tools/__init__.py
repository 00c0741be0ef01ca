"""tollbook as an MCP server: tools, prompts and resources over the book."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tollbook.tools.asking import Asker, Biller, Prepared, Question, Stage, Tell
    from tollbook.tools.server import build
    from tollbook.tools.settings import Settings

__all__ = ["Asker", "Biller", "Prepared", "Question", "Settings", "Stage", "Tell", "build"]


def __getattr__(name: str) -> Any:
    """Imports what is named when it is: who only wants the table of settings needs no SDK."""
    match name:
        case "build":
            from tollbook.tools.server import build

            return build
        case "Settings":
            from tollbook.tools.settings import Settings

            return Settings
        case "Asker" | "Biller" | "Prepared" | "Question" | "Stage" | "Tell":
            from tollbook.tools import asking

            return getattr(asking, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
