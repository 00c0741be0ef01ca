"""What a row of AWS's price list charges for, from its usage type and the attributes beside it.

AWS publishes no grammar of usage types. These were seen:

    AmazonBedrock, AmazonBedrockService   USE1-NovaPro-input-tokens-flex
                                          USE1-NovaPro-cache-read-input-token-count
                                          USE1-Claude4Sonnet-input-tokens-long-context-cross-region-global
    AmazonBedrockFoundationModels         USE1-MP:USE1_CacheWrite1hInputTokenCount_LCtx_Global-Units
                                          USE1-MP:USE1_cache_write_tokens_1h_global_standard-Units

The order of the parts varies, so they are read as a set of words; with them, those of the attributes, which
alone tell some batch rows from plain ones. A word that is not known makes a row unknown, never standard.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec


class Skip(StrEnum):
    """Why a row, or what it belongs to, is left out."""

    BATCH = "batch"
    CUSTOM = "custom models"
    MANTLE = "bedrock-mantle"
    RESERVED = "reserved or provisioned"
    LATENCY = "latency-optimized"
    TERM = "not on demand"
    TIME = "not in force"
    NOT_TOKENS = "not by the token"
    USAGE = "unknown usage type"
    CONTRADICTION = "attributes contradict the usage type"
    STEPS = "price in steps"
    UNIT = "unknown unit"
    CURRENCY = "not in US dollars"
    ZERO = "price of zero"
    IMPLAUSIBLE = "implausible price"
    REGION = "no region"
    MODEL = "unknown model"
    CONFLICT = "two prices for one thing"
    INCOMPLETE = "input or output without the other"
    LONG = "long prompts of unknown length"


class Charged(msgspec.Struct, frozen=True):
    """What is charged for.

    Attributes:
        kind: of token, one of `rate.KINDS`.
        tier: `default`, `flex` or `priority`.
        is_global: for calls through the global profile; others are for the region and its geographic profiles.
        is_long: for calls with long prompts.
    """

    kind: str
    tier: str
    is_global: bool
    is_long: bool


_MARKETPLACE = re.compile(r"[A-Z0-9]+-MP:[A-Z0-9]+_(.+)-Units")
_OWN = re.compile(
    r"[A-Z0-9]+-(.+?)(?:-text)?-((?:input|output)-tokens|cache-(?:read|write)-input-token-count)((?:-.+)?)"
)
# An hour's cache write is `1h`; `CacheWrite1hInputTokenCount` and `cache_write_tokens_1h` give the same words.
_WORD = re.compile(r"\d+[a-z]+|[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

_SPELT: Final = {"LCtx": "LongContext", "long_ctx": "long_context", "cross-region-global": "global"}
_LEFT_OUT: Final = {
    "mantle": Skip.MANTLE,
    "batch": Skip.BATCH,
    "custom": Skip.CUSTOM,
    "customization": Skip.CUSTOM,
    "import": Skip.CUSTOM,
    "reserved": Skip.RESERVED,
    "provisioned": Skip.RESERVED,
    "latency": Skip.LATENCY,
}
_KINDS: Final = {"input", "output", "cache", "read", "write", "1h", "5m"}
_CACHE_KINDS: Final = {
    frozenset({"read"}): "cache_read",
    frozenset({"write"}): "cache_write_5m",  # five minutes, where nothing else is said
    frozenset({"write", "5m"}): "cache_write_5m",
    frozenset({"write", "1h"}): "cache_write_1h",
}
_TIERS: Final = {"standard", "flex", "priority"}
_PLAIN: Final = {"token", "tokens", "count", "text", "prompt", "on", "demand", "inference"}
_KNOWN: Final = _KINDS | _TIERS | _PLAIN | {"global", "long", "context"}
_TELLING: Final = ("feature", "featuretype", "inferenceType", "service_tier", "tokenType")
_NOT_TEXT: Final = {"image", "audio", "video", "speech"}


def charged_by(attributes: Mapping[str, str]) -> Charged | Skip:
    """What the row of a product with `attributes` charges for, or why it is left out."""
    usage = attributes.get("usagetype", "")
    beside = {word for name in _TELLING for word in _words(attributes.get(name, ""))}
    if mine := _MARKETPLACE.fullmatch(usage):
        told = _words(mine[1])
    elif (mine := _OWN.fullmatch(usage)) and not _NOT_TEXT & _words(mine[1]):
        told = _words(f"{mine[2]}{mine[3]}") | (_words(mine[1]) & {"mantle"})
    else:
        why = _words(usage) | beside
        return next((reason for word, reason in _LEFT_OUT.items() if word in why), Skip.USAGE)
    words = told | beside
    for word, reason in _LEFT_OUT.items():
        if word in words:
            return reason
    kind = _kind(told)
    # Among the unknown words is the `geo` of `cross-region-geo`, which no priced row was seen with.
    if kind is None or not words <= _KNOWN:
        return Skip.USAGE
    if _kind(words) != kind or len(words & _TIERS) > 1:
        return Skip.CONTRADICTION
    tier = "".join(words & _TIERS - {"standard"}) or "default"
    return Charged(kind, tier, "global" in words, "long" in words)


def stem(usagetype: str) -> str:
    """What a usage type calls the model, for rows that name it nowhere else."""
    mine = _OWN.fullmatch(usagetype)
    return mine[1] if mine else usagetype


def _words(text: str) -> set[str]:
    for spelt, meant in _SPELT.items():
        text = text.replace(spelt, meant)
    return {word.lower() for word in _WORD.findall(text)}


def _kind(words: set[str]) -> str | None:
    """The kind of token that `words` tell, if they tell one; those of a cache may say `input` too."""
    told = words & _KINDS
    if "cache" in told:
        return _CACHE_KINDS.get(frozenset(told - {"cache", "input"}))
    return told.pop() if told in ({"input"}, {"output"}) else None
