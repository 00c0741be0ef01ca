"""What is known better than the price lists say, each with its reason."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Final

from price_sources import IN_REGION, Plain, Prices

# The names of the corrections, as they stand in the book beside the rates they changed.
REGIONAL: Final = "regional_premium"
FREE_WRITES: Final = "free_cache_writes"

PREMIUM: Final = Decimal("1.1")
FREE_CACHE_WRITES: Final = ("amazon.nova-pro-", "amazon.nova-lite-", "amazon.nova-2-lite-")
# Usage types USE1-NovaPro-, USE1-NovaLite- and USE1-Nova2.0Lite-cache-write-input-token-count: $0.0000000000 per
# 1K tokens, in AWS's price list 20260707080509. Read in public copies that quote it, not at AWS itself.
# (model, input, output) that were never charged, and the reason to think so. The next rates take their place.
MISTAKES: Final = {
    # Ten times AWS's price list: TitanEmbeddingV2-Text-input-tokens, $0.00002 per 1K tokens.
    ("amazon.titan-embed-text-v2:0", Decimal("0.2"), None),
    # The priority tier's rates, 1.75 times the standard ones.
    ("amazon.nova-2-pro-preview-20251202-v1:0", Decimal("2.1875"), Decimal("17.5")),
    # Other models' rates: those of Claude 3 Haiku, the input of Llama 3 70B, the input of Qwen3 235B.
    ("anthropic.claude-3-5-haiku-20241022-v1:0", Decimal("0.25"), Decimal("1.25")),
    ("meta.llama3-8b-instruct-v1:0", Decimal("0.3"), Decimal("2.65")),
    ("qwen.qwen3-coder-480b-a35b-v1:0", Decimal("0.22"), Decimal("1.8")),
    # The price of a thousand requests; later releases give it by the request.
    ("twelvelabs.marengo-embed-2-7-v1:0", Decimal(70), None),
}


def global_rates(releases: Iterable[Prices]) -> set[tuple[str, str, Plain]]:
    """(model, tier, input and output) of every global price that a release shows beside a `us` one 10 % above it.

    A release without a global id shows the global price under the bare one.
    """
    found: set[tuple[str, str, Plain]] = set()
    for prices in releases:
        for key, us in prices.items():
            base = prices.get(key._replace(scope="global")) or prices.get(key._replace(scope=IN_REGION))
            if key.scope == "us" and base and base.times(PREMIUM).plain == us.plain:
                found.add((key.model, key.tier, base.plain))
    return found


def with_premium(prices: Prices, known_global: set[tuple[str, str, Plain]]) -> Prices:
    """`prices`, where each scope has the rate that AWS bills for it.

    An endpoint in one region costs what a geographic profile costs: 10 % more than the global one, for the models
    that have both (Claude since 4.5, GPT, Grok, Nova 2, Kimi K3, GLM 5.3). The sources give many a bare id, and
    for some weeks a geographic one, the global rate; and once a global id the geographic one.
    Source: https://platform.claude.com/docs/en/about-claude/pricing (third-party platforms)
    """
    corrected = dict(prices)
    for key, rates in prices.items():
        if key.region or key.scope == "us-gov":
            continue
        lower = rates.times(1 / PREMIUM)
        if key.scope != "global" and (key.model, key.tier, rates.plain) in known_global:
            corrected[key] = replace(rates.times(PREMIUM), corrected=REGIONAL)
        elif key.scope == "global" and (key.model, key.tier, lower.plain) in known_global:
            corrected[key] = replace(lower, corrected=REGIONAL)
    return corrected


def with_free_cache_writes(prices: Prices) -> Prices:
    """`prices`, where the Nova models whose cache writes AWS lists at $0.0000000000 say so. See `FREE_CACHE_WRITES`."""
    free = {
        key: replace(
            rates,
            by_kind={**rates.by_kind, "cache_write_5m": Decimal(0)},
            corrected=" ".join(filter(None, (rates.corrected, FREE_WRITES))),
        )
        for key, rates in prices.items()
        if key.model.startswith(FREE_CACHE_WRITES) and "cache_read" in rates.by_kind
    }
    return prices | free
