"""What AWS billed for Bedrock, from Cost Explorer.

Source: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_GetCostAndUsage.html
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from tollbook.core.errors import SourceError
from tollbook.sources.aws.patience import patiently
from tollbook.sources.aws.trouble import Trouble, translated
from tollbook.sources.reading import Watch
from tollbook.spend.answers.reconcile import Bill, Billed, is_bedrock

ACTION: Final = "ce:GetCostAndUsage"

USD_A_REQUEST: Final = Decimal("0.01")
"""Each page is a request. Source: https://aws.amazon.com/aws-cost-management/aws-cost-explorer/pricing/"""

ENDPOINTS: Final[Mapping[str, str]] = {"aws": "us-east-1", "aws-cn": "cn-northwest-1"}
"""The region whose endpoint answers for a partition. Costs of others are seen in an account of the first.

Source: https://docs.aws.amazon.com/general/latest/gr/billing.html
"""

_COST: Final = "UnblendedCost"
_MOST_PAGES: Final = 50
_WHAT: Final = "the bill in Cost Explorer"


def bill_of(client: Any, since: date, until: date, as_of: date, accounts: Sequence[str], watch: Watch) -> Bill:
    """What was billed for Bedrock from `since` until before `until`, days of UTC.

    Args:
        client: boto3's of `ce`.
        as_of: the day of UTC that it is.
        accounts: whose; empty for all whose bill the credentials may see: of an organization's management account,
            every member's.

    Raises:
        SourceError: Cost Explorer refuses or fails, or counts in another currency than US dollars.
        Halted: see `Watch`.
    """
    asked: dict[str, Any] = {
        "TimePeriod": {"Start": since.isoformat(), "End": until.isoformat()},
        "Granularity": "DAILY",
        "Metrics": [_COST],
        # Two are the most that it takes. "Charge type" is what the console calls the second.
        "GroupBy": [{"Type": "DIMENSION", "Key": key} for key in ("SERVICE", "RECORD_TYPE")],
    }
    if accounts:
        asked["Filter"] = {"Dimensions": {"Key": "LINKED_ACCOUNT", "Values": list(accounts)}}
    lines: list[Billed] = []
    requests, page = 0, ""
    while not requests or page:
        if requests >= _MOST_PAGES:
            raise SourceError(f"Cost Explorer answers in more than {_MOST_PAGES} pages. Ask for fewer days.")
        answer = _page(client, {**asked, **({"NextPageToken": page} if page else {})}, watch)
        requests += 1
        lines += _lines(answer)
        page = str(answer.get("NextPageToken") or "")
    return Bill(since, until, as_of, tuple(lines), tuple(accounts), requests)


def _page(client: Any, asked: Mapping[str, Any], watch: Watch) -> Mapping[str, Any]:
    with translated(_WHAT, ACTION):
        answer: Mapping[str, Any] = patiently(lambda: client.get_cost_and_usage(**asked), watch)
    return answer


def _lines(answer: Mapping[str, Any]) -> Iterator[Billed]:
    try:
        for period in answer["ResultsByTime"]:
            day = date.fromisoformat(period["TimePeriod"]["Start"])
            for group in period["Groups"]:
                service, kind = group["Keys"]
                cost = group["Metrics"][_COST]
                if not is_bedrock(service):
                    continue
                if cost["Unit"] != "USD":
                    raise Trouble(
                        "Cost Explorer counts in another currency than US dollars here, so the bill cannot be compared "
                        "with prices in dollars.",
                        action=ACTION,
                    )
                amount = Decimal(cost["Amount"])
                if not amount.is_finite():
                    raise ValueError(amount)
                yield Billed(day, service, amount, kind)
    except (KeyError, ValueError, TypeError, InvalidOperation) as fault:
        raise Trouble("Cost Explorer's answer is not of the form that is known. Update tollbook.", action=ACTION) from (
            fault
        )
