"""What a person is shown who signs in, whatever the client calls itself."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import httpx2
import pytest

from tests.hosting.signing_in import ANN, Laptop, client, laptop, store

__all__ = ["client", "laptop", "store"]

pytestmark = pytest.mark.anyio

VOID = ("meta", "input")


class Page(HTMLParser):
    """A page as a browser reads it.

    Attributes:
        words: what it says, without its style.
        tags: its elements, in their order, each with its attributes.
    """

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.style = ""
        self.open: list[str] = []
        self.feed(response.text)
        self.close()
        assert self.open == []
        self.words = " ".join(" ".join(self.said).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.said.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


async def test_he_sees_who_asks_for_what_and_where_he_is_sent_back_to(laptop: Laptop, client: str) -> None:
    page = Page(await laptop.page(client))
    address = laptop.origin.removeprefix("http://")
    assert f"A program that calls itself a client asks to use {address} for you." in page.words
    assert "Asks for mcp:tools, spend:all" in page.words
    assert "Sends you back to 127.0.0.1:4321, on this machine" in page.words
    assert "this login proves nothing" in page.words
    assert "Ann sees what everyone spent" in page.words
    assert "Bob sees what he spent himself" in page.words
    buttons = [(button["name"], button["value"]) for button in page.of("button")]
    assert buttons == [("user", "Ann"), ("user", "Bob"), ("user", "Eve"), ("deny", "yes")]
    assert page.of("form") == [{"method": "post", "action": "/dev/sign-in", "aria-labelledby": "who"}]
    assert [(field["type"], field["name"]) for field in page.of("input")] == [("hidden", "pending")]
    assert page.of("html") == [{"lang": "en"}]
    assert page.of("h1") == [{"id": "who"}]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://editor.example/callback", "editor.example"),
        ("https://editor.example:8443/callback", "editor.example:8443"),
        ("https://пример.example/callback", "xn--e1afmkfd.example"),
        ("https://a" + ".accounts.example" * 10 + ".evil.example/", "a" + ".accounts.example" * 10 + ".evil.example"),
        ("http://[::1]:4321/callback", "[::1]:4321, on this machine"),
        ("http://localhost/callback", "localhost, on this machine"),
        ("cursor://anysphere.cursor/callback", "a program on this machine, by a cursor: link"),
    ],
)
async def test_he_sees_the_whole_of_where_that_is(laptop: Laptop, address: str, words: str) -> None:
    registered = await laptop.register(redirect_uris=[address])
    page = Page(await laptop.page(registered.json()["client_id"], redirect_uri=None))
    assert f"Sends you back to {words} No password" in page.words


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("</strong></title><img src=x onerror=alert(1)>", "</strong></title><img src=x onerror=alert(1)>"),
        ('"><button name="user" value="Ann">', '"><button name="user" value="Ann">'),
        ("'&lt;&amp;{client}{0}%s", "'&lt;&amp;{client}{0}%s"),
        ("a\u202etneilc\u2066\x1b[31m\x00\u200b", "a<U+202E>tneilc<U+2066><U+001B>[31m<U+0000><U+200B>"),
        ("x" * 500, "x" * 79 + "…"),
        (None, "no name"),
        ("", "no name"),
    ],
)
async def test_a_client_can_call_itself_anything_and_change_nothing(
    laptop: Laptop, client: str, name: str | None, shown: str
) -> None:
    page = Page(await laptop.page(await laptop.a_client(client_name=name)))
    assert f"A program that calls itself {shown} asks to use" in page.words
    assert f"Sign in for {shown}" in page.words
    usual = Page(await laptop.page(client))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in usual.tags]


async def test_it_fetches_nothing_runs_nothing_and_is_in_no_frame(laptop: Laptop, client: str) -> None:
    stopped = await laptop.authorize(client, redirect_uri="https://evil.example/")
    expired = await laptop.http.get(f"{laptop.origin}/dev/sign-in?pending=unheard-of")
    for response in (await laptop.page(client), stopped, expired):
        page = Page(response)
        assert not {"script", "img", "link", "iframe", "base", "a"} & {tag for tag, _ in page.tags}
        assert not re.search(r"https?:|url\(|@import", page.style)
        assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]
        policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
        digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
        assert policy == {
            "default-src": "'none'",
            "style-src": f"'sha256-{digest}'",
            "form-action": "'self' http: https:",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "same-origin"
        assert response.headers["cache-control"] == "no-store"


async def test_a_form_may_lead_to_the_clients_own_kind_of_link(laptop: Laptop) -> None:
    address = "cursor://anysphere.cursor/callback"
    client = await laptop.a_client(redirect_uris=[address])
    response = await laptop.page(client, redirect_uri=address)
    assert "form-action 'self' http: https: cursor:;" in response.headers["content-security-policy"]


async def test_he_is_told_why_he_cannot_go_on(laptop: Laptop, client: str) -> None:
    unknown = Page(await laptop.authorize("<b>unheard-of</b>"))
    assert "This server does not know the program. Let it register again." in unknown.words
    elsewhere = Page(await laptop.authorize(client, redirect_uri="https://evil.example/"))
    assert "It asks to be answered where it did not register." in elsewhere.words
    page = await laptop.page(client)
    await laptop.answer(page, user=ANN.name)
    assert "It has expired, or was answered before." in Page(await laptop.answer(page, user=ANN.name)).words
