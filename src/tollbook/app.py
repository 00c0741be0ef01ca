"""The composition root: it knows the clock, the user's folders and which parts make an answer."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from platformdirs import user_data_path

from tollbook.core.errors import SourceError, UsageError
from tollbook.sources.discovery import why
from tollbook.sources.download import LARGEST, download
from tollbook.sources.files import read_files
from tollbook.spend import prices
from tollbook.spend.model import GLOBAL, IN_REGION, model_of, read_names
from tollbook.spend.prices import PriceBook, Rate, UnknownPrice
from tollbook.spend.prices.aws_list import OFFERS, OfferReading, read_offer
from tollbook.spend.prices.file import read_prices, written
from tollbook.spend.prices.refreshed import Continued, continued
from tollbook.spend.query import Query
from tollbook.spend.report import Report, report_of
from tollbook.spend.window import Window, between, instant, last_days, zone_of

Progress = Callable[[int, int], None]

# Source: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-bulk-api.html
AWS_OFFERS: Final = tuple(
    f"https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/{code}/current/us-east-1/index.json" for code in OFFERS
)


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
    for path in (_kept_prices(), price_file):
        if path is not None:
            rates = read_prices(_content(path), str(path))
            book = book.overlaid(rates)
            notes.append(f"prices: {len(rates)} rates of {path} go before the book's")
    return book, tuple(notes)


def refreshed_prices() -> Path:
    """Where `tollbook prices refresh` keeps what it read."""
    return user_data_path("tollbook", appauthor=False) / "prices.json"


def _kept_prices() -> Path | None:
    path = refreshed_prices()
    # Unlike Path.exists, os.path.exists takes a folder that may not be looked into for one that holds nothing.
    return path if os.path.exists(path) else None


def _content(path: Path, limit: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(limit if limit < 0 else limit + 1)
    except OSError as fault:
        raise SourceError(f"Cannot read {path}: {why(fault)}.") from fault
    if len(content) > limit >= 0:
        raise SourceError(f"{path} holds more than {limit:,} bytes, which no offer file does.")
    return content


def prices_of(wanted: str | None, price_file: Path | None = None) -> tuple[list[Rate], tuple[str, ...]]:
    """The rates of the models whose id holds `wanted`, in the book's order.

    Args:
        wanted: part of an id, in any case; with a profile's prefix, such as `us.anthropic`, the rates of that
            profile or, where it has none of its own, those in the region, which it then costs. None is all.

    Returns: with them, a sentence on each file that was laid over the book.

    Raises:
        UnknownPrice: there are none.
    """
    book, notes = price_book(price_file)
    if wanted is None:
        return list(book), notes
    asked = wanted.lower().rpartition("/")[2]  # an ARN ends with the id
    plain = model_of(asked)
    found = [
        rate
        for rate in book
        if asked in rate.model.lower() or (rate.scope != IN_REGION and f"{rate.scope}.{rate.model}".startswith(asked))
    ]
    if not found and plain.kind == "profile" and plain.scope != GLOBAL:
        found = [rate for rate in book if rate.scope == IN_REGION and plain.id in rate.model.lower()]
    if not found:
        raise UnknownPrice(
            f"No price is on record for '{wanted}'. 'tollbook prices show' lists every model that has one."
        )
    return found, notes


@dataclass(frozen=True, slots=True)
class Refresh:
    """What a refresh of the prices came to.

    Attributes:
        offers: what each offer file held.
        path: where the refreshed prices lie; left as it was if nothing was new.
    """

    offers: tuple[OfferReading, ...]
    prices: Continued
    path: Path


def refresh_prices(origin: str | None, now: datetime, fetch: Callable[[str], bytes] = download) -> Refresh:
    """Reads AWS's price list and keeps what is new in it, after what was kept before.

    Args:
        origin: an offer file or the address of one; None reads AWS's own for us-east-1.
        fetch: gets what lies at an address.

    Raises:
        SourceError: it cannot be read, or the result cannot be written.
        PriceFileError: it is no offer file. In either case nothing is kept.
    """
    offers = tuple(
        read_offer(fetch(one) if "://" in one else _content(Path(one), LARGEST), one, now.astimezone(UTC).date())
        for one in (AWS_OFFERS if origin is None else (origin,))
    )
    kept, path = _kept_prices(), refreshed_prices()
    before = read_prices(_content(kept), str(kept)) if kept else []
    merged = continued(before, [rate for offer in offers for rate in offer.rates], prices.load())
    if merged.begun:
        _write(path, written(merged.rates))
    return Refresh(offers, merged, path)


def _write(path: Path, content: bytes) -> None:
    """Writes all or nothing, so that a report that runs meanwhile never sees half a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as part:
            try:
                part.write(content)
                part.flush()
                os.fsync(part.fileno())
                Path(part.name).replace(path)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
    except OSError as fault:
        raise SourceError(f"Cannot write {path}: {why(fault)}.") from fault
