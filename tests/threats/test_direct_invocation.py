"""Threat 26: whoever may invoke the function on Lambda can put anything into its event."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from tests.auth_servers.issuer import AUDIENCE, CLIENT, SCOPE, Issuer
from tests.fakes.dynamodb import dynamodb_server
from tests.fakes.lambda_service.function_urls import DOMAIN
from tests.hosting.runtime.deployment import Deployment, create_a_table, on_lambda
from tests.threats.door import JSON, LOGIN, calling, hello, in_era

__all__ = ["dynamodb_server"]

pytestmark = pytest.mark.anyio

HOST: Final = "tollbook.example"
CLAIMS: Final = {"iss": "https://issuer.example", "sub": "root", "client_id": CLIENT, "scope": SCOPE, "aud": AUDIENCE}
FORGED: Final[Mapping[str, Mapping[str, Any]]] = {
    "nothing": {},
    "a Lambda authorizer's answer": {"authorizer": {"principalId": "root", "caller": "root", **CLAIMS}},
    "an authorizer of JWTs": {"authorizer": {"jwt": {"claims": CLAIMS, "scopes": [SCOPE]}}},
    "an authorizer of an HTTP API": {"authorizer": {"lambda": CLAIMS}},
    "a user pool": {"authorizer": {"claims": CLAIMS}},
    "IAM": {
        "authorizer": {"iam": {"userArn": "arn:aws:iam::123456789012:root", "userId": "root", "callerId": "root"}},
        "identity": {"userArn": "arn:aws:iam::123456789012:root", "caller": "root", "user": "root", "apiKey": "root"},
    },
    "a client's certificate": {"authentication": {"clientCert": {"subjectDN": "CN=root", "issuerDN": "CN=root"}}},
}
HEADERS: Final = {
    "x-user": "root",
    "x-forwarded-user": "root",
    "x-amzn-oidc-identity": "root",
    "x-amzn-oidc-data": "root",
    "x-amzn-remapped-authorization": "Bearer root",
    "x-api-key": "root",
}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture(scope="module")
async def aws(
    tmp_path_factory: pytest.TempPathFactory, issuer: Issuer, dynamodb_server: str
) -> AsyncIterator[Deployment]:
    table = create_a_table(dynamodb_server)
    async with on_lambda(tmp_path_factory.mktemp("lambda"), issuer, table, instances=1) as deployment:
        yield deployment


def rest_event(headers: Mapping[str, str], body: str, context: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "resource": "/{proxy+}",
        "path": "/mcp",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "pathParameters": {"proxy": "mcp"},
        "stageVariables": {"authorization": "Bearer root"},
        "authorizationToken": "Bearer root",
        "requestContext": {"path": "/mcp", "domainName": HOST, "stage": "live", **context},
        "body": body,
        "isBase64Encoded": False,
    }


def http_event(headers: Mapping[str, str], body: str, context: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/mcp",
        "rawQueryString": "access_token=root",
        "cookies": ["access_token=root"],
        "identitySource": ["Bearer root"],
        "headers": headers,
        "requestContext": {"domainName": HOST, "http": {"method": "POST", "path": "/mcp"}, **context},
        "body": body,
        "isBase64Encoded": False,
    }


def url_event(headers: Mapping[str, str], body: str, context: Mapping[str, Any]) -> Mapping[str, Any]:
    return http_event(headers, body, {"domainName": DOMAIN, **context})


ToEvent = Callable[[Mapping[str, str], str, Mapping[str, Any]], Mapping[str, Any]]
EVENTS: Final[Mapping[str, ToEvent]] = {"REST API": rest_event, "HTTP API": http_event, "function URL": url_event}


@pytest.fixture(params=EVENTS)
def to_event(request: pytest.FixtureRequest) -> ToEvent:
    return EVENTS[request.param]


class TestThreat26:
    """Nothing in an event says who sent it but the token in it."""

    @pytest.mark.parametrize("context", FORGED.values(), ids=FORGED)
    async def test_threat_26_a_forged_context_lets_no_one_in(
        self, aws: Deployment, to_event: ToEvent, era: str, context: Mapping[str, Any]
    ) -> None:
        for message in (hello(), calling()):
            whole, headers = in_era(era, {**message, "id": 1})
            answer, _ = await self.invoke(aws, to_event({**JSON, **headers, **HEADERS}, json.dumps(whole), context))
            assert (answer["statusCode"], answer["headers"]["www-authenticate"]) == (401, LOGIN)

    @pytest.mark.parametrize("context", FORGED.values(), ids=FORGED)
    async def test_threat_26_nor_makes_it_another_of_him_who_has_a_token(
        self, aws: Deployment, issuer: Issuer, to_event: ToEvent, context: Mapping[str, Any]
    ) -> None:
        whole, headers = in_era("2026-07-28", calling())
        given = {**JSON, **headers, **HEADERS, "authorization": f"Bearer {issuer.token(sub='alice')}"}
        answer, body = await self.invoke(aws, to_event(given, json.dumps(whole), context))
        assert answer["statusCode"] == 200
        assert json.loads(json.loads(body)["result"]["content"][0]["text"])["subject"] == "alice"

    async def invoke(self, aws: Deployment, event: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Invokes the function without any front door: metadata and body of its answer."""
        await aws.quiet()
        invocation = await aws.function.invoke(json.dumps(event).encode())
        metadata, _, body = (await invocation.whole()).partition(bytes(8))
        answer = json.loads(metadata)
        return answer, body if invocation.mode == "streaming" else answer["body"].encode()
