"""How far a login may reach.

A server names its authorization server, and that one names its endpoints: addresses of strangers, which this machine
would ask for on their word. So every name is looked up here, each of its addresses is judged, and the connection goes
to one that was judged: a second look at the name could have another answer (DNS rebinding).

Source: https://modelcontextprotocol.io/specification/2026-07-28/basic/security_best_practices (SSRF), and
RFC 9728 §7.7.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Final, Literal, Self

import httpx2

from tollbook.client.trouble import ClientError
from tollbook.core.loopback import is_loopback
from tollbook.core.text import printable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Realm = Literal["public", "private", "loopback"]
"""Where a server is, and how far its login may reach: no deeper into the user's own network than he went himself."""
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name, for a connection to a port. Raises OSError."""

LARGEST_DOCUMENT: Final = 64 * 1024
"""Of metadata, in bytes."""
LARGEST_ANSWER: Final = 1024 * 1024
"""Of anything else."""
PATIENCE_S: Final = 15.0
"""For one request, from looking up its name to the last byte."""

# Where clouds keep credentials for whoever asks: AWS, Google, Alibaba, Oracle. Link-local ones need no listing.
_METADATA: Final = frozenset(
    map(ipaddress.ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192"))
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1
_RANK: Final[dict[Realm, int]] = {"public": 0, "private": 1, "loopback": 2}


class Blocked(ClientError):
    """A login leads where none may lead. Nothing was sent there."""


async def looked_up(name: str, port: int) -> Sequence[str]:
    """The addresses of a name, as this machine knows them."""
    found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def realm_of(url: str, resolve: Resolve = looked_up, peer: str | None = None) -> Realm:
    """Where a server is. One that only calls itself by a name that leads to loopback is not taken to be there.

    Args:
        peer: the address that it answered from, if known; a name that leads elsewhere by now gains nothing.

    Raises:
        Blocked: its name leads nowhere.
    """
    parts = httpx2.URL(url)
    if is_loopback(parts.host):
        return "loopback"
    found = await _addresses(parts, resolve)
    realms = {_place(each) for each in (*found, *((_address(peer),) if peer else ()))}
    return "private" if realms == {"private"} else "public"


class Guard:
    """Sends the requests of one login, for a server of `realm`.

    async with Guard(await realm_of(server)) as guard:
        response = await guard.send(httpx2.Request("GET", url))

    Bounded in size and time, without proxies, cookies and redirects; `Response.next_request` says where one would lead.

    Args:
        server: its URL; if its name leads to the internet by now, the login leads into no private network any more.
    """

    def __init__(
        self,
        realm: Realm,
        *,
        server: str = "",
        resolve: Resolve = looked_up,
        trust: ssl.SSLContext | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._realm, self._resolve, self._patience_s = realm, resolve, patience_s
        self._server = httpx2.URL(server).host
        transport = _Checked(self._cleared, httpx2.AsyncHTTPTransport(verify=trust or True, limits=_ONE_BY_ONE))
        self._http = httpx2.AsyncClient(transport=transport, timeout=patience_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def send(self, request: httpx2.Request) -> httpx2.Response:
        """The whole answer to a request.

        Raises:
            Blocked: it would lead where it may not.
            ClientError: there is no answer, or it is too long or too late.
        """
        where = _shown(request.url)
        # RFC 9110 §12.5.3: without it, any encoding might come, and with it a body that grows when it is unpacked.
        request.headers["accept-encoding"] = "identity"
        largest = LARGEST_DOCUMENT if request.method == "GET" else LARGEST_ANSWER
        try:
            async with asyncio.timeout(self._patience_s):
                response = await self._http.send(request, stream=True, follow_redirects=False)
                try:
                    return await _whole(response, largest, where)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx2.TimeoutException) as fault:
            raise ClientError(f"{where} did not answer within {self._patience_s:g} s; try again later.") from fault
        except httpx2.HTTPError as fault:
            why = "its certificate is not trusted" if "CERTIFICATE" in str(fault) else type(fault).__name__
            raise ClientError(f"{where} cannot be reached ({why}); check the network, and try again.") from fault

    async def check(self, url: str) -> None:
        """Judges an address that the user's browser is to open, as if it were asked for here.

        Raises:
            Blocked: it may not be opened.
        """
        await self._cleared(_url(url))

    async def _cleared(self, url: httpx2.URL) -> Sequence[Address]:
        """The addresses of `url`, each of which is judged."""
        where = _shown(url)
        if url.scheme not in ("http", "https"):
            raise Blocked(f"The login leads to {where}, which is no web address; tell whoever runs the server.")
        if url.userinfo or url.fragment:  # RFC 6749 §3.1, RFC 8414 §2
            raise Blocked(
                f"The login leads to {where} with a name, a password or a fragment in the address, which none may have;"
                " tell whoever runs the server."
            )
        if url.scheme == "http" and not is_loopback(url.host):  # OAuth 2.1 §1.5
            raise Blocked(
                f"The login leads to {where} without TLS, where anyone on the way could read it;"
                " the server must name an https address."
            )
        found = await _addresses(url, self._resolve)
        for each in found:
            self._judge(each, where, by_name=is_loopback(url.host))
        if url.host == self._server and self._realm == "private" and {"public"} & set(map(_place, found)):
            self._realm = "public"  # so that its name gains nothing by leading elsewhere at first
        return found

    def _judge(self, address: Address, where: str, by_name: bool) -> None:
        place = _place(address)
        if place is None:
            raise Blocked(f"The login leads to {where}, an address where no login may lead; do not trust this server.")
        if by_name and place != "loopback":  # `localhost` that is another machine: plain http would go over the wire
            raise Blocked(f"{where} is not on this machine; mend its entry in the hosts file.")
        if _RANK[place] > _RANK[self._realm]:
            inside = "on this machine" if place == "loopback" else "in a private network"
            raise Blocked(
                f"The login leads to {where}, which is {inside}, but the server is not; do not trust this server."
            )


Clear = Callable[[httpx2.URL], Awaitable[Sequence[Address]]]

# Kept connections are known by their address alone: one whose certificate was checked for one name would be used for
# another name at the same address.
_ONE_BY_ONE: Final = httpx2.Limits(max_keepalive_connections=0)


class _Checked(httpx2.AsyncBaseTransport):
    """Connects to addresses that were judged, and goes by the name all the same: in the Host header, and with TLS."""

    def __init__(self, clear: Clear, inner: httpx2.AsyncBaseTransport) -> None:
        self._clear, self._inner = clear, inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        fault: httpx2.TransportError = httpx2.ConnectError("no address")
        for address in await self._clear(request.url):
            there = httpx2.Request(
                request.method,
                request.url.copy_with(host=str(address)),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": request.url.host},
            )
            try:
                return await self._inner.handle_async_request(there)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as raised:  # nothing was sent yet
                fault = raised
        raise fault

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _whole(response: httpx2.Response, largest: int, where: str) -> httpx2.Response:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ClientError(f"{where} answers in an encoding that was not asked for; tell whoever runs it.")
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > largest:
            raise ClientError(f"{where} answers with more than {largest:,} bytes; tell whoever runs it.")
    whole = httpx2.Response(
        response.status_code, headers=response.headers, content=bytes(body), request=response.request
    )
    whole.next_request = response.next_request
    return whole


def _url(text: str) -> httpx2.URL:
    try:
        return httpx2.URL(text)
    except httpx2.InvalidURL as fault:
        raise Blocked("The login leads to what is no web address; tell whoever runs the server.") from fault


async def _addresses(url: httpx2.URL, resolve: Resolve) -> Sequence[Address]:
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = [_address(each) for each in await resolve(url.host, port)]
    except (OSError, ValueError) as fault:  # a name that there cannot be is a ValueError
        raise ClientError(f"{_shown(url)} cannot be found; check its name and the network.") from fault
    if not found:
        raise ClientError(f"{_shown(url)} cannot be found; check its name and the network.")
    return found


def _address(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])


def _place(address: Address) -> Realm | None:
    """Where an address is; None where nobody may be sent."""
    inner = _inner(address)
    if inner is not None:
        return _place(inner)
    if address.is_loopback:
        return "loopback"
    if address in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return None
    return "public" if address.is_global else "private"


def _inner(address: Address) -> Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])


def _shown(url: httpx2.URL) -> str:
    """An address without what may be secret in it."""
    return printable(str(url.copy_with(userinfo=b"", query=None, fragment=None)))
