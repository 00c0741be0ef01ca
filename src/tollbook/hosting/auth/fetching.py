"""One document from an issuer: bounded in size and time, and from nowhere else than asked."""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final
from urllib.parse import SplitResult, urlsplit

from tollbook.hosting.auth.keys import LARGEST_DOCUMENT

PATIENCE_S: Final = 3.0


class NotFetched(Exception):
    """A document could not be had; the message says why, for the log."""


def fetch(url: str, patience_s: float = PATIENCE_S) -> bytes:
    """The document at `url`, an http or https address, within `patience_s` seconds once its name was looked up.

    Redirects are not followed: they would let whoever answers choose what is read.

    Raises:
        NotFetched: it cannot be had, is longer than `LARGEST_DOCUMENT`, or takes too long.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        ends = time.monotonic() + patience_s
        connected = _connected([str(address[0]) for *_, address in found], port, ends)
    except (OSError, ValueError) as fault:  # a name or a port that there cannot be is a ValueError
        raise NotFetched(f"{parts.netloc} cannot be reached: {type(fault).__name__}") from fault
    try:
        with _cut_when_late(connected, ends, host if parts.scheme == "https" else "") as line:
            document = _answered(line, parts)
            if time.monotonic() >= ends:  # what was cut may look whole, where no length was told
                raise TimeoutError
            return document
    except (OSError, ValueError, http.client.HTTPException) as fault:
        why = "no whole answer in time" if time.monotonic() >= ends else type(fault).__name__
        raise NotFetched(f"{parts.netloc}: {why}") from fault


def _connected(addresses: Iterable[str], port: int, ends: float) -> socket.socket:
    """A connection to the first address that takes one. `create_connection` would give each of them the whole time.

    Raises:
        OSError: none does in time.
    """
    fault: OSError = TimeoutError()
    for address in addresses:
        if (left := ends - time.monotonic()) <= 0:
            break
        try:
            return socket.create_connection((address, port), timeout=left)
        except OSError as raised:
            fault = raised
    raise fault


@contextlib.contextmanager
def _cut_when_late(connected: socket.socket, ends: float, tls_name: str) -> Iterator[socket.socket]:
    """The connection, under TLS where a name is given; it is cut when the time ends.

    A time-out of the socket bounds each wait only: whoever sends a byte now and then would never be late.
    """
    line = connected
    with contextlib.ExitStack() as held:
        held.callback(connected.close)
        if tls_name:
            # The handshake comes later: wrapping empties `connected`, and what took its place must be cut in time.
            line = _trust().wrap_socket(connected, server_hostname=tls_name, do_handshake_on_connect=False)
            held.callback(line.close)
        watchdog = threading.Timer(max(0.0, ends - time.monotonic()), _cut, (line,))
        watchdog.daemon = True
        held.callback(watchdog.cancel)
        watchdog.start()
        if isinstance(line, ssl.SSLSocket):
            line.do_handshake()
        yield line


def _answered(line: socket.socket, url: SplitResult) -> bytes:
    connection = http.client.HTTPConnection(url.hostname or "", url.port)
    connection.sock = line
    target = url._replace(scheme="", netloc="", fragment="", path=url.path or "/").geturl()
    headers = {"Host": url.netloc, "Accept": "application/json", "Connection": "close"}
    connection.request("GET", target, headers=headers)
    with connection.getresponse() as response:
        if response.status != 200:
            raise NotFetched(f"{url.netloc} answered with status {response.status}")
        body = response.read(LARGEST_DOCUMENT + 1)
        if len(body) > LARGEST_DOCUMENT:
            raise NotFetched(f"{url.netloc} answered with more than {LARGEST_DOCUMENT:,} bytes")
        if response.length or not body:  # of an answer that is cut, `http.client` gives what there is
            raise http.client.IncompleteRead(body, response.length)
        return body


def _cut(line: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it had ended
        socket.socket.shutdown(line, socket.SHUT_RDWR)  # under TLS too: its own shutdown may not be called from here


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()
