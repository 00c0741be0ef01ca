"""A host behind a gate, behind a real socket, and whoever wants to be let in."""

import json
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from typing import Any, Final, Protocol

import httpx2
from mcp.server import MCPServer
from mcp.server.auth.middleware.auth_context import get_access_token

from tests.auth_servers.issuer import AUDIENCE, CLIENT, SCOPE, Issuer
from tests.hosting.serving import (
    BOTH,
    CAUSE,
    MODERN,
    SetClock,
    Stage,
    a_server,
    modern,
    request,
    serving,
    text_of,
)
from tollbook.core.caller import Caller
from tollbook.core.settings import read_values
from tollbook.core.stores import Store
from tollbook.hosting import host
from tollbook.hosting.answers import Scope
from tollbook.hosting.auth.gate import FetchKeys, Gate
from tollbook.hosting.auth.settings import AUTH_SETTINGS, AuthSettings, auth_settings

HANDSHAKE: Final = "2025-11-25"
ERAS: Final = (HANDSHAKE, MODERN)
JSON: Final = {"content-type": "application/json"}

METADATA: Final = "https://tollbook.example/.well-known/oauth-protected-resource/mcp"
LOGIN: Final = f'Bearer resource_metadata="{METADATA}", scope="{SCOPE}"'
INVALID: Final = (
    'Bearer error="invalid_token", error_description="This access token or API key is not accepted here.", '
    f'resource_metadata="{METADATA}", scope="{SCOPE}"'
)
_NOT_VALID: Final = (
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,'
    b'"message":"This access token or API key is not accepted here."}}'
)


class Door:
    """A small server that only those are let into who prove who they are.

    Its tool `who` notes on the stage that it was entered, and says who called it.

    Attributes:
        knocks: requests that came as far as the gate.
    """

    def __init__(self, issuer: Issuer, stage: Stage, clock: SetClock) -> None:
        self.issuer, self.stage, self.clock = issuer, stage, clock
        self.url, self.knocks = "", 0
        self.http: httpx2.AsyncClient

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        url = httpx2.URL(self.url)
        return url.host, url.port or 80

    @asynccontextmanager
    async def seen_from(self, address: str) -> AsyncIterator["Door"]:
        """The same door, for whoever comes from another address of loopback."""
        other = copy(self)
        async with a_client(address) as other.http:
            yield other

    async def post(
        self,
        era: str,
        message: Mapping[str, Any],
        *authorization: str,
        session: str = "",
        headers: Iterable[tuple[str, str]] = (),
    ) -> httpx2.Response:
        """Sends a message with so many Authorization headers."""
        whole, needed = in_era(era, message)
        given = {**JSON, **needed, **({"mcp-session-id": session} if session else {})}
        every = [*given.items(), *(("authorization", each) for each in authorization), *headers]
        return await self.http.post(self.url, content=json.dumps(whole).encode(), headers=every)

    async def call(
        self, era: str, token: str, session: str = "", tool: str = "who", **arguments: Any
    ) -> httpx2.Response:
        """Calls a tool with a credential."""
        return await self.post(era, calling(tool, **arguments), f"Bearer {token}", session=session)

    async def session(self, era: str, token: str) -> str:
        """A new session, where there are any; else nothing."""
        if era == MODERN:
            return ""
        response = await self.post(era, hello(), f"Bearer {token}")
        assert response.status_code == 200, response.text
        return response.headers["mcp-session-id"]

    async def lets_in(self, era: str, token: str, session: str = "") -> bool:
        """Whether one with that credential is let in and served; in a session of his own, unless there is one."""
        before = self.stage.entered
        if era == HANDSHAKE and not session:
            response = await self.post(era, hello(), f"Bearer {token}")
            session = response.headers.get("mcp-session-id", "")
        if era == MODERN or session:
            response = await self.call(era, token, session)
        if response.status_code == 200:
            assert self.stage.entered == before + 1
            return True
        assert is_turned_away(response)
        assert self.stage.entered == before
        return False

    async def who(self, era: str, token: str, session: str = "") -> tuple[str, str, str]:
        """As whom one is served: issuer, client, subject."""
        said = json.loads(text_of(await self.call(era, token, session or await self.session(era, token))))
        return said["issuer"], said["client"], said["subject"]


class OpenDoor(Protocol):
    """Opens a door; see `open_door` in conftest.py."""

    def __call__(self, *, keys: FetchKeys | None = None, **environment: str) -> AbstractAsyncContextManager[Door]: ...


