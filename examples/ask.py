"""Asks tollbook over MCP what Bedrock cost, as any client would.

tollbook serve --source examples/bedrock-logs.jsonl.gz --names examples/names.json --now 2026-11-22T12:00Z
python examples/ask.py http://127.0.0.1:3000/mcp

The same with --auth dev, and the name of one of its people:
python examples/ask.py http://127.0.0.1:3000/mcp ana
"""

import logging
import sys
from urllib.parse import parse_qs, urljoin, urlsplit

import anyio
import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

CALLBACK = "http://127.0.0.1:8971/callback"  # nobody listens there: what comes back is read on the way


class Person:
    """Somebody of the development login, who signs in by himself, and remembers it while this program runs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tokens: OAuthToken | None = None
        self._client: OAuthClientInformationFull | None = None
        self._back = ""

    def at(self, url: str) -> OAuthClientProvider:
        """What a client of the server at `url` logs in with, as soon as that asks for it."""
        about = OAuthClientMetadata(redirect_uris=[AnyUrl(CALLBACK)], client_name="ask.py")
        return OAuthClientProvider(url, about, self, self.sign_in, self.come_back)

    async def sign_in(self, url: str) -> None:
        """Opens the sign-in page and chooses. A real client opens the user's browser instead."""
        async with httpx2.AsyncClient() as browser:
            page = await browser.get(url, follow_redirects=True)
            (pending,) = parse_qs(urlsplit(str(page.url)).query)["pending"]
            answer = {"pending": pending, "user": self._name}
            response = await browser.post(urljoin(str(page.url), "/dev/sign-in"), data=answer)
        if "location" not in response.headers:
            raise LookupError(f"nobody there is called {self._name}. 'tollbook serve --auth dev' says who is.")
        self._back = response.headers["location"]

    async def come_back(self) -> AuthorizationCodeResult:
        """Reads what the browser brings back. A real client listens at `CALLBACK`."""
        said = {name: values[0] for name, values in parse_qs(urlsplit(self._back).query).items()}
        return AuthorizationCodeResult(code=said["code"], state=said["state"], iss=said["iss"])

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._client = client_info


async def ask(url: str, name: str | None) -> None:
    """Prints the report of the last fourteen days, as `name` sees it."""

    async def show(done: float, total: float | None, message: str | None) -> None:
        print(f"… {message or f'{done:g} of {total:g}'}", file=sys.stderr)

    auth = None if name is None else Person(name).at(url)
    async with (
        httpx2.AsyncClient(auth=auth, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        who = (await client.call_tool("whoami")).structured_content or {}
        print(f"Connected to {client.server_info.name}, protocol {client.protocol_version}.", file=sys.stderr)
        print(f"The server knows me as {who.get('subject') or 'nobody'}.", file=sys.stderr)
        answer = await client.call_tool("get_bedrock_usage_report", {"days": 14}, progress_callback=show)
        for part in answer.content:
            print(part.text if part.type == "text" else getattr(part, "uri", ""))


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:3000/mcp"
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # what goes wrong is said below
    try:
        anyio.run(ask, address, sys.argv[2] if len(sys.argv) > 2 else None)
    except* httpx2.ConnectError:
        sys.exit(f"Nobody answers at {address}. Is 'tollbook serve' running there?")
    except* Exception as faults:
        fault: BaseException = faults
        while isinstance(fault, BaseExceptionGroup):
            fault = fault.exceptions[0]
        sys.exit(f"No answer from {address}: {fault}")
