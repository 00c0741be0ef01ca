"""The fixture tools that ask the user, his model or his roots, in the manner of either era.

`Resolve` asks mid-call up to 2025-11-25 and with an `InputRequiredResult` from 2026-07-28 on. Where a scenario wants
certain keys, or an answer without a question before it, the result is written by hand.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from mcp.server.mcpserver import Context, Elicit, ElicitationResult, ListRoots, Resolve, Sample
from mcp_types import (
    CreateMessageRequest,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)
from pydantic import BaseModel, Field


class Name(BaseModel):
    name: str


class Color(BaseModel):
    color: str


class Confirmation(BaseModel):
    ok: bool


class Reply(BaseModel):
    response: str = Field(description="User's response")


class Defaults(BaseModel):
    """A default of each primitive type: SEP-1034."""

    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: str = Field("active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = True


def _titled(*values: str) -> list[Any]:
    return [{"const": value, "title": f"Option {value}"} for value in values]


class Choices(BaseModel):
    """A choice in each of the five ways: SEP-1330."""

    untitledSingle: str = Field(json_schema_extra={"enum": ["option1", "option2", "option3"]})
    titledSingle: str = Field(json_schema_extra={"oneOf": _titled("value1", "value2", "value3")})
    legacyEnum: str = Field(json_schema_extra={"enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]})
    untitledMulti: list[str] = Field(json_schema_extra={"items": {"type": "string", "enum": ["option1", "option2"]}})
    titledMulti: list[str] = Field(json_schema_extra={"items": {"anyOf": _titled("value1", "value2")}})


# What is asked


def _sample(question: str, max_tokens: int) -> Sample:
    said = SamplingMessage(role="user", content=TextContent(text=question))
    return Sample([said], max_tokens=max_tokens)


async def _ask_model(prompt: str) -> Sample:
    return _sample(prompt, 100)


async def _ask_capital() -> Sample:
    return _sample("What is the capital of France?", 100)


async def _ask_greeting() -> Sample:
    return _sample("Generate a greeting", 50)


async def _ask_roots() -> ListRoots:
    return ListRoots()


async def _ask_name() -> Elicit[Name]:
    return Elicit("What is your name?", Name)


async def _ask_confirmation() -> Elicit[Confirmation]:
    return Elicit("Please confirm", Confirmation)


async def _ask_color(name: Annotated[Name, Resolve(_ask_name)]) -> Elicit[Color]:
    return Elicit(f"What is your favorite color, {name.name}?", Color)


async def _ask_defaults() -> Elicit[Defaults]:
    return Elicit("Please provide user information", Defaults)


async def _ask_choices() -> Elicit[Choices]:
    return Elicit("Please select", Choices)


AskedName = Annotated[Name, Resolve(_ask_name)]
AskedConfirmation = Annotated[Confirmation, Resolve(_ask_confirmation)]


# Mid-call, up to 2025-11-25


async def test_sampling(prompt: str, reply: Annotated[CreateMessageResult, Resolve(_ask_model)]) -> str:
    """Asks the client's model."""
    return f"LLM response: {_text(reply)}"


async def test_elicitation(message: str, ctx: Context) -> str:
    """Asks the user, with `ctx.elicit` and no resolver."""
    return f"User response: {_said(await ctx.elicit(message, Reply))}"


async def test_elicitation_sep1034_defaults(
    outcome: Annotated[ElicitationResult[Defaults], Resolve(_ask_defaults)],
) -> str:
    """Asks the user, and proposes answers."""
    return f"Elicitation completed: {_said(outcome)}"


async def test_elicitation_sep1330_enums(outcome: Annotated[ElicitationResult[Choices], Resolve(_ask_choices)]) -> str:
    """Asks the user to choose."""
    return f"Elicitation completed: {_said(outcome)}"


# With an InputRequiredResult, from 2026-07-28 on