def calling(tool: str = "who", **arguments: Any) -> dict[str, Any]:
    return request("tools/call", name=tool, arguments=arguments)


def hello() -> dict[str, Any]:
    client = {"name": "test", "version": "1"}
    return request("initialize", protocolVersion=HANDSHAKE, capabilities={}, clientInfo=client)


def in_era(era: str, message: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """`message` as that era has it, and the headers it needs."""
    return modern(dict(message)) if era == MODERN else (message, {**BOTH, "mcp-protocol-version": era})


def is_turned_away(response: httpx2.Response) -> bool:
    """Whether it is the one answer to every credential that is not accepted, byte for byte."""
    raw = {(name.lower(), value) for name, value in response.headers.raw if name.lower() != b"date"}
    expected = {
        (b"content-type", b"application/json"),
        (b"content-length", str(len(_NOT_VALID)).encode()),
        (b"www-authenticate", INVALID.encode()),
    }
    assert (response.status_code, raw, response.content) == (401, expected, _NOT_VALID)
    return True


def asks_to_log_in(response: httpx2.Response) -> bool:
    """Whether it says what is needed, and names no error: RFC 6750 §3.1."""
    assert (response.status_code, response.headers.get_list("www-authenticate")) == (401, [LOGIN])
    return True


def environment_of(issuer: Issuer) -> dict[str, str]:
    """What a server is told that trusts `issuer`, and lets in who has the scope and uses the client of ours.

    Of the book they see the calls of the user of their name, and all with the scope of finops.
    """
    return {
        "PUBLIC_URL": AUDIENCE,
        "OAUTH_ISSUER": issuer.url,
        "OAUTH_REQUIRED_SCOPE": SCOPE,
        "COGNITO_ALLOWED_CLIENT_IDS": CLIENT,
        "SEES_ALL": "scope:finops",
        "OWN_CALLS": "user/{sub}",
    }


def settings_of(issuer: Issuer, environment: Mapping[str, str]) -> AuthSettings:
    """What that comes to; `environment` goes before it."""
    values, problems = read_values(AUTH_SETTINGS, {**environment_of(issuer), **environment}, {})
    assert not problems
    return auth_settings(values)


def a_small_server(stage: Stage) -> MCPServer[Any]:
    """`a_server`, with tools that say who called, and break on purpose."""
    server = a_server(stage)

    @server.tool()
    async def who() -> str:
        stage.entered += 1
        token = get_access_token()
        assert token is not None
        assert not token.token  # it is not handed on
        assert token.claims is not None
        return json.dumps({"issuer": token.claims["iss"], "client": token.client_id, "subject": token.subject})

    @server.tool()
    async def breaks(word: str) -> str:
        raise RuntimeError(f"{CAUSE}: {word}")

    return server


@asynccontextmanager
async def a_door(
    issuer: Issuer,
    store: Store,
    stage: Stage,
    clock: SetClock,
    keys: FetchKeys | None = None,
    environment: Mapping[str, str] | None = None,
    server: MCPServer[Any] | None = None,
) -> AsyncIterator[Door]:
    """See `Door`; `environment` goes before what `environment_of` says."""
    gate = Gate(settings_of(issuer, environment or {}), store, keys=keys, clock=clock)
    door = Door(issuer, stage, clock)

    async def authenticate(scope: Scope) -> Caller:
        door.knocks += 1
        return await gate.authenticate(scope)

    app = host(server or a_small_server(stage), store, authenticate=authenticate, pages=gate.pages, clock=clock)
    async with serving(app) as door.url, a_client() as door.http:
        try:
            yield door
        finally:
            stage.go.set()


def a_client(address: str = "127.0.0.1") -> httpx2.AsyncClient:
    """A client whose connections begin at that address, and end with each answer."""
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading the system's certificates takes its time
    limits = httpx2.Limits(max_connections=600, max_keepalive_connections=0)
    transport = httpx2.AsyncHTTPTransport(verify=no_tls, limits=limits, local_address=address)
    return httpx2.AsyncClient(timeout=20, transport=transport)


@asynccontextmanager
async def a_real_door(issuer: Issuer, url: str) -> AsyncIterator[Door]:
    """The door of a server in a process of its own; its clock is everyone's."""
    door = Door(issuer, Stage(), SetClock())
    door.url = url
    async with a_client() as door.http:
        yield door
