"""`tollbook serve --source cloudwatch:…`, in processes of its own, as clients of both eras meet it over HTTP."""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import httpx2
import pytest

from tests.fakes.cloudwatch_logs import Faults, Logs
from tests.hosting.serving import MODERN, messages, modern, tool
from tests.hosting.wire import NEWEST, Wire, initialize, instances
from tests.tools.desk import NOW, TOOL
from tests.tools.groups import at, found, group, requests_in_the_end, truth

pytestmark = pytest.mark.anyio

ERAS: Final = (NEWEST, MODERN)
NAMES: Final = ("over-http", "beside", "large")
LARGE: Final = 6_000_000_000
SLOW: Final = Faults(latency_s=0.5)
SLOWER: Final = Faults(latency_s=2)
QUESTION: Final = re.compile(r"This question reads about [0-9.]+ GB of logs, which AWS charges nothing for\. ")
"""How much it is depends on the age of the group."""
KEYS: Final = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210")


def after_the_estimate(text: str) -> str:
    found = QUESTION.match(text)
    assert found, text
    return text[found.end() :]


@dataclass(frozen=True)
class Servers:
    """Two that share a store and the keys of a question's state, and one that has the store alone."""

    here: str
    there: str
    stranger: str


@pytest.fixture(scope="module")
def servers(cloudwatch: Logs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("servers")
    apart = tmp_path_factory.mktemp("stranger")
    environment = {
        "TOLLBOOK_NOW": NOW.isoformat(),
        "TOLLBOOK_CLOSED_DAYS": "none",
        "TOLLBOOK_MAX_SCAN_GB": "1",
        "SESSION_STORE": f"sqlite:{folder / 'store.db'}",
        "UNHEARD_SECONDS": "1",
        "XDG_CACHE_HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
    }
    sources = ["--source", ",".join(f"events:/tollbook/{name}" for name in NAMES)]
    with pytest.MonkeyPatch.context() as monkeypatch:
        at(cloudwatch.url, monkeypatch, folder)
        with (
            instances(folder, 2, sources, {**environment, "REQUEST_STATE_KEYS": KEYS[0]}) as (here, there),
            instances(apart, 1, sources, {**environment, "REQUEST_STATE_KEYS": KEYS[1]}) as (stranger,),
        ):
            yield Servers(here.url, there.url, stranger.url)


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=60) as client:
        yield client


@asynccontextmanager
async def calling(
    http: httpx2.AsyncClient, url: str, era: str, **arguments: Any
) -> AsyncIterator[tuple[AsyncIterator[Any], Wire | None]]:
    """The messages of a call as they come, and the session if the era has one; leaving early cuts the connection."""
    if era == NEWEST:
        session = await initialize(http, url)
        async with session.calling(url, TOOL, 1, **arguments) as events:
            yield (event.message async for event in events if event.message), session
    else:
        message, headers = modern(tool(TOOL, **arguments))
        async with http.stream("POST", url, json=message, headers=headers) as response:
            yield (json.loads(line[6:]) async for line in response.aiter_lines() if line.startswith("data: {")), None


async def told(coming: AsyncIterator[Any]) -> Any:
    """Waits for the first page to be read."""
    async for message in coming:
        if message.get("params", {}).get("message", "").startswith("read "):
            return message
    raise AssertionError("the call ended without a word")


async def answered(http: httpx2.AsyncClient, url: str, era: str, **arguments: Any) -> Any:
    """The result of a call, or its error."""
    async with calling(http, url, era, **arguments) as (coming, _):
        last = [message async for message in coming][-1]
    return last.get("result", last.get("error"))


@pytest.mark.parametrize("era", ERAS)
async def test_the_totals_are_those_of_the_log_and_progress_comes_while_pages_are_read(
    servers: Servers, cloudwatch: Logs, http: httpx2.AsyncClient, era: str
) -> None:
    name = group(cloudwatch, NAMES[0], 30_000, SLOW)
    heard: list[tuple[float, str, int]] = []
    async with calling(http, servers.here, era, days=3) as (coming, _):
        async for message in coming:
            if message.get("method") == "notifications/progress":
                params = message["params"]
                heard.append((params["progress"], params["message"], cloudwatch.stats(name).requests))
    assert found(message["result"]["structuredContent"]) == truth(cloudwatch, name, days=3)
    pages = cloudwatch.stats(name).requests
    assert len([words for _, words, requests in heard if words.startswith("read ") and requests < pages]) >= 3
    assert all(one[0] < following[0] for one, following in itertools.pairwise(heard))
    assert all(
        re.fullmatch(r"read [0-9.]+ MB of about [0-9.]+ MB, [0-9,]+ records", words) for _, words, _ in heard[1:]
    )


