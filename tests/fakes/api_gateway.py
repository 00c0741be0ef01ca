"""API Gateway, as a Lambda authorizer meets it: the events that it sends, and what it makes of the answers.

Every event is AWS's own example, but for its method, its path and its Authorization headers.

Sources:
    TOKEN and REQUEST of a REST API:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-input.html
    both formats of an HTTP API, and their answers:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
    what a REST API takes for an answer:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
"""

import fnmatch
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

Event = dict[str, Any]
Authorize = Callable[[Any], Any]

STAGE: Final = "arn:aws:execute-api:us-east-1:123456789012:abcdef123/test"
ARN: Final = f"{STAGE}/POST/mcp"

_LARGEST_RESOURCE: Final = 512  # characters of the ARN in a policy

_CERTIFICATE: Final = {
    "clientCertPem": "CERT_CONTENT",
    "subjectDN": "www.example.com",
    "issuerDN": "Example issuer",
    "serialNumber": "a1:a1:a1:a1:a1:a1:a1:a1:a1:a1:a1:a1:a1:a1:a1:a1",
    "validity": {"notBefore": "May 28 12:30:02 2019 GMT", "notAfter": "Aug  5 09:36:04 2021 GMT"},
}
_HEADERS: Final = {
    "X-AMZ-Date": "20170718T062915Z",
    "Accept": "*/*",
    "HeaderAuth1": "headerValue1",
    "CloudFront-Viewer-Country": "US",
    "CloudFront-Forwarded-Proto": "https",
    "CloudFront-Is-Tablet-Viewer": "false",
    "CloudFront-Is-Mobile-Viewer": "false",
    "User-Agent": "...",
}


def token_event(*authorization: str, arn: str = ARN) -> Event:
    """What a TOKEN authorizer of a REST API is sent: one header's value. Without one it is not called at all."""
    (value,) = authorization or ("",)
    return {"type": "TOKEN", "authorizationToken": value, "methodArn": arn}


def request_event(*authorization: str, arn: str = ARN) -> Event:
    """What a REQUEST authorizer of a REST API is sent.

    `headers` has the last value of each, `multiValueHeaders` has all:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
    """
    several = {name: [value] for name, value in _HEADERS.items()}
    if authorization:
        several["Authorization"] = list(authorization)
    return {
        "type": "REQUEST",
        "methodArn": arn,
        "resource": "/mcp",
        "path": "/mcp",
        "httpMethod": "POST",
        "headers": {name: values[-1] for name, values in several.items()},
        "multiValueHeaders": several,
        "queryStringParameters": {"QueryString1": "queryValue1"},
        "pathParameters": {},
        "stageVariables": {"StageVar1": "stageValue1"},
        "requestContext": _context(),
    }


def http_event(*authorization: str, arn: str = ARN) -> Event:
    """What an authorizer of an HTTP API is sent in format 2.0: headers in lower case, of several the values in one.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    return {
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": arn,
        "identitySource": list(authorization),
        "routeKey": "POST /mcp",
        "rawPath": "/mcp",
        "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=value",
        "cookies": ["cookie1", "cookie2"],
        "headers": {"accept": "*/*", **({"authorization": ",".join(authorization)} if authorization else {})},
        "queryStringParameters": {"parameter1": "value1,value2", "parameter2": "value"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api-id",
            "authentication": {"clientCert": _CERTIFICATE},
            "domainName": "id.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "id",
            "http": {
                "method": "POST",
                "path": "/mcp",
                "protocol": "HTTP/1.1",
                "sourceIp": "IP",
                "userAgent": "agent",
            },
            "requestId": "id",
            "routeKey": "POST /mcp",
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        "pathParameters": {"parameter1": "value1"},
        "stageVariables": {"stageVariable1": "value1", "stageVariable2": "value2"},
    }


def old_http_event(*authorization: str, arn: str = ARN) -> Event:
    """What an authorizer of an HTTP API is sent in format 1.0."""
    joined = ",".join(authorization)
    return {
        "version": "1.0",
        "type": "REQUEST",
        "methodArn": arn,
        "identitySource": joined,
        "authorizationToken": joined,
        "resource": "/mcp",
        "path": "/mcp",
        "httpMethod": "POST",
        "headers": {**_HEADERS, **({"Authorization": joined} if authorization else {})},
        "queryStringParameters": {"QueryString1": "queryValue1"},
        "pathParameters": {},
        "stageVariables": {"StageVar1": "stageValue1"},
        "requestContext": _context(),
    }


EVENTS: Final[Mapping[str, Callable[..., Event]]] = {
    "REST, TOKEN": token_event,
    "REST, REQUEST": request_event,
    "HTTP, 1.0": old_http_event,
    "HTTP, 2.0": http_event,
}
"""Makes an event of the Authorization headers of a request and of the ARN of its method, by the kind of API."""


def status(authorize: Authorize, event: Event) -> int:
    """What API Gateway answers to the request behind `event`; 200 if it lets it through.

    With format 2.0, simple responses are switched on.
    """
    try:
        answer = json.loads(json.dumps(authorize(event)))
    except Exception as fault:
        return 401 if str(fault) == "Unauthorized" else 500
    if event.get("version") == "2.0":
        if not _is_simple_answer(answer):
            return 500
        return 200 if answer["isAuthorized"] else 403
    if not _is_policy_answer(answer):
        return 500
    return 200 if allows(answer, event["methodArn"]) else 403


def allows(answer: Mapping[str, Any], arn: str) -> bool:
    """Whether a policy lets the method of that ARN be called, which need not be the one it was made for.

    A policy is kept for as long as the authorizer's TTL says, and serves every request with the same credential.
    """
    (statement,) = answer["policyDocument"]["Statement"]
    return statement["Effect"] == "Allow" and fnmatch.fnmatchcase(arn, statement["Resource"])


def _is_simple_answer(answer: Any) -> bool:
    return (
        isinstance(answer, dict)
        and answer.keys() <= {"isAuthorized", "context"}
        and isinstance(answer.get("isAuthorized"), bool)
        and _is_context(answer.get("context", {}))
    )


def _is_policy_answer(answer: Any) -> bool:
    if not isinstance(answer, dict) or not answer.keys() <= {"principalId", "policyDocument", "context"}:
        return False
    document = answer.get("policyDocument")
    if not (isinstance(document, dict) and document.keys() == {"Version", "Statement"}):
        return False
    return (
        isinstance(answer.get("principalId"), str)
        and bool(answer["principalId"])
        and document["Version"] == "2012-10-17"
        and all(map(_is_statement, document["Statement"]))
        and _is_context(answer.get("context", {}))
    )


def _is_statement(statement: Mapping[str, Any]) -> bool:
    return (
        statement.keys() == {"Action", "Effect", "Resource"}
        and statement["Action"] == "execute-api:Invoke"
        and statement["Effect"] in ("Allow", "Deny")
        and len(statement["Resource"]) <= _LARGEST_RESOURCE
    )


def _is_context(context: Any) -> bool:
    """A REST API takes neither lists nor maps in it."""
    return isinstance(context, dict) and all(isinstance(value, str) for value in context.values())


def _context() -> Event:
    return {
        "path": "/mcp",
        "accountId": "123456789012",
        "resourceId": "05c7jb",
        "stage": "test",
        "requestId": "...",
        "identity": {"apiKey": "...", "sourceIp": "...", "clientCert": _CERTIFICATE},
        "resourcePath": "/mcp",
        "httpMethod": "POST",
        "apiId": "abcdef123",
    }
