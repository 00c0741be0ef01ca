"""The loop, run by a stand-in of the Lambda service, which stops the process whenever it has nothing to do."""

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from tests.fakes.lambda_service import Configuration, Function, Invocation, deployed
from tests.fakes.lambda_service.invocations import FunctionError
from tests.hosting.runtime.behaving import CAUSE
from tests.hosting.serving import PATIENCE_S, until
from tests.hosting.wire import ROOT

pytestmark = pytest.mark.anyio

LOOP: Final = (sys.executable, "-m", "tollbook.hosting.runtime.lambda_loop")


@asynccontextmanager
async def looping(folder: Path, name: str = "app", **settings: Any) -> AsyncIterator[Function]:
    """A function of one instance, whose container runs something of `behaving`."""
    configuration = Configuration(
        command=(*LOOP, f"tests.hosting.runtime.behaving:{name}"),
        folder=folder,
        working_folder=ROOT,
        environment={"NOTES": str(folder), **settings.pop("environment", {})},
        **settings,
    )
    async with deployed(configuration, provisioned=1, most=1) as function:
        yield function


def event(path: str, body: bytes = b"", domain: str = "abcd.lambda-url.eu-west-1.on.aws", **changes: Any) -> bytes:
    """What a function URL sends: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html"""
    document = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {},
        "requestContext": {"domainName": domain, "http": {"method": "POST", "path": path}, "stage": "$default"},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
    return msgspec.json.encode({**document, **changes})


def parted(answer: bytes) -> tuple[dict[str, Any], bytes]:
    """Prelude and body of a streamed answer."""
    metadata, zeros, body = answer.partition(bytes(8))
    assert zeros
    return json.loads(metadata), body


async def invoked(function: Function, sent: bytes, trace_id: str = "") -> Invocation:
    """An invocation of the instance, as soon as it is free."""
    await until(lambda: function.instances[0].is_free)
    return await function.invoke(sent, trace_id)


async def end(invocation: Invocation) -> None:
    """Waits until the process is done with it."""
    async with asyncio.timeout(PATIENCE_S * 2):
        await invocation.over.wait()


async def asked(function: Function, path: str, body: bytes = b"", **changes: Any) -> tuple[dict[str, Any], bytes]:
    invocation = await invoked(function, event(path, body, **changes))
    answer = parted(await invocation.whole())
    await end(invocation)
    return answer


async def failed(function: Function, path: str) -> tuple[Invocation, FunctionError]:
    """An invocation that does not end well, and how."""
    invocation = await invoked(function, event(path))
    with pytest.raises(FunctionError) as failure:
        await invocation.whole()
    await end(invocation)
    return invocation, failure.value


async def test_a_body_goes_through_byte_for_byte(tmp_path: Path) -> None:
    body = bytes(range(256)) * 4000
    async with looping(tmp_path) as function:
        prelude, echoed = await asked(function, "/echo", body)
        assert echoed == body
        assert prelude["statusCode"] == 200
        assert prelude["cookies"] == ["a=1", "b=2"]
        assert function.invocations[0].mode == "streaming"


async def test_the_app_lives_once_and_knows_what_brought_each_request(tmp_path: Path) -> None:
    async with looping(tmp_path) as function:
        for trace in ("Root=1-one", "Root=1-two"):
            invocation = await invoked(function, event("/about"), trace)
            starts, traced, root, id_, has_time = parted(await invocation.whole())[1].decode().split("\n")
            assert (starts, traced, root, has_time) == ("1", trace, "", "True")
            assert id_ == invocation.id


async def test_each_part_is_sent_when_it_is_made(tmp_path: Path) -> None:
    async with looping(tmp_path) as function:
        parts = (await invoked(function, event("/in-parts"))).parts()
        assert parted(await anext(parts))[1] == b"one "
        (tmp_path / "first-was-read").touch()
        assert [part async for part in parts] == [b"two"]


async def test_a_failure_in_the_middle_ends_with_trailers_and_the_next_is_served(tmp_path: Path) -> None:
    async with looping(tmp_path) as function:
        invocation, failure = await failed(function, "/fails/after")
        assert invocation.trailers is not None
        assert failure.kind == "Function.AppFailed"
        assert CAUSE not in str(failure.document)
        _, failure = await failed(function, "/stops/half-way")
        assert failure.kind == "Function.Incomplete"
        assert (await asked(function, "/echo", b"still here"))[1] == b"still here"
        assert function.deaths == 0
    assert CAUSE not in (tmp_path / "instance-tollbook-0.log").read_text()


