"""What a request must be before anything is done for it. Cheap, and without any state."""

import asyncio
import re
from collections.abc import Iterable
from typing import Final

from tollbook.hosting.answers import Answer, Exchange, Headers, Left, Receive, Refusal, Scope, header_of
from tollbook.hosting.settings import HostSettings

_SLOWEST_BODY_S: Final = 30.0

_JSON: Final = ("*/*", "application/*", "application/json")
_STREAM: Final = ("*/*", "text/*", "text/event-stream")

_EXPOSED: Final = b"Mcp-Session-Id, Mcp-Protocol-Version, WWW-Authenticate, Retry-After"
_PREFLIGHT: Final = (
    (b"access-control-allow-methods", b"GET, POST, DELETE"),
    # A wildcard stands for every name but Authorization, Mcp-Param-… among them.
    # https://fetch.spec.whatwg.org/#cors-non-wildcard-request-header-name
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, Accept, Last-Event-ID, "
        b"Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name, *",
    ),
    (b"access-control-max-age", b"7200"),
)


class Names:
    """Hosts or origins that are served; a port of `*` stands for any port, and for none."""

    def __init__(self, names: Iterable[str]) -> None:
        lowered = [name.lower() for name in names]
        self._exact = frozenset(name for name in lowered if not name.endswith(":*"))
        self._any_port = frozenset(name.removesuffix(":*") for name in lowered if name.endswith(":*"))

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        name = name.lower()
        if name in self._exact or name in self._any_port:
            return True
        host, _, port = name.rpartition(":")
        return port.isascii() and port.isdigit() and host in self._any_port


class Edge:
    """The checks that come before everything else, authentication included."""

    def __init__(self, settings: HostSettings) -> None:
        self._hosts, self._origins = Names(settings.allowed_hosts), Names(settings.allowed_origins)
        self._settings = settings

    def check(self, exchange: Exchange) -> Headers:
        """Refuses foreign hosts and origins; gives the headers that let an allowed origin read the response.

        Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning
        """
        hosts = [value for key, value in exchange.scope["headers"] if key == b"host"]
        # RFC 9112 §3.2: more than one is no request at all.
        if len(hosts) != 1 or hosts[0].decode("latin-1") not in self._hosts:
            # RFC 9110 §15.5.20
            raise Refusal(421, "This host is not served here.")
        origin = exchange.header(b"origin")
        if origin is None:
            return ()
        if origin not in self._origins:
            raise Refusal(403, "This origin is not allowed.")
        return (
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"vary", b"Origin"),
            (b"access-control-expose-headers", _EXPOSED),
        )

    async def body(self, exchange: Exchange) -> bytes:
        """The whole body, which must be JSON: see `body_of`."""
        return await body_of(exchange.scope, exchange.receive, "application/json", self._settings.largest_body)


async def body_of(scope: Scope, receive: Receive, wanted: str, largest: int) -> bytes:
    """The whole body of a request.

    Args:
        wanted: the media type that it must have.
        largest: the bytes that it may have.

    Raises:
        Refusal: it is too long, too slow, or of another type.
        Left: the client has gone.
    """
    kind = (header_of(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if kind != wanted:
        raise Refusal(415, f"Content-Type must be {wanted}.")
    too_long = Refusal(413, f"A body may have at most {largest:,} bytes.")
    length = header_of(scope, b"content-length") or "0"
    if not re.fullmatch("[0-9]{1,12}", length) or int(length) > largest:
        raise too_long
    parts, size = [], 0
    try:
        async with asyncio.timeout(_SLOWEST_BODY_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Left
                part = message.get("body", b"")
                size += len(part)
                if size > largest:
                    raise too_long
                parts.append(part)
                if not message.get("more_body"):
                    return b"".join(parts)
    except TimeoutError:
        raise Refusal(408, "The body did not arrive in time.") from None


def preflight() -> Answer:
    """What a browser is told before it sends anything.

    Source: https://fetch.spec.whatwg.org/#http-cors-protocol
    """
    return Answer(204, b"", _PREFLIGHT)


def check_takes_both(exchange: Exchange) -> None:
    """Refuses a POST whose client does not take both JSON and a stream, as it must.

    Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#sending-messages-to-the-server
    """
    kinds = _accepted(exchange)
    if kinds.isdisjoint(_JSON) or kinds.isdisjoint(_STREAM):
        raise Refusal(406, "Accept must name application/json and text/event-stream.")


def check_takes_stream(exchange: Exchange) -> None:
    """Refuses a GET whose client does not take a stream."""
    if _accepted(exchange).isdisjoint(_STREAM):
        raise Refusal(406, "Accept must name text/event-stream.")


def _accepted(exchange: Exchange) -> set[str]:
    # A header may come in several lines: RFC 9110 §5.3.
    lines = [value.decode("latin-1") for key, value in exchange.scope["headers"] if key == b"accept"]
    return {kind.partition(";")[0].strip().lower() for line in lines for kind in line.split(",")}
