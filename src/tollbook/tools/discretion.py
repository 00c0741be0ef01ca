"""Questions of those who do not see all: on the way to an answer, too, they learn nothing of the rest.

What of the records is theirs, `spend.report` decides. Here it is how large the logs are, and what they are called.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tollbook.core.errors import SourceError, TollbookError, UsageError
from tollbook.core.text import printable
from tollbook.spend.report import Report
from tollbook.tools.asking import Asker, Prepared, Question, Stage, Tell
from tollbook.tools.sight import OutOfSight

_log: Final = logging.getLogger(__name__)
_WHOLE: Final = 100


async def prepare(question: Question, asker: Asker) -> Prepared:
    """What `asker` prepares.

    Raises:
        TollbookError: as `asker` does; to who does not see all, without the names in it.
    """
    with _without_names(question):
        return await asker.prepare(question)


async def answer_to(question: Question, prepared: Prepared, tell: Tell) -> Report:
    """What `prepared` answers.

    Raises:
        OutOfSight: the question names a principal, and no call that may be seen is of one.
        TollbookError: as `prepared` does; to who does not see all, without the names in it.
    """
    sight = question.query.sight
    if sight.is_all:
        return await prepared.answer(tell)
    shares = _Shares(tell)
    with _without_names(question):
        report = await prepared.answer(shares.tell)
    if report.query.sight != sight:
        raise RuntimeError("the answer is to another question")
    shares.tell(Stage(_WHOLE, _WHOLE, ""))
    principal = question.query.only.principal
    if principal and not report.rows:
        raise OutOfSight(
            f"You may see only {sight.words}; of those that were asked for, none is of a principal with '{principal}'. "
            "Leave principal out to count them all. For others' calls ask whoever runs this server."
        )
    return report


@contextmanager
def _without_names(question: Question) -> Iterator[None]:
    try:
        yield
    except TollbookError as fault:
        if question.query.sight.is_all:
            raise
        # What he asked for himself he may be told of; `more` names what there is besides.
        if isinstance(fault, UsageError) and not isinstance(fault, SourceError):
            raise UsageError(fault.message) from fault
        _log.warning("the logs cannot be read", extra={"reason": printable(str(fault))})
        raise SourceError(_UNREADABLE) from fault


_UNREADABLE: Final = "The logs cannot be read just now; why was logged. Ask whoever runs this server."


class _Shares:
    """Tells how far a reading has come, as a share of 100: neither its size nor what is read."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._told = -1

    def tell(self, stage: Stage) -> None:
        share = min(_WHOLE, int(_WHOLE * stage.done / stage.total)) if stage.total > 0 else 0
        if share > self._told:
            self._told = share
            self._tell(Stage(share, _WHOLE, f"read {share} % of the logs" if share else "reading the logs"))
