"""Where the month ends."""

import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.answers.rows import BOOK, NOVA, Calls, report, usage
from tests.answers.rows import window as whole_window
from tollbook.core.errors import UsageError
from tollbook.spend.answers.forecast import FORECAST_BY, Forecast, forecast_of, forecast_window
from tollbook.spend.query import Query
from tollbook.spend.render.answers import as_json, telling_of
from tollbook.spend.report import Report, report_of
from tollbook.spend.tally import Counted
from tollbook.spend.window import Window, start_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TODAY = NOW.date()
PER_DOLLAR = 1_250_000  # input tokens of Nova Pro: $0.80 a million
DAY = timedelta(days=1)


def spent(day: date, usd: float | Decimal, **more: object) -> Calls:
    """Calls of `day` that cost so much."""
    return Calls(day, usage(10, round(Decimal(usd) * PER_DOLLAR)), model=NOVA, **more)  # type: ignore[arg-type]


def read(costs: Mapping[date, float], now: datetime = NOW, asked: Window | None = None) -> Report:
    asked = asked or forecast_window(now, ZoneInfo("UTC"))
    return report([spent(day, usd) for day, usd in costs.items()], asked, FORECAST_BY)


def every_day(number: int, usd: float = 10, until: date = TODAY) -> dict[date, float]:
    """`number` whole days before `until`."""
    return {until - step * DAY: usd for step in range(1, number + 1)}


def coming(forecast: Forecast) -> dict[date, Decimal]:
    return {day.day: day.mid_usd for day in forecast.days if day.mid_usd is not None}


def test_even_days_go_on_to_the_end_of_the_month() -> None:
    found = forecast_of(read(every_day(56)), NOW)
    assert (found.first, found.last) == (date(2026, 11, 1), date(2026, 11, 30))
    assert found.so_far_usd == 210
    assert found.mid_usd == 300
    assert found.whole_days == 56
    assert found.low_usd <= found.mid_usd <= found.high_usd
    assert found.backtest is not None
    assert found.backtest.error_share == 0
    assert found.backtest.covered_share == 1
    assert [day.usd for day in found.days] == [10] * 21 + [0] + [None] * 8


def test_todays_part_is_dropped_and_today_taken_as_a_whole_day() -> None:
    found = forecast_of(read({**every_day(56), TODAY: 1}), NOW)
    assert found.today_usd == 1
    assert found.so_far_usd == 211
    assert found.mid_usd == 300


def test_today_is_never_said_to_cost_less_than_it_did_already() -> None:
    found = forecast_of(read({**every_day(56), TODAY: 25}), NOW)
    today = found.days[21]
    assert today.usd == 25
    assert today.mid_usd == 30  # half of the day is to come, and half of a day costs $5
    assert today.low_usd is not None
    assert today.high_usd is not None
    assert 25 < today.low_usd < 30 < today.high_usd
    assert found.mid_usd == 320
    assert found.low_usd >= found.so_far_usd == 235


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_late_in_a_dear_day_its_line_still_has_an_interval(zone: str) -> None:
    asked = forecast_window(NOW, ZoneInfo(zone))
    found = forecast_of(read({**every_day(56), TODAY: 26}, asked=asked), NOW)
    today = found.days[21]
    local = NOW.astimezone(ZoneInfo(zone))
    left = 1 - Decimal(local.hour * 60 + local.minute) / 1440
    assert today.mid_usd == pytest.approx(26 + 10 * left)
    assert 26 < (today.low_usd or 0) < today.mid_usd < (today.high_usd or 0)


def test_on_the_last_day_of_a_month_the_month_ends_as_that_day_does() -> None:
    last = datetime(2026, 11, 30, 18, tzinfo=UTC)
    found = forecast_of(read({**every_day(56, until=last.date()), last.date(): 26}, last), last)
    (today,) = (day for day in found.days if day.mid_usd is not None)
    assert (today.low_usd, today.mid_usd, today.high_usd) == (
        found.low_usd - 290,
        found.mid_usd - 290,
        found.high_usd - 290,
    )


@pytest.mark.parametrize("days", [0, 1, 6])
def test_under_seven_whole_days_there_is_no_forecast(days: int) -> None:
    number = {0: "is no whole day", 1: "is only 1 whole day", 6: "are only 6 whole days"}[days]
    with pytest.raises(UsageError, match=f"There {number} of records before today, and a forecast needs 7"):
        forecast_of(read({**every_day(days), TODAY: 3}), NOW)


def test_seven_whole_days_are_enough() -> None:
    found = forecast_of(read(every_day(7)), NOW)
    assert found.mid_usd == 160
    assert found.backtest is None
    assert found.high_usd > found.mid_usd
    assert "too few to try the same rule on" in " ".join(telling_of(found).sentences)


def test_days_before_the_first_record_are_no_days_without_cost() -> None:
    assert set(coming(forecast_of(read(every_day(10)), NOW)).values()) == {10}


