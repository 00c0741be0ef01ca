"""tollbook as an MCP server: tools, prompts and resources over the book."""

from tollbook.tools.asking import Asker, Question, Stage, Tell
from tollbook.tools.server import build
from tollbook.tools.settings import Settings

__all__ = ["Asker", "Question", "Settings", "Stage", "Tell", "build"]