async def test_streaming_elicitation(ctx: Context, confirmed: AskedConfirmation) -> str:
    """Asks the user; nothing of it may be a request on the stream."""
    await ctx.report_progress(1, 1)
    return f"confirmed={confirmed.ok}"


async def test_input_required_result_elicitation(ctx: Context) -> str | InputRequiredResult:
    """Asks the user for his name under the key `user_name`, as often as it is not answered."""
    answer = answer_to("user_name", ctx)
    if answer is None:
        return InputRequiredResult(input_requests={"user_name": _form("What is your name?", "name")})
    return f"Hello, {answer.get('name')}!"


async def test_input_required_result_sampling(reply: Annotated[CreateMessageResult, Resolve(_ask_capital)]) -> str:
    """Asks the client's model."""
    return f"Model said: {_text(reply)}"


async def test_input_required_result_list_roots(roots: Annotated[ListRootsResult, Resolve(_ask_roots)]) -> str:
    """Asks for the client's roots."""
    return f"Roots: {', '.join(str(root.uri) for root in roots.roots)}"


async def test_input_required_result_request_state(confirmed: AskedConfirmation) -> str:
    """Asks the user; what was asked travels in the state."""
    return f"state-ok: confirmed={confirmed.ok}"


async def test_input_required_result_multiple_inputs(
    name: AskedName,
    greeting: Annotated[CreateMessageResult, Resolve(_ask_greeting)],
    roots: Annotated[ListRootsResult, Resolve(_ask_roots)],
) -> str:
    """Asks the user, the client's model and for the client's roots at once."""
    return f"{name.name}: {_text(greeting)} ({len(roots.roots)} roots)"


async def test_input_required_result_multi_round(name: AskedName, color: Annotated[Color, Resolve(_ask_color)]) -> str:
    """Asks the user twice; the second question holds the first answer."""
    return f"{name.name} likes {color.color}."


async def test_input_required_result_tampered_state(confirmed: AskedConfirmation) -> str:
    """Asks the user; a state that was changed on the way is refused."""
    return f"confirmed={confirmed.ok}"


async def test_input_required_result_capabilities(ctx: Context) -> InputRequiredResult:
    """Asks what the client can answer."""
    able = ctx.client_capabilities
    requests: dict[str, InputRequest] = {}
    if able is not None and able.sampling is not None:
        requests["sample"] = CreateMessageRequest(params=_sample("Say hello", 50).params)
    if able is not None and able.elicitation is not None:
        requests["user_name"] = _form("What is your name?", "name")
    return InputRequiredResult(input_requests=requests)


def ask_for_context() -> InputRequiredResult:
    return InputRequiredResult(input_requests={"user_context": _form("What context should the prompt use?", "context")})


def answer_to(key: str, ctx: Context) -> Mapping[str, Any] | None:
    """What the user answered to the question `key`, or None if he did not yet."""
    answer = (ctx.input_responses or {}).get(key)
    return answer.content if isinstance(answer, ElicitResult) else None


def _form(message: str, field: str) -> ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": "string"}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _said(outcome: ElicitationResult[Any]) -> str:
    content = outcome.data.model_dump_json() if outcome.action == "accept" else "{}"
    return f"action={outcome.action}, content={content}"


def _text(reply: CreateMessageResult) -> str:
    return reply.content.text if isinstance(reply.content, TextContent) else "no text"


QUESTION_TOOLS: Final[tuple[Callable[..., Any], ...]] = (
    # Scenarios of header validation call the first tool that is listed, without arguments.
    test_input_required_result_elicitation,
    test_input_required_result_sampling,
    test_input_required_result_list_roots,
    test_input_required_result_request_state,
    test_input_required_result_multiple_inputs,
    test_input_required_result_multi_round,
    test_input_required_result_tampered_state,
    test_input_required_result_capabilities,
    test_streaming_elicitation,
    test_sampling,
    test_elicitation,
    test_elicitation_sep1034_defaults,
    test_elicitation_sep1330_enums,
)
