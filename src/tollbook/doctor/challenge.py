"""What a server says to whoever asks without a token. Pure.

Sources: RFC 6750 §3, RFC 9728 §5.1, and
https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization#protected-resource-metadata-discovery-requirements
"""

from collections.abc import Callable, Mapping
from typing import Final

import httpx2
import msgspec

from tollbook.client.login.guard import Realm
from tollbook.client.login.provider import Challenge, challenge_of
from tollbook.client.status import shown
from tollbook.doctor.asking import Reply
from tollbook.doctor.finding import Finding, failed, foreign, ok, unknown

CHECK: Final = "challenge"
_REAL: Final = "www-authenticate"
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
_RENAMED: Final = "x-amzn-remapped-www-authenticate"
_TEMPLATE: Final = (
    "Set the header in the gateway's own responses (UNAUTHORIZED and ACCESS_DENIED), as 'tollbook deploy' does, and "
    "let an authorizer there refuse first."
)
_ANSWER: Final = (
    "Have it send that header with each 401, with resource_metadata in it (RFC 9728 §5.1), as tollbook's server does. "
    "If a proxy stands before it, let that pass the header on."
)
# On what API Gateway answers, of a REST API and of an HTTP API.
_OF_GATEWAY: Final = ("x-amz-apigw-id", "x-amzn-errortype", "apigw-requestid")
_LOG: Final = "Look into the server's log; on Lambda, whether the function starts (init error)."


