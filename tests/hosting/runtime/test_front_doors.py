"""The stand-ins for a REST API and a function URL keep to what AWS documents of them; see test_service.py."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Final

import httpx2
import pytest

from tests.fakes.lambda_service import RestApi, deployed, rest_api
from tests.hosting.runtime.by_hand import (
    DOORS,
    FUNCTION_URL,
    OK,
    REST_API,
    STREAMING,
    Play,
    aws,
    idle,
    playing,
    runtime_of,
)
from tests.hosting.serving import PATIENCE_S, until

__all__ = ["aws"]

pytestmark = pytest.mark.anyio

MIB: Final = 1 << 20


class TestAnswers:
    @DOORS
    async def test_are_passed_on_while_they_come(self, aws: Play, door: str) -> None:
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
    async def test_have_their_headers_and_the_one_that_is_renamed(self, aws: Play, door: str) -> None:
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
    async def test_have_16_kb_for_what_precedes_the_body(self, aws: Play, door: str, filling: int, status: int) -> None:
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
        self, aws: Play, door: str, response: bytes, headers: dict[str, str]
    ) -> None:
        answer = aws.ask(door)
        runtime = await aws.runtime()
        assert (await runtime.respond((await runtime.next())[0], response, headers=headers)).status == 202
        assert ((await answer).status_code, (await answer).json()) == (502, {"message": "Internal server error"})

    @DOORS
    async def test_that_are_errors_are_a_bad_gateway(self, aws: Play, door: str) -> None:
        answer = aws.ask(door)
        runtime = await aws.runtime()
        assert (await runtime.fail(f"invocation/{(await runtime.next())[0]}/error")).status == 202
        assert (await answer).status_code == 502

    @DOORS
    async def test_that_fail_in_the_middle_break_the_connection(self, aws: Play, door: str) -> None:
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

    async def test_without_a_body_are_none(self, aws: Play) -> None:
        for number, method in enumerate(("HEAD", "POST")):
            answer = aws.ask(method=method)
            runtime = await aws.runtime(number)
            status = 200 if method == "HEAD" else 204
            prelude = json.dumps({"statusCode": status}).encode() + bytes(8)
            await runtime.respond((await runtime.next())[0], prelude, b"not to be seen")
            assert ((await answer).status_code, (await answer).content) == (status, b"")


class TestAClientThatLeaves:
    @DOORS
    async def test_is_not_told_of_and_the_response_is_taken_to_its_end(self, aws: Play, door: str) -> None:
        asking = aws.ask(door)
        runtime = await aws.runtime()
        async with runtime.responding((await runtime.next())[0], OK) as posted:
            asking.cancel()
            await until(aws.function.invocations[0].left.is_set)
            for _ in range(100):
                await posted.say(bytes(64 << 10))
            assert b" 202 " in await posted.end()

    async def test_having_read_nothing_holds_up_the_response_no_more(self, aws: Play) -> None:
        asked = aws.http.stream("POST", aws.addresses[REST_API])
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
        async with playing(tmp_path, http, tells_who_left=True) as aws:
            asking = aws.ask(door)
            runtime = await aws.runtime()
            async with runtime.responding((await runtime.next())[0], OK) as posted:
                asking.cancel()
                with pytest.raises(ConnectionError):
                    assert await posted.answer()
            assert (await runtime.ask("GET", "invocation/x/response")).status == 404  # the API itself is there


class TestEvents:
    async def test_of_a_rest_api(self, aws: Play) -> None:
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

    async def test_of_a_function_url(self, aws: Play) -> None:
        headers = [("X-Many", "1"), ("x-many", "2"), ("Cookie", "a=1; b=2"), ("Content-Type", "image/png")]
        answer = aws.ask(FUNCTION_URL, path="/a%20b?q=1&q=%C3%BC", headers=headers, content=b"\xff")
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
            (REST_API, 6 * MIB, '{"message": "Request Too Long"}'),
            (REST_API, 10 * MIB + 1, "HTTP content length exceeded 10485760 bytes."),
            (FUNCTION_URL, 6 * MIB, "smaller than 6291456"),
        ],
    )
    async def test_have_at_most_6_mb(self, aws: Play, door: str, size: int, says: str) -> None:
        answer = await aws.ask(door, content=b"x" * size)
        assert (answer.status_code, says in answer.text) == (413, True)
        assert aws.function.instances == []
