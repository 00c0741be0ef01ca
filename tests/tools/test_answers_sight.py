"""Whose calls answers count: whatever is asked, who does not see all learns of no others."""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mcp import Client
from mcp_types import LoggingMessageNotificationParams

from tests.logs import write
from tests.tools.desk import ERAS, called, calling_as, text_of
from tests.tools.eight_weeks import ANSWERS, BUDGETS, NAMES, Agrees, at, desk
from tests.tools.people import ANA, BOSS, LEAD, NOBODY, RULED, SESSION, is_anas, person
from tests.tools.worked_out import LOG, calls, usd
from tests.tools.worked_out import lines as lines_of_log
from tollbook.app.questions import FileAsker
from tollbook.core.caller import Caller
from tollbook.spend.answers.budgets import Budget
from tollbook.spend.report import Report
from tollbook.tools import Asker, Prepared, Question, Tell

pytestmark = pytest.mark.anyio

QUIET = msgspec.structs.replace(RULED, progress_s=3600, silence_s=3600)
OWN = SESSION.format("ana")
OF_LOGS = [name for name in ANSWERS if name != "compare_with_aws_bill"]
HERS: Mapping[str, Mapping[str, Any]] = {
    "estimate_bedrock_what_if": {"to_model": "Claude Haiku 4.5"},
    "drill_into_bedrock_spend": {"of_model": "anthropic.claude-opus-4-5-20251101-v1:0"},
}
"""Arguments that her calls have an answer to."""
ASKED: tuple[tuple[str, Mapping[str, Any]], ...] = (
    *((name, HERS.get(name, {})) for name in ANSWERS),
    ("explain_bedrock_change", {"since": "2026-10-05", "until": "2026-10-25", "tz": "Asia/Kathmandu"}),
    ("explain_bedrock_change", {"days": 7, "model": "opus", "region": "eu-west-1"}),
    ("find_bedrock_anomalies", {"days": 30, "floor_usd": 0}),
    ("check_bedrock_hygiene", {"days": 56, "tag": "env"}),
    ("estimate_bedrock_what_if", {"days": 56, "caching": "none"}),
    ("show_bedrock_dashboard", {"days": 56}),
)
"""Questions without anybody's name in them."""
NAMING: tuple[tuple[str, Mapping[str, Any]], ...] = (
    *((name, {**HERS.get(name, {}), "principal": "rag-api"}) for name in OF_LOGS),
    ("check_bedrock_budgets", {"budget": "project-falcon"}),
    ("drill_into_bedrock_spend", {"of_principal": "role/support-bot"}),
)


def anas(folder: Path) -> str:
    """A log that holds Ana's calls alone."""
    return write(folder / "log.jsonl", *filter(is_anas, lines_of_log()))


def others_broken(folder: Path) -> str:
    """Ana's calls, and beside them a file of others' that breaks off."""
    write(folder / "all" / "log.jsonl", *filter(is_anas, lines_of_log()))
    broken = Path(write(folder / "all" / "project-falcon.jsonl.gz", *lines_of_log()))
    broken.write_bytes(broken.read_bytes()[:-2000])
    return str(folder / "all")


async def said(caller: Caller, log: str, era: str, asked: tuple[tuple[str, Mapping[str, Any]], ...]) -> list[str]:
    """Every word that the caller hears, for each question."""
    found: list[str] = []
    words: list[str] = []

    async def log_heard(params: LoggingMessageNotificationParams) -> None:
        words.append(params.model_dump_json())

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        words.append(repr((progress, total, message)))

    with calling_as(caller):
        server = desk(log, settings=QUIET, biller=Agrees())
        async with Client(server, mode=era, logging_callback=log_heard, log_level="debug") as client:
            listed = [tool.model_dump_json() for tool in (await client.list_tools()).tools]
            for name, arguments in asked:
                words.clear()
                result = await client.call_tool(name, dict(arguments), progress_callback=hear)
                found.append("\n".join([name, result.model_dump_json(), *words]))
    return [*found, *listed]


