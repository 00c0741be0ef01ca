"""Which days a question takes from those kept, and which it reads."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tollbook.core.errors import UsageError
from tollbook.sources.plan import ALLOWANCE, Plan, plan, whole_day
from tollbook.sources.reading import Stretch
from tollbook.spend.query import Query
from tollbook.spend.sight import Pattern, Sight
from tollbook.spend.window import between, last_days, zone_of

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Kiritimati")


def planned(days: int = 3, zone: str = "UTC", by: tuple[str, ...] = ("day", "model"), now: datetime = NOW) -> Plan:
    return plan(Query(last_days(days, now, zone_of(zone)), by), now, ())


def test_days_that_are_over_are_kept_and_today_is_read_up_to_now() -> None:
    found = planned(3)
    assert found.closed == (date(2026, 11, 21), date(2026, 11, 22))
    (today,) = found.anew
    assert today.since == datetime(2026, 11, 23, tzinfo=UTC)
    assert NOW < today.until < NOW + timedelta(hours=1)


def test_a_day_is_over_only_once_its_last_records_have_arrived() -> None:
    midnight = datetime(2026, 11, 23, tzinfo=UTC)
    just_before, just_after = midnight + ALLOWANCE - timedelta(seconds=1), midnight + ALLOWANCE
    assert planned(2, now=just_before).closed == ()
    assert planned(2, now=just_after).closed == (date(2026, 11, 22),)


def test_a_thirty_day_question_reads_one_day_again() -> None:
    found = planned(30)
    assert len(found.closed) == 29
    assert len(found.anew) == 1


def test_where_zones_cut_days_of_utc_only_the_smaller_part_is_read_alone() -> None:
    found = planned(3, "Europe/Berlin")  # from 23:00 UTC on the 20th
    assert found.closed == (date(2026, 11, 21), date(2026, 11, 22))
    assert [part.since for part in found.anew] == [
        datetime(2026, 11, 20, 23, tzinfo=UTC),
        datetime(2026, 11, 23, tzinfo=UTC),
    ]
    assert planned(3, "America/New_York").closed == (date(2026, 11, 21), date(2026, 11, 22))


@pytest.mark.parametrize(("zone", "quarters"), [("UTC", False), ("Europe/Berlin", False), ("Asia/Kolkata", True)])
def test_kept_rows_tell_quarters_where_the_zone_needs_them(zone: str, quarters: bool) -> None:
    assert planned(3, zone).quarters is quarters


@pytest.mark.parametrize(
    "query",
    [
        Query(last_days(3, NOW, zone_of("UTC")), ("session",)),
        Query(last_days(3, NOW, zone_of("UTC")), ("tag:app",)),
        Query(last_days(3, NOW, zone_of("UTC")), (), sight=Sight("own", "your own calls", (Pattern(("user/a",)),))),
    ],
    ids=["sessions", "a tag that is not configured", "who sees his own sessions only"],
)
def test_what_kept_rows_do_not_tell_is_read_anew(query: Query) -> None:
    found = plan(query, NOW, ("team",))
    assert found.closed == ()
    assert len(found.anew) == 3


def test_a_tag_that_is_configured_is_kept() -> None:
    query = Query(last_days(3, NOW, zone_of("UTC")), ("tag:team",))
    assert len(plan(query, NOW, ("app", "team")).closed) == 2


def test_where_nothing_is_kept_all_is_read() -> None:
    found = plan(Query(last_days(3, NOW, zone_of("UTC"))), NOW, None)
    assert found.closed == ()
    assert len(found.anew) == 3


def test_a_window_within_an_hour_cannot_be_cut_from_kept_rows() -> None:
    window = between("2026-11-20T00:07", "2026-11-22T23:59:30", ZoneInfo("UTC"))
    found = plan(Query(window, ("day",)), NOW, ())
    assert found.closed == (date(2026, 11, 21),)
    assert found.anew == (
        Stretch(datetime(2026, 11, 20, 0, 7, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)),
        Stretch(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 22, 23, 59, 30, tzinfo=UTC)),
    )


def test_without_a_beginning_there_is_no_end_to_reading() -> None:
    with pytest.raises(UsageError, match="--days or --since"):
        plan(Query(between(None, None, ZoneInfo("UTC"))), NOW, ())


def test_a_beginning_before_there_was_a_cloud_is_a_slip_of_the_finger() -> None:
    with pytest.raises(UsageError, match="Give a later --since"):
        plan(Query(between("2001-01-01", None, ZoneInfo("UTC"))), NOW, ())


@given(
    some.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=some.just(UTC)),
    some.integers(1, 40),
    some.sampled_from(ZONES),
)
def test_every_instant_of_the_window_up_to_now_is_read_once(now: datetime, days: int, zone: str) -> None:
    window = last_days(days, now, zone_of(zone))
    assert window.since is not None
    found = plan(Query(window, ("day",)), now, ())
    parts = sorted([*map(whole_day, found.closed), *found.anew])
    for before, after in pairwise(parts):
        assert before.until == after.since
    assert parts[0].since <= window.since
    assert parts[-1].until >= min(now, window.until or now)
    for part in parts:
        assert part.since.date() == (part.until - timedelta(microseconds=1)).date()
