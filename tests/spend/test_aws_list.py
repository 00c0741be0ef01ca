"""AWS's price list, as far as its form is known from public copies.

The two files in `tests/data` are small and written for these tests: each row that is easily misread has one like it.
"""

import json
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tollbook.core.errors import PriceFileError
from tollbook.spend import prices
from tollbook.spend.prices import PriceBook, Rate, Rates, Source
from tollbook.spend.prices.aws_list import OfferReading, read_offer
from tollbook.spend.prices.aws_usage import Charged, Skip, charged_by
from tollbook.spend.prices.file import read_prices, written
from tollbook.spend.prices.refreshed import Left, continued

DATA = Path(__file__).parent.parent / "data"
READ_ON = date(2026, 11, 22)
SONNET, OPUS = "anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-opus-5"
NOVA_PRO, NOVA_2 = "amazon.nova-pro-v1:0", "amazon.nova-2-lite-v1:0"
LLAMA = "meta.llama3-3-70b-instruct-v1:0"


def reading(name: str, on: date = READ_ON) -> OfferReading:
    return read_offer((DATA / f"aws_offer_{name}.json").read_bytes(), name, on)


BEDROCK, MARKETPLACE = reading("bedrock"), reading("foundation_models")


def rate(
    offer: OfferReading, model: str, scope: str = "in-region", tier: str = "default", region: str = "us-east-1"
) -> Rate:
    (found,) = (
        one for one in offer.rates if (one.model, one.scope, one.tier, one.region) == (model, scope, tier, region)
    )
    return found


def usd(*amounts: str | None) -> Rates:
    return Rates(*(None if amount is None else Decimal(amount) for amount in amounts))  # type: ignore[arg-type]


# --- what is read


def test_prices_by_the_thousand_tokens_become_prices_by_the_million() -> None:
    assert rate(BEDROCK, "amazon.nova-lite-v1:0").rates == usd("0.06", "0.24")


def test_prices_by_the_million_tokens_stay_as_they_are() -> None:
    assert rate(BEDROCK, NOVA_2, "global").rates == usd("0.3", "2.5")
    assert rate(MARKETPLACE, OPUS).rates == usd("5.5", "27.5", "0.55", "6.875", "11")


def test_marketplace_units_are_a_million_tokens_where_the_description_says_so() -> None:
    # The row of cache reads does not say it.
    assert rate(MARKETPLACE, "anthropic.claude-3-haiku-20240307-v1:0").rates == usd("0.25", "1.25")
    assert MARKETPLACE.skipped["unknown unit"] == 1


def test_a_cache_write_at_zero_is_free_and_not_missing() -> None:
    assert rate(BEDROCK, NOVA_PRO).rates == usd("0.8", "3.2", "0.2", "0")


def test_any_other_token_at_zero_has_no_price() -> None:
    assert BEDROCK.skipped["price of zero"] == 1


def test_cache_writes_for_five_minutes_and_for_an_hour_are_told_apart_in_both_spellings() -> None:
    for model in (SONNET, OPUS):
        rates = rate(MARKETPLACE, model).rates
        assert rates.cache_write_5m == rates.input * Decimal("1.25")
        assert rates.cache_write_1h == rates.input * 2


def test_each_region_has_its_own_rate() -> None:
    assert rate(BEDROCK, NOVA_PRO, region="eu-west-1").rates == usd("0.92", "3.68")


def test_global_rows_are_the_global_profile_and_the_others_the_region() -> None:
    assert rate(MARKETPLACE, OPUS, "global").rates == usd("5", "25", None, None, "10")
    assert {one.scope for one in (*BEDROCK.rates, *MARKETPLACE.rates)} == {"in-region", "global"}


def test_the_order_of_tier_and_scope_in_a_usage_type_does_not_matter() -> None:
    assert rate(BEDROCK, NOVA_2, "global", "priority").rates == usd("0.525", "4.375")


def test_tiers_have_rates_of_their_own() -> None:
    assert rate(BEDROCK, NOVA_PRO, tier="flex").rates == usd("0.4", "1.6")
    assert rate(BEDROCK, "openai.gpt-oss-120b-1:0", tier="priority").rates == usd("0.2625", "1.05")


def test_long_prompts_have_their_own_rates_above_the_known_size() -> None:
    assert rate(MARKETPLACE, SONNET).above == {200_000: usd("6.6", "24.75", "0.66")}
    assert rate(MARKETPLACE, SONNET, "global").above == {200_000: usd("6", "22.5")}


