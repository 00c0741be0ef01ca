"""The tools, the prompt and the resource that greet, as the original had them."""

from typing import Any

import pytest
from mcp import Client
from mcp_types import LoggingMessageNotificationParams, TextResourceContents

from tests.tools.desk import ERAS, called, served, text_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("era", ERAS)
async def test_greet_greets(era: str) -> None:
    assert text_of(await called(served(), "greet", era, name="Ada Lovelace")) == "Hello, Ada Lovelace!"


@pytest.mark.parametrize("era", ERAS)
async def test_multi_greet_sends_three_logs_and_its_progress_before_the_result(era: str) -> None:
    seen: list[object] = []

    async def log(params: LoggingMessageNotificationParams) -> None:
        seen.append((params.level, params.data))

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total))

    async with Client(served(), mode=era, logging_callback=log, log_level="debug") as client:
        result = await client.call_tool("multi-greet", {"name": "Ada"}, progress_callback=hear)
    assert text_of(result) == "Good morning, Ada!"
    logs = [each for each in seen if isinstance(each, tuple) and isinstance(each[0], str)]
    assert logs == [
        ("debug", "Starting multi-greet for Ada"),
        ("info", "Sending first greeting to Ada"),
        ("info", "Sending second greeting to Ada"),
    ]
    assert [each for each in seen if each not in logs] == [(0, 3), (1, 3), (2, 3), (3, 3)]


async def test_a_client_of_the_modern_era_that_did_not_ask_for_logs_gets_none() -> None:
    seen: list[Any] = []

    async def log(params: LoggingMessageNotificationParams) -> None:
        seen.append(params)

    async with Client(served(), mode=ERAS[1], logging_callback=log) as client:
        await client.call_tool("multi-greet", {"name": "Ada"})
    assert seen == []


async def test_the_prompt_and_the_resource_greet() -> None:
    async with Client(served()) as client:
        (message,) = (await client.get_prompt("greeting-template", {"name": "Ada"})).messages
        assert message.content.type == "text"
        assert "Ada" in message.content.text
        (resource,) = [each for each in (await client.list_resources()).resources if each.name != "dashboard"]
        assert (resource.name, resource.uri) == ("greeting-resource", "https://example.com/greetings/default")
        (content,) = (await client.read_resource(resource.uri)).contents
    assert isinstance(content, TextResourceContents)
    assert (content.mime_type, content.text) == ("text/plain", "Hello, world!")
