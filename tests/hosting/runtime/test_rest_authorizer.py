"""The stand-in for an API's authorizer keeps to what AWS documents of it; see test_service.py.

What the real one answers is shown in test_at_the_gateway.py.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import pytest

from tests.fakes.lambda_service import Authorizer, Function, RestApi, deployed, rest_api
from tests.fakes.lambda_service.rest_api import API_ID
from tests.hosting.runtime.by_hand import OK, idle, runtime_of
from tests.hosting.serving import SetClock, until

pytestmark = pytest.mark.anyio


class TestTheAuthorizer:
    STAGE = f"arn:aws:execute-api:eu-west-1:123456789012:{API_ID}/live"
    RESPONSES: ClassVar = {
        "UNAUTHORIZED": {"WWW-Authenticate": 'Bearer scope="mcp"'},
        "ACCESS_DENIED": {"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
    }

    @pytest.fixture
    async def gateway(self, tmp_path: Path, http: httpx2.AsyncClient, clock: SetClock) -> AsyncIterator["Gateway"]:
        async with (
            deployed(idle(tmp_path, name="authorizer"), most=1) as asked,
            deployed(idle(tmp_path, name="behind"), most=1) as behind,
        ):
            authorizer = Authorizer(asked, clock, ttl_s=60)
            async with rest_api(behind, RestApi(authorizer=authorizer, responses=self.RESPONSES)) as url:
                gateway = Gateway(url, http, authorizer, asked, behind)
                async with gateway.playing(asked, gateway.rule), gateway.playing(behind, lambda _: OK):
                    yield gateway

    def policy(self, effect: str, resource: str = "/*") -> dict[str, Any]:
        statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": f"{self.STAGE}{resource}"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        return {"principalId": "ada", "policyDocument": document, "context": {"caller": "abc"}}

    async def test_is_asked_before_the_function_which_is_told_what_it_said(self, gateway: "Gateway") -> None:
        gateway.answer = self.policy("Allow")
        assert await gateway.status() == 200
        (asked,) = gateway.events
        assert (asked["type"], asked["methodArn"]) == ("REQUEST", f"{self.STAGE}/POST/mcp")
        assert asked["headers"]["Authorization"] == "Bearer good"
        assert "body" not in asked
        (event,) = (json.loads(each.event) for each in gateway.behind.invocations)
        assert event["requestContext"]["authorizer"] == {"principalId": "ada", "caller": "abc"}

    async def test_is_believed_for_its_time_to_live(self, gateway: "Gateway", clock: SetClock) -> None:
        gateway.answer = self.policy("Allow")
        for _ in range(3):
            assert await gateway.status() == 200
        assert await gateway.status("Bearer other") == 200
        assert len(gateway.events) == 2
        clock.now += 60
        gateway.answer = self.policy("Deny")
        assert await gateway.status() == 403
        assert await gateway.status() == 403
        assert len(gateway.events) == 3

    async def test_is_not_asked_where_nobody_says_who_he_is(self, gateway: "Gateway") -> None:
        answer = await gateway.ask("")
        assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})
        assert answer.headers["www-authenticate"] == 'Bearer scope="mcp"'
        assert gateway.authorizer.asked == 0

    @pytest.mark.parametrize(
        ("message", "status"), [("Unauthorized", 401), ("unauthorized", 500), ("Something else", 500)]
    )
    async def test_refuses_with_one_word(self, gateway: "Gateway", message: str, status: int) -> None:
        gateway.answer = Exception(message)
        answer = await gateway.ask()
        assert answer.status_code == status
        assert ("www-authenticate" in answer.headers) is (status == 401)
        assert await gateway.status() == status
        assert gateway.authorizer.asked == 2  # no such answer is kept
        assert gateway.behind.invocations == []

    async def test_refuses_with_a_policy(self, gateway: "Gateway") -> None:
        gateway.answer = self.policy("Deny")
        answer = await gateway.ask()
        assert answer.status_code == 403
        assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
        gateway.answer = self.policy("Allow", "/GET/mcp")
        assert await gateway.status("Bearer other") == 403

    @pytest.mark.parametrize("answer", [{}, [], "Allow", {"isAuthorized": True}, {"principalId": "ada"}])
    async def test_lets_no_one_in_by_an_answer_of_another_form(self, gateway: "Gateway", answer: Any) -> None:
        gateway.answer = answer
        assert await gateway.status() == 500

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/healthz"),
            ("GET", "/.well-known/oauth-protected-resource"),
            ("GET", "/.well-known/oauth-protected-resource/mcp"),
            ("OPTIONS", "/mcp"),
        ],
    )
    async def test_is_not_asked_about_what_is_open(self, gateway: "Gateway", method: str, path: str) -> None:
        assert (await gateway.ask("", method, path)).status_code == 200
        assert gateway.authorizer.asked == 0


class Gateway:
    """An API with an authorizer; what that one answers, the test says.

    Attributes:
        answer: a document, or an exception.
        events: what the authorizer was asked.
    """

    def __init__(
        self, url: str, http: httpx2.AsyncClient, authorizer: Authorizer, asked: Function, behind: Function
    ) -> None:
        self.url, self.http, self.authorizer, self.behind = url, http, authorizer, behind
        self.functions = (asked, behind)
        self.answer: Any = {}
        self.events: list[Any] = []

    async def ask(
        self, authorization: str = "Bearer good", method: str = "POST", path: str = "/mcp"
    ) -> httpx2.Response:
        headers = {"Authorization": authorization} if authorization else {}
        await until(lambda: all(each.is_free for function in self.functions for each in function.instances))
        return await self.http.request(method, self.url + path, headers=headers)

    async def status(self, authorization: str = "Bearer good") -> int:
        return (await self.ask(authorization)).status_code

    def rule(self, event: Any) -> Any:
        self.events.append(event)
        return self.answer

    @asynccontextmanager
    async def playing(self, function: Function, answer: Callable[[Any], Any]) -> AsyncIterator[None]:
        """Runs the one instance of a function."""

        async def play() -> None:
            runtime = await runtime_of(function)
            while True:
                invocation, event = await runtime.next()
                match answer(event):
                    case bytes() as response:
                        await runtime.respond(invocation, response)
                    case Exception() as fault:
                        await runtime.fail(f"invocation/{invocation}/error", "Exception", str(fault))
                    case document:
                        await runtime.respond(invocation, json.dumps(document).encode(), headers={})

        playing = asyncio.create_task(play())
        yield
        playing.cancel()