def test_long_prompts_that_cost_the_same_are_nothing_to_tell() -> None:
    assert rate(MARKETPLACE, OPUS).above == {}
    # The size from which the list calls the prompts of this one long is known.
    text = (DATA / "aws_offer_foundation_models.json").read_text(encoding="utf-8")
    sonnet = read_offer(text.replace("Claude Opus 5", "Claude Sonnet 4.6").encode(), "sonnet", READ_ON)
    assert rate(sonnet, "anthropic.claude-sonnet-4-6").above == {}


def test_a_model_whose_long_prompts_cost_more_from_an_unknown_size_is_left_out() -> None:
    assert "anthropic.claude-opus-4-8" not in {one.model for one in MARKETPLACE.rates}
    assert MARKETPLACE.skipped["long prompts of unknown length"] == 4


def test_titan_is_named_by_an_attribute_of_its_own() -> None:
    assert rate(BEDROCK, "amazon.titan-text-lite-v1").rates == usd("0.15", "0.2")


# --- what is left out, and counted


@pytest.mark.parametrize(
    ("offer", "reason", "rows"),
    [
        (BEDROCK, "batch", 3),  # told by the usage type, by the feature alone, by the inference type alone
        (MARKETPLACE, "batch", 4),
        (BEDROCK, "custom models", 1),
        (BEDROCK, "bedrock-mantle", 2),
        (BEDROCK, "latency-optimized", 1),
        (MARKETPLACE, "latency-optimized", 1),
        (BEDROCK, "reserved or provisioned", 1),
        (MARKETPLACE, "reserved or provisioned", 1),
        (BEDROCK, "not by the token", 1),
        (BEDROCK, "unknown usage type", 3),  # an unknown suffix, a geographic one, images
        (MARKETPLACE, "unknown usage type", 1),  # a cache kept for 30 minutes
        (BEDROCK, "attributes contradict the usage type", 1),
        (BEDROCK, "unknown unit", 1),
        (BEDROCK, "not in US dollars", 1),
        (BEDROCK, "price in steps", 1),
        (BEDROCK, "implausible price", 1),
        (MARKETPLACE, "implausible price", 3),  # a cache read dearer than input spoils all of the model's rows
        (BEDROCK, "no region", 1),
        (BEDROCK, "two prices for one thing", 3),
        (BEDROCK, "input or output without the other", 3),
    ],
)
def test_rows_that_are_not_read_are_counted_by_reason(offer: OfferReading, reason: str, rows: int) -> None:
    assert offer.skipped[reason] == rows


@pytest.mark.parametrize("name", ["bedrock", "foundation_models"])
def test_every_row_is_read_or_counted(name: str) -> None:
    document = json.loads((DATA / f"aws_offer_{name}.json").read_bytes())
    rows = sum(map(len, document["terms"]["OnDemand"].values()))
    offer = reading(name)
    kinds = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
    told = sum(
        getattr(r, kind) is not None for one in offer.rates for r in (one.rates, *one.above.values()) for kind in kinds
    )
    same_when_long = 2 if name == "foundation_models" else 0
    assert rows == told + same_when_long + sum(offer.skipped.values())


def test_names_of_unknown_models_are_listed_and_never_guessed() -> None:
    assert MARKETPLACE.unknown == {"Claude Quatrain 9": 2, "Claude": 1}
    assert BEDROCK.unknown == {"NovaSecret": 1}


def test_a_model_with_input_prices_only_is_left_out() -> None:
    assert "anthropic.claude-3-haiku-20240307-v1:0" not in {one.model for one in BEDROCK.rates}


SEEN_IN_THE_SERVICE_OFFER = [
    ({"inferenceType": "Input tokens"}, "input-tokens-cross-region-global", Charged("input", "default", True, False)),
    (
        {"inferenceType": "Output tokens long context"},
        "output-tokens-long-context-cross-region-global",
        Charged("output", "default", True, True),
    ),
    (
        {"featuretype": "Prompt cache read"},
        "cache-read-input-token-count-cross-region-global",
        Charged("cache_read", "default", True, False),
    ),
    (
        {"featuretype": "Prompt cache write", "inferenceType": "Input token count long context"},
        "cache-write-input-token-count-long-context-cross-region-global",
        Charged("cache_write_5m", "default", True, True),
    ),
    ({"inferenceType": "Input tokens"}, "input-tokens-cross-region-global-batch", Skip.BATCH),
]