@pytest.mark.parametrize("era", ERAS)
async def test_whatever_others_do_ana_is_told_the_same_to_the_letter(tmp_path: Path, era: str) -> None:
    asked = (*ASKED, *NAMING)
    expected = await said(ANA, anas(tmp_path), era, asked)
    assert await said(ANA, str(LOG), era, asked) == expected
    # The same questions of one who sees all, so that the test above means something.
    others = await said(BOSS, str(LOG), era, ASKED)
    assert not [one for one, other in zip(expected, others[: len(ASKED)], strict=False) if one == other]


async def test_no_name_of_another_is_ever_told(tmp_path: Path) -> None:
    whole = "\n".join(
        [*await said(ANA, str(LOG), ERAS[0], ASKED), *await said(ANA, others_broken(tmp_path), ERAS[0], ASKED)]
    )
    assert OWN in whole or "AWSReservedSSO_Dev" in whole
    names = {part for each in calls() for part in each.session.split("/")[1:] if len(part) > 4} - {OWN.split("/")[1]}
    names -= {"ana@example.com"}
    told = "\n".join(line for line in whole.splitlines() if '"input_schema"' not in line)  # with examples of names
    assert {"ben@example.com", "support-bot", "claims-triage", "rag-api", "alice"} <= names
    assert not [name for name in (*names, "project-falcon", "growth") if name in told]


@pytest.mark.parametrize("name", [name for name in OF_LOGS if name != "check_bedrock_budgets"])
async def test_ones_answer_is_that_over_a_log_that_holds_ones_own_calls_alone(tmp_path: Path, name: str) -> None:
    arguments = {**HERS.get(name, {}), "days": 28} if name != "forecast_bedrock_spend" else {}
    with calling_as(ANA):
        found: Any = (await called(desk(settings=RULED), name, **arguments)).structured_content
    with calling_as(BOSS):
        expected: Any = (await called(desk(anas(tmp_path), settings=RULED), name, **arguments)).structured_content
    assert re.search(r'"[1-9][0-9]*\.[0-9]{6}"', json.dumps(found))
    for each in (found, expected):
        _without_whose(each)
    assert found == expected


def _without_whose(content: Any) -> None:
    """Takes out what says whose calls were counted."""
    if isinstance(content, list):
        for each in content:
            _without_whose(each)
    elif isinstance(content, dict):
        if basis := content.get("basis"):
            basis.pop("whose")
            basis["notes"] = [note for note in basis["notes"] if not note.startswith(("only your", "left out, since"))]
        for each in content.values():
            _without_whose(each)


async def test_a_team_is_told_of_its_own() -> None:
    with calling_as(LEAD):
        found: Any = (await called(desk(settings=RULED), "explain_bedrock_change")).structured_content
    assert {mover["name"] for mover in found["principals"]} == {"role/rag-api", "role/indexer"}
    with calling_as(BOSS):
        whole: Any = (await called(desk(settings=RULED), "explain_bedrock_change")).structured_content
    assert len(whole["principals"]) > len(found["principals"])


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("name", ANSWERS)
async def test_who_may_see_nothing_is_told_so_by_every_tool(name: str, era: str) -> None:
    biller = Agrees()
    with calling_as(NOBODY):
        result = await called(desk(settings=RULED, biller=biller), name, era=era, **HERS.get(name, {}))
    assert result.is_error
    assert text_of(result).startswith("You may see no calls: they are found by email, ")
    assert biller.asked == []


class Partly:
    """Answers from the sample, and says that something else could not be read."""

    async def prepare(self, question: Question) -> Prepared:
        return _Part(await FileAsker([str(LOG)], names_file=NAMES).prepare(question))


class _Part:
    def __init__(self, prepared: Prepared) -> None:
        self._prepared, self.estimate = prepared, prepared.estimate

    async def answer(self, tell: Tell) -> Report:
        return msgspec.structs.replace(await self._prepared.answer(tell), unread=("some of the logs",))


