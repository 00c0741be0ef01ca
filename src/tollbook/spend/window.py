"""The stretch of time that a report covers, in whole days of a time zone."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import msgspec

from tollbook.core.errors import UsageError

# Longer than CloudWatch keeps logs (ten years), shorter than a slip of the finger.
MOST_DAYS = 3660
# A time outside of these years is a fault, in a log as in a question.
YEARS = range(2000, 2100)


class Window(msgspec.Struct, frozen=True):
    """From `since` to just before `until`; either may be open.

    Both are aware datetimes in UTC. Days are those of `zone`: one of them has 23 or 25 hours twice a year
    in many zones.
    """

    since: datetime | None
    until: datetime | None
    zone: ZoneInfo

    @property
    def is_open(self) -> bool:
        return self.since is None and self.until is None


def zone_of(name: str) -> ZoneInfo:
    """The IANA time zone `name`.

    Raises:
        UsageError: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # no such zone; no such name; a folder of zones
        message = f"There is no time zone '{name}'. Give an IANA name such as Europe/Berlin, America/New_York or UTC."
        raise UsageError(message) from None


@cache
def has_whole_hours(zone: ZoneInfo) -> bool:
    """Whether the zone's hours begin with those of UTC, in summer and in winter."""
    dates = (datetime(year, month, 1, tzinfo=zone) for year in YEARS for month in (1, 7))
    return all((date.utcoffset() or timedelta()) % timedelta(hours=1) == timedelta() for date in dates)


def last_days(days: int, now: datetime, zone: ZoneInfo) -> Window:
    """Today and the `days` - 1 whole days before it, up to the end of today.

    Raises:
        UsageError: `days` is below 1 or above `MOST_DAYS`.
    """
    if not 1 <= days <= MOST_DAYS:
        raise UsageError(f"--days takes a whole number from 1 to {MOST_DAYS}, not {days}. 1 is today alone.")
    today = now.astimezone(zone).date()
    return Window(start_of(today - timedelta(days=days - 1), zone), start_of(today + timedelta(days=1), zone), zone)


def between(since: str | None, until: str | None, zone: ZoneInfo) -> Window:
    """From `since` to `until`, each a date or an instant in ISO 8601, or open where None.

    A date means the whole of that day in `zone`, at either end. An instant without an offset is local to
    `zone`; as `until` it is not part of the window itself.

    Raises:
        UsageError: one cannot be read, or `until` does not come after `since`.
    """
    start = None if since is None else instant("--since", since, zone)
    end = None if until is None else instant("--until", until, zone, end_of_day=True)
    if start is not None and end is not None and end <= start:
        raise UsageError(f"--until {until} comes before --since {since}: nothing lies between them. Exchange the two.")
    return Window(start, end, zone)


def instant(option: str, text: str, zone: ZoneInfo, *, end_of_day: bool = False) -> datetime:
    """The instant, in UTC, that `text` means: an ISO 8601 date or time, local to `zone` if it has no offset.

    Args:
        option: where it was given, for the message.
        end_of_day: a date means the end of that day, not its start.

    Raises:
        UsageError: it is neither.
    """
    try:
        time = datetime.fromisoformat(text)
        if time.year not in YEARS:
            raise ValueError(time)
        if _is_date(text):
            return start_of(time.date() + timedelta(days=end_of_day), zone)
        return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        form = "Write 2026-11-20, 2026-11-20T09:00 or 2026-11-20T09:00:00Z."
        raise UsageError(f"{option} '{text}' is no date or time. {form}") from None


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of `day` in `zone`, in UTC.

    Where the clocks go forward at midnight, that day's first instant is the one the clocks jump to.
    """
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def days_of(since: datetime, until: datetime, zone: ZoneInfo) -> Iterator[date]:
    """The local days that the stretch from `since` to just before `until` touches, in order."""
    day = since.astimezone(zone).date()
    while start_of(day, zone) < until:
        yield day
        day += timedelta(days=1)
