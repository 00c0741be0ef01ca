"""A server that wants a token, and remembers what it was asked."""

import asyncio
import re
from typing import NamedTuple, Self


class Asked(NamedTuple):
    path: str
    token: str | None


class Protected:
    """Answers 200 to a good token and 401 to all else, on loopback, in the test's own event loop.

    Attributes:
        url: of its endpoint.
        good: the tokens that it takes; None among them lets everyone in.
        weak: those of them that it answers with 403, since they may do too little.
        asked: every request so far.
        redirects: where to send those who ask for a path.
        challenge_header, challenge: with which it answers 403.
        is_endless: whether the body of a 401 never ends.
    """

    def __init__(self) -> None:
        self.url = ""
        self.good: set[str | None] = set()
        self.weak: set[str] = set()
        self.asked: list[Asked] = []
        self.redirects: dict[str, str] = {}
        self.is_endless = False
        self.challenge_header = "www-authenticate"
        self.challenge = 'Bearer error="insufficient_scope", scope="more"'

    @property
    def tokens(self) -> list[str | None]:
        """Those of its requests."""
        return [asked.token for asked in self.asked]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/mcp"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        found = re.search(r"(?im)^authorization: bearer (.*?)\r$", head)
        asked = Asked(head.split(" ")[1], found[1] if found else None)
        self.asked.append(asked)
        writer.write(self._said(asked))
        try:
            while self.is_endless and asked.token not in self.good:
                writer.write(b"x" * 65536)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _said(self, asked: Asked) -> bytes:
        if asked.path in self.redirects:
            status, header = "307 Temporary Redirect", f"location: {self.redirects[asked.path]}"
        elif asked.token in self.weak:
            status, header = "403 Forbidden", f"{self.challenge_header}: {self.challenge}"
        elif asked.token in self.good:
            status, header = "200 OK", "content-type: text/plain"
        else:
            status, header = "401 Unauthorized", "www-authenticate: Bearer"
        length = "" if self.is_endless and status.startswith("401") else "content-length: 2\r\n"
        return f"HTTP/1.1 {status}\r\n{header}\r\n{length}connection: close\r\n\r\nok".encode()
