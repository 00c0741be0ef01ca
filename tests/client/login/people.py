"""Those who log in: a user at a terminal, and his browser."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

import httpx2

from tests.hosting.signing_in import Laptop, back

SignIn = Callable[[str], Awaitable[str]]
"""Opens an authorization URL, and gives the address that the browser is sent back to."""


class User:
    """A `browser.Person`, whose browser signs him in and comes back.

    Args:
        types: what he types or pastes, one after the other.

    Attributes:
        told: what was said to him.
        asked: the questions that he was asked.
        opened: the pages that his browser opened.
        returned: the addresses that it was sent back to.
    """

    def __init__(self, sign_in: SignIn, *types: str, has_browser: bool = True) -> None:
        self._sign_in, self._types, self._has_browser = sign_in, list(types), has_browser
        self._loop = asyncio.get_running_loop()
        self._visit: Future[httpx2.Response] | None = None
        self.told: list[str] = []
        self.asked: list[str] = []
        self.opened: list[str] = []
        self.returned: list[str] = []

    def tell(self, text: str) -> None:
        self.told.append(text)

    def open_page(self, url: str) -> bool:
        if self._has_browser:
            self.opened.append(url)
            self._visit = asyncio.run_coroutine_threadsafe(self._visits(url), self._loop)
        return self._has_browser

    async def read(self, question: str) -> str:
        self.asked.append(question)
        return self._types.pop(0)

    async def read_secretly(self, question: str) -> str:
        return await self.read(question)

    async def page(self) -> httpx2.Response:
        """What his browser showed when it had come back."""
        assert self._visit is not None
        return await asyncio.wrap_future(self._visit)

    async def _visits(self, url: str) -> httpx2.Response:
        self.returned.append(await self._sign_in(url))
        return await fetched(self.returned[-1])


class Copyist(User):
    """A user whose browser is on another machine: he copies addresses from one to the other."""

    async def read(self, question: str) -> str:
        self.asked.append(question)
        url = next(line for line in self.told[-1].splitlines() if line.startswith("http"))
        self.returned.append(await self._sign_in(url))
        return f"  {self.returned[-1]}\n"


async def fetched(url: str, method: str = "GET", **headers: str) -> httpx2.Response:
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading the system's certificates takes its time
    async with httpx2.AsyncClient(verify=no_tls, timeout=10) as http:
        return await http.request(method, url, headers=headers)


def chooses(laptop: Laptop, name: str) -> SignIn:
    """Looks at the page of the development login, and is `name`."""
    return presses(laptop, user=name)


def presses(laptop: Laptop, **button: str) -> SignIn:
    """Looks at the page of the development login, and presses a button."""

    async def sign_in(url: str) -> str:
        sent = back(await laptop.http.get(url))
        page = await laptop.http.get(f"{laptop.origin}{sent.address}", params=dict(sent.said))
        return str((await laptop.answer(page, **button)).headers["location"])

    return sign_in


async def nobody(url: str) -> str:
    raise AssertionError("Nobody is to log in here.")
