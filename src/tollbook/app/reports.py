"""`tollbook report`."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tollbook.app.book import content_of, price_book
from tollbook.core.errors import UsageError
from tollbook.sources.files import read_files
from tollbook.spend.model import read_names
from tollbook.spend.query import Query
from tollbook.spend.report import Report, report_of
from tollbook.spend.window import Window, between, instant, last_days, zone_of

Progress = Callable[[int, int], None]


class Span(msgspec.Struct, frozen=True):
    """The stretch of time that was asked for, as written."""

    days: int | None = None
    since: str | None = None
    until: str | None = None
    tz: str = "UTC"
    now: str | None = None

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
        now = datetime.now(UTC) if self.now is None else instant("--now", self.now, zone)
        return last_days(self.days, now, zone)


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
