"""A server and its authorization server in one, which say whatever a test wants."""

import json
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2

from tests.auth_servers.issuer import Issuer
from tests.auth_servers.keys import changed
from tests.auth_servers.loopback import Reply
from tests.client.login.people import SignIn

CODE: Final = "canary-code"
REGISTERED: Final = "registered-itself"


class Suspect(Issuer):
    """Behaves well until a test changes what it says.

    Attributes:
        resource: the URL of its MCP endpoint, where it answers 401 without a word.
        protected: its metadata as a server; RFC 9728.
        about: its metadata as an authorization server; RFC 8414.
        tokens: what it gives for a code.
        replies: by path, in place of documents.
    """

    def __init__(self) -> None:
        super().__init__()
        self.resource = f"{self.url}/mcp"
        self.replies: dict[str, Reply] = {}
        self.protected: dict[str, Any] = {"resource": self.resource, "authorization_servers": [self.url]}
        self.about: dict[str, Any] = self.documents["/.well-known/oauth-authorization-server"]
        self.about["registration_endpoint"] = f"{self.url}/register"
        self.about["authorization_response_iss_parameter_supported"] = True
        self.tokens: dict[str, Any] = {
            "access_token": self.token(aud=self.resource),
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": "canary-refresh",
            "scope": "use",
        }
        self.documents |= {
            "/.well-known/oauth-protected-resource/mcp": self.protected,
            "/register": {"client_id": REGISTERED, "redirect_uris": []},
            "/token": self.tokens,
        }
        self.fail(401, "/mcp")

    def good(self, path: str) -> Reply:
        return self.replies.get(path) or super().good(path)

    def refusal(self, status: int = 401, **headers: str) -> httpx2.Response:
        """An answer of it to an MCP client."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx2.Response(status, headers=named, request=httpx2.Request("POST", self.resource))

    def signs_in(self, **changes: Any) -> SignIn:
        """Its login page, which sends all back at once; with parameters replaced, added or, by MISSING, left out."""

        async def sign_in(url: str) -> str:
            asked = parse_qs(urlsplit(url).query)
            said = {"code": CODE, "state": asked["state"][0], "iss": self.url}
            return f"{asked['redirect_uri'][0]}?{urlencode(changed(said, changes))}"

        return sign_in

    def form(self, path: str) -> dict[str, str]:
        """The last that was posted there."""
        return dict(parse_qsl([each.body for each in self.requests if each.path == path][-1].decode()))

    def posted(self, path: str) -> Any:
        """The last JSON that was posted there."""
        return json.loads([each.body for each in self.requests if each.path == path][-1])
