"""Why did it change: two windows of whole days, and the difference in cost split into parts that add up to it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal
from zoneinfo import ZoneInfo

from tollbook.core.errors import UsageError
from tollbook.spend.answers.basis import Basis, Period, basis_of, period_of
from tollbook.spend.answers.effects import PRICE, Cell, Effect, Places, Used, effects_of
from tollbook.spend.answers.money import adding_up_to, usd
from tollbook.spend.report import Report
from tollbook.spend.window import MOST_DAYS, Window, days_of, start_of

EXPLAIN_BY: Final = ("day", "model", "principal")
MOST_MOVERS: Final = 10
_MOST: Final = Decimal("0.6")
_MANY: Final = Decimal("0.05")

Cause = Literal["new", "gone", "calls", "mix", "tokens", "cache", "price", "none"]
"""What most of a principal's or a model's change comes from: that it is new or gone, how many calls it made, how they
were spread, tokens per call, the use of the cache, the rates; none where nothing changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A change in cost, part by part; they add up to it to the millionth of a dollar. See `effects.Effect`."""

    new_principals_usd: Decimal
    gone_principals_usd: Decimal
    new_models_usd: Decimal
    gone_models_usd: Decimal
    volume_usd: Decimal
    mix_usd: Decimal
    tokens_usd: Decimal
    cache_usd: Decimal
    price_usd: Decimal


_PARTS: Final = tuple(field.name for field in fields(Parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceCauses:
    """Why the rates changed; the amounts add up to `Parts.price_usd`."""

    scope_usd: Decimal
    region_usd: Decimal
    tier_usd: Decimal
    long_prompts_usd: Decimal
    list_price_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The priced calls of one window.

    Attributes:
        tokens_per_call: prompt and answer, to the nearest token; None without calls.
        cache_read_share: of the prompt tokens, 0 to 1; None without any.
    """

    cost_usd: Decimal
    calls: int
    tokens_per_call: int | None
    cache_read_share: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mover:
    """A principal or a model.

    Attributes:
        name: as the log has it; a model's id.
        change_usd: `after` less `before`.
        parts: what it adds to each part of the whole change.
        cause: what most of its own change comes from.
        mostly: of a principal the model, of a model the principal, that 60 % or more of its change is in; or empty.
    """

    name: str
    before: Side
    after: Side
    change_usd: Decimal
    parts: Parts
    cause: Cause
    mostly: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """Those that moved less, together. Roundings are among them, so that a table adds up."""

    count: int
    cost_before_usd: Decimal
    cost_after_usd: Decimal
    change_usd: Decimal
    parts: Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why the cost of one window differs from that of another. Only priced calls count.

    Attributes:
        before_period, after_period: the windows.
        before, after: what was priced in them.
        price_causes: why the rates changed, where they did.
        principals, models: the most moved first, at most `MOST_MOVERS`; with `other_principals` and `other_models`
            each adds up to the change, and part by part to `parts`.
        unpriced_calls_before, unpriced_calls_after: calls that are in no figure here.
        cautions: sentences on why comparing these windows may be unfair.
    """

    basis: Basis
    before_period: Period
    after_period: Period
    before: Side
    after: Side
    change_usd: Decimal
    parts: Parts
    price_causes: PriceCauses
    principals: tuple[Mover, ...]
    other_principals: Others
    models: tuple[Mover, ...]
    other_models: Others
    unpriced_calls_before: int
    unpriced_calls_after: int
    cautions: tuple[str, ...]
    schema: Literal["tollbook.explain/1"] = "tollbook.explain/1"


def last_whole_days(days: int, now: datetime, zone: ZoneInfo) -> tuple[Window, Window]:
    """The `days` whole days before today, and as many before those: the earlier window first.

    Raises:
        UsageError: `days` is below 1 or above `window.MOST_DAYS`.
    """
    if not 1 <= days <= MOST_DAYS:
        raise UsageError(
            f"Days to explain are a whole number from 1 to {MOST_DAYS}, not {days}. 1 is yesterday against the day "
            "before it."
        )
    today = now.astimezone(zone).date()
    middle = today - timedelta(days=days)
    first = middle - timedelta(days=days)
    return _days_between(first, middle, zone), _days_between(middle, today, zone)


def preceding(after: Window) -> Window:
    """As many whole days just before `after`.

    Raises:
        UsageError: `after` is open at an end, or does not consist of whole days.
    """
    days = _whole_days(after)
    return _days_between(days[0] - timedelta(days=len(days)), days[0], after.zone)


def hull(before: Window, after: Window) -> Window:
    """The shortest window that holds both: what has to be read."""
    sinces, untils = (before.since, after.since), (before.until, after.until)
    since = None if None in sinces else min(time for time in sinces if time)
    until = None if None in untils else max(time for time in untils if time)
    return Window(since, until, after.zone)


def explanation_of(report: Report, before: Window, after: Window, now: datetime | None = None) -> Explanation:
    """Why `after` cost more or less than `before`.

    Args:
        report: by the dimensions of `EXPLAIN_BY` at least, over both windows.
        before, after: whole days of the report's zone.
        now: where it is given, a day that is not over is warned of.

    Raises:
        UsageError: a window is open at an end, or does not consist of whole days.
    """
    old, new = _Counted(_whole_days(before)), _Counted(_whole_days(after))
    for row, day, (who, model) in report.valued(("principal", "model")):
        for counted in (old, new):
            if day in counted.days:
                counted.seen.add(day)
                counted.unpriced += row.unpriced_calls
                if row.rates is not None:
                    counted.cells.setdefault((who or "", model or ""), Places()).add(row)
    effects = effects_of(old.cells, new.cells)
    sides = _side(old.cells.values()), _side(new.cells.values())
    change = sides[1].cost_usd - sides[0].cost_usd
    totals = _added(effects.values())
    parts = _parts(totals, change)
    by_who, by_model = (_movers(old, new, effects, place) for place in (0, 1))
    return Explanation(
        basis=basis_of(report),
        before_period=period_of(before),
        after_period=period_of(after),
        before=sides[0],
        after=sides[1],
        change_usd=change,
        parts=parts,
        price_causes=_price_causes(totals, parts.price_usd),
        principals=tuple(by_who[:MOST_MOVERS]),
        other_principals=_others(by_who, sides, parts),
        models=tuple(by_model[:MOST_MOVERS]),
        other_models=_others(by_model, sides, parts),
        unpriced_calls_before=old.unpriced,
        unpriced_calls_after=new.unpriced,
        cautions=tuple(_cautions(old, new, now and now.astimezone(before.zone))),
    )


class _Counted:
    """What was found in one window."""

    def __init__(self, days: Sequence[date]) -> None:
        self.days = frozenset(days)
        self.seen: set[date] = set()
        self.unpriced = 0
        self.cells: dict[Cell, Places] = {}


def _days_between(first: date, end: date, zone: ZoneInfo) -> Window:
    return Window(start_of(first, zone), start_of(end, zone), zone)


def _whole_days(window: Window) -> list[date]:
    since, until, zone = window.since, window.until, window.zone
    if since is None or until is None:
        raise UsageError("Two windows are compared, and one is open at an end. Give its first day and its last.")
    days = list(days_of(since, until, zone))
    if start_of(days[0], zone) != since or start_of(days[-1] + timedelta(days=1), zone) != until:
        raise UsageError("Whole days are compared. Give dates without a time of day, such as 2026-11-20.")
    return days


def _side(cells: Iterable[Places]) -> Side:
    used = Used()
    for places in cells:
        used.take(places.all)
    prompt = used.prompt
    return Side(
        cost_usd=usd(used.cost / 10**6),
        calls=used.calls,
        tokens_per_call=round(Fraction(sum(used.tokens), used.calls)) if used.calls else None,
        cache_read_share=usd(Fraction(used.cache_read, prompt)) if prompt else None,
    )


def _added(effects: Iterable[Mapping[Effect, Decimal]]) -> dict[Effect, Decimal]:
    found = dict.fromkeys(Effect, Decimal(0))
    for each in effects:
        for effect, amount in each.items():
            found[effect] += amount
    return found


def _parts(effects: Mapping[Effect, Decimal], change: Decimal) -> Parts:
    names = [effect for effect in Effect if effect not in PRICE]
    price = sum((effects[effect] for effect in PRICE), Decimal(0))
    amounts = adding_up_to(change, [*(effects[name] for name in names), price])
    return Parts(**{f"{name}_usd": amount for name, amount in zip([*names, "price"], amounts, strict=True)})


def _price_causes(effects: Mapping[Effect, Decimal], price: Decimal) -> PriceCauses:
    amounts = adding_up_to(price, [effects[effect] for effect in PRICE])
    return PriceCauses(**{f"{name}_usd": amount for name, amount in zip(PRICE, amounts, strict=True)})


def _movers(old: _Counted, new: _Counted, effects: Mapping[Cell, dict[Effect, Decimal]], place: int) -> list[Mover]:
    """Those at `place` of a cell, the most moved first."""
    cells: dict[str, list[Cell]] = {}
    for cell in sorted(effects):
        cells.setdefault(cell[place], []).append(cell)
    found = []
    for name, own in cells.items():
        before, after = (_side(each.cells[cell] for cell in own if cell in each.cells) for each in (old, new))
        totals = _added(effects[cell] for cell in own)
        change = after.cost_usd - before.cost_usd
        found.append(
            Mover(
                name=name,
                before=before,
                after=after,
                change_usd=change,
                parts=_parts(totals, change),
                cause=_cause(before, after, totals),
                mostly=_mostly({cell[1 - place]: sum(effects[cell].values(), Decimal(0)) for cell in own}),
            )
        )
    return sorted(found, key=lambda mover: (-abs(mover.change_usd), mover.name))


def _cause(before: Side, after: Side, effects: Mapping[Effect, Decimal]) -> Cause:
    change = sum(effects.values())
    if not change:
        return "none"
    if not before.calls:
        return "new"
    if not after.calls:
        return "gone"
    rest = [Effect.TOKENS, Effect.CACHE, *PRICE]
    calls = before.cost_usd * after.calls / before.calls - before.cost_usd
    causes: dict[Cause, Decimal] = {
        "calls": calls,
        "mix": sum((amount for effect, amount in effects.items() if effect not in rest), -calls),
        "tokens": effects[Effect.TOKENS],
        "cache": effects[Effect.CACHE],
        "price": sum((effects[effect] for effect in PRICE), Decimal(0)),
    }
    return max(causes, key=lambda cause: causes[cause] * (1 if change > 0 else -1))


def _mostly(changes: Mapping[str, Decimal]) -> str:
    change = sum(changes.values(), Decimal(0))
    name, largest = max(changes.items(), key=lambda item: item[1] * (1 if change > 0 else -1))
    return name if change and largest / change >= _MOST else ""


def _others(movers: Sequence[Mover], sides: tuple[Side, Side], parts: Parts) -> Others:
    """What `parts`, the whole change, holds beside the first of `movers`."""
    shown = movers[:MOST_MOVERS]
    before = sides[0].cost_usd - sum(mover.before.cost_usd for mover in shown)
    after = sides[1].cost_usd - sum(mover.after.cost_usd for mover in shown)
    rest = {name: getattr(parts, name) - sum(getattr(mover.parts, name) for mover in shown) for name in _PARTS}
    return Others(
        count=len(movers) - len(shown),
        cost_before_usd=before,
        cost_after_usd=after,
        change_usd=after - before,
        parts=Parts(**rest),
    )


def _cautions(old: _Counted, new: _Counted, now: datetime | None) -> Iterator[str]:
    if len(old.days) != len(new.days):
        yield f"The windows are not equally long: {_days(len(old.days))}, then {len(new.days)}."
    if both := len(old.days & new.days):
        yield f"The windows overlap: {_days(both)} {'are' if both > 1 else 'is'} in both."
    missing = [sorted(each.days - each.seen) for each in (old, new)]
    # Weekends without calls are in both windows, and no reason for doubt.
    if Counter(day.weekday() for day in missing[0]) != Counter(day.weekday() for day in missing[1]):
        for each, days in zip((old, new), missing, strict=True):
            if days:
                yield f"{_recorded(each)}, so the windows are not alike."
    if now is not None and new.days and now.date() in new.days | old.days:
        yield f"{now.date()} is not over yet."
    if abs(new.unpriced - old.unpriced) > _MANY * max(
        sum(places.all.calls for places in each.cells.values()) for each in (old, new)
    ):
        yield f"Calls without a price are in no figure here: {old.unpriced:,} of them before, {new.unpriced:,} after."


def _recorded(counted: _Counted) -> str:
    """`Only 3 of the 7 days from 2026-11-08 to 2026-11-14 have records`."""
    first, last = min(counted.days), max(counted.days)
    if first == last:
        return f"{first} has no records"
    which = f"Only {len(counted.seen)}" if counted.seen else "None"
    verb = "have" if len(counted.seen) > 1 else "has"
    return f"{which} of the {len(counted.days)} days from {first} to {last} {verb} records"


def _days(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"
