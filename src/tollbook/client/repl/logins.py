"""Who logs in. The prompt knows no OAuth: it is handed someone who does."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from tollbook.client.targets import Target
from tollbook.client.trouble import LoginNeeded

if TYPE_CHECKING:
    import httpx2

AuthMethod = Literal["oauth", "lambda", "auto"]
"""What requests carry. `oauth`: a login; `lambda`: the token that was given; `auto`: that token if there is one, else a
login."""


class Logins(Protocol):
    """Logins at servers. What comes back is shown as it is. All of them raise TollbookError with what to do next."""

    def auth(self, target: Target, method: AuthMethod) -> "httpx2.Auth | None":
        """What puts credentials on requests to `target`; None where nothing is to be sent.

        Asks nobody: without a login, requests go out without one. It sees logins that are made later.
        """

    async def log_in(self, target: Target, needed: LoginNeeded | None) -> str:
        """Logs in, in the browser or as was set up; a sentence says who is logged in now. May be cancelled.

        Args:
            needed: what the server refused, if that is why.
        """

    async def log_out(self, target: Target) -> str:
        """Revokes and forgets the login, if there is one; a sentence says so."""

    async def refresh(self, target: Target) -> str:
        """Fetches a new access token even if the present one still holds; a sentence says how long the new one does."""

    async def status(self, target: Target) -> Sequence[tuple[str, str]]:
        """Who is logged in there, with which scopes, for how long: names and values to show."""
