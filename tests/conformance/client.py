"""The client that the suite's client scenarios start: it uses everything that a server has, by the product's own parts.

The suite appends the server's address, and says in the environment which scenario it is and what that one hands out.
Source: https://github.com/modelcontextprotocol/conformance/blob/main/SDK_INTEGRATION.md
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar
from urllib.parse import urljoin

import httpx2
import msgspec

from tollbook.client.connection import Connection
from tollbook.client.host import Nobody
from tollbook.client.login.bearer import Bearer
from tollbook.client.login.flow import log_in
from tollbook.client.login.vault import Vault
from tollbook.client.login.ways import Ways
from tollbook.client.protocol import Answer, Elicitation, Json, Tool
from tollbook.client.targets import Target
from tollbook.client.trouble import LoginNeeded
from tollbook.core.errors import TollbookError

_BY_TYPE: Final[Mapping[str, Any]] = {"string": "x", "integer": 1, "number": 1.5, "boolean": True}
_ABOUT: Final = "https://conformance-test.local/client-metadata.json"
"""Where this client is described, as far as the suite is concerned: nobody reads it."""

_T = TypeVar("_T")


class Given(msgspec.Struct, frozen=True):
    """What a scenario hands out."""

    client_id: str | None = None
    client_secret: str | None = None
    private_key_pem: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] | None = msgspec.field(name="toolCalls", default=None)


class Agreeable(Nobody):
    """Says yes to every question, and fills in nothing."""

    async def elicit(self, asked: Elicitation) -> Answer:
        return Answer(action="accept")


class Visitor:
    """A user whose browser goes where it is sent, and back."""

    def tell(self, text: str) -> None: ...

    def open_page(self, url: str) -> bool:
        httpx2.get(url, follow_redirects=True)
        return True

    async def read(self, question: str) -> str:
        raise NotImplementedError(question)

    read_secretly = read


async def use(url: str, scenario: str, given: Given) -> None:
    """Does with a server what can be done with it.

    Raises:
        TollbookError: it cannot.
    """
    with TemporaryDirectory(prefix="tollbook-conformance-") as folder:
        vault = Vault(Path(folder) / "logins", "file", time.time)
        ways, auth = _ways(url, scenario, given), Bearer(url, vault, time.time)

        async def done(work: Callable[[], Awaitable[_T]]) -> _T:
            """As the prompt does it: whoever is asked for a login logs in, and tries once more."""
            try:
                return await work()
            except LoginNeeded as needed:
                await log_in(url, ways, vault, Visitor(), time.time, more=needed.scopes)
                return await work()

        server = Connection(Target(name=url, url=url), Agreeable(), auth=auth, may_elicit=True)
        try:
            await done(server.open)
            for name, arguments in _calls(await done(server.tools), scenario, given):
                await done(partial(server.call_tool, name, arguments))
            for resource in await done(server.resources):
                await done(partial(server.read_resource, resource.uri))
            for prompt in await done(server.prompts):
                await done(partial(server.get_prompt, prompt.name, {}))
        finally:
            await server.close()


def _calls(tools: Sequence[Tool], scenario: str, given: Given) -> Sequence[tuple[str, Json]]:
    """Those that the scenario hands out, or one of each tool."""
    if given.tool_calls is not None:
        return [(call["name"], call["arguments"]) for call in given.tool_calls]
    if scenario == "json-schema-2020-12-preservation":
        return [("json_schema_echo", {"schema": tools[0].input_schema})]
    if scenario == "json-schema-ref-no-deref":  # what counts is who is asked for the schema; there are no calls
        return []
    return [(tool.name, _arguments(tool.input_schema)) for tool in tools]


def _arguments(schema: Json) -> Json:
    fields = schema.get("properties", {})
    return {name: _BY_TYPE.get(fields[name].get("type"), {}) for name in schema.get("required", ())}


def _ways(url: str, scenario: str, given: Given) -> Ways:
    is_program = scenario.startswith("auth/client-credentials-")
    return Ways(
        grant="client_credentials" if is_program else "authorization_code",
        client_id=given.client_id,
        client_secret=given.client_secret,
        client_key=given.private_key_pem,
        client_metadata_url=_ABOUT,
        issuer=_issuer(url) if given.client_secret or given.private_key_pem else None,
        redirect_uri="http://127.0.0.1:0/callback",
    )


def _issuer(url: str) -> str:
    """Where its secret or key is from: the suite does not say, but its server names no other (RFC 9728 §3.1)."""
    described = httpx2.get(urljoin(url, "/.well-known/oauth-protected-resource/mcp")).json()
    return str(described["authorization_servers"][0])


if __name__ == "__main__":
    handed_out = msgspec.json.decode(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"), type=Given)
    try:
        asyncio.run(use(sys.argv[1], os.environ["MCP_CONFORMANCE_SCENARIO"], handed_out))
    except TollbookError as fault:
        sys.exit(str(fault))
