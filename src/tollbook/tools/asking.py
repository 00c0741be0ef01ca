"""What the tools need of whoever reads the logs.

A new source of logs implements `Asker`; the tools do not change.
"""

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Protocol

import msgspec

from tollbook.sources.reading import Estimate
from tollbook.spend.query import Query
from tollbook.spend.report import Report

if TYPE_CHECKING:
    from tollbook.spend.answers.reconcile import Bill


class Question(msgspec.Struct, frozen=True):
    """What a report is to answer.

    Attributes:
        by: the dimensions to group by, among the query's.
        asker: who asks, as others may know him; empty where nobody is known.
        log_group: the CloudWatch log group meant.
        usual_log_group: the one that is meant where a question names none.
    """

    query: Query
    by: tuple[str, ...]
    log_group: str
    usual_log_group: str
    asker: str = ""


class Stage(msgspec.Struct, frozen=True):
    """How far a reading has come.

    Attributes:
        done, total: bytes, or whatever the source counts; a total of 0 is not known.
        message: the same in words.
    """

    done: float
    total: float
    message: str


Tell = Callable[[Stage], None]
"""Takes the latest stage, from any thread and as often as one likes."""


class Prepared(Protocol):
    """A question whose cost is known, and that is still to be answered.

    Attributes:
        estimate: what reading will come to.
    """

    @property
    def estimate(self) -> Estimate: ...

    async def answer(self, tell: Tell) -> Report:
        """Reads what the question needs. The first stage it tells says what will be read.

        If it is cancelled, whatever reads for it stops soon.

        Raises:
            TollbookError: something cannot be read.
        """
        ...


class Asker(Protocol):
    """Answers questions from logs."""

    async def prepare(self, question: Question) -> Prepared:
        """Finds out what answering will take.

        Raises:
            TollbookError: what was asked makes no sense, or something cannot be read.
        """
        ...


class Biller(Protocol):
    """Knows what AWS billed."""

    async def bill(self, since: date, until: date, account: str) -> "Bill":
        """What was billed for Bedrock from `since` to just before `until`, days of UTC.

        Args:
            account: the only one that is meant; empty for all.

        Raises:
            TollbookError: that cannot be found out.
        """
        ...
