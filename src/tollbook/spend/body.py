"""What only a logged answer's body tells about its price: service tier, cache lifetime, routed model.

Bodies are written in the form of the model's vendor, as one object or, for streams, as the list of its
parts. Where a body tells nothing, or is of a form not known here, nothing is claimed.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (`serviceTier`,
`trace.promptRouter`, `usage.cacheDetails`); https://docs.claude.com/en/docs/build-with-claude/prompt-caching
(`usage.cache_creation`).
"""

from dataclasses import dataclass
from typing import Final

import msgspec

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


@dataclass(frozen=True, slots=True)
class BodyFacts:
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
    """What `body`, the JSON of `output.outputBodyJson`, tells."""
    try:
        found = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return BodyFacts()
    parts = found if isinstance(found, list) else [found]
    flat = [level for part in parts for level in (part, part.message, part.metadata, part.response)]
    bodies = [body for body in flat if isinstance(body, _Body)]
    return BodyFacts(
        next(filter(None, map(_tier, bodies)), ""),
        next((writes for writes in map(_one_hour_writes, bodies) if writes is not None), None),
        next(filter(None, map(_invoked_model, bodies)), ""),
    )


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
