"""The user's way to the login page and back: through a browser on this machine, or by hand.

Source: RFC 8252 (native apps), §7.3 and §8.3 for the loopback redirect; RFC 6749 §4.1.2 for what comes back.
"""

import asyncio
import contextlib
import errno
import hmac
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, Protocol
from urllib.parse import parse_qsl, urlsplit

from tollbook.client.trouble import ClientError, LoginNeeded
from tollbook.core.loopback import is_loopback
from tollbook.core.text import printable

KNOWN_PORTS: Final = (8000, 8765, 33418, 8787)
"""Of the redirect of a client that was registered beforehand, in the order of trying; docs/cognito.md lists them."""
_LARGEST_HEAD: Final = 16 * 1024
_MOST_GUESTS: Final = 16
_PATIENCE_S: Final = 5.0
"""For one request to the redirect, from the first byte to the last."""
_MOST_FIELDS: Final = 32
_MOST_PASTES: Final = 3


class Person(Protocol):
    """Whoever logs in, at a terminal."""

    def tell(self, text: str) -> None:
        """Shows lines to him; `text` may be shown as it is."""

    def open_page(self, url: str) -> bool:
        """Opens a page in his browser; False where there is none. Called in a thread."""

    async def read(self, question: str) -> str:
        """What he types or pastes; kept in no history."""

    async def read_secretly(self, question: str) -> str:
        """What he types, unseen; kept in no history."""


class WayBack(Protocol):
    """How a browser that was sent to a login page comes back.

    Attributes:
        uri: its address, as it stands in the login's `redirect_uri`.
    """

    uri: str

    def expect(self, state: str) -> None:
        """From now on, the answer to the login with `state` is taken."""

    async def said(self, patience_s: float) -> Mapping[str, str]:
        """What the login page says by way of the browser. Raises LoginNeeded."""


class NotOurs(ClientError):
    """What came back belongs to no login that is under way here."""


def known_redirects() -> Sequence[str]:
    """Where a client that was registered beforehand has its users sent back to; Cognito compares letter by letter."""
    return [f"http://localhost:{port}/callback" for port in KNOWN_PORTS]


ANY_REDIRECT: Final = "http://127.0.0.1:0/callback"
"""At whichever port is free: for a client that registers itself."""


def said_in(query: str, state: str) -> Mapping[str, str]:
    """What an authorization server says in the query with which it sends the user back.

    Args:
        state: that the login was begun with.

    Raises:
        NotOurs: it is not the answer to this login.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as fault:
        raise NotOurs("What came back is no answer of a login page.") from fault
    said = dict(pairs)
    # RFC 6749 §3.1: no parameter more than once.
    if len(said) != len(pairs) or not hmac.compare_digest(said.get("state", "").encode(), state.encode()):
        raise NotOurs("What came back does not belong to this login; log in again, and use the newest page only.")
    return said


class Landing:
    """The way back through a browser of this machine, to loopback."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._parts = urlsplit(uri)
        self._state: str | None = None
        self._said: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._guests: set[asyncio.Task[None]] = set()

    def expect(self, state: str) -> None:
        self._state = state

    async def said(self, patience_s: float) -> Mapping[str, str]:
        try:
            async with asyncio.timeout(patience_s):
                return await self._said
        except TimeoutError as fault:
            raise LoginNeeded(
                f"Nobody came back from the login page within {patience_s:,.0f} s; log in again, with --paste"
                " if the browser is on another machine."
            ) from fault

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task, said = asyncio.current_task(), None
        if task is None or self._said.cancelled() or len(self._guests) >= _MOST_GUESTS:
            writer.transport.abort()
            return
        self._guests.add(task)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                status, page, said = self._answer(await reader.readuntil(b"\r\n\r\n"))
                writer.write(_response(status, page))
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.transport.abort()
            self._guests.discard(task)
            if said is not None and not self._said.done():  # last: whoever waits for it ends all this
                self._said.set_result(said)

    def _answer(self, head: bytes) -> tuple[int, str, Mapping[str, str] | None]:
        """The status and the page for a request, and what it said if it is the one that is waited for."""
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        hosts = [line.partition(":")[2].strip() for line in lines[1:] if line.lower().startswith("host:")]
        if len(words) != 3 or hosts != [self._parts.netloc]:  # a page elsewhere whose name leads to loopback
            return 400, _NOT_OURS, None
        path, _, query = words[1].partition("?")
        if path != (self._parts.path or "/"):
            return 404, _NOTHING, None
        if words[0] != "GET":
            return 405, _NOTHING, None
        if self._state is None:  # none has begun, or it was answered
            return 400, _NOT_OURS, None
        try:
            said = said_in(query, self._state)
        except NotOurs:
            return 400, _NOT_OURS, None
        self._state = None
        return 200, _REFUSED if "error" in said else _DONE, said

    async def _end(self) -> None:
        self._said.cancel()
        for task in tuple(self._guests):
            task.cancel()
        await asyncio.gather(*self._guests, return_exceptions=True)


