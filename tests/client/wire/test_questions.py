"""What a server asks in the middle of a call: the user is asked, and what this client does not do is refused."""

import asyncio
import itertools
from contextlib import suppress
from typing import Any

import pytest

from tests.client.wire.conftest import Connect
from tests.client.wire.scripted import Asked, alone, event, head, in_session, response, result, scripted
from tests.client.wire.watching import Watching, answering
from tests.hosting.hurried import HURRIED
from tests.hosting.serving import a_server, serving
from tollbook.client.protocol import Answer, Elicitation, Era, Json, ToolResult, read
from tollbook.client.trouble import Misbehaved, RpcError
from tollbook.hosting import host
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

FORM: Json = {
    "message": "Who are you?",
    "requestedSchema": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "default": "Ann"},
            "age": {"type": "integer"},
            "member": {"type": "boolean", "default": False},
        },
    },
}
PAGE = {"mode": "url", "message": "Pay here", "url": "https://pay.example/7", "elicitationId": "e"}


@pytest.fixture(scope="module")
def anyio_backend() -> object:
    return HURRIED


def accept(**content: Any) -> Answer:
    return Answer(action="accept", content=content)


class Asking:
    """A server whose call asks what it is given, all at once, and ends when everything is answered.

    Attributes:
        answered: the answers, by the keys of the questions.
    """

    def __init__(self, **questions: tuple[str, Json]) -> None:
        self._questions = questions
        self.answered: dict[str, Any] = {}
        self._all = asyncio.Event()

    async def mid_call(self, asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        """As the handshake era has it: requests on the stream of the call, answered by further POSTs."""
        if asked.method == "GET":
            return response(405)
        if asked.what == "an answer":
            answer = asked.json
            self.answered[answer["id"]] = answer.get("result", answer.get("error"))
            if len(self.answered) == len(self._questions):
                self._all.set()
            return response(202)
        writer.write(head())
        for key, (method, params) in self._questions.items():
            writer.write(event({"jsonrpc": "2.0", "id": key, "method": method, "params": params}))
        await writer.drain()
        await self._all.wait()
        writer.write(event(result(asked, content=[{"type": "text", "text": "thanks"}])))
        await writer.drain()
        return None

    async def on_the_result(self, asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        """As the modern era has it: on a result, and on the next request."""
        params = asked.json["params"]
        if "inputResponses" not in params:
            requests = {key: {"method": method, "params": params} for key, (method, params) in self._questions.items()}
            return response(
                200, result(asked, resultType="input_required", inputRequests=requests, requestState="state-é")
            )
        assert params["requestState"] == "state-é"
        self.answered = params["inputResponses"]
        return response(200, result(asked, resultType="complete", content=[{"type": "text", "text": "thanks"}]))

    async def call(self, connect: Connect, era: Era, timeout_s: float = 60) -> str | None:
        begun = in_session(self.mid_call) if era == "handshake" else alone(self.on_the_result)
        async with (
            scripted(begun) as server,
            connect(server.url, era, may_elicit=True, timeout_s=timeout_s) as connection,
        ):
            return read(await connection.call_tool("once", {}), ToolResult).content[0].text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (accept(age=5), {"action": "accept", "content": {"name": "Ann", "age": 5, "member": False}}),
        (accept(name="Bob", member=True), {"action": "accept", "content": {"name": "Bob", "member": True}}),
        (Answer(action="accept"), {"action": "accept", "content": {"name": "Ann", "member": False}}),
        (Answer(action="decline"), {"action": "decline"}),
        (Answer(action="cancel", content={"name": "x"}), {"action": "cancel"}),
    ],
)
async def test_a_form_is_filled_in(connect: Connect, user: Watching, era: Era, answer: Answer, said: Json) -> None:
    user.answers_with(answering(answer))
    asking = Asking(q=("elicitation/create", FORM))
    assert await asking.call(connect, era) == "thanks"
    assert user.asked == [Elicitation(message="Who are you?", schema=FORM["requestedSchema"])]
    assert asking.answered == {"q": said}


@pytest.mark.parametrize("action", ["accept", "decline"])
async def test_a_page_is_opened(connect: Connect, user: Watching, era: Era, action: Any) -> None:
    user.answers_with(answering(Answer(action=action, content={"nothing": "of it"})))
    asking = Asking(q=("elicitation/create", PAGE))
    assert await asking.call(connect, era) == "thanks"
    assert user.asked == [Elicitation(message="Pay here", url="https://pay.example/7")]
    assert asking.answered == {"q": {"action": action}}


