"""A plan as text: for a terminal of a hundred columns, a ticket or a review. Pure."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from tollbook.core.text import printable
from tollbook.deploy.found import bootstrap_of
from tollbook.deploy.plan.changes import Change
from tollbook.deploy.plan.costs import CALLS, READ, REGION, assumed, unknown
from tollbook.deploy.plan.permissions import Permissions
from tollbook.deploy.plan.planning import Plan

WIDTH: Final = 100
"""Columns; more is hard to read."""
_NARROWEST: Final = 40
_INDENT: Final = "  "
_LONGEST_VALUE: Final = 40


class _Long(NamedTuple):
    """What may need several lines: `text` after `start`, and below it as far to the right."""

    start: str
    text: str


_Lines = Iterator[str | _Long]


def lines(plan: Plan, columns: int = WIDTH) -> Iterator[str]:
    """What `tollbook deploy --dry-run` prints, and what is shown before something new is made."""
    return _folded(_whole(plan), columns)


def brief(plan: Plan, columns: int = WIDTH) -> Iterator[str]:
    """What is shown before something changes that is there."""
    return _folded(_brief(plan), columns)


def _folded(written: _Lines, columns: int) -> Iterator[str]:
    for each in written:
        if isinstance(each, str):
            yield each
        else:
            yield from textwrap.wrap(
                printable(each.text),
                max(_NARROWEST, min(columns, WIDTH)),
                initial_indent=each.start,
                subsequent_indent=" " * len(each.start),
                break_on_hyphens=False,
            )


def _whole(plan: Plan) -> _Lines:
    yield from _brief(plan)
    yield ""
    yield from _costs(plan)
    yield ""
    yield from _permissions(plan.permissions)
    yield ""
    yield "What it does not do"
    for sentence in _not_done(plan):
        yield _point(sentence)


def _brief(plan: Plan) -> _Lines:
    yield f"{plan.stack} in {plan.region}, account {plan.account}: {_about(plan)}"
    if plan.changes:
        yield ""
        yield "What will be made" if plan.is_new else "What will change"
        yield from (_made if plan.is_new else _changed)(plan.changes)
    yield ""
    yield "What to know"
    for note in plan.notes:
        yield _point(note)


def _about(plan: Plan) -> str:
    if plan.is_new:
        return "a new stack"
    if plan.changes:
        return "a change"
    return "nothing to change, and somebody to invite" if plan.first_user else "nothing to change"


def _made(changes: Sequence[Change]) -> _Lines:
    parts = [change.what.partition(": ") for change in changes]
    width = max(len(service) for service, _, _ in parts) + 2
    for service, _, what in parts:
        yield _Long(f"{_INDENT}{service:<{width}}", what)


def _changed(changes: Sequence[Change]) -> _Lines:
    for change in changes:
        start = f"{_INDENT}{change.kind:<8}"
        said = f"{change.what}: {_value(change.before)} -> {_value(change.after)}"
        is_said = bool(change.before or change.after)
        yield _Long(start, said if is_said else change.what)
        if change.effect:
            yield _Long(" " * len(start), change.effect)


def _value(text: str) -> str:
    if not text:
        return "(not set)"
    if "@sha256:" in text:  # of an image, the beginning of its digest
        return f"…@sha256:{text.partition('@sha256:')[2][:12]}…"
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _costs(plan: Plan) -> _Lines:
    costs = plan.costs
    titles = [f"{calls:,} calls" for calls in CALLS]
    rows = [(each.service, each.dollars) for each in costs.services]
    name = max(len(service) for service, _ in rows)
    width = max(map(len, titles)) + 3
    yield f"What it may cost a month, in dollars (list prices of {REGION} known in {READ})"
    yield f"{_INDENT}{'':<{name}}{''.join(f'{title:>{width}}' for title in titles)}"
    for service, dollars in (*rows, ("in all", costs.total)):
        yield f"{_INDENT}{service:<{name}}{''.join(f'{_money(each):>{width}}' for each in dollars)}"
    guesses = "; ".join(assumed(plan.parameters, builds=plan.builds))
    yield _Long(_INDENT, f"Assumed: {guesses}.")
    yield _Long(_INDENT, f"Not in it: {'; '.join(unknown(plan.parameters))}. Free tiers are left out.")


def _money(dollars: Decimal) -> str:
    return "less than 0.01" if 0 < dollars < Decimal("0.01") else f"{dollars:,.2f}"


def _permissions(permissions: Permissions) -> _Lines:
    services = Counter(action.partition(":")[0] for action in permissions.actions)
    yield f"What whoever deploys must be allowed: {len(permissions.actions)} actions"
    yield _Long(_INDENT, ", ".join(f"{service} {number}" for service, number in services.items()))
    yield _Long(_INDENT, "The same command with --permissions prints them as a policy.")


def _not_done(plan: Plan) -> Iterator[str]:
    others = ", and the account's role for logs of API Gateway" if plan.parameters["ApiLogRole"] == "yes" else ""
    stacks = f"stacks {plan.stack} and {bootstrap_of(plan.stack)}" if plan.builds else f"stack {plan.stack}"
    yield f"It touches nothing but the {stacks}{others}."
    if not plan.parameters["App"]:
        yield "It does not switch on the logging of Bedrock: 'tollbook doctor' tells whether that is on, and how to."
    yield "It deletes no data: table, bucket, user pool and logs outlive the stack, until 'tollbook destroy'."


def _point(sentence: str) -> _Long:
    return _Long(f"{_INDENT}- ", sentence)
