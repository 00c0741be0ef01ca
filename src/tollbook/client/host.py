"""Whoever sits in front of a client: is told what happens while a call runs, and is asked."""

from typing import Any, Protocol

from tollbook.client.protocol import Answer, Elicitation


class Host(Protocol):
    """The user's side of a connection. All text of a server comes here as it was sent: show it through `core.text`."""

    def log(self, level: str, logger: str | None, data: Any) -> None:
        """The server logged something; `level` is one of RFC 5424's, `data` any JSON."""

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        """The running call has come so far."""

    def notice(self, text: str) -> None:
        """We have something to say: that a session was lost, that a stream is resumed."""

    def debug(self, text: str) -> None:
        """What goes over the wire, in short; secrets are left out."""

    async def elicit(self, asked: Elicitation) -> Answer:
        """The server has a question."""


class Nobody:
    """A host that says nothing and declines every question: what a script has."""

    def log(self, level: str, logger: str | None, data: Any) -> None: ...

    def progress(self, done: float, total: float | None, message: str | None) -> None: ...

    def notice(self, text: str) -> None: ...

    def debug(self, text: str) -> None: ...

    async def elicit(self, asked: Elicitation) -> Answer:  # noqa: ARG002 - nobody reads it
        return Answer(action="decline")
