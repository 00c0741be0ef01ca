"""Whom one may say one is."""

from collections.abc import Mapping
from typing import Any

import msgspec


class DevUser(msgspec.Struct, frozen=True):
    """Somebody to sign in as.

    Attributes:
        name: as it is shown; also the `sub` of his tokens.
        title: what is shown beside it, a few words.
        claims: what his tokens say of him besides.
        scopes: those that he may grant.
    """

    name: str
    title: str
    claims: Mapping[str, Any]
    scopes: tuple[str, ...]
