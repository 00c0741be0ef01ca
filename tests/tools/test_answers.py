"""Answers as tools: what is published, what comes back, and what is refused."""

import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import jsonschema
import msgspec
import pytest
from anyio import wait_all_tasks_blocked
from mcp import Client

from tests.logs import call, write
from tests.tools.desk import ERAS, QUICK, called, text_of
from tests.tools.eight_weeks import ANSWERS, LEAST, NAMES, Agrees, desk
from tests.tools.worked_out import LOG
from tollbook.app.questions import FileAsker
from tollbook.spend.pricing import PricedRow
from tollbook.spend.report import Report
from tollbook.tools import Prepared, Question, Tell

pytestmark = pytest.mark.anyio

MONEY = re.compile(r"-?[0-9]+\.[0-9]{6}")
MODELS_WORDS = 400
"""Characters that a model reads of a tool, for each argument and to choose it; they are paid for in each talk."""


@pytest.mark.parametrize("era", ERAS)
async def test_every_answer_keeps_to_the_schema_that_its_tool_publishes(era: str) -> None:
    async with Client(desk(biller=Agrees()), mode=era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        for name in ANSWERS:
            schema = tools[name].output_schema
            assert schema is not None
            jsonschema.Draft202012Validator.check_schema(schema)
            assert (schema["type"], "$ref" in schema) == ("object", False)
            result = await client.call_tool(name, dict(LEAST.get(name, {})))
            assert not result.is_error, text_of(result)
            jsonschema.validate(result.structured_content, schema, jsonschema.Draft202012Validator)
            assert result.structured_content is not None
            assert list(result.structured_content) == schema["required"] == list(schema["properties"])


@pytest.mark.parametrize("name", ANSWERS)
async def test_dollars_are_text_in_full_and_never_numbers(name: str) -> None:
    result = await called(desk(biller=Agrees()), name, **LEAST.get(name, {}))
    found = list(_dollars(result.structured_content))
    assert found
    assert not [value for value in found if value is not None and not MONEY.fullmatch(value)]


def _dollars(content: Any) -> Iterator[Any]:
    """All values whose name says that they are dollars."""
    if isinstance(content, list):
        for each in content:
            yield from _dollars(each)
    elif isinstance(content, dict):
        for name, value in content.items():
            if (name == "usd" or name.endswith("_usd")) and not isinstance(value, list):
                yield value
            elif name.endswith("_usd"):
                yield from value
            else:
                yield from _dollars(value)


@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "drill_into_bedrock_spend"])
async def test_the_text_holds_the_answer_without_the_structured_content(name: str) -> None:
    result = await called(desk(biller=Agrees()), name, **LEAST.get(name, {}))
    text = text_of(result)
    title, lead, *_ = text.splitlines()
    assert title.startswith("Amazon Bedrock spend: ")
    assert re.search(r"\$[0-9]|[0-9] budgets", lead)
    assert "an estimate at list price, before discounts, credits and taxes" in text
    assert not text.lstrip().startswith("{")


async def test_a_text_is_cut_to_the_servers_limit() -> None:
    server = desk(settings=msgspec.structs.replace(QUICK, text_bytes=3000), biller=Agrees())
    for name in ANSWERS:
        text = text_of(await called(server, name, **LEAST.get(name, {})))
        assert len(text.encode()) <= 3000


