"""Figures and sentences that several forms of a report share."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from tollbook.core.text import printable
from tollbook.spend.model import label
from tollbook.spend.pricing import Status
from tollbook.spend.report import Group, Report, Sum, Values
from tollbook.spend.window import days_of

if TYPE_CHECKING:
    from tollbook.spend.answers.basis import Basis

NONE: Final = "(none)"


def dollars(amount: Decimal) -> str:
    """`$1,234.56`; amounts below a cent with four decimals, and what is less than those as `<$0.0001`."""
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if size >= Decimal("0.01") or not size:
        return f"{sign}${size:,.2f}"
    return f"{sign}${size:.4f}" if size >= Decimal("0.0001") else f"{sign}<$0.0001"


def signed(amount: Decimal) -> str:
    """`dollars`, with a plus before what is above zero: `+$1.20`."""
    return f"{'+' if amount > 0 else ''}{dollars(amount)}"


def cost(total: Sum) -> str:
    """What `total` cost and how sure that is: `$1.20`, `~$1.20` assumed, `≥$1.20` in part, or `unpriced`."""
    if total.usd is None:
        return "unpriced"
    if Status.UNPRICED in total.statuses:
        return f"≥{dollars(total.usd)}"
    return f"{'~' if total.statuses - {Status.EXACT} else ''}{dollars(total.usd)}"


def total_cost(report: Report) -> str:
    """The cost of all that was read; `≥` too where something could not be."""
    total = report.total
    return f"≥{dollars(total.usd)}" if report.unread and total.usd is not None else cost(total)


def plain(amount: Decimal | None) -> str | None:
    """`amount` in full, without an exponent or idle zeros: the form in which programs read money."""
    if amount is None:
        return None
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def compact(count: int) -> str:
    """`64.2M`."""
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if count >= size * 0.99995:  # what would be shown as 1000.0 of the next
            return f"{count / size:.1f}{unit}"
    return str(count)


def rounded(amount: Decimal) -> Decimal:
    """`amount` to two digits: as much as an estimate can tell."""
    return amount and round(amount, 1 - amount.adjusted())


def measure(bytes_: int) -> str:
    """`3.21 GB`."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if bytes_ >= size:
            return f"{bytes_ / size:.3g} {unit}"
    return f"{bytes_} bytes"


def percent(share: Decimal) -> str:
    return f"{share * 100:.1f}%"


def period(report: Report) -> str:
    """`Oct 24 – Nov 22, 2026 UTC`; with times of day where the window does not consist of whole days."""
    return stretch(report.since, report.until, report.query.window.zone)


def stretch(since: datetime | None, until: datetime | None, zone: ZoneInfo) -> str:
    """The same of the time from `since` to just before `until`, both aware; `no records` where one is None."""
    if since is None or until is None:
        return "no records"
    first, end = since.astimezone(zone), until.astimezone(zone)
    if first.time() != end.time() or first.hour or first.minute or first.second:
        return f"{_moment(first)} – {_moment(end)} {zone.key}"
    last = list(days_of(since, until, zone))[-1]
    start = f"{first:%b} {first.day}" + ("" if first.year == last.year else f", {first.year}")
    whole = f"{last:%b} {last.day}, {last.year}"
    return f"{whole if first.date() == last else f'{start} – {whole}'} {zone.key}"


def _moment(time: datetime) -> str:
    return f"{time:%b} {time.day}, {time.year} {time:%H:%M}"


def faults(report: "Report | Basis") -> Iterator[str]:
    """What could not be read, priced or counted, a line each."""
    for sentence in report.unread:
        yield f"not read: {printable(sentence)}"
    if entries := report.unpriced:
        calls, tokens = sum(entry.calls for entry in entries), sum(entry.tokens for entry in entries)
        yield f"unpriced: {counted(calls, 'request')}, {counted(tokens, 'token')}"
    yield from rejected(report)
    if report.duplicates:
        yield f"duplicates: {counted(report.duplicates, 'record')} that came again, not counted again"


def rejected(report: "Report | Basis") -> Iterator[str]:
    """How many lines are no records, and why; nothing where all are."""
    if report.rejected:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in report.rejected.items())
        yield f"rejected: {counted(sum(report.rejected.values()), 'line')} ({reasons})"


def counted(number: int, noun: str) -> str:
    """`1 record`, `1,009 records`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def reasons(report: "Report | Basis") -> Iterator[str]:
    """Why something is unpriced, a line for each model and reason."""
    for entry in report.unpriced:
        size = f"{counted(entry.calls, 'request')}, {counted(entry.tokens, 'token')}"
        yield f"{printable(entry.model)} ({size}): {printable(entry.why)}"


def shown(groups: Sequence[Group], by: tuple[str, ...]) -> dict[Values, str]:
    """For the values of each of `groups` by `by`, the words to show: models by their short name where it is unique."""
    columns = [_named({group.values[place] for group in groups}, name == "model") for place, name in enumerate(by)]
    return {
        group.values: " · ".join(names[value] for names, value in zip(columns, group.values, strict=True))
        for group in groups
    }


def model_names(ids: Iterable[str]) -> dict[str, str]:
    """For the ids of models side by side, the words to show: the short name where it is unique."""
    return {model_id or "": name for model_id, name in _named(set(ids), True).items()}


def _named(values: set[str | None], are_models: bool) -> dict[str | None, str]:
    names: dict[str | None, str] = {value: NONE if value is None else printable(value) for value in values}
    if are_models:
        labels = {value: label(name) for value, name in names.items()}
        times = Counter(labels.values())
        names |= {value: name for value, name in labels.items() if times[name] == 1}
    return names
