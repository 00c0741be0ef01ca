"""The seven shapes of `data/records.jsonl`, worked out by hand from the rates of November 2026."""

from decimal import Decimal
from typing import Any

import pytest

from tests.logs import SAMPLES, Ask

# Dollars per million tokens on 2026-11-20, as `tollbook prices show` prints them.
SONNET_READ = 12 * Decimal("3.30") + 2048 * Decimal("0.33") + 38 * Decimal("16.50")
# The flex tier of GPT 5.6 has no rate on record: the standard one is assumed. The 8,367 written tokens are
# within the 8,369 of the input, so two are plain input.
GPT_GROSS = 2 * Decimal("4.40") + 8367 * Decimal("5.50") + 20 * Decimal("22.00")
TITAN = 187 * Decimal("0.02")
HAIKU_ROUTED = 40 * Decimal("0.25") + 9 * Decimal("1.25")
MILLION = 10**6


@pytest.fixture
def by_model(ask: Ask) -> dict[str, Any]:
    report = ask("report", str(SAMPLES), "--by", "model", "--format", "json").json
    return {group["model"]: group for group in report["groups"]}


@pytest.mark.parametrize(
    ("model", "tokens", "dollars", "status"),
    [
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", (12, 38, 2048, 0), SONNET_READ, ["exact"]),
        ("application-inference-profile/abc123def456", (3, 142, 0, 28857), None, ["unpriced"]),
        ("amazon.titan-embed-text-v2:0", (187, 0, 0, 0), TITAN, ["exact"]),
        ("amazon.nova-pro-v1:0", (0, 0, 0, 0), Decimal(0), []),
        ("stability.stable-image-core-v1:1", (0, 0, 0, 0), None, ["unpriced"]),
        ("openai.gpt-5.6-sol", (2, 20, 0, 8367), GPT_GROSS, ["assumed_tier", "gross_assumed"]),
        ("anthropic.claude-3-haiku-20240307-v1:0", (40, 9, 0, 0), HAIKU_ROUTED, ["assumed_tier"]),
    ],
)
def test_each_shape_is_counted_and_priced(
    by_model: dict[str, Any], model: str, tokens: tuple[int, ...], dollars: Decimal | None, status: list[str]
) -> None:
    group = by_model[model]
    kinds = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    assert tuple(group[kind] for kind in kinds) == tokens
    assert group["cost_usd"] is None if dollars is None else Decimal(group["cost_usd"]) == dollars / MILLION
    assert group["status"] == status


def test_the_totals_are_the_sums_and_say_what_they_leave_out(ask: Ask) -> None:
    report = ask("report", str(SAMPLES), "--format", "json").json
    totals = report["totals"]
    assert (totals["calls"], totals["errors"]) == (6, 1)
    assert (totals["input_tokens"], totals["output_tokens"]) == (12 + 3 + 187 + 2 + 40, 38 + 142 + 20 + 9)
    assert (totals["cache_read_tokens"], totals["cache_write_tokens"]) == (2048, 28857 + 8367)
    assert Decimal(totals["cost_usd"]) == (SONNET_READ + GPT_GROSS + TITAN + HAIKU_ROUTED) / MILLION
    assert report["unpriced"]["calls"] == 2
    assert report["unpriced"]["tokens"] == 3 + 142 + 28857
    assert report["rejected"]["lines"] == 0
    assert any("permission check" in note for note in report["notes"])


def test_a_cache_kept_for_an_hour_costs_what_the_body_tells(ask: Ask, tmp_path: Any) -> None:
    names = tmp_path / "names.json"
    names.write_text('{"abc123def456": {"model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "name": "rag"}}')
    report = ask("report", str(SAMPLES), "--by", "profile", "--names", str(names), "--format", "json").json
    (group,) = [group for group in report["groups"] if group["profile"] == "rag"]
    expected = 3 * Decimal("3.30") + 28857 * Decimal("6.60") + 142 * Decimal("16.50")
    assert Decimal(group["cost_usd"]) == expected / MILLION
    assert group["status"] == ["exact"]


def test_the_saving_of_the_cache_is_what_it_spared_less_what_it_cost_to_fill(ask: Ask) -> None:
    report = ask("report", str(SAMPLES), "--format", "json").json
    spared = 2048 * (Decimal("3.30") - Decimal("0.33"))
    filled = 8367 * (Decimal("5.50") - Decimal("4.40"))
    assert Decimal(report["totals"]["cache_saving_usd"]) == (spared - filled) / MILLION
