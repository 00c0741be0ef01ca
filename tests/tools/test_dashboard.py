"""The dashboard as an MCP App: where its page is found, what it is given, and what other clients get."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
from mcp import Client
from mcp.client.extension import ClientExtension, advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp_types import CallToolResult

from tests.logs import call, write
from tests.tools.desk import ERAS, called, calling_as, text_of
from tests.tools.eight_weeks import at, desk
from tests.tools.people import ANA, BOSS, RULED, SESSION
from tests.tools.worked_out import count, dearest, usd

pytestmark = pytest.mark.anyio

SHOW: Final = "show_bedrock_dashboard"
DRILL: Final = "drill_into_bedrock_spend"
URI: Final = "ui://tollbook/dashboard.html"
SONNET: Final = "anthropic.claude-sonnet-4-5-20250929-v1:0"
FIRST: Final = "2026-10-24"
"""Of the thirty days that are shown."""


async def shown_to(extensions: Sequence[ClientExtension], era: str, **arguments: Any) -> CallToolResult:
    async with Client(desk(), mode=era, extensions=extensions) as client:
        return await client.call_tool(SHOW, arguments)


@pytest.mark.parametrize("era", ERAS)
async def test_a_host_finds_the_page_by_the_tool_in_both_ways_that_hosts_look(era: str) -> None:
    async with Client(desk(), mode=era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools[SHOW].meta == {"ui": {"resourceUri": URI}, "ui/resourceUri": URI}
        assert tools[DRILL].meta == {"ui": {"resourceUri": URI, "visibility": ["app"]}}
        assert [tool.name for tool in tools.values() if tool.meta] == [SHOW, DRILL]
        (listed,) = [each for each in (await client.list_resources()).resources if each.uri == URI]
        (page,) = (await client.read_resource(URI)).contents
    assert listed.mime_type == page.mime_type == APP_MIME_TYPE
    assert "csp" not in (listed.meta or {}).get("ui", {})  # nothing from anywhere
    html = getattr(page, "text", "")
    assert html.lower().startswith("<!doctype html>")
    assert len(html.encode()) < 100 << 10


async def test_the_server_says_that_it_has_apps_where_its_era_has_a_word_for_that() -> None:
    async with Client(desk(), mode="auto") as client:
        assert client.server_capabilities.extensions == {EXTENSION_ID: {}}


async def test_the_page_is_the_same_for_everyone_and_holds_no_figures() -> None:
    pages = set()
    for caller in (ANA, BOSS):
        with calling_as(caller):
            async with Client(desk(settings=RULED)) as client:
                (page,) = (await client.read_resource(URI)).contents
                pages.add(page.model_dump_json())
    (html,) = pages
    assert "role/rag-api" not in html


@pytest.mark.parametrize("era", ERAS)
async def test_a_host_of_apps_gets_the_overview_twice_since_some_drop_one(era: str) -> None:
    apps = advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})
    with_apps, without = [await shown_to(extensions, era) for extensions in ([apps], [])]
    assert with_apps.structured_content == without.structured_content
    assert text_of(with_apps) == text_of(without)
    assert (with_apps.meta or {})["tollbook/overview"] == with_apps.structured_content
    assert "tollbook/overview" not in (without.meta or {})


async def test_the_overview_holds_what_the_log_holds() -> None:
    found: Any = (await shown_to([], ERAS[0])).structured_content
    assert (found["days"][0], found["days"][-1], len(found["days"])) == (FIRST, "2026-11-22", 30)
    assert found["total"]["usd"] == f"{usd(first=FIRST):.6f}"
    assert found["total"]["calls"] == count(first=FIRST)
    assert [line["name"] for line in found["models"]["top"][:3]] == dearest("model", first=FIRST)[:3]
    assert at(found, "principals.top.name='role/rag-api'.usd") == f"{usd(first=FIRST, principal='role/rag-api'):.6f}"
    day = found["days"].index("2026-11-19")
    millionths = found["total"]["daily_millionths"][day]
    assert millionths == round(usd(first="2026-11-19", last="2026-11-19") * 10**6)


async def test_the_text_says_the_same_to_who_sees_no_page() -> None:
    text = text_of(await shown_to([], ERAS[0]))
    assert f"${usd(first=FIRST):.2f} for {count(first=FIRST):,} calls in 30 days" in text
    assert "--- By principal ---" in text
    assert text.count("\n") < 60


class TestDrillingDown:
    """What the page asks for when somebody opens a line."""

    @pytest.mark.parametrize(
        ("arguments", "which"),
        [
            ({"of_principal": "role/rag-api"}, {"principal": "role/rag-api"}),
            ({"of_model": SONNET, "days": 7}, {"model": SONNET, "first": "2026-11-16"}),
            ({"of_principal": "role/rag-api", "of_model": SONNET}, {"principal": "role/rag-api", "model": SONNET}),
            ({"of_model": SONNET, "principal": "RAG"}, {"principal": "role/rag-api", "model": SONNET}),
        ],
    )
    async def test_gives_the_parts_of_one_principal_or_one_model(
        self, arguments: dict[str, Any], which: dict[str, str]
    ) -> None:
        found: Any = (await called(desk(), DRILL, **arguments)).structured_content
        which = {"first": FIRST, **which}
        assert (found["total"]["usd"], found["total"]["calls"]) == (f"{usd(**which):.6f}", count(**which))
        for parts, attribute in (("models", "model"), ("principals", "principal")):
            names = dearest(attribute, **which)
            assert [part["name"] for part in found[parts]["top"]] == names
            for name in names:
                part = at(found, f"{parts}.top.name='{name}'")
                assert part["usd"] == f"{usd(**{**which, attribute: name}):.6f}"
                assert part["calls"] == count(**{**which, attribute: name})

    async def test_a_name_is_a_whole_one(self) -> None:
        for part in ("rag-api", "role/rag", "ROLE/RAG-API", "role/rag-api/i-0abc"):
            found: Any = (await called(desk(), DRILL, of_principal=part)).structured_content
            assert (found["total"]["calls"], found["models"]["top"]) == (0, [])

    async def test_what_costs_the_same_is_in_order_of_tokens_then_of_calls_then_of_names(self, tmp_path: Path) -> None:
        calls = {"a": [(10, 5)], "b": [(20, 10)], "c": [(10, 5), (10, 5)], "d": [(20, 10)]}  # all of them unpriced
        log = write(
            tmp_path / "log.jsonl",
            *(
                call(model="vendor.new-v1:0", arn=f"arn:aws:iam::111122223333:user/{who}", tokens=tokens)
                for who, each in calls.items()
                for tokens in each
            ),
        )
        found: Any = (await called(desk(log), DRILL, of_model="vendor.new-v1:0")).structured_content
        top = found["principals"]["top"]
        assert [(part["name"], part["calls"], part["usd"]) for part in top] == [
            ("user/c", 2, None),
            ("user/b", 1, None),
            ("user/d", 1, None),
            ("user/a", 1, None),
        ]

    async def test_sessions_are_those_of_roles(self) -> None:
        role = "role/AWSReservedSSO_Dev_0a1b2c3d4e5f6789"
        found: Any = (await called(desk(), DRILL, of_principal=role)).structured_content
        sessions = {part["name"]: part["usd"] for part in found["sessions"]["top"]}
        assert sessions == {
            session: f"{usd(first=FIRST, session=session):.6f}" for session in map(SESSION.format, ("ana", "ben"))
        }
        user: Any = (await called(desk(), DRILL, of_principal="user/ci/nightly-eval")).structured_content
        assert (user["sessions"]["top"], user["total"]["calls"]) == (
            [],
            count(first=FIRST, session="user/ci/nightly-eval"),
        )

    @pytest.mark.parametrize("era", ERAS)
    async def test_another_is_as_empty_as_nobody(self, era: str) -> None:
        told = []
        with calling_as(ANA):
            for name in ("role/rag-api", "role/nobody-x"):
                result = await called(desk(settings=RULED), DRILL, era=era, of_principal=name)
                told.append(result.model_dump_json().replace(name, "NAME"))
        assert told[0] == told[1]
        assert json.loads(told[0])["structured_content"]["total"]["calls"] == 0

    async def test_keeps_to_its_schema(self) -> None:
        async with Client(desk()) as client:
            schema = next(tool.output_schema for tool in (await client.list_tools()).tools if tool.name == DRILL)
            result = await client.call_tool(DRILL, {"of_model": SONNET})
        assert schema is not None
        jsonschema.validate(result.structured_content, schema)