class Asked(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        challenge: what a login begins with; None if there is none to begin.
        is_open: it answered, and asks nobody to log in.
        wants_login: it asks for one, however badly.
    """

    finding: Finding
    challenge: Challenge | None = None
    is_open: bool = False
    wants_login: bool = False


def judged(reply: Reply, url: str, realm: Realm) -> Asked:
    """What the answer to a request without a token means.

    Args:
        reply: to a POST of an `initialize`.
    """
    if reply.status == 401:
        return msgspec.structs.replace(_refused(reply, url), wants_login=True)
    if reply.status < 300:
        return _answered(reply, url, realm)
    if 300 <= reply.status < 400:
        there = foreign(reply.headers.get("location", "")) or "elsewhere"
        return _lost(reply, f"{shown(url)} redirects to {there}.", "Use that address, if you trust it.")
    said = _STATUSES.get(reply.status) or (_broken if reply.status >= 500 else _strange)
    return said(reply, url)


def _refused(reply: Reply, url: str) -> Asked:
    remedy = _TEMPLATE if _is_of_gateway(reply, url) else _ANSWER
    renamed, real = reply.headers.get(_RENAMED), reply.headers.get(_REAL)
    facts = {"status": 401, "header": _REAL if real else _RENAMED if renamed else None}
    if not real:
        if renamed:
            said = (
                "API Gateway renames the server's WWW-Authenticate to x-amzn-remapped-www-authenticate, where hosts do "
                "not look for it."
            )
            return Asked(failed(CHECK, said, _TEMPLATE, **facts))
        said = "It answers 401 without WWW-Authenticate, so that a host does not learn where to log in."
        return Asked(failed(CHECK, said, remedy, **facts))
    found = challenge_of(httpx2.Response(401, headers=[(_REAL.encode(), real.encode("latin-1", "replace"))]))
    facts |= {"resource_metadata": found.metadata, "scope": " ".join(found.scopes)}
    if found == Challenge(401) and "bearer" not in real.lower():
        said = "Its WWW-Authenticate asks for something other than a bearer token, which is all that MCP knows."
        return Asked(failed(CHECK, said, remedy, **facts))
    if found.metadata is None:
        said = "Its WWW-Authenticate has no resource_metadata with a web address, where a login begins (RFC 9728 §5.1)."
        return Asked(failed(CHECK, said, remedy, **facts), found)
    scopes = f", and asks for {' '.join(found.scopes)}" if found.scopes else ""
    return Asked(ok(CHECK, f"It wants a login, says where that begins{scopes}.", **facts), found)


def _is_of_gateway(reply: Reply, url: str) -> bool:
    return ".execute-api." in url or any(name in reply.headers for name in _OF_GATEWAY)


def _answered(reply: Reply, url: str, realm: Realm) -> Asked:
    facts = {"status": reply.status, "content_type": reply.kind}
    if reply.kind not in ("application/json", "text/event-stream"):
        said = f"At {shown(url)} is no MCP server: it answers with {foreign(reply.kind) or 'something without a name'}."
        return Asked(failed(CHECK, said, "Check the address; most end in /mcp.", **facts))
    if reply.kind == "application/json" and not reply.is_cut and (reply.document or {}).get("jsonrpc") != "2.0":
        said = f"At {shown(url)} is no MCP server: what it answers is no JSON-RPC."
        return Asked(failed(CHECK, said, "Check the address; most end in /mcp.", **facts))
    if realm == "loopback":
        return Asked(ok(CHECK, "It asks nobody to log in, and only this machine reaches it.", **facts), is_open=True)
    if realm == "private":
        said = "It asks nobody to log in: whoever is in its network may ask."
        return Asked(unknown(CHECK, said, "If that is not meant, set AUTH_METHOD=oauth.", **facts), is_open=True)
    return Asked(
        failed(
            CHECK,
            "It asks nobody to log in: anyone in the world may ask.",
            "Set AUTH_METHOD=oauth, or see that the gateway's authorizer is attached; 'tollbook deploy' does both.",
            **facts,
        ),
        is_open=True,
    )


def _lost(reply: Reply, said: str, remedy: str) -> Asked:
    return Asked(failed(CHECK, said, remedy, status=reply.status, content_type=reply.kind))


def _forbidden(reply: Reply, url: str) -> Asked:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
    if b"Missing Authentication Token" in reply.body:
        return _lost(
            reply,
            f"API Gateway knows no such path: {shown(url)} (it says 'Missing Authentication Token').",
            "Check the address: it has the stage in it, as in https://ID.execute-api.REGION.amazonaws.com/v1/mcp.",
        )
    return _lost(
        reply,
        "It answers 403 to whoever has no token, so that no host begins a login.",
        "A firewall, a resource policy or an authorizer refuses first; let it answer 401 with WWW-Authenticate. If it "
        "is the server itself, its ALLOWED_ORIGINS or a proxy's rules are the cause.",
    )


def _no_post(reply: Reply, url: str) -> Asked:
    # RFC 9110 §15.6.2: the server does not know the method, for no resource. So says Python's http.server.
    said = f"At {shown(url)} is no MCP server: it takes no POST (501)."
    return _lost(reply, said, "Check the address and its port; most end in /mcp.")


def _misdirected(reply: Reply, url: str) -> Asked:
    host = shown(url).partition("//")[2].partition("/")[0]
    return _lost(
        reply,
        f"The server does not go by the name {host} (421).",
        "Set PUBLIC_URL to the address that clients use, or add the name to ALLOWED_HOSTS.",
    )


def _nothing(reply: Reply, url: str) -> Asked:
    return _lost(reply, f"Nothing is at {shown(url)} ({reply.status}).", "Check the address; most end in /mcp.")


def _too_many(reply: Reply, url: str) -> Asked:
    return _lost(reply, f"{shown(url)} has had too many requests (429).", "Wait a minute, and ask again.")


def _broken(reply: Reply, _url: str) -> Asked:
    # A REST API answers 502 where the function's answer has the wrong form, 504 where none comes:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
    why = {502: "the gateway got no valid answer from it", 503: "it is overloaded or down", 504: "it takes too long"}
    return _lost(reply, f"It fails with {reply.status}: {why.get(reply.status, 'its own fault')}.", _LOG)


def _strange(reply: Reply, url: str) -> Asked:
    return _lost(
        reply,
        f"{shown(url)} answers {reply.status} to whoever has no token, where 401 is wanted.",
        "Check the address; if it is right, its owner's log says why.",
    )


_STATUSES: Final[Mapping[int, Callable[[Reply, str], Asked]]] = {
    403: _forbidden,
    404: _nothing,
    405: _nothing,
    421: _misdirected,
    429: _too_many,
    501: _no_post,
}
