"""The stand-in for AWS Lambda keeps to what AWS documents: else what is shown through it would prove little.

Here the runtimes are played by hand; the sources stand in the modules of `tests/fakes/lambda_service`.
"""

import asyncio
import time
from pathlib import Path
from typing import Final

import httpx2
import pytest

from tests.hosting.runtime.by_hand import DOORS, FUNCTION_URL, OK, REST_API, STREAMING, Play, aws, playing
from tests.hosting.serving import until

__all__ = ["aws"]

pytestmark = pytest.mark.anyio

MIB: Final = 1 << 20


class TestTheRuntimeApi:
    async def test_says_which_invocation_it_is_and_when_it_ends(self, aws: Play) -> None:
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

    async def test_takes_a_response_once_and_asks_for_its_own_id(self, aws: Play) -> None:
        answer = aws.ask()
        runtime = await aws.runtime()
        invocation, _ = await runtime.next()
        assert (await runtime.respond("another", OK)).status == 400
        assert (await runtime.respond(invocation, OK)).status == 202
        assert (await answer).status_code == 200
        assert (await runtime.respond(invocation, OK)).status == 403
        assert (await runtime.fail(f"invocation/{invocation}/error")).status == 403
        assert runtime.instance.refused == ["400 InvalidRequestID", *["403 InvalidStateTransition"] * 2]

    async def test_refuses_what_comes_at_the_wrong_time(self, aws: Play) -> None:
        answer = aws.ask()
        runtime = await aws.runtime()
        invocation, _ = await runtime.next()
        assert (await runtime.ask("GET", "invocation/next")).status == 403
        assert (await runtime.fail("init/error")).status == 403
        for method, path in (("GET", "restore/next"), ("POST", "restore/error"), ("GET", "init/error"), ("GET", "x")):
            assert (await runtime.ask(method, path)).status == 404
        await runtime.respond(invocation, OK)
        assert (await answer).status_code == 200

    async def test_knows_two_modes_of_a_response(self, aws: Play) -> None:
        answer = aws.ask()
        runtime = await aws.runtime()
        invocation, _ = await runtime.next()
        headers = {**STREAMING, "Lambda-Runtime-Function-Response-Mode": "slow"}
        reply = await runtime.respond(invocation, OK, headers=headers)
        assert (reply.status, reply.json["errorType"]) == (400, "InvalidFunctionResponseMode")
        assert (await answer).status_code == 502

    async def test_takes_6_mb_of_a_response_that_is_not_streamed(self, aws: Play) -> None:
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
        async with playing(tmp_path, http, largest_stream=100) as aws:
            answer = aws.ask()
            runtime = await aws.runtime()
            invocation, _ = await runtime.next()
            async with runtime.responding(invocation, OK, bytes(100)) as posted:
                assert b" 413 " in await posted.answer()  # before the response has ended
            with pytest.raises(httpx2.RemoteProtocolError):
                await answer


class TestInstances:
    async def test_have_one_invocation_at_a_time_and_another_begins_where_none_is_free(self, aws: Play) -> None:
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

    @pytest.mark.parametrize(("door", "status"), [(REST_API, 500), (FUNCTION_URL, 429)])
    async def test_are_not_more_than_there_may_be(
        self, tmp_path: Path, http: httpx2.AsyncClient, door: str, status: int
    ) -> None:
        async with playing(tmp_path, http, most=1) as aws:
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
    async def test_that_die_before_they_answer_are_a_bad_gateway(self, aws: Play, door: str) -> None:
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
    async def test_that_die_while_they_answer_break_the_connection(self, aws: Play, door: str) -> None:
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
        async with playing(tmp_path, http, timeout_s=0.3) as aws:
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
        async with playing(tmp_path, http, timeout_s=0.5) as aws:
            answer = aws.ask()
            runtime = await aws.runtime()
            await runtime.respond((await runtime.next())[0], OK)
            assert (await answer).status_code == 200
            await until(runtime.instance.dead.is_set)
            assert aws.function.invocations[0].failure is None

    async def test_that_cannot_start_say_so_and_end(self, aws: Play) -> None:
        answer = aws.ask()
        runtime = await aws.runtime()
        assert (await runtime.fail("init/error", "Runtime.InitFailed", "no table")).status == 202
        await runtime.instance.kill()
        assert (await answer).status_code == 502
        (invocation,) = aws.function.invocations
        assert invocation.failure is not None
        assert (invocation.failure.kind, invocation.failure.message) == ("Runtime.InitFailed", "no table")

    async def test_that_do_not_become_ready_are_ended(self, tmp_path: Path, http: httpx2.AsyncClient) -> None:
        async with playing(tmp_path, http, init_s=0.3) as aws:
            assert (await aws.ask()).status_code == 502

    async def test_are_frozen_while_they_have_no_invocation(self, aws: Play) -> None:
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
        async with playing(tmp_path, http, start="snap-start") as aws:
            answer = aws.ask()
            runtime = await aws.runtime()
            assert (await runtime.ask("GET", "restore/next")).status == 200
            await runtime.respond((await runtime.next())[0], OK)
            assert (await answer).status_code == 200

    async def test_of_a_snapshot_may_fail_to_be_restored(self, tmp_path: Path, http: httpx2.AsyncClient) -> None:
        async with playing(tmp_path, http, start="snap-start") as aws:
            answer = aws.ask()
            runtime = await aws.runtime()
            await runtime.ask("GET", "restore/next")
            assert (await runtime.fail("restore/error", "Runtime.AfterRestoreError")).status == 202
            await runtime.instance.kill()
            assert (await answer).status_code == 502


def _state(pid: int) -> str:
    """`T` of a process that is stopped: man 5 proc_pid_stat."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
