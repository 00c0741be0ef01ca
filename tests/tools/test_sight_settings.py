"""How whoever runs a server says who may see what, and what he is told if that cannot be."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.desk import rules
from tests.tools.people import person
from tollbook.core.caller import Caller
from tollbook.core.settings import read_values
from tollbook.spend.sight import EVERYTHING, NOTHING
from tollbook.tools.sight import SIGHT_SETTINGS, SightRules, problems_of

GRANTS = "scope:NAME, group:NAME, claim:NAME=VALUE or anyone, several separated by commas, is wanted"
CALLS = (
    "role/NAME/SESSION, user/NAME, federated-user/NAME or tag:KEY=VALUE, with claims as {email}, several separated by "
    "commas, is wanted"
)


def words_of(setting: str, text: str, caller: Caller) -> str:
    """What `caller` sees with that one setting, in words."""
    return rules(**{setting: text}).sight_of(caller).words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("role/AWSReservedSSO_*/{email}", "role/AWSReservedSSO_*/ana@example.com"),
        ("role/*/{email},user/{sub}", "role/*/ana@example.com, user/ana"),
        (" user/{sub} , user/*/{sub} ,", "user/ana, user/*/ana"),
        ("federated-user/{sub}", "federated-user/ana"),
        ("role/{sub}/*", "role/ana/*"),
        ("role/dev-*-{sub}/x*", "role/dev-*-ana/x*"),
        ("user/{sub}@{custom:org}", "user/ana@acme"),
        ("user/{https://example.com/claims/name}", "user/a-name"),
        ("tag:owner={sub}", "tag:owner=ana"),
        ("tag:cost centre={custom:org}/{sub}", "tag:cost centre=acme/ana"),
        ("tag:path={custom:path}", "tag:path=/a/b"),
        ("user/{sub},user/{sub}", "user/ana"),
        ("user/{sub},user/{nothing}", "user/ana"),
    ],
)
def test_claims_are_put_where_they_are_named(text: str, words: str) -> None:
    said = {"custom:org": "acme", "custom:path": "/a/b", "https://example.com/claims/name": "a-name"}
    assert words_of("OWN_CALLS", text, person("ana", claims=said)) == f"your own calls: {words}"


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("SEES_ALL", "finops", f"{GRANTS}, not 'finops'"),
        ("SEES_ALL", "group:", f"{GRANTS}, not 'group:'"),
        ("SEES_ALL", "scope:a,all", f"{GRANTS}, not 'all'"),
        ("SEES_ALL", "claim:admin", f"{GRANTS}, not 'claim:admin'"),
        ("SEES_ALL", "claim:=x", f"{GRANTS}, not 'claim:=x'"),
        ("SEES_ALL", "Anyone", f"{GRANTS}, not 'Anyone'"),
        ("SEES_TEAM", " , ", GRANTS),
        ("OWN_CALLS", ",", CALLS),
        ("OWN_CALLS", "{email}", f"{CALLS}, not '{{email}}'"),
        ("OWN_CALLS", "*/{email}", f"{CALLS}, not '*/{{email}}'"),
        ("OWN_CALLS", "{kind}/x", f"{CALLS}, not '{{kind}}/x'"),
        ("OWN_CALLS", "assumed-role/x/{email}", f"{CALLS}, not 'assumed-role/x/{{email}}'"),
        ("OWN_CALLS", "arn:aws:iam::1:user/{sub}", f"{CALLS}, not 'arn:aws:iam::1:user/{{sub}}'"),
        ("OWN_CALLS", "role/x/y/{email}", f"{CALLS}, not 'role/x/y/{{email}}'"),
        ("OWN_CALLS", "role//{email}", f"{CALLS}, not 'role//{{email}}'"),
        ("OWN_CALLS", "user/", f"{CALLS}, not 'user/'"),
        ("OWN_CALLS", "root", f"{CALLS}, not 'root'"),
        ("OWN_CALLS", "tag:={sub}", f"{CALLS}, not 'tag:={{sub}}'"),
        ("OWN_CALLS", "tag:team", f"{CALLS}, not 'tag:team'"),
        ("OWN_CALLS", "tag:{sub}=x", f"{CALLS}, not 'tag:{{sub}}=x'"),
        ("OWN_CALLS", "role/{role}", "'role/{role}' names no session of the role: 'role/{role}/*' is all of them"),
        ("OWN_CALLS", "role/x/*", "'role/x/*' means the same calls whoever asks: it needs a claim, such as {email}"),
        ("OWN_CALLS", "user/{sub},tag:a=b", "'tag:a=b' means the same calls whoever asks: it needs a claim, such as"),
        ("OWN_CALLS", "tag:team={sub}-*", "'tag:team={sub}-*' has a *, and a tag is compared as a whole"),
        (
            "OWN_CALLS",
            "user/{sub",
            "'user/{sub' has a brace too many, or nothing between two: write a claim as {email}",
        ),
        ("OWN_CALLS", "user/{}", "'user/{}' has a brace too many, or nothing between two"),
        ("OWN_CALLS", "user/{{sub}}", "'user/{{sub}}' has a brace too many"),
        ("OWN_CALLS", "user/{sub}*", "'user/{sub}*' has a * beside a claim, so that ann would see anna's calls"),
        ("OWN_CALLS", "user/*{sub}", "'user/*{sub}' has a * beside a claim"),
        ("OWN_CALLS", "user/{a}{b}", "'user/{a}{b}' has two claims side by side: put something between them"),
        ("TEAM_CALLS", "team", f"{CALLS}, not 'team'"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_sentence_with_its_setting(variable: str, text: str, sentence: str) -> None:
    _, (problem,) = read_values(SIGHT_SETTINGS, {variable: text}, {})
    flag = variable.lower().replace("_", "-")
    assert problem.startswith(f"--{flag} ({variable}): {sentence}")
    assert "\n" not in problem


def test_a_team_may_be_the_same_for_all_who_may_see_it() -> None:
    given_rules = rules(SEES_TEAM="anyone", TEAM_CALLS="role/platform-*/*, tag:team=platform")
    assert given_rules.sight_of(person("ana")).words == "your team's calls: role/platform-*/*, tag:team=platform"


texts = st.text(min_size=1, max_size=12) | st.text(st.sampled_from("an*/?.[]{}\n@"), min_size=1, max_size=6)


@given(texts, texts)
def test_the_value_of_a_claim_matches_itself_and_nothing_more(value: str, session: str) -> None:
    sight = rules(OWN_CALLS="role/AWSReservedSSO_*/{name}").sight_of(person("x", claims={"name": value}))
    assert sight.sees(f"role/AWSReservedSSO_Dev_1/{session}", {}) == (session == value and "/" not in value)
    tagged = rules(OWN_CALLS="tag:owner={name}").sight_of(person("x", claims={"name": value}))
    assert tagged.sees("user/x", {"owner": session}) == (session == value)


@given(texts, texts, texts)
def test_no_value_reaches_beyond_its_place(role: str, session: str, other: str) -> None:
    sight = rules(OWN_CALLS="role/{role}/x-{session}").sight_of(person("x", role=role, session=session))
    meant = re.escape(f"role/{role}/x-{session}")
    for who in (f"role/{other}/x-{session}", f"role/{role}/x-{other}", f"role/{role}/x-{session}", other):
        fits = re.fullmatch(meant, who) is not None and "/" not in role + session
        assert sight.sees(who, {}) == fits


@given(
    st.none() | st.booleans() | st.integers() | st.floats() | st.lists(st.text()) | st.just("") | st.just({"a": "b"})
)
def test_a_claim_that_is_no_text_names_nobody(value: object) -> None:
    given_rules = rules(OWN_CALLS="user/{name}, tag:owner={name}", SEES_TEAM="anyone", TEAM_CALLS="tag:team={name}")
    assert given_rules.sight_of(person("x", claims={"name": value})) == NOTHING


def test_who_proved_nothing_sees_all_only_where_there_are_no_rules() -> None:
    assert SightRules().sight_of(Caller()) == EVERYTHING
    assert SightRules().sight_of(person("ana")) == NOTHING
    for setting in ({"SEES_ALL": "anyone"}, {"OWN_CALLS": "user/{sub}"}, {"SEES_TEAM": "anyone"}):
        assert rules(**setting).sight_of(Caller()) == NOTHING
    assert rules(SEES_ALL="claim:a=b").sight_of(Caller(claims={"a": "b"})) == NOTHING
    (anyone,) = rules(SEES_ALL="anyone").sees_all
    assert not anyone.holds_for(Caller())


def test_a_login_without_rules_would_show_nobody_anything_and_names_the_settings() -> None:
    (problem,) = problems_of(SightRules(), has_login=True)
    assert problem == (
        "--own-calls (OWN_CALLS) or --sees-all (SEES_ALL): nobody would see any calls. Say which are whose, such as "
        "role/AWSReservedSSO_*/{email}, or who sees all, such as group:finops."
    )


@pytest.mark.parametrize(
    ("environment", "problems"),
    [
        ({"SEES_ALL": "group:finops"}, []),
        ({"OWN_CALLS": "user/{sub}"}, []),
        ({"SEES_TEAM": "anyone", "TEAM_CALLS": "tag:team={team}"}, []),
        ({"OWN_CALLS": "user/{sub}", "SEES_TEAM": "anyone"}, ["--team-calls (TEAM_CALLS): some may see"]),
        ({"OWN_CALLS": "user/{sub}", "TEAM_CALLS": "tag:a={b}"}, ["--sees-team (SEES_TEAM): nobody may see"]),
        (
            {"SEES_TEAM": "anyone"},
            ["--own-calls (OWN_CALLS) or --sees-all (SEES_ALL): ", "--team-calls (TEAM_CALLS): "],
        ),
    ],
)
def test_rules_that_lead_nowhere_are_named(environment: dict[str, str], problems: list[str]) -> None:
    found = list(problems_of(rules(**environment), has_login=True))
    assert len(found) == len(problems)
    assert all(text.startswith(start) for text, start in zip(found, problems, strict=True))


def test_rules_without_a_login_are_a_mistake() -> None:
    assert list(problems_of(SightRules(), has_login=False)) == []
    (problem,) = problems_of(rules(SEES_ALL="anyone", OWN_CALLS="user/{sub}"), has_login=False)
    assert problem.startswith("--sees-all (SEES_ALL), --own-calls (OWN_CALLS): nobody is asked who he is")
