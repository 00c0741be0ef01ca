"""Who the server takes a caller for."""

from typing import Any

import jsonschema
import pytest
from mcp import Client

from tests.tools.desk import ERAS, QUICK, SAMPLE, called, calling_as, served, text_of
from tests.tools.people import ANA, BOSS, ISSUER, LEAD, NOBODY, RULED, person
from tollbook.core.caller import ANYONE, Caller

pytestmark = pytest.mark.anyio


async def told(caller: Caller, era: str = ERAS[0]) -> tuple[str, Any]:
    with calling_as(caller):
        result = await called(served(SAMPLE, settings=QUICK if caller == ANYONE else RULED), "whoami", era)
    assert not result.is_error
    return text_of(result), result.structured_content


@pytest.mark.parametrize("era", ERAS)
async def test_a_caller_is_told_who_he_is_and_what_he_sees(era: str) -> None:
    text, content = await told(person("ana", "team", "tollbook"), era)
    assert text == (
        f"You are ana, as {ISSUER} says, with the client desk.\n"
        "You see your own calls: role/AWSReservedSSO_*/ana@example.com.\n"
        "Scopes: team, tollbook.\n"
        "The proof ends at 2026-11-23T00:00:00+00:00."
    )
    assert content == {
        "proven": True,
        "subject": "ana",
        "client": "desk",
        "issuer": ISSUER,
        "scopes": ["team", "tollbook"],
        "sight": "own",
        "sees": "your own calls: role/AWSReservedSSO_*/ana@example.com",
        "expires": "2026-11-23T00:00:00+00:00",
    }


async def test_every_sight_has_its_words() -> None:
    sights = {caller.subject: (await told(caller))[1]["sight"] for caller in (ANA, LEAD, BOSS, NOBODY)}
    assert sights == {"ana": "own", "lea": "team", "boss": "all", "nix": "none"}
    assert "You see all calls." in (await told(BOSS))[0]
    assert "You see no calls: they are found by email, of which your login says nothing" in (await told(NOBODY))[0]


async def test_without_a_login_nobody_was_asked() -> None:
    text, content = await told(ANYONE)
    assert text == "Nobody was asked who he is.\nYou see all calls."
    assert content == {
        "proven": False,
        "subject": None,
        "client": None,
        "issuer": None,
        "scopes": [],
        "sight": "all",
        "sees": "all calls",
        "expires": None,
    }


@pytest.mark.parametrize("era", ERAS)
async def test_what_is_told_keeps_to_the_schema_that_the_tool_declares(era: str) -> None:
    for caller in (ANA, NOBODY, Caller("x", claims={"email": "x"})):
        with calling_as(caller):
            async with Client(served(settings=RULED), mode=era) as client:
                (tool,) = (tool for tool in (await client.list_tools()).tools if tool.name == "whoami")
                content = (await client.call_tool("whoami", {})).structured_content
        assert tool.output_schema is not None
        jsonschema.validate(content, tool.output_schema)
        assert set(content or {}) == set(tool.output_schema["required"])


async def test_claims_that_say_nothing_of_sight_are_not_told() -> None:
    text, content = await told(person("ana", phone_number="+49301234567", jti="a-token-id"))
    assert "+49" not in f"{text}{content}"
    assert "a-token-id" not in f"{text}{content}"


async def test_a_name_cannot_deceive() -> None:
    """Threat 45."""
    text, content = await told(Caller("ana\x1b[2J\u202e", "c\n", ISSUER, frozenset({"s\u200b"})))
    assert text.startswith(f"You are ana<U+001B>[2J<U+202E>, as {ISSUER} says, with the client c<U+000A>.\n")
    assert content["scopes"] == ["s<U+200B>"]
    assert content["subject"] == "ana<U+001B>[2J<U+202E>"
