"""A function URL that streams: `InvokeMode: RESPONSE_STREAM`, `AuthType: NONE`.

Sources:
    events: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
    429, and 5xx for errors and timeouts: https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html
    and https://docs.aws.amazon.com/lambda/latest/dg/urls-monitoring.html
"""

import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from tests.fakes.lambda_service.connections import Connection, Request, TooLarge, listening
from tests.fakes.lambda_service.doors import CLIENT, JSON, event_body, pass_on, values_of
from tests.fakes.lambda_service.functions import EventTooLarge, Function, Throttled
from tests.fakes.lambda_service.instances import REGION
from tests.fakes.lambda_service.invocations import LARGEST_EVENT, a_trace_id

URL_ID: Final = "abcdefghijklmnopqrstuvwxyz012345"
DOMAIN: Final = f"{URL_ID}.lambda-url.{REGION}.on.aws"


@asynccontextmanager
async def function_url(function: Function) -> AsyncIterator[str]:
    """The address of a function, without a path, until the end of the block."""

    async def serve(connection: Connection, request: Request) -> None:
        try:
            event = _event(request, await connection.body(LARGEST_EVENT))
            trace_id = event["headers"]["x-amzn-trace-id"]
            invocation = await function.invoke(json.dumps(event).encode(), trace_id)
        except (TooLarge, EventTooLarge):
            await connection.answer(413, JSON, b'{"Message":"Request must be smaller than 6291456 bytes"}')
        except Throttled:
            await connection.answer(429, JSON, b'{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded"}')
        else:
            await pass_on(invocation, connection)

    async with listening(serve) as port:
        yield f"http://127.0.0.1:{port}"


def _event(request: Request, body: bytes) -> dict[str, Any]:
    """Header names are in lower case, and of several the values in one, but for cookies."""
    now = time.time()
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in request.headers:
        if name.lower() == "cookie":
            cookies += value.split("; ")
        elif name.lower() not in ("host", "connection", "transfer-encoding"):
            headers[name.lower()] = f"{headers[name.lower()]},{value}" if name.lower() in headers else value
    headers |= {
        "host": DOMAIN,
        "x-amzn-trace-id": a_trace_id(now),
        "x-forwarded-for": CLIENT,
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    }
    query = values_of(request.query)
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path,
        "rawQueryString": request.query,
        **({"cookies": cookies} if cookies else {}),
        "headers": headers,
        **({"queryStringParameters": {name: ",".join(values) for name, values in query.items()}} if query else {}),
        "requestContext": {
            "accountId": "anonymous",
            "apiId": URL_ID,
            "domainName": DOMAIN,
            "domainPrefix": URL_ID,
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": CLIENT,
                "userAgent": request.value("user-agent"),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        **event_body(body, request.value("content-type")),
    }
