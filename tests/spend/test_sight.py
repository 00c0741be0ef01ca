"""What a report tells someone who may not see every call."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.logs import call, lines
from tollbook.spend import prices
from tollbook.spend.principal import session_of
from tollbook.spend.query import Filter, Query
from tollbook.spend.render.brief import as_brief_text
from tollbook.spend.render.machine import as_json
from tollbook.spend.render.plain import as_markdown, as_text
from tollbook.spend.report import Report, report_of
from tollbook.spend.sight import EVERYTHING, NOTHING, Pattern, Sight
from tollbook.spend.tally import Tally
from tollbook.spend.window import Window, zone_of

BOOK = prices.load()
NO_FILTER = Filter()
ZONES = st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York"])
BY = st.sampled_from(
    [("principal",), ("session", "model"), ("day", "region"), ("tag:team",), ("hour", "tag:env"), ("tier", "error")]
)
TEXT_NEEDS = ("day", "region", "model", "principal")


def pattern(text: str) -> Pattern:
    """As a setting has it, where every `*` stands for something."""
    return Pattern(tuple(text.split("*")))


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("role/AWSReservedSSO_*/ana@example.com", "role/AWSReservedSSO_Dev_0a1b/ana@example.com"),
        ("role/*/ana@example.com", "role/rag-api/ana@example.com"),
        ("role/rag-api/*", "role/rag-api/i-0abc"),
        ("role/a*b*c/x", "role/a-b-b-c/x"),
        ("role/**/x", "role/any/x"),
        ("user/alice", "user/alice"),
        ("user/ci/*", "user/ci/deploy-bot"),
        ("user/*", "user/"),
    ],
)
def test_a_pattern_matches_whom_it_describes(text: str, who: str) -> None:
    assert pattern(text).matches(who)


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("role/AWSReservedSSO_*/ana@example.com", "role/AWSReservedSSO_Dev_0a1b/ben@example.com"),
        ("role/AWSReservedSSO_*/ana@example.com", "role/AWSReservedSSO_Dev_0a1b/ana@example.com/x"),
        ("role/AWSReservedSSO_*/ana@example.com", "role/AWSReservedSSO_Dev_0a1b/joana@example.com"),
        ("role/AWSReservedSSO_*/ana@example.com", "role/AWSReservedSSO_Dev_0a1b/Ana@example.com"),
        ("role/AWSReservedSSO_*/ana@example.com", "role/AWSReservedSSO_/x/ana@example.com"),
        ("role/AWSReservedSSO_*/ana@example.com", "role/AWSReservedSSO_Dev/ana@example.com\n"),
        ("role/AWSReservedSSO_*/ana@example.com", "role/AWSReservedSSO_Dev/anaXexample.com"),
        ("role/*", "role/rag-api/i-0abc"),
        ("role/rag-api", "role/rag-api/i-0abc"),
        ("role/a*a/x", "role/a/x"),
        ("role/ab*bc/x", "role/abc/x"),
        ("role/a*b*c/x", "role/a-c-b/x"),
        ("user/alice", "user/alice2"),
        ("user/alice", "user/ci/alice"),
        ("user/*", "unknown"),
        ("user/*", ""),
    ],
)
def test_a_pattern_matches_nobody_else(text: str, who: str) -> None:
    assert not pattern(text).matches(who)


some_text = st.text(st.sampled_from("ab/*.?[\n"), max_size=7)


@given(st.lists(some_text, min_size=1, max_size=4), some_text)
def test_a_pattern_is_its_parts_and_between_them_anything_but_a_slash(parts: list[str], who: str) -> None:
    meant = "[^/]*".join(map(re.escape, parts))
    assert Pattern(tuple(parts)).matches(who) == (re.fullmatch(meant, who) is not None)


def test_a_long_name_is_compared_in_no_time() -> None:
    """The name of a session comes from outside. An expression for `re` would take hours here."""
    assert not Pattern(("role/", *("a",) * 40, "/x")).matches(f"role/{'a' * 100_000}/y")


def test_who_sees_nothing_sees_no_call_and_who_sees_all_sees_each() -> None:
    for who in (None, "", "unknown", "user/alice"):
        assert not NOTHING.sees(who, {"team": "legal", "": ""})
        assert EVERYTHING.sees(who, {})


def test_a_tag_is_seen_with_its_very_value_only() -> None:
    sight = Sight("own", "your own calls", tags=(("team", "legal"),))
    assert sight.sees("user/alice", {"team": "legal"})
    for tags in ({"team": "Legal"}, {"team": "legal "}, {"team": ""}, {"team": None}, {"env": "legal"}, {}):
        assert not sight.sees("user/alice", tags)


SSO = "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Dev_0a1b"
PEOPLE = {
    "ana": f"{SSO}/ana@example.com",
    "ana elsewhere": "arn:aws:sts::444455556666:assumed-role/AWSReservedSSO_Ops_9f8e/ana@example.com",
    "joana": f"{SSO}/joana@example.com",
    "ben": f"{SSO}/ben@example.com",
    "ana of another role": "arn:aws:sts::111122223333:assumed-role/support/ana@example.com",
    "alice": "arn:aws:iam::111122223333:user/alice",
    "root": "arn:aws:iam::111122223333:root",
    "odd": "ana@example.com",
    "nobody": None,
}
OWN = Sight("own", "your own calls", (pattern("role/AWSReservedSSO_*/ana@example.com"),))
TEAM = Sight("team", "your own calls and your team's", OWN.principals, (("team", "legal"),))
TAGGED = Sight("team", "your team's calls", (), (("team", "legal"), ("env", "prod")))

counts = st.integers(0, 300_000)
records = st.builds(
    call,
    model=st.sampled_from(
        [
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "us.openai.gpt-5.6-sol",
            "stability.stable-image-core-v1:1",
            "arn:aws:bedrock:us-east-1:1:provisioned-model/x",
        ]
    ),
    tokens=st.tuples(st.none() | counts, counts),
    cache=st.none() | st.tuples(counts, counts),
    arn=st.sampled_from([*PEOPLE.values()]),
    region=st.sampled_from(["us-east-1", "eu-west-1"]),
    timestamp=st.datetimes(datetime(2026, 11, 1), datetime(2026, 11, 9)).map(lambda time: f"{time:%Y-%m-%dT%H:%M:%S}Z"),
    errorCode=st.sampled_from([None, None, None, "ThrottlingException"]),
    requestMetadata=st.sampled_from([None, {"team": "legal"}, {"team": "growth", "env": "prod"}, {"team": "Legal"}]),
    requestId=st.uuids().map(str),
)
logs = st.lists(records, max_size=20)


def is_seen(record: Mapping[str, Any], sight: Sight) -> bool:
    """Judged by the log as it is written."""
    arn = (record.get("identity") or {}).get("arn")
    return sight.sees(session_of(arn), record.get("requestMetadata") or {})


def report(
    rows: Iterable[object],
    sight: Sight = EVERYTHING,
    by: tuple[str, ...] = ("session",),
    tz: str = "UTC",
    *,
    only: Filter = NO_FILTER,
    notes: Iterable[str] = (),
) -> Report:
    seen: set[int] = set()

    def claim(ids: list[int]) -> list[bool]:
        return [not (each in seen or seen.add(each)) for each in ids]  # type: ignore[func-returns-value]

    query = Query(Window(None, None, zone_of(tz)), tuple(dict.fromkeys((*by, *TEXT_NEEDS))), only, sight)
    tally = Tally(query, claim)
    tally.read(lines(rows))
    return report_of(tally.counted(), query, by, BOOK, {}, notes)


def forms(found: Report) -> list[str]:
    """Every form of a report that anyone may be shown."""
    brief = as_brief_text(found, "some days", 20_000, whole_is_kept=True)
    return [as_json(found), as_text(found), as_markdown(found), brief]


def without_the_note(found: Report) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(as_json(found))
    document["notes"] = [note for note in document["notes"] if not note.startswith("only your")]
    return document


@pytest.mark.parametrize("sight", [OWN, TEAM, TAGGED], ids=["own", "team", "tags"])
@settings(max_examples=60, deadline=None)
@given(logs, BY, ZONES)
def test_a_report_of_some_is_the_report_on_a_log_that_holds_theirs_alone(
    sight: Sight, rows: list[dict[str, Any]], by: tuple[str, ...], tz: str
) -> None:
    theirs = [row for row in rows if is_seen(row, sight)]
    expected = without_the_note(report(theirs, by=by, tz=tz))
    # A call that has no tokens is noted where all is seen, which is a figure over all.
    expected["notes"] = [note for note in expected["notes"] if not note.startswith("served without any tokens")]
    assert without_the_note(report(rows, sight, by, tz)) == expected


@pytest.mark.parametrize("sight", [OWN, TEAM, TAGGED, NOTHING], ids=["own", "team", "tags", "nothing"])
@settings(max_examples=60, deadline=None)
@given(logs, logs, st.lists(st.sampled_from(["broken", "{", "[]", "{}"]), max_size=4), BY, ZONES, st.data())
def test_whatever_the_others_do_changes_not_one_letter(
    sight: Sight,
    rows: list[dict[str, Any]],
    others: list[dict[str, Any]],
    broken: list[str],
    by: tuple[str, ...],
    tz: str,
    data: st.DataObject,
) -> None:
    theirs = [row for row in rows if is_seen(row, sight)]
    unseen = [row for row in others if not is_seen(row, sight)]
    copies = data.draw(st.lists(st.sampled_from(unseen), max_size=3)) if unseen else []
    # The order of what is seen stays; the rest comes in between.
    mixed: list[object] = [*theirs]
    for each in (*unseen, *copies, *broken):
        mixed.insert(data.draw(st.integers(0, len(mixed))), each)
    notes = ["others.jsonl.gz is no whole gzip file (cut); what came before that was counted"]
    assert forms(report(mixed, sight, by, tz, notes=notes)) == forms(report(theirs, sight, by, tz))


@settings(max_examples=60, deadline=None)
@given(logs)
def test_what_people_see_of_their_own_adds_up_to_no_more_than_the_whole(rows: list[dict[str, Any]]) -> None:
    whole = report(rows).total
    everyone = {session_of(arn) for arn in PEOPLE.values()}
    own = [report(rows, Sight("own", "your own calls", (Pattern((who,)),))).total for who in sorted(everyone)]
    for measure in ("calls", "errors", "input", "output", "cache_read", "cache_write"):
        assert sum(getattr(total, measure) for total in own) == getattr(whole, measure)
    assert sum((total.usd or Decimal(0) for total in own), Decimal(0)) == (whole.usd or 0)


@settings(max_examples=60, deadline=None)
@given(logs, st.sampled_from([OWN, TEAM, TAGGED]))
def test_a_filter_narrows_what_is_seen_and_never_widens_it(rows: list[dict[str, Any]], sight: Sight) -> None:
    theirs = [row for row in rows if is_seen(row, sight)]
    for only in (Filter(principal="ben"), Filter(principal="a"), Filter(region="eu-west-1"), Filter(model="sonnet")):
        found, expected = report(rows, sight, only=only), report(theirs, only=only)
        assert json.loads(as_json(found))["groups"] == json.loads(as_json(expected))["groups"]


def test_a_report_of_some_says_whose_calls_it_counts_and_that_it_is_silent_on_the_rest() -> None:
    found = report([call(arn=PEOPLE["ana"])], OWN)
    assert found.notes[0] == (
        "only your own calls: role/AWSReservedSSO_*/ana@example.com; nothing is told of other calls, of lines that are "
        "no records, or of copies"
    )
    assert "tag:team=legal" in report([], TEAM).notes[0]
    assert not any(note.startswith("only") for note in report([call()]).notes)


def test_a_sight_in_words_deceives_nobody_and_ends() -> None:
    """Threat 45: a claim is text from outside."""
    odd = Sight("own", "your own calls", (Pattern(("user/\x1b[31m\u202eana",)),), (("team", "x" * 9000),))
    assert odd.words.startswith("your own calls: user/<U+001B>[31m<U+202E>ana, tag:team=xxx")
    assert len(odd.words) < 500


def test_others_are_kept_as_one_row_however_many_they_are() -> None:
    query = Query(Window(None, None, zone_of("UTC")), ("principal",), sight=OWN)
    tally = Tally(query, lambda ids: [True] * len(ids))
    tally.read(lines(call(arn=f"{SSO}/someone-{number}@example.com") for number in range(500)))
    tally.read(lines([call(arn=PEOPLE["ana"])]))
    assert sum(1 for _ in tally.counted().rows()) == 2