async def test_what_a_model_reads_of_a_tool_is_short() -> None:
    async with Client(desk(biller=Agrees())) as client:
        tools = [tool for tool in (await client.list_tools()).tools if tool.name in ANSWERS]
        for tool in tools:
            read = f"{tool.description}{json.dumps(tool.input_schema)}"
            assert len(read) < MODELS_WORDS * (1 + len(tool.input_schema["properties"])), tool.name
            assert len(json.dumps(tool.output_schema)) < 8_000, tool.name


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("explain_bedrock_change", {"since": "2026-11-31"}, "since '2026-11-31' is no date or time."),
        ("explain_bedrock_change", {"since": "last week"}, "since 'last week' is not right: write it like 2026-11-15."),
        ("explain_bedrock_change", {"since": "2026-11-20", "until": "2026-11-10"}, "until 2026-11-10 comes before"),
        ("explain_bedrock_change", {"until": "2026-11-10"}, "Give since with until, and both of these with"),
        ("explain_bedrock_change", {"against_since": "2026-11-10"}, "Give since with until, and both of these with"),
        (
            "explain_bedrock_change",
            {"since": "2026-11-10", "until": "2026-11-12", "against_until": "2026-11-01"},
            "Give since with until, and both of these with",
        ),
        ("explain_bedrock_change", {"days": 0}, "days '0' is not right: input should be greater than or equal to 1."),
        ("explain_bedrock_change", {"week": 1}, "explain_bedrock_change has no argument 'week'. It has days, since,"),
        ("find_bedrock_anomalies", {"floor_usd": -1}, "floor_usd '-1' is not right: input should be greater than"),
        ("find_bedrock_anomalies", {"days": 93}, "days '93' is not right: input should be less than or equal to 92."),
        ("show_bedrock_dashboard", {"days": 401}, "days '401' is not right: input should be less than or equal to 400"),
        (
            "drill_into_bedrock_spend",
            {"days": 401, "of_model": "x"},
            "days '401' is not right: input should be less than or equal to 400.",
        ),
        ("find_bedrock_anomalies", {"tz": "Mars/Olympus"}, "There is no time zone 'Mars/Olympus'."),
        (
            "check_bedrock_budgets",
            {"budget": "nothing"},
            "There is no budget 'nothing'. There are everything, growth, rag, opus-week, project-falcon, people.",
        ),
        ("estimate_bedrock_what_if", {}, "Nothing is to be different"),
        ("estimate_bedrock_what_if", {"to_model": "gpt-99"}, "No model in the price book is called 'gpt-99'."),
        ("estimate_bedrock_what_if", {"caching": "lots"}, "Caching 'lots' is not known."),
        ("check_bedrock_hygiene", {"tag": "a\nb"}, "tag 'a<U+000A>b' is not right: write it like team or project."),
        ("compare_with_aws_bill", {"tz": "Europe/Berlin"}, "Cost Explorer counts days of UTC, not of Europe/Berlin."),
        ("compare_with_aws_bill", {"model": "opus"}, "The bill is not told apart by model."),
        ("drill_into_bedrock_spend", {}, "of_principal or of_model is needed"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_one_sentence(
    name: str, arguments: dict[str, Any], sentence: str
) -> None:
    result = await called(desk(biller=Agrees()), name, **arguments)
    text = text_of(result)
    assert result.is_error
    assert result.structured_content is None
    assert text.startswith(sentence)
    assert "\n" not in text
    assert "--" not in text  # flags are the command line's


async def test_a_forecast_of_less_than_a_week_is_refused(tmp_path: Any) -> None:
    log = write(tmp_path / "log.jsonl", call(timestamp="2026-11-20T00:00:00Z"))
    result = await called(desk(log), "forecast_bedrock_spend")
    assert result.is_error
    assert "a forecast needs 7" in text_of(result)


@pytest.mark.parametrize("name", ["find_bedrock_anomalies", "show_bedrock_dashboard", "drill_into_bedrock_spend"])
async def test_as_many_days_as_the_schema_allows_are_answered(tmp_path: Any, name: str) -> None:
    server = desk(write(tmp_path / "log.jsonl", call(timestamp="2026-11-20T00:00:00Z")))
    async with Client(server) as client:
        schema = next(tool.input_schema for tool in (await client.list_tools()).tools if tool.name == name)
        most = schema["properties"]["days"]["maximum"]
        result = await client.call_tool(name, {**LEAST.get(name, {}), "days": most})
    assert not result.is_error, text_of(result)


async def test_a_server_without_budgets_says_who_sets_them() -> None:
    result = await called(desk(budgets=()), "check_bedrock_budgets")
    assert result.is_error
    assert text_of(result).startswith("This server has no budgets. Whoever runs it sets them")


class Held:
    """Answers from the sample, with reports whose rows nobody gets to see before they are let go.

    Attributes:
        begun: released for each report whose rows somebody wants to see.
        answered: how many reports there were.
    """

    PATIENCE_S = 60

    def __init__(self) -> None:
        self.begun, self.answered = threading.Semaphore(0), 0
        self._let_go, self._more = threading.Event(), anyio.Event()

    async def prepare(self, question: Question) -> Prepared:
        return _HeldAnswer(self, await FileAsker([str(LOG)], names_file=NAMES).prepare(question))

    def let_go(self) -> None:
        self._let_go.set()

    def look(self, rows: "_HeldRows") -> None:
        if not rows.was_looked_at:
            rows.was_looked_at = True
            self.begun.release()
        assert self._let_go.wait(self.PATIENCE_S)

    def one_more(self) -> None:
        self.answered += 1
        self._more.set()
        self._more = anyio.Event()

    async def until(self, *, answered: int, begun: int) -> None:
        """Waits for so many answers, and so many more beginnings; and sees that there are no more."""
        while self.answered < answered:
            await self._more.wait()
        for _ in range(begun):
            assert await anyio.to_thread.run_sync(partial(self.begun.acquire, timeout=self.PATIENCE_S))
        await wait_all_tasks_blocked()
        assert not self.begun.acquire(blocking=False)


class _HeldAnswer:
    def __init__(self, held: Held, prepared: Prepared) -> None:
        self._held, self._prepared, self.estimate = held, prepared, prepared.estimate

    async def answer(self, tell: Tell) -> Report:
        report = await self._prepared.answer(tell)
        self._held.one_more()
        return msgspec.structs.replace(report, rows=_HeldRows(self._held, report.rows))


class _HeldRows(tuple[PricedRow, ...]):
    was_looked_at = False
    held: Held

    def __new__(cls, held: Held, rows: tuple[PricedRow, ...]) -> "_HeldRows":
        found = super().__new__(cls, rows)
        found.held = held
        return found

    def __iter__(self) -> Iterator[PricedRow]:
        self.held.look(self)
        return super().__iter__()


@pytest.mark.parametrize("name", ["check_bedrock_hygiene", "compare_with_aws_bill"])
async def test_who_leaves_is_not_held_up_and_never_more_than_four_answers_are_computed(name: str) -> None:
    held = Held()
    server = desk(asker=held, biller=Agrees())
    try:
        with anyio.fail_after(held.PATIENCE_S):
            async with Client(server) as client, anyio.create_task_group() as group:
                for _ in range(6):
                    group.start_soon(client.call_tool, name, {})
                await held.until(answered=6, begun=4)
                group.cancel_scope.cancel()
            # Four of those that left are still computed, two never will be.
            async with Client(server) as client, anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(client.call_tool, name, {})
                await held.until(answered=9, begun=0)
                held.let_go()
    finally:
        held.let_go()
    assert [held.begun.acquire(blocking=False) for _ in range(4)] == [True, True, True, False]


async def test_without_a_biller_there_is_no_such_tool() -> None:
    async with Client(desk()) as client:
        assert "compare_with_aws_bill" not in {tool.name for tool in (await client.list_tools()).tools}
    result = await called(desk(), "compare_with_aws_bill")
    assert result.is_error
    assert "Unknown tool" in text_of(result)


async def test_a_bill_is_asked_for_once_for_the_days_and_the_account_that_were_asked_for() -> None:
    biller = Agrees()
    await called(desk(biller=biller), "compare_with_aws_bill", days=3, aws_account_id="111122223333")
    assert [(str(since), str(until), account) for since, until, account in biller.asked] == [
        ("2026-11-20", "2026-11-23", "111122223333")
    ]


@pytest.mark.parametrize("era", ERAS)
async def test_days_that_are_compared_are_those_that_were_asked_for(era: str) -> None:
    server = desk()

    async def periods(**arguments: Any) -> list[str]:
        found: Any = (await called(server, "explain_bedrock_change", era=era, **arguments)).structured_content
        sides = (found["before_period"], found["after_period"])
        return [side[end][:10] for side in sides for end in ("since", "until")]

    assert await periods() == ["2026-11-08", "2026-11-15", "2026-11-15", "2026-11-22"]
    assert await periods(days=1) == ["2026-11-20", "2026-11-21", "2026-11-21", "2026-11-22"]
    assert await periods(since="2026-11-16") == ["2026-11-10", "2026-11-16", "2026-11-16", "2026-11-22"]
    week = {"since": "2026-11-09", "until": "2026-11-15"}
    assert await periods(**week) == ["2026-11-02", "2026-11-09", "2026-11-09", "2026-11-16"]
    against = {"against_since": "2026-10-01", "against_until": "2026-10-14"}
    assert await periods(**week, **against) == ["2026-10-01", "2026-10-15", "2026-11-09", "2026-11-16"]


async def test_the_same_logs_give_the_same_answer_in_both_eras() -> None:
    server = desk(biller=Agrees())
    for name in ("explain_bedrock_change", "estimate_bedrock_what_if"):
        results = [await called(server, name, era=era, **LEAST.get(name, {})) for era in ERAS]
        assert results[0].structured_content == results[1].structured_content
        assert text_of(results[0]) == text_of(results[1])