@pytest.mark.parametrize("way", ["cancelled", "deleted", "unheard", "closed"])
async def test_a_call_that_is_cancelled_asks_nothing_more_while_others_are_served(
    servers: Servers, cloudwatch: Logs, http: httpx2.AsyncClient, way: str
) -> None:
    name, beside = group(cloudwatch, NAMES[0], 40_000, SLOWER), group(cloudwatch, NAMES[1], 3_000, SLOW)
    era = MODERN if way == "closed" else NEWEST
    async with calling(http, servers.here, era, days=3) as (coming, session):
        await told(coming)
        other = asyncio.create_task(answered(http, servers.here, era, days=3, log_group_name=beside))
        if session is not None and way == "cancelled":
            note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
            assert (await session.send(servers.here, note)).status_code == 202
            assert [message async for message in coming][-1]["error"]["message"] == "Request cancelled"
        elif session is not None and way == "deleted":
            assert (await session.end(servers.here)).status_code == 200
            assert [message async for message in coming][-1]["error"]["message"] == "The session was ended."
    requests = await requests_in_the_end(cloudwatch, name)
    assert found((await other)["structuredContent"]) == truth(cloudwatch, beside, days=3)

    cloudwatch.reset(name)
    whole = await answered(http, servers.here, era, days=3)
    assert found(whole["structuredContent"]) == truth(cloudwatch, name, days=3)
    assert 0 < requests < 0.7 * cloudwatch.stats(name).requests


class TestConsent:
    """A question of a server is answered at any instance of it."""

    async def test_in_the_handshake_era_the_answer_is_posted(
        self, servers: Servers, cloudwatch: Logs, http: httpx2.AsyncClient
    ) -> None:
        name = group(cloudwatch, NAMES[2], stored_bytes=LARGE, age=timedelta(days=3))
        session = await initialize(http, servers.here, elicitation={})
        async with session.calling(servers.here, TOOL, 1, days=2, log_group_name=name) as events:
            async for event in events:
                if event.message and event.message.get("method") == "elicitation/create":
                    assert after_the_estimate(event.message["params"]["message"]) == "Go on?"
                    assert cloudwatch.stats(name).requests == 0
                    agreed = {"action": "accept", "content": {"go_on": True}}
                    answer = {"jsonrpc": "2.0", "id": event.message["id"], "result": agreed}
                    assert (await session.send(servers.there, answer)).status_code == 202
        assert event.message is not None
        assert found(event.message["result"]["structuredContent"]) == truth(cloudwatch, name, days=2)

    @pytest.mark.parametrize(("action", "go_on"), [("accept", True), ("accept", False), ("decline", None)])
    async def test_in_2026_07_28_it_comes_with_the_call_that_is_made_again(
        self, servers: Servers, cloudwatch: Logs, http: httpx2.AsyncClient, action: str, go_on: bool | None
    ) -> None:
        name = group(cloudwatch, NAMES[2], stored_bytes=LARGE, age=timedelta(days=3))
        asked = (await post(http, servers.here, days=2, log_group_name=name))["result"]
        assert asked["resultType"] == "input_required"
        ((key, question),) = asked["inputRequests"].items()
        assert after_the_estimate(question["params"]["message"]) == "Go on?"
        response = {"action": action} if go_on is None else {"action": action, "content": {"go_on": go_on}}
        again = {"requestState": asked["requestState"], "inputResponses": {key: response}}
        assert "error" in await post(http, servers.stranger, again, days=2, log_group_name=name)
        assert "error" in await post(http, servers.there, again, days=3, log_group_name=name)
        other_state = {**again, "requestState": asked["requestState"].swapcase()}
        assert "error" in await post(http, servers.there, other_state, days=2, log_group_name=name)
        assert cloudwatch.stats(name).requests == 0

        result = (await post(http, servers.there, again, days=2, log_group_name=name))["result"]
        if go_on:
            assert found(result["structuredContent"]) == truth(cloudwatch, name, days=2)
        else:
            assert result["isError"]
            assert result["content"][0]["text"].startswith("Nothing was read, since nobody agreed to the cost.")
            assert cloudwatch.stats(name).requests == 0

    @pytest.mark.parametrize("capabilities", [{}, {"elicitation": {"url": {}}}], ids=["none", "by URL alone"])
    @pytest.mark.parametrize("era", ERAS)
    async def test_a_client_that_can_ask_nobody_is_told_how_to_go_on(
        self, servers: Servers, cloudwatch: Logs, http: httpx2.AsyncClient, era: str, capabilities: dict[str, Any]
    ) -> None:
        name = group(cloudwatch, NAMES[2], stored_bytes=LARGE, age=timedelta(days=3))
        arguments: dict[str, Any] = {"days": 2, "log_group_name": name}

        async def ask(**more: Any) -> Any:
            if era == MODERN:
                return (await post(http, servers.here, capabilities=capabilities, **arguments, **more))["result"]
            session = await initialize(http, servers.here, **capabilities)
            return await session.call(servers.here, TOOL, **arguments, **more)

        refused = await ask()
        assert refused["isError"]
        assert after_the_estimate(refused["content"][0]["text"]) == (
            "Nothing was read. Ask about a shorter time or one region, or, once whoever pays agrees, call again with "
            "max_scan_usd=0.51."
        )
        assert cloudwatch.stats(name).requests == 0
        assert found((await ask(max_scan_usd=0.51))["structuredContent"]) == truth(cloudwatch, name, days=2)


async def post(
    http: httpx2.AsyncClient,
    url: str,
    again: dict[str, Any] | None = None,
    /,
    capabilities: dict[str, Any] | None = None,
    **arguments: Any,
) -> Any:
    """The last message that comes back for a call of 2026-07-28.

    Args:
        again: what a call that is made again carries back.
        capabilities: of the client; by default it can ask its user.
    """
    message = tool(TOOL, **arguments)
    whole, headers = modern({**message, "params": {**message["params"], **(again or {})}})
    has = {"elicitation": {}} if capabilities is None else capabilities
    whole["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = has
    return messages(await http.post(url, json=whole, headers=headers))[-1]
