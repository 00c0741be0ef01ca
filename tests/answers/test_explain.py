"""Why the cost changed: parts that add up, each effect alone, and windows that should not be compared."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.answers.rows import BOOK, HAIKU, OPUS, SONNET, Calls, report, usage, window
from tollbook.core.errors import UsageError
from tollbook.spend.answers.explain import (
    MOST_MOVERS,
    Explanation,
    Mover,
    Others,
    explanation_of,
    hull,
    last_whole_days,
    preceding,
)
from tollbook.spend.model import model_of
from tollbook.spend.prices import PriceBook, Rate, Rates, Source
from tollbook.spend.render.answers.explain import telling_of_explain
from tollbook.spend.usage import Usage
from tollbook.spend.window import Window

FIRST: Final = date(2026, 11, 8)
BEFORE: Final = window(FIRST, date(2026, 11, 14))
AFTER: Final = window(date(2026, 11, 15), date(2026, 11, 21))
THEN, NOW = FIRST, date(2026, 11, 15)
ALICE, BOB = "user/alice", "user/bob"


def explained(calls: Sequence[Calls], book: PriceBook = BOOK) -> Explanation:
    return explanation_of(report(calls, hull(BEFORE, AFTER), book=book), BEFORE, AFTER)


def parts_of(found: Explanation | Mover | Others) -> dict[str, Decimal]:
    """The parts that are not zero."""
    return {name.removesuffix("_usd"): amount for name, amount in asdict(found.parts).items() if amount}


def causes_of(found: Explanation) -> dict[str, Decimal]:
    return {name.removesuffix("_usd"): amount for name, amount in asdict(found.price_causes).items() if amount}


# Each effect alone.


def test_twice_as_many_calls_are_volume_and_nothing_else() -> None:
    found = explained(
        [
            Calls(THEN, usage(10, 1_000, 200, 300, 40)),
            Calls(THEN, usage(5, 700, 90), HAIKU, ALICE),
            Calls(NOW, usage(20, 2_000, 400, 600, 80)),
            Calls(NOW, usage(10, 1_400, 180), HAIKU, ALICE),
        ]
    )
    assert parts_of(found) == {"volume": found.change_usd}
    assert found.change_usd == found.before.cost_usd > 0


def test_calls_that_move_to_a_dearer_model_are_mix_and_nothing_else() -> None:
    found = explained(
        [
            Calls(THEN, usage(10, 100_000), SONNET),
            Calls(THEN, usage(30, 300_000), HAIKU),
            Calls(NOW, usage(30, 300_000), SONNET),
            Calls(NOW, usage(10, 100_000), HAIKU),
        ]
    )
    # 20 calls of 10,000 tokens at $3.30 rather than $1.10 a million
    assert parts_of(found) == {"mix": Decimal("0.440000")}


def test_a_model_that_is_new_to_a_principal_is_mix_at_what_others_paid_for_it() -> None:
    found = explained(
        [
            Calls(THEN, usage(10, 100_000), SONNET, BOB),
            Calls(THEN, usage(10, 100_000), HAIKU, ALICE),
            Calls(NOW, usage(10, 100_000), SONNET, BOB),
            Calls(NOW, usage(10, 100_000), SONNET, ALICE),
            Calls(NOW, usage(1, 10_000), HAIKU, BOB),
            Calls(NOW, usage(1, 20_000), SONNET, ALICE),
        ]
    )
    # 22 calls rather than 20; ten go from Haiku to Sonnet, one of the further two has twice the tokens
    assert parts_of(found) == {
        "volume": Decimal("0.044000"),
        "mix": Decimal("0.220000"),
        "tokens": Decimal("0.033000"),
    }


def test_a_model_that_is_new_to_a_principal_is_not_held_against_how_others_use_it() -> None:
    found = explained(
        [
            *(Calls(day, usage(10, 5_000, 100, 95_000), SONNET, BOB) for day in (THEN, NOW)),
            *(Calls(day, usage(1, 10_000), HAIKU, BOB) for day in (THEN, NOW)),
            Calls(THEN, usage(10, 100_000, 5_000), HAIKU, ALICE),
            Calls(NOW, usage(10, 100_000, 5_000), SONNET, ALICE),
        ]
    )
    # ten calls of 10,000 and 500 tokens at thrice the rates; Bob's cached prompts have nothing to do with it
    assert parts_of(found) == {"mix": Decimal("0.275000")}
    assert {mover.name: mover.cause for mover in found.principals} == {ALICE: "mix", BOB: "none"}


def test_longer_prompts_and_answers_are_tokens_and_nothing_else() -> None:
    found = explained([Calls(THEN, usage(10, 1_000, 500, 4_000)), Calls(NOW, usage(10, 2_000, 600, 8_000))])
    assert parts_of(found) == {"tokens": found.change_usd}


def test_beginning_to_read_from_the_cache_is_cache_at_the_rate_that_was_offered() -> None:
    found = explained([Calls(THEN, usage(10, 100_000, 500)), Calls(NOW, usage(10, 20_000, 500, 70_000, 10_000))])
    # per million: 70,000 at $0.33 and 10,000 at $4.125 rather than $3.30
    assert parts_of(found) == {"cache": Decimal("-0.199650")}


def test_what_the_cache_gains_is_told_at_the_old_rates_and_what_those_became_is_price() -> None:
    book = BOOK.overlaid([_rate("3", FIRST), _rate("6", NOW, read="1.5")])
    found = explained([Calls(THEN, usage(10, 100_000)), Calls(NOW, usage(10, 0, 0, 100_000))], book)
    assert parts_of(found) == {"cache": Decimal("-0.270000"), "price": Decimal("0.120000")}


def test_writes_for_an_hour_are_told_from_those_for_minutes() -> None:
    found = explained(
        [
            Calls(THEN, Usage(10, cache_write=100_000)),
            Calls(NOW, Usage(10, cache_write=100_000, cache_write_1h=100_000)),
        ]
    )
    assert parts_of(found) == {"cache": Decimal("0.247500")}


def test_a_new_list_price_is_price_and_the_list_is_named() -> None:
    book = BOOK.overlaid([_rate("3.96", NOW)])
    found = explained([Calls(THEN, usage(10, 100_000)), Calls(NOW, usage(10, 100_000))], book)
    assert parts_of(found) == {"price": Decimal("0.066000")}
    assert causes_of(found) == {"list_price": Decimal("0.066000")}


@pytest.mark.parametrize(
    ("cause", "changed"),
    [
        ("scope", {"model": SONNET.replace("us.", "global.")}),
        ("region", {"region": "us-gov-east-1"}),
        ("tier", {"tier": "priority"}),
        ("long_prompts", {"context": 200_000}),
    ],
)
def test_other_rates_of_the_same_list_are_price_and_say_why(cause: str, changed: dict[str, Any]) -> None:
    model = "in-region" if cause in ("region", "tier") else "us"
    calls = Calls(THEN, usage(10, 100_000, 5_000), SONNET if model == "us" else SONNET.removeprefix("us."))
    book = BOOK.overlaid([_rate("5", FIRST, scope="in-region", tier="priority")])
    found = explained([calls, replace(calls, day=NOW, **changed)], book)
    assert parts_of(found) == {"price": found.change_usd}
    assert causes_of(found) == {cause: found.change_usd}
    assert found.change_usd


def test_who_is_new_or_gone_is_told_apart_from_what_they_did() -> None:
    found = explained(
        [
            Calls(THEN, usage(10, 100_000), SONNET, ALICE),
            Calls(NOW, usage(10, 100_000), HAIKU, BOB),
            *(Calls(day, usage(1, 10_000)) for day in (THEN, NOW)),
        ]
    )
    assert parts_of(found) == {"gone_principals": Decimal("-0.330000"), "new_principals": Decimal("0.110000")}
    assert {mover.name: mover.cause for mover in found.principals} == {
        ALICE: "gone",
        BOB: "new",
        "role/rag-api": "none",
    }


def test_models_are_new_or_gone_among_the_principals_of_both_windows() -> None:
    found = explained(
        [
            Calls(THEN, usage(10, 100_000), SONNET),
            Calls(THEN, usage(10, 100_000), HAIKU, ALICE),
            Calls(NOW, usage(20, 200_000), HAIKU),
            Calls(NOW, usage(10, 100_000), OPUS, BOB),
        ]
    )
    assert parts_of(found) == {
        "gone_models": Decimal("-0.330000"),
        "new_models": Decimal("0.220000"),
        "gone_principals": Decimal("-0.110000"),
        "new_principals": Decimal("0.550000"),
    }


def test_a_rate_that_becomes_known_is_price() -> None:
    model = model_of(SONNET)
    none = Rate(model.id, "us", None, "default", FIRST, Source("test"), Rates(Decimal(3)))
    later = Rate(model.id, "us", None, "default", NOW, Source("test"), Rates(Decimal(3), Decimal(15)))
    calls = Calls(THEN, usage(10, 100_000, 10_000))
    found = explained([calls, replace(calls, day=NOW)], PriceBook([none, later]))
    assert parts_of(found) == {"price": Decimal("0.150000")}
    assert (found.unpriced_calls_before, found.unpriced_calls_after) == (10, 0)


# Nothing to compare.


@pytest.mark.parametrize("calls", [[], [Calls(THEN, Usage(), failed=True), Calls(NOW, usage(3, 100), "acme.unknown")]])
def test_without_priced_calls_nothing_changed(calls: list[Calls]) -> None:
    found = explained(calls)
    assert found.change_usd == 0
    assert not parts_of(found)
    assert telling_of_explain(found).lead == "Neither window has priced calls."


def test_failed_and_unpriced_calls_are_in_no_part() -> None:
    calls = [Calls(THEN, usage(10, 100_000)), Calls(NOW, usage(10, 100_000))]
    rest = [Calls(NOW, usage(9), failed=True), Calls(NOW, usage(7, 5_000), "acme.unknown")]
    found = explained(calls + rest)
    assert (found.change_usd, found.after.calls) == (Decimal(0), 10)
    assert not parts_of(found)
    assert found.unpriced_calls_after == 7
    assert any("0 of them before, 7 after" in sentence for sentence in found.cautions)


@pytest.mark.parametrize(("day", "part", "sign"), [(THEN, "gone_principals", -1), (NOW, "new_principals", 1)])
def test_where_one_window_is_empty_all_of_the_other_is_new_or_gone(day: date, part: str, sign: int) -> None:
    found = explained([Calls(day, usage(10, 100_000))])
    assert parts_of(found) == {part: sign * Decimal("0.330000")}


def test_calls_that_cost_nothing_are_no_fault() -> None:
    found = explained([Calls(THEN, usage(3)), Calls(NOW, usage(3, 1_000, 100))])
    assert parts_of(found) == {"tokens": found.change_usd}


# Who and what moved.


def test_those_who_moved_most_come_first_and_the_rest_is_added_up() -> None:
    people = [f"user/{number:02}" for number in range(MOST_MOVERS + 3)]
    calls = [Calls(NOW, usage(1, 1_000_003 * (place + 1)), SONNET, who) for place, who in enumerate(people)]
    found = explained([*calls, *(Calls(THEN, usage(1, 999), SONNET, who) for who in people)])
    assert [mover.name for mover in found.principals] == people[:2:-1]
    assert found.other_principals.count == 3
    assert found.other_principals.change_usd > 0
    _adds_up(found)


@pytest.mark.parametrize(
    ("cause", "now", "sentence"),
    [
        ("calls", usage(30, 300_000, 3_000, 30_000), "3.0 times as many calls"),
        ("calls", usage(5, 50_000, 500, 5_000), "50.0% fewer calls"),
        ("tokens", usage(10, 200_000, 2_000, 20_000), "22,200 tokens a call, after 11,100"),
        ("cache", usage(10, 110_000, 1_000), "0.0% of the prompt tokens read from the cache, after 9.1%"),
    ],
)
def test_a_sentence_says_what_the_figures_show_of_the_cause(cause: str, now: Usage, sentence: str) -> None:
    found = explained([Calls(THEN, usage(10, 100_000, 1_000, 10_000)), Calls(NOW, now)])
    assert found.principals[0].cause == cause
    assert found.principals[0].mostly == model_of(SONNET).id
    told = next(each for each in telling_of_explain(found).sentences if each.startswith("role/rag-api"))
    assert told.endswith(f"mostly Claude Sonnet 4.5: {sentence}.")


def test_a_telling_names_the_largest_part_then_those_who_moved_with_their_share() -> None:
    found = explained(
        [
            Calls(THEN, usage(100, 1_000_000, 20_000)),
            Calls(THEN, usage(50, 500_000, 10_000), HAIKU, ALICE),
            Calls(NOW, usage(320, 3_200_000, 64_000)),
            Calls(NOW, usage(50, 500_000, 40_000), HAIKU, ALICE),
        ]
    )
    telling = telling_of_explain(found)
    assert telling.asked == "Nov 15 – Nov 21 against Nov 8 – Nov 14, 2026 UTC"
    assert telling.lead == (
        "The cost rose by $8.15 (192.5%), from $4.24 to $12.39; the largest part: more calls (+$6.21)."
    )
    assert telling.sentences == (
        "More calls: +$6.21 (76.2% of the rise).",
        "A larger share of dearer calls: +$1.77 (21.8% of the rise).",
        "role/rag-api: +$7.99 (98.0% of the rise), mostly Claude Sonnet 4.5: 3.2 times as many calls.",
        "Claude Sonnet 4.5: +$7.99 (98.0% of the rise), mostly role/rag-api: 3.2 times as many calls.",
    )


def test_a_change_of_nearly_nothing_is_said_plainly_and_what_cancels_out_is_not_hidden() -> None:
    still = explained([Calls(THEN, usage(10, 1_000_000)), Calls(NOW, usage(10, 1_000_100))])
    assert telling_of_explain(still).lead == ("Nearly nothing changed: $3.30 in either window.")
    slight = explained([Calls(THEN, usage(10, 1_000_000)), Calls(NOW, usage(10, 1_004_000))])
    assert telling_of_explain(slight).lead == (
        "Nearly nothing changed: the cost rose by $0.01 (0.4%), from $3.30 to $3.31."
    )
    assert telling_of_explain(still).sentences == ()
    opposed = explained(
        [
            Calls(THEN, usage(10, 1_000_000), SONNET, ALICE),
            Calls(NOW, usage(10, 1_000_000), SONNET, BOB),
        ]
    )
    assert telling_of_explain(opposed).lead == (
        "Nothing changed: $3.30 in either window. Yet parts of +$3.30 and -$3.30 nearly cancel out."
    )


def test_rates_that_changed_are_told_with_their_reason() -> None:
    book = BOOK.overlaid([_rate("3.96", NOW)])
    calls = Calls(THEN, usage(10, 100_000))
    told = telling_of_explain(explained([calls, replace(calls, day=NOW)], book)).sentences
    assert told[0] == "Higher rates: +$0.0660 (100.0% of the rise): list price +$0.0660."


def test_the_reasons_of_a_rate_are_rounded_so_that_they_add_up_to_what_is_told_of_it() -> None:
    long, wide = Calls(THEN, usage(10, 1_005_000)), Calls(THEN, usage(10, 1_045_000), HAIKU)
    then = [replace(long, day=NOW, context=200_000), replace(wide, day=NOW, model=HAIKU.replace("us.", "global."))]
    found = explained([long, wide, *then])
    assert causes_of(found) == {"scope": Decimal("-0.104500"), "long_prompts": Decimal("3.316500")}
    # From $4.47 to $7.68.
    assert telling_of_explain(found).sentences[0] == (
        "Higher rates: +$3.21 (100.0% of the rise): long prompts +$3.32, in-region, geographic or global -$0.11."
    )


def test_who_moved_by_less_than_is_shown_is_not_told_of() -> None:
    bob = [Calls(day, usage(1, 242_909), SONNET, BOB) for day in (THEN, NOW)]
    alice = [Calls(THEN, usage(1, 61_970), SONNET, ALICE), Calls(NOW, usage(1, 63_637), SONNET, ALICE)]
    telling = telling_of_explain(explained([*bob, *alice]))
    # $0.2045 is shown as $0.21, so that it and Bob's $0.8016 are $1.01 together; and $0.2100 is too.
    assert telling.grids[1].rows[0][:4] == (ALICE, Decimal("0.21"), Decimal("0.21"), Decimal("0.00"))
    assert telling.sentences == ()


def test_names_from_logs_cannot_deceive_a_screen() -> None:
    found = explained([Calls(NOW, usage(10, 100_000), SONNET, "user/\u202eecila")])
    telling = telling_of_explain(found)
    assert any(sentence.startswith("user/<U+202E>ecila: +$0.33") for sentence in telling.sentences)
    assert telling.grids[1].rows[0][0] == "user/<U+202E>ecila"
    assert found.principals[0].name == "user/\u202eecila"


# Windows.


def test_a_week_is_compared_with_the_week_before_it_and_today_with_nothing() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before, after = last_whole_days(7, datetime(2026, 11, 1, 23, 30, tzinfo=UTC), berlin)
    # in Berlin it is Nov 2, and the clocks went back on Oct 25
    assert (before.since, before.until) == (
        datetime(2026, 10, 18, 22, tzinfo=UTC),
        datetime(2026, 10, 25, 23, tzinfo=UTC),
    )
    assert (after.since, after.until) == (before.until, datetime(2026, 11, 1, 23, tzinfo=UTC))
    assert preceding(after) == before
    assert hull(after, before) == hull(before, after) == Window(before.since, after.until, berlin)


@pytest.mark.parametrize("days", [0, -1, 10_000])
def test_a_window_without_days_is_refused(days: int) -> None:
    with pytest.raises(UsageError, match=f"from 1 to 3660, not {days}. 1 is yesterday against the day before it"):
        last_whole_days(days, datetime(2026, 11, 22, tzinfo=UTC), ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (Window(None, AFTER.until, AFTER.zone), "open at an end"),
        (Window(AFTER.since, AFTER.until and AFTER.until - timedelta(hours=1), AFTER.zone), "Whole days"),
        (Window(AFTER.since and AFTER.since + timedelta(hours=1), AFTER.until, AFTER.zone), "Whole days"),
    ],
)
def test_parts_of_days_and_open_windows_are_refused(refused: Window, message: str) -> None:
    found = report([], hull(BEFORE, AFTER))
    for ask in (
        lambda: preceding(refused),
        lambda: explanation_of(found, BEFORE, refused),
        lambda: explanation_of(found, refused, AFTER),
    ):
        with pytest.raises(UsageError, match=message):
            ask()


def test_records_that_begin_after_the_window_make_the_comparison_unfair() -> None:
    days = [date(2026, 11, day) for day in range(12, 22)]
    assert explained([Calls(day, usage(1, 1_000)) for day in days]).cautions == (
        "Only 3 of the 7 days from 2026-11-08 to 2026-11-14 have records, so the windows are not alike.",
    )
    assert explained([Calls(day, usage(1, 1_000)) for day in days if day >= NOW]).cautions == (
        "None of the 7 days from 2026-11-08 to 2026-11-14 has records, so the windows are not alike.",
    )


def test_weekends_without_calls_in_both_windows_are_no_reason_for_doubt() -> None:
    days = [FIRST + timedelta(days=number) for number in range(14)]
    working = [Calls(day, usage(1, 1_000)) for day in days if day.weekday() < 5]
    assert explained(working).cautions == ()


def test_windows_that_overlap_are_warned_of() -> None:
    days = [date(2026, 11, day) for day in range(15, 22)]
    before, after = window(days[0], days[5]), window(days[1], days[6])
    found = report([Calls(day, usage(1, 1_000)) for day in days], hull(before, after))
    assert explanation_of(found, before, after).cautions == ("The windows overlap: 5 days are in both.",)
    short = window(days[0], days[0])
    assert explanation_of(found, short, short).cautions == ("The windows overlap: 1 day is in both.",)


def test_a_single_day_without_records_is_named() -> None:
    found = report([Calls(NOW, usage(1, 1_000))], hull(BEFORE, AFTER))
    then, now = (window(day, day) for day in (date(2026, 11, 14), NOW))
    assert explanation_of(found, then, now).cautions == ("2026-11-14 has no records, so the windows are not alike.",)


def test_windows_of_unequal_length_and_a_day_that_is_not_over_are_warned_of() -> None:
    days = [FIRST + timedelta(days=number) for number in range(14)]
    found = report([Calls(day, usage(1, 1_000)) for day in days], hull(BEFORE, AFTER))
    short = window(date(2026, 11, 20), date(2026, 11, 21))
    told = explanation_of(found, BEFORE, short, datetime(2026, 11, 21, 9, tzinfo=UTC)).cautions
    assert told == ("The windows are not equally long: 7 days, then 2.", "2026-11-21 is not over yet.")


# What always holds.

_counts = st.one_of(st.just(0), st.integers(1, 3_000_000))
_usages = st.builds(
    lambda calls, input_, output, read, write, hour: Usage(calls, 0, input_, output, read, write + hour, hour),
    st.integers(1, 50),
    *[_counts] * 5,
)
_RATED: Final = (SONNET, SONNET.replace("us.", "global."), HAIKU, OPUS)
_IN_PART: Final = "openai.gpt-oss-120b-1:0"  # its cached tokens have no rate


def _calls_of(*models: str) -> st.SearchStrategy[list[Calls]]:
    calls = st.builds(
        Calls,
        st.integers(0, 13).map(lambda number: FIRST + timedelta(days=number)),
        _usages,
        st.sampled_from(models),
        st.sampled_from(["role/rag-api", ALICE, BOB]),
        region=st.sampled_from(["us-east-1", "eu-west-1"]),
        tier=st.sampled_from(["", "flex"]),
        context=st.sampled_from([0, 200_000]),
        failed=st.sampled_from([False, False, False, True]),
    )
    return st.lists(calls, max_size=12)


_many = _calls_of(*_RATED, _IN_PART, "acme.unknown")


def _adds_up(found: Explanation) -> None:
    assert found.change_usd == found.after.cost_usd - found.before.cost_usd == sum(asdict(found.parts).values())
    assert found.parts.price_usd == sum(asdict(found.price_causes).values())
    _table_adds_up(found, found.principals, found.other_principals)
    _table_adds_up(found, found.models, found.other_models)


def _table_adds_up(found: Explanation, movers: Sequence[Mover], others: Others) -> None:
    each: list[Mover | Others] = [*movers, others]
    for line in each:
        assert line.change_usd == sum(asdict(line.parts).values())
    assert sum(line.change_usd for line in each) == found.change_usd
    for name, amount in asdict(found.parts).items():
        assert sum(getattr(line.parts, name) for line in each) == amount


@given(_many)
@settings(max_examples=80, deadline=None)
def test_the_parts_add_up_to_the_change_by_principal_and_by_model(calls: list[Calls]) -> None:
    found = explained(calls)
    whole = report(calls, hull(BEFORE, AFTER))
    _adds_up(found)
    sides = found.before.cost_usd + found.after.cost_usd
    assert abs(sides - (whole.total.usd or 0)) <= Decimal("0.000001")
    telling_of_explain(found)


@given(_many)
@settings(max_examples=40, deadline=None)
def test_exchanging_the_windows_turns_the_change_round(calls: list[Calls]) -> None:
    whole = report(calls, hull(BEFORE, AFTER))
    one, other = explanation_of(whole, BEFORE, AFTER), explanation_of(whole, AFTER, BEFORE)
    assert one.change_usd == -other.change_usd
    millionths = Decimal("0.000003")  # what rounding leaves over goes to the largest part
    assert abs(one.parts.new_principals_usd + other.parts.gone_principals_usd) <= millionths
    assert abs(one.parts.new_models_usd + other.parts.gone_models_usd) <= millionths
    assert (one.before, one.after) == (other.after, other.before)


@given(_calls_of(*_RATED, "acme.unknown"), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_neither_the_order_of_rows_nor_how_they_are_cut_matters(calls: list[Calls], chance: Random) -> None:
    pieces: list[Calls] = []
    for each in calls:
        first = Usage(
            *(
                chance.randint(0, count)
                for count in (each.usage.calls, 0, each.usage.input, each.usage.output, each.usage.cache_read)
            )
        )
        rest = Usage(*(getattr(each.usage, name) - getattr(first, name) for name in Usage.__struct_fields__))
        pieces += (
            [each]
            if each.failed or not first.calls or not rest.calls
            else [
                replace(each, usage=first),
                replace(each, usage=rest),
            ]
        )
    chance.shuffle(pieces)
    assert explained(pieces) == explained(calls)


@given(_many)
@settings(max_examples=30, deadline=None)
def test_a_window_against_itself_has_not_changed(calls: list[Calls]) -> None:
    found = explanation_of(report(calls, hull(BEFORE, AFTER)), AFTER, AFTER)
    assert found.change_usd == 0
    assert not parts_of(found)
    assert not causes_of(found)
    assert all(mover.cause == "none" and not parts_of(mover) for mover in found.principals)
    assert [caution for caution in found.cautions if "overlap" not in caution] == []


def _rate(input_: str, since: date, scope: str = "us", tier: str = "default", read: str = "0.3") -> Rate:
    rates = Rates(Decimal(input_), Decimal(15), Decimal(read), Decimal("3.75"), Decimal(6))
    return Rate(model_of(SONNET).id, scope, None, tier, since, Source("test"), rates)
