"""Who asks."""

import contextvars
import hashlib
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

import msgspec


class Caller(msgspec.Struct, frozen=True):
    """Whoever sent a request, as far as it was proven.

    Attributes:
        id: what tells one caller from every other: issuer, client and subject; empty for one who proved nothing.
        claims: what a verified token says of him.
    """

    id: str = ""
    claims: Mapping[str, Any] = {}

    @property
    def owner(self) -> str:
        """A name for what is his in a store: 32 hexadecimal digits that tell nobody who he is."""
        return hashlib.sha256(self.id.encode()).hexdigest()[:32]


ANYONE: Final = Caller()
"""A caller who proved nothing, where nothing need be proven."""

_CALLER: ContextVar[Caller] = ContextVar("caller", default=ANYONE)


def current_caller() -> Caller:
    """Whoever sent the request that is being answered."""
    return _CALLER.get()


def set_caller(caller: Caller) -> contextvars.Token[Caller]:
    """Makes `caller` the current one, in this context and those that begin in it."""
    return _CALLER.set(caller)
