"""The stand-in for AWS Lambda keeps to what AWS documents: else what is shown through it would prove little.

Here the runtimes are played by hand; the sources stand in the modules of `tests/fakes/lambda_service`.
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import pytest

from tests.fakes.lambda_service import Authorizer, Function, RestApi, deployed, function_url, rest_api
from tests.fakes.lambda_service.rest_api import API_ID
from tests.hosting.runtime.by_hand import OK, STREAMING, Runtime, idle, runtime_of
from tests.hosting.serving import PATIENCE_S, SetClock, until

pytestmark = pytest.mark.anyio

MIB = 1 << 20
DOORS = pytest.mark.parametrize("door", ["REST API", "function URL"])


class Deployment:
    """A function, both of its front doors, and who comes to them."""

    def __init__(self, function: Function, addresses: dict[str, str], http: httpx2.AsyncClient) -> None:
        self.function, self.addresses, self.http = function, addresses, http
        self._asked: set[asyncio.Task[Any]] = set()

    def ask(
        self, door: str = "REST API", method: str = "POST", path: str = "/mcp", **more: Any
    ) -> "asyncio.Task[httpx2.Response]":
        """A request on its way."""
        task = asyncio.create_task(self.http.request(method, self.addresses[door] + path, **more))
        self._asked.add(task)
        return task

    async def runtime(self, number: int = 0) -> Runtime:
        return await runtime_of(self.function, number)


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=10) as client:
        yield client


@asynccontextmanager
async def a_deployment(
    folder: Path, http: httpx2.AsyncClient, most: int = 2, **settings: Any
) -> AsyncIterator[Deployment]:
    async with AsyncExitStack() as stack:
        function = await stack.enter_async_context(deployed(idle(folder, **settings), most=most))
        addresses = {
            "REST API": await stack.enter_async_context(rest_api(function, RestApi())),
            "function URL": await stack.enter_async_context(function_url(function)),
        }
        yield Deployment(function, addresses, http)


@pytest.fixture
async def aws(tmp_path: Path, http: httpx2.AsyncClient) -> AsyncIterator[Deployment]:
    async with a_deployment(tmp_path, http) as deployment:
        yield deployment


class TestTheRuntimeApi:
    async def test_says_which_invocation_it_is_and_when_it_ends(self, aws: Deployment) -> None:
        before = time.time()
        answer = aws.ask(content=b"{}")
        reply = await (await aws.runtime()).ask("GET", "invocation/next")
        given = reply.headers
        assert before - 0.001 <= int(given["lambda-runtime-deadline-ms"]) / 1000 - 900 <= time.time()
        assert given["lambda-runtime-invoked-function-arn"] == aws.function.configuration.arn
        assert given["lambda-runtime-trace-id"] == reply.json["headers"]["X-Amzn-Trace-Id"]
        assert given["lambda-runtime-trace-id"].startswith("Root=1-")
        await (await aws.runtime()).respond(given["lambda-runtime-aws-request-id"], OK)
        assert (await answer).status_code == 200

    async def test_takes_a_response_once_and_asks_for_its_own_id(self, aws: Deployment) -> None:
        answer = aws.ask()
        runtime = await aws.runtime()
        invocation, _ = await runtime.next()
        assert (await runtime.respond("another", OK)).status == 400
        assert (await runtime.respond(invocation, OK)).status == 202
        assert (await answer).status_code == 200
        assert (await runtime.respond(invocation, OK)).status == 403
        assert (await runtime.fail(f"invocation/{invocation}/error")).status == 403
        assert runtime.instance.refused == ["400 InvalidRequestID", *["403 InvalidStateTransition"] * 2]

    async def test_refuses_what_comes_at_the_wrong_time(self, aws: Deployment) -> None:
        answer = aws.ask()
        runtime = await aws.runtime()
        invocation, _ = await runtime.next()
        assert (await runtime.ask("GET", "invocation/next")).status == 403
        assert (await runtime.fail("init/error")).status == 403
        for method, path in (("GET", "restore/next"), ("POST", "restore/error"), ("GET", "init/error"), ("GET", "x")):
            assert (await runtime.ask(method, path)).status == 404
        await runtime.respond(invocation, OK)
        assert (await answer).status_code == 200

    async def test_knows_two_modes_of_a_response(self, aws: Deployment) -> None:
        answer = aws.ask()
        runtime = await aws.runtime()
        invocation, _ = await runtime.next()
        headers = {**STREAMING, "Lambda-Runtime-Function-Response-Mode": "slow"}
        reply = await runtime.respond(invocation, OK, headers=headers)
        assert (reply.status, reply.json["errorType"]) == (400, "InvalidFunctionResponseMode")
        assert (await answer).status_code == 502

    async def test_takes_6_mb_of_a_response_that_is_not_streamed(self, aws: Deployment) -> None:
        invocation = await aws.function.invoke(b"{}")
        runtime = await aws.runtime()
        given, _ = await runtime.next()
        assert (await runtime.respond(given, bytes(6 * MIB), headers={})).status == 202
        assert len(await invocation.whole()) == 6 * MIB
        invocation = await aws.function.invoke(b"{}")
        given, _ = await (await aws.runtime(1)).next()
        reply = await (await aws.runtime(1)).respond(given, bytes(6 * MIB), b"x", headers={})
        assert (reply.status, reply.json["errorType"]) == (413, "RequestEntityTooLarge")
        assert invocation.failure is not None
        assert invocation.failure.kind == "Function.ResponseSizeTooLarge"

    async def test_ends_a_stream_that_is_too_long(self, tmp_path: Path, http: httpx2.AsyncClient) -> None:
        async with a_deployment(tmp_path, http, largest_stream=100) as aws:
            answer = aws.ask()
            runtime = await aws.runtime()
            invocation, _ = await runtime.next()
            async with runtime.responding(invocation, OK, bytes(100)) as posted:
                assert b" 413 " in await posted.answer()  # before the response has ended
            with pytest.raises(httpx2.RemoteProtocolError):
                await answer


class TestInstances:
    async def test_have_one_invocation_at_a_time_and_another_begins_where_none_is_free(self, aws: Deployment) -> None:
        first = aws.ask(path="/first")
        one = await aws.runtime(0)
        invocation, event = await one.next()
        assert event["path"] == "/first"

        second = aws.ask(path="/second")
        two = await aws.runtime(1)
        other, event = await two.next()
        assert event["path"] == "/second"
        assert one.instance.pid != two.instance.pid
        assert one.instance.address != two.instance.address

        for runtime, each in ((two, other), (one, invocation)):
            assert (await runtime.respond(each, OK)).status == 202
        assert [(await each).status_code for each in (first, second)] == [200, 200]
        assert [len(each.invocations) for each in aws.function.instances] == [1, 1]

    @pytest.mark.parametrize(("door", "status"), [("REST API", 500), ("function URL", 429)])
    async def test_are_not_more_than_there_may_be(
        self, tmp_path: Path, http: httpx2.AsyncClient, door: str, status: int
    ) -> None:
        async with a_deployment(tmp_path, http, most=1) as aws:
            answer = aws.ask(door)
            runtime = await aws.runtime()
            invocation, _ = await runtime.next()
            assert (await aws.ask(door)).status_code == status
            await runtime.respond(invocation, OK)
            assert (await answer).status_code == 200
            # It is free only once it has asked for the next.
            assert (await aws.ask(door)).status_code == status
            waiting = asyncio.create_task(runtime.next())
            await until(lambda: runtime.instance.is_free)
            answers = asyncio.gather(aws.ask(door), aws.ask(door))
            await runtime.respond((await waiting)[0], OK)
            assert sorted(each.status_code for each in await answers) == [200, status]

    @DOORS
    async def test_that_die_before_they_answer_are_a_bad_gateway(self, aws: Deployment, door: str) -> None:
        answer = aws.ask(door)
        runtime = await aws.runtime()
        await runtime.next()
        await runtime.instance.kill()
        assert (await answer).status_code == 502
        (invocation,) = aws.function.invocations
        assert invocation.failure is not None
        assert (invocation.failure.kind, aws.function.deaths) == ("Runtime.ExitError", 1)
        answer = aws.ask(door)
        runtime = await aws.runtime(1)
        await runtime.respond((await runtime.next())[0], OK)
        assert (await answer).status_code == 200

    @DOORS
    async def test_that_die_while_they_answer_break_the_connection(self, aws: Deployment, door: str) -> None:
        asked = aws.http.stream("POST", aws.addresses[door])
        answering = asyncio.create_task(asked.__aenter__())
        runtime = await aws.runtime()
        async with runtime.responding((await runtime.next())[0], OK, b"first"):
            answer = await answering
            parts = answer.aiter_bytes()
            assert await anext(parts) == b"first"
            await runtime.instance.kill()
            with pytest.raises(httpx2.RemoteProtocolError):
                await anext(parts)

    @DOORS
    async def test_are_ended_with_their_invocation_when_its_time_is_up(
        self, tmp_path: Path, http: httpx2.AsyncClient, door: str
    ) -> None:
        async with a_deployment(tmp_path, http, timeout_s=0.3) as aws:
            answer = aws.ask(door)
            runtime = await aws.runtime()
            await runtime.next()
            assert (await answer).status_code == 502
            await until(runtime.instance.dead.is_set)
            (invocation,) = aws.function.invocations
            assert invocation.failure is not None
            assert invocation.failure.kind == "Sandbox.Timedout"

    async def test_are_ended_where_they_ask_for_nothing_after_their_answer(
        self, tmp_path: Path, http: httpx2.AsyncClient
    ) -> None:
        async with a_deployment(tmp_path, http, timeout_s=0.5) as aws:
            answer = aws.ask()
            runtime = await aws.runtime()
            await runtime.respond((await runtime.next())[0], OK)
            assert (await answer).status_code == 200
            await until(runtime.instance.dead.is_set)
            assert aws.function.invocations[0].failure is None

    async def test_that_cannot_start_say_so_and_end(self, aws: Deployment) -> None:
        answer = aws.ask()
        runtime = await aws.runtime()
        assert (await runtime.fail("init/error", "Runtime.InitFailed", "no table")).status == 202
        await runtime.instance.kill()
        assert (await answer).status_code == 502
        (invocation,) = aws.function.invocations
        assert invocation.failure is not None
        assert (invocation.failure.kind, invocation.failure.message) == ("Runtime.InitFailed", "no table")

    async def test_that_do_not_become_ready_are_ended(self, tmp_path: Path, http: httpx2.AsyncClient) -> None:
        async with a_deployment(tmp_path, http, init_s=0.3) as aws:
            assert (await aws.ask()).status_code == 502

    async def test_are_frozen_while_they_have_no_invocation(self, aws: Deployment) -> None:
        answer = aws.ask()
        runtime = await aws.runtime()
        invocation, _ = await runtime.next()
        assert _state(runtime.instance.pid) != "T"
        await runtime.respond(invocation, OK)
        assert (await answer).status_code == 200
        waiting = asyncio.create_task(runtime.next())
        await until(lambda: _state(runtime.instance.pid) == "T")
        answer = aws.ask()
        await runtime.respond((await waiting)[0], OK)
        assert _state(runtime.instance.pid) != "T"
        assert (await answer).status_code == 200

    async def test_of_a_snapshot_wait_for_their_restoration(self, tmp_path: Path, http: httpx2.AsyncClient) -> None:
        async with a_deployment(tmp_path, http, start="snap-start") as aws:
            answer = aws.ask()
            runtime = await aws.runtime()
            assert (await runtime.ask("GET", "restore/next")).status == 200
            await runtime.respond((await runtime.next())[0], OK)
            assert (await answer).status_code == 200

    async def test_of_a_snapshot_may_fail_to_be_restored(self, tmp_path: Path, http: httpx2.AsyncClient) -> None:
        async with a_deployment(tmp_path, http, start="snap-start") as aws:
            answer = aws.ask()
            runtime = await aws.runtime()
            await runtime.ask("GET", "restore/next")
            assert (await runtime.fail("restore/error", "Runtime.AfterRestoreError")).status == 202
            await runtime.instance.kill()
            assert (await answer).status_code == 502


def _state(pid: int) -> str:
    """`T` of a process that is stopped: man 5 proc_pid_stat."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class TestAnswers:
    @DOORS
    async def test_are_passed_on_while_they_come(self, aws: Deployment, door: str) -> None:
        asked = aws.http.stream("POST", aws.addresses[door])
        answering = asyncio.create_task(asked.__aenter__())
        runtime = await aws.runtime()
        async with runtime.responding((await runtime.next())[0], OK, b"first") as posted:
            parts = (await answering).aiter_bytes()
            assert await anext(parts) == b"first"
            await posted.say(b"second")
            assert await anext(parts) == b"second"
            assert b" 202 " in await posted.end()
            assert [part async for part in parts] == []
        await asked.__aexit__(None, None, None)

    @DOORS
    async def test_have_their_headers_and_the_one_that_is_renamed(self, aws: Deployment, door: str) -> None:
        answer = aws.ask(door)
        runtime = await aws.runtime()
        metadata = {
            "statusCode": 401,
            "headers": {"X-One": "1", "www-authenticate": "Bearer", "Content-Length": "7", "both": "a"},
            "multiValueHeaders": {"Two": ["2", "3"], "both": ["a", "b"]},
            "cookies": ["a=1", "b=2"],
        }
        await runtime.respond((await runtime.next())[0], json.dumps(metadata).encode() + bytes(8) + b"no")
        given = (await answer).headers
        assert (await answer).content == b"no"
        assert given["x-amzn-remapped-www-authenticate"] == "Bearer"
        assert {"www-authenticate", "content-length"}.isdisjoint(given)
        assert [given.get_list(name) for name in ("x-one", "two", "both", "set-cookie")] == [
            ["1"],
            ["2", "3"],
            ["a", "b"],
            ["a=1", "b=2"],
        ]

    @DOORS
    @pytest.mark.parametrize(("filling", "status"), [(0, 200), (1, 502)])
    async def test_have_16_kb_for_what_precedes_the_body(
        self, aws: Deployment, door: str, filling: int, status: int
    ) -> None:
        answer = aws.ask(door)
        runtime = await aws.runtime()
        empty = len(json.dumps({"statusCode": 200, "headers": {"x": ""}}))
        metadata = {"statusCode": 200, "headers": {"x": "x" * (16 * 1024 - 8 - empty + filling)}}
        reply = await runtime.respond((await runtime.next())[0], json.dumps(metadata).encode() + bytes(8) + b"body")
        assert (await answer).status_code == status
        assert reply.status == 202  # the Runtime API does not look at it

    @pytest.mark.parametrize(
        ("response", "headers"),
        [
            (b"", STREAMING),
            (b'{"statusCode":200}', STREAMING),
            (b'{"statusCode":200}' + bytes(7), STREAMING),
            (b'{"headers":{}}' + bytes(8), STREAMING),
            (b'{"statusCode":"many"}' + bytes(8), STREAMING),
            (b'{"statusCode":99}' + bytes(8), STREAMING),
            (b"no JSON" + bytes(8), STREAMING),
            (b"x" * 20_000, STREAMING),
            (b'{"statusCode":200,"body":"whole"}', {"Content-Type": "application/json"}),
            (OK + b"body", {**STREAMING, "Content-Type": "application/json"}),
        ],
    )
    @DOORS
    async def test_of_another_form_are_a_bad_gateway(
        self, aws: Deployment, door: str, response: bytes, headers: dict[str, str]
    ) -> None:
        answer = aws.ask(door)
        runtime = await aws.runtime()
        assert (await runtime.respond((await runtime.next())[0], response, headers=headers)).status == 202
        assert ((await answer).status_code, (await answer).json()) == (502, {"message": "Internal server error"})

    @DOORS
    async def test_that_are_errors_are_a_bad_gateway(self, aws: Deployment, door: str) -> None:
        answer = aws.ask(door)
        runtime = await aws.runtime()
        assert (await runtime.fail(f"invocation/{(await runtime.next())[0]}/error")).status == 202
        assert (await answer).status_code == 502

    @DOORS
    async def test_that_fail_in_the_middle_break_the_connection(self, aws: Deployment, door: str) -> None:
        asked = aws.http.stream("POST", aws.addresses[door])
        answering = asyncio.create_task(asked.__aenter__())
        runtime = await aws.runtime()
        document = b'{"errorType":"Function.Late","errorMessage":"too late"}'
        trailers = {
            "Lambda-Runtime-Function-Error-Type": "Function.Late",
            "Lambda-Runtime-Function-Error-Body": base64.b64encode(document).decode(),
        }
        reply = await runtime.respond((await runtime.next())[0], OK, b"first", trailers=trailers)
        assert reply.status == 202
        parts = (await answering).aiter_bytes()
        with pytest.raises(httpx2.RemoteProtocolError):
            assert [part async for part in parts] == []
        (invocation,) = aws.function.invocations
        assert invocation.trailers == ("Function.Late", document)

    async def test_without_a_body_are_none(self, aws: Deployment) -> None:
        for number, method in enumerate(("HEAD", "POST")):
            answer = aws.ask(method=method)
            runtime = await aws.runtime(number)
            status = 200 if method == "HEAD" else 204
            prelude = json.dumps({"statusCode": status}).encode() + bytes(8)
            await runtime.respond((await runtime.next())[0], prelude, b"not to be seen")
            assert ((await answer).status_code, (await answer).content) == (status, b"")


