"""Budgets: what may be written, how much is spent, and when it will be used up."""

import json
import random
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.answers.rows import BOOK, NOVA, SONNET, Calls, report, usage
from tollbook.core.errors import UsageError
from tollbook.spend.answers.budgets import (
    Budget,
    BudgetBurn,
    Burn,
    budgets_by,
    budgets_window,
    burn_of,
    read_budgets,
)
from tollbook.spend.query import Query
from tollbook.spend.render.answers import as_json, telling_of
from tollbook.spend.report import Report, report_of
from tollbook.spend.sight import Pattern, Sight
from tollbook.spend.tally import Counted

NOW = datetime(2026, 11, 19, 12, tzinfo=UTC)  # a Thursday
TODAY = NOW.date()
DAY = timedelta(days=1)
UTC_ZONE = ZoneInfo("UTC")
OWN = Sight("own", "your own calls", (Pattern(("role/rag-api",)),))


def spent(day: date, usd: float = 10, who: str = "role/rag-api", model: str = NOVA, **tags: str) -> Calls:
    """Calls of `day` that cost so much, of Nova Pro at $0.80 a million tokens."""
    return Calls(day, usage(10, round(usd * 1_250_000)), model=model, who=who, tags=tags)


def every_day(number: int, usd: float = 10, who: str = "role/rag-api", **tags: str) -> list[Calls]:
    """`number` whole days before today."""
    return [spent(TODAY - step * DAY, usd, who, **tags) for step in range(1, number + 1)]


def read(text: str) -> tuple[Budget, ...]:
    return read_budgets(tomllib.loads(text)["budgets"], "tollbook.toml")


def asked(made: Sequence[Calls], budgets: Sequence[Budget]) -> Report:
    return report(made, budgets_window(budgets, NOW, UTC_ZONE), budgets_by(budgets))


def burn(made: Sequence[Calls], text: str) -> Burn:
    budgets = read(text)
    return burn_of(asked(made, budgets), budgets, NOW)


def the_one(made: Sequence[Calls], text: str) -> BudgetBurn:
    (one,) = burn(made, f"[budgets.some]\n{text}").budgets
    return one


def seen(made: Sequence[Calls], text: str, sight: Sight = OWN) -> Burn:
    """The same for who does not see all."""
    budgets = read(text)
    by = budgets_by(budgets)
    window = budgets_window(budgets, NOW, UTC_ZONE)
    every = report(made, window, (*by, "principal"))
    rows = [row.usage_row for row in every.rows]
    return burn_of(report_of(Counted(others=rows), Query(window, by, sight=sight), by, BOOK, {}), budgets, NOW)


# What may be written


