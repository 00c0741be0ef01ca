"""What only a logged answer's body tells about its price: service tier, cache lifetime, routed model.

Bodies are written in the form of the model's vendor, as one object or, for streams, as the list of its
parts. Where a body tells nothing, or is of a form not known here, nothing is claimed.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (`serviceTier`,
`trace.promptRouter`, `usage.cacheDetails`); https://docs.claude.com/en/docs/build-with-claude/prompt-caching
(`usage.cache_creation`).
"""

from typing import Final

import msgspec

# A body that holds neither does not tell how long the cache is kept, and need not be decoded for that.
LIFETIME_MARKS: Final = (b'"cache_creation"', b'"cacheDetails"')
# A block of records that does not hold this holds no service tier, and its bodies need not be decoded: it ends
# both `"serviceTier":` and `"service_tier":`, and little else.
TIER_MARK: Final = b'ier":'


class _CacheCreation(msgspec.Struct, gc=False):
    ephemeral_1h_input_tokens: int = 0


class _CacheDetail(msgspec.Struct, gc=False):
    ttl: str = ""
    inputTokens: int = 0


class _Usage(msgspec.Struct, gc=False):
    cache_creation: _CacheCreation | None = None
    cacheDetails: list[_CacheDetail] | None = None


class _ServiceTier(msgspec.Struct, gc=False):
    type: str = ""


class _PromptRouter(msgspec.Struct, gc=False):
    invokedModelId: str = ""


class _Trace(msgspec.Struct, gc=False):
    promptRouter: _PromptRouter | None = None


class _Body(msgspec.Struct):
    usage: _Usage | None = None
    serviceTier: _ServiceTier | None = None
    service_tier: str | None = None
    trace: _Trace | None = None
    message: "_Body | str | None" = None  # Anthropic's message_start
    metadata: "_Body | str | None" = None  # ConverseStream's last event
    response: "_Body | str | None" = None  # OpenAI's response.completed


_DECODER = msgspec.json.Decoder(_Body | list[_Body])


class BodyFacts(msgspec.Struct, frozen=True, gc=False):
    """What a body tells.

    Attributes:
        tier: the service tier that served the call, or empty.
        one_hour_writes: tokens written to the cache for an hour; None where the body does not tell.
        invoked_model: the model that a prompt router chose, or empty.
    """

    tier: str = ""
    one_hour_writes: int | None = None
    invoked_model: str = ""


def facts_of(body: bytes) -> BodyFacts:
    """What `body`, the JSON of `output.outputBodyJson`, tells; of several parts, the first that tells it."""
    try:
        found = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return BodyFacts()
    tier, writes, invoked = "", None, ""
    for part in found if isinstance(found, list) else (found,):
        for level in (part, part.message, part.metadata, part.response):
            if isinstance(level, _Body):
                tier = tier or _tier(level)
                writes = _one_hour_writes(level) if writes is None else writes
                invoked = invoked or _invoked_model(level)
    return BodyFacts(tier, writes, invoked)


def _tier(body: _Body) -> str:
    return body.service_tier or (body.serviceTier.type if body.serviceTier else "")


def _one_hour_writes(body: _Body) -> int | None:
    if body.usage is None:
        return None
    if body.usage.cache_creation is not None:
        return max(0, body.usage.cache_creation.ephemeral_1h_input_tokens)
    if body.usage.cacheDetails is not None:
        return sum(max(0, detail.inputTokens) for detail in body.usage.cacheDetails if detail.ttl == "1h")
    return None


def _invoked_model(body: _Body) -> str:
    return body.trace.promptRouter.invokedModelId if body.trace and body.trace.promptRouter else ""