@contextlib.asynccontextmanager
async def landing(uris: Sequence[str]) -> AsyncIterator[Landing]:
    """Listens at the first of `uris` that is free, on loopback only.

    Args:
        uris: of http and loopback; a port of 0 stands for any.

    Raises:
        ClientError: none of them is free.
    """
    uri, places = _bound(uris)
    here = Landing(uri)
    async with contextlib.AsyncExitStack() as held:
        for place in places:
            held.callback(place.close)
        held.push_async_callback(here._end)
        for place in places:
            server = await asyncio.start_server(here._serve, sock=place, limit=_LARGEST_HEAD)
            held.callback(server.close)
        yield here


def is_here(uri: str) -> bool:
    """Whether a redirect leads to this machine, so that `landing` can listen there."""
    parts = urlsplit(uri)
    return parts.scheme == "http" and is_loopback(parts.hostname or "")


class Paste:
    """The way back from a browser of another machine: its user copies the address where it was sent, and pastes it.

    Nobody need listen there.
    """

    def __init__(self, uri: str, person: Person) -> None:
        self.uri, self._person, self._state = uri, person, ""

    def expect(self, state: str) -> None:
        self._state = state

    async def said(self, patience_s: float) -> Mapping[str, str]:  # noqa: ARG002 - he has all the time that he wants
        for _ in range(_MOST_PASTES):
            text = (await self._person.read("The address that the browser shows after the login: ")).strip()
            if not text:
                break
            query = self._query(text)
            if query is None:
                self._person.tell(f"That is not it: the address begins with {printable(self.uri)}?")
                continue
            try:
                return said_in(query, self._state)
            except NotOurs as fault:
                self._person.tell(fault.message)
        raise LoginNeeded(
            "The login was not finished; run it again, and paste the whole address, as the browser shows it."
        )

    def _query(self, text: str) -> str | None:
        """The query of an address, or what is one itself; None of an address elsewhere."""
        try:
            given, expected = urlsplit(text), urlsplit(self.uri)
        except ValueError:
            return None
        if not given.scheme and not given.netloc:
            return text.rpartition("?")[2]
        return given.query if given._replace(query="") == expected else None


def _bound(uris: Sequence[str]) -> tuple[str, Sequence[socket.socket]]:
    for uri in uris:
        parts = urlsplit(uri)
        try:
            places = _listening(parts.hostname or "", 80 if parts.port is None else parts.port)
        except OSError:
            continue
        if parts.port == 0:
            parts = parts._replace(netloc=f"{parts.netloc.removesuffix(':0')}:{places[0].getsockname()[1]}")
        return parts.geturl(), places
    ports = ", ".join(str(urlsplit(uri).port or 80) for uri in uris)
    raise ClientError(
        f"No login can come back here: none of the ports is free for that ({ports}); end the program that uses one of"
        " them, or set OAUTH_REDIRECT_URI to another address that the client is registered with."
    )


def _listening(host: str, port: int) -> Sequence[socket.socket]:
    """Sockets at every loopback address that `host` stands for.

    Raises:
        OSError: one of them is taken. Whoever has it would be sent the user.
    """
    places: list[socket.socket] = []
    try:
        if host != "localhost":
            kind = socket.AF_INET6 if ":" in host else socket.AF_INET
            return [socket.create_server((host, port), family=kind)]
        places.append(socket.create_server(("127.0.0.1", port)))
        try:
            places.append(socket.create_server(("::1", port), family=socket.AF_INET6))
        except OSError as fault:
            if fault.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):  # else this machine has no IPv6
                raise
    except OSError:
        for place in places:
            place.close()
        raise
    return places


_DONE: Final = "You can close this window: the login goes on in the terminal."
_REFUSED: Final = "There was no login. You can close this window: the terminal says why."
_NOT_OURS: Final = "This is not the answer to a login that is under way here. You can close this window."
_NOTHING: Final = "There is nothing here."
_REASONS: Final = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


def _response(status: int, text: str) -> bytes:
    """A page of fixed words: nothing of a request is in it."""
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>tollbook</title>'
        f'<meta name="color-scheme" content="light dark"><h1>tollbook</h1><p>{text}</p></html>'
    )
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}",
        "content-type: text/html; charset=utf-8",
        f"content-length: {len(page)}",
        "cache-control: no-store",
        # The address of this page has the code in it.
        "referrer-policy: no-referrer",
        "content-security-policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "connection: close",
    )
    return "\r\n".join((*head, "", page)).encode()
