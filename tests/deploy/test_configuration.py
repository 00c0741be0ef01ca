"""What is pasted into hosts, beside what the documentation says of them."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.client.login.browser import KNOWN_PORTS
from tollbook.deploy.plan.configuration import configurations
from tollbook.deploy.plan.document import defaults
from tollbook.deploy.template import template

DOCS: Final = Path(__file__).parents[2] / "docs" / "cognito.md"
URL: Final = "https://mcp.example.com/mcp"
CLIENT: Final = "1h57kf5cpq17m0eml12EXAMPLE"
OUTPUTS: Final = {"Url": URL, "ClientId": CLIENT, "Scope": "tollbook/use"}
PARAMETERS: Final = {name: default or "" for name, default in defaults(template()).items()}


def told(
    name: str = "tollbook", outputs: Mapping[str, str] = OUTPUTS, parameters: Mapping[str, str] = PARAMETERS
) -> dict[str, str]:
    return {each.host: each.text for each in configurations(name, outputs, parameters)}


def test_claude_code_and_cursor_are_told_what_the_documentation_says() -> None:
    docs = DOCS.read_text(encoding="utf-8")
    (command,) = re.findall(r"`(claude mcp add [^`]*)`", docs)
    assert told()["Claude Code"] == command
    (cursor,) = re.findall(r"`(\{\"mcpServers\".*?)`", docs)
    assert json.loads(told()["Cursor"]) == json.loads(cursor)


def test_claude_is_told_the_client_id_beside_the_address() -> None:
    (claude,) = [each for each in configurations("tollbook", OUTPUTS, PARAMETERS) if each.host == "Claude"]
    assert claude.text == URL
    assert CLIENT in claude.where


def test_vs_code_is_told_the_client_id_too() -> None:
    servers = {"tollbook": {"type": "http", "url": URL, "oauth": {"clientId": CLIENT}}}
    assert json.loads(told()["VS Code"]) == {"servers": servers}


def test_our_client_logs_in_and_connects() -> None:
    assert told()["tollbook"].splitlines() == [
        f"tollbook login --client-id {CLIENT} {URL}",
        f"tollbook connect {URL}",
    ]


def test_every_host_comes_back_to_where_the_own_pool_lets_it() -> None:
    callbacks = PARAMETERS["CallbackUrls"].split(",")
    docs = DOCS.read_text(encoding="utf-8")
    table = docs[docs.index("| host | callback URL |") : docs.index("Refresh token rotation")]
    named = set(re.findall(r"`([a-z]+://[^`]+)`", table))
    assert named <= set(callbacks)
    assert {f"http://localhost:{port}/callback" for port in KNOWN_PORTS} <= set(callbacks)
    words = shlex.split(told()["Claude Code"])
    assert f"http://localhost:{words[words.index('--callback-port') + 1]}/callback" in callbacks


def test_the_port_is_one_that_the_pool_knows() -> None:
    other = {**PARAMETERS, "CallbackUrls": "https://a.example/cb,http://localhost:9000/callback"}
    assert "--callback-port 9000 " in told(parameters=other)["Claude Code"]
    none = {**PARAMETERS, "CallbackUrls": "https://a.example/cb"}
    assert "--callback-port" not in told(parameters=none)["Claude Code"]


def test_without_a_client_id_hosts_find_their_own_way() -> None:
    outputs = {name: value for name, value in OUTPUTS.items() if name != "ClientId"}
    assert told(outputs=outputs)["Claude Code"] == f"claude mcp add --transport http tollbook {URL}"
    assert json.loads(told(outputs=outputs)["Cursor"]) == {"mcpServers": {"tollbook": {"url": URL}}}
    assert json.loads(told(outputs=outputs)["VS Code"]) == {"servers": {"tollbook": {"type": "http", "url": URL}}}
    assert told(outputs=outputs)["tollbook"].splitlines()[0] == f"tollbook login {URL}"


@given(st.text(min_size=1), st.text(min_size=1))
def test_nothing_in_a_name_or_an_id_gets_out_of_its_place(name: str, client: str) -> None:
    texts = told(name, {**OUTPUTS, "ClientId": client})
    words = shlex.split(texts["Claude Code"])
    assert words == [
        *("claude", "mcp", "add", "--transport", "http", "--client-id", client, "--callback-port", "8765", name, URL)
    ]
    assert json.loads(texts["Cursor"])["mcpServers"][name]["auth"]["CLIENT_ID"] == client
    assert json.loads(texts["VS Code"])["servers"][name]["oauth"] == {"clientId": client}


@pytest.mark.parametrize("scopes", ["", "openid,profile"])
def test_cursor_asks_for_what_the_pool_offers(scopes: str) -> None:
    asked: Any = json.loads(told(parameters={**PARAMETERS, "CognitoSupportedScopes": scopes})["Cursor"])
    assert asked["mcpServers"]["tollbook"]["auth"]["scopes"] == [*filter(None, scopes.split(",")), "tollbook/use"]