async def test_several_questions_at_once_are_all_answered(connect: Connect, user: Watching, era: Era) -> None:
    async def by_message(asked: Elicitation) -> Answer:
        return accept(n=asked.message)

    user.answers_with(by_message)
    form = {"requestedSchema": {"type": "object", "properties": {}}}
    questions = {key: ("elicitation/create", {"message": key, **form}) for key in ("a", "b", "c")}
    asking = Asking(**questions)
    assert await asking.call(connect, era) == "thanks"
    assert asking.answered == {key: {"action": "accept", "content": {"n": key}} for key in ("a", "b", "c")}


@pytest.mark.parametrize(("tool", "era"), [("asks", "handshake"), ("needs", "handshake"), ("needs", "modern")])
async def test_our_own_server_gets_its_answer(connect: Connect, user: Watching, tool: str, era: Any) -> None:
    user.answers_with(answering(accept(colour="blue")))
    async with (
        serving(host(a_server(), MemoryStore())) as url,
        connect(url, era, may_elicit=True) as connection,
    ):
        assert read(await connection.call_tool(tool, {}), ToolResult).content[0].text == "accept: blue"


async def test_a_user_may_take_his_time_though_the_server_is_silent_meanwhile(
    connect: Connect, user: Watching, era: Era
) -> None:
    async def slowly(asked: Elicitation) -> Answer:
        await asyncio.sleep(600)
        return accept(name="Bob")

    user.answers_with(slowly)
    asking = Asking(q=("elicitation/create", FORM))
    assert await asking.call(connect, era, timeout_s=20) == "thanks"


# What is not asked


@pytest.mark.parametrize("method", ["sampling/createMessage", "roots/list", "something/else", "elicitation/\x1bcreate"])
async def test_what_this_client_does_not_do_is_refused_and_the_call_goes_on(connect: Connect, method: str) -> None:
    asking = Asking(q=(method, {}))
    assert await asking.call(connect, "handshake") == "thanks"
    assert asking.answered == {"q": {"code": -32601, "message": f"This client does not do {method}."}}


@pytest.mark.parametrize("method", ["sampling/createMessage", "roots/list", "something/\x1b"])
async def test_in_the_modern_era_a_call_that_needs_what_this_client_does_not_do_ends(
    connect: Connect, method: str
) -> None:
    with pytest.raises(RpcError) as raised:
        await Asking(q=(method, {})).call(connect, "modern")
    shown = method.replace("\x1b", "<U+001B>")
    assert str(raised.value) == f"The server asks this client for {shown}, which it does not do."


async def test_a_ping_is_answered(connect: Connect) -> None:
    asking = Asking(q=("ping", {}))
    assert await asking.call(connect, "handshake") == "thanks"
    assert asking.answered == {"q": {}}


ILL = [
    ({}, "A question needs a message."),
    ({"message": 5, "requestedSchema": {}}, "A question needs a message."),
    ({"message": "?"}, "A form needs a requestedSchema with properties."),
    ({"message": "?", "requestedSchema": {"properties": []}}, "A form needs a requestedSchema with properties."),
    ({"message": "?", "mode": "url"}, "A page to open needs an http or https address."),
    ({"message": "?", "mode": "url", "url": "file:///etc/passwd"}, "A page to open needs an http or https address."),
    ({"message": "?", "mode": "url", "url": "javascript:alert(1)"}, "A page to open needs an http or https address."),
    ({"message": "?", "mode": "url", "url": "smb://host/x"}, "A page to open needs an http or https address."),
    ({"message": "?", "mode": "url", "url": "https:x"}, "A page to open needs an http or https address."),
    ({"message": "?", "mode": "url", "url": "http://[x"}, "A page to open needs an http or https address."),
    ({"message": "?", "mode": "voice", "requestedSchema": {}}, "A question is a form or a page to open."),
]


@pytest.mark.parametrize(("params", "said"), ILL)
async def test_a_question_that_is_none_is_not_asked(connect: Connect, user: Watching, params: Json, said: str) -> None:
    asking = Asking(q=("elicitation/create", params))
    assert await asking.call(connect, "handshake") == "thanks"
    assert asking.answered == {"q": {"code": -32602, "message": said}}

    with pytest.raises(RpcError) as raised:
        await Asking(q=("elicitation/create", params)).call(connect, "modern")
    assert str(raised.value) == said
    assert not user.asked


