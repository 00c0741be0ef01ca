"""`tollbook report`."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tollbook.app.book import content_of, price_book
from tollbook.core.errors import SourceError, UsageError
from tollbook.core.settings import read_values
from tollbook.sources.files import read_files
from tollbook.sources.named import Named
from tollbook.spend.model import read_names
from tollbook.spend.query import Query
from tollbook.spend.report import Report, report_of
from tollbook.spend.window import Window, between, instant, last_days, zone_of

Progress = Callable[[int, int], None]
Agree = Callable[[str], bool]
"""Is told what reading will take, and says whether to go on."""


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

    def moment(self) -> datetime:
        """That from which days count back.

        Raises:
            UsageError: it cannot be read.
        """
        return datetime.now(UTC) if self.now is None else instant("--now", self.now, zone_of(self.tz))

    def window(self) -> Window:
        """The window meant; open where nothing was asked for.

        Raises:
            UsageError: it cannot be.
        """
        zone = zone_of(self.tz)
        if self.days is None:
            if self.now is not None:
                raise UsageError("--now is the moment that --days counts back from. Give --days too, or leave it out.")
            return between(self.since, self.until, zone)
        if self.since is not None or self.until is not None:
            raise UsageError("--days and --since/--until are two ways to say one thing. Give one of them.")
        return last_days(self.days, self.moment(), zone)


def report(
    sources: Sequence[str],
    span: Span,
    by: tuple[str, ...],
    also: tuple[str, ...] = (),
    *,
    price_file: Path | None = None,
    names_file: Path | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Report:
    """Reads `sources` and answers.

    Args:
        by: the dimensions to group by.
        also: dimensions that a form of the report needs beside them.
        price_file: rates that go before the book's.
        names_file: what opaque model ids stand for.
        progress: told the bytes read and the bytes in all.

    Raises:
        TollbookError: what was asked makes no sense, or something cannot be read.
    """
    query = Query(span.window(), tuple(dict.fromkeys((*by, *also))))
    book, price_notes = price_book(price_file)
    names = {} if names_file is None else read_names(content_of(names_file), str(names_file))
    reading = read_files(sources, query, progress, names=names)
    return report_of(reading.counted, query, by, book, names, (*reading.notes, *price_notes))


class FromAws(msgspec.Struct, frozen=True):
    """What is asked of logs on AWS besides.

    Attributes:
        settings: as written, by the names of `AWS_SETTINGS`.
        account: the only one that is meant; empty for all.
        fresh: kept days are read anew.
        agrees: without being asked.
    """

    settings: Mapping[str, str | None] = {}
    account: str = ""
    fresh: bool = False
    agrees: bool = False


def report_from_aws(
    sources: Sequence[Named],
    span: Span,
    by: tuple[str, ...],
    also: tuple[str, ...] = (),
    *,
    given: FromAws,
    environment: Mapping[str, str],
    price_file: Path | None = None,
    names_file: Path | None = None,
    progress: Progress = lambda _done, _total: None,
    agree: Agree,
) -> Report:
    """Reads `sources`, which lie on AWS, and answers; of one day if no other stretch is asked for.

    Args:
        agree: asked where reading takes more than the limits allow.

    Raises:
        TollbookError: as `report`, or nobody agreed.
    """
    from tollbook.app.aws import Asked, AwsBook, estimated, is_within
    from tollbook.app.aws_settings import AWS_SETTINGS, aws_settings
    from tollbook.sources.reading import Watch

    values, problems = read_values(AWS_SETTINGS, environment, given.settings)
    if problems:
        raise UsageError("The report cannot be made:", problems)
    settings = aws_settings(values, environment)
    if given.account and not re.fullmatch(r"[0-9]{12}", given.account):
        raise UsageError(f"--account {given.account!a} is no account. Write its twelve digits.")
    span = msgspec.structs.replace(span, days=1) if span.is_open else span
    book = AwsBook(sources, settings, price_file=price_file, names_file=names_file)
    book.check()
    query = Query(span.window(), tuple(dict.fromkeys((*by, *also))))
    asked = Asked(query, account=given.account, fresh=given.fresh)
    watch = Watch()
    try:
        surveyed = book.survey(asked, watch)
        if not given.agrees and not is_within(surveyed, settings.max_scan_usd, settings.max_scan_bytes):
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
