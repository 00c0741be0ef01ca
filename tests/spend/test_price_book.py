"""Which rate a call gets, and when it gets none."""

from datetime import date
from decimal import Decimal

import pytest

from tollbook.spend.model import model_of
from tollbook.spend.prices import PriceBook, Rate, Rates, Source, UnknownPrice, load
from tollbook.spend.prices.rate import rate_on

DAY = date(2026, 11, 20)


def rate(
    scope: str, dollars: int, region: str | None = None, tier: str = "default", since: date = date(2026, 1, 1)
) -> Rate:
    return Rate("v.m", scope, region, tier, since, Source("test"), Rates(Decimal(dollars)))


def price(book: PriceBook, model_id: str, region: str | None = "us-east-1", tier: str = "", day: date = DAY) -> Decimal:
    return book.quote(model_of(model_id), region, tier, day).rate.rates.input


BOOK = PriceBook(
    [
        rate("in-region", 10),
        rate("in-region", 11, "eu-west-1"),
        rate("us", 12),
        rate("global", 9),
        rate("in-region", 5, tier="flex"),
        rate("in-region", 20, since=date(2026, 12, 1)),
    ]
)


@pytest.mark.parametrize(
    ("model_id", "region", "dollars"),
    [
        ("v.m", "us-east-1", 10),
        ("v.m", "eu-west-1", 11),
        ("us.v.m", "us-east-1", 12),
        ("eu.v.m", "eu-west-1", 11),
        ("eu.v.m", "eu-north-1", 10),
        ("global.v.m", "eu-west-1", 9),
        ("v.m", None, 10),
    ],
)
def test_scope_and_source_region_choose_the_rate(model_id: str, region: str | None, dollars: int) -> None:
    assert price(BOOK, model_id, region) == dollars


def test_a_price_holds_from_its_day_on() -> None:
    assert price(BOOK, "v.m", day=date(2026, 11, 30)) == 10
    assert price(BOOK, "v.m", day=date(2026, 12, 1)) == 20


def test_a_call_before_the_first_known_price_is_refused_not_guessed() -> None:
    with pytest.raises(UnknownPrice, match="before records, which begin on 2026-01-01"):
        price(BOOK, "v.m", day=date(2025, 12, 31))
    with pytest.raises(UnknownPrice, match=r"Records begin on 2026-01-01\."):
        rate_on(date(2025, 12, 31), [rate("us", 1)])


@pytest.mark.parametrize(
    ("model_id", "tier", "why"),
    [
        ("v.other", "", "no source gives a price"),
        ("v.m", "reserved", "reserved capacity is billed by the hour"),
        ("arn:aws:bedrock:us-east-1:1:provisioned-model/x", "", "provisioned throughput is billed by the hour"),
        ("arn:aws:bedrock:us-east-1:1:imported-model/x", "", "imported models are billed by the minute"),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", "", "name it with --names"),
    ],
)
def test_what_has_no_price_says_why(model_id: str, tier: str, why: str) -> None:
    with pytest.raises(UnknownPrice, match=why):
        price(BOOK, model_id, tier=tier)


def test_a_global_profile_has_its_own_rate_or_none() -> None:
    with pytest.raises(UnknownPrice):
        price(PriceBook([rate("in-region", 10), rate("us", 12)]), "global.v.m")


class TestAssumptions:
    def test_a_tier_without_a_rate_is_priced_as_the_standard_one_and_says_so(self) -> None:
        quote = BOOK.quote(model_of("v.m"), "us-east-1", "priority", DAY)
        assert (quote.rate.tier, quote.assumes_tier) == ("default", True)
        quote = BOOK.quote(model_of("v.m"), "us-east-1", "flex", DAY)
        assert (quote.rate.tier, quote.assumes_tier) == ("flex", False)

    @pytest.mark.parametrize(("region", "assumed"), [("us-west-2", False), ("eu-west-1", False), ("ap-south-1", True)])
    def test_a_region_without_a_rate_is_priced_as_the_us_and_says_so(self, region: str, assumed: bool) -> None:
        assert BOOK.quote(model_of("v.m"), region, "", DAY).assumes_region is assumed


class TestLayers:
    def test_the_upper_one_counts_once_it_has_begun(self) -> None:
        book = BOOK.overlaid([rate("us", 3, since=date(2026, 6, 1))])
        assert price(book, "us.v.m") == 3
        assert price(book, "us.v.m", day=date(2026, 5, 31)) == 12
        assert price(book, "v.m") == 10

    def test_a_rate_without_a_region_holds_everywhere_and_is_no_assumption(self) -> None:
        book = BOOK.overlaid([rate("in-region", 3)])
        assert price(book, "v.m", "eu-west-1") == 3
        assert not book.quote(model_of("v.m"), "ap-south-1", "", DAY).assumes_region

    def test_the_rate_of_a_region_holds_for_calls_from_there_through_a_profile(self) -> None:
        """AWS charges what the source region charges; so the rates that `prices refresh` reads reach `us.…` too."""
        book = BOOK.overlaid([rate("in-region", 3, "us-east-1")])
        assert price(book, "us.v.m", "us-east-1") == 3
        assert price(book, "us.v.m", "us-east-2") == 12
        assert price(book, "global.v.m", "us-east-1") == 9

    def test_a_tier_that_only_the_lower_one_has_is_found_there(self) -> None:
        assert price(BOOK.overlaid([rate("in-region", 3)]), "v.m", tier="flex") == 5


class TestThePackagesOwnBook:
    RATES = tuple(load())

    def test_prices_at_least_three_hundred_ids(self) -> None:
        assert len({(rate.model, rate.scope) for rate in self.RATES if rate.region is None}) >= 300

    def test_every_rate_says_who_showed_it_when_and_where(self) -> None:
        for rate in self.RATES:
            assert rate.source.name.startswith(("litellm ", "genai-prices "))
            assert rate.source.url.startswith("https://github.com/")
            assert rate.source.released == rate.since
            assert rate.source.retrieved is not None
            assert rate.source.retrieved >= rate.since

    def test_no_rate_is_zero_but_those_of_cache_writes(self) -> None:
        for rate in self.RATES:
            for rates in (rate.rates, *rate.above.values()):
                assert rates.input > 0
                assert rates.output is None or rates.output > 0
                assert rates.cache_read is None or rates.cache_read > 0

    def test_no_two_rates_of_one_thing_begin_on_one_day(self) -> None:
        keys = [(rate.model, rate.scope, rate.region, rate.tier, rate.since) for rate in self.RATES]
        assert len(set(keys)) == len(keys)

    def test_cached_tokens_are_cheaper_to_read_and_dearer_to_keep_longer(self) -> None:
        for rate in self.RATES:
            rates = rate.rates
            assert rates.cache_read is None or rates.cache_read < rates.input
            if rates.cache_write_5m and rates.cache_write_1h:
                assert rates.cache_write_5m < rates.cache_write_1h

    def test_in_region_calls_of_new_claude_models_cost_what_the_geography_does(self) -> None:
        assert price(load(), "anthropic.claude-sonnet-4-5-20250929-v1:0") == Decimal("3.3")
        assert price(load(), "us.anthropic.claude-sonnet-4-5-20250929-v1:0") == Decimal("3.3")
        assert price(load(), "global.anthropic.claude-sonnet-4-5-20250929-v1:0") == 3
