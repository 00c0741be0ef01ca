"""Events of API Gateway and of function URLs, as the HTTP requests that they stand for. Nothing here reads or writes.

Whoever may invoke the function can send any event: what is not one of these is refused, and nothing in an event but
the request itself is believed by what is behind.

Sources:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
    https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

import msgspec

from tollbook.hosting.runtime.framing import Headers, metadata_of

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 §5.5
_PARAMETER: Final = re.compile(r"\{([^{}+]+)\+?\}")
_MOST_PARAMETERS: Final = 20
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f.:]{2,45}")
_LONGEST: Final = 64 << 10
"""Characters of path and query together; API Gateway takes fewer:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html"""
_FUNCTION_URL: Final = ".lambda-url."
_NOT_ASCII_SAFE: Final = "/:@!$&'()*+,;=-._~%"


class UnknownEvent(ValueError):
    """An event stands for no HTTP request; the message is a sentence and quotes nothing of it."""


class HttpRequest(msgspec.Struct, frozen=True):
    """An HTTP request that came as an event.

    Attributes:
        scope: ASGI's; `path` is that which the client asked for, `root_path` the stage or base path before the app's
            own. `aws.event` holds the event without its body.
        body: whole.
        is_rest: whether it came through a REST API.
        can_stream: whether where it came from passes on a response that is streamed. HTTP APIs do not.
    """

    scope: dict[str, Any]
    body: bytes
    is_rest: bool
    can_stream: bool


class _Identity(msgspec.Struct):
    sourceIp: str = ""


class _RestContext(msgspec.Struct):
    path: str = ""
    stage: str = ""
    elb: object = None
    domainName: str = ""
    identity: _Identity = msgspec.field(default_factory=_Identity)


class _RestEvent(msgspec.Struct):
    """Payload format 1.0."""

    httpMethod: str
    path: str
    requestContext: _RestContext
    version: str = ""
    resource: str = ""
    headers: dict[str, str] | None = None
    multiValueHeaders: dict[str, list[str]] | None = None
    queryStringParameters: dict[str, str] | None = None
    multiValueQueryStringParameters: dict[str, list[str]] | None = None
    pathParameters: dict[str, str] | None = None
    body: str | None = None
    isBase64Encoded: bool = False


class _Http(msgspec.Struct):
    method: str
    sourceIp: str = ""


class _UrlContext(msgspec.Struct):
    http: _Http
    domainName: str = ""
    stage: str = "$default"


class _UrlEvent(msgspec.Struct):
    """Payload format 2.0, of HTTP APIs and of function URLs."""

    rawPath: str
    requestContext: _UrlContext
    routeKey: str = ""
    rawQueryString: str = ""
    headers: dict[str, str] = {}
    cookies: list[str] | None = None
    pathParameters: dict[str, str] | None = None
    body: str | None = None
    isBase64Encoded: bool = False


def read_event(event: object) -> HttpRequest:
    """The request that a decoded event stands for.

    Raises:
        UnknownEvent: it stands for none.
    """
    if not isinstance(event, dict):
        raise UnknownEvent("The event is no JSON object.")
    try:
        if "httpMethod" in event:
            return _from_rest(msgspec.convert(event, _RestEvent), event)
        return _from_url(msgspec.convert(event, _UrlEvent), event)
    except msgspec.ValidationError as fault:
        raise UnknownEvent(
            "The event is neither one of API Gateway's (proxy integration) nor one of a function URL."
        ) from fault


def _from_rest(event: _RestEvent, whole: Mapping[str, Any]) -> HttpRequest:
    headers = event.multiValueHeaders or _each(event.headers)
    query = event.multiValueQueryStringParameters or _each(event.queryStringParameters)
    context = event.requestContext
    if context.elb is not None:
        raise UnknownEvent("The event is a load balancer's, which is not served.")
    path = context.path or event.path
    body = _body(event.body, event.isBase64Encoded)
    scope = _scope(
        method=event.httpMethod,
        path=path,
        root_path=_root_of(path, context.stage, event.resource, event.pathParameters),
        query=urlencode(query, doseq=True),  # what was decoded on the way
        headers=((name, value) for name, values in headers.items() for value in values),
        domain=context.domainName,
        client=context.identity.sourceIp,
        event=whole,
        body=body,
    )
    can_stream = event.version != "1.0"  # which only HTTP APIs say
    return HttpRequest(scope, body, is_rest=True, can_stream=can_stream)


def _from_url(event: _UrlEvent, whole: Mapping[str, Any]) -> HttpRequest:
    headers = list(event.headers.items())
    if event.cookies:
        headers = [each for each in headers if each[0].lower() != "cookie"]
        headers.append(("cookie", "; ".join(event.cookies)))  # RFC 6265 §5.4
    context = event.requestContext
    route = event.routeKey.partition(" ")[2]
    body = _body(event.body, event.isBase64Encoded)
    scope = _scope(
        method=context.http.method,
        path=event.rawPath,
        root_path=_root_of(event.rawPath, context.stage, route, event.pathParameters),
        query=event.rawQueryString,
        headers=headers,
        domain=context.domainName,
        client=context.http.sourceIp,
        event=whole,
        body=body,
    )
    return HttpRequest(scope, body, is_rest=False, can_stream=_FUNCTION_URL in context.domainName)


def _each(values: Mapping[str, str] | None) -> dict[str, list[str]]:
    return {name: [value] for name, value in (values or {}).items()}


def _root_of(path: str, stage: str, resource: str, parameters: Mapping[str, str] | None) -> str:
    """What stands in `path` before the app's own: a stage or a base path.

    Args:
        resource: what was matched after it, `/{proxy+}` for example; or empty, where there are no such things.
        parameters: what stands in `path` for the names in `resource`.
    """
    if len(path) + len(resource) <= _LONGEST and resource:
        known = parameters or {}
        filled = _PARAMETER.sub(lambda found: known.get(found[1], "")[: len(path)], resource, _MOST_PARAMETERS)
        whole, matched = unquote(path).rstrip("/"), unquote(filled).rstrip("/")
        if whole.endswith(matched):
            return whole.removesuffix(matched)
    return f"/{stage}" if f"{path}/".startswith(f"/{stage}/") else ""


def _body(text: str | None, is_base64: bool) -> bytes:
    if not is_base64:
        return (text or "").encode("utf-8")
    try:
        return base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        raise UnknownEvent("The event's body is said to be base64 and is not.") from None


def _scope(
    *,
    method: str,
    path: str,
    root_path: str,
    query: str,
    headers: Iterable[tuple[str, str]],
    domain: str,
    client: str,
    event: Mapping[str, Any],
    body: bytes,
) -> dict[str, Any]:
    """An ASGI scope, to which `apps` adds what it knows.

    Args:
        domain: the name of the API.
        client: his address.
    """
    if not (_TOKEN.fullmatch(method) and path.startswith("/")):
        raise UnknownEvent("The event has no method or no path.")
    if len(path) + len(query) > _LONGEST:
        raise UnknownEvent("The event has too long a path.")
    lines = _lines(headers)
    if not any(name == b"host" for name, _ in lines) and domain:
        lines += _lines([("host", domain)])
    # Said once, and rightly: the body was decoded, and came in one piece.
    lines = [each for each in lines if each[0] not in (b"content-length", b"transfer-encoding")]
    if body:
        lines.append((b"content-length", b"%d" % len(body)))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method.upper(),
        "scheme": "https",
        "path": unquote(path),
        "raw_path": quote(path, safe=_NOT_ASCII_SAFE).encode("ascii"),
        "query_string": quote(query, safe=f"{_NOT_ASCII_SAFE}?").encode("ascii"),
        "root_path": root_path,
        "headers": lines,
        "client": (client, 0) if _ADDRESS.fullmatch(client) else None,
        "server": (domain, 443) if domain else None,
        "aws.event": {name: value for name, value in event.items() if name != "body"},
    }


def _lines(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    lines = []
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or _CONTROL.search(value):
            raise UnknownEvent("The event has a header that no HTTP request can have.")
        lines.append((name.lower().encode("ascii"), _bytes(value.strip(" \t"))))
    return lines


def _bytes(text: str) -> bytes:
    """As it was on the wire: in Latin-1, or whatever else it was that was taken for UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8")


def buffered(status: int, headers: Headers, body: bytes, *, is_rest: bool) -> bytes:
    """A whole answer as one JSON document: for what passes on no stream."""
    document = metadata_of(status, headers, is_rest=is_rest)
    try:
        document |= {"body": body.decode("utf-8"), "isBase64Encoded": False}
    except UnicodeDecodeError:
        document |= {"body": base64.b64encode(body).decode("ascii"), "isBase64Encoded": True}
    return msgspec.json.encode(document)
