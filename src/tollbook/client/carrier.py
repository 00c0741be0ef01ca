"""What carries messages between this client and one server."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Final, Protocol

from tollbook.core.jsonrpc import Id, Message

MOST_BYTES: Final = 64 * 2**20
"""Of one message of a server. More is not read."""


class Lost(Exception):
    """The server does not know the session, or no longer does."""


class Cut(Exception):
    """The way to the server broke off before the answer came; says how. What was asked may have been done.

    Attributes:
        ends_session: whether there is no use in going on with the session.
    """

    def __init__(self, how: str, *, ends_session: bool = False) -> None:
        super().__init__(how)
        self.ends_session = ends_session


class Patience(Protocol):
    """Of whoever waits for an answer."""

    def alive(self) -> None:
        """Something came."""

    def pause(self) -> AbstractContextManager[None]:
        """While this lasts, it is not the server that is waited for."""


class Carrier(Protocol):
    """A way to one server.

    Attributes:
        closing_cancels: whether a server of the modern era takes it for a cancellation when `exchange` is left early.
    """

    closing_cancels: bool

    def exchange(
        self, request_id: Id, body: bytes, headers: Mapping[str, str], patience: Patience
    ) -> AsyncGenerator[Message, None]:
        """Sends a request; gives what the server says meanwhile, and last the answer to it.

        Args:
            headers: of this request alone, where the way has any.
            patience: is told whenever anything comes, and how long a login takes.

        Raises:
            Lost: the server knows no such session.
            Cut: no answer will come.
            ClientError: what else can go wrong.
        """

    async def send(self, body: bytes, headers: Mapping[str, str], patience: Patience) -> None:
        """Sends a message that is owed no answer. Raises as `exchange` does."""

    def unasked(self, headers: Mapping[str, str], begun: Callable[[], None]) -> AsyncGenerator[Message, None]:
        """What the server says of itself, for as long as it does. Ends where it will not.

        Args:
            begun: is called when nothing that it says from then on is missed.
        """

    @property
    def has_session(self) -> bool:
        """Whether the server has given a session's id."""

    async def end(self, headers: Mapping[str, str], patience: Patience) -> bool:
        """Ends the session on the server; False if it keeps none, or does not let clients end it."""

    async def close(self) -> None: ...
