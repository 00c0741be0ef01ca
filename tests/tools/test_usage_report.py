"""The report as a tool: the same figures as on the command line."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mcp import Client

from tests.logs import ACCOUNT, SAMPLES, Ask, call, write
from tests.tools.desk import ERAS, SAMPLE, TOOL, called, printed, reported, sections_of, served, text_of

pytestmark = pytest.mark.anyio
ALL = "day,hour,model,vendor,scope,profile,principal,session,account,region,inference-region,operation,error,tier,tag:x"


@pytest.mark.parametrize("by", ["principal", "model", "day,model", "tag:team", "session,account", ALL])
async def test_the_structured_content_is_what_the_command_line_prints_as_json(ask: Ask, by: str) -> None:
    found = await reported(served(SAMPLE), days=14, group_by=by, top=200)
    expected = printed(ask, SAMPLE, "--by", by, days=14).json
    left, whole = found.pop("groups_left_out"), found.pop("whole")
    shown = len(found["groups"])
    assert left["groups"] == len(expected["groups"]) - shown
    assert found == {**expected, "groups": expected["groups"][:shown]}
    assert whole["pages"] >= 1


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("by", ["principal", "model", "hour", ALL])
async def test_the_structured_content_keeps_to_the_schema_that_the_tool_declares(era: str, by: str) -> None:
    async with Client(served(SAMPLE), mode=era) as client:
        schema = next(tool.output_schema for tool in (await client.list_tools()).tools if tool.name == TOOL)
        result = await client.call_tool(TOOL, {"days": 14, "group_by": by})
    assert schema is not None
    jsonschema.validate(result.structured_content, schema)
    assert result.structured_content is not None
    assert set(result.structured_content) == set(schema["required"]) == set(schema["properties"])


async def test_groups_beyond_the_top_are_counted_and_added_up(ask: Ask) -> None:
    found = await reported(served(SAMPLE), days=14, group_by="model,principal", top=3)
    groups = printed(ask, SAMPLE, "--by", "model,principal", days=14).json["groups"]
    assert found["groups"] == groups[:3]
    left = found["groups_left_out"]
    assert left["groups"] == len(groups) - 3
    for measure, total in found["totals"].items():
        parts = [Decimal(part[measure] or 0) for part in (*found["groups"], left)]
        assert sum(parts) == Decimal(total), measure


async def test_nothing_left_out_adds_up_to_nothing() -> None:
    left = (await reported(served(SAMPLE), days=14))["groups_left_out"]
    assert {Decimal(value) for value in left.values()} == {0}


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        ({"days": 14}, "Past 14 days - all regions"),
        ({"days": 1, "region": "eu-west-1"}, "Past 1 days - eu-west-1"),
    ],
)
async def test_the_text_begins_as_the_original_did(arguments: dict[str, Any], title: str) -> None:
    lines = text_of(await called(served(SAMPLE), **arguments)).splitlines()
    assert lines[0] == f"Bedrock Daily Usage Report ({title})"
    names = [line.partition(":")[0] for line in lines[1:5]]
    assert names == ["Total Requests", "Total Input Tokens", "Total Completion Tokens", "Total Tokens"]


async def test_the_text_has_the_originals_sections_with_the_command_lines_figures(ask: Ask) -> None:
    mine = text_of(await called(served(SAMPLE), days=14))
    theirs = printed(ask, SAMPLE, days=14, form="text").out
    assert mine.splitlines()[1:] == theirs.splitlines()[1:]
    titles = list(sections_of(mine))
    assert titles == ["Daily Totals", "Region Summary", "Model Summary", "User Summary", "Notes"]


async def test_another_dimension_gets_a_section_of_its_own() -> None:
    sections = sections_of(text_of(await called(served(SAMPLE), days=14, group_by="tag:team,tier")))
    assert "claims, " in sections["Summary by tag:team, tier"][0]
    assert len(sections["Summary by tag:team, tier"]) > 5


async def test_days_are_those_of_the_time_zone(tmp_path: Path) -> None:
    """Kiritimati is 14 hours ahead of UTC."""
    log = write(tmp_path / "log.jsonl", call(timestamp="2026-11-21T23:00:00Z"), call(timestamp="2026-11-22T13:00:00Z"))
    assert (await reported(served(log), tz="UTC"))["totals"]["calls"] == 1
    found = await reported(served(log), tz="Pacific/Kiritimati", group_by="day", days=2)
    assert [(group["day"], group["calls"]) for group in found["groups"]] == [("2026-11-22", 1), ("2026-11-23", 1)]
    assert found["window"] == {
        "since": "2026-11-22T00:00:00+14:00",
        "until": "2026-11-24T00:00:00+14:00",
        "tz": "Pacific/Kiritimati",
    }


async def test_a_log_group_that_is_not_used_is_said_to_be_not_used() -> None:
    plain = await reported(served(SAMPLE))
    other = await reported(served(SAMPLE), log_group_name="/other/group")
    note = "log_group_name /other/group is not used: this server reads files"
    assert note in other["notes"]
    assert not any("log_group_name" in each for each in plain["notes"])
    assert note in text_of(await called(served(SAMPLE), log_group_name="/other/group"))


async def test_names_that_could_deceive_are_shown_as_codes_and_kept_in_the_data(tmp_path: Path) -> None:
    name = "user/\x1b[31mred\u202eevil\u200b"
    log = write(tmp_path / "log.jsonl", call(arn=f"arn:aws:iam::{ACCOUNT}:{name}", timestamp="2026-11-22T01:00:00Z"))
    result = await called(served(log))
    assert "user/<U+001B>[31mred<U+202E>evil<U+200B>: Requests=1" in text_of(result)
    assert result.structured_content is not None
    assert result.structured_content["groups"][0]["principal"] == name


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("log", [SAMPLES, *sorted((SAMPLES.parent / "fuzz").glob("*-*"))], ids=lambda path: path.name)
async def test_no_log_is_so_odd_that_no_answer_comes(log: Path, era: str) -> None:
    result = await called(served(str(log)), era=era, days=3660, group_by="session,operation,tag:team")
    assert not result.is_error, text_of(result)
    json.dumps(result.structured_content, ensure_ascii=False).encode()


async def test_the_moment_that_days_count_back_from_is_asked_for_each_question(tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", call(timestamp="2026-11-22T01:00:00Z"))
    now = datetime(2026, 11, 22, 23, tzinfo=UTC)
    server = served(log, now=lambda: now)
    assert (await reported(server))["totals"]["calls"] == 1
    now += timedelta(hours=2)
    assert (await reported(server))["totals"]["calls"] == 0
