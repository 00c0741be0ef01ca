"""The price book on a terminal: what a million tokens cost, since when, and who says so."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from rich.console import Console
from rich.text import Text

from tollbook.core.text import printable
from tollbook.spend.prices.aws_list import OfferReading
from tollbook.spend.prices.rate import KINDS, Rate, Rates, Source
from tollbook.spend.prices.refreshed import Continued
from tollbook.spend.render.words import plain

_HEADS: Final = (
    ("", "", "", "", "", "Cache", "Write", "Write", ""),
    ("Region", "Tier", "Since", "Input", "Output", "read", "5m", "1h", "Src"),
)
_TEXTS: Final = 3  # columns of text; those after it are figures
_LISTED: Final = 10


def show_prices(rates: Sequence[Rate], notes: Sequence[str], console: Console) -> None:
    """Prints `rates`, which come model by model, and the sources that they name by number.

    A model and its scope stand on a line of their own: beside its name, no figures fit into 80 columns.
    """
    sources = {source: number for number, source in enumerate(dict.fromkeys(rate.source for rate in rates), 1)}
    groups = [
        ((model, scope), [row for rate in some for row in _rows(rate, sources[rate.source])])
        for (model, scope), some in groupby(rates, lambda rate: (rate.model, rate.scope))
    ]
    cells = [*_HEADS, *(row for _, rows in groups for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    _line(console, "US dollars per million tokens", "dim")
    for head in _HEADS:
        _line(console, _aligned(head, widths), "dim")
    for (model, scope), rows in groups:
        console.print(Text.assemble((printable(model), "bold"), f"  {scope}"), soft_wrap=True)
        for row in rows:
            _line(console, _aligned(row, widths))
    for url in dict.fromkeys(source.url for source in sources):
        _line(console, f"\n{printable(url) or 'Files of your own'}", "dim")
        for source, number in sources.items():
            if source.url == url:
                _line(console, f"{number:>3} {_about(source)}", "dim")
    if any(rate.corrected for rate in rates):
        _line(console, "\n  * corrected: the source shows other figures (docs/prices.md)", "dim")
    for note in notes:
        _line(console, printable(note), "dim")


def refreshed(offers: Sequence[OfferReading], prices: Continued) -> Iterator[str]:
    """What a refresh read, a line each."""
    rates = [rate for offer in offers for rate in offer.rates]
    yield f"Read {_number(len(rates), 'rate')} of {_number(len({rate.model for rate in rates}), 'model')}."
    for offer in offers:
        yield f"  {_about(offer.source)}"
    if skipped := _sum(offer.skipped for offer in offers):
        yield f"Skipped {_number(sum(skipped.values()), 'row')}: {_counts(skipped)}."
    if unknown := _sum(offer.unknown for offer in offers):
        names = ", ".join(map(printable, list(unknown)[:_LISTED]))
        more = f" and {len(unknown) - _LISTED:,} more" if len(unknown) > _LISTED else ""
        yield f"Names of unknown models: {names}{more}."
    if prices.left:
        yield f"Did not take {_number(sum(prices.left.values()), 'rate')}: {_counts(prices.left)}."


def _rows(rate: Rate, source: int) -> Iterator[tuple[str, ...]]:
    """A row, and one more for each size from which prompts cost more."""
    region = printable(rate.region) if rate.region else "any"
    yield (
        region,
        printable(rate.tier),
        str(rate.since),
        *_amounts(rate.rates),
        f"{source}{'*' if rate.corrected else ''}",
    )
    for step, above in sorted(rate.above.items()):
        yield "", "", f"> {step // 1000}K", *_amounts(above), ""


def _amounts(rates: Rates) -> Iterator[str]:
    return (plain(getattr(rates, kind)) or "-" for kind in KINDS)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (
        f"{cell:<{width}}" if place < _TEXTS else f"{cell:>{width}}"
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return " ".join(cells).rstrip()


def _line(console: Console, text: str = "", style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)


def _about(source: Source) -> str:
    days = [f"{what} {day}" for what, day in (("released", source.released), ("read", source.retrieved)) if day]
    return ", ".join([printable(source.name), *days])


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The counts added up, the highest first."""
    total: Counter[str] = Counter()
    for some in counts:
        total.update(some)
    return {what: count for what, count in total.most_common() if count}


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {count:,}" for what, count in counts.items())


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
