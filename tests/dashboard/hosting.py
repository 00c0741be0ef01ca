"""A host of MCP Apps in the browser: its page is ours, its bridge and its client are those of the packages."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from mcp.server import MCPServer
from playwright.sync_api import Browser, FrameLocator, Page

from tests.conformance.node import PACKAGES
from tests.dashboard.browsing import POLICY, a_page
from tests.dashboard.wire import wired

_HERE: Final = Path(__file__).parent
_HOST: Final = "https://host.test/"
_SANDBOX: Final = "https://sandbox.test/"
_IMPORTS: Final = {
    "@modelcontextprotocol/ext-apps/app-bridge": "@modelcontextprotocol/ext-apps/dist/src/app-bridge.js",
    "@modelcontextprotocol/client": "@modelcontextprotocol/client/dist/index.mjs",
    "@modelcontextprotocol/client/_shims": "@modelcontextprotocol/client/dist/shimsBrowser.mjs",
    "@modelcontextprotocol/core": "@modelcontextprotocol/core/dist/index.mjs",
    "@modelcontextprotocol/core/internal": "@modelcontextprotocol/core/dist/internal.mjs",
    "zod": "zod/index.js",
    "zod/v4": "zod/v4/index.js",
    "eventsource": "eventsource/dist/index.js",
    "eventsource-parser": "eventsource-parser/dist/index.js",
    "eventsource-parser/stream": "eventsource-parser/dist/stream.js",
    "pkce-challenge": "pkce-challenge/dist/index.browser.js",
    "jose": "jose/dist/webapi/index.js",
}


@dataclass(frozen=True)
class Host:
    """A host in a page of its own.

    Attributes:
        app: what is in the frame of the app it shows.
        complaints: see `browsing.a_page`.
    """

    page: Page
    app: FrameLocator
    complaints: list[str]

    def show(
        self, *, context: Mapping[str, Any] | None = None, faults: Mapping[str, Any] | None = None, days: int = 30
    ) -> None:
        """Calls the dashboard's tool, and shows its page anew.

        Args:
            context: what the host tells of itself, besides what every host does.
            faults: what it does wrong, see host.js.
        """
        context = {"theme": "light", "locale": "en-US", "displayMode": "inline", **(context or {})}
        sandbox = f"{_SANDBOX}?policy={quote(POLICY)}"
        words = ["show_bedrock_dashboard", {"days": days}, context, sandbox, dict(faults or {})]
        self.page.evaluate("(words) => host.show(...words)", words)

    def heard(self) -> Any:
        """What it has heard from the app: `sizes`, tool `calls`, whether it is `ready`."""
        return self.page.evaluate("heard")

    def bridge(self, method: str, *words: Any) -> Any:
        """What a method of its bridge gives."""
        return self.page.evaluate("([method, words]) => bridge[method](...words)", [method, list(words)])


@contextmanager
def a_host(browser: Browser, server: MCPServer[Any], *, width: int = 1280) -> Iterator[Host]:
    """A host that is connected to `server`; its clock can be put forward."""
    served = {_HOST + "node_modules/": _package, _HOST: _host, _SANDBOX: _sandbox}
    with wired(server) as say, a_page(browser, served, width=width) as (page, complaints):
        page.expose_function("toServer", say)
        page.clock.install()
        page.goto(_HOST)
        page.wait_for_function("window.host")
        yield Host(page, page.frame_locator("#view").frame_locator("iframe"), complaints)


def _host(path: str) -> tuple[str, str]:
    if path == "host.js":
        return "text/javascript", (_HERE / "host.js").read_text()
    imports = {name: f"/node_modules/{where}" for name, where in _IMPORTS.items()}
    page = (_HERE / "host.html").read_text().replace("/*IMPORTS*/", json.dumps({"imports": imports}))
    return "text/html; charset=utf-8", page


def _sandbox(_: str) -> tuple[str, str]:
    return "text/html; charset=utf-8", (_HERE / "sandbox.html").read_text()


def _package(path: str) -> tuple[str, str]:
    return "text/javascript", (PACKAGES / path).read_text()