class TestAClientThatLeaves:
    @DOORS
    async def test_is_not_told_of_and_the_response_is_taken_to_its_end(self, aws: Deployment, door: str) -> None:
        asking = aws.ask(door)
        runtime = await aws.runtime()
        async with runtime.responding((await runtime.next())[0], OK) as posted:
            asking.cancel()
            await until(aws.function.invocations[0].left.is_set)
            for _ in range(100):
                await posted.say(bytes(64 << 10))
            assert b" 202 " in await posted.end()

    async def test_having_read_nothing_holds_up_the_response_no_more(self, aws: Deployment) -> None:
        asked = aws.http.stream("POST", aws.addresses["REST API"])
        answering = asyncio.create_task(asked.__aenter__())
        runtime = await aws.runtime()
        async with runtime.responding((await runtime.next())[0], OK) as posted:
            await answering
            rest = asyncio.create_task(posted.say(*[bytes(64 << 10)] * 1000))
            await until(lambda: aws.function.invocations[0].size > MIB)
            await asked.__aexit__(None, None, None)
            await asyncio.wait_for(rest, PATIENCE_S)
            assert b" 202 " in await posted.end()

    @DOORS
    async def test_or_the_connection_of_the_response_is_reset(
        self, tmp_path: Path, http: httpx2.AsyncClient, door: str
    ) -> None:
        async with a_deployment(tmp_path, http, tells_who_left=True) as aws:
            asking = aws.ask(door)
            runtime = await aws.runtime()
            async with runtime.responding((await runtime.next())[0], OK) as posted:
                asking.cancel()
                with pytest.raises(ConnectionError):
                    assert await posted.answer()
            assert (await runtime.ask("GET", "invocation/x/response")).status == 404  # the API itself is there


