"""An authorization server that renews whatever it is asked to, as often as it is asked, until it is told otherwise."""

import json
from collections.abc import Callable
from typing import Any, Self

from tests.auth_servers.issuer import Issuer
from tests.auth_servers.loopback import Reply
from tests.client.login.making import LIFE_S, login
from tollbook.client.login.login import Login


class Renewing(Issuer):
    """Gives `access-1` and `refresh-1`, then `access-2` and `refresh-2`, and so on; how it fails, see `Loopback`.

    Attributes:
        status, error: what it answers, if it is to refuse.
        given: how many tokens it gave.
        happens: is called in the middle of each request.
    """

    def __init__(self) -> None:
        super().__init__()
        self.status, self.error = 200, ""
        self.given = 0
        self.happens: Callable[[], object] = lambda: None

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def refuse(self, error: str, status: int = 400) -> None:
        self.status, self.error = status, error

    def good(self, path: str) -> Reply:
        if path != "/token":
            return super().good(path)
        self.happens()
        if self.status != 200:
            # What a careless or hostile one might repeat.
            echo = self.requests[-1].body.decode()
            said = {"error": self.error, "error_description": echo, "error_uri": echo}
            return Reply(self.status, json.dumps(said).encode())
        self.given += 1
        given = {"access_token": f"access-{self.given}", "refresh_token": f"refresh-{self.given}"}
        return Reply(200, json.dumps({**given, "token_type": "Bearer", "expires_in": LIFE_S}).encode())

    def login(self, resource: str, **otherwise: Any) -> Login:
        """A login that it made just now."""
        known = {"issuer": self.url, "token_endpoint": f"{self.url}/token", "client_id": self.client}
        return login(resource, **{**known, **otherwise})
