"""The check of budgets that AWS runs on a schedule: `tollbook.app.budget_check:handler`.

It reads the logs, and tells a topic of SNS where a budget is over its limit or near it, or where not all of the logs
could be read, so that nobody takes silence for money left. Nothing is remembered from one run to the next: as long as
that is so, each run tells it again. Mails name no places: which logs it was, only the function's own log says.

Variables: TOLLBOOK_BUDGETS and TOLLBOOK_BUDGET_TOPIC (the topic's ARN); and of the server's TOLLBOOK_SOURCE,
TOLLBOOK_PRICES, TOLLBOOK_NAMES, TOLLBOOK_BUCKET, LOG_LEVEL and those for logs on AWS. Days are those of UTC.

Sources:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html
    https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

import logging
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tollbook.app.aws_settings import AWS_SETTINGS, AwsSettings, aws_settings
from tollbook.app.settings import SETTINGS, kept_in
from tollbook.core.errors import SourceError, TollbookError, UsageError
from tollbook.core.settings import read_values
from tollbook.core.text import printable
from tollbook.hosting.log import log_as_json
from tollbook.sources.named import USUAL, Named, one_kind

if TYPE_CHECKING:
    from botocore.session import Session

    from tollbook.sources.aws.reach.access import Access
    from tollbook.spend.answers.budgets import Budget, Burn
    from tollbook.spend.render.telling import Telling

TOPIC: Final = "TOLLBOOK_BUDGET_TOPIC"
_OURS: Final = ("source", "prices", "names", "bucket", "budgets", "log_level")
_TOPIC: Final = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]+):\d{12}:[A-Za-z0-9_-]{1,256}", re.ASCII)
_FAULT: Final = "The budgets could not be checked. This is a fault of tollbook's own; the log says where."
# "256 KB": https://docs.aws.amazon.com/sns/latest/api/API_Publish.html. A mail of that size nobody reads.
_MOST_BYTES: Final = 20_000
_MOST_UNREAD: Final = 100  # that are told in a line of the log
_UNREAD: Final = "Some of the logs could not be read; the log of the function says which."
_ESTIMATE: Final = "an estimate at list price, before discounts, credits and taxes"

_log: Final = logging.getLogger(__name__)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What is checked, and who is told.

    Attributes:
        source: of one kind, and none of them files.
        topic: the ARN of it.
    """

    budgets: "tuple[Budget, ...]"
    topic: str
    source: tuple[Named, ...]
    prices: Path | None
    names: Path | None
    aws: AwsSettings


def handler(event: Any, context: Any) -> Mapping[str, Any]:  # noqa: ARG001 - a schedule says nothing
    """Checks the budgets that the environment sets. What comes of it is in the function's log too.

    Raises:
        TollbookError: they cannot be checked, or nobody can be told; the invocation fails by it.
    """
    try:
        log_as_json(os.environ.get("LOG_LEVEL") or "info")
        return check(check_in(os.environ))
    except TollbookError as fault:
        _log.error("the budgets could not be checked", extra={"reason": str(fault)})
        raise
    except Exception as fault:
        _log.error("the check of the budgets failed", exc_info=fault)
        raise SourceError(_FAULT) from None  # whatever it quotes


def check_in(environment: Mapping[str, str]) -> Check:
    """What `environment` sets.

    Raises:
        UsageError: with every problem.
    """
    given = {name: value for name, value in environment.items() if value}
    ours = [setting for setting in SETTINGS if setting.name in _OURS]
    values, problems = read_values((*ours, *AWS_SETTINGS), given, {})
    topic = given.get(TOPIC, "")
    if not _TOPIC.fullmatch(topic):
        problems.append(f"{TOPIC}: the ARN of a topic of SNS is wanted, not '{topic}'")
    if not problems and not values["budgets"]:
        problems.append("TOLLBOOK_BUDGETS: there are no budgets to check")
    source = one_kind(values.get("source") or (USUAL,))
    if source[0].kind == "files":
        problems.append("TOLLBOOK_SOURCE: a function has no files of yours; name a place on AWS")
    if problems:
        raise UsageError("The budgets cannot be checked:", problems)
    aws = aws_settings(values, given, kept_in(values["bucket"]).days if values["bucket"] else "")
    return Check(
        budgets=values["budgets"],
        topic=topic,
        source=source,
        prices=values["prices"],
        names=values["names"],
        # There is no user, and one folder to write to:
        # https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
        aws=msgspec.structs.replace(aws, cache=Path(tempfile.gettempdir()) / "tollbook"),
    )


