"""What every place does that keeps days."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.logs import ACCOUNT
from tests.sources.kept.conftest import DAY, PLACE, a_day, kept_days
from tollbook.sources.kept.days import KeptDay, KeptDays, Key, key_of
from tollbook.sources.reading import Place

KEY = key_of(PLACE, DAY, False, ("team",))


def month(number: int = 30) -> list[Key]:
    return [key_of(PLACE, DAY - timedelta(days=back), False, ("team",)) for back in range(number)]


def test_nothing_is_kept_at_first(days: KeptDays) -> None:
    assert days.find([KEY]) == {}
    assert days.find([]) == {}


def test_a_day_that_is_kept_is_found_by_whoever_asks(open_it: Callable[[], KeptDays]) -> None:
    day = a_day(KEY, rows=100)
    open_it().keep({KEY: day})
    assert open_it().find([KEY]) == {KEY: day}


def test_days_are_kept_and_found_together(days: KeptDays) -> None:
    entries = {key: a_day(key, number) for number, key in enumerate(month())}
    days.keep(entries)
    others = [key_of(PLACE, DAY + timedelta(days=1), False, ("team",)), key_of(PLACE, DAY, False, ())]
    assert days.find([*others, *entries, KEY]) == entries
    days.keep({})
    assert days.find(list(entries)[3:5]) == {key: entries[key] for key in list(entries)[3:5]}


def test_a_day_that_is_kept_again_takes_the_place_of_the_first(days: KeptDays) -> None:
    for calls in (1, 2):
        days.keep({KEY: a_day(KEY, calls)})
    assert days.find([KEY]) == {KEY: a_day(KEY, 2)}


def test_days_differ_by_account_region_place_day_and_tags(days: KeptDays) -> None:
    keys = [
        KEY,
        key_of(Place("444455556666", PLACE.region, PLACE.name), DAY, False, ("team",)),
        key_of(Place(ACCOUNT, "eu-west-1", PLACE.name), DAY, False, ("team",)),
        key_of(Place(ACCOUNT, PLACE.region, "/aws/bedrock-modelinvocations"), DAY, False, ("team",)),
        key_of(PLACE, DAY + timedelta(days=1), False, ("team",)),
        key_of(PLACE, DAY, False, ()),
        key_of(PLACE, DAY, False, ("team", "cost")),
        key_of(PLACE, DAY, False, ("Team",)),
    ]
    entries = {key: a_day(key, number) for number, key in enumerate(keys, 1)}
    days.keep(entries)
    assert days.find(keys) == entries


def test_tags_are_found_in_whatever_order_they_are_asked_for(days: KeptDays) -> None:
    kept, asked = (key_of(PLACE, DAY, False, tags) for tags in (("team", "cost"), ("cost", "team")))
    days.keep({kept: a_day(kept)})
    assert days.find([asked]) == {asked: a_day(kept)}
    assert days.find([asked])[asked].tags == ("team", "cost")


def test_a_day_by_quarters_serves_who_needs_hours_and_not_the_other_way_round(days: KeptDays) -> None:
    hours, quarters = (key_of(PLACE, DAY, fine, ()) for fine in (False, True))
    days.keep({hours: a_day(hours, 1)})
    assert days.find([hours, quarters]) == {hours: a_day(hours, 1)}
    days.keep({quarters: a_day(quarters, 2)})
    assert days.find([hours, quarters]) == {hours: a_day(quarters, 2), quarters: a_day(quarters, 2)}


def test_threads_share_it(days: KeptDays) -> None:
    keys = month(24)

    def keep_and_find(key: Key) -> bool:
        days.keep({key: a_day(key)})
        return days.find([key]) == {key: a_day(key)}

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(keep_and_find, keys))
    assert len(days.find(keys)) == 24


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(kept_days(), max_size=3))
def test_any_days_come_back_as_they_were(days: KeptDays, entries: list[tuple[Key, KeptDay]]) -> None:
    together = {key.name: (key, day) for key, day in entries}
    days.keep(dict(together.values()))
    assert days.find([key for key, _ in together.values()]) == dict(together.values())