@pytest.mark.parametrize(("beside", "usage", "meaning"), SEEN_IN_THE_SERVICE_OFFER)
def test_the_service_offer_is_understood(beside: dict[str, str], usage: str, meaning: Charged | Skip) -> None:
    assert charged_by({"usagetype": f"USE1-Claude4Sonnet-{usage}", "model": "Claude Sonnet 4", **beside}) == meaning


# --- dates and sources


def test_a_rate_begins_when_the_list_was_published() -> None:
    assert {one.since for one in (*BEDROCK.rates, *MARKETPLACE.rates)} == {date(2026, 9, 11)}


def test_prices_that_are_not_in_force_yet_are_left_for_another_reading() -> None:
    assert LLAMA not in {one.model for one in BEDROCK.rates}
    assert BEDROCK.skipped["not in force"] == 2


def test_a_price_that_takes_effect_after_publication_begins_on_that_day() -> None:
    found = rate(reading("bedrock", date(2026, 12, 2)), LLAMA)
    assert (found.since, found.rates) == (date(2026, 12, 1), usd("0.72", "0.9"))


def test_the_source_names_the_offer_its_version_address_and_days() -> None:
    assert BEDROCK.source == Source(
        "AWS price list AmazonBedrock 20260911124408",
        "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonBedrock/current/index.json",
        date(2026, 9, 11),
        READ_ON,
    )


# --- bad files


def edited(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads((DATA / "aws_offer_bedrock.json").read_bytes())
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "x.json is no JSON"),
        (b"<html>", "x.json is no JSON"),
        (b"\xff\xfe{}", "x.json is no JSON"),
        (b"[" * 100_000, "x.json is no"),
        (b"{}", "x.json is no AWS offer file: Object missing required field `offerCode`"),
        (b"[]", "x.json is no AWS offer file: Expected `object`, got `array`"),
        (edited(lambda it: it.update(offerCode="AmazonEC2")), 'x.json is the offer "AmazonEC2", which is not read'),
        (edited(lambda it: it.update(publicationDate="today")), "publicationDate"),
        (edited(lambda it: it.update(publicationDate="2026-09-11T12:44:08")), "publicationDate"),
        (edited(lambda it: it.pop("terms")), "missing required field `terms`"),
        ((DATA.parent.parent / "src/tollbook/spend/prices/bedrock.json").read_bytes(), "is no AWS offer file"),
    ],
)
def test_what_is_no_offer_file_is_refused_in_one_sentence_and_an_advice(content: bytes, says: str) -> None:
    with pytest.raises(PriceFileError, match=re.escape(says)) as refused:
        read_offer(content, "x.json", READ_ON)
    assert str(refused.value).endswith("AmazonBedrock, as AWS publishes it.")


@pytest.mark.parametrize("price", ["1e999999999", "NaN", "-0.0001", "free", "", "Infinity", "99999"])
def test_a_price_that_is_none_is_counted(price: str) -> None:
    def spoil(document: dict[str, Any]) -> None:
        ((term,),) = ([*terms.values()] for sku, terms in document["terms"]["OnDemand"].items() if sku.endswith("01"))
        (dimension,) = term["priceDimensions"].values()
        dimension["pricePerUnit"]["USD"] = price

    offer = read_offer(edited(spoil), "x.json", READ_ON)
    assert offer.skipped["implausible price"] == BEDROCK.skipped["implausible price"] + 1


# --- names


NAMES: dict[str, dict[str, Any]] = json.loads(
    resources.files("tollbook.spend.prices").joinpath("aws_names.json").read_text()
)
# Words of a name that the id lacks or writes otherwise.
REWRITTEN = {"OpenAI": "openai.", "Command R+": "command-r-plus", "Jurassic-2": "j2", "Titan Text G1": "titan-text"} | {
    "Cohere Generate Model - Command": "cohere.command-text",
    "Cohere": "cohere.",
    "Meta Llama 2 Chat 13B": "llama2-13b-chat",
    "Meta Llama 2 Chat 70B": "llama2-70b-chat",
    "Nova 2.0": "nova-2",
    "2.0": "v2",
    "Claude 2.1": "claude-v2:1",
    "3.0": "3",
}


def words(text: str) -> list[str]:
    return sorted(re.findall(r"[a-z]+|\d+", text.lower()))


