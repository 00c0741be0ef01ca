"""What a logged body tells of its price, in the SQL of Athena, as `spend.body` reads it. Pure text.

A body may be the list of its parts, and each part may hold what it tells at a lower level; the first that tells
something counts. Each text here looks at the columns `body`, the JSON of one, and `operation`.
"""

from typing import Final

from tollbook.spend.usage import UNSEEN

_PARTS: Final = "CASE WHEN body LIKE '[%' THEN CAST(json_parse(body) AS ARRAY(JSON)) ELSE ARRAY[json_parse(body)] END"
_LEVELS: Final = (
    f"flatten(transform({_PARTS}, part -> ARRAY[part, json_extract(part, '$.message'), "
    "json_extract(part, '$.metadata'), json_extract(part, '$.response')]))"
)


def _first_told(told: str) -> str:
    """
    Args:
        told: what a `lvl` tells; NULL where it tells nothing.
    """
    return f"try(element_at(filter(transform({_LEVELS}, lvl -> {told}), told -> told IS NOT NULL), 1))"


def _at(path: str, node: str = "lvl") -> str:
    return f"json_extract_scalar({node}, '$.{path}')"


def _is(what: str, path: str, node: str = "lvl") -> str:
    """Whether there is an object, `{`, or a list, `[`."""
    return f"json_format(json_extract({node}, '$.{path}')) LIKE '{what}%'"


def _tokens_at(path: str) -> str:
    """What there is above 0."""
    return f"CASE WHEN try_cast({_at(path)} AS bigint) > 0 THEN try_cast({_at(path)} AS bigint) ELSE 0 END"


_MOST_LIFETIMES: Final = 4  # there are two: five minutes and an hour
_LIFETIMES: Final = " + ".join(
    f"CASE WHEN {_at(f'usage.cacheDetails[{place}].ttl')} = '1h' "
    f"THEN {_tokens_at(f'usage.cacheDetails[{place}].inputTokens')} ELSE 0 END"
    for place in range(_MOST_LIFETIMES)
)
_ONE_HOUR_TOLD: Final = (
    f"CASE WHEN {_is('{', 'usage.cache_creation')} THEN {_tokens_at('usage.cache_creation.ephemeral_1h_input_tokens')} "
    f"WHEN {_is('[', 'usage.cacheDetails')} THEN {_LIFETIMES} END"
)
ONE_HOUR: Final = _first_told(_ONE_HOUR_TOLD)
"""The tokens written to the cache for an hour; NULL where the body does not tell."""

INVOKED: Final = _first_told(f"nullif({_at('trace.promptRouter.invokedModelId')}, '')")
"""The model that a prompt router chose; NULL where the body does not tell."""
_TIER_TOLD: Final = (
    f"nullif(CASE WHEN {_is('{', 'serviceTier')} THEN {_at('serviceTier.type')} ELSE {_at('service_tier')} END, '')"
)
_HIDES_TIER: Final = "coalesce(operation, '') IN ('', 'InvokeModel', 'InvokeModelWithResponseStream')"
_MENTIONS_TIER: Final = "(strpos(body, '\"serviceTier\"') > 0 OR strpos(body, '\"service_tier\"') > 0)"  # most do not
_TELLS_TIER: Final = f"({_is('{', 'serviceTier', 'body')} OR {_at('service_tier', 'body')} <> '')"
_FIRST_TIER: Final = f"coalesce({_first_told(_TIER_TOLD)}, '')"

TIER: Final = (
    f"CASE WHEN body IS NULL OR {_HIDES_TIER} THEN '{UNSEEN}' "
    f"WHEN body LIKE '[%' OR {_MENTIONS_TIER} AND {_TELLS_TIER} "
    f"THEN CASE {_FIRST_TIER} WHEN 'standard' THEN 'default' ELSE {_FIRST_TIER} END ELSE '' END"
)
"""The service tier; empty for one that the body does not tell, `UNSEEN` where no body could."""
