"""What only a logged answer's body tells about its price: service tier, cache lifetime, routed model.

Bodies are written in the form of the model's vendor, as one object or, for streams, as the list of its
parts. Where a body tells nothing, or is of a form not known here, nothing is claimed.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (`serviceTier`,
`trace.promptRouter`, `usage.cacheDetails`); https://docs.claude.com/en/docs/build-with-claude/prompt-caching
(`usage.cache_creation`).
"""

import msgspec

_Scalar = str | int | float | bool | None
"""What other vendors may write under the same names."""


class CacheCreation(msgspec.Struct, gc=False):
    ephemeral_1h_input_tokens: int = 0


class CacheDetail(msgspec.Struct, gc=False):
    ttl: str = ""
    inputTokens: int = 0


class BodyUsage(msgspec.Struct, gc=False):
    cache_creation: CacheCreation | None = None
    cacheDetails: list[CacheDetail] | None = None


class ServiceTier(msgspec.Struct, gc=False):
    type: str = ""


class PromptRouter(msgspec.Struct, gc=False):
    invokedModelId: str = ""


class Trace(msgspec.Struct, gc=False):
    promptRouter: PromptRouter | None = None


class Body(msgspec.Struct):
    """The fields of a body, or of a part of it, that tell something."""

    usage: BodyUsage | _Scalar = None
    serviceTier: ServiceTier | _Scalar = None
    service_tier: _Scalar = None
    trace: Trace | _Scalar = None
    message: "Body | _Scalar" = None  # Anthropic's message_start
    metadata: "Body | _Scalar" = None  # ConverseStream's last event
    response: "Body | _Scalar" = None  # OpenAI's response.completed


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


def facts_of(body: Body | list[Body] | None) -> BodyFacts:
    """What `body` tells; of several parts, the first that tells it."""
    tier, writes, invoked = "", None, ""
    for part in body if isinstance(body, list) else (body,):
        if part is None:
            continue
        for level in (part, part.message, part.metadata, part.response):
            if isinstance(level, Body):
                tier = tier or _tier(level)
                writes = _one_hour_writes(level) if writes is None else writes
                invoked = invoked or _invoked_model(level)
    return BodyFacts(tier, writes, invoked)


def one_hour_writes(body: Body | list[Body] | None) -> int | None:
    """The tokens written to the cache for an hour, as `facts_of` has them, and faster: most bodies are one part."""
    return _one_hour_writes(body) if isinstance(body, Body) else facts_of(body).one_hour_writes


def _tier(body: Body) -> str:
    tier = body.serviceTier.type if isinstance(body.serviceTier, ServiceTier) else body.service_tier
    return "default" if tier == "standard" else tier if isinstance(tier, str) else ""


def _one_hour_writes(body: Body) -> int | None:
    if not isinstance(body.usage, BodyUsage):
        return None
    if body.usage.cache_creation is not None:
        return max(0, body.usage.cache_creation.ephemeral_1h_input_tokens)
    if body.usage.cacheDetails is not None:
        return sum(max(0, detail.inputTokens) for detail in body.usage.cacheDetails if detail.ttl == "1h")
    return None


def _invoked_model(body: Body) -> str:
    trace = body.trace
    return trace.promptRouter.invokedModelId if isinstance(trace, Trace) and trace.promptRouter else ""
