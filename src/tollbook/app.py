"""The composition root: it knows the clock, the user's folders and which parts make an answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from platformdirs import user_data_path

from tollbook.core.errors import PriceFileError, SourceError, UsageError
from tollbook.sources.discovery import why
from tollbook.sources.files import read_files
from tollbook.spend import prices
from tollbook.spend.model import Named, read_names
from tollbook.spend.prices import PriceBook
from tollbook.spend.prices.file import read_prices
from tollbook.spend.query import Query
from tollbook.spend.report import Report, report_of
from tollbook.spend.window import Window, between, instant, last_days, zone_of

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Span:
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
    progress: Progress = lambda done, total: None,
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
    names = {} if names_file is None else read_names(_content(names_file), str(names_file))
    reading = read_files(sources, query, progress)
    return report_of(reading.counted, query, by, book, names, (*reading.notes, *price_notes))


def price_book(price_file: Path | None = None) -> tuple[PriceBook, tuple[str, ...]]:
    """The package's book under the refreshed prices, if there are any, and under `price_file`.

    Returns: with it, a sentence on each file that was laid over.

    Raises:
        PriceFileError: a file is not in the form it must have.
    """
    book, notes = prices.load(), []
    refreshed = refreshed_prices()
    for path in (refreshed if refreshed.exists() else None, price_file):
        if path is not None:
            rates = read_prices(_content(path), str(path))
            book = book.overlaid(rates)
            notes.append(f"prices: {len(rates)} rates of {path} go before the book's")
    return book, tuple(notes)


def refreshed_prices() -> Path:
    """Where `tollbook prices refresh` keeps what it read."""
    return user_data_path("tollbook", appauthor=False) / "prices.json"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise SourceError(f"Cannot read {path}: {why(fault)}.") from fault
