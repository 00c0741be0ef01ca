"""Who called which tool, with which sight, and how it ended: a line for each call, and nothing of what was in it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError

from tollbook.core.caller import current_caller
from tollbook.core.errors import TollbookError, UsageError
from tollbook.core.text import printable
from tollbook.tools.sight import OutOfSight, SightRules

_audit: Final = logging.getLogger("tollbook.audit")
_log: Final = logging.getLogger(__name__)
_LONGEST: Final = 200  # characters


@contextmanager
def audited(tool: str, rules: SightRules) -> Iterator[None]:
    """Writes down the current caller's call of `tool` when it is over: `answered`, `refused`, `failed`, `cancelled`.

    A call by someone who proved who he is is written down whatever the level of the log, and another as what is
    worth knowing and no more.
    """
    outcome = "cancelled"  # unless something else is known
    try:
        yield
        outcome = "answered"
    except Exception as fault:
        outcome = "refused" if _is_refusal(fault) else "failed"
        raise
    finally:
        caller = current_caller()
        if caller.is_proven or _log.isEnabledFor(logging.INFO):
            names = {"subject": caller.subject, "client": caller.client, "issuer": caller.issuer, "tool": tool}
            fields = {name: printable(text)[:_LONGEST] for name, text in names.items()}
            _audit.info("call", extra={**fields, "sight": rules.sight_of(caller).extent, "outcome": outcome})


def _is_refusal(fault: Exception) -> bool:
    """Whether the caller asked for what he may not see, or for what makes no sense."""
    if not isinstance(fault, ToolError) or isinstance(fault, UnexpectedToolError):
        return False
    return not isinstance(fault.__cause__, TollbookError) or isinstance(fault.__cause__, UsageError | OutOfSight)
