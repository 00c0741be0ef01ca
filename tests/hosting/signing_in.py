"""A server with the development login, and one who signs in to it by hand, a step at a time."""

import html
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import httpx2
import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from tests.hosting.hurried import Obedient
from tests.hosting.serving import SetClock, a_server, serving
from tollbook.core.caller import Caller
from tollbook.core.stores import Clock, Store
from tollbook.hosting import host
from tollbook.hosting.answers import Answer, Exchange, Page, Refusal, Scope
from tollbook.hosting.dev_login import DevLogin, DevUser

SCOPES: Final = ("mcp:tools", "spend:all")
ANN: Final = DevUser("Ann", "sees what everyone spent", {"email": "ann@example.com", "groups": ["finops"]}, SCOPES)
BOB: Final = DevUser("Bob", "sees what he spent himself", {"email": "bob@example.com"}, ("mcp:tools",))
EVE: Final = DevUser("Eve", "sees nothing", {}, ())
USERS: Final = (ANN, BOB, EVE)

CALLBACK: Final = "http://127.0.0.1:4321/callback"
# RFC 7636 appendix B
VERIFIER: Final = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE: Final = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
STATE: Final = "a state & +%20=é"


class Back(NamedTuple):
    """Where a browser is sent, and what it is told to say there."""

    address: str
    said: Mapping[str, str]


def back(response: httpx2.Response) -> Back:
    """Where a response sends the browser."""
    assert response.status_code in (302, 303), response.text
    address, _, query = response.headers["location"].partition("?")
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return Back(address, dict(pairs))


class Laptop:
    """A server on this machine, as a client, a user's browser and whoever means harm see it.

    Attributes:
        resource: what its tokens are for.
        callers: whoever got through to the MCP endpoint.
    """

    def __init__(self, http: httpx2.AsyncClient, url: str, login: DevLogin, callers: Sequence[Caller]) -> None:
        self.http, self.url, self.login, self.callers = http, url, login, callers
        self.origin, self.resource = url.removesuffix("/mcp"), f"{login.issuer}/mcp"

    async def register(self, **changes: Any) -> httpx2.Response:
        metadata = {
            "client_name": "a client",
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            **changes,
        }
        return await self.http.post(f"{self.origin}/register", json=_given(metadata))

    async def a_client(self, **changes: Any) -> str:
        """The id of a client that has just registered."""
        response = await self.register(**changes)
        assert response.status_code == 201, response.text
        return str(response.json()["client_id"])

    async def authorize(self, client: str, **changes: str | None) -> httpx2.Response:
        """Asks for a sign-in, as a browser that a client has sent."""
        parameters = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": CALLBACK,
            "scope": " ".join(SCOPES),
            "state": STATE,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": self.resource,
            **changes,
        }
        return await self.http.get(f"{self.origin}/authorize", params=_given(parameters))

    async def page(self, client: str, **changes: str | None) -> httpx2.Response:
        """The sign-in page."""
        sent = back(await self.authorize(client, **changes))
        assert sent.address == "/dev/sign-in", sent
        return await self.http.get(f"{self.origin}{sent.address}", params=dict(sent.said))

    async def answer(self, shown: httpx2.Response, **button: str) -> httpx2.Response:
        """Presses a button of a page, as a browser does."""
        assert shown.status_code == 200, shown.text
        names = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', shown.text)
        form = {name: html.unescape(value) for name, value in names}
        # https://fetch.spec.whatwg.org/#append-a-request-origin-header
        origin = "null" if shown.headers["referrer-policy"] == "no-referrer" else self.origin
        headers = {"origin": origin}
        return await self.http.post(f"{self.origin}/dev/sign-in", data={**form, **button}, headers=headers)

    async def code(self, client: str, user: str = "Ann", **changes: str | None) -> str:
        return back(await self.answer(await self.page(client, **changes), user=user)).said["code"]

    async def redeem(self, client: str, code: str, **changes: str | None) -> httpx2.Response:
        """Asks for the tokens that a code is good for."""
        form = {
            "grant_type": "authorization_code",
            "client_id": client,
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            "resource": self.resource,
            **changes,
        }
        return await self.http.post(f"{self.origin}/token", data=_given(form))

    async def refresh(self, client: str, token: str, **changes: str | None) -> httpx2.Response:
        form = {"grant_type": "refresh_token", "client_id": client, "refresh_token": token, **changes}
        return await self.http.post(f"{self.origin}/token", data=_given(form))

    async def revoke(self, client: str, token: str, **changes: str) -> httpx2.Response:
        return await self.http.post(f"{self.origin}/revoke", data={"client_id": client, "token": token, **changes})

    async def tokens(self, client: str, user: str = "Ann", **changes: str | None) -> dict[str, Any]:
        """What a client gets for a sign-in."""
        return granted(await self.redeem(client, await self.code(client, user, **changes)))


