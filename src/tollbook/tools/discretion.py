"""Questions of those who do not see all: on the way to an answer, too, they learn nothing of the rest.

What of the records is theirs, `spend.report` decides. Here it is how large the logs are, and what they are called.
"""

import logging
from typing import Final

from tollbook.core.errors import SourceError, TollbookError, UsageError
from tollbook.core.text import printable
from tollbook.spend.report import Report
from tollbook.tools.asking import Asker, Question, Stage, Tell
from tollbook.tools.sight import OutOfSight

_log: Final = logging.getLogger(__name__)
_WHOLE: Final = 100


async def answer_to(question: Question, asker: Asker, tell: Tell) -> Report:
    """What `asker` answers.

    Raises:
        OutOfSight: the question names a principal, and no call that may be seen is of one.
        TollbookError: as `asker` does; to who does not see all, without the names in it.
    """
    sight = question.query.sight
    if sight.is_all:
        return await asker.ask(question, tell)
    shares = _Shares(tell)
    try:
        report = await asker.ask(question, shares.tell)
    except UsageError:
        raise
    except TollbookError as fault:
        _log.warning("the logs cannot be read", extra={"reason": printable(str(fault))})
        raise SourceError(_UNREADABLE) from fault
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
