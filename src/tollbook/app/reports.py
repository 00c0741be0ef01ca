"""Reports of logs that a user names: files, or a place on AWS."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import msgspec

from tollbook.app.book import content_of, price_book
from tollbook.core.errors import SourceError, UsageError
from tollbook.core.settings import read_values
from tollbook.sources.files import read_files
from tollbook.sources.named import USUAL, Named, one_kind
from tollbook.spend.model import read_names
from tollbook.spend.query import Query
from tollbook.spend.report import Report, report_of
from tollbook.spend.window import Window, between, instant, last_days, zone_of

Progress = Callable[[int, int], None]
"""Is told the bytes read and the bytes in all."""
Agree = Callable[[str], bool]
"""Is told what reading will take, and says whether to go on."""
Read = Callable[[Query, tuple[str, ...]], Report]
"""Answers a query, grouped by those dimensions of it."""


class Span(msgspec.Struct, frozen=True):
    """The stretch of time that was asked for, as written."""

    days: int | None = None
    since: str | None = None
    until: str | None = None
    tz: str = "UTC"
    now: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing was asked for."""
        return self.days is None and self.since is None and self.until is None

    def or_days(self, days: int) -> "Span":
        """The same; the last `days` where nothing was asked for."""
        return msgspec.structs.replace(self, days=days) if self.is_open else self

    def moment(self) -> datetime:
        """That from which days count back.

        Raises:
            UsageError: it cannot be read.
        """
        return datetime.now(UTC) if self.now is None else instant("--now", self.now, zone_of(self.tz))

    def window(self) -> Window:
        """The window meant; open where nothing was asked for. Only `days` are counted from `now`.

        Raises:
            UsageError: it cannot be.
        """
        zone = zone_of(self.tz)
        if self.days is None:
            return between(self.since, self.until, zone)
        if self.since is not None or self.until is not None:
            raise UsageError("--days and --since/--until are two ways to say one thing. Give one of them.")
        return last_days(self.days, self.moment(), zone)


class Logs(msgspec.Struct, frozen=True, dict=True):
    """Logs, and what goes with them.

    Attributes:
        sources: as written; none of them means `USUAL`.
        price_file: rates that go before the book's.
        names_file: what opaque model ids stand for.
        settings: for logs on AWS, as written, by the names of `AWS_SETTINGS`.
        account: on AWS, the only one that is meant; empty for all.
        fresh: on AWS, kept days are read anew.
        agrees: to whatever reading on AWS takes, without being asked.
    """

    sources: Sequence[str]
    price_file: Path | None = None
    names_file: Path | None = None
    settings: Mapping[str, str | None] = {}
    account: str = ""
    fresh: bool = False
    agrees: bool = False

    @cached_property
    def places(self) -> tuple[Named, ...]:
        """What the sources mean.

        Raises:
            UsageError: they mean nothing, or several kinds of it.
        """
        return one_kind(self.sources or [USUAL])

    @property
    def are_files(self) -> bool:
        return self.places[0].kind == "files"


def report(
    logs: Logs,
    query: Query,
    by: tuple[str, ...],
    *,
    environment: Mapping[str, str],
    progress: Progress = lambda _done, _total: None,
    agree: Agree = lambda _what: False,
) -> Report:
    """Reads `logs` and answers.

    Args:
        by: the dimensions to group by, among the query's.
        agree: asked where reading on AWS takes more than the limits allow.

    Raises:
        TollbookError: what was asked makes no sense, something cannot be read, or nobody agreed.
    """
    if logs.are_files:
        if logs.account or logs.fresh:
            raise UsageError("--account and --fresh are for logs on AWS. Of files, ask --by account.")
        return _of_files(logs, query, by, progress)
    return _from_aws(logs, query, by, environment, progress, agree)


def _of_files(logs: Logs, query: Query, by: tuple[str, ...], progress: Progress) -> Report:
    book, price_notes = price_book(logs.price_file)
    names = {} if logs.names_file is None else read_names(content_of(logs.names_file), str(logs.names_file))
    reading = read_files(logs.sources, query, progress, names=names)
    return report_of(reading.counted, query, by, book, names, (*reading.notes, *price_notes))


def _from_aws(
    logs: Logs,
    query: Query,
    by: tuple[str, ...],
    environment: Mapping[str, str],
    progress: Progress,
    agree: Agree,
) -> Report:
    from tollbook.app.aws import Asked, AwsBook, estimated, is_within
    from tollbook.app.aws_settings import AWS_SETTINGS, aws_settings
    from tollbook.sources.reading import Watch

    values, problems = read_values(AWS_SETTINGS, environment, logs.settings)
    if problems:
        raise UsageError("The report cannot be made:", problems)
    settings = aws_settings(values, environment)
    if logs.account and not re.fullmatch(r"[0-9]{12}", logs.account):
        raise UsageError(f"--account {logs.account!a} is no account. Write its twelve digits.")
    book = AwsBook(logs.places, settings, price_file=logs.price_file, names_file=logs.names_file)
    book.check()
    asked = Asked(query, account=logs.account, fresh=logs.fresh)
    watch = Watch()
    try:
        surveyed = book.survey(asked, watch)
        if not logs.agrees and not is_within(surveyed, settings.max_scan_usd, settings.max_scan_bytes):
            what = estimated(surveyed)
            if not agree(what):
                raise SourceError(
                    f"Nothing was read: it takes {what}. Ask for less, raise --max-scan-usd or --max-scan-gb, or say "
                    "--yes."
                )
        total, done = surveyed.estimate.bytes, 0

        def add(bytes_: int, _records: int) -> None:
            nonlocal done
            done += bytes_
            progress(done, total and max(total, done))

        watch = Watch(add)
        return book.report(surveyed, asked, by, watch)
    finally:
        watch.halt()