def test_a_budget_is_read_with_all_that_it_may_say() -> None:
    team, model, who = read("""
        [budgets.growth]
        usd = 100.5
        per = "week"
        warn = 0.5
        tag = { team = "growth" }
        [budgets.sonnet]
        usd = 20
        model = "Claude Sonnet*"
        [budgets.rag]
        usd = 1
        per = "day"
        principal = "role/rag-*"
    """)
    assert team == Budget(
        name="growth", usd=Decimal("100.5"), per="week", warn=Decimal("0.5"), tag_key="team", tag_value="growth"
    )
    assert model == Budget(name="sonnet", usd=Decimal(20), model="Claude Sonnet*")
    assert who == Budget(name="rag", usd=Decimal(1), per="day", principal="role/rag-*")
    assert budgets_by((team, model, who)) == ("day", "tag:team", "model", "principal")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "It lacks its limit. Add usd"),
        ('usd = "100"', "usd takes a number from 0.01"),
        ("usd = true", "usd takes a number from 0.01"),
        ("usd = 0", "and not 0"),
        ("usd = -1", "and not -1"),
        ("usd = 1e-25", "takes a number from 0.01"),
        ("usd = nan", "and not nan"),
        ("usd = inf", "and not inf"),
        ("usd = 1_000_000_001", "to 1,000,000,000"),
        (f"usd = 1{'0' * 300}", "000…"),
        ('usd = 1\nper = "year"', "per takes month, week, day, and not year"),
        ("usd = 1\nper = 7", "per takes month, week, day, and not int"),
        ("usd = 1\nper = []", "per takes month, week, day, and not list"),
        ("usd = 1\nwarn = 80", "warn takes a number from 0.01 to 1"),
        ('usd = 1\nwarn = "80%"', "this one is quoted"),
        ("usd = 1\nwarn = false", "warn takes a number from 0.01"),
        ("usd = 1\nlimit = 2", "There is no key limit. Known are usd, per, warn, principal, model, tag"),
        ('usd = 1\nprincpal = "x"', "There is no key princpal. Did you mean principal?"),
        ("usd = 1\nUSD = 2", "There is no key USD. Did you mean usd?"),
        ('usd = 1\nprincipal = "a"\nmodel = "b"', "It has principal and model, and only one of them may be"),
        ('usd = 1\nprincipal = ""', "principal takes a text of 1 to 256 characters"),
        ("usd = 1\nmodel = 4", "model takes a text"),
        (f'usd = 1\nmodel = "{"m" * 257}"', "model takes a text"),
        ('usd = 1\ntag = "team"', "tag takes one key of the request metadata"),
        ('usd = 1\ntag = { a = "1", b = "2" }', "tag takes one key"),
        ("usd = 1\ntag = {}", "tag takes one key"),
        ("usd = 1\ntag = { team = 1 }", "tag.team takes a text"),
    ],
)
def test_what_cannot_be_used_is_told_by_budget_and_key(text: str, problem: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(f"[budgets.team]\n{text}")
    assert refused.value.message == "tollbook.toml holds budgets that cannot be used:"
    assert len(refused.value.more) == 1
    assert refused.value.more[0].startswith("budgets.team: ")
    assert problem in refused.value.more[0]


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(UsageError) as refused:
        read('[budgets]\na = 5\n[budgets.b]\nusd = "1"\n[budgets.c]\nusd = 1')
    assert [line.partition(":")[0] for line in refused.value.more] == ["budgets.a", "budgets.b"]


def test_more_than_fifty_budgets_are_refused() -> None:
    table = {f"team-{number}": {"usd": 1} for number in range(51)}
    assert len(read_budgets(dict(list(table.items())[:50]), "here")) == 50
    with pytest.raises(UsageError, match="here holds 51 budgets, and 50 are the most"):
        read_budgets(table, "here")


@pytest.mark.parametrize("name", ["", " ", "n" * 65])
def test_a_name_has_some_characters_and_not_too_many(name: str) -> None:
    with pytest.raises(UsageError, match="A name takes 1 to 64 characters"):
        read_budgets({name: {"usd": 1}}, "here")


def test_what_no_one_can_see_is_shown_as_its_code() -> None:
    with pytest.raises(UsageError, match=r"There is no key usd<U\+200B>"):
        read_budgets({"a": {"usd\u200b": 1}}, "here")


def test_json_reads_as_toml_does() -> None:
    text = '{"a": {"usd": 0.1, "warn": 0.9, "tag": {"team": "growth"}}}'
    exact = read_budgets(json.loads(text, parse_float=Decimal), "JSON")
    assert exact == read_budgets(json.loads(text), "JSON")
    assert exact[0].usd == Decimal("0.1")


@pytest.mark.parametrize("document", [[], "usd = 1", None, {"a": [1]}, {"a": {"usd": [1]}}, {"a": {1: 2}}])
def test_whatever_a_document_holds_it_is_read_or_refused_with_a_sentence(document: Any) -> None:
    with pytest.raises(UsageError):
        read_budgets(document, "JSON")


# Whose calls count


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ('principal = "role/rag-api"', True),
        ('principal = "role/rag"', False),
        ('principal = "role/rag*"', True),
        ('principal = "*api"', True),
        ('principal = "*"', True),
        ('principal = "role/*-*i"', True),
        ('principal = "ROLE/rag-api"', False),
        ('principal = "role/rag-ap?"', False),
        ('principal = "role/rag-ap."', False),
        ('model = "amazon.nova-pro-v1:0"', True),
        ('model = "Nova Pro"', True),
        ('model = "nova pro"', True),
        ('model = "nova*"', True),
        ('model = "Nova"', False),
        ('tag = { team = "growth" }', True),
        ('tag = { team = "Growth" }', False),
        ('tag = { team = "g*h" }', True),
        ('tag = { cost = "growth" }', False),
    ],
)
def test_a_budget_holds_whole_names_with_stars(text: str, holds: bool) -> None:
    assert the_one(every_day(3, team="growth"), f"usd = 100\n{text}").spent_usd == (30 if holds else 0)


def test_calls_without_the_tag_count_for_no_budget_by_tag() -> None:
    assert the_one(every_day(3), 'usd = 100\ntag = { team = "*" }').spent_usd == 0


