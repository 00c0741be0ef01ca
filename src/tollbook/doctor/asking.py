"""Requests to a server that may be broken in any way: each ends within its time, and no more is read than a little."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx2
import msgspec

from tollbook.client.login.guard import Guard
from tollbook.client.status import misconfigured, shown, unreachable
from tollbook.client.trouble import ClientError, TimedOut, Unreachable

PATIENCE_S: Final = 10.0
"""For one request, from looking up the name to the last byte."""
LARGEST: Final = 256 * 1024
"""Of an answer, in bytes; what comes after is left."""
_HANDSHAKE_S: Final = 3.0
"""For finding out whether TLS is spoken."""


class Reply(msgspec.Struct, frozen=True):
    """An answer.

    Attributes:
        is_cut: there was more of it than is read; of a stream nothing is.
    """

    status: int
    headers: httpx2.Headers
    body: bytes = b""
    is_cut: bool = False

    @property
    def kind(self) -> str:
        """The media type of its body, in lower case."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    @property
    def document(self) -> Mapping[str, Any] | None:
        """The JSON object that it is, if it is one."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


class Asker:
    """Asks the server at `url`, the address that the user gave, and nobody else: redirects are not followed.

    Args:
        headers: of every request.
    """

    def __init__(self, url: str, patience_s: float = PATIENCE_S, headers: Mapping[str, str] | None = None) -> None:
        self._patience_s, self._origin = patience_s, shown(url)
        try:
            self._http = httpx2.AsyncClient(
                timeout=patience_s, verify=not url.startswith("http://"), follow_redirects=False, headers=headers
            )
        except (ImportError, OSError, ValueError, httpx2.InvalidURL) as fault:
            raise misconfigured(fault) from None  # it may quote a password

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Reply:
        """The answer to a request.

        Raises:
            ClientError: none came in time, or none of HTTP.
        """
        # RFC 9110 §12.5.3: without it any encoding might come, and with it a body that grows when it is unpacked.
        given = {"accept-encoding": "identity", **(headers or {})}
        try:
            async with asyncio.timeout(self._patience_s):
                async with self._http.stream(method, url, headers=given, content=body) as response:
                    reply = await _read(response)
        except (TimeoutError, httpx2.ReadTimeout, httpx2.WriteTimeout, httpx2.PoolTimeout) as fault:
            raise TimedOut(
                f"{shown(url)} takes the connection and does not finish its answer within {self._patience_s:g} s. See "
                "whether the server hangs, or a gateway before it waits for one."
            ) from fault
        except httpx2.TransportError as fault:
            await _see_that_it_is_plain(url, self._patience_s)
            if isinstance(fault, httpx2.RemoteProtocolError):
                raise ClientError(
                    f"What comes from {shown(url)} is no HTTP, or breaks off. Check the port, and whether it is https."
                ) from fault
            raise unreachable(url, fault) from fault
        except (httpx2.InvalidURL, httpx2.HTTPError) as fault:
            raise ClientError(f"{shown(url)} cannot be asked. Check the address.") from fault
        if reply.status == 400:  # some say so, in words of their own
            await _see_that_it_is_plain(url, self._patience_s)
        return reply


async def fetched(guard: Guard, url: str) -> Reply:
    """The document at an address that a server named: bounded, and only where a login may lead.

    Raises:
        ClientError: there is none, or it may not be asked.
    """
    try:
        response = await guard.send(httpx2.Request("GET", url, headers={"accept": "application/json"}))
    except (httpx2.InvalidURL, ValueError) as fault:  # of names that there cannot be
        raise ClientError("The address that the server names is none. Tell whoever runs it.") from fault
    return Reply(response.status_code, response.headers, response.content)


async def _see_that_it_is_plain(url: str, patience_s: float) -> None:
    """Tries, where http went wrong, whether it is TLS that is spoken there; nothing is sent but its first words.

    Raises:
        Unreachable: it is.
    """
    parts = urlsplit(url)
    if parts.scheme != "http":
        return
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(min(patience_s, _HANDSHAKE_S)):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 80, ssl=anybody)
    except (OSError, ValueError):  # a TimeoutError is an OSError
        return
    writer.transport.abort()
    raise Unreachable(f"{shown(url).split('/')[2]} speaks TLS. Use https:// in its address.")


async def _read(response: httpx2.Response) -> Reply:
    head = Reply(response.status_code, response.headers, is_cut=True)
    if head.kind == "text/event-stream":  # which may never end, and its head says all that is asked for here
        return head
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > LARGEST:
            return msgspec.structs.replace(head, body=bytes(body[:LARGEST]))
    return msgspec.structs.replace(head, body=bytes(body), is_cut=False)
