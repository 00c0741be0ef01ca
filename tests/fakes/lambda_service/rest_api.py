"""A REST API whose one method hands all to a function, and streams its answer: `ResponseTransferMode: STREAM`.

Sources:
    events: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
    streaming: https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
    limits: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
    refusals: https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
    errors of the function: https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html
Not played: that a stream ends after 15 minutes, or after 5 without a byte, and that it is slowed down beyond 10 MB.
"""

import fnmatch
import json
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from tests.fakes.lambda_service.authorizers import Authorizer
from tests.fakes.lambda_service.connections import Connection, Request, TooLarge, listening
from tests.fakes.lambda_service.doors import CLIENT, INTERNAL_SERVER_ERROR, JSON, event_body, pass_on, values_of
from tests.fakes.lambda_service.functions import EventTooLarge, Function, Throttled
from tests.fakes.lambda_service.instances import ACCOUNT, REGION
from tests.fakes.lambda_service.invocations import a_trace_id

API_ID: Final = "abcdef1234"
LARGEST_REQUEST: Final = 10 << 20
"""Bytes of a request's body."""
OPEN: Final = ("OPTIONS *", "* /.well-known/*", "* /healthz")
"""Methods and paths that need no authorization."""

_LOOPBACK: Final = ("127.0.0.1", "localhost")


class RestApi(msgspec.Struct, frozen=True, kw_only=True):
    """How an API is configured.

    Attributes:
        domain: the name that clients know it by.
        stage: see `at_root`.
        at_root: whether a custom domain is mapped to the stage; else paths begin with it.
        authorizer: asked before every method that is not open.
        responses: headers of the gateway responses, by the type of these: UNAUTHORIZED, ACCESS_DENIED or
            AUTHORIZER_FAILURE.
        binary: media types whose bodies come in base64.
    """

    domain: str = "tollbook.example"
    stage: str = "live"
    at_root: bool = True
    authorizer: Authorizer | None = None
    responses: Mapping[str, Mapping[str, str]] = {}
    binary: tuple[str, ...] = ()


@asynccontextmanager
async def rest_api(function: Function, api: RestApi) -> AsyncIterator[str]:
    """The address of an API before `function`, without a path, until the end of the block."""
    door = _Door(function, api)
    async with listening(door.serve) as port:
        yield f"http://127.0.0.1:{port}{'' if api.at_root else f'/{api.stage}'}"


class _Door:
    def __init__(self, function: Function, api: RestApi) -> None:
        self._function, self._api = function, api

    async def serve(self, connection: Connection, request: Request) -> None:
        try:
            body = await connection.body(LARGEST_REQUEST)
        except TooLarge:
            # Seen, as the next one of 413: https://github.com/koki-develop/lgtm-generator/issues/10
            await connection.answer(413, (), f"HTTP content length exceeded {LARGEST_REQUEST} bytes.".encode())
            return
        path = self._path(request)
        if path is None:
            await _refuse(connection, 403, {"message": "Forbidden"})
            return
        event = self._event(request, path, body)
        if self._api.authorizer is not None and not _is_open(request.method, path):
            arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{API_ID}/{self._api.stage}/{request.method}{path}"
            ruling = await self._api.authorizer.ruling(event, arn)
            if ruling.status != 200:
                kind, document = _REFUSALS[ruling.status]
                await _refuse(connection, ruling.status, document, self._api.responses.get(kind, {}))
                return
            event["requestContext"]["authorizer"] = dict(ruling.context)
        trace_id = event["headers"]["X-Amzn-Trace-Id"]
        try:
            invocation = await self._function.invoke(json.dumps(event).encode(), trace_id)
        except EventTooLarge:
            await _refuse(connection, 413, {"message": "Request Too Long"})
        except Throttled:
            await connection.answer(500, JSON, INTERNAL_SERVER_ERROR)
        else:
            await pass_on(invocation, connection)

    def _path(self, request: Request) -> str | None:
        """The path that the function is told; None if the API is not at that address."""
        host = request.value("host").partition(":")[0]
        if host not in (*_LOOPBACK, self._api.domain):
            return None
        prefix = "" if self._api.at_root else f"/{self._api.stage}"
        return request.path.removeprefix(prefix) if request.path.startswith(f"{prefix}/") else None

    def _event(self, request: Request, path: str, body: bytes) -> dict[str, Any]:
        api, now, trace_id = self._api, time.time(), a_trace_id(time.time())
        several: dict[str, list[str]] = {"Host": [api.domain]}
        for name, value in request.headers:
            if name.lower() not in ("host", "connection", "transfer-encoding", "content-length"):
                several.setdefault(name, []).append(value)
        several |= {
            "X-Amzn-Trace-Id": [trace_id],
            "X-Forwarded-For": [*several.get("X-Forwarded-For", ()), CLIENT],
            "X-Forwarded-Port": ["443"],
            "X-Forwarded-Proto": ["https"],
        }
        query = values_of(request.query)
        media_type = request.value("content-type").partition(";")[0]
        is_binary = any(fnmatch.fnmatchcase(media_type, each) for each in api.binary)
        text = {"body": body.decode("utf-8", "replace") or None, "isBase64Encoded": False}
        return {
            "resource": "/{proxy+}",
            "path": path,
            "httpMethod": request.method,
            "headers": {name: values[-1] for name, values in several.items()},
            "multiValueHeaders": several,
            "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": {"proxy": path.removeprefix("/")},
            "stageVariables": None,
            "requestContext": {
                "accountId": ACCOUNT,
                "apiId": API_ID,
                "domainName": api.domain,
                "domainPrefix": api.domain.partition(".")[0],
                "extendedRequestId": secrets.token_urlsafe(11),
                "httpMethod": request.method,
                "identity": {"sourceIp": CLIENT, "userAgent": request.value("user-agent"), "userArn": None},
                "path": path if api.at_root else f"/{api.stage}{path}",
                "protocol": "HTTP/1.1",
                "requestId": str(uuid.uuid4()),
                "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
                "requestTimeEpoch": int(now * 1000),
                "resourceId": "x1y2z3",
                "resourcePath": "/{proxy+}",
                "stage": api.stage,
            },
            **(event_body(body, "") if is_binary else text),
        }


_REFUSALS: Final[Mapping[int, tuple[str, Mapping[str, str | None]]]] = {
    401: ("UNAUTHORIZED", {"message": "Unauthorized"}),
    403: ("ACCESS_DENIED", {"Message": "User is not authorized to access this resource with an explicit deny"}),
    500: ("AUTHORIZER_FAILURE", {"message": None}),
}


async def _refuse(
    connection: Connection, status: int, body: Mapping[str, str | None], headers: Mapping[str, str] | None = None
) -> None:
    await connection.answer(status, (*JSON, *(headers or {}).items()), json.dumps(body).encode())


def _is_open(method: str, path: str) -> bool:
    return any(fnmatch.fnmatchcase(f"{method} {path}", pattern) for pattern in OPEN)