def granted(response: httpx2.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    tokens: dict[str, Any] = response.json()
    return tokens


def is_refused(response: httpx2.Response, error: str, status: int = 400) -> bool:
    """Whether it is an error of RFC 6749 §5.2, which nobody keeps."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["error"] == error
    return True


@asynccontextmanager
async def a_laptop(
    http: httpx2.AsyncClient,
    store: Store,
    clock: Clock,
    *,
    base: str | None = None,
    users: Sequence[DevUser] = USERS,
) -> AsyncIterator[Laptop]:
    """Serves `a_server` and the login for it.

    Args:
        base: the issuer, where it is another instance's origin.
    """
    callers: list[Caller] = []
    logins: list[DevLogin] = []

    async def resource(exchange: Exchange) -> None:
        document = {"resource": f"{logins[0].issuer}/mcp", "authorization_servers": [logins[0].issuer]}
        await exchange.answer(Answer(200, json.dumps(document).encode()))

    async def authenticate(scope: Scope) -> Caller:
        for name, value in scope["headers"]:
            if name == b"authorization":
                caller = await verified(logins[0], value.decode().removeprefix("Bearer "), clock())
                callers.append(caller)
                return caller
        document = f'resource_metadata="{logins[0].issuer}/.well-known/oauth-protected-resource/mcp"'
        challenge = f'Bearer {document}, scope="{" ".join(SCOPES)}"'
        raise Refusal(401, "Sign in first.", headers=((b"www-authenticate", challenge.encode()),))

    pages: dict[str, Page] = {"/.well-known/oauth-protected-resource/mcp": resource}
    async with serving(host(a_server(), store, authenticate=authenticate, pages=pages, clock=clock)) as url:
        issuer = base or url.removesuffix("/mcp")
        logins.append(DevLogin(store, base=issuer, resource=f"{issuer}/mcp", scopes=SCOPES, users=users, clock=clock))
        pages.update(logins[0].pages)
        yield Laptop(http, url, logins[0], callers)


async def verified(login: DevLogin, token: str, now: float) -> Caller:
    """Who a token of `login` is from; as little as these tests need of what a resource must check."""
    try:
        read = jwt.decode(token, KeySet.import_key_set(json.loads(await login.jwks())), algorithms=["ES256"])
    except JoseError as fault:
        raise Refusal(401, "That is no token.") from fault
    claims = read.claims
    if (
        claims["iss"] != login.issuer
        or claims["aud"] != f"{login.issuer}/mcp"
        or not claims["nbf"] <= now < claims["exp"]
    ):
        raise Refusal(401, "That is no token for this server.")
    scopes = frozenset(claims["scope"].split())
    return Caller(claims["sub"], claims["client_id"], claims["iss"], scopes, claims, claims["exp"])


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


@pytest.fixture
def store(clock: SetClock) -> Obedient:
    return Obedient(clock)


@pytest.fixture
async def laptop(http: httpx2.AsyncClient, store: Obedient, clock: SetClock) -> AsyncIterator[Laptop]:
    async with a_laptop(http, store, clock) as served:
        yield served


@pytest.fixture
async def client(laptop: Laptop) -> str:
    return await laptop.a_client()
