"""What a client sees before it calls anything."""

import re
import subprocess
import sys

import jsonschema
import pytest
from mcp import Client
from mcp_types import PromptReference, ResourceTemplateReference

from tests.tools.desk import ERAS, SAMPLE, TOOL, served
from tests.tools.eight_weeks import ANSWERS, Agrees, desk
from tollbook import tools

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("era", ERAS)
async def test_exactly_these_are_offered(era: str) -> None:
    async with Client(served(), mode=era) as client:
        offered = (await client.list_tools()).tools
        without_a_bill = [name for name in ANSWERS if name != "compare_with_aws_bill"]
        assert [tool.name for tool in offered] == ["greet", "multi-greet", "whoami", TOOL, *without_a_bill]
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == [
            "greeting-template",
            "spend-report",
            "weekly-review",
        ]
        assert [each.name for each in (await client.list_resources()).resources] == ["dashboard", "greeting-resource"]
        templates = (await client.list_resource_templates()).resource_templates
    assert [each.uri_template for each in templates] == [
        "tollbook://reports/{id}.{format}",
        "tollbook://reports/{id}/{page}.{format}",
    ]


async def test_every_tool_says_what_it_does_and_that_it_changes_nothing() -> None:
    async with Client(served()) as client:
        assert client.server_info is not None
        assert (client.server_info.name, client.server_info.version) == ("tollbook", "1.2.3")
        assert client.server_info.title
        assert TOOL in (client.instructions or "")
        for tool in (await client.list_tools()).tools:
            assert tool.title
            assert tool.description
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is True
            assert tool.annotations.destructive_hint is False
            assert tool.annotations.idempotent_hint is True


async def test_every_argument_is_described_with_examples_and_bounds_and_only_a_name_is_required() -> None:
    settings = tools.Settings(region="eu-central-1", log_group="/our/group")
    async with Client(served(settings=settings)) as client:
        found = {tool.name: tool for tool in (await client.list_tools()).tools}
    for tool in found.values():
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        for argument in tool.input_schema["properties"].values():
            assert argument["title"]
            assert argument["description"]
            assert argument["examples"]
    arguments = found[TOOL].input_schema["properties"]
    assert "required" not in found[TOOL].input_schema
    assert (arguments["days"]["minimum"], arguments["days"]["maximum"], arguments["days"]["default"]) == (1, 3660, 1)
    assert arguments["region"]["default"] == "eu-central-1"
    assert arguments["log_group_name"]["default"] == "/our/group"
    for name, argument in arguments.items():
        for example in argument["examples"]:
            jsonschema.validate(example, argument)
        assert "default" in argument, name
    output = found[TOOL].output_schema
    assert output is not None
    jsonschema.Draft202012Validator.check_schema(output)
    assert output["$defs"]["Measures"]["properties"]["cost_usd"]["description"].startswith("US dollars")


async def test_lists_may_be_cached_and_subscriptions_are_not_offered() -> None:
    async with Client(served(), mode=ERAS[1]) as client:
        for listed in (
            await client.list_tools(),
            await client.list_prompts(),
            await client.list_resources(),
            await client.list_resource_templates(),
        ):
            assert listed.ttl_ms
            assert listed.cache_scope == "public"
    async with Client(served(), mode="auto") as client:
        assert client.server_capabilities.resources is not None
        assert not client.server_capabilities.resources.subscribe


async def test_arguments_of_the_prompt_and_formats_are_completed() -> None:
    async with Client(served(SAMPLE)) as client:

        async def values(name: str, typed: str, ref: PromptReference | ResourceTemplateReference) -> list[str]:
            return (await client.complete(ref, {"name": name, "value": typed})).completion.values

        prompt = PromptReference(name="spend-report")
        assert "us-east-1" in await values("region", "us-", prompt)
        assert (await values("region", "", prompt))[0] == "all"
        assert "anthropic.claude-sonnet-4-5-20250929-v1:0" in await values("model", "SONNET", prompt)
        assert (await values("model", "nova", prompt)) == await values("model", "amazon.nova", prompt)
        assert await values("log_group", "/aws", prompt) == ["/aws/bedrock/modelinvocations"]
        assert await values("nothing", "", prompt) == []
        assert len(await values("model", "", prompt)) == 100
        page = ResourceTemplateReference(uri="tollbook://reports/{id}/{page}.{format}")
        assert await values("format", "", page) == ["json", "csv"]
        assert await values("format", "c", page) == ["csv"]


async def test_the_prompt_asks_for_the_tool_with_what_was_given() -> None:
    async with Client(served()) as client:
        given = {"region": "us-east-1", "model": "sonnet", "log_group": "/a/b"}
        (whole,) = (await client.get_prompt("spend-report", given)).messages
        (plain,) = (await client.get_prompt("spend-report")).messages
    assert whole.content.type == plain.content.type == "text"
    assert f"{TOOL} with region='us-east-1', model='sonnet', log_group_name='/a/b', days=7" in whole.content.text
    assert f"{TOOL} with days=7" in plain.content.text


async def test_the_review_asks_for_the_tools_with_what_was_given() -> None:
    async with Client(served()) as client:
        given = {"principal": "rag-api", "tz": "Europe/Berlin"}
        (whole,) = (await client.get_prompt("weekly-review", given)).messages
        (plain,) = (await client.get_prompt("weekly-review")).messages
        offered = {tool.name for tool in (await client.list_tools()).tools}
    assert whole.content.type == plain.content.type == "text"
    assert "check_bedrock_budgets each with principal='rag-api', tz='Europe/Berlin'." in whole.content.text
    assert "check_bedrock_budgets.\n" in plain.content.text
    assert {word.strip(".,") for word in plain.content.text.split() if "_bedrock_" in word} <= offered


async def test_the_instructions_and_descriptions_speak_of_tools_that_there_are() -> None:
    for biller in (None, Agrees()):
        async with Client(desk(biller=biller)) as client:
            offered = {tool.name: tool.description or "" for tool in (await client.list_tools()).tools}
            assert ("compare_with_aws_bill" in offered) == (biller is not None)
            for text in (client.instructions or "", *offered.values()):
                assert set(re.findall(r"\b\w+_(?:bedrock|aws)_\w+", text)) <= offered.keys()
            # What a page asks for is no matter of a model's.
            wanted = offered.keys() - {"drill_into_bedrock_spend"}
            assert not [name for name in wanted if name not in (client.instructions or "")]


def test_building_a_server_leaves_logging_to_whoever_runs_it() -> None:
    program = (
        "import logging; from tests.tools.desk import served; served();"
        "root = logging.getLogger(); assert not root.handlers, root.handlers; assert root.level == logging.WARNING"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
