"""The SDK's own client gets from a 401 to an answer unaided: all it has is the URL of the MCP endpoint."""

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata
from pydantic import AnyUrl

from tests.auth_servers.keyring import Keyring
from tests.hosting.serving import MODERN
from tests.hosting.signing_in import CALLBACK, Laptop, back, client, laptop, store

__all__ = ["client", "laptop", "store"]

pytestmark = pytest.mark.anyio

ERAS = ("legacy", MODERN)


class Person:
    """Looks at the page, and is `name`."""

    def __init__(self, laptop: Laptop, name: str) -> None:
        self.laptop, self.name, self.signed_in = laptop, name, 0
        self.told: dict[str, str] = {}

    async def go(self, url: str) -> None:
        sent = back(await self.laptop.http.get(url))
        page = await self.laptop.http.get(f"{self.laptop.origin}{sent.address}", params=dict(sent.said))
        self.told = dict(back(await self.laptop.answer(page, user=self.name)).said)
        self.signed_in += 1

    async def come_back(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(code=self.told["code"], state=self.told["state"], iss=self.told["iss"])


def program(laptop: Laptop, person: Person, keyring: Keyring) -> OAuthClientProvider:
    metadata = OAuthClientMetadata(client_name="the SDK's client", redirect_uris=[AnyUrl(CALLBACK)])
    return OAuthClientProvider(laptop.url, metadata, keyring, person.go, person.come_back)


async def greeted(laptop: Laptop, auth: OAuthClientProvider, era: str) -> str:
    async with (
        httpx2.AsyncClient(auth=auth, timeout=10) as http,
        Client(streamable_http_client(laptop.url, http_client=http), mode=era) as client,
    ):
        result = await client.call_tool("greet", {"name": "you"})
    block = result.content[0]
    assert block.type == "text"
    return block.text


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("name", "scopes"), [("Ann", {"mcp:tools", "spend:all"}), ("Bob", {"mcp:tools"})])
async def test_it_signs_in_and_is_whoever_was_chosen(laptop: Laptop, era: str, name: str, scopes: set[str]) -> None:
    person, keyring = Person(laptop, name), Keyring()
    assert await greeted(laptop, program(laptop, person, keyring), era) == "Hello, you!"
    assert person.signed_in == 1
    assert {(caller.subject, caller.scopes) for caller in laptop.callers} == {(name, frozenset(scopes))}
    assert keyring.client is not None
    assert {caller.client for caller in laptop.callers} == {keyring.client.client_id}


@pytest.mark.parametrize("era", ERAS)
async def test_it_goes_on_with_its_refresh_token_and_asks_nobody(laptop: Laptop, era: str) -> None:
    person, keyring = Person(laptop, "Ann"), Keyring()
    await greeted(laptop, program(laptop, person, keyring), era)
    first = keyring.tokens
    again = program(laptop, person, keyring)
    again.context.token_expiry_time = 1  # it is long past
    assert await greeted(laptop, again, era) == "Hello, you!"
    assert person.signed_in == 1
    assert first is not None
    assert keyring.tokens is not None
    assert keyring.tokens.refresh_token != first.refresh_token


async def test_it_signs_in_once_more_when_its_refresh_token_is_stolen(laptop: Laptop) -> None:
    person, keyring = Person(laptop, "Ann"), Keyring()
    await greeted(laptop, program(laptop, person, keyring), MODERN)
    assert keyring.tokens is not None
    assert keyring.client is not None
    assert (await laptop.refresh(keyring.client.client_id, keyring.tokens.refresh_token or "")).status_code == 200
    again = program(laptop, person, keyring)
    again.context.token_expiry_time = 1
    assert await greeted(laptop, again, MODERN) == "Hello, you!"
    assert person.signed_in == 2