async def test_without_a_user_no_question_is_offered_and_none_is_taken(
    connect: Connect, user: Watching, era: Era
) -> None:
    asking = Asking(q=("elicitation/create", FORM))
    begun = in_session(asking.mid_call) if era == "handshake" else alone(asking.on_the_result)
    async with scripted(begun) as server, connect(server.url, era) as connection:
        if era == "handshake":
            await connection.call_tool("once", {})
            assert asking.answered["q"]["code"] == -32601
            assert server.asked[0].json["params"]["capabilities"] == {}
        else:
            with pytest.raises(RpcError, match="asks this client for elicitation/create, which it does not do"):
                await connection.call_tool("once", {})
            meta = server.asked[-1].json["params"]["_meta"]
            assert meta["io.modelcontextprotocol/clientCapabilities"] == {}
    assert not user.asked


async def test_a_server_that_asks_without_end_is_left(connect: Connect, user: Watching) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes | None:
        if asked.method == "GET":
            return response(405)
        if asked.what == "an answer":
            await asyncio.Event().wait()  # none is taken
        writer.write(head())
        with suppress(ConnectionError):
            for number in itertools.count():
                writer.write(event({"jsonrpc": "2.0", "id": number, "method": "ping"}))
                await writer.drain()
        return None

    async with scripted(in_session(script)) as server, connect(server.url, "handshake") as connection:
        with pytest.raises(Misbehaved, match="asks more than 100 things at once, and was left"):
            await connection.call_tool("once", {})


# Rounds of the modern era


async def test_a_call_may_take_several_rounds_and_the_state_goes_along(connect: Connect, user: Watching) -> None:
    user.answers_with(answering(*(accept(n=number) for number in range(3))))
    form = {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes:
        number = len(user.asked)
        if number == 3:
            return response(200, result(asked, content=[]))
        wanted = {f"k{number}": {"method": "elicitation/create", "params": form}}
        state = {"requestState": f"s{number}"} if number != 1 else {}
        return response(200, result(asked, resultType="input_required", inputRequests=wanted, **state))

    async with scripted(alone(script)) as server, connect(server.url, "modern", may_elicit=True) as connection:
        await connection.call_tool("once", {"a": 1})
    calls = [asked.json for asked in server.asked if asked.what == "tools/call"]
    assert len({call["id"] for call in calls}) == 4
    assert [call["params"]["arguments"] for call in calls] == [{"a": 1}] * 4
    assert [call["params"].get("requestState") for call in calls] == [None, "s0", None, "s2"]
    assert [call["params"].get("inputResponses") for call in calls] == [
        None,
        *({f"k{number}": {"action": "accept", "content": {"n": number}}} for number in range(3)),
    ]


async def test_rounds_without_a_question_are_only_asked_again(connect: Connect) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes:
        if asked.json["params"].get("requestState") == "b":
            return response(200, result(asked, content=[]))
        state = "b" if "requestState" in asked.json["params"] else "a"
        return response(200, result(asked, resultType="input_required", requestState=state))

    async with scripted(alone(script)) as server, connect(server.url, "modern") as connection:
        assert await connection.call_tool("once", {}) == {"content": []}
    assert all("inputResponses" not in asked.json["params"] for asked in server.asked)
    assert server.heard.count("tools/call") == 3


@pytest.mark.parametrize("requests", [{}, {"q": {"method": "ping"}}])
async def test_rounds_without_end_are_left(connect: Connect, requests: Json) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes:
        return response(200, result(asked, resultType="input_required", inputRequests=requests))

    async with scripted(alone(script)) as server, connect(server.url, "modern") as connection:
        with pytest.raises(Misbehaved) as raised:
            await connection.call_tool("reads", {})
    assert str(raised.value) == "The server asked for more input 10 times in one call, and was not asked again."
    assert server.heard.count("tools/call") == 10


@pytest.mark.parametrize("requests", [[1], "x", {"q": 5}, {"q": {"method": "ping", "params": []}}])
async def test_input_that_is_asked_for_in_another_form(connect: Connect, requests: Any) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> bytes:
        return response(200, result(asked, resultType="input_required", inputRequests=requests))

    async with scripted(alone(script)) as server, connect(server.url, "modern") as connection:
        with pytest.raises(Misbehaved) as raised:
            await connection.call_tool("reads", {})
    assert str(raised.value) == "The server asks for input, but not in MCP's form. Tell its owner."
    assert server.heard.count("tools/call") == 1
