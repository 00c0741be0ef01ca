"""A file from the web, if it can be had safely."""

import time
from typing import TYPE_CHECKING, Final

from tollbook.core.errors import SourceError
from tollbook.core.loopback import is_loopback

if TYPE_CHECKING:
    import httpx2

LARGEST: Final = 256 * 1024**2  # bytes; the largest offer file of 2026 has 16 MB
_REDIRECTS: Final = 3
_BY_HAND: Final = "An offer file that was downloaded otherwise can be read with --from FILE."


def download(url: str, *, timeout_s: float = 30, limit: int = LARGEST) -> bytes:
    """What lies at `url`: https, or http on this machine. A redirection is followed on the same host only.

    Args:
        timeout_s: for each step; the whole may take ten times as long.
        limit: the most bytes that are taken.

    Raises:
        SourceError: it cannot be had.
    """
    import httpx2

    ends = time.monotonic() + 10 * timeout_s
    try:
        at = _checked(httpx2.URL(url))
        # A proxy of the environment is for the world outside.
        with httpx2.Client(timeout=timeout_s, trust_env=at.scheme == "https") as client:
            for _ in range(_REDIRECTS + 1):
                with client.stream("GET", at) as response:
                    if response.has_redirect_location:
                        at = _redirected(at, response.headers["location"])
                    elif response.is_success:
                        return _body(response, limit, ends)
                    else:
                        status = f"{response.status_code} {response.reason_phrase}".strip()
                        raise SourceError(f"{_shown(at)} answered {status}. {_BY_HAND}")
    except (httpx2.InvalidURL, ValueError) as fault:
        raise SourceError(f"'{url}' is no address ({fault}). {_BY_HAND}") from fault
    except httpx2.TimeoutException as fault:
        raise SourceError(f"{_shown(at)} did not answer within {timeout_s:g} s. {_BY_HAND}") from fault
    except httpx2.HTTPError as fault:
        cause = str(fault).partition("] ")[2] or str(fault) or type(fault).__name__
        raise SourceError(f"Cannot read {_shown(at)}: {cause}. {_BY_HAND}") from fault
    raise SourceError(f"{url} redirects more than {_REDIRECTS} times. {_BY_HAND}")


def _checked(url: "httpx2.URL") -> "httpx2.URL":
    if not url.host or url.scheme not in ("http", "https"):
        raise SourceError(f"Cannot read {_shown(url)}: only https addresses and files are read.")
    if url.scheme == "http" and not is_loopback(url.host):
        raise SourceError(f"{_shown(url)} is not read: over http anyone on the way could change prices. Use https.")
    return url


def _redirected(at: "httpx2.URL", location: str) -> "httpx2.URL":
    there = at.join(location)
    if (there.scheme, there.host, there.port) != (at.scheme, at.host, at.port):
        raise SourceError(f"{_shown(at)} redirects elsewhere. Give {_shown(there)} to go there.")
    return there


def _body(response: "httpx2.Response", limit: int, ends: float) -> bytes:
    too_large = f"{_shown(response.url)} holds more than {limit:,} bytes, which no offer file does. {_BY_HAND}"
    if int(response.headers.get("content-length", 0)) > limit:
        raise SourceError(too_large)
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > limit:
            raise SourceError(too_large)
        if time.monotonic() > ends:
            raise SourceError(f"{_shown(response.url)} sends too slowly, and was given up. {_BY_HAND}")
    return bytes(body)


def _shown(url: "httpx2.URL") -> str:
    """`url` without a password or a query."""
    return str(url.copy_with(username=None, password=None, query=None, fragment=None))
