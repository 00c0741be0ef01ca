"""Our estimate beside what AWS billed, and what the difference is made of.

The estimate is at list price and holds what the logs hold. The bill holds all that AWS counts under Bedrock's name,
and what it takes off or adds. Causes that the figures show are told apart from those that are only possible.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, Literal

import msgspec

from tollbook.core.errors import UsageError
from tollbook.spend.answers.basis import Basis, basis_of
from tollbook.spend.answers.money import CENT, adding_up_to, total, usd
from tollbook.spend.model import label
from tollbook.spend.pricing import Status
from tollbook.spend.report import Report, local_day

RECONCILE_BY: Final = ("day", "model")
"""The dimensions that a report must have. It must be of UTC, whose days Cost Explorer counts."""

BEDROCK: Final = "Amazon Bedrock"
USAGE: Final = "Usage"

# Use at its own price; what a plan takes off it again stands as a charge of its own kind. Source:
# https://docs.aws.amazon.com/cost-management/latest/userguide/ce-filtering.html (Charge type)
_USE: Final = frozenset(
    {USAGE, "DiscountedUsage", "SavingsPlanCoveredUsage", "Savings Plan Covered Usage", "Discounted Usage"}
)
# "Claude Sonnet 4.5 (Amazon Bedrock Edition)": models that the AWS Marketplace sells.
_EDITION: Final = re.compile(r"(.+?) *\((?:Amazon )?Bedrock Edition\)", re.IGNORECASE)
# Cost Explorer refreshes its figures at least once a day, and some come later:
# https://docs.aws.amazon.com/cost-management/latest/userguide/ce-what-is.html
_SETTLES_IN: Final = timedelta(days=3)  # from a day's beginning: itself, and the two after it
_AGREES_WITHIN: Final = Decimal("0.01")


class Billed(msgspec.Struct, frozen=True):
    """A line of a bill.

    Attributes:
        day: of UTC.
        service: as Cost Explorer calls it.
        kind: of charge: `Usage`, `Credit`, `Tax`, …
    """

    day: date
    service: str
    usd: Decimal
    kind: str = USAGE


class Bill(msgspec.Struct, frozen=True):
    """What AWS billed for Bedrock.

    Attributes:
        since, until: days of UTC; the last is not in it.
        as_of: the day of UTC on which it was asked for.
        accounts: whose; empty for all that whoever asked may see the bill of.
        requests: that it took, at `sources.aws.billed.USD_A_REQUEST` each.
    """

    since: date
    until: date
    as_of: date
    lines: tuple[Billed, ...]
    accounts: tuple[str, ...] = ()
    requests: int = 0


CauseName = Literal[
    "adjustments",
    "not_settled",
    "unpriced",
    "unread",
    "days_without_logs",
    "other_services",
    "provisioned",
    "assumed_prices",
    "not_logged",
    "other_regions",
    "other_features",
    "private_prices",
]
"""What a difference may come from.

    adjustments        credits, discounts, refunds, taxes: all charges that are not for use
    not_settled        days so young that Cost Explorer may still add to them
    unpriced           calls in the logs that no source gives a price for
    unread             logs that could not be read
    days_without_logs  days with a bill and without a logged call: logging was off, or switched on later
    other_services     services with Bedrock in their name whose use the logs do not hold, such as AgentCore
    provisioned        provisioned throughput is billed by the hour, whatever is called
    assumed_prices     priced by an assumption, see `Status`
    not_logged         bedrock-mantle, batch, asynchronous and bidirectional calls: never in these logs
    other_regions      logging is switched on for each region and account by itself
    other_features     guardrails, knowledge bases, agents, evaluations: billed as Bedrock, and no calls of models
    private_prices     prices agreed with AWS, free tiers
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What a difference may come from.

    Attributes:
        is_seen: the figures show that it applies; otherwise it is only possible.
        usd: how much of the difference it makes up, where that is known.
        what: the names, days, calls or kinds that show it.
    """

    cause: CauseName
    is_seen: bool
    usd: Decimal | None
    what: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBeside:
    """A day of UTC.

    Attributes:
        estimate_usd: of what the logs hold, at list price.
        usage_usd: billed for use, before what is taken off or added.
        billed_usd: all that was billed.
        difference_usd: billed for use less estimate.
        is_settled: old enough for Cost Explorer to have all of it.
    """

    day: date
    calls: int
    estimate_usd: Decimal
    usage_usd: Decimal
    billed_usd: Decimal
    difference_usd: Decimal
    is_settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceBeside:
    """A service of the bill.

    Attributes:
        estimate_usd: of the models that are billed under it; None where the logs hold none of its use.
        difference_usd: billed for use less estimate; None without one.
    """

    service: str
    estimate_usd: Decimal | None
    usage_usd: Decimal
    billed_usd: Decimal
    difference_usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """What was taken off or added, by its kind in Cost Explorer."""

    kind: str
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """An estimate beside a bill.

    Attributes:
        since, until: the days of UTC that were compared; the last is not among them.
        accounts: whose bill it is; empty for all that could be seen.
        estimate_usd: of what the logs hold, at list price.
        usage_usd: billed for use, before what is taken off or added.
        billed_usd: all that was billed.
        difference_usd: billed for use less estimate. What was taken off or added is in `adjustments`.
        difference_share: that in what was billed for use; None where nothing was.
        agrees: whether the difference is within a hundredth of what was billed for use, or a cent.
        services: in order of what was billed.
        causes: those that are seen first, the largest amounts first.
    """

    basis: Basis
    since: date
    until: date
    accounts: tuple[str, ...]
    estimate_usd: Decimal
    usage_usd: Decimal
    billed_usd: Decimal
    difference_usd: Decimal
    difference_share: Decimal | None
    agrees: bool
    adjustments: tuple[Adjustment, ...]
    days: tuple[DayBeside, ...]
    services: tuple[ServiceBeside, ...]
    causes: tuple[Cause, ...]
    schema: Literal["tollbook.reconcile/1"] = "tollbook.reconcile/1"


def is_bedrock(service: str) -> bool:
    """Whether what Cost Explorer calls `service` is counted as Bedrock: its models are billed under many names."""
    return "bedrock" in service.casefold()


def check_comparable(report_tz: str, *, sees_all: bool, filtered_by: Sequence[str] = ()) -> None:
    """What can be asked before anything is read.

    Args:
        report_tz: the IANA name of the zone whose days are counted.
        sees_all: whether whoever asks sees all calls.
        filtered_by: dimensions by which calls are left out.

    Raises:
        UsageError: the two cannot be compared.
    """
    if not sees_all:
        raise UsageError("The bill is everybody's, so only somebody who sees all calls may compare with it.")
    if report_tz not in ("UTC", "Etc/UTC"):
        raise UsageError(f"Cost Explorer counts days of UTC, not of {report_tz}. Ask for the time zone UTC.")
    if others := [name for name in filtered_by if name != "account"]:
        raise UsageError(f"The bill is not told apart by {' or '.join(others)}. Compare without that filter.")


def reconciliation_of(report: Report, bill: Bill) -> Reconciliation:
    """`report` beside `bill`, on the days that both hold. The report is by `RECONCILE_BY`.

    Raises:
        UsageError: see `check_comparable`; or they have no day in common.
    """
    query = report.query
    check_comparable(query.window.zone.key, sees_all=query.sight.is_all, filtered_by=query.only.dimensions)
    days = [day for day in report.days if bill.since <= day < bill.until]
    if not days:
        raise UsageError("The logs and the bill have no day in common. Ask for other days.")
    # Cost Explorer has ten digits. Rounded one by one, they add up however they are put together.
    lines = [
        msgspec.structs.replace(line, usd=usd(line.usd))
        for line in bill.lines
        if line.day in set(days) and is_bedrock(line.service)
    ]
    by_day = _by_day(report, days, lines, bill.as_of)
    estimate = total(day.estimate_usd for day in by_day)
    usage, billed = (total(getattr(day, name) for day in by_day) for name in ("usage_usd", "billed_usd"))
    difference = usage - estimate
    services, adjustments = _by_service(report, set(days), lines, estimate), _adjustments(lines)
    agrees = abs(difference) <= max(CENT, usage * _AGREES_WITHIN)
    causes = [*_seen(report, by_day, services, adjustments)]
    if not agrees:
        causes += _possible(is_more=difference > 0, seen={cause.cause for cause in causes})
    return Reconciliation(
        basis=basis_of(report),
        since=days[0],
        until=days[-1] + timedelta(days=1),
        accounts=bill.accounts,
        estimate_usd=estimate,
        usage_usd=usage,
        billed_usd=billed,
        difference_usd=difference,
        difference_share=(difference / usage).quantize(Decimal("0.0001")) if usage else None,
        agrees=agrees,
        adjustments=adjustments,
        days=by_day,
        services=services,
        causes=tuple(sorted(causes, key=lambda cause: (not cause.is_seen, -abs(cause.usd or Decimal(0))))),
    )


def _by_day(report: Report, days: Sequence[date], lines: Sequence[Billed], as_of: date) -> tuple[DayBeside, ...]:
    calls: dict[date, int] = defaultdict(int)
    estimates, usage, billed = (defaultdict[date, Decimal](Decimal) for _ in range(3))
    for row in report.rows:
        day = local_day(row.usage_row.key.start, report.query)
        calls[day] += row.usage_row.usage.calls
        estimates[day] += row.usd or 0
    for line in lines:
        billed[line.day] += line.usd
        usage[line.day] += line.usd if line.kind in _USE else 0
    exact = [estimates[day] for day in days]
    return tuple(
        DayBeside(
            day=day,
            calls=calls[day],
            estimate_usd=estimate,
            usage_usd=usd(usage[day]),
            billed_usd=usd(billed[day]),
            difference_usd=usd(usage[day]) - estimate,
            is_settled=day + _SETTLES_IN <= as_of,
        )
        for day, estimate in zip(days, adding_up_to(usd(total(exact)), exact), strict=True)
    )


def _by_service(
    report: Report, days: Set[date], lines: Sequence[Billed], estimate: Decimal
) -> tuple[ServiceBeside, ...]:
    """
    Args:
        estimate: what those of the services add up to.
    """
    usage, billed = (defaultdict[str, Decimal](Decimal) for _ in range(2))
    for line in lines:
        billed[line.service] += line.usd
        usage[line.service] += line.usd if line.kind in _USE else 0
    # Of models that the Marketplace sells, the service is named after the model.
    editions = {name[1].casefold(): service for service in sorted(billed) if (name := _EDITION.fullmatch(service))}
    estimates: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in report.rows:
        if row.usd is not None and local_day(row.usage_row.key.start, report.query) in days:
            estimates[editions.get(label(row.model.id).casefold(), BEDROCK)] += row.usd
    names = sorted(estimates)
    if names:
        amounts = adding_up_to(estimate, [estimates[name] for name in names])
        estimates.update(zip(names, amounts, strict=True))
    found = [
        _service(service, estimates.get(service), usage[service], billed[service]) for service in {*billed, *estimates}
    ]
    return tuple(sorted(found, key=lambda each: (-each.billed_usd, each.service)))


def _service(service: str, estimate: Decimal | None, usage: Decimal, billed: Decimal) -> ServiceBeside:
    return ServiceBeside(
        service=service,
        estimate_usd=None if estimate is None else usd(estimate),
        usage_usd=usd(usage),
        billed_usd=usd(billed),
        difference_usd=None if estimate is None else usd(usage) - usd(estimate),
    )


def _adjustments(lines: Sequence[Billed]) -> tuple[Adjustment, ...]:
    kinds: dict[str, Decimal] = defaultdict(Decimal)
    for line in lines:
        if line.kind not in _USE:
            kinds[line.kind] += line.usd
    found = [Adjustment(kind=kind, usd=usd(amount)) for kind, amount in kinds.items()]
    return tuple(sorted(found, key=lambda each: (-abs(each.usd), each.kind)))


def _seen(
    report: Report, days: Sequence[DayBeside], services: Sequence[ServiceBeside], adjustments: Sequence[Adjustment]
) -> Iterator[Cause]:
    """What the figures show."""
    if adjustments:
        yield _is_seen("adjustments", (each.kind for each in adjustments), total(each.usd for each in adjustments))
    if young := [str(day.day) for day in days if not day.is_settled]:
        yield _is_seen("not_settled", young)
    if bare := [day for day in days if not day.calls and day.usage_usd >= CENT]:
        yield _is_seen("days_without_logs", (str(day.day) for day in bare), total(day.usage_usd for day in bare))
    others = [each for each in services if each.estimate_usd is None and each.service != BEDROCK]
    if any(each.usage_usd for each in others):
        yield _is_seen("other_services", (each.service for each in others), total(each.usage_usd for each in others))
    if report.unpriced:
        yield _is_seen("unpriced", dict.fromkeys(entry.model for entry in report.unpriced))
    if report.unread:
        yield _is_seen("unread", report.unread)
    if provisioned := {row.model.id for row in report.rows if row.model.kind == "provisioned"}:
        yield _is_seen("provisioned", sorted(provisioned))
    if assumed := report.total.statuses - {Status.EXACT, Status.UNPRICED}:
        yield _is_seen("assumed_prices", sorted(assumed))


def _is_seen(cause: CauseName, what: Iterable[str], amount: Decimal | None = None) -> Cause:
    return Cause(cause=cause, is_seen=True, usd=amount, what=tuple(what))


def _possible(*, is_more: bool, seen: Set[str]) -> Iterator[Cause]:
    """What may lie behind what is left.

    Args:
        is_more: more was billed than estimated.
    """
    for cause in _OF_MORE if is_more else _OF_LESS:
        if cause not in seen:
            yield Cause(cause=cause, is_seen=False, usd=None)


_OF_MORE: Final[tuple[CauseName, ...]] = ("not_logged", "other_regions", "other_features", "provisioned")
_OF_LESS: Final[tuple[CauseName, ...]] = ("private_prices",)
