"""Every request of a connection, in both eras, answered by two real instances in turn."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.client.wire.conftest import Connect
from tests.client.wire.watching import Watching
from tests.conformance.round_robin import RoundRobin
from tests.hosting.serving import a_server, serving, until
from tests.hosting.wire import instances
from tollbook.client.protocol import Era, PromptResult, ReadResult, ToolResult, read
from tollbook.client.trouble import RpcError
from tollbook.hosting import host
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

LOGS = [("debug", "Starting multi-greet for Ann"), ("info", "Sending first greeting to Ann")]
LOGS += [("info", "Sending second greeting to Ann")]


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoundRobin]:
    folder = tmp_path_factory.mktemp("two")
    with (
        instances(folder, 2, ["--session-store", f"sqlite:{folder / 'store.db'}"]) as started,
        RoundRobin([int(each.url.split(":")[2].split("/")[0]) for each in started]) as front,
    ):
        yield front


@pytest.fixture
def url(front: RoundRobin) -> str:
    return f"http://127.0.0.1:{front.port}/mcp"


def text(raw: Any) -> str | None:
    return read(raw, ToolResult).content[0].text


async def test_a_server_says_who_it_is_and_what_it_can_do(connect: Connect, url: str, era: Era) -> None:
    async with connect(url, era) as connection:
        server = await connection.open()
        assert server is connection.server
    assert server.info is not None
    assert (server.info.name, server.era, server.has_session) == ("tollbook", era, era == "handshake")
    assert server.version == ("2025-11-25" if era == "handshake" else "2026-07-28")
    assert server.instructions is not None
    assert server.instructions.startswith("tollbook says what Amazon Bedrock cost")
    assert {"tools", "resources", "prompts", "completions"} <= set(server.capabilities)
    assert connection.server is None, "it is closed"


async def test_the_newest_era_is_spoken_unless_another_is_wanted(connect: Connect, url: str) -> None:
    async with connect(url) as connection:
        assert (await connection.open()).era == "modern"


async def test_everything_is_asked_of_both_instances(
    connect: Connect, url: str, user: Watching, front: RoundRobin, era: Era
) -> None:
    before = dict(front.requests)
    async with connect(url, era) as connection:
        tools = {tool.name: tool for tool in await connection.tools()}
        assert list(tools)[:4] == ["greet", "multi-greet", "whoami", "get_bedrock_usage_report"]
        assert tools["get_bedrock_usage_report"].is_repeatable
        assert "days" in tools["get_bedrock_usage_report"].input_schema["properties"]

        assert text(await connection.call_tool("greet", {"name": "John Smith"})) == "Hello, John Smith!"
        (resource,) = [each for each in await connection.resources() if each.name != "dashboard"]
        assert (resource.name, resource.mime_type) == ("greeting-resource", "text/plain")
        contents = read(await connection.read_resource(resource.uri), ReadResult).contents
        assert [(each.uri, each.text) for each in contents] == [(resource.uri, "Hello, world!")]
        assert "tollbook://reports/{id}.{format}" in [each.uri_template for each in await connection.templates()]

        prompts = {prompt.name: prompt for prompt in await connection.prompts()}
        (argument,) = prompts["greeting-template"].arguments or ()
        assert (argument.name, argument.required) == ("name", True)
        prompt = read(await connection.get_prompt("greeting-template", {"name": "Ann"}), PromptResult)
        assert [(each.role, each.content.text) for each in prompt.messages] == [
            ("user", "Please greet Ann in a friendly manner.")
        ]
        assert "us-east-1" in await connection.complete(
            {"type": "ref/prompt", "name": "spend-report"}, "region", "us-", {"model": "sonnet"}
        )
        report = read(await connection.call_tool("get_bedrock_usage_report", {"days": 7}), ToolResult)
        assert isinstance(report.structured_content, dict)
    assert all(front.requests[port] > before.get(port, 0) + 3 for port in front.backends)
    assert not user.notices


async def test_what_a_call_says_is_heard_while_it_runs_and_in_its_order(
    connect: Connect, url: str, user: Watching, era: Era
) -> None:
    async with connect(url, era) as connection:
        calling = asyncio.create_task(connection.call_tool("multi-greet", {"name": "Ann"}))
        await until(lambda: len(user.seen) >= 2)
        assert not calling.done()
        assert text(await calling) == "Good morning, Ann!"
    progress = [("progress", step, 3, None) for step in range(4)]
    logs = [("log", *log) for log in LOGS]
    assert user.seen == [progress[0], logs[0], progress[1], logs[1], progress[2], logs[2], progress[3]]


async def test_only_the_log_lines_that_are_wanted_come(connect: Connect, user: Watching, era: Era) -> None:
    levels = ["debug", "info", "warning", "error"]

    async def heard() -> list[Any]:
        user.seen.clear()
        await connection.call_tool("says_all_levels", {})
        return [each[1] for each in user.seen]

    async with (
        serving(host(a_server(), MemoryStore())) as small,
        connect(small, era, log_level="info") as connection,
    ):
        assert await heard() == levels[1:]
        await connection.set_log_level("error")
        assert await heard() == levels[3:]
        await connection.set_log_level("debug")
        assert await heard() == levels


async def test_calls_at_once_get_each_their_own_answer(connect: Connect, url: str, era: Era) -> None:
    names = [f"N{number}" for number in range(20)]
    async with connect(url, era) as connection:
        answers = await asyncio.gather(*(connection.call_tool("greet", {"name": name}) for name in names))
    assert [text(answer) for answer in answers] == [f"Hello, {name}!" for name in names]


async def test_what_the_server_does_not_have_is_said_in_its_words(connect: Connect, url: str, era: Era) -> None:
    async with connect(url, era) as connection:
        with pytest.raises(RpcError) as unknown:
            await connection.get_prompt("no-such-prompt", {})
        assert str(unknown.value) == (
            "The server does not take what it was asked: There is no prompt 'no-such-prompt'. There are "
            "greeting-template, spend-report, weekly-review."
        )
        assert unknown.value.code == -32602
        with pytest.raises(RpcError):
            await connection.read_resource("https://example.com/nowhere")
        assert text(await connection.call_tool("greet", {"name": "Ann"})) == "Hello, Ann!"