class TestBudgets:
    """One sees those that his own calls spend from, and of them his own part."""

    async def burn(self, caller: Caller, asker: Asker | None = None, **arguments: Any) -> Any:
        with calling_as(caller):
            result = await called(desk(settings=RULED, asker=asker), "check_bedrock_budgets", **arguments)
        assert not result.is_error, text_of(result)
        return result.structured_content

    async def test_his_part_is_what_his_own_calls_cost(self) -> None:
        found = await self.burn(ANA)
        everything = at(found, "budgets.name=everything")
        spent = usd(first="2026-11-01", session=OWN)
        assert everything["spent_usd"] == f"{spent:.6f}"
        assert (everything["is_own_part"], everything["forecast_usd"], everything["exhausted_on"]) == (True, None, None)
        assert at(found, "budgets.name=people.spent_usd") == f"{spent:.6f}"
        assert at(await self.burn(BOSS), "budgets.name=everything.is_own_part") is False

    async def test_others_budgets_are_not_there(self) -> None:
        assert {each["name"] for each in (await self.burn(BOSS))["budgets"]} == {each.name for each in BUDGETS}
        shown = {each["name"] for each in (await self.burn(ANA))["budgets"]}
        spends_from = {
            "everything": usd(first="2026-11-01", session=OWN),
            "people": usd(first="2026-11-01", session=OWN),
            "growth": usd(first="2026-11-01", session=OWN, team="growth"),
            "opus-week": usd(first="2026-11-16", session=OWN, model="opus"),
            "rag": Decimal(0),
            "project-falcon": usd(first="2026-11-01", session=OWN, team="claims"),
        }
        assert shown == {name for name, spent in spends_from.items() if spent} == {"everything", "people", "opus-week"}

    async def test_nor_where_something_could_not_be_read(self) -> None:
        found = await self.burn(ANA, Partly())
        assert found["basis"]["unread"]
        usual = await self.burn(ANA)
        assert {each["name"] for each in found["budgets"]} == {each["name"] for each in usual["budgets"]}

    @pytest.mark.parametrize("era", ERAS)
    async def test_it_cannot_be_told_whether_another_exists(self, era: str) -> None:
        with calling_as(ANA):
            told = {
                name: text_of(await called(desk(settings=RULED), "check_bedrock_budgets", era=era, budget=name))
                for name in ("project-falcon", "rag", "nothing-like-it", "peopl")
            }
        for name, text in told.items():
            assert text == (
                f"You may see only your own calls: role/AWSReservedSSO_*/ana@example.com; none of these spends from a "
                f"budget '{name}'. Leave budget out for those that they spend from."
            )
        assert [each["name"] for each in (await self.burn(ANA, budget="people"))["budgets"]] == ["people"]

    async def test_who_has_spent_nothing_has_none(self) -> None:
        found = await self.burn(person("zoe"))
        assert (found["budgets"], found["state"]) == ([], "ok")

    @pytest.mark.parametrize("era", ERAS)
    @pytest.mark.parametrize("arguments", [{}, {"budget": "project-falcon"}, {"tz": "Asia/Kathmandu", "model": "opus"}])
    @pytest.mark.parametrize("of_others", [BUDGETS[4:5], tuple(b for b in BUDGETS if b.name in ("rag", "growth"))])
    async def test_it_cannot_be_told_whether_there_are_any(
        self, era: str, arguments: Mapping[str, Any], of_others: Sequence[Budget]
    ) -> None:
        with calling_as(ANA):
            with_some, without = [
                await called(desk(settings=RULED, budgets=budgets), "check_bedrock_budgets", era=era, **dict(arguments))
                for budgets in (of_others, ())
            ]
        assert with_some.model_dump_json() == without.model_dump_json()
        assert with_some.is_error is ("budget" in arguments)


class TestTheBill:
    """It is everybody's."""

    @pytest.mark.parametrize("caller", [ANA, LEAD])
    @pytest.mark.parametrize("era", ERAS)
    async def test_who_does_not_see_all_is_refused_and_nothing_is_asked(self, caller: Caller, era: str) -> None:
        biller = Agrees()
        with calling_as(caller):
            result = await called(desk(settings=RULED, biller=biller), "compare_with_aws_bill", era=era)
        assert result.is_error
        assert text_of(result).startswith("You may see only your ")
        assert text_of(result).endswith("and a bill is everybody's. Ask whoever runs this server to compare them.")
        assert biller.asked == []

    async def test_who_sees_all_is_answered(self) -> None:
        with calling_as(BOSS):
            assert not (await called(desk(settings=RULED, biller=Agrees()), "compare_with_aws_bill")).is_error
