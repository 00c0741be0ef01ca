"""A question's way through, the same for every tool: whose calls, what it will cost, consent, reading."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.resolve import Elicit, Resolve

from tollbook.core.caller import current_caller
from tollbook.core.errors import UsageError
from tollbook.spend.query import Filter, Query
from tollbook.spend.report import Report
from tollbook.spend.sight import Sight
from tollbook.spend.window import Window, zone_of
from tollbook.tools.asking import Asker, Prepared, Question, Tell
from tollbook.tools.consent import GoOn, consent_to
from tollbook.tools.discretion import answer_to, prepare
from tollbook.tools.settings import ALL_REGIONS, Settings
from tollbook.tools.telling import while_telling

Result = TypeVar("Result")
Consent = ElicitationResult[GoOn]


class Asked(msgspec.Struct, frozen=True):
    """What every question says.

    Attributes:
        only: which calls are meant.
        zone: whose days are meant.
        log_group: where they are logged.
        now: when it was asked; aware.
        sight: what whoever asks may see: never nothing.
    """

    only: Filter
    zone: ZoneInfo
    log_group: str
    now: datetime
    sight: Sight


class Ready(msgspec.Struct, frozen=True):
    """A question, and what answering it will take."""

    question: Question
    prepared: Prepared


class Desk:
    """Takes questions. Its methods are resolvers of the SDK, which fills in a tool's arguments by their names."""

    def __init__(self, asker: Asker, settings: Settings, now: Callable[[], datetime]) -> None:
        self.settings: Final = settings
        self._asker, self._now = asker, now

    def asked(
        self, region: str, log_group_name: str, aws_account_id: str, tz: str, principal: str, model: str
    ) -> Asked:
        """What the arguments common to all questions come to.

        Raises:
            OutOfSight: whoever asks may see nothing.
            UsageError: there is no such time zone.
        """
        only = Filter("" if region == ALL_REGIONS else region, aws_account_id, principal.strip(), model.strip())
        sight = self.settings.sight.sight_to_ask_with(current_caller())
        return Asked(only, zone_of(tz), log_group_name, self._now(), sight)

    async def ready(
        self, asked: Asked, window: Window, by: tuple[str, ...], groups: tuple[str, ...] | None = None
    ) -> Ready:
        """The question about `window`, and what answering it will take.

        Args:
            by: the dimensions that rows must tell.
            groups: those to group by, if not all of these.

        Raises:
            TollbookError: what was asked makes no sense, or something cannot be read.
        """
        query = Query(window, by, asked.only, asked.sight)
        usual, who = self.settings.log_group, current_caller().subject
        question = Question(query, by if groups is None else groups, asked.log_group, usual, who)
        return Ready(question, await prepare(question, self._asker))

    def consent_to(self, prepared: Callable[..., Awaitable[Ready]]) -> Callable[..., Any]:
        """What asks for consent to the cost of what `prepared` resolves to."""

        async def consent(
            context: Context[Any, Any], ready: Annotated[Ready, Resolve(prepared)], max_scan_usd: float
        ) -> GoOn | Elicit[GoOn]:
            sight = ready.question.query.sight
            return consent_to(ready.prepared.estimate, sight, max_scan_usd, self.settings, context)

        return consent

    async def answer(
        self,
        context: Context[Any, Any],
        ready: Ready,
        consent: Consent,
        made_of: Callable[[Report], Awaitable[Result]],
    ) -> Result:
        """What is made of the report that answers the question, and the client told of it meanwhile.

        Raises:
            UsageError: nobody agreed to the cost.
            OutOfSight: the question names a principal, and no call that may be seen is of one.
            TollbookError: something cannot be read, or answered.
        """
        if not (isinstance(consent, AcceptedElicitation) and consent.data.go_on):
            raise UsageError(
                "Nothing was read, since nobody agreed to the cost. A shorter time or one region costs less."
            )

        async def work(tell: Tell) -> Result:
            return await made_of(await answer_to(ready.question, ready.prepared, tell))

        return await while_telling(context, self.settings, work)
