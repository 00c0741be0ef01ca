"""JSON-RPC 2.0 as MCP uses it: bytes in, one of three messages out; and back.

Source: https://www.jsonrpc.org/specification and
https://modelcontextprotocol.io/specification/2025-11-25/basic#messages
"""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

import msgspec

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
CANCELLED: Final = -32800
"""What the SDK answers a cancelled request of the handshake era with, after LSP's RequestCancelled."""

Id = str | int
Params = Mapping[str, Any]


class Request(msgspec.Struct, frozen=True):
    """A call that is owed an answer."""

    id: Id
    method: str
    params: Params | None


class Notification(msgspec.Struct, frozen=True):
    """A message that is owed none."""

    method: str
    params: Params | None


class Response(msgspec.Struct, frozen=True):
    """The other side's answer to a request of ours: `body` is the message, with `result` or `error`."""

    id: Id
    body: Mapping[str, Any]


Message = Request | Notification | Response


class Malformed(Exception):
    """What came is no message; carries the error to answer with, and the id if it could be read."""

    def __init__(self, code: int, message: str, request_id: Id | None = None) -> None:
        super().__init__(message)
        self.code, self.request_id = code, request_id


def parsed(body: bytes, deepest: int) -> Any:
    """The JSON in `body`.

    Raises:
        Malformed: it is none, or nested deeper than `deepest`.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as fault:
        raise Malformed(PARSE_ERROR, "The body is not JSON.") from fault
    if _is_deeper(document, deepest):
        raise Malformed(INVALID_REQUEST, f"The body is nested more than {deepest} levels deep.")
    return document


def message_of(document: object) -> Message:
    """The message that `document` is.

    Raises:
        Malformed: it is none.
    """
    if not isinstance(document, dict):
        raise Malformed(INVALID_REQUEST, "The body must be one JSON-RPC message.")
    request_id = document.get("id")
    if not is_id(request_id):
        request_id = None
    if document.get("jsonrpc") != "2.0":
        raise Malformed(INVALID_REQUEST, 'A message must have "jsonrpc": "2.0".', request_id)
    if "id" in document and request_id is None:
        raise Malformed(INVALID_REQUEST, "An id must be a string or an integer.")
    if "method" not in document:
        if request_id is None or ("result" in document) == ("error" in document):
            raise Malformed(
                INVALID_REQUEST, "A message needs a method, or an id and either result or error.", request_id
            )
        return Response(request_id, document)
    method, params = document["method"], document.get("params")
    if not isinstance(method, str) or not method:
        raise Malformed(INVALID_REQUEST, "A method must be a string.", request_id)
    if params is not None and not isinstance(params, dict):
        raise Malformed(INVALID_PARAMS, "MCP takes params by name: an object.", request_id)
    return Notification(method, params) if request_id is None else Request(request_id, method, params)


def result(request_id: Id, value: Mapping[str, Any]) -> bytes:
    return written({"jsonrpc": "2.0", "id": request_id, "result": value})


def error(request_id: Id | None, code: int, message: str, data: object = None) -> bytes:
    fault: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        fault["data"] = data
    return written({"jsonrpc": "2.0", "id": request_id, "error": fault})


def notification(method: str, params: Params | None) -> bytes:
    return written({"jsonrpc": "2.0", "method": method, **_given(params)})


def request(request_id: Id, method: str, params: Params | None) -> bytes:
    return written({"jsonrpc": "2.0", "id": request_id, "method": method, **_given(params)})


def written(document: object) -> bytes:
    """`document` as JSON on one line."""
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:  # a lone surrogate, which JSON can only say as an escape
        return json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")


def is_id(value: object) -> TypeGuard[Id]:
    """Whether `value` may be the id of a request."""
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


def _given(params: Params | None) -> dict[str, Any]:
    return {} if params is None else {"params": params}


def _is_deeper(document: object, levels: int) -> bool:
    layer = [document]
    for _ in range(levels):
        layer = [
            child
            for node in layer
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not layer:
            return False
    return True
