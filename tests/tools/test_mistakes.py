"""Whatever goes wrong is one sentence that says what to do, and tells nothing that it should not."""

import logging
from typing import Any

import pytest
from mcp import Client, MCPError

from tests.tools.desk import ERAS, SAMPLE, called, served, text_of
from tollbook.tools import Prepared, Question

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"region": "x@evil.example/#"}, "region 'x@evil.example/#' is not right: write it like us-east-1 or all."),
        ({"region": "us-east-1\n"}, "region 'us-east-1<U+000A>' is not right: write it like us-east-1 or all."),
        ({"region": "us-east-1" * 40}, "region 'us-east-1"),
        ({"region": 7}, "region '7' is not right: input should be a valid string."),
        ({"days": 0}, "days '0' is not right: input should be greater than or equal to 1."),
        ({"days": 200_000_000}, "days '200000000' is not right: input should be less than or equal to 3660."),
        ({"days": "soon"}, "days 'soon' is not right: input should be a valid integer"),
        ({"tz": "Mars/Olympus"}, "There is no time zone 'Mars/Olympus'. Give an IANA name such as Europe/Berlin"),
        ({"tz": "../../etc/passwd"}, "There is no time zone '../../etc/passwd'."),
        ({"group_by": "user"}, "group_by 'user' is not known. Choose from day, hour, model"),
        ({"group_by": ""}, "group_by needs at least one of day, hour"),
        ({"aws_account_id": "12"}, "aws_account_id '12' is not right: write it like 111122223333."),
        ({"log_group_name": "a b"}, "log_group_name 'a b' is not right: write it like /aws/bedrock/modelinvocations."),
        ({"top": 0, "days": 0}, "days '0' is not right: input should be greater than or equal to 1; top '0' is not"),
        ({"account": "1"}, "get_bedrock_usage_report has no argument 'account'. It has region, log_group_name, days,"),
    ],
)
async def test_an_argument_that_cannot_be_is_refused_in_one_sentence(
    era: str, arguments: dict[str, Any], sentence: str
) -> None:
    result = await called(served(SAMPLE), era=era, **arguments)
    assert result.is_error
    assert text_of(result).startswith(sentence)
    assert text_of(result).endswith(".")
    assert "\n" not in text_of(result)
    assert len(text_of(result)) < 300
    assert "pydantic" not in text_of(result)


async def test_a_missing_argument_is_named() -> None:
    assert text_of(await called(served(), "greet")) == "name is missing."


async def test_a_source_that_cannot_be_read_is_an_error_in_the_houses_words() -> None:
    result = await called(served("/no/such/log.jsonl"))
    assert result.is_error
    assert text_of(result).startswith("There is no file or folder /no/such/log.jsonl. Name a log file")


class Faulty:
    """Answers with a fault of its own."""

    async def prepare(self, question: Question) -> Prepared:
        raise RuntimeError("secret of /root/.aws/credentials")


@pytest.mark.parametrize("era", ERAS)
async def test_a_fault_of_our_own_is_logged_and_the_client_learns_nothing_of_it(
    era: str, caplog: pytest.LogCaptureFixture
) -> None:
    result = await called(served(asker=Faulty()), era=era)
    assert result.is_error
    assert text_of(result) == "This is a fault of tollbook's own, and was logged. Ask whoever runs the server."
    assert result.structured_content is None
    (entry,) = (entry for entry in caplog.records if entry.levelno >= logging.ERROR)
    assert entry.exc_info
    assert "secret of /root" in caplog.text


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("nothing", {}, "There is no prompt 'nothing'. There are greeting-template, spend-report, weekly-review."),
        ("greeting-template", {}, "The prompt greeting-template needs name."),
        ("spend-report", {"x": "1"}, "The prompt spend-report takes no arguments but region, model, log_group."),
    ],
)
async def test_a_prompt_that_cannot_be_filled_in_is_the_clients_mistake(
    era: str, name: str, arguments: dict[str, str], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client(served(), mode=era) as client:
        with pytest.raises(MCPError) as fault:
            await client.get_prompt(name, arguments)
    assert (fault.value.error.code, fault.value.error.message) == (-32602, sentence)
    assert not [entry for entry in caplog.records if entry.levelno >= logging.WARNING]
