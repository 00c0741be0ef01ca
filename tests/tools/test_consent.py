"""Reading that costs more than the server's limit is agreed to first: by a user who is asked, or by an argument."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import jsonschema
import msgspec
import pytest
from mcp import Client, MCPError
from mcp.client import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestFormParams, ElicitRequestParams, ElicitResult, InputRequiredResult

from tests.fakes.cloudwatch_logs import Logs
from tests.fakes.insights import FakeInsights, serving_insights
from tests.logs import call
from tests.tools.desk import ERAS, NOW, QUICK, TOOL, called, calling_as, reported, ruled, served, text_of
from tests.tools.groups import at, found, group, reading, truth
from tests.tools.people import person
from tollbook import tools

pytestmark = pytest.mark.anyio

GB: Final = 10**9
GUARDED: Final = ruled(QUICK, SEES_ALL="group:finops", OWN_CALLS="role/BedrockRole/{sub}")
BY_SIZE: Final = msgspec.structs.replace(QUICK, max_scan_bytes=GB)
BOSS, USER = person("boss", groups=["finops"]), person("user007")

# Of two days the first is over, and the second half of it and a quarter of an hour: clocks differ.
DEAR: Final = 600 * GB
DEAR_WORDS: Final = "This question reads about 300 GB of logs, which AWS charges about $1.50 for."
LARGE: Final = 6 * GB
LARGE_WORDS: Final = "This question reads about 3 GB of logs, which AWS charges nothing for."
HIDDEN_WORDS: Final = "This question reads more of the logs than is read without asking."
NOBODY_AGREED: Final = "Nothing was read, since nobody agreed to the cost. A shorter time or one region costs less."
AGREED: Final = ElicitResult(action="accept", content={"go_on": True})


@pytest.fixture(autouse=True)
def _at_the_fake(cloudwatch: Logs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    at(cloudwatch.url, monkeypatch, tmp_path)


@dataclass
class Metered(FakeInsights):
    """A log group whose size is known, with one call on each of two days.

    Attributes:
        stored: bytes, of three days.
    """

    stored: int = DEAR

    def __post_init__(self) -> None:
        times = (NOW.replace(day=day, hour=9) for day in (21, 22))
        self.events = [
            (int(time.timestamp() * 1000), json.dumps(call(timestamp=f"{time:%Y-%m-%dT%H:%M:%SZ}"))) for time in times
        ]
        self.polls = 0

    def answer(self, operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if operation != "DescribeLogGroups":
            return super().answer(operation, request)
        created = int(NOW.replace(day=19).timestamp() * 1000)
        arn = f"{self.ARN}{self.group}"
        return {
            "logGroups": [
                {"logGroupName": self.group, "logGroupArn": arn, "storedBytes": self.stored, "creationTime": created}
            ]
        }

    @property
    def source(self) -> str:
        return f"insights:{self.group}"


@pytest.fixture
def metered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Metered]:
    with serving_insights(Metered([])) as fake:
        assert isinstance(fake, Metered)
        at(fake.url, monkeypatch, tmp_path)
        yield fake


class User:
    """Someone who is asked.

    Attributes:
        asked: the questions, in order.
    """

    def __init__(self, answer: ElicitResult = AGREED) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        assert params.requested_schema["required"] == ["go_on"]
        self.asked.append(params.message)
        return self.answer


async def asked(server: Any, era: str, user: User, tool: str = TOOL, **arguments: Any) -> CallToolResult:
    """The answer to a question whose costs `user` is asked about."""
    async with Client(server, mode=era, elicitation_callback=user) as client:
        return await client.call_tool(tool, {"days": 2, **arguments})


@pytest.mark.parametrize("era", ERAS)
async def test_answers_ask_in_the_same_way_as_the_report(metered: Metered, era: str) -> None:
    asking = {"check_bedrock_hygiene": {}, "estimate_bedrock_what_if": {"to_model": "Claude Haiku 4.5"}}
    for tool, arguments in asking.items():
        server, user = reading(metered.source), User(ElicitResult(action="decline"))
        assert text_of(await asked(server, era, user, tool, **arguments)) == NOBODY_AGREED
        assert metered.requests == []
        user.answer = AGREED
        result = await asked(server, era, user, tool, **arguments)
        assert not result.is_error, text_of(result)
        assert user.asked == [f"{DEAR_WORDS} Go on?"] * 2
        metered.requests.clear()


@pytest.mark.parametrize("era", ERAS)
async def test_a_user_is_asked_once_and_agrees(metered: Metered, era: str) -> None:
    user, server = User(), reading(metered.source)
    result = await asked(server, era, user)
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    assert result.structured_content["totals"]["calls"] == 2
    assert user.asked == [f"{DEAR_WORDS} Go on?"]
    assert len(metered.asked("StartQuery")) == 2


@pytest.mark.parametrize("era", ERAS)
async def test_a_user_is_asked_about_bytes_that_cost_time_alone(cloudwatch: Logs, era: str) -> None:
    name = group(cloudwatch, f"large-{era}", stored_bytes=LARGE)
    user = User()
    result = await asked(reading(f"events:{name}", settings=BY_SIZE), era, user, max_scan_usd=0.5)
    assert result.structured_content is not None
    assert found(result.structured_content).calls == truth(cloudwatch, name, days=2).calls
    assert user.asked == [f"{LARGE_WORDS} Go on?"]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "answer",
    [
        ElicitResult(action="decline"),
        ElicitResult(action="cancel"),
        ElicitResult(action="accept", content={"go_on": False}),
    ],
    ids=["decline", "cancel", "accept, and no"],
)
async def test_where_nobody_agrees_nothing_is_read(metered: Metered, era: str, answer: ElicitResult) -> None:
    user = User(answer)
    result = await asked(reading(metered.source), era, user)
    assert (result.is_error, text_of(result)) == (True, NOBODY_AGREED)
    assert user.asked == [f"{DEAR_WORDS} Go on?"]
    assert metered.requests == []


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_without_a_user_is_told_the_cost_and_how_to_go_on(metered: Metered, era: str) -> None:
    server = reading(metered.source)
    refused = await called(server, era=era, days=2)
    way = "Ask about a shorter time or one region, or, once whoever pays agrees, call again with max_scan_usd=1.82."
    assert (refused.is_error, text_of(refused)) == (True, f"{DEAR_WORDS} Nothing was read. {way}")
    assert metered.requests == []
    assert (await reported(server, era=era, days=2, max_scan_usd=1.82))["totals"]["calls"] == 2
    assert len(metered.asked("StartQuery")) == 2


@pytest.mark.parametrize("era", ERAS)
async def test_bytes_are_agreed_to_by_more_dollars_than_the_limit(cloudwatch: Logs, era: str) -> None:
    name = group(cloudwatch, f"by-argument-{era}", stored_bytes=LARGE)
    server = reading(f"events:{name}", settings=BY_SIZE)
    for told in (
        await called(server, era=era, days=2),
        await called(server, era=era, days=2, max_scan_usd=0.5),
    ):
        assert text_of(told).startswith(LARGE_WORDS)
        assert text_of(told).endswith("call again with max_scan_usd=0.51.")
    assert cloudwatch.stats(name).requests == 0
    assert found(await reported(server, era=era, days=2, max_scan_usd=0.51)) == truth(cloudwatch, name, days=2)


async def test_what_is_within_the_limits_nobody_is_asked_about(cloudwatch: Logs) -> None:
    name = group(cloudwatch, "within", stored_bytes=GB)
    user = User(ElicitResult(action="decline"))
    assert not (await asked(reading(f"events:{name}", settings=BY_SIZE), ERAS[0], user)).is_error
    assert user.asked == []


async def test_a_caller_may_set_a_lower_limit(metered: Metered) -> None:
    metered.stored = 3 * GB  # less than a cent
    server = reading(metered.source)
    told = text_of(await called(server, days=2, max_scan_usd=0))
    assert "about 1.5 GB of logs, which AWS charges about $0.0076 for." in told
    assert told.endswith("call again with max_scan_usd=0.01.")
    assert not (await called(server, days=2, max_scan_usd=0.01)).is_error


async def test_what_was_read_before_costs_nothing_again(metered: Metered) -> None:
    metered.stored = 450 * GB
    user, server = User(), reading(metered.source)
    for _ in range(2):
        assert not (await asked(server, ERAS[0], user)).is_error
    assert len(user.asked) == 1
    assert len(metered.asked("StartQuery")) == 3  # today's part twice


@pytest.mark.parametrize("limit", ["0.50", "0"])
async def test_beyond_twenty_times_the_limit_a_user_has_to_be_asked(metered: Metered, limit: str) -> None:
    metered.stored = 9_000 * GB
    server = reading(metered.source, settings=msgspec.structs.replace(GUARDED, max_scan_usd=Decimal(limit)))
    with calling_as(BOSS):
        refused = text_of(await called(server, days=2))
        assert refused == (
            "This question reads about 4.5 TB of logs, which AWS charges about $23.00 for. Nothing was read. That is "
            "more than a client may allow that cannot ask its user. Ask about a shorter time or one region."
        )
        beyond = text_of(await called(server, days=2, max_scan_usd=10.01))
        assert beyond.startswith("max_scan_usd '10.01' is not right: input should be less than or equal to ")
        assert not (await asked(server, ERAS[1], User())).is_error


async def test_agreeing_to_one_cost_is_not_agreeing_to_another(metered: Metered) -> None:
    class Late(User):
        async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
            metered.stored = 2 * DEAR
            return await super().__call__(context, params)

    user = Late()
    assert not (await asked(reading(metered.source), ERAS[1], user)).is_error
    assert user.asked == [f"{DEAR_WORDS} Go on?", f"{DEAR_WORDS} Go on?".replace("300", "600").replace("1.50", "3.00")]


async def test_an_answer_to_one_question_is_none_to_another(metered: Metered) -> None:
    async with Client(reading(metered.source), mode=ERAS[1], elicitation_callback=User()) as client:

        async def ask(days: int, **more: Any) -> Any:
            return await client.session.call_tool(TOOL, {"days": days}, allow_input_required=True, **more)

        first = await ask(2)
        assert isinstance(first, InputRequiredResult)
        assert first.input_requests is not None
        answers: Any = dict.fromkeys(first.input_requests, AGREED)
        for more in ({"input_responses": answers}, {}):
            assert isinstance(await ask(2, **more), InputRequiredResult)
        with pytest.raises(MCPError, match="requestState"):
            await ask(3, input_responses=answers, request_state=first.request_state)
        assert metered.requests == []
        result = await ask(2, input_responses=answers, request_state=first.request_state)
        assert isinstance(result, CallToolResult)
        assert not result.is_error


class TestSight:
    """Who does not see all learns neither how much there is nor what it costs."""

    @pytest.mark.parametrize("era", ERAS)
    async def test_he_is_asked_without_figures(self, metered: Metered, era: str) -> None:
        user = User(ElicitResult(action="decline"))
        with calling_as(USER):
            assert text_of(await asked(reading(metered.source, settings=GUARDED), era, user)) == NOBODY_AGREED
        assert user.asked == [f"{HIDDEN_WORDS} Go on?"]

    @pytest.mark.parametrize("stored", [DEAR, 2 * DEAR, 5 * DEAR])
    async def test_he_cannot_find_out_how_much_there_is_by_allowing_more_and_more(
        self, metered: Metered, stored: int
    ) -> None:
        metered.stored = stored
        server = reading(metered.source, settings=GUARDED)
        with calling_as(USER):
            told = {
                text_of(await called(server, days=2, max_scan_usd=usd)) for usd in (0, 0.01, 0.5, 0.51, 2, 4, 8, 9.99)
            }
            assert told == {
                f"{HIDDEN_WORDS} Nothing was read. Ask about a shorter time or one region, or, once whoever pays "
                "agrees, call again with max_scan_usd=10."
            }
            assert metered.requests == []
            assert not (await called(server, days=2, max_scan_usd=10)).is_error

    async def test_he_never_allows_more_than_he_says(self, metered: Metered) -> None:
        metered.stored = 100 * GB  # within the server's limit
        server = reading(metered.source, settings=GUARDED)
        with calling_as(USER):
            assert text_of(await called(server, days=2, max_scan_usd=0.49)).startswith(HIDDEN_WORDS)
            assert not (await called(server, days=2)).is_error


async def test_the_argument_is_described_and_bounded_and_what_the_server_finds_out_is_no_argument() -> None:
    settings = tools.Settings(max_scan_usd=Decimal("0.05"))
    async with Client(served(settings=settings)) as client:
        (tool,) = [each for each in (await client.list_tools()).tools if each.name == TOOL]
    arguments = tool.input_schema["properties"]
    assert list(arguments)[-2:] == ["top", "max_scan_usd"]
    argument = arguments["max_scan_usd"]
    assert (argument["minimum"], argument["maximum"], argument["default"]) == (0, 1.0, 0.05)
    assert argument["title"]
    assert "charge" in argument["description"]
    for example in argument["examples"]:
        jsonschema.validate(example, argument)
    assert not re.search(r"ready|consent|prepared", json.dumps(tool.input_schema))
