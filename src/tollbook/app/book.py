"""The price book as this user has it."""

import os
from pathlib import Path

from platformdirs import user_data_path

from tollbook.core.errors import SourceError, why
from tollbook.core.text import printable
from tollbook.spend import prices
from tollbook.spend.prices import PriceBook
from tollbook.spend.prices.file import read_prices


def price_book(price_file: Path | None = None) -> tuple[PriceBook, tuple[str, ...]]:
    """The package's book under the refreshed prices, if there are any, and under `price_file`.

    Returns: with it, a sentence on each file that was laid over.

    Raises:
        PriceFileError: a file is not in the form it must have.
    """
    book, notes = prices.load(), []
    for path in (kept_prices(), price_file):
        if path is not None:
            rates = read_prices(content_of(path), str(path))
            book = book.overlaid(rates)
            notes.append(f"prices: {len(rates)} rates of {printable(str(path))} go before the book's")
    return book, tuple(notes)


def refreshed_prices() -> Path:
    """Where `tollbook prices refresh` keeps what it read."""
    return user_data_path("tollbook", appauthor=False) / "prices.json"


def kept_prices() -> Path | None:
    path = refreshed_prices()
    # Unlike Path.exists, os.path.exists takes a folder that may not be looked into for one that holds nothing.
    return path if os.path.exists(path) else None


def content_of(path: Path, limit: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(limit if limit < 0 else limit + 1)
    except OSError as fault:
        raise SourceError(f"Cannot read {path}: {why(fault)}.") from fault
    if len(content) > limit >= 0:
        raise SourceError(f"{path} holds more than {limit:,} bytes, which no offer file does.")
    return content