async def test_a_failure_before_the_answer_is_500(tmp_path: Path) -> None:
    async with looping(tmp_path) as function:
        for path in ("/fails/before", "/too/many/headers"):
            prelude, body = await asked(function, path)
            assert (prelude["statusCode"], body) == (500, b"Internal Server Error")
        assert function.instances[0].refused == []


async def test_who_takes_too_long_is_stopped_before_lambda_ends_the_process(tmp_path: Path) -> None:
    async with looping(tmp_path, timeout_s=2) as function:
        prelude, body = await asked(function, "/hangs/before")
        assert (prelude["statusCode"], body) == (504, b"The server took too long.")
        _, failure = await failed(function, "/hangs/after")
        assert failure.kind == "Function.Deadline"
        assert (await asked(function, "/echo", b"still here"))[1] == b"still here"
        assert function.deaths == 0


async def test_an_invocation_lasts_until_its_work_has_ended(tmp_path: Path) -> None:
    async with looping(tmp_path) as function:
        invocation = await invoked(function, event("/works/on/done"))
        assert parted(await invocation.whole())[1] == b"answered"
        (tmp_path / "done").touch()
        await end(invocation)
        assert (tmp_path / "has-worked").exists()  # for now the process is stopped


async def test_work_that_never_ends_is_stopped_at_the_deadline(tmp_path: Path) -> None:
    async with looping(tmp_path, timeout_s=2) as function:
        assert (await asked(function, "/works/on/never"))[1] == b"answered"
        assert (await asked(function, "/works/on/always"))[1] == b"answered"  # and is left to itself
        assert (await asked(function, "/echo", b"still here"))[1] == b"still here"
        assert function.deaths == 0


async def test_the_app_hears_of_a_client_that_left(tmp_path: Path) -> None:
    async with looping(tmp_path, tells_who_left=True) as function:
        invocation = await invoked(function, event("/hears/who/left"))
        assert parted(await anext(invocation.parts()))[1] == b"begun "
        invocation.leave()
        await end(invocation)
        assert (tmp_path / "left").read_text() == "http.disconnect"
        assert (await asked(function, "/echo", b"still here"))[1] == b"still here"


async def test_an_answer_that_lambda_ends_is_the_end_of_it(tmp_path: Path) -> None:
    async with looping(tmp_path, largest_stream=100_000) as function:
        _, failure = await failed(function, "/zeros/1000")
        assert failure.kind == "Function.ResponseSizeTooLarge"
        assert (await asked(function, "/echo", b"still here"))[1] == b"still here"


ODD: Final = (b"{}", b"[1]", b'{"source":"aws.events"}', b"no json", b"[" * 100_000, b'{"rawPath":"\xff"}')


@pytest.mark.parametrize("sent", ODD)
async def test_an_event_that_is_no_request_is_an_error(tmp_path: Path, sent: bytes) -> None:
    async with looping(tmp_path) as function:
        invocation = await invoked(function, sent)
        with pytest.raises(FunctionError) as failure:
            await invocation.whole()
        assert failure.value.kind == "Function.UnknownEvent"
        assert failure.value.message.startswith("The event ")
        await end(invocation)
        assert (await asked(function, "/echo", b"still here"))[1] == b"still here"


async def test_an_http_api_gets_one_document(tmp_path: Path) -> None:
    async with looping(tmp_path) as function:
        invocation = await invoked(function, event("/echo", b"\xff", domain="x.execute-api.eu-west-1.amazonaws.com"))
        answer = json.loads(await invocation.whole())
        assert (answer["statusCode"], answer["body"], answer["isBase64Encoded"]) == (200, "/w==", True)
        assert answer["cookies"] == ["a=1", "b=2"]
        assert invocation.mode == "buffered"
        invocation = await invoked(function, event("/fails/after", domain="x.execute-api.eu-west-1.amazonaws.com"))
        assert json.loads(await invocation.whole())["statusCode"] == 500
        invocation = await invoked(function, event("/zeros/6100", domain="x.execute-api.eu-west-1.amazonaws.com"))
        assert json.loads(await invocation.whole())["statusCode"] == 500


async def test_a_function_url_that_does_not_stream_gets_one_document(tmp_path: Path) -> None:
    async with looping(tmp_path, environment={"LAMBDA_RESPONSE_MODE": "buffered"}) as function:
        invocation = await invoked(function, event("/echo", b"text"))
        assert json.loads(await invocation.whole())["body"] == "text"