# How a budget stands


@pytest.mark.parametrize(
    ("per", "first", "last", "spent_usd"),
    [("month", 1, 30, 187), ("week", 16, 22, 37), ("day", 19, 19, 7)],
)
def test_a_period_is_a_month_a_week_from_monday_or_a_day(per: str, first: int, last: int, spent_usd: int) -> None:
    one = the_one([*every_day(50), spent(TODAY, 7)], f'usd = 1000\nper = "{per}"')
    assert (one.first, one.last) == (date(2026, 11, first), date(2026, 11, last))
    assert one.spent_usd == spent_usd


def test_what_goes_on_as_before_is_foretold() -> None:
    one = the_one([*every_day(50), spent(TODAY, 4)], "usd = 1000")
    assert one.forecast_usd == 300
    assert one.burn_per_day_usd == 10
    assert one.spent_share == Decimal("0.184")
    assert one.exhausted_on is None
    assert one.state == "ok"


def test_of_a_day_that_is_dear_already_the_rest_is_foretold_as_usual() -> None:
    assert the_one([*every_day(50), spent(TODAY, 7)], "usd = 1000").forecast_usd == 302  # half of today is to come


def test_the_day_on_which_it_will_be_used_up_is_told() -> None:
    one = the_one(every_day(50), "usd = 250")
    assert (one.state, one.exhausted_on) == ("warning", date(2026, 11, 25))


def test_the_day_on_which_it_was_used_up_is_told() -> None:
    one = the_one(every_day(50), "usd = 100")
    assert (one.state, one.exhausted_on) == ("over", date(2026, 11, 10))


@pytest.mark.parametrize(
    ("usd", "warn", "state"),
    [(180, "0.8", "over"), (181, "1", "warning"), (400, "0.45", "warning"), (400, "0.46", "ok"), (299, "1", "warning")],
)
def test_the_state_is_that_of_what_is_spent_and_what_is_to_come(usd: int, warn: str, state: str) -> None:
    assert the_one(every_day(50), f"usd = {usd}\nwarn = {warn}").state == state


def test_under_seven_whole_days_nothing_is_foretold() -> None:
    one = the_one(every_day(6), "usd = 1000")
    assert one.forecast_usd is None
    assert one.exhausted_on is None
    assert one.burn_per_day_usd is not None


def test_what_was_used_up_is_told_without_a_forecast_too() -> None:
    one = the_one(every_day(6), "usd = 25")
    assert (one.state, one.exhausted_on, one.forecast_usd) == ("over", date(2026, 11, 15), None)


def test_the_worst_stands_first() -> None:
    answer = burn(every_day(50), "[budgets.fine]\nusd = 1000\n[budgets.much]\nusd = 100\n[budgets.near]\nusd = 250")
    assert [one.name for one in answer.budgets] == ["much", "near", "fine"]
    assert answer.state == "over"
    assert telling_of(answer).lead == "3 budgets: 1 over the limit, 1 near it."


def test_calls_without_a_price_are_never_counted_as_nothing() -> None:
    calls = [*every_day(50), Calls(TODAY - DAY, usage(5, 1_000), model="acme.unheard-of-v1:0")]
    one = the_one(calls, 'usd = 1000\nmodel = "acme*"')
    assert one.spent_usd == 0
    assert one.is_at_least
    assert not the_one(calls, 'usd = 1000\nmodel = "nova*"').is_at_least


def test_calls_without_a_price_before_the_period_do_not_matter() -> None:
    calls = [*every_day(50), Calls(date(2026, 10, 31), usage(5, 1_000), model="acme.unheard-of-v1:0")]
    assert not the_one(calls, "usd = 1000").is_at_least


def test_what_could_not_be_read_makes_every_budget_at_least() -> None:
    budgets = read("[budgets.all]\nusd = 1000")
    found = msgspec.structs.replace(asked(every_day(50), budgets), unread=("an object",))
    assert burn_of(found, budgets, NOW).budgets[0].is_at_least


# Who does not see all


def test_who_sees_his_own_calls_is_told_his_part_and_nothing_foretold() -> None:
    calls = [*every_day(50), *every_day(50, 90, "role/other")]
    answer = seen(calls, "[budgets.all]\nusd = 200")
    (one,) = answer.budgets
    assert one.is_own_part
    assert [one.spent_usd, one.limit_usd] == [180, 200]
    assert (one.forecast_usd, one.exhausted_on) == (None, None)
    assert "you have spent $180.00 of $200.00" in telling_of(answer).sentences[0]