def test_a_day_without_calls_after_the_first_one_cost_nothing() -> None:
    week = {day: usd for day, usd in every_day(56).items() if day.weekday() < 5}
    expected = coming(forecast_of(read(week), NOW))
    assert {day.weekday(): usd for day, usd in expected.items()} == {0: 10, 1: 10, 2: 10, 3: 10, 4: 10, 5: 0, 6: 0}


def test_each_weekday_is_foretold_by_its_own_kind() -> None:
    week = {day: float(10 + 10 * day.weekday()) for day in every_day(56)}
    expected = coming(forecast_of(read(week), NOW))
    assert {day: round(usd, 4) for day, usd in expected.items()} == {day: 10 + 10 * day.weekday() for day in expected}


def test_single_dear_days_do_not_move_it() -> None:
    costs = {**every_day(56), date(2026, 11, 10): 500.0, date(2026, 11, 20): 90.0}
    assert set(coming(forecast_of(read(costs), NOW)).values()) == {10}


def test_a_new_level_is_followed_within_two_weeks() -> None:
    costs = {**every_day(56, 10), **every_day(12, 40)}
    assert all(usd > 38 for usd in coming(forecast_of(read(costs), NOW)).values())


def test_what_was_not_read_of_the_month_is_estimated_and_said() -> None:
    asked = whole_window(date(2026, 11, 9), TODAY)
    found = forecast_of(read(every_day(13), asked=asked), NOW)
    assert found.so_far_usd == 130
    assert found.mid_usd == 300
    assert found.days[0].usd is None
    assert "8 days of the month not read" in " ".join(telling_of(found).sentences)


def test_a_report_that_ended_days_ago_says_nothing_of_the_days_since() -> None:
    asked = whole_window(date(2026, 10, 1), date(2026, 11, 15))
    found = forecast_of(read(every_day(20, until=date(2026, 11, 16)), asked=asked), NOW)
    assert [day.usd for day in found.days if day.usd is not None] == [10] * 15
    assert found.mid_usd == 300


def test_a_day_that_was_read_in_part_is_not_taken_for_a_whole_one() -> None:
    asked = Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 15, 12, tzinfo=UTC), ZoneInfo("UTC"))
    costs = {**every_day(20, until=date(2026, 11, 15)), date(2026, 11, 15): 4.0}
    found = forecast_of(read(costs, asked=asked), NOW)
    assert found.whole_days == 20
    assert found.days[14].usd is None
    assert found.mid_usd == 300


@pytest.mark.parametrize(("now", "open_days"), [("2026-11-30T23:59", 1), ("2026-12-01T00:00", 31)])
def test_the_month_is_the_one_of_now(now: str, open_days: int) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    found = forecast_of(read(every_day(56, until=moment.date()), moment), moment)
    assert len(coming(found)) == open_days
    assert found.mid_usd == 10 * found.last.day


def test_days_are_those_of_the_zone() -> None:
    zone = ZoneInfo("America/New_York")
    now = datetime(2026, 11, 22, 4, 30, tzinfo=UTC)  # there it is still the 21st
    asked = forecast_window(now, zone)
    assert asked.since == start_of(date(2026, 9, 26), zone)
    calls = [spent(date(2026, 11, 21) - step * DAY, 10, hour=3) for step in range(20)]
    found = forecast_of(report(calls, asked, ("hour",)), now)
    assert found.days[19].usd == 10  # the calls of the 21st at 3 in UTC, on the evening of the 20th
    assert found.today_usd == 0
    assert found.whole_days == 20


def test_what_lies_after_the_moment_of_asking_is_not_read() -> None:
    assert forecast_window(NOW, ZoneInfo("Asia/Kolkata")).until == NOW


def test_whole_days_at_the_end_without_any_call_are_told_first() -> None:
    found = forecast_of(read(every_day(50, until=TODAY - 6 * DAY)), NOW)
    assert (found.last_call_on, found.silent_days, found.whole_days) == (date(2026, 11, 15), 6, 50)
    assert telling_of(found).sentences[0] == (
        "No call counted here is logged after Nov 15: the 6 whole days since count as $0. If the logs are late, ask "
        "again when they are there."
    )


def test_one_silent_day_is_told_of_in_the_singular() -> None:
    told = telling_of(forecast_of(read(every_day(50, until=TODAY - DAY)), NOW)).sentences[0]
    assert "after Nov 20: the whole day since counts as $0." in told


@pytest.mark.parametrize("costs", [every_day(50), {**every_day(40, until=TODAY - 8 * DAY), TODAY: 1}])
def test_where_there_are_calls_up_to_yesterday_or_today_no_day_is_silent(costs: dict[date, float]) -> None:
    found = forecast_of(read(costs), NOW)
    assert found.silent_days == 0
    assert "logged after" not in " ".join(telling_of(found).sentences)


@pytest.mark.parametrize(("days", "number"), [(1, "is only 1 whole day"), (6, "are only 6 whole days")])
def test_silent_days_are_no_evidence(days: int, number: str) -> None:
    with pytest.raises(UsageError, match=f"There {number} of records before today"):
        forecast_of(read(every_day(days, until=TODAY - 9 * DAY)), NOW)