@pytest.mark.parametrize("mode", ["stream", "buffered"])
async def test_an_answer_that_is_whole_is_sent_whatever_the_app_does_then(tmp_path: Path, mode: str) -> None:
    async with looping(tmp_path, timeout_s=2, environment={"LAMBDA_RESPONSE_MODE": mode}) as function:
        for path in ("/raises/after", "/raises/beside", "/works/after/that/never", "/hands/on/late"):
            invocation = await invoked(function, event(path))
            answer = await invocation.whole()
            assert b"whole" in answer
            assert b'"statusCode":200' in answer
            await end(invocation)
        assert b"still here" in await (await invoked(function, event("/echo", b"still here"))).whole()
        assert function.deaths == 0
    told = (tmp_path / "instance-tollbook-0.log").read_text()
    assert told.count("the function's time is up") <= 3
    assert CAUSE not in told


async def test_what_cannot_be_sent_as_one_document_is_500(tmp_path: Path) -> None:
    async with looping(tmp_path, environment={"LAMBDA_RESPONSE_MODE": "buffered"}) as function:
        for path, body in (("/no/headers", b""), ("/swallows", b""), ("/echo", b"\x01" * 1_500_000)):
            invocation = await invoked(function, event(path, body))
            assert json.loads(await invocation.whole())["statusCode"] == 500
            await end(invocation)
        assert function.deaths == 0


async def test_an_app_whose_lifespan_does_not_end_is_ended(tmp_path: Path) -> None:
    async with looping(tmp_path, "does_not_end") as function:
        assert (await asked(function, "/"))[0]["statusCode"] == 204
    assert "the app's lifespan does not end" in (tmp_path / "instance-tollbook-0.log").read_text()


async def test_an_app_behind_a_decorator_is_one(tmp_path: Path) -> None:
    async with looping(tmp_path, "decorated") as function:
        assert (await asked(function, "/echo", b"x"))[1] == b"x"


async def test_an_app_without_a_lifespan_is_served_and_a_factory_is_asked(tmp_path: Path) -> None:
    async with looping(tmp_path, "without_lifespan") as function:
        assert (await asked(function, "/"))[0]["statusCode"] == 204
    async with looping(tmp_path, "factory") as function:
        assert (await asked(function, "/echo", b"x"))[1] == b"x"


async def test_a_process_that_is_told_to_stop_ends_its_lifespan(tmp_path: Path) -> None:
    async with looping(tmp_path) as function:
        await asked(function, "/echo", b"x")
    assert (tmp_path / "shut-down").exists()


@pytest.mark.parametrize(
    ("name", "environment", "sentence"),
    [
        ("nothing", {}, "'tests.hosting.runtime.behaving:nothing' is neither an ASGI app nor a function of an event"),
        ("not_callable", {}, "'tests.hosting.runtime.behaving:not_callable' is neither an ASGI app nor a function"),
        ("async_handler", {}, "'tests.hosting.runtime.behaving:async_handler' is an async function."),
        ("raising", {}, "ValueError while it was loaded or started; the log says where."),
        ("app", {"FAILS": "at import"}, "RuntimeError while it was loaded or started; the log says where."),
        ("app", {"FAILS": "missing"}, "ModuleNotFoundError while it was loaded or started; the log says where."),
        ("cannot_start", {}, "The app's lifespan failed to start."),
        ("app", {"LAMBDA_RESPONSE_MODE": "sometimes"}, "LAMBDA_RESPONSE_MODE is stream or buffered, not 'sometimes'."),
    ],
)
async def test_what_cannot_start_says_why(
    tmp_path: Path, name: str, environment: dict[str, str], sentence: str
) -> None:
    with pytest.raises(FunctionError) as failure:
        async with looping(tmp_path, name, environment=environment):
            raise AssertionError
    assert failure.value.kind == "Runtime.InitFailed"
    assert failure.value.message.startswith(sentence)
    told = (tmp_path / "instance-tollbook-0.log").read_text()
    assert all(json.loads(line) for line in told.splitlines())
    assert CAUSE not in told


async def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    configuration = Configuration(command=(*LOOP, "nowhere.at_all:app"), folder=tmp_path, working_folder=ROOT)
    with pytest.raises(FunctionError) as failure:
        async with deployed(configuration, provisioned=1):
            raise AssertionError
    assert failure.value.message.startswith("There is no module 'nowhere.at_all'.")


async def test_what_to_run_may_be_named_by_lambda(tmp_path: Path) -> None:
    environment = {"_HANDLER": "tests.hosting.runtime.behaving:handler"}
    configuration = Configuration(command=LOOP, folder=tmp_path, working_folder=ROOT, environment=environment)
    async with deployed(configuration, provisioned=1) as function:
        assert json.loads(await (await invoked(function, b"{}")).whole())["got"] == {}


