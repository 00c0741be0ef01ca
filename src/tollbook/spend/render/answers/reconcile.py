"""An estimate beside a bill, in words."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from tollbook.core.text import printable
from tollbook.spend.answers.reconcile import Cause, CauseName, Reconciliation
from tollbook.spend.render.telling import Column, Grid, Telling
from tollbook.spend.render.words import counted, dollars, faults, percent, stretch
from tollbook.spend.window import start_of, zone_of

_MOST_NAMED: Final = 5


def telling_of_reconcile(found: Reconciliation) -> Telling:
    """`found` in words."""
    zone = zone_of("UTC")
    return Telling(
        title="Amazon Bedrock spend: our estimate beside AWS's bill",
        asked=stretch(start_of(found.since, zone), start_of(found.until, zone), zone),
        lead=_lead(found),
        sentences=tuple(_sentences(found)),
        grids=_grids(found),
        faults=tuple(faults(found.basis)),
        notes=(
            f"billed: Cost Explorer's unblended cost of {_whose(found)}, of all services with Bedrock in their name",
            *map(printable, found.basis.notes),
        ),
    )


def _lead(found: Reconciliation) -> str:
    estimate, usage = dollars(found.estimate_usd), dollars(found.usage_usd)
    if not found.usage_usd and not found.billed_usd:
        return f"AWS billed nothing for Bedrock, and our estimate is {estimate}."
    share = "" if found.difference_share is None else f" ({percent(abs(found.difference_share))} of what was billed)"
    if found.agrees:
        return f"Our estimate of {estimate} agrees with the {usage} that AWS billed for use{share}."
    size, more = dollars(abs(found.difference_usd)), "more" if found.difference_usd > 0 else "less"
    return f"AWS billed {usage} for use, {size} {more}{share} than our estimate of {estimate}."


def _sentences(found: Reconciliation) -> list[str]:
    sentences = [_SEEN[cause.cause].format(**_gaps(cause)) for cause in found.causes if cause.is_seen]
    possible = [_POSSIBLE[cause.cause] for cause in found.causes if not cause.is_seen]
    if possible:
        sentences.append(f"Possible besides, and not to be seen here: {'; '.join(possible)}.")
    return sentences


def _gaps(cause: Cause) -> Mapping[str, str]:
    named = ", ".join(map(printable, cause.what[:_MOST_NAMED]))
    rest = len(cause.what) - _MOST_NAMED
    return {
        "usd": _signed(cause.usd or Decimal(0)),
        "what": f"{named} and {rest} more" if rest > 0 else named,
        "days": counted(len(cause.what), "day"),
    }


def _signed(amount: Decimal) -> str:
    return f"{'+' if amount > 0 else ''}{dollars(amount)}"


def _whose(found: Reconciliation) -> str:
    if not found.accounts:
        return "every account whose bill the credentials may see"
    return f"{'account' if len(found.accounts) == 1 else 'accounts'} {', '.join(found.accounts)}"


_SEEN: Final[Mapping[CauseName, str]] = {
    "adjustments": "{usd}: charges that are not for use ({what}), which the estimate does not know.",
    "not_settled": "{days} may still grow in Cost Explorer, which takes up to 48 hours: {what}.",
    "unpriced": "Unpriced in the estimate, and perhaps billed: {what}.",
    "unread": "Missing from the estimate, since it could not be read: {what}.",
    "days_without_logs": "{usd}: billed on {days} without a logged call, so logging was off or not yet on: {what}.",
    "other_services": "{usd}: services whose use is not in these logs: {what}.",
    "provisioned": "Provisioned throughput is billed by the hour, and no call of it has a price here: {what}.",
    "assumed_prices": "Some prices are assumed: {what}.",
}
_POSSIBLE: Final[Mapping[CauseName, str]] = {
    "not_logged": "bedrock-mantle, batch, asynchronous and bidirectional calls, which are never in these logs",
    "other_regions": "regions or accounts where logging is off, or that are not read",
    "other_features": "guardrails, knowledge bases, agents and evaluations",
    "provisioned": "provisioned throughput",
    "private_prices": "prices agreed with AWS, free tiers, or use that is billed on another day",
}


def _grids(found: Reconciliation) -> tuple[Grid, ...]:
    money = (Column("estimate", "usd"), Column("billed for use", "usd"), Column("billed in all", "usd", is_detail=True))
    days = Grid(
        "by day (UTC)",
        (Column("day", "day"), Column("calls", "count", is_detail=True), *money, Column("difference", "change")),
        tuple(
            (day.day, day.calls, day.estimate_usd, day.usage_usd, day.billed_usd, day.difference_usd)
            for day in found.days
        ),
        (
            "total",
            sum(day.calls for day in found.days),
            found.estimate_usd,
            found.usage_usd,
            found.billed_usd,
            found.difference_usd,
        ),
    )
    services = Grid(
        "by service",
        (Column("service", "name"), *money, Column("difference", "change")),
        tuple(
            (printable(each.service), each.estimate_usd, each.usage_usd, each.billed_usd, each.difference_usd)
            for each in found.services
        ),
    )
    kinds = Grid(
        "charges that are not for use",
        (Column("kind", "name"), Column("amount", "change")),
        tuple((printable(each.kind), each.usd) for each in found.adjustments),
    )
    return (days, services, *((kinds,) if found.adjustments else ()))