def check(
    wanted: Check,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    session: "Session | None" = None,
) -> Mapping[str, Any]:
    """Reads, judges, and tells the topic what needs attention.

    Args:
        session: botocore's; see `Access`.

    Returns: how the budgets stand, in a few words, as the log has it.

    Raises:
        TollbookError: the logs cannot be read, or only for more than the limit; or the topic cannot be told.
    """
    from tollbook.sources.aws.reach.access import Access

    now = clock()
    burn = _burn(wanted, now, session)
    unread = burn.basis.unread
    is_told = burn.state != "ok" or bool(unread)
    if is_told:
        _tell(wanted.topic, burn, Access(home_region=_region_of(wanted.topic), session=session))
    found = {
        "state": burn.state,
        "budgets": {each.name: each.state for each in burn.budgets},
        "unread": _some_of(unread),
        "told": is_told,
    }
    _log.log(logging.ERROR if unread else logging.INFO, "budgets checked", extra=found)
    return found


def _burn(wanted: Check, now: datetime, session: "Session | None") -> "Burn":
    from tollbook.app.aws import Asked, AwsBook, estimated, is_within
    from tollbook.sources.reading import Watch
    from tollbook.spend.answers.budgets import budgets_by, budgets_window, burn_of
    from tollbook.spend.query import Query
    from tollbook.spend.window import zone_of

    book = AwsBook(
        wanted.source,
        wanted.aws,
        price_file=wanted.prices,
        names_file=wanted.names,
        clock=lambda: now,
        session=session,
    )
    book.check()
    by = budgets_by(wanted.budgets)
    asked = Asked(Query(budgets_window(wanted.budgets, now, zone_of("UTC")), by))
    watch = Watch()
    try:
        surveyed = book.survey(asked, watch)
        if not is_within(surveyed, wanted.aws.max_scan_usd, wanted.aws.max_scan_bytes):
            raise SourceError(
                f"Nothing was read: it takes {estimated(surveyed)}, and nobody is there to agree. Raise "
                "--max-scan-usd or --max-scan-gb."
            )
        return burn_of(book.report(surveyed, asked, by, watch), wanted.budgets, now)
    finally:
        watch.halt()


def _tell(topic: str, burn: "Burn", access: "Access") -> None:
    """
    Raises:
        SourceError: AWS refuses, or fails.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    from tollbook.sources.aws.patience import patiently
    from tollbook.sources.reading import Watch
    from tollbook.spend.render.telling_text import as_text

    client = access.own_client("sns", _region_of(topic))
    text = as_text(_mail_of(burn), _MOST_BYTES)
    try:
        patiently(lambda: client.publish(TopicArn=topic, Subject=_subject(burn), Message=text), Watch())
    except (ClientError, BotoCoreError, ResponseParserError) as fault:
        code = fault.response.get("Error", {}).get("Code", "") if isinstance(fault, ClientError) else ""
        raise SourceError(
            f"Budgets need attention, and nobody was told: the topic {topic} cannot be published to "
            f"({code or type(fault).__name__}). See that the function's role may do sns:Publish on it."
        ) from fault


def _some_of(unread: Sequence[str]) -> list[str]:
    rest = len(unread) - _MOST_UNREAD
    return [*map(printable, unread[:_MOST_UNREAD]), *([f"and {rest:,} more"] if rest > 0 else [])]


def _mail_of(burn: "Burn") -> "Telling":
    """What whoever gets the mail is told: of the basis only what holds no place, account or path."""
    from tollbook.spend.render.answers import telling_of
    from tollbook.spend.render.words import faults
    from tollbook.spend.report import NOT_IN_THESE_LOGS

    telling = telling_of(burn)
    return replace(
        telling,
        lead=f"{telling.lead} {_UNREAD}" if burn.basis.unread else telling.lead,
        faults=tuple(faults(replace(burn.basis, unread=()))),
        notes=(NOT_IN_THESE_LOGS, _ESTIMATE),
    )


def _subject(burn: "Burn") -> str:
    """Of a mail: numbers alone, since names may hold what a subject must not."""
    over, near = (sum(each.state == state for each in burn.budgets) for state in ("over", "warning"))
    parts = [f"{over} over the limit"] * bool(over) + [f"{near} near it"] * bool(near)
    unread = "not all logs could be read"
    if not parts:
        return f"tollbook: {unread} for {len(burn.budgets)} Bedrock budgets"
    also = f", and {unread}" if burn.basis.unread else ""
    return f"tollbook: of {len(burn.budgets)} Bedrock budgets {', '.join(parts)}{also}"


def _region_of(topic: str) -> str:
    return topic.split(":")[3]