@pytest.mark.parametrize(("name", "model"), NAMES["models"].items())
def test_every_word_of_a_name_stands_in_the_id_it_is_tied_to(name: str, model: str) -> None:
    for said, written_as in REWRITTEN.items():
        name = name.replace(said, written_as)
    missing = [word for word in words(name) if words(name).count(word) > words(model).count(word)]
    assert missing == []


def test_every_id_that_a_name_is_tied_to_is_in_the_book_and_has_one_name() -> None:
    ids = [*NAMES["models"].values()]
    assert set(ids) <= {one.model for one in prices.load()}
    assert len(ids) == len(set(ids))


def test_the_size_of_long_prompts_is_the_one_the_book_has() -> None:
    steps: dict[str, set[int]] = {}
    for one in prices.load():
        steps.setdefault(one.model, set()).update(one.above)
    assert all(steps[model] == {step} for model, step in NAMES["long_prompts_exceed"].items())


# --- what is known already


def one_rate(since: str, rates: Rates, offer: str = "list", tier: str = "default", **above: Rates) -> Rate:
    source = Source(f"{offer} of {since}", "https://example.com", date.fromisoformat(since), date(2026, 12, 31))
    steps = {int(step.removeprefix("_")): costs for step, costs in above.items()}
    return Rate("amazon.x", "in-region", "us-east-1", tier, date.fromisoformat(since), source, rates, steps)


JULY, AUGUST = one_rate("2026-07-01", usd("1", "4")), one_rate("2026-08-01", usd("1", "4"))
RAISED = one_rate("2026-09-01", usd("2", "8"))
EMPTY = PriceBook([])


def test_a_new_price_begins_on_its_day_and_the_old_one_stays() -> None:
    merged = continued([JULY], [RAISED], EMPTY)
    assert (merged.rates, merged.begun) == ((JULY, RAISED), 1)


def test_a_price_that_has_not_changed_begins_no_entry() -> None:
    merged = continued([JULY], [AUGUST], EMPTY)
    assert (merged.rates, merged.begun, merged.left) == ((JULY,), 0, {Left.KNOWN: 1})


def test_reading_an_old_list_again_adds_nothing() -> None:
    merged = continued([JULY, RAISED], [JULY, AUGUST], EMPTY)
    assert merged.rates == (JULY, RAISED)


def test_another_price_of_a_day_that_has_one_is_not_taken() -> None:
    other = one_rate("2026-07-01", usd("7", "7"))
    assert continued([JULY], [other], EMPTY).left == {Left.SAME_DAY: 1}


def test_two_offers_that_disagree_on_a_price_are_not_taken() -> None:
    assert continued([], [JULY, RAISED], EMPTY).left == {Left.DISAGREE: 2}


def test_of_two_offers_that_agree_the_fuller_is_taken() -> None:
    fuller = one_rate("2026-08-02", usd("1", "4", "0.1"))
    assert continued([], [AUGUST, fuller], EMPTY).rates == (fuller,)


def test_a_list_that_agrees_with_the_book_and_tells_less_takes_nothing_from_it() -> None:
    book = PriceBook([one_rate("2026-07-15", usd("1", "4", "0.1"), "book")])
    assert continued([], [AUGUST], book).left == {Left.LESS: 1}


def test_what_the_book_came_to_know_after_the_list_counts_as_well() -> None:
    book = PriceBook([one_rate("2026-10-01", usd("1", "4", "0.1"), "book")])
    assert continued([], [AUGUST], book).left == {Left.LESS: 1}


def test_a_list_without_the_price_of_long_prompts_does_not_make_them_cheap() -> None:
    book = PriceBook([one_rate("2026-07-15", usd("1", "4"), "book", _200000=usd("2", "8"))])
    assert continued([], [RAISED], book).left == {Left.LONG: 1}


def test_the_standard_rate_of_the_book_says_nothing_about_a_tier() -> None:
    book = PriceBook([one_rate("2026-07-15", usd("1", "4", "0.1"), "book")])
    flex = one_rate("2026-08-01", usd("1", "4"), tier="flex")
    assert continued([], [flex], book).rates == (flex,)


def test_rates_survive_being_written_and_read_with_their_addresses_and_days() -> None:
    for rates in ([*BEDROCK.rates, *MARKETPLACE.rates], [*prices.load()], []):
        assert read_prices(written(rates), "prices.json") == rates


def test_a_written_file_has_each_key_once() -> None:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    json.loads(written(BEDROCK.rates), object_pairs_hook=once)