def test_budgets_of_others_are_not_told() -> None:
    calls = [*every_day(50), *every_day(50, 90, "role/other")]
    text = '[budgets.secret]\nusd = 20\nprincipal = "role/other"\n[budgets.mine]\nusd = 1000\nprincipal = "role/rag*"'
    assert [one.name for one in seen(calls, text).budgets] == ["mine"]
    assert "secret" not in as_json(seen(calls, text))


def test_budgets_of_others_are_not_told_where_something_could_not_be_read_either() -> None:
    budgets = read('[budgets.secret]\nusd = 20\nprincipal = "role/other"')
    window, by = budgets_window(budgets, NOW, UTC_ZONE), budgets_by(budgets)
    rows = [row.usage_row for row in asked(every_day(50), budgets).rows]
    found = report_of(Counted(others=rows), Query(window, by, sight=OWN), by, BOOK, {}, unread=["an object"])
    answer = burn_of(found, budgets, NOW)
    assert not answer.budgets
    assert telling_of(answer).lead == "There is no budget for which calls of yours count."


def test_own_calls_without_a_price_show_the_budget_they_count_for() -> None:
    calls = [Calls(TODAY - DAY, usage(5, 1_000), model="acme.unheard-of-v1:0")]
    (one,) = seen(calls, "[budgets.all]\nusd = 200").budgets
    assert one.is_at_least


def test_where_there_is_no_budget_it_is_said() -> None:
    assert telling_of(burn_of(asked(every_day(3), ()), (), NOW)).lead == "There is no budget."


def test_a_budget_is_told_in_a_sentence() -> None:
    telling = telling_of(burn([*every_day(50), spent(TODAY, 7)], '[budgets."a\\u200Bb"]\nusd = 250'))
    assert telling.lead == "1 budget, near the limit."
    assert telling.sentences == (
        "a<U+200B>b (all calls): spent $187.00 of $250.00 (75%) this month; used up on Nov 25; $10.00 a day of late; "
        "$302.00 expected by its end.",
    )
    assert telling.notes[0].startswith("a day of late: the mean of the last seven whole days; expected: the level of ")


@pytest.mark.parametrize(("usd", "lead"), [(1000, "1 budget, within its limit."), (100, "1 budget, over the limit.")])
def test_of_one_budget_it_is_told_in_the_singular(usd: int, lead: str) -> None:
    assert telling_of(burn(every_day(50), f"[budgets.all]\nusd = {usd}")).lead == lead


def test_whole_days_at_the_end_without_any_call_are_told_prominently() -> None:
    late = [spent(TODAY - step * DAY) for step in range(4, 50)]
    answer = burn(late, "[budgets.all]\nusd = 1000")
    telling = telling_of(answer)
    assert (answer.last_call_on, answer.silent_days) == (date(2026, 11, 15), 3)
    assert telling.lead == "1 budget, within its limit. No call counted here is logged after Nov 15."
    assert telling.faults[0] == (
        "No call counted here is logged after Nov 15: the 3 whole days since count as $0. If the logs are late, ask "
        "again when they are there."
    )
    assert len(telling.sentences) == len(answer.budgets)


def test_days_without_calls_of_one_budget_alone_are_not_silent() -> None:
    text = '[budgets.rag]\nusd = 1000\nprincipal = "role/rag-api"'
    answer = burn([*(spent(TODAY - step * DAY) for step in range(9, 50)), *every_day(50, 1, "role/other")], text)
    assert answer.silent_days == 0
    assert not telling_of(answer).faults


def test_silent_days_are_no_evidence_for_a_forecast() -> None:
    calls = [spent(TODAY - step * DAY) for step in range(5, 11)]
    assert the_one(calls, "usd = 1000").forecast_usd is None
    assert the_one([*calls, spent(TODAY - 11 * DAY)], "usd = 1000").forecast_usd is not None


def test_where_nothing_was_read_it_is_said() -> None:
    telling = telling_of(burn([], "[budgets.all]\nusd = 1000"))
    assert telling.faults == ("No call counted here is logged at all in the days that were read.",)


def test_what_lies_after_the_moment_of_asking_is_not_read() -> None:
    budgets = read("[budgets.all]\nusd = 1000")
    assert budgets_window(budgets, NOW, ZoneInfo("Asia/Kolkata")).until == NOW


