"""A filtered report is the report of the calls that the filter lets through."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.logs import call, write
from tests.tools.desk import called, reported, sections_of, served, text_of
from tollbook.app.questions import FileAsker

pytestmark = pytest.mark.anyio

HAIKU = "anthropic.claude-3-haiku-20240307-v1:0"
SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abc123"
WHO = {
    "rag": "arn:aws:sts::111122223333:assumed-role/rag-api/i-1",
    "rag 2": "arn:aws:sts::111122223333:assumed-role/rag-api/i-2",
    "alice": "arn:aws:iam::111122223333:user/alice",
    "nobody": None,
}


def calls() -> list[dict[str, Any]]:
    """One of each kind that filters tell apart, on several days, and some that failed."""
    draw = random.Random(7)  # noqa: S311
    return [
        call(
            model=model,
            arn=arn,
            region=region,
            accountId=account,
            errorCode=draw.choice([None, None, "ThrottlingException"]),
            timestamp=f"2026-11-{draw.randint(16, 22)}T{draw.randint(0, 23):02}:00:00Z",
            tokens=(draw.randint(1, 9000), draw.randint(1, 900)),
        )
        for model in (HAIKU, SONNET, PROFILE)
        for arn in WHO.values()
        for region in ("us-east-1", "eu-west-1", None)
        for account in ("111122223333", "444455556666")
    ]


def holds(field: str, part: str) -> Any:
    return lambda record: part in str(record.get(field))


CASES = [
    ({"region": "eu-west-1"}, holds("region", "eu-west-1")),
    ({"aws_account_id": "444455556666"}, holds("accountId", "444455556666")),
    ({"principal": "RAG-api"}, holds("identity", "rag-api")),
    ({"principal": "role/rag"}, holds("identity", "rag-api")),
    ({"principal": "unknown"}, lambda record: "identity" not in record),
    ({"model": "sonnet"}, holds("modelId", "sonnet")),
    ({"model": "Claude 3 HAIKU"}, holds("modelId", "haiku")),
    ({"model": "abc123"}, holds("modelId", "abc123")),
    (
        {"region": "us-east-1", "aws_account_id": "111122223333", "principal": "alice", "model": "claude"},
        lambda record: (
            record.get("region") == "us-east-1"
            and record["accountId"] == "111122223333"
            and "alice" in str(record.get("identity"))
            and "claude" in record["modelId"]
        ),
    ),
    ({"principal": "nobody of that name"}, lambda _: False),
    ({"principal": "i-1"}, lambda _: False),  # a session, which is no part of the principal
]


@pytest.mark.parametrize("by", ["principal", "session,account", "day,model,error"])
@pytest.mark.parametrize(("arguments", "lets_through"), CASES, ids=[str(case[0]) for case in CASES])
async def test_a_filter_leaves_what_a_log_without_the_other_calls_would_show(
    tmp_path: Path, arguments: dict[str, str], lets_through: Any, by: str
) -> None:
    records = calls()
    everything = write(tmp_path / "all.jsonl", *records)
    some = write(tmp_path / "some.jsonl", *filter(lets_through, records))
    found = await reported(served(everything), days=14, group_by=by, top=200, **arguments)
    expected = await reported(served(some), days=14, group_by=by, top=200)
    for part in ("totals", "groups", "groups_left_out", "unpriced", "window"):
        assert found[part] == expected[part], part
    texts = [
        text_of(await called(served(everything), days=14, **arguments)),
        text_of(await called(served(some), days=14)),
    ]
    assert texts[0].partition("--- Notes")[0].splitlines()[1:] == texts[1].partition("--- Notes")[0].splitlines()[1:]


async def test_a_model_is_found_by_the_name_that_the_user_gave_its_profile(tmp_path: Path) -> None:
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"abc123": {"model": SONNET, "name": "Search"}}))
    log = write(tmp_path / "log.jsonl", *calls())
    server = served(asker=FileAsker([log], names_file=names))
    by_profile = await reported(server, days=14, model="search", group_by="profile")
    assert [group["profile"] for group in by_profile["groups"]] == ["Search"]
    by_model = await reported(server, days=14, model="sonnet", group_by="profile")
    assert {group["profile"] for group in by_model["groups"]} == {"Search", None}


async def test_what_cannot_be_filtered_counts_everything_and_says_so(tmp_path: Path) -> None:
    again = call(region="eu-west-1", timestamp="2026-11-22T00:00:00Z")
    log = write(tmp_path / "log.jsonl", *calls(), again, again, "no record")
    found = await reported(served(log), region="us-east-1", model="\u202esonnet")
    assert (found["duplicates"], found["rejected"]["lines"]) == (1, 1)
    notes = sections_of(text_of(await called(served(log), region="us-east-1", model="sonnet")))["Notes"]
    words = "rejected lines, duplicates and what is left out count all that was read"
    assert f"only calls with region us-east-1, model sonnet; {words}" in notes
    assert any("model <U+202E>sonnet;" in note for note in found["notes"])


async def test_without_a_filter_no_note_speaks_of_one(tmp_path: Path) -> None:
    found = await reported(served(write(tmp_path / "log.jsonl", *calls())))
    assert not any("only calls" in note for note in found["notes"])


async def test_an_argument_that_is_null_is_left_out(tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", *calls())
    nothing = dict.fromkeys(("region", "aws_account_id", "principal", "model", "tz", "days", "top", "group_by"))
    assert (await reported(served(log), **nothing))["totals"] == (await reported(served(log)))["totals"]
