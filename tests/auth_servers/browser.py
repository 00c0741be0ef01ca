"""A user before a browser, without the browser: follows a login's redirects, and fills in its forms."""

import ssl
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Final
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2

_MOST_STEPS: Final = 20


async def sign_in(url: str, user: str, password: str) -> str:
    """Opens an authorization URL, signs in, agrees to all, and gives the URL that the browser is sent back to.

    That one is not opened: nobody need listen there.

    Raises:
        AssertionError: the login leads nowhere; with the status and path of where it ended, but not what it showed.
    """
    back = parse_qs(urlsplit(url).query)["redirect_uri"][0]
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading the system's certificates takes its time
    async with httpx2.AsyncClient(verify=no_tls, timeout=10) as http:
        page = await http.get(url)
        for _ in range(_MOST_STEPS):
            if page.is_redirect:
                url = urljoin(url, page.headers["location"])
                if url.startswith(back):
                    return url
                page = await http.get(url)
            elif page.status_code == 200 and (form := _Form.of(page.text)) is not None:
                url = urljoin(url, form.action)
                page = await http.post(url, data=form.filled(user, password))
            else:
                break
    raise AssertionError(f"The login ends with status {page.status_code} at {urlsplit(url).path}.")


class _Form(HTMLParser):
    """The first form of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self._inputs: dict[str, tuple[str, str]] = {}
        self._forms = 0
        self._is_open = False

    @classmethod
    def of(cls, page: str) -> "_Form | None":
        form = cls()
        form.feed(page)
        return form if form._forms else None

    def filled(self, user: str, password: str) -> Mapping[str, str]:
        typed = {"text": user, "email": user, "password": password}
        return {name: typed.get(kind, value) for name, (kind, value) in self._inputs.items()}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._forms += 1
            self._is_open = self._forms == 1
            if self._is_open:
                self.action = given.get("action", "")
        elif tag == "input" and self._is_open and given.get("name"):
            self._inputs[given["name"]] = (given.get("type", "text"), given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_open = False
