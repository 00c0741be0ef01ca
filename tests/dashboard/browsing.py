"""A real browser, and pages in it that may ask for nothing but what the test serves."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Route, sync_playwright

Theme = Literal["light", "dark"]
Served = Mapping[str, Callable[[str], tuple[str, str]]]
"""By the beginning of an address, what gives the type and the text of what lies there, given the rest of it."""

FILE: Final = "https://file.test/"
# What the specification has hosts enforce where a page declares nothing.
# Source: https://github.com/modelcontextprotocol/ext-apps/blob/main/specification/2026-01-26/apps.mdx
POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; media-src 'self' data:; connect-src 'none'"
)
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Chromium, as the system has it."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    assert program, "There is no Chromium here. Install it: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@contextmanager
def a_page(
    browser: Browser, served: Served, *, width: int = 1280, theme: Theme = "light"
) -> Iterator[tuple[Page, list[str]]]:
    """A page, and what must stay empty: what it complained of, and what it asked for that is not `served`."""
    complaints: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=theme,
        locale="en-US",
        reduced_motion="reduce",
    )
    page = context.new_page()

    def answer(route: Route) -> None:
        url = route.request.url
        for start, give in served.items():
            if url.startswith(start):
                kind, text = give(url.removeprefix(start))
                policy = {"content-security-policy": POLICY} if start == FILE else {}
                route.fulfill(content_type=kind, body=text, headers=policy)
                return
        complaints.append(f"asked for {url}")
        route.abort()

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.type}: {message.text}")

    context.route("**/*", answer)
    page.on("console", heard)
    page.on("pageerror", lambda fault: complaints.append(f"thrown: {fault}"))
    yield page, complaints
    context.close()
    assert not complaints, "\n".join(complaints)


@contextmanager
def opened(browser: Browser, html: str, *, width: int = 1280, theme: Theme = "light") -> Iterator[Page]:
    """The page of a file, under the policy of MCP Apps."""
    with a_page(browser, {FILE: lambda _: ("text/html; charset=utf-8", html)}, width=width, theme=theme) as (page, _):
        page.goto(FILE)
        yield page
