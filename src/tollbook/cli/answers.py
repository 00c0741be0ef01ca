"""`tollbook explain`, `forecast`, `anomalies`, `what-if`, `budget`, `hygiene` and `reconcile`."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tollbook.cli import asking
from tollbook.core.errors import SourceError, UsageError
from tollbook.core.text import printable
from tollbook.spend.query import Filter

if TYPE_CHECKING:
    from tollbook.app.answers import Answers
    from tollbook.spend.answers.budgets import Burn
    from tollbook.spend.render.answers import Answer

_FORMATS: Final = ("table", "text", "json", "markdown")
_LINES: Final = "lines"
_DAYS: Final = "today and the N-1 whole days before it (default: {})"
_COUNTED_FROM: Final = "the moment that days count back from (default: now)"
_AS_OF: Final = "the moment that is taken for now"


def explain(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = (
        "Says why some days cost more or less than as many before: more calls, other models, more tokens per call, "
        "the cache, prices, and who and what is new or gone."
    )
    when = _begun(parser, _explain)
    asking.add_days(when, "the N whole days before today, against the N before those (default: 7)")
    asking.add_span(when)
    when.add_argument("--against-since", metavar="TIME", help="compare with the days from this one on")
    when.add_argument("--against-until", metavar="TIME", help="up to the end of this one")
    asking.add_now(when, _COUNTED_FROM)
    _ended(parser)


def forecast(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = (
        "Says where the month will probably end, between which amounts, and how far off it would have been before."
    )
    asking.add_now(_begun(parser, _forecast), _AS_OF)
    _ended(parser)


def anomalies(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = "Finds days and hours on which somebody's calls of a model cost far more than usual."
    when = _begun(parser, _anomalies)
    asking.add_days(when, _DAYS.format(7))
    asking.add_now(when, _COUNTED_FROM)
    parser.add_argument(
        "--floor", default="1", metavar="USD", help="what costs less than this above the usual is not told (default: 1)"
    )
    _ended(parser)


def what_if(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = (
        "Says what the same tokens would have cost with another model, scope, region, tier or use of the cache."
    )
    when = _begun(parser, _what_if)
    asking.add_days(when, _DAYS.format(30))
    asking.add_span(when)
    asking.add_now(when, _COUNTED_FROM)
    change = parser.add_argument_group("what would be different")
    change.add_argument("--to-model", default="", metavar="MODEL", help="a model's id or name, or a part of it")
    change.add_argument("--to-scope", default="", metavar="SCOPE", help="in-region, geo or global")
    change.add_argument("--to-region", default="", metavar="REGION", help="where the calls come from")
    change.add_argument("--to-tier", default="", metavar="TIER", help="standard, priority or flex")
    change.add_argument(
        "--caching",
        default="as_is",
        metavar="HOW",
        help="as_is, none, or the share of prompt tokens that is read from the cache, such as 0.8 (default: as_is)",
    )
    _ended(parser)


def budget(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = "Says how much of the budgets in tollbook.toml is spent, and when they will be used up."
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    shown = actions.add_parser(
        "show", help="shows how they stand", description="Shows how budgets stand.", allow_abbrev=False
    )
    asking.add_now(_begun(shown, _show_budgets), _AS_OF)
    _add_file(shown)
    _ended(shown, filters=False)
    checked = actions.add_parser(
        "check",
        help="says it in a line for each; its exit code says whether one is over",
        description="Says in a line how each budget stands. Exits with 1 if one is at the threshold or over it.",
        allow_abbrev=False,
    )
    asking.add_now(_begun(checked, _check_budgets), _AS_OF)
    _add_file(checked)
    checked.add_argument(
        "--threshold", default="100", metavar="PERCENT", help="of a limit, from which on it is over (default: 100)"
    )
    _ended(checked, (_LINES, *_FORMATS), filters=False)


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--file",
        type=Path,
        default=Path("tollbook.toml"),
        metavar="FILE",
        help="a TOML file with tables [budgets.NAME] (default: tollbook.toml)",
    )


def hygiene(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = (
        "Says what to see to: calls without a tag, ids that stand for unknown models, the root user and API keys, "
        "calls without a price, failed calls, prompts in the logs."
    )
    when = _begun(parser, _hygiene)
    asking.add_days(when, _DAYS.format(30))
    asking.add_span(when)
    asking.add_now(when, _COUNTED_FROM)
    parser.add_argument(
        "--tag", default="", metavar="KEY", help="the key of request metadata that every call should have"
    )
    _ended(parser)


def reconcile(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.description = (
        "Puts the estimate beside what AWS billed, by day and service, with what the difference is made of. Asks Cost "
        "Explorer with the credentials at hand, at $0.01 a request."
    )
    when = _begun(parser, _reconcile)
    asking.add_days(when, _DAYS.format(30))
    asking.add_span(when)
    asking.add_now(when, _COUNTED_FROM)
    _ended(parser, filters=False)


def _begun(parser: argparse.ArgumentParser, do: Callable[[argparse.Namespace], int]) -> argparse._ArgumentGroup:
    """Adds what all of them take first; gives the group of what says which time."""
    parser.set_defaults(do=do, model="", principal="")
    asking.add_source(parser)
    return parser.add_argument_group("which time")


def _ended(parser: argparse.ArgumentParser, formats: Sequence[str] = _FORMATS, *, filters: bool = True) -> None:
    """Adds what all of them take last."""
    what = parser.add_argument_group("what to show")
    if filters:
        what.add_argument("--model", default="", metavar="TEXT", help="only models whose id or name holds this")
        what.add_argument("--principal", default="", metavar="TEXT", help="only callers whose name holds this")
    what.add_argument("--format", choices=formats, default=formats[0], help=f"how to print it (default: {formats[0]})")
    asking.add_meaning(parser)
    asking.add_aws(parser)


@contextmanager
def _answers(options: argparse.Namespace, *, account: str = "") -> "Iterator[Answers]":
    from tollbook.app.answers import Answers

    logs = asking.logs_of(options)
    if account and logs.are_files:
        logs = msgspec.structs.replace(logs, account="")
    else:
        account = ""
    only = Filter(account=account, principal=options.principal, model=options.model)
    with asking.reading(logs) as read:
        yield Answers(logs, read, asking.span_of(options), only)


def _explain(options: argparse.Namespace) -> int:
    with _answers(options) as answers:
        answer = answers.explain((options.against_since, options.against_until))
    return _show(answer, options.format)


def _forecast(options: argparse.Namespace) -> int:
    with _answers(options) as answers:
        answer = answers.forecast()
    return _show(answer, options.format)


def _anomalies(options: argparse.Namespace) -> int:
    floor = _amount("--floor", options.floor)
    with _answers(options) as answers:
        answer = answers.anomalies(floor)
    return _show(answer, options.format)


def _what_if(options: argparse.Namespace) -> int:
    from tollbook.spend.answers.what_if import Change, read_caching

    change = Change(
        model=options.to_model,
        scope=options.to_scope,
        region=options.to_region,
        tier=options.to_tier,
        caching=read_caching(options.caching),
    )
    with _answers(options) as answers:
        answer = answers.what_if(change)
    return _show(answer, options.format)


def _show_budgets(options: argparse.Namespace) -> int:
    return _show(_burn(options), options.format)


def _check_budgets(options: argparse.Namespace) -> int:
    threshold = _amount("--threshold", options.threshold)
    burn = _burn(options)
    if options.format == _LINES:
        _print_lines(burn)
        code = 1 if burn.basis.unread else 0
    else:
        code = _show(burn, options.format)
    over = [printable(each.name) for each in burn.budgets if each.spent_share * 100 >= threshold]
    if over:
        print(f"tollbook: {threshold:f}% or more of its limit is spent: {', '.join(over)}", file=sys.stderr)
    return 1 if over else code


def _burn(options: argparse.Namespace) -> "Burn":
    from tollbook.app.budgets import table_in
    from tollbook.spend.answers.budgets import read_budgets

    known = read_budgets(table_in(options.file), str(options.file))
    with _answers(options) as answers:
        return answers.budgets(known)


def _print_lines(burn: "Burn") -> None:
    from tollbook.spend.render.answers import telling_of

    telling = telling_of(burn)
    for each, sentence in zip(burn.budgets, telling.sentences, strict=True):
        print(f"{each.state:<7}  {sentence}")
    for fault in telling.faults:
        print(fault, file=sys.stderr)


def _hygiene(options: argparse.Namespace) -> int:
    with _answers(options) as answers:
        answer = answers.hygiene(options.tag)
    return _show(answer, options.format)


def _reconcile(options: argparse.Namespace) -> int:
    from functools import partial

    from tollbook.app.aws_bill import bill_from_aws
    from tollbook.spend.answers.reconcile import check_comparable

    check_comparable(options.tz, sees_all=True)
    what = "requests to Cost Explorer at $0.01 each, one or few"
    if not options.yes and not asking.agree(what):
        raise SourceError(f"Nothing was read: to compare takes {what}. Say --yes.")
    logs = asking.logs_of(options)
    bill = partial(bill_from_aws, given=logs.settings, account=logs.account, environment=os.environ)
    with _answers(options, account=options.account) as answers:
        answer = answers.reconcile(bill)
    return _show(answer, options.format)


def _show(answer: "Answer", form: str) -> int:
    """Prints `answer`; gives the exit code: 1 where something could not be read."""
    from tollbook.spend.render.answers import as_json, telling_of

    if form == "json":
        sys.stdout.write(as_json(answer))
    elif form == "table":
        from tollbook.spend.render.telling_screen import show_telling

        show_telling(telling_of(answer), asking.console())
    else:
        from tollbook.spend.render.telling_text import as_markdown, as_text

        sys.stdout.write((as_text if form == "text" else as_markdown)(telling_of(answer)))
    return 1 if answer.basis.unread else 0


def _amount(option: str, text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not (amount.is_finite() and 0 <= amount <= 10**9):
        raise UsageError(f"{option} takes a number from 0 on, such as 1 or 2.5, not '{text}'.")
    return amount
