"""Whether pages in a browser may ask, and whether strange pages may not. Pure.

Sources: https://fetch.spec.whatwg.org/#http-cors-protocol and, for Host and Origin,
https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning
"""

from collections.abc import Mapping
from typing import Final

from tollbook.doctor.asking import Reply
from tollbook.doctor.finding import Finding, failed, ok, unknown

CHECK: Final = "preflight"
STRANGERS: Final = "strange pages"
PAGE: Final = "http://localhost:6274"
"""The origin of MCP Inspector, https://github.com/modelcontextprotocol/inspector"""
STRANGE_PAGE: Final = "https://strange.example"

_NEEDED: Final = ("authorization", "content-type", "mcp-protocol-version", "mcp-session-id")
REQUEST: Final[Mapping[str, str]] = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": ",".join(_NEEDED),
}


def judged(reply: Reply) -> Finding:
    """What the answer to an OPTIONS with `REQUEST` means."""
    headers = reply.headers
    allowed = headers.get("access-control-allow-origin", "").strip()
    facts = {"status": reply.status, "page": PAGE}
    if reply.status == 401:
        said = "The browser's preflight (OPTIONS) is asked for a token, which it cannot have."
        return failed(CHECK, said, "Leave OPTIONS open at the gateway; the calls themselves are not.", **facts)
    if reply.status >= 500:
        said = f"The browser's preflight (OPTIONS) fails with {reply.status}."
        return failed(CHECK, said, "Look into the server's log, and at the gateway's method for OPTIONS.", **facts)
    if allowed not in (PAGE, "*"):
        said = f"Pages of {PAGE}, such as MCP Inspector, may not ask; hosts that are no pages need no leave."
        return unknown(CHECK, said, "If pages are to ask, name their origins in ALLOWED_ORIGINS.", **facts)
    listed = {each.strip().lower() for each in headers.get("access-control-allow-headers", "").split(",")}
    # A * does not stand for Authorization: https://fetch.spec.whatwg.org/#cors-non-wildcard-request-header-name
    missing = [each for each in _NEEDED if each not in listed and ("*" not in listed or each == "authorization")]
    if missing:
        said = f"Pages may ask, but not send {', '.join(missing)} (Access-Control-Allow-Headers)."
        return failed(
            CHECK, said, "Add these to the gateway's or the proxy's answer to OPTIONS.", missing=missing, **facts
        )
    return ok(CHECK, f"Pages of {PAGE}, such as MCP Inspector, may ask.", **facts)


def judged_strange(reply: Reply) -> Finding:
    """Whether a server on this machine answers any page that its user has open, or a name that leads to it."""
    if reply.status < 400:
        said = f"A page of {STRANGE_PAGE} could ask this server on your own machine, in your name."
        return failed(STRANGERS, said, "Have it check Origin and Host; tollbook's server does.", status=reply.status)
    return ok(STRANGERS, "It answers no page of a strange origin.", status=reply.status)
