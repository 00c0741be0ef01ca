"""What both front doors do: they invoke a function with a request, and pass its answer on while it comes.

Sources:
    the form of an answer: https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
    a function that fails, or answers in another form: https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html
Not documented is what a client sees of an answer that fails in the middle: here its connection breaks.
"""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from tests.fakes.lambda_service.connections import Connection, Gone
from tests.fakes.lambda_service.invocations import FunctionError, Invocation

LARGEST_PRELUDE: Final = 16 << 10
"""Bytes within which the metadata and the eight NULs behind it must lie.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
"""
INTEGRATION_RESPONSE: Final = "application/vnd.awslambda.http-integration-response"
CLIENT: Final = "203.0.113.7"
"""Where every request comes from, as functions are told."""
JSON: Final = (("Content-Type", "application/json"),)
INTERNAL_SERVER_ERROR: Final = b'{"message": "Internal server error"}'

_END_OF_PRELUDE: Final = bytes(8)
_REMAPPED: Final = "x-amzn-remapped-"
_OWN: Final = {"content-length", "transfer-encoding", "connection", "keep-alive", "trailer", "upgrade", "te"}
_TEXT: Final = ("text/", "application/json", "application/javascript", "application/xml")


class WrongForm(Exception):
    """A function's answer is not of the form that it must have."""


class Prelude(NamedTuple):
    """Status and headers of an answer."""

    status: int
    headers: tuple[tuple[str, str], ...]


def values_of(query: str) -> dict[str, list[str]]:
    """The values of each name in a query, decoded."""
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        values.setdefault(name, []).append(value)
    return values


def event_body(body: bytes, content_type: str) -> dict[str, Any]:
    """A request's body as events have it: as text where that is what it is, else in base64.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
    """
    if not body:
        return {"body": None, "isBase64Encoded": False}
    if content_type.startswith(_TEXT) or "+json" in content_type:
        try:
            return {"body": body.decode("utf-8"), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(body).decode("ascii"), "isBase64Encoded": True}


def prelude_of(data: bytes) -> Prelude:
    """The metadata of an answer, which `data` is.

    Raises:
        WrongForm: it is none. AWS may be less strict.
    """
    try:
        metadata = json.loads(data)
        status = int(metadata["statusCode"])
        several = {name.lower(): list(values) for name, values in metadata.get("multiValueHeaders", {}).items()}
        for name, value in metadata.get("headers", {}).items():
            # https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
            # A pair that is in both counts once.
            if value not in several.setdefault(name.lower(), []):
                several[name.lower()].append(value)
        several.setdefault("set-cookie", []).extend(metadata.get("cookies", ()))
    except (ValueError, LookupError, TypeError, AttributeError) as fault:
        raise WrongForm from fault
    headers = tuple((name, str(value)) for name, values in several.items() for value in values)
    if not 200 <= status <= 599:
        raise WrongForm
    return Prelude(status, headers)


def passed_on(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Headers of a function's answer as the client gets them: WWW-Authenticate has another name.

    Sources:
        https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
        https://github.com/modelix/modelix.core/pull/1658
        https://github.com/dherault/serverless-offline/issues/236
    """
    return tuple(
        (f"{_REMAPPED}{name}" if name == "www-authenticate" else name, value)
        for name, value in headers
        if name not in _OWN
    )


async def pass_on(invocation: Invocation, connection: Connection) -> None:
    """Answers a client with what a function says, and tells the function's side when he leaves.

    Raises:
        Gone: the answer broke, or the client has left.
    """
    try:
        await connection.unless_left(_answer(invocation, connection))
    except Gone:
        invocation.leave()
        raise


async def _answer(invocation: Invocation, connection: Connection) -> None:
    parts = invocation.parts()
    try:
        prelude, first = await _prelude(invocation, parts)
    except (FunctionError, WrongForm):
        invocation.leave()
        await connection.answer(502, JSON, INTERNAL_SERVER_ERROR)
        return
    await connection.begin(prelude.status, passed_on(prelude.headers))
    await connection.send(first)
    try:
        async for part in parts:
            await connection.send(part)
    except FunctionError as failure:
        raise Gone from failure
    await connection.end()


async def _prelude(invocation: Invocation, parts: AsyncIterator[bytes]) -> tuple[Prelude, bytes]:
    """The prelude, and what came of the body together with it.

    Raises:
        FunctionError: the function failed before.
        WrongForm: there is none.
    """
    begun = b""
    async for part in parts:
        begun += part
        metadata, found, rest = begun.partition(_END_OF_PRELUDE)
        if len(metadata) + len(_END_OF_PRELUDE) > LARGEST_PRELUDE:
            break
        if found:
            if invocation.content_type != INTEGRATION_RESPONSE:
                break
            return prelude_of(metadata), rest
    raise WrongForm