def unheard_of(number: int) -> list[Calls]:
    return [Calls(TODAY - step * DAY, usage(2, 1_000), model="acme.unheard-of-v1:0") for step in range(1, number + 1)]


def test_of_a_budget_none_of_whose_calls_has_a_price_it_is_said_that_nothing_is_known() -> None:
    answer = burn(unheard_of(9), "[budgets.all]\nusd = 50")
    (one,) = answer.budgets
    assert (one.is_unknown, one.unpriced_calls) == (True, 18)
    assert (one.forecast_usd, one.burn_per_day_usd) == (None, None)
    telling = telling_of(answer)
    assert telling.lead == "1 budget, without any price."
    assert telling.sentences == (
        "all (all calls): how much is spent of $50.00 this month is not known: its 18 calls have no price.",
    )
    assert "$0.00" not in telling.sentences[0]
    assert telling.grids[0].rows[0][2:7] == ("no price", one.daily_usd, None, Decimal(50), None)


def test_where_some_calls_have_a_price_what_is_known_is_told_as_the_least() -> None:
    answer = burn([*unheard_of(9), *every_day(9)], "[budgets.all]\nusd = 500")
    (one,) = answer.budgets
    assert not one.is_unknown
    assert one.unpriced_calls == 18
    assert one.spent_usd == 90
    assert "spent at least $90.00 of $500.00" in telling_of(answer).sentences[0]


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ('principal = "role/rag-apy"', "role/rag-api"),
        ('principal = "ROLE/RAG-API"', "role/rag-api"),
        ('principal = "rag"', "role/rag-api"),
        ('model = "nova"', "Nova Pro"),
        ('tag = { team = "Growth" }', "growth"),
        ('model = "gpt"', ""),
        ('tag = { Team = "growth" }', ""),
    ],
)
def test_a_budget_that_no_call_matches_asks_whether_its_name_is_right(text: str, near: str) -> None:
    answer = burn(every_day(9, team="growth"), f"[budgets.some]\nusd = 100\n{text}")
    (one,) = answer.budgets
    assert not one.is_matched
    assert one.near == ((near,) if near else ())
    told = telling_of(answer).sentences[0]
    assert "no call that was read matches it: is the name right?" in told
    assert told.endswith(f"The log has {near}." if near else "is the name right?")


def test_a_budget_that_calls_before_its_period_matched_is_not_asked_about() -> None:
    calls = [spent(date(2026, 10, 20)), *every_day(9, 10, "role/other")]
    one = the_one(calls, 'usd = 100\nprincipal = "role/rag-api"')
    assert one.is_matched
    assert one.spent_usd == 0
    assert not one.near


def test_a_table_without_budgets_is_refused() -> None:
    with pytest.raises(UsageError, match=r"tollbook.toml holds no budgets. Write one there, such as \[budgets.all\]"):
        read("[budgets]")


budget_tables: st.SearchStrategy[Mapping[str, Any]] = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(str.strip),
    st.fixed_dictionaries(
        {"usd": st.integers(1, 500)},
        optional={"per": st.sampled_from(["month", "week", "day"]), "principal": st.sampled_from(["role/*", "x", "*"])},
    ),
    min_size=1,
    max_size=4,
)
days = st.lists(st.tuples(st.integers(0, 50), st.floats(0.01, 90), st.sampled_from(["role/a", "role/b"])), max_size=30)


@settings(max_examples=30, deadline=None)
@given(budget_tables, days, st.randoms())
def test_the_order_of_rows_and_budgets_does_not_matter(
    table: Mapping[str, Any], made: list[tuple[int, float, str]], dice: random.Random
) -> None:
    budgets = list(read_budgets(table, "here"))
    calls = [spent(TODAY - back * DAY, usd, who) for back, usd, who in made] + [Calls(TODAY, usage(1, 9), model=SONNET)]
    first = burn_of(asked(calls, budgets), budgets, NOW)
    by = budgets_by(budgets)
    dice.shuffle(calls)
    dice.shuffle(budgets)
    again = burn_of(report(calls, budgets_window(budgets, NOW, UTC_ZONE), by), budgets, NOW)
    assert as_json(again) == as_json(first)
    for one in first.budgets:
        assert one.forecast_usd is None or one.forecast_usd >= one.spent_usd
        assert (one.state == "over") == (one.spent_usd >= one.limit_usd)
