"""A plan as text: for a terminal of a hundred columns, a ticket or a review. Pure."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from tollbook.core.text import printable
from tollbook.deploy.plan.changes import Change
from tollbook.deploy.plan.costs import CALLS, READ, REGION, UNKNOWN, USE, Costs
from tollbook.deploy.plan.permissions import Permissions
from tollbook.deploy.plan.planning import Plan

WIDTH: Final = 100
_INDENT: Final = "  "
_LONGEST_VALUE: Final = 40


def lines(plan: Plan) -> Iterator[str]:
    """What `tollbook deploy --dry-run` prints, and what is shown before something new is made."""
    yield from brief(plan)
    yield ""
    yield from _costs(plan.costs)
    yield ""
    yield from _permissions(plan.permissions)
    yield ""
    yield "What it does not do"
    for sentence in _not_done(plan):
        yield from _point(sentence)


def brief(plan: Plan) -> Iterator[str]:
    """What is shown before something changes that is there."""
    yield f"{plan.stack} in {plan.region}, account {plan.account}: {_about(plan)}"
    if plan.changes:
        yield ""
        yield "What will be made" if plan.is_new else "What will change"
        yield from (_made if plan.is_new else _changed)(plan.changes)
    yield ""
    yield "What to know"
    for note in plan.notes:
        yield from _point(note)


def _about(plan: Plan) -> str:
    if plan.is_new:
        return "a new stack"
    return "a change" if plan.changes else "nothing to change"


def _made(changes: Sequence[Change]) -> Iterator[str]:
    parts = [change.what.partition(": ") for change in changes]
    width = max(len(service) for service, _, _ in parts) + 2
    for service, _, what in parts:
        yield from _wrapped(what, f"{_INDENT}{service:<{width}}")


def _changed(changes: Sequence[Change]) -> Iterator[str]:
    for change in changes:
        start = f"{_INDENT}{change.kind:<8}"
        said = f"{change.what}: {_value(change.before)} -> {_value(change.after)}"
        is_said = bool(change.before or change.after)
        yield from _wrapped(said if is_said else change.what, start)
        if change.effect:
            yield from _wrapped(change.effect, " " * len(start))


def _value(text: str) -> str:
    if not text:
        return "(not set)"
    if "@sha256:" in text:  # of an image, the beginning of its digest
        return f"…@sha256:{text.partition('@sha256:')[2][:12]}…"
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _costs(costs: Costs) -> Iterator[str]:
    titles = [f"{calls:,} calls" for calls in CALLS]
    rows = [(each.service, each.dollars) for each in costs.services]
    name = max(len(service) for service, _ in rows)
    width = max(map(len, titles)) + 3
    yield f"What it may cost a month, in dollars at list price ({REGION}, {READ})"
    yield f"{_INDENT}{'':<{name}}{''.join(f'{title:>{width}}' for title in titles)}"
    for service, dollars in (*rows, ("in all", costs.total)):
        yield f"{_INDENT}{service:<{name}}{''.join(f'{_money(each):>{width}}' for each in dollars)}"
    assumed = "; ".join(f"{use.value:,} {use.what}" for use in USE.values())
    yield from _wrapped(f"Assumed: {assumed}.", _INDENT)
    yield from _wrapped(f"Not in it: {'; '.join(UNKNOWN)}. Free tiers are left out.", _INDENT)


def _money(dollars: Decimal) -> str:
    return "less than 0.01" if 0 < dollars < Decimal("0.01") else f"{dollars:,.2f}"


def _permissions(permissions: Permissions) -> Iterator[str]:
    services = Counter(action.partition(":")[0] for action in permissions.actions)
    yield f"What whoever deploys must be allowed: {len(permissions.actions)} actions"
    yield from _wrapped(", ".join(f"{service} {number}" for service, number in services.items()), _INDENT)
    yield from _wrapped("'tollbook deploy --permissions' prints them as a policy.", _INDENT)


def _not_done(plan: Plan) -> Iterator[str]:
    others = ", and the account's role for logs of API Gateway" if plan.parameters["ApiLogRole"] == "yes" else ""
    yield f"It touches nothing but the stacks {plan.stack} and {plan.stack}-bootstrap{others}."
    yield "It does not switch on the logging of Bedrock: 'tollbook doctor' tells whether that is on, and how to."
    yield "It deletes no data: table, bucket, user pool and logs outlive the stack, until 'tollbook destroy'."


def _point(sentence: str) -> Iterator[str]:
    return _wrapped(sentence, f"{_INDENT}- ")


def _wrapped(text: str, start: str) -> Iterator[str]:
    """`text` after `start`, and below it as far to the right."""
    yield from textwrap.wrap(
        printable(text),
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_on_hyphens=False,
    )
