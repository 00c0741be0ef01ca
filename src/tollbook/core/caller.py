"""Who asks."""

import contextvars
import hashlib
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cached_property
from typing import Any, Final

import msgspec


class Caller(msgspec.Struct, frozen=True, dict=True):
    """Whoever sent a request, as far as it was proven.

    Attributes:
        subject: who he is to his issuer; empty for one who proved nothing.
        client: the program that he uses, by the id it has with the issuer.
        issuer: who vouches for him.
        scopes: what he lets the client do.
        claims: all that the issuer says of him.
        expires: when the proof ends, in seconds since 1970; None where there is none.
    """

    subject: str = ""
    client: str = ""
    issuer: str = ""
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = {}
    expires: float | None = None

    @property
    def is_proven(self) -> bool:
        return bool(self.subject)

    @cached_property
    def id(self) -> str:
        """What tells one caller from every other: issuer, client and subject; empty for one who proved nothing."""
        if not self.is_proven:
            return ""
        return msgspec.json.encode((self.issuer, self.client, self.subject)).decode()

    @cached_property
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
