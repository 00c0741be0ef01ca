"""What stands out, in words."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, timedelta
from typing import Final

from tollbook.core.text import printable
from tollbook.spend.answers.anomalies import LEAST_DAYS, Anomalies, Anomaly, Cause
from tollbook.spend.model import label
from tollbook.spend.render.answers.forecast import caution_of
from tollbook.spend.render.telling import Column, Grid, Telling
from tollbook.spend.render.words import counted, dollars, faults

_COLUMNS = (
    Column("When", "day"),
    Column("Hours", "count", is_detail=True),
    Column("Principal", "name"),
    Column("Model", "name"),
    Column("Last days", "trend", is_detail=True),
    Column("Cost", "usd"),
    Column("Usual", "usd"),
    Column("More", "change"),
    Column("Cause", "words", is_detail=True),
)
_CAUSES: Final[Mapping[Cause, str]] = {
    "more_calls": "more calls",
    "more_tokens_per_call": "more tokens per call",
    "dearer_tokens": "dearer tokens",
    "new": "new",
}
_WHY: Final[Mapping[Cause, str]] = {
    **_CAUSES,
    "dearer_tokens": "dearer tokens (fewer from the cache, more output, or a dearer rate)",
}
_EVERYTHING: Final = "all calls"
_MOST_SENTENCES: Final = 10


def telling_of_anomalies(answer: Anomalies) -> Telling:
    """`answer` in words."""
    names = _names(answer)
    first, last = answer.first, answer.last
    days = f"{first:%b} {first.day} – {last:%b} {last.day}" if first != last else f"{last:%b} {last.day}"
    moment = f"{answer.now:%b} {answer.now.day}, {answer.now:%H:%M}"
    return Telling(
        title="Amazon Bedrock spend: what stands out",
        asked=f"{days}, {last.year} {answer.basis.period.tz}, up to {moment}",
        lead=_lead(answer),
        sentences=tuple(_sentences(answer, names)),
        grids=_grids(answer, names),
        faults=tuple(faults(answer.basis)),
        notes=(_rule(answer), *map(printable, answer.basis.notes)),
    )


def _lead(answer: Anomalies) -> str:
    if answer.history_days < LEAST_DAYS and not answer.anomalies:
        return (
            f"Nothing can be said to stand out: it takes {LEAST_DAYS} whole days of history to know what is usual, and "
            f"there {'is' if answer.history_days == 1 else 'are'} {answer.history_days or 'none'}."
        )
    if not answer.anomalies:
        return f"Nothing stands out in {counted(answer.cells, 'pair')} of model and principal."
    number = len(answer.anomalies) + answer.others
    more = f", {dollars(answer.excess_usd)} more than usual in all" if answer.excess_usd and number > 1 else ""
    return f"{counted(number, 'thing')} {'stands' if number == 1 else 'stand'} out{more}."


def _sentences(answer: Anomalies, names: Mapping[str | None, str]) -> Iterator[str]:
    yield from caution_of(answer.last_call_on, answer.silent_days)
    yield from (_sentence(one, names) for one in answer.anomalies[:_MOST_SENTENCES])
    more = len(answer.anomalies) - _MOST_SENTENCES
    if more > 0:
        rest = f", and {answer.others:,} of lesser weight that are not listed" if answer.others else ""
        yield f"And {more} more, in the table{rest}."


def _sentence(one: Anomaly, names: Mapping[str | None, str]) -> str:
    who = _EVERYTHING if one.model is None else f"{printable(one.principal or '')} with {names[one.model]}"
    if one.cause == "new":
        return f"{_when(one)}: {who} is new: {dollars(one.cost_usd)} for {counted(one.calls, 'call')}."
    factor = f" ({one.cost_usd / one.usual_usd:.1f} times as much)" if one.usual_usd else ""
    why = _WHY[one.cause]
    if one.cause == "more_calls":
        why = f"{counted(one.calls, 'call')} instead of {one.usual_calls:,}"
    usual = f"{dollars(one.cost_usd)} instead of {dollars(one.usual_usd)}{factor}"
    return f"{_when(one)}: {who} cost {usual}: {why}."


def _when(one: Anomaly) -> str:
    day = f"{one.day:%b} {one.day.day}"
    if one.hour is None:
        return day
    end = (one.hour.astimezone(UTC) + timedelta(hours=one.hours)).astimezone(one.hour.tzinfo)
    return f"{day}, {one.hour:%H:%M}–{end:%H:%M}"


def _rule(answer: Anomalies) -> str:
    hours = f", of an hour over {answer.hour_threshold}" if answer.by_hour else ""
    return (
        f"told is what cost at least {dollars(answer.floor_usd)} more than usual and lies far above its own history: a "
        f"modified z-score over {answer.threshold}{hours}; what became cheaper is not looked for"
    )


def _names(answer: Anomalies) -> dict[str | None, str]:
    models = {one.model for one in answer.anomalies if one.model is not None}
    times = Counter(map(label, models))
    return {model: printable(label(model) if times[label(model)] == 1 else model) for model in models}


def _grids(answer: Anomalies, names: Mapping[str | None, str]) -> tuple[Grid, ...]:
    rows = tuple(
        (
            one.hour or one.day,
            one.hours or None,
            one.principal or _EVERYTHING,
            names.get(one.model, ""),
            one.daily_usd,
            one.cost_usd,
            one.usual_usd,
            one.excess_usd,
            _CAUSES[one.cause],
        )
        for one in answer.anomalies
    )
    return (Grid("What stands out", _COLUMNS, rows, left_out=answer.others),) if rows else ()
