"""Questions of MCP clients, answered from logs on AWS."""

import threading
from collections.abc import Callable
from typing import Final, TypeVar

import anyio
import anyio.to_thread
import msgspec

from tollbook.app.aws import Asked, AwsBook
from tollbook.core.errors import SourceError, UsageError
from tollbook.core.text import printable
from tollbook.sources.reading import Estimate, Halted, Watch
from tollbook.sources.survey import Survey
from tollbook.spend.render.words import counted, measure
from tollbook.spend.report import Report
from tollbook.tools.asking import Prepared, Question, Stage, Tell

Result = TypeVar("Result")

_AT_ONCE: Final = 16  # questions; they mostly wait for AWS


class AwsAsker:
    """Answers questions from logs on AWS, each in a thread of its own. See `Asker`."""

    def __init__(self, book: AwsBook) -> None:
        self._book = book
        self._turns = anyio.CapacityLimiter(_AT_ONCE)

    def check(self) -> str:
        """Looks at what every question needs, before there is one; asks AWS for nothing.

        Raises:
            TollbookError: the prices, the names or the settings cannot be used.
        """
        self._book.check()
        return ""

    async def prepare(self, question: Question) -> Prepared:
        """See `Asker`. What is cancelled sends no further request to AWS.

        Raises:
            TollbookError: the place that is asked for is none of those that are read here, or cannot be read.
        """
        groups, only = self._book.log_groups, question.query.only
        if groups and question.log_group not in groups:
            raise UsageError(
                f"Log group {printable(question.log_group)} is not read here.", (f"There are {', '.join(groups)}.",)
            )
        asked = Asked(
            question.query,
            region=only.region,
            account=only.account,
            log_group=question.log_group if groups else "",
            subject=question.asker,
        )
        surveyed = await self.unless_cancelled(Watch(), lambda watch: self._survey(asked, watch))
        return _Surveyed(self, self._book, question, asked, surveyed)

    def _survey(self, asked: Asked, watch: Watch) -> Survey:
        try:
            self._book.names()
        except UsageError as fault:  # whoever runs the server can mend that, and nobody who asks
            raise SourceError(str(fault)) from fault
        return self._book.survey(asked, watch)

    async def unless_cancelled(self, watch: Watch, work: Callable[[Watch], Result]) -> Result:
        """Does `work` in a thread, and halts `watch` once nobody waits for it.

        Raises:
            TollbookError: as `work` does.
        """
        try:
            return await anyio.to_thread.run_sync(work, watch, abandon_on_cancel=True, limiter=self._turns)
        except Halted:
            raise SourceError("The reading was stopped. Ask again.") from None
        finally:
            watch.halt()


class _Surveyed(msgspec.Struct, frozen=True):
    """See `Prepared`."""

    asker: AwsAsker
    book: AwsBook
    question: Question
    asked: Asked
    surveyed: Survey

    @property
    def estimate(self) -> Estimate:
        return self.surveyed.estimate

    async def answer(self, tell: Tell) -> Report:
        words = _Words(len(self.surveyed.pieces), self.estimate.bytes)
        tell(Stage(0, words.total, words.beginning))
        watch = Watch(words.telling(tell))
        groups = self.book.log_groups
        always = []
        if not groups and self.question.log_group != self.question.usual_log_group:
            always.append(f"log_group_name {printable(self.question.log_group)} is not used: no log group is read here")
        return await self.asker.unless_cancelled(
            watch, lambda mine: self.book.report(self.surveyed, self.asked, self.question.by, mine, always)
        )


class _Words(msgspec.Struct, frozen=True):
    """What to call a reading of so many places and about so many bytes."""

    places: int
    total: int

    @property
    def beginning(self) -> str:
        return f"reading {counted(self.places, 'place')}{self._size}"

    @property
    def _size(self) -> str:
        return f", about {measure(self.total)}" if self.total else ""

    def telling(self, tell: Tell) -> Callable[[int, int], None]:
        """What a `Watch` takes."""
        lock, sums = threading.Lock(), [0, 0]

        def add(bytes_: int, records: int) -> None:
            with lock:
                sums[0] += bytes_
                sums[1] += records
                of_about = f" of about {measure(self.total)}" if self.total else ""
                message = f"read {measure(sums[0])}{of_about}, {counted(sums[1], 'record')}"
                # An estimate may be too low; and no progress is all of it before the answer is there.
                done = min(sums[0], self.total * 0.99) if self.total else sums[0]
                tell(Stage(done, self.total, message))

        return add
