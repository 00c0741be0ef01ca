"""What a server's HTTP status means, and why none came: each in a sentence, with what to do next."""

import re
import socket
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx2
import msgspec

from tollbook.client.trouble import ClientError, LoginNeeded, Refused, Unreachable
from tollbook.core.text import printable

_MEANINGS: Final[Mapping[int, str]] = {
    400: "It cannot read the request. Check the address; if it is right, the server may not speak MCP as we do.",
    404: "Nothing is there. Check the address; most end in /mcp.",
    405: "It takes no such request. Check the address; most end in /mcp.",
    406: "It cannot answer with JSON or a stream of events, so it is no MCP server.",
    407: "The proxy wants to know who asks. Put a name and a password into HTTP_PROXY or HTTPS_PROXY.",
    408: "It waited too long for the request. Try again.",
    413: "The request is too large for it. Send less.",
    415: "It takes no JSON, so it is no MCP server.",
    421: "It does not serve this host name. Use the address its owner gave you.",
    426: "It wants another version of HTTP, which this client does not speak.",
    429: "It has had too many requests.",
    500: "It failed. Try again; if that does not help, its owner's log says why.",
    502: "The gateway before it got no valid answer. The server may be starting or down; try again.",
    503: "It is overloaded or down. Try again later.",
    504: "The gateway before it waited too long. Ask for less, or try again.",
}
_SHOWN: Final = 300
ILL_HEADER: Final = (
    "A header has a character in it that HTTP does not allow, and nothing was sent. Check --header, and the token."
)
_PROXIES: Final = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY"


def shown(url: str) -> str:
    """`url` as it may be seen: some have a key in their query."""
    scheme, slashes, rest = url.partition("?")[0].partition("//")
    place, slash, path = rest.partition("/")
    return printable(f"{scheme}{slashes}{place.rpartition('@')[2]}{slash}{path}")


def refusal(response: httpx2.Response, body: bytes) -> ClientError:
    """What a status that is no answer means."""
    status, url = response.status_code, shown(str(response.request.url))
    if status == 401:
        return LoginNeeded(
            f"{url} wants to know who asks. Run 'tollbook login {url}', or give a token in ACCESS_TOKEN."
        )
    if status == 403:
        return _forbidden(response, url, body)
    if response.has_redirect_location:
        onward = response.next_request
        there = shown(str(onward.url))[:_SHOWN] if onward else "elsewhere"
        return Refused(f"{url} redirects to {there}. Nothing was sent there; use that address if you trust it.", status)
    meaning = _MEANINGS.get(status)
    if meaning is None:
        meaning = "It failed. Try again later." if status >= 500 else "It refused the request; ask its owner why."
    words = _words_in(response, body)
    wait = _wait_in(response.headers) or (" Try again a little later." if status == 429 else "")
    return Refused(f"{url} answered {status}{words}. {meaning}{wait}", status)


def _forbidden(response: httpx2.Response, url: str, body: bytes) -> ClientError:
    """RFC 6750 §3.1: 403 with insufficient_scope names the scopes that are needed."""
    headers = response.headers
    challenge = headers.get("www-authenticate") or headers.get("x-amzn-remapped-www-authenticate") or ""
    if "insufficient_scope" in challenge:
        found = re.search(r'\bscope="([^"]{1,500})"', challenge)
        needed = f" It needs the scopes: {printable(found[1])}." if found else ""
        sentence = f"{url} knows who asks, but this login may not do that.{needed} Run 'tollbook login {url}'."
        return LoginNeeded(sentence, found[1].split() if found else ())
    words = _words_in(response, body)
    return Refused(f"{url} answered 403{words}. It does not allow this; ask its owner.", 403)


def unreachable(url: str, fault: httpx2.TransportError) -> Unreachable:
    """Why there is no connection."""
    parts = urlsplit(url)
    host, where = printable(parts.hostname or ""), printable(parts.netloc.rpartition("@")[2])
    proxy = _proxy_for(url)
    for cause in _causes(fault):
        if proxy and isinstance(cause, socket.gaierror | ConnectionRefusedError):
            return Unreachable(f"The proxy {proxy} does not answer. Check {_PROXIES}.")
        if isinstance(cause, socket.gaierror):
            return Unreachable(f"No address is known for {host}. Check its spelling, and whether you are online.")
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message.rstrip(".")
            return Unreachable(
                f"The certificate of {where} is not valid: {why}. Nothing was sent; ask its owner, or set "
                "SSL_CERT_FILE to the certificates you trust."
            )
        if isinstance(cause, ssl.SSLError) and not isinstance(fault, httpx2.ConnectTimeout):
            return Unreachable(f"{where} does not speak TLS. If it is meant so, use http:// in its address.")
        if isinstance(cause, ConnectionRefusedError):
            return Unreachable(f"Nothing listens at {where}. Is the server running, and is the port right?")
    if isinstance(fault, httpx2.ProxyError):
        why = printable(str(fault))[:_SHOWN].rstrip(".")
        return Unreachable(f"The proxy {proxy or ''} does not lead to {where}: {why}. Check {_PROXIES}.")
    if isinstance(fault, httpx2.ConnectTimeout):
        return Unreachable(f"{where} does not take the connection. Check the address, and the firewalls in between.")
    why = printable(str(fault))[:_SHOWN].rstrip(".") or type(fault).__name__
    return Unreachable(f"{where} cannot be reached: {why}. Check the address, and whether you are online.")


def misconfigured(fault: Exception) -> Unreachable:
    """Why nothing can be sent at all: what the environment says of proxies and certificates makes no sense."""
    if isinstance(fault, ImportError):
        return Unreachable("A SOCKS proxy needs a package that is not here. Install 'socksio', or unset ALL_PROXY.")
    if isinstance(fault, OSError):
        return Unreachable("The certificates to trust cannot be read. Check SSL_CERT_FILE and SSL_CERT_DIR.")
    return Unreachable(f"A proxy's address makes no sense; one looks like http://host:port. Check {_PROXIES}.")


def _proxy_for(url: str) -> str | None:
    """Host and port of the proxy by which `url` is reached, if the environment names one."""
    from urllib.request import getproxies, proxy_bypass  # 15 ms

    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return printable(urlsplit(proxy if "://" in proxy else f"//{proxy}").netloc.rpartition("@")[2])


def _causes(fault: BaseException | None) -> list[BaseException]:
    """`fault` and what led to it, also of several attempts at once."""
    found: list[BaseException] = []
    waiting = [fault]
    while waiting and len(found) < 50:
        each = waiting.pop()
        if each is None or each in found:
            continue
        found.append(each)
        waiting += [each.__context__, each.__cause__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
    return found


def _words_in(response: httpx2.Response, body: bytes) -> str:
    """What the server said, if it is short and plain: `: …` or nothing."""
    if "json" not in response.headers.get("content-type", ""):
        return ""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return ""
    said = document if isinstance(document, dict) else {}
    error = said.get("error")
    for words in (error.get("message") if isinstance(error, dict) else error, said.get("message"), said.get("detail")):
        if isinstance(words, str) and words:
            return f" ('{printable(words[:_SHOWN])}')"
    return ""


def _wait_in(headers: httpx2.Headers) -> str:
    """RFC 9110 §10.2.3, in seconds."""
    after = headers.get("retry-after", "")
    return f" Try again in {int(after)} s." if re.fullmatch(r"\d{1,6}", after) else ""
