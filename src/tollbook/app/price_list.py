"""`tollbook prices`."""

import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from tollbook.app.book import content_of, kept_prices, price_book, refreshed_prices
from tollbook.core.errors import SourceError, why
from tollbook.sources.download import LARGEST, download
from tollbook.spend import prices
from tollbook.spend.model import GLOBAL, IN_REGION, model_of
from tollbook.spend.prices import Rate, UnknownPrice
from tollbook.spend.prices.aws_list import OFFERS, OfferReading, read_offer
from tollbook.spend.prices.file import read_prices, written
from tollbook.spend.prices.refreshed import Continued, continued

# Source: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-bulk-api.html
AWS_OFFERS: Final = tuple(
    f"https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/{code}/current/us-east-1/index.json" for code in OFFERS
)


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


class Refresh(msgspec.Struct, frozen=True):
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
        read_offer(fetch(one) if "://" in one else content_of(Path(one), LARGEST), one, now.astimezone(UTC).date())
        for one in (AWS_OFFERS if origin is None else (origin,))
    )
    kept, path = kept_prices(), refreshed_prices()
    before = read_prices(content_of(kept), str(kept)) if kept else []
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
