"""A server of somebody's own, which is served instead of tollbook's: MODULE:SERVER, in the working folder."""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeGuard

from mcp.server import MCPServer
from mcp.server.lowlevel.server import Server

from tollbook.core.errors import TollbookError, UsageError

_ROOTS: Final = (".", "src")
"""Of the folder: where modules are looked for before the packages. `tollbook.deploy.image.project` does the same."""


def own_server(name: str, folder: Path) -> MCPServer[Any] | Server[Any]:
    """The server that `name` stands for, or that the function of that name makes.

    Args:
        name: MODULE:SERVER.
        folder: where its modules are looked for first.

    Raises:
        UsageError: there is none.
        TollbookError: its module, or the function, fails.
    """
    module, _, attribute = name.partition(":")
    sys.path[:0] = [str((folder / root).resolve()) for root in _ROOTS]
    try:
        found: object = getattr(importlib.import_module(module), attribute, None)
        if _makes_one(found):
            found = found()
    except ModuleNotFoundError as fault:
        if fault.name is None or not f"{module}.".startswith(f"{fault.name}."):
            raise UsageError(
                f"--app (TOLLBOOK_APP): '{module}' needs a package '{fault.name}', which is not installed here. Add it "
                "to the project's lock, or install it."
            ) from fault
        raise UsageError(
            f"--app (TOLLBOOK_APP): there is no module '{module}'. It is looked for in {folder}, in its folder src "
            "and among the packages."
        ) from fault
    except Exception as fault:  # whatever the code of others raises; its words may quote anything
        where = traceback.extract_tb(fault.__traceback__)[-1]
        raise TollbookError(
            f"--app (TOLLBOOK_APP): '{name}' fails with {type(fault).__name__} at {Path(where.filename).name}:"
            f"{where.lineno} while it is loaded. Run it by itself to see more."
        ) from fault
    if isinstance(found, MCPServer | Server):
        return found
    raise UsageError(
        f"--app (TOLLBOOK_APP): '{name}' is neither a server of the official SDK (mcp.server.MCPServer) nor a function "
        "without parameters that makes one."
    )


def _makes_one(found: object) -> TypeGuard[Callable[[], object]]:
    """Whether it may be called without arguments; a server is none that makes one."""
    if isinstance(found, MCPServer | Server) or not callable(found) or inspect.iscoroutinefunction(found):
        return False
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError):  # it takes some, or does not say
        return False
    return True
