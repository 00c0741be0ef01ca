"""A login says whose it is, and nothing that is secret."""

import json
from typing import Any

import msgspec
import pytest
from rich.pretty import pretty_repr

from tests.auth_servers.issuer import Issuer, base64url
from tests.client.login.making import SECRET, SECRETS, login
from tollbook.client.login.login import Login, canonical, shown, subject_of
from tollbook.core.errors import UsageError


def jwt(**claims: Any) -> str:
    return f"e30.{base64url(json.dumps(claims).encode())}.c2ln"


def test_what_is_shown_of_a_login_holds_no_secret() -> None:
    known = login(client_secret=SECRET)
    for text in (repr(known), str(known), f"{[known]}", pretty_repr(known)):
        assert "https://mcp.example/mcp" in text
        assert "alice" in text
        assert not [secret for secret in SECRETS if secret in text]


def test_a_login_comes_back_whole_from_what_is_written_of_it() -> None:
    for known in (login(client_secret=SECRET), login(indicator=None), login(indicator="https://mcp.example")):
        assert msgspec.json.decode(msgspec.json.encode(known), type=Login) == known


@pytest.mark.parametrize(
    ("claims", "subject"),
    [
        ({"sub": "42"}, "42"),
        ({"sub": "42", "username": "alice"}, "alice"),
        ({"sub": "42", "username": "alice", "email": "alice@example.com"}, "alice@example.com"),
        ({"sub": 42}, None),
        ({}, None),
        ({"sub": "\x1b[31mred\u202e"}, "<U+001B>[31mred<U+202E>"),
        ({"sub": "a" * 5000}, "a" * 200),
    ],
)
def test_whom_a_token_is_about_can_be_shown(claims: dict[str, Any], subject: str | None) -> None:
    assert subject_of(jwt(**claims)) == subject


def test_a_token_of_an_issuer_says_whom_it_is_about(issuer: Issuer) -> None:
    assert subject_of(None, "opaque", issuer.token(sub="bob")) == "bob"
    assert subject_of(issuer.id_token(sub="42"), issuer.token(sub="42", username="bob")) == "bob"


@pytest.mark.parametrize(
    "token", ["", "a.b", "a.b.c.d", "a.!.c", "e30.bm8.c", "e30.W10.c", "e30." + base64url(b"[" * 9000) + ".c"]
)
def test_what_is_no_jwt_is_about_nobody(token: str) -> None:
    assert subject_of(token) is None


def test_a_huge_token_is_not_looked_at() -> None:
    assert subject_of(jwt(sub="bob", more="x" * 20_000)) is None


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("HTTPS://MCP.Example:443/mcp", "https://mcp.example/mcp"),
        ("http://127.0.0.1:80/", "http://127.0.0.1"),
        ("http://[::1]:3000/mcp#part", "http://[::1]:3000/mcp"),
        ("https://alice:pw@mcp.example/a/?key=1", "https://mcp.example/a/?key=1"),
    ],
)
def test_one_server_is_written_in_one_way(url: str, same: str) -> None:
    assert canonical(url) == canonical(same) == same


@pytest.mark.parametrize("url", ["", "mcp.example", "ftp://mcp.example", "https://", "https://a:b:c/", "https://[::1/"])
def test_what_is_no_address_of_a_server_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match=r"That is no address of a server; .* https://"):
        canonical(url)


def test_what_may_be_a_key_in_an_address_is_not_shown() -> None:
    assert shown("https://alice:pw@mcp.example/mcp?key=1#x") == "https://mcp.example/mcp"
