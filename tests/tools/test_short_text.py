"""The text for the model stays short, and says what it leaves out."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.logs import call, write
from tests.tools.desk import NOW, QUICK, called, sections_of, served, text_of
from tollbook import tools

pytestmark = pytest.mark.anyio
LIMIT = QUICK.text_bytes


def many(path: Path, users: int = 1, models: int = 0, days: int = 1) -> str:
    """A log of many users, models or days, each dearer than the one before."""
    records: list[dict[str, Any]] = []
    for number in range(max(users, models, days)):
        fields: dict[str, Any] = {"model": f"vendor.model-{number % models:05}"} if models else {}
        records.append(
            call(
                arn=f"arn:aws:iam::111122223333:user/someone-{number % users:05}",
                tokens=(1000 + number, 10),
                timestamp=(NOW - timedelta(days=number % days)).isoformat(),
                **fields,
            )
        )
    return write(path, *records)


def left_out(lines: list[str]) -> tuple[int, str]:
    (line,) = (line for line in lines if line.startswith("…"))
    found = re.fullmatch(r"… and ([\d,]+) (.+)", line)
    assert found
    return int(found[1].replace(",", "")), found[2]


@pytest.mark.parametrize("group_by", ["principal", "model", "day,principal,model", "session,hour"])
async def test_no_report_makes_a_text_longer_than_the_limit(tmp_path: Path, group_by: str) -> None:
    log = many(tmp_path / "log.jsonl", users=3000, models=2500, days=400)
    text = text_of(await called(served(log), days=500, group_by=group_by))
    assert LIMIT * 0.9 < len(text.encode()) <= LIMIT


async def test_a_long_section_lists_the_dearest_and_counts_the_others(tmp_path: Path) -> None:
    log = many(tmp_path / "log.jsonl", users=3000)
    lines = sections_of(text_of(await called(served(log))))["User Summary"]
    assert left_out(lines) == (3000 - (len(lines) - 1), "more users: see the whole result")
    assert lines[-1].startswith("…")
    names = [line.partition(":")[0] for line in lines[:-1]]
    assert names == [f"user/someone-{number:05}" for number in range(2999, 2999 - len(names), -1)]


async def test_of_days_the_earliest_are_left_out_and_the_others_stay_in_order(tmp_path: Path) -> None:
    log = many(tmp_path / "log.jsonl", users=400, days=400)
    lines = sections_of(text_of(await called(served(log), days=500, group_by="day")))["Daily Totals"]
    assert left_out(lines) == (400 - (len(lines) - 1), "earlier days: see the whole result")
    assert lines[0].startswith("…")
    days = [line.partition(":")[0] for line in lines[1:]]
    assert days == sorted(days)
    assert days[-1] == "2026-11-22"


async def test_what_the_whole_result_does_not_hold_is_to_be_asked_for(tmp_path: Path) -> None:
    log = many(tmp_path / "log.jsonl", users=3000)
    lines = sections_of(text_of(await called(served(log), group_by="model")))["User Summary"]
    assert left_out(lines)[1] == "more users: ask for them with group_by=principal"


async def test_short_sections_are_whole_beside_long_ones(tmp_path: Path) -> None:
    log = many(tmp_path / "log.jsonl", users=3000, models=10)
    sections = sections_of(text_of(await called(served(log))))
    assert len(sections["Model Summary"]) == 10
    assert not any(line.startswith("…") for line in (*sections["Model Summary"], *sections["Notes"]))


async def test_the_limit_is_a_setting_and_a_long_name_is_cut(tmp_path: Path) -> None:
    arn = f"arn:aws:iam::111122223333:user/{'x' * 5000}"
    log = write(tmp_path / "log.jsonl", call(arn=arn, timestamp=NOW.isoformat()))
    settings = tools.Settings(text_bytes=2000)
    result = await called(served(log, settings=settings))
    text = text_of(result)
    assert len(text.encode()) <= 2000
    assert f"user/{'x' * 194}…: Requests=1" in text
    assert result.structured_content is not None
    assert result.structured_content["groups"][0]["principal"] == f"user/{'x' * 1018}…"