def test_silent_days_are_not_what_the_rule_is_tried_on() -> None:
    tested = forecast_of(read(every_day(30, until=TODAY - 8 * DAY)), NOW).backtest
    assert tested is not None
    assert {trial.came_usd for trial in tested.trials} == {10 * tested.days}


@pytest.mark.parametrize(
    ("number", "words"), [(30, "None of the 30 calls in these days has a price"), (1, "The only call in these days")]
)
def test_where_nothing_has_a_price_nothing_is_foretold(number: int, words: str) -> None:
    calls = [Calls(TODAY - step * DAY, usage(1, 1_000), model="acme.unheard-of-v1:0") for step in range(1, number + 1)]
    with pytest.raises(UsageError, match=words):
        forecast_of(report(calls, forecast_window(NOW, ZoneInfo("UTC")), FORECAST_BY), NOW)


def test_how_the_level_is_taken_is_told_beside_it() -> None:
    told = telling_of(forecast_of(read(every_day(56)), NOW)).sentences
    place = next(place for place, sentence in enumerate(told) if "a day expected; the median of the last" in sentence)
    assert told[place + 1].startswith("What is expected is the level of the last two weeks without their highest and ")


def test_what_has_no_price_makes_it_at_least() -> None:
    calls = [spent(day, 10) for day in every_day(30)]
    calls.append(Calls(TODAY - DAY, usage(5, 1_000), model="acme.unheard-of-v1:0"))
    found = forecast_of(report(calls, forecast_window(NOW, ZoneInfo("UTC")), FORECAST_BY), NOW)
    telling = telling_of(found)
    assert found.is_at_least
    assert telling.lead.startswith("November 2026 will cost about $300.00 or more: ")
    assert telling.faults == ("unpriced: 5 requests, 1,000 tokens",)


def test_what_could_not_be_read_makes_it_at_least() -> None:
    found = msgspec.structs.replace(read(every_day(30)), unread=("an object",))
    assert forecast_of(found, NOW).is_at_least


def test_a_trial_says_what_would_have_been_said() -> None:
    dice = random.Random(9)  # noqa: S311
    costs = {day: dice.lognormvariate(2, 0.3) for day in every_day(40)}
    tested = forecast_of(read(costs), NOW).backtest
    assert tested is not None
    assert len(tested.trials) == 40 - 7 - tested.days + 1
    for trial in tested.trials:
        if trial.first.month == (trial.first + tested.days * DAY).month:
            then = datetime.combine(trial.first, time(), UTC)
            before = {day: usd for day, usd in costs.items() if day < trial.first}
            said = list(coming(forecast_of(read(before, then), then)).values())[: tested.days]
            came = sum(Decimal(round(costs[trial.first + step * DAY] * PER_DOLLAR)) for step in range(tested.days))
            assert trial.said_usd == pytest.approx(sum(said), abs=Decimal("0.0001"))
            assert trial.came_usd == pytest.approx(came / PER_DOLLAR, abs=Decimal("0.0001"))


def test_what_was_off_is_told() -> None:
    dice = random.Random(9)  # noqa: S311
    found = forecast_of(read({day: dice.lognormvariate(2, 0.3) for day in every_day(56)}), NOW)
    told = " ".join(telling_of(found).sentences)
    assert found.backtest is not None
    assert f"it would have been off by {found.backtest.error_share:.0%} in the median" in told
    assert "80% likely between" in telling_of(found).lead


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 55), st.floats(0.01, 500)), min_size=1), st.randoms())
def test_the_order_of_rows_does_not_matter(made: list[tuple[int, float]], dice: random.Random) -> None:
    calls = [spent(TODAY - 56 * DAY, 1), spent(TODAY, 1), *(spent(TODAY - back * DAY, usd) for back, usd in made)]
    asked = forecast_window(NOW, ZoneInfo("UTC"))
    first = forecast_of(report(calls, asked, FORECAST_BY), NOW)
    dice.shuffle(calls)
    assert as_json(forecast_of(report(calls, asked, FORECAST_BY), NOW)) == as_json(first)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 500), min_size=7, max_size=60), st.floats(0, 500))
def test_no_figure_is_below_what_was_spent_and_the_estimate_lies_in_its_interval(past: list[float], now: float) -> None:
    costs = {TODAY - (step + 1) * DAY: usd for step, usd in enumerate(past)} | {TODAY: now}
    found = forecast_of(read({day: usd for day, usd in costs.items() if (TODAY - day).days <= 56}), NOW)
    assert found.so_far_usd <= found.low_usd <= found.mid_usd <= found.high_usd
    for day in found.days:
        assert day.mid_usd is None or (day.low_usd or 0) <= day.mid_usd <= (day.high_usd or 0)


def test_without_any_record_there_is_no_forecast() -> None:
    empty = report_of(Counted(), Query(Window(None, None, ZoneInfo("UTC")), FORECAST_BY), FORECAST_BY, BOOK, {})
    with pytest.raises(UsageError, match="no whole day"):
        forecast_of(empty, NOW)
