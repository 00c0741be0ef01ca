"""The estimate beside the bill, as a tool."""

from datetime import timedelta
from typing import Final

from tollbook.spend.answers.reconcile import RECONCILE_BY, Reconciliation, check_comparable, reconciliation_of
from tollbook.spend.report import Report
from tollbook.spend.window import last_days
from tollbook.tools.answers.names import RECONCILE
from tollbook.tools.answers.offer import Wanted, computed, offer
from tollbook.tools.arguments import Days
from tollbook.tools.asking import Biller
from tollbook.tools.desk import Asked, Desk
from tollbook.tools.sight import OutOfSight
from tollbook.tools.surface import Surface

_DAY: Final = timedelta(days=1)
_DESCRIPTION: Final = """\
Compares the estimate from Bedrock's logs with what AWS billed (Cost Explorer, $0.01 a request): by UTC day and by
service, the difference, and its causes, seen or possible.

Use it for "does this agree with our bill". Not for what teams or models cost (get_bedrock_usage_report): a bill does
not tell them apart, so leave principal, model and region out. Only for callers who see all calls."""


def add(surface: Surface, desk: Desk, biller: Biller) -> None:
    """Offers the tool."""

    def question(asked: Asked, days: Days = 30) -> Wanted:
        if not asked.sight.is_all:
            raise OutOfSight(
                f"You may see only {asked.sight.words}, and a bill is everybody's. Ask whoever runs this server to "
                "compare them."
            )
        check_comparable(asked.zone.key, sees_all=True, filtered_by=asked.only.dimensions)

        async def answer(report: Report) -> Reconciliation:
            bill = await biller.bill(report.days[0], report.days[-1] + _DAY, asked.only.account)
            return await computed(reconciliation_of, report, bill)

        return Wanted(last_days(days, asked.now, asked.zone), RECONCILE_BY, answer)

    offer(
        surface,
        desk,
        question,
        Reconciliation,
        name=RECONCILE,
        title="Bedrock estimate beside the AWS bill",
        description=_DESCRIPTION,
    )
