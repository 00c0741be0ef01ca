"""What may be used once: codes, and refresh tokens, each of which is followed by another.

A ticket that is used stays, with a mark. Who comes with a marked one has a copy, and nobody knows which of the two is
the thief: so whatever the grant has led to ends. A code is treated so by RFC 6749 §4.1.2 and a refresh token by
RFC 9700 §4.14.2. Access tokens, which nobody looks up, live on for their ten minutes.
"""

import secrets
from typing import Final, Literal

import msgspec

from tollbook.core.stores import Clock, Store
from tollbook.hosting.dev_login.drawer import Drawer

_GRANT_S: Final = 86_400.0  # since it was last used
_LIVES_S: Final = {"code": 60.0, "refresh": _GRANT_S}

Kind = Literal["code", "refresh"]


class Asked(msgspec.Struct, frozen=True):
    """What a client asked for: RFC 6749 §4.1.1.

    Attributes:
        client_name: what it calls itself.
        names_redirect: whether it named the address it is answered at, and must then name it again with the code.
        scopes: None where it named none.
        challenge: of its code verifier, by S256.
    """

    client_id: str
    client_name: str
    redirect_uri: str
    names_redirect: bool
    state: str | None
    scopes: tuple[str, ...] | None
    challenge: str


class Grant(msgspec.Struct, frozen=True):
    """What a user allows a client."""

    id: str
    client_id: str
    user: str
    scopes: tuple[str, ...]


class Ticket(msgspec.Struct, frozen=True):
    """Good for tokens, once.

    Attributes:
        asked: what a code is the answer to; None for a refresh token.
        until: from when on it is good for nothing, in seconds since 1970.
    """

    kind: Kind
    grant: Grant
    asked: Asked | None
    until: float


class Tickets:
    """The tickets in a store."""

    def __init__(self, store: Store, partition: str, clock: Clock) -> None:
        self._clock = clock
        self._tickets = Drawer(store, f"{partition}/tickets", Ticket)
        self._used = Drawer(store, f"{partition}/used", bool)
        self._live = Drawer(store, f"{partition}/grants", bool)

    async def begin(self, asked: Asked, user: str, scopes: tuple[str, ...]) -> str:
        """The code for a new grant."""
        grant = Grant(secrets.token_urlsafe(16), asked.client_id, user, scopes)
        await self._live.add(grant.id, True, self._clock() + _GRANT_S)
        return await self.issue("code", grant, asked)

    async def issue(self, kind: Kind, grant: Grant, asked: Asked | None = None) -> str:
        """A new ticket for a grant."""
        text, now = secrets.token_urlsafe(32), self._clock()
        # Also a code is kept for a day, so that a copy of it is known for one after its minute too.
        await self._tickets.add(text, Ticket(kind, grant, asked, now + _LIVES_S[kind]), now + _GRANT_S)
        return text

    async def find(self, kind: Kind, text: str, client_id: str) -> Ticket | None:
        """The ticket of that text, if it is that client's, and neither used nor too old."""
        ticket = await self._tickets.get(text)
        if ticket is None or ticket.kind != kind or ticket.grant.client_id != client_id:
            return None
        if await self._used.get(text) is not None:
            await self.end(ticket.grant)
            return None
        return ticket if self._clock() < ticket.until else None

    async def use(self, kind: Kind, text: str, client_id: str) -> Ticket | None:
        """The same, if its grant lives; it is used then. Of two at once one gets it, and the grant ends."""
        ticket = await self.find(kind, text, client_id)
        if ticket is None:
            return None
        until = self._clock() + _GRANT_S
        if not await self._used.add(text, True, until):
            await self.end(ticket.grant)
            return None
        return ticket if await self._live.replace(ticket.grant.id, True, until) else None

    async def end(self, grant: Grant) -> None:
        """Makes every ticket of a grant worthless, those to come included."""
        await self._live.remove(grant.id)