class TestEvents:
    async def test_of_a_rest_api(self, aws: Deployment) -> None:
        headers = [("x-many", "1"), ("X-Once", "once"), ("x-many", "2"), ("Content-Type", "application/json")]
        answer = aws.ask(path="/a%20b/c?q=1&q=%C3%BC&e=", headers=headers, content='{"ü":1}'.encode())
        runtime = await aws.runtime()
        invocation, event = await runtime.next()
        await runtime.respond(invocation, OK)
        await answer
        assert (event["resource"], event["path"], event["httpMethod"]) == ("/{proxy+}", "/a%20b/c", "POST")
        assert event["pathParameters"] == {"proxy": "a%20b/c"}
        assert (event["multiValueHeaders"]["x-many"], event["headers"]["x-many"]) == (["1", "2"], "2")
        assert event["multiValueQueryStringParameters"] == {"q": ["1", "ü"], "e": [""]}
        assert event["queryStringParameters"] == {"q": "ü", "e": ""}
        assert (event["body"], event["isBase64Encoded"]) == ('{"ü":1}', False)
        assert event["headers"]["Host"] == event["requestContext"]["domainName"] == "tollbook.example"
        assert event["requestContext"]["path"] == "/a%20b/c"
        assert event["requestContext"]["identity"]["sourceIp"] == event["headers"]["X-Forwarded-For"]

    async def test_of_a_rest_api_below_its_stage(self, tmp_path: Path, http: httpx2.AsyncClient) -> None:
        api = RestApi(at_root=False, stage="live", binary=("application/octet-stream",))
        async with deployed(idle(tmp_path)) as function, rest_api(function, api) as url:
            headers = {"Content-Type": "application/octet-stream"}
            answer = asyncio.create_task(http.post(f"{url}/mcp", content=b"\xff", headers=headers))
            runtime = await runtime_of(function)
            invocation, event = await runtime.next()
            await runtime.respond(invocation, OK)
            assert (await answer).status_code == 200
            assert url.endswith("/live")
            assert (event["path"], event["requestContext"]["path"]) == ("/mcp", "/live/mcp")
            assert (event["body"], event["isBase64Encoded"]) == ("/w==", True)
            assert (await http.post(f"{url.removesuffix('/live')}/mcp")).status_code == 403
            assert (await http.post(f"{url}/mcp", headers={"Host": "evil.example"})).status_code == 403

    async def test_of_a_function_url(self, aws: Deployment) -> None:
        headers = [("X-Many", "1"), ("x-many", "2"), ("Cookie", "a=1; b=2"), ("Content-Type", "image/png")]
        answer = aws.ask("function URL", path="/a%20b?q=1&q=%C3%BC", headers=headers, content=b"\xff")
        runtime = await aws.runtime()
        invocation, event = await runtime.next()
        await runtime.respond(invocation, OK)
        await answer
        assert (event["version"], event["routeKey"]) == ("2.0", "$default")
        assert (event["rawPath"], event["rawQueryString"]) == ("/a%20b", "q=1&q=%C3%BC")
        assert event["queryStringParameters"] == {"q": "1,ü"}
        assert event["headers"]["x-many"] == "1,2"
        assert (event["cookies"], "cookie" in event["headers"]) == (["a=1", "b=2"], False)
        assert (event["body"], event["isBase64Encoded"]) == ("/w==", True)
        assert event["headers"]["host"] == event["requestContext"]["domainName"]
        assert event["requestContext"]["domainName"].endswith(".lambda-url.eu-west-1.on.aws")
        assert event["requestContext"]["http"]["method"] == "POST"

    @pytest.mark.parametrize(
        ("door", "size", "says"),
        [
            ("REST API", 6 * MIB, '{"message": "Request Too Long"}'),
            ("REST API", 10 * MIB + 1, "HTTP content length exceeded 10485760 bytes."),
            ("function URL", 6 * MIB, "smaller than 6291456"),
        ],
    )
    async def test_have_at_most_6_mb(self, aws: Deployment, door: str, size: int, says: str) -> None:
        answer = await aws.ask(door, content=b"x" * size)
        assert (answer.status_code, says in answer.text) == (413, True)
        assert aws.function.instances == []


class TestTheAuthorizer:
    """What the real one answers is shown in test_at_the_gateway.py."""

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
