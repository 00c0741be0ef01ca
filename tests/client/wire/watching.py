"""A host that remembers what it was told, and answers what it is asked as the test says."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tollbook.client.protocol import Answer, Elicitation

Asking = Callable[[Elicitation], Awaitable[Answer]]


class Watching:
    """Whoever sits in front of the client, in a test.

    Attributes:
        seen: logs, progress and notices, in their order: `("log", level, data)`, `("progress", done, total, message)`,
            `("notice", text)`.
        debugged: what there was to say of the wire.
        asked: the questions.
        stopped: how many questions were taken back.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.debugged: list[str] = []
        self.asked: list[Elicitation] = []
        self.stopped = 0
        self._answer: Asking | None = None

    def answers_with(self, answer: Asking) -> None:
        """How the next questions are answered; without it, all are declined."""
        self._answer = answer

    @property
    def notices(self) -> list[str]:
        return [each[1] for each in self.seen if each[0] == "notice"]

    @property
    def said(self) -> str:
        """Everything that a user could read."""
        return "\n".join([*map(str, self.seen), *self.debugged])

    def log(self, level: str, logger: str | None, data: Any) -> None:
        self.seen.append(("log", level, data))

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        self.seen.append(("progress", done, total, message))

    def notice(self, text: str) -> None:
        self.seen.append(("notice", text))

    def debug(self, text: str) -> None:
        self.debugged.append(text)

    async def elicit(self, asked: Elicitation) -> Answer:
        self.asked.append(asked)
        try:
            return await self._answer(asked) if self._answer else Answer(action="decline")
        except asyncio.CancelledError:
            self.stopped += 1
            raise


def answering(*answers: Answer) -> Asking:
    """Gives these answers, in turn."""
    waiting = list(answers)

    async def answer(_: Elicitation) -> Answer:
        return waiting.pop(0)

    return answer
