"""What the same tokens would have cost elsewhere: exact amounts, what is left out, and what is never claimed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.answers.rows import BOOK, HAIKU, NOVA, OPUS, SONNET, Calls, report, usage, window
from tollbook.core.errors import UsageError
from tollbook.spend.answers.what_if import (
    MOST_LINES,
    WHAT_IF_BY,
    Caching,
    Change,
    WhatIf,
    read_caching,
    recached,
    what_if_of,
)
from tollbook.spend.model import model_of
from tollbook.spend.prices import PriceBook, Rate, Rates, Source
from tollbook.spend.render.answers.what_if import telling_of_what_if
from tollbook.spend.usage import Usage

DAY: Final = date(2026, 11, 15)
WEEK: Final = window(DAY, DAY + timedelta(days=6))
IN_REGION: Final = SONNET.removeprefix("us.")


def asked(calls: Sequence[Calls], change: Change, book: PriceBook = BOOK) -> WhatIf:
    return what_if_of(report(calls, WEEK, WHAT_IF_BY, book=book), change, book)


# Another model.


def test_the_same_tokens_at_another_model_cost_what_its_rates_say() -> None:
    found = asked([Calls(DAY, usage(10, 1_000_000, 100_000, 200_000, 40_000))], Change(model="Claude Haiku 4.5"))
    # per million, us: $3.30, $16.50, $0.33 and $4.125; then a third of each
    assert found.current_usd == Decimal("5.181000")
    assert found.hypothetical_usd == Decimal("1.727000")
    assert found.difference_usd == Decimal("-3.454000")
    assert (found.to_model, found.calls, found.left_out) == (model_of(HAIKU).id, 10, ())
    assert telling_of_what_if(found).lead == (
        "The same tokens would have cost $1.73 instead of $5.18 (-$3.45, 66.7% less) for 10 calls."
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (model_of(HAIKU).id, model_of(HAIKU).id),
        (HAIKU.upper(), model_of(HAIKU).id),
        ("claude haiku 4.5", model_of(HAIKU).id),
        ("haiku 4.5", model_of(HAIKU).id),
        ("nova pro", model_of(NOVA).id),  # and no newer Nova with Pro among its words
        ("Sonnet 4", "anthropic.claude-sonnet-4-20250514-v1:0"),
        ("4-5-20250929", model_of(SONNET).id),
        ("Claude 3.5 Sonnet", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
        ("claude opus 4.6", "anthropic.claude-opus-4-6-v1"),
    ],
)
def test_a_model_is_named_by_its_id_its_name_or_a_part_and_of_two_dates_the_newest_is_meant(
    text: str, meant: str
) -> None:
    assert asked([], Change(model=text)).to_model == meant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sonnet", r"'sonnet' may mean Claude 3.5 Sonnet, .*Name one of them in full\."),
        ("claude", r"'claude' may mean .* and \d+ more"),
        ("gpt", r"and \d+ more\. Name one"),
        ("claude haiku 45", r"called 'claude haiku 45'\. Nearest are .*Claude Haiku 4.5"),
        ("zzzz", r"called 'zzzz'\. 'tollbook prices show' lists the models\."),
        (" ", "lists the models"),
        ("bad\x1b[31m", r"'bad<U\+001B>\[31m'"),
    ],
)
def test_a_name_that_means_several_models_or_none_is_refused_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        asked([], Change(model=text))


@pytest.mark.parametrize(
    ("model", "region"), [("apac.amazon.nova-pro-v1:0", "me-central-1"), ("us.amazon.nova-pro-v1:0", "ca-central-1")]
)
def test_where_the_calls_come_from_already_nothing_moves(model: str, region: str) -> None:
    found = asked([Calls(DAY, usage(1, 1_000_000), model=model, region=region)], Change(region=region))
    assert found.hypothetical_usd == found.current_usd


def test_a_prefix_of_the_model_says_the_scope_too() -> None:
    found = asked([Calls(DAY, usage(1, 1_000_000))], Change(model=HAIKU.replace("us.", "global.")))
    assert (found.to_scope, found.hypothetical_usd) == ("global", Decimal("1.000000"))
    with pytest.raises(UsageError, match="Leave one of them out"):
        asked([], Change(model=HAIKU, scope="global"))


def test_a_model_younger_than_the_calls_is_priced_as_it_began_and_that_is_said() -> None:
    young = Rate("acme.new", "us", None, "default", DAY + timedelta(days=3), Source("test"), Rates(Decimal(7)))
    changed = Rate("acme.new", "us", None, "default", DAY + timedelta(days=5), Source("test"), Rates(Decimal(9)))
    book = BOOK.overlaid([young, changed])
    days = [DAY + timedelta(days=number) for number in (0, 4, 6)]
    found = asked([Calls(day, usage(2, 1_000_000)) for day in days], Change(model="acme.new"), book)
    assert found.hypothetical_usd == 7 + 7 + 9
    assert found.assumptions == ("2 calls are older than the first price on record for New, and priced with that.",)


# Another place, tier, size.


@pytest.mark.parametrize(
    ("change", "cost"),
    [
        (Change(scope="global"), "3.000000"),
        (Change(scope="US"), "3.300000"),
        (Change(scope="in-region", region="us-gov-east-1"), "3.600000"),
        (Change(region="us-gov-east-1"), "3.600000"),
    ],
)
def test_another_scope_or_region_is_charged_at_its_own_rate(change: Change, cost: str) -> None:
    calls = Calls(DAY, usage(1, 1_000_000), IN_REGION)
    assert asked([calls], change).hypothetical_usd == Decimal(cost)


def test_a_profile_does_not_leave_its_geography_with_the_region() -> None:
    found = asked([Calls(DAY, usage(4, 1_000_000))], Change(region="eu-west-1"))
    assert found.assumptions == ("4 calls are taken to go through what eu-west-1 calls: eu.",)
    assert found.hypothetical_usd == Decimal("3.300000")


def test_the_geography_as_a_scope_is_that_of_each_calls_region_and_a_profile_of_one_stays() -> None:
    calls = [
        Calls(DAY, usage(2, 1_000_000), IN_REGION, region="eu-west-1"),
        Calls(DAY, usage(1, 1_000_000), SONNET.replace("us.", "global."), region="ap-south-1"),
        Calls(DAY, usage(4, 1_000_000), SONNET.replace("us.", "jp."), region="ap-northeast-1"),
        Calls(DAY, usage(3, 1_000_000), IN_REGION, region="sa-east-1"),
    ]
    found = asked(calls, Change(scope="geo"))
    assert found.to_scope == "geo"
    assert [line.difference_usd for line in found.models] == [Decimal("0.300000")]  # the global profile is a tenth less
    assert found.assumptions == (
        "1 call is priced as in the US regions, since the book has no rate for ap-south-1.",
        "1 call is taken to go through what ap-south-1 calls: apac.",
        "2 calls are taken to go through what eu-west-1 calls: eu.",
    )
    assert [(left.calls, left.why) for left in found.left_out] == [
        (3, "no geographic profile is known for sa-east-1"),
    ]
    assert telling_of_what_if(found).title == "Amazon Bedrock spend: what if in the geography of each call"


def test_another_region_takes_the_geography_along() -> None:
    found = asked([Calls(DAY, usage(1, 1_000_000))], Change(scope="geo", region="eu-west-1"))
    assert found.assumptions == ("1 call is taken to go through what eu-west-1 calls: eu.",)


@pytest.mark.parametrize("word", ["standard", "default", "Standard"])
def test_the_standard_tier_is_named_as_the_log_or_as_aws_names_it_and_told_by_one_word(word: str) -> None:
    found = asked([Calls(DAY, usage(1, 1_000_000), NOVA, tier="priority")], Change(tier=word))
    assert (found.to_tier, found.difference_usd < 0) == ("standard", True)
    assert telling_of_what_if(found).title == "Amazon Bedrock spend: what if at the tier standard"


def test_a_tier_without_a_rate_of_its_own_is_left_out_not_guessed() -> None:
    flex = Rate(model_of(HAIKU).id, "us", None, "flex", DAY, Source("test"), Rates(Decimal("0.5")))
    calls = [Calls(DAY, usage(3, 1_000_000), HAIKU), Calls(DAY, usage(5, 1_000_000), OPUS)]
    found = asked(calls, Change(tier="flex"), BOOK.overlaid([flex]))
    assert (found.calls, found.hypothetical_usd) == (3, Decimal("0.500000"))
    (left,) = found.left_out
    assert (left.model, left.calls, left.current_usd) == (model_of(OPUS).id, 5, Decimal("5.500000"))
    assert left.why == "no source gives a price at the tier flex"
    assert telling_of_what_if(found).sentences == (
        "Left out on both sides: 5 calls of Claude Opus 4.5 that cost $5.50: no source gives a price at the tier flex.",
    )


def test_a_tier_that_calls_bring_along_falls_back_to_the_standard_one_and_says_so() -> None:
    calls = Calls(DAY, usage(3, 1_000_000), NOVA, tier="flex")
    found = asked([calls], Change(model="haiku 4.5"))
    assert found.assumptions == ("3 calls are priced at the standard tier, since the book has no flex rate there.",)


def test_a_region_without_a_rate_of_its_own_is_priced_as_in_the_us_and_says_so() -> None:
    found = asked([Calls(DAY, usage(3, 1_000_000), NOVA)], Change(region="mx-central-1"))
    assert "3 calls are priced as in the US regions, since the book has no rate for mx-central-1." in found.assumptions


def test_long_prompts_keep_their_length() -> None:
    above = {200_000: Rates(Decimal(4))}
    steep = Rate("acme.steep", "us", None, "default", DAY, Source("test"), Rates(Decimal(2)), above)
    calls = [Calls(DAY, usage(1, 1_000_000), context=context) for context in (0, 128_000, 200_000, 272_000)]
    assert asked(calls, Change(model="acme.steep"), BOOK.overlaid([steep])).hypothetical_usd == 2 + 2 + 4 + 4


# Another use of the cache.


def test_without_the_cache_every_prompt_token_is_plain_input() -> None:
    found = asked([Calls(DAY, Usage(1, 0, 100, 50, 700, 200, 100))], Change(caching="none"))
    assert found.hypothetical_usd == Decimal("0.004125")  # 1,000 at $3.30 and 50 at $16.50


@pytest.mark.parametrize(
    ("before", "share", "after"),
    [
        (Usage(1, 0, 1_000), "0.8", Usage(1, 0, 200, 0, 800)),
        (Usage(1, 0, 500, 7, 300, 200), "0.5", Usage(1, 0, 300, 7, 500, 200)),
        (Usage(1, 0, 500, 7, 300, 200, 150), "0.9", Usage(1, 0, 0, 7, 900, 100, 100)),
        (Usage(1, 0, 1_000), "1", Usage(1, 0, 0, 0, 1_000)),
        (Usage(1), "0.5", Usage(1)),
    ],
)
def test_a_share_of_the_prompt_is_read_and_writes_stay_as_far_as_they_go(
    before: Usage, share: str, after: Usage
) -> None:
    assert recached(before, Decimal(share)) == after


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("as_is", "as_is"),
        ("as-is", "as_is"),
        ("NONE", "none"),
        ("0", "none"),
        ("0.8", Decimal("0.8")),
        ("80%", Decimal("0.8")),
    ],
)
def test_the_use_of_the_cache_is_read_from_a_word_or_a_share(text: str, meant: Caching) -> None:
    assert read_caching(text) == meant


@pytest.mark.parametrize("text", ["1.5", "-0.1", "half", "nan", "inf", "800%", "%", "1e400"])
def test_a_share_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Give as_is, none, or the share"):
        read_caching(text)


def test_tokens_that_cannot_be_cached_there_are_left_out_on_both_sides() -> None:
    bare = Rate("acme.bare", "us", None, "default", DAY, Source("test"), Rates(Decimal(2), Decimal(4)))
    calls = [Calls(DAY, usage(2, 1_000, 0, 500)), Calls(DAY, usage(3, 1_000_000), OPUS)]
    found = asked(calls, Change(model="acme.bare"), BOOK.overlaid([bare]))
    assert (found.calls, found.current_usd, found.hypothetical_usd) == (3, Decimal("5.500000"), Decimal(2))
    assert [left.why for left in found.left_out] == ["no source gives a rate there for these kinds of token"]
    assert asked(calls, Change(model="acme.bare", caching="none"), BOOK.overlaid([bare])).left_out == ()


def test_a_model_that_makes_embeddings_is_not_exchanged_for_one_that_makes_text() -> None:
    calls = [Calls(DAY, usage(9, 1_000_000), "amazon.titan-embed-text-v2:0"), Calls(DAY, usage(1, 1_000_000))]
    found = asked(calls, Change(model="haiku 4.5"))
    assert (found.calls, found.current_usd) == (1, Decimal("3.300000"))
    assert [left.why for left in found.left_out] == ["it makes embeddings, and the other model makes text"]
    assert asked(calls, Change(model="Titan Embed Text V2")).left_out == ()


# What has no price, and what is asked wrongly.


def test_calls_without_a_price_now_are_in_no_figure_even_where_they_would_have_one() -> None:
    calls = [
        Calls(DAY, usage(2, 1_000_000)),
        Calls(DAY, usage(7, 5_000), "acme.unknown"),
        Calls(DAY, usage(9), failed=True),
    ]
    found = asked(calls, Change(model="haiku 4.5"))
    assert (found.calls, found.current_usd, found.hypothetical_usd) == (2, Decimal("3.300000"), Decimal("1.100000"))
    assert [(left.model, left.calls, left.tokens) for left in found.left_out] == [("acme.unknown", 7, 5_000)]


def test_calls_that_are_priced_in_part_now_are_in_no_figure() -> None:
    calls = [Calls(DAY, Usage(4, 0, 1_000_000, 10, 5_000, reading=4), "openai.gpt-oss-120b-1:0")]
    found = asked(calls, Change(model="haiku 4.5"))
    assert (found.calls, found.current_usd) == (0, Decimal(0))
    (left,) = found.left_out
    assert (left.calls, left.current_usd > 0) == (4, True)


def test_where_nothing_can_be_repriced_no_amount_is_claimed() -> None:
    telling = telling_of_what_if(asked([Calls(DAY, usage(7, 5_000), "acme.unknown")], Change(model="haiku 4.5")))
    assert telling.lead == "There are no calls that have a price on both sides."
    assert telling.grids == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Change(), r"Name another model, scope, region, tier or use of the cache\.$"),
        (Change(scope="mars"), "Choose from in-region, geo, global, us-gov"),
        (Change(tier="reserved"), "Choose from standard, priority, flex"),
        (Change(region="Paris"), "no AWS region"),
        (Change(caching=Decimal(2)), "share of prompt tokens"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_with_what_can_be_changed(change: Change, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        asked([], change)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (Change(model="haiku 4.5"), "more or fewer tokens"),
        (Change(model="haiku 4.5"), "with enough quota"),
        (Change(model="haiku 4.5"), "would have cached"),
        (Change(region="eu-west-1"), "may be processed"),
        (Change(tier="priority"), "would have waited"),
        (Change(caching=Decimal("0.5")), "filling the cache"),
        (Change(caching="none"), "batch prices"),
    ],
)
def test_what_no_log_tells_is_said(change: Change, told: str) -> None:
    found = asked([Calls(DAY, usage(1, 1_000, 100, 1_000))], change)
    assert any(told in sentence for sentence in found.cannot_know)
    assert any(told in note for note in telling_of_what_if(found).notes)


def test_by_model_and_by_principal_everything_adds_up_and_the_dearest_come_first() -> None:
    people = [f"user/{number:02}" for number in range(MOST_LINES + 3)]
    calls = [
        Calls(DAY, usage(1, 1_000_003 * (place + 1)), (SONNET, OPUS)[place % 2], who)
        for place, who in enumerate(people)
    ]
    found = asked(calls, Change(model="haiku 4.5"))
    costs = [line.current_usd for line in found.principals]
    assert costs == sorted(costs, reverse=True)
    assert len(costs) == MOST_LINES
    assert found.other_principals == 3
    assert found.rest is not None
    for lines in (found.models, (*found.principals, found.rest)):
        assert sum(line.current_usd for line in lines) == found.current_usd
        assert sum(line.hypothetical_usd for line in lines) == found.hypothetical_usd
        assert sum(line.difference_usd for line in lines) == found.difference_usd
        assert sum(line.calls for line in lines) == found.calls
    tables = {grid.title: grid for grid in telling_of_what_if(found).grids}
    assert [row[0] for row in tables["by principal"].rows][-1] == "3 others"
    assert [row[0] for row in tables["by model"].rows] == ["Claude Opus 4.5", "Claude Sonnet 4.5"]


# What always holds.

_counts = st.one_of(st.just(0), st.integers(1, 3_000_000))


def _same(model: str) -> st.SearchStrategy[list[Calls]]:
    """Calls of one model, of every kind."""
    calls = st.builds(
        Calls,
        st.integers(0, 6).map(lambda number: DAY + timedelta(days=number)),
        st.builds(lambda calls, *tokens: Usage(calls, 0, *tokens), st.integers(1, 9), *[_counts] * 4),
        st.sampled_from([model, f"global.{model}", f"us.{model}"]),
        st.sampled_from(["role/rag-api", "user/alice"]),
        region=st.sampled_from(["us-east-1", "eu-west-1", "ap-south-1"]),
        tier=st.sampled_from(["", "flex", "priority"]),
        context=st.sampled_from([0, 200_000]),
        failed=st.booleans(),
    )
    return st.lists(calls, max_size=10)


@given(
    st.sampled_from([model_of(each).id for each in (SONNET, NOVA)]).flatmap(lambda m: st.tuples(st.just(m), _same(m)))
)
@settings(max_examples=60, deadline=None)
def test_the_same_model_costs_the_same(drawn: tuple[str, list[Calls]]) -> None:
    model, calls = drawn
    found = asked(calls, Change(model=model))
    assert found.difference_usd == 0
    assert all(line.difference_usd == 0 for line in (*found.models, *found.principals))
    assert found.assumptions == ()
    left = sum((each.current_usd for each in found.left_out), Decimal(0))
    whole = report(calls, WEEK, WHAT_IF_BY).total.usd or Decimal(0)
    assert abs(found.current_usd + left - whole) <= Decimal("0.000005")


@given(_same(IN_REGION), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_rows_does_not_matter(calls: list[Calls], chance: Random) -> None:
    shuffled = [replace(each) for each in calls]
    chance.shuffle(shuffled)
    assert asked(shuffled, Change(model="haiku 4.5")) == asked(calls, Change(model="haiku 4.5"))


@given(_same(IN_REGION), st.one_of(st.just("none"), st.decimals("0.01", "1", places=2)))
@settings(max_examples=40, deadline=None)
def test_another_use_of_the_cache_neither_adds_nor_loses_prompt_tokens(calls: list[Calls], caching: Caching) -> None:
    for each in calls:
        changed = recached(each.usage, caching)
        assert changed.tokens == each.usage.tokens
        assert changed.output == each.usage.output
        assert min(changed.input, changed.cache_read, changed.cache_write, changed.cache_write_1h) >= 0
