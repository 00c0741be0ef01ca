"""What a conversation begins with."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from tollbook.client.repl.logins import AuthMethod, Logins
from tollbook.client.targets import Target


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """All that is handed in.

    Attributes:
        target: the server that is meant where none is named; None where there is none.
        find: a server by what the user calls it: its address, or a name that he gave it. Raises UsageError.
        names: those that he gave, for completion.
        method: whether requests carry a login or a token, until `set-auth-method`.
        timeout_s: the longest silence of a server.
        debug: whether what goes over the wire is shown from the start.
        history: where lines are kept from run to run; None: nowhere. Made if missing, readable by its owner alone.
        open_page: opens a page in the user's browser; called only after he has said yes to that page. False where
            there is no browser.
    """

    target: Target | None
    find: Callable[[str], Target]
    names: Sequence[str] = ()
    logins: Logins
    method: AuthMethod = "auto"
    era: Literal["auto", "handshake", "modern"] = "auto"
    timeout_s: float = 60.0
    debug: bool = False
    history: Path | None = None
    open_page: Callable[[str], bool]