async def test_a_plain_function_answers_one_event_after_the_other(tmp_path: Path) -> None:
    async with looping(tmp_path, "handler") as function:
        for number in range(3):
            invocation = await invoked(function, msgspec.json.encode({"number": number}))
            answer = json.loads(await invocation.whole())
            assert answer == {"got": {"number": number}, "id": invocation.id, "name": "tollbook"}
            assert invocation.mode == "buffered"


async def test_what_a_plain_function_raises_is_the_invocations_error(tmp_path: Path) -> None:
    async with looping(tmp_path, "handler") as function:
        invocation = await invoked(function, b'{"fails":"Unauthorized"}')
        with pytest.raises(FunctionError) as failure:
            await invocation.whole()
        assert (failure.value.kind, failure.value.message) == ("LookupError", "Unauthorized")
        invocation = await invoked(function, b'{"fails":"oddly"}')
        with pytest.raises(FunctionError) as failure:
            await invocation.whole()
        assert (failure.value.kind, failure.value.message) == ("________", "")
        invocation = await invoked(function, b"no json")
        with pytest.raises(FunctionError):
            await invocation.whole()
        assert json.loads(await (await invoked(function, b"{}")).whole())["got"] == {}


async def test_what_was_restored_from_a_snapshot_has_run_its_hooks_and_its_own_luck(tmp_path: Path) -> None:
    environment = {"IMPORTS": "snapshot_restore_py"}
    luck = []
    for name in ("lucky", "app"):
        async with looping(tmp_path, name, start="snap-start", environment=environment) as function:
            invocation = await invoked(function, event("/about"))
            luck.append(await invocation.whole())
            hooks = (tmp_path / "hooks").read_text().split("\n")
            assert hooks == ["before, registered last", "before, registered first", "after"]
            (tmp_path / "hooks").unlink()
    async with looping(tmp_path, "lucky", start="snap-start") as function:
        luck.append(await (await invoked(function, b"{}")).whole())
    assert luck[0] != luck[2]


async def test_a_hook_that_fails_after_the_snapshot_is_told(tmp_path: Path) -> None:
    environment = {"IMPORTS": "snapshot_restore_py", "HOOK_FAILS": "1"}
    async with looping(tmp_path, start="snap-start", environment=environment) as function:
        invocation = await invoked(function, event("/about"))
        with pytest.raises(FunctionError) as failure:
            await invocation.whole()
        assert CAUSE not in str(failure.value.document)


async def test_where_there_is_no_runtime_api_the_loop_says_so(tmp_path: Path) -> None:
    for given, code in (((), 2), ((("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1"),), 1)):
        process = await asyncio.create_subprocess_exec(
            *LOOP,
            "tests.hosting.runtime.behaving:app",
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "NOTES": str(tmp_path), **dict(given)},
        )
        _, told = await asyncio.wait_for(process.communicate(), PATIENCE_S * 3)
        assert process.returncode == code
        assert ("127.0.0.1:1" if given else "AWS_LAMBDA_RUNTIME_API") in json.loads(told)["event"]


async def test_a_runtime_api_that_ends_every_connection_is_asked_over_a_new_one(tmp_path: Path) -> None:
    answers: asyncio.Queue[bytes] = asyncio.Queue()
    numbers = iter((1, 2))
    served: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.current_task())
        head, number = b"", 0
        while not head.endswith(b"\r\n\r\n") and not reader.at_eof():
            head += await reader.readline()
        if head.startswith(b"POST"):
            answers.put_nowait(await reader.readuntil(b"\r\n0\r\n\r\n"))
            writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        elif number := next(numbers, 0):
            sent = event(f"/answers/when/told-{number}")
            deadline = int(time.time() + 60) * 1000
            told = f"Lambda-Runtime-Aws-Request-Id: 1\r\nLambda-Runtime-Deadline-Ms: {deadline}"
            writer.write(f"HTTP/1.1 200 OK\r\n{told}\r\nContent-Length: {len(sent)}\r\n\r\n".encode() + sent)
        else:
            await reader.read()
        writer.close()
        await writer.wait_closed()
        if number:
            (tmp_path / f"told-{number}").touch()  # now the process can know that it has ended

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        address = "{}:{}".format(*server.sockets[0].getsockname())
        process = await asyncio.create_subprocess_exec(
            *LOOP,
            "tests.hosting.runtime.behaving:app",
            cwd=ROOT,
            env={**os.environ, "NOTES": str(tmp_path), "AWS_LAMBDA_RUNTIME_API": address},
        )
        try:
            async with asyncio.timeout(PATIENCE_S * 3):
                for _ in range(2):
                    assert b"at last" in await answers.get()
        finally:
            process.terminate()
            assert await process.wait() == 0
            await asyncio.gather(*filter(None, served))
