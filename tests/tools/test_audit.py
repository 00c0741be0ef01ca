"""A line for each call: who, what, with which sight, and how it ended."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError

from tests.tools.desk import ERAS, SAMPLE, TOOL, called, calling_as, served
from tests.tools.people import ANA, BOSS, ISSUER, LEAD, NOBODY, RULED, person
from tests.tools.test_mistakes import Faulty
from tollbook.core.caller import ANYONE, Caller
from tollbook.sources.reading import Estimate
from tollbook.spend.report import Report
from tollbook.tools import Question, Tell

pytestmark = pytest.mark.anyio
FIELDS = ("subject", "client", "issuer", "tool", "sight", "outcome")


@pytest.fixture(autouse=True)
def _level_as_served() -> Iterator[None]:
    """As `log_as_json` sets it: the audit is written whatever the level of the rest."""
    ours, audit = logging.getLogger("tollbook"), logging.getLogger("tollbook.audit")
    levels = ours.level, audit.level
    ours.setLevel(logging.ERROR)
    audit.setLevel(logging.INFO)
    yield
    ours.setLevel(levels[0])
    audit.setLevel(levels[1])


def written(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [
        {name: vars(entry)[name] for name in FIELDS}
        for entry in caplog.records
        if (entry.name, entry.getMessage()) == ("tollbook.audit", "call")
    ]


@pytest.mark.parametrize("era", ERAS)
async def test_each_call_is_one_line(era: str, caplog: pytest.LogCaptureFixture) -> None:
    server = served(SAMPLE, settings=RULED)
    expected: list[tuple[str, str, str, str]] = []
    calls: list[tuple[Caller, str, dict[str, Any], str, str]] = [
        (ANA, TOOL, {"days": 14}, "own", "answered"),
        (LEAD, TOOL, {"days": 14}, "team", "answered"),
        (BOSS, TOOL, {"days": 14}, "all", "answered"),
        (NOBODY, TOOL, {}, "none", "refused"),
        (ANA, TOOL, {"principal": "ben"}, "own", "refused"),
        (ANA, TOOL, {"days": 0}, "own", "refused"),
        (ANA, TOOL, {"nothing": 1}, "own", "refused"),
        (ANA, TOOL, {"tz": "Mars"}, "own", "refused"),
        (ANA, "no-such-tool", {}, "own", "refused"),
        (NOBODY, "greet", {"name": "Ada"}, "none", "answered"),
        (ANA, "whoami", {}, "own", "answered"),
        (ANA, "check_bedrock_hygiene", {"days": 14}, "own", "answered"),
        (BOSS, "explain_bedrock_change", {}, "all", "answered"),
        (BOSS, "explain_bedrock_change", {"until": "2026-11-20"}, "all", "refused"),
        (NOBODY, "forecast_bedrock_spend", {}, "none", "refused"),
    ]
    for caller, tool, arguments, sight, outcome in calls:
        with calling_as(caller):
            async with Client(server, mode=era) as client:
                await client.call_tool(tool, arguments)
        expected.append((caller.subject, "?" if tool == "no-such-tool" else tool, sight, outcome))
    lines = written(caplog)
    assert [(line["subject"], line["tool"], line["sight"], line["outcome"]) for line in lines] == expected
    assert {(line["client"], line["issuer"]) for line in lines} == {("desk", ISSUER)}


@pytest.mark.parametrize("era", ERAS)
async def test_reading_what_was_kept_is_a_line_too(era: str, caplog: pytest.LogCaptureFixture) -> None:
    with calling_as(ANA):
        async with Client(served(SAMPLE, settings=RULED), mode=era) as client:
            whole = (await client.call_tool(TOOL, {"days": 14})).structured_content
            assert whole is not None
            await client.read_resource(whole["whole"]["json_uri"])
            with pytest.raises(MCPError):
                await client.read_resource(whole["whole"]["json_uri"].replace("reports/", "reports/A"))
    assert [(line["subject"], line["tool"], line["outcome"]) for line in written(caplog)] == [
        ("ana", TOOL, "answered"),
        ("ana", "resources/read", "answered"),
        ("ana", "resources/read", "failed"),
    ]


async def test_a_fault_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    for caller in (ANA, BOSS):
        with calling_as(caller):
            await called(served(asker=Faulty(), settings=RULED))
            await called(served("/no/such.jsonl", settings=RULED))
    assert [line["outcome"] for line in written(caplog)] == ["failed"] * 4


class Endless:
    """Reads for ever."""

    estimate = Estimate()

    def __init__(self) -> None:
        self.has_begun = anyio.Event()

    async def prepare(self, question: Question) -> "Endless":
        return self

    async def answer(self, tell: Tell) -> Report:
        self.has_begun.set()
        await anyio.sleep_forever()
        raise AssertionError


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_that_is_given_up_is_written_down_too(era: str, caplog: pytest.LogCaptureFixture) -> None:
    endless = Endless()
    with calling_as(ANA):
        async with (
            Client(served(asker=endless, settings=RULED), mode=era) as client,
            anyio.create_task_group() as group,
        ):
            group.start_soon(client.call_tool, TOOL)
            await endless.has_begun.wait()
            group.cancel_scope.cancel()
    assert [line["outcome"] for line in written(caplog)] == ["cancelled"]


async def test_no_line_tells_what_was_asked_or_answered(caplog: pytest.LogCaptureFixture) -> None:
    with calling_as(ANA):
        await called(served(SAMPLE, settings=RULED), days=14, model="opus", principal="AWSReservedSSO")
        await called(served(settings=RULED), "greet", name="a-secret-word")
    for entry in caplog.records:
        if entry.name == "tollbook.audit":
            text = str(vars(entry))
            assert not [word for word in ("opus", "AWSReservedSSO", "a-secret-word", "ana@example.com") if word in text]


async def test_names_from_outside_can_neither_break_a_line_nor_fill_the_disk(caplog: pytest.LogCaptureFixture) -> None:
    """Threat 45."""
    with calling_as(person("ana\n\x1b[31m\u202e", client="c" * 5000)):
        await called(served(settings=RULED), "x\r\n" + "y" * 5000)
    (line,) = written(caplog)
    assert line["subject"] == "ana<U+000A><U+001B>[31m<U+202E>"
    assert line["client"] == "c" * 200
    assert line["tool"] == "?"


@pytest.mark.parametrize(("level", "lines"), [(logging.INFO, 1), (logging.WARNING, 0)])
async def test_a_call_by_anyone_is_written_down_at_the_usual_level(
    level: int, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("tollbook").setLevel(level)
    with calling_as(ANYONE):
        await called(served(), "greet", name="Ada")
    assert len(written(caplog)) == lines


def test_a_proven_callers_call_is_a_line_of_json_whatever_the_level() -> None:
    program = (
        "import asyncio; from tollbook.hosting import log_as_json; log_as_json('error');"
        "from tests.tools.desk import called, calling_as, served;"
        "from tests.tools.people import ANA, RULED; from tollbook.core.caller import ANYONE\n"
        "for caller in (ANA, ANYONE):\n"
        " with calling_as(caller): asyncio.run(called(served(settings=RULED), 'greet', name='Ada'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    (line,) = map(json.loads, done.stderr.splitlines())
    del line["time"]
    assert line == {
        "level": "info",
        "logger": "tollbook.audit",
        "event": "call",
        "subject": "ana",
        "client": "desk",
        "issuer": ISSUER,
        "tool": "greet",
        "sight": "own",
        "outcome": "answered",
    }


async def test_a_caller_without_a_login_is_nobody(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("tollbook").setLevel(logging.INFO)
    with calling_as(Caller()):
        await called(served(SAMPLE), days=14)
    (line,) = written(caplog)
    assert line == dict.fromkeys(("subject", "client", "issuer"), "") | {
        "tool": TOOL,
        "sight": "all",
        "outcome": "answered",
    }
