"""Questions as people ask them: each is answered by one call, with the right figure."""

import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from mcp import Client

from tests.tools import worked_out
from tests.tools.desk import TOOL, text_of
from tests.tools.eight_weeks import ANSWERS, Agrees, at, desk

pytestmark = pytest.mark.anyio

QUESTIONS: Final[list[dict[str, Any]]] = tomllib.loads(
    (Path(__file__).parent.parent / "questions.toml").read_text("utf-8")
)["question"]
ROUNDING: Final = Decimal("0.0001")
"""Dollars that parts, each rounded to the millionth, may differ by from a sum that is rounded once."""
ESTIMATED: Final = {"month_end": Decimal("0.10")}
"""What has no single right figure, and how far a simple estimate may lie from ours, as a share."""
WAYS: Final[Mapping[str, Callable[..., Any]]] = {
    "at_tier": worked_out.at_tier,
    "calls": worked_out.count,
    "dearest": worked_out.dearest_at,
    "elsewhere": worked_out.elsewhere,
    "median_day": worked_out.median_day,
    "month_end": worked_out.month_end,
    "priced": worked_out.priced,
    "saved": worked_out.saved,
    "through": worked_out.through,
    "tokens": worked_out.tokens,
    "uncached": worked_out.uncached,
    "unpriced": worked_out.unpriced,
    "usd": worked_out.usd,
}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(desk(biller=Agrees())) as client:
        yield client


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["ask"])
async def test_a_question_is_answered_by_one_call_with_the_right_figure(
    client: Client, question: Mapping[str, Any]
) -> None:
    result = await client.call_tool(question["tool"], question["arguments"])
    assert not result.is_error, text_of(result)
    assert question["holds"]
    for hold in question["holds"]:
        assert_holds(at(result.structured_content, hold["path"]), hold)


def assert_holds(found: Any, hold: Mapping[str, Any]) -> None:
    """What was found is what is wanted."""
    if "is" in hold:
        assert found == hold["is"]
        return
    (way,) = WAYS.keys() & hold.keys()
    wanted = WAYS[way](**hold[way])
    if "less" in hold:
        wanted -= WAYS[way](**hold["less"])
    if way in ESTIMATED:
        assert abs(Decimal(found) - wanted) <= wanted * ESTIMATED[way]
    elif isinstance(wanted, Decimal):
        assert abs(Decimal(found) - wanted) < ROUNDING < abs(wanted)
    else:
        assert found == wanted
        assert wanted


async def test_there_are_thirty_at_least_and_some_for_every_tool() -> None:
    assert len({question["ask"] for question in QUESTIONS}) == len(QUESTIONS) >= 30
    assert {question["tool"] for question in QUESTIONS} == {*ANSWERS, TOOL, "whoami"}
