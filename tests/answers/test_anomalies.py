"""What stands out."""

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.answers.rows import NOVA, SONNET, Calls, report, usage
from tollbook.core.errors import UsageError
from tollbook.spend.answers.anomalies import (
    ANOMALIES_BY,
    MOST_TOLD,
    Anomalies,
    Anomaly,
    anomalies_of,
    anomalies_window,
)
from tollbook.spend.render.answers import as_json, telling_of

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)  # a Sunday
TODAY = NOW.date()
DAY = timedelta(days=1)
DAYS = [TODAY - step * DAY for step in range(48, -1, -1)]
"""All that is read for seven days."""
THURSDAY = date(2026, 11, 19)
ZONE = ZoneInfo("UTC")
WHO = "role/rag-api"
BY_DAY = ("day", "model", "principal")
WORK = range(8, 18)


def calls(day: date, number: int, hour: int = 9, who: str = WHO, size: int = 12_500, output: int = 0) -> Calls:
    """Of Nova Pro in us-east-1, $0.80 a million tokens of input: of the usual size, a cent each."""
    return Calls(day, usage(number, number * size, number * output), model=NOVA, who=who, hour=hour)


def office(days: Iterable[date] = DAYS, who: str = WHO, number: int = 100) -> list[Calls]:
    """Ten hours of work a day, $10; a tenth of it at weekends; none that are not over yet."""
    return [
        calls(day, number if day.weekday() < 5 else number // 10, hour, who)
        for day in days
        for hour in WORK
        if day < TODAY or hour < NOW.hour
    ]


def found(
    made: Sequence[Calls], by: tuple[str, ...] = ANOMALIES_BY, days: int = 7, floor: str = "1", now: datetime = NOW
) -> Anomalies:
    return anomalies_of(report(made, anomalies_window(days, now, ZONE), by), days, now, Decimal(floor))


def the_one(answer: Anomalies) -> Anomaly:
    (one,) = answer.anomalies
    return one


def lead(answer: Anomalies) -> str:
    return telling_of(answer).lead


def test_where_all_is_as_usual_nothing_stands_out() -> None:
    answer = found(office())
    assert not answer.anomalies
    assert lead(answer) == "Nothing stands out in 1 pair of model and principal."


@pytest.mark.parametrize("by", [ANOMALIES_BY, BY_DAY], ids=["by hour", "by day alone"])
def test_a_day_of_four_times_the_calls_is_told_with_what_is_usual(by: tuple[str, ...]) -> None:
    one = the_one(found([*office(), *(calls(THURSDAY, 300, hour) for hour in WORK)], by))
    assert (one.day, one.hour, one.model, one.principal) == (THURSDAY, None, "amazon.nova-pro-v1:0", WHO)
    assert [one.cost_usd, one.usual_usd, one.excess_usd] == [40, 10, 30]
    assert [one.calls, one.usual_calls, one.cause] == [4_000, 1_000, "more_calls"]
    assert one.z is not None
    assert one.z > 3


def test_an_hour_is_told_where_its_day_is_not_unusual() -> None:
    one = the_one(found([*office(), calls(THURSDAY, 400, 14)]))
    assert (one.day, one.hour, one.hours) == (THURSDAY, datetime(2026, 11, 19, 14, tzinfo=UTC), 1)
    assert [one.cost_usd, one.usual_usd] == [5, 1]


def test_hours_in_a_row_are_one() -> None:
    spike = [calls(THURSDAY, 150, hour) for hour in (10, 11, 12)]
    one = the_one(found([*office(), *spike], floor="1"))
    assert one.hour is not None
    assert [one.hour.hour, one.hours] == [10, 3]
    assert [one.cost_usd, one.usual_usd, one.calls] == [Decimal("7.5"), 3, 750]


def test_an_hour_in_a_day_that_stands_out_is_not_told_again() -> None:
    one = the_one(found([*office(), calls(THURSDAY, 5_000, 14)]))
    assert one.hour is None


def test_of_today_only_the_hours_that_are_over_are_judged() -> None:
    spikes = [calls(TODAY, 900, 11), calls(TODAY, 900, 12)]
    one = the_one(found([*office(), *spikes]))
    assert (one.hour, one.hours) == (datetime(2026, 11, 22, 11, tzinfo=UTC), 1)
    assert not found([*office(), *spikes], BY_DAY).anomalies


def test_a_weekend_is_held_against_weekends() -> None:
    saturday = date(2026, 11, 21)
    made = [each for each in office() if each.day != saturday] + [calls(saturday, 100, hour) for hour in WORK]
    one = the_one(found(made))
    assert [one.day, one.cost_usd, one.usual_usd] == [saturday, 10, 1]


def test_monday_after_the_weekend_is_no_news() -> None:
    monday = datetime(2026, 11, 16, 23, tzinfo=UTC)
    assert not found([each for each in office() if each.day <= monday.date()], now=monday).anomalies


def test_the_spikes_of_other_days_do_not_hide_one() -> None:
    before = [THURSDAY - 7 * DAY, THURSDAY - 14 * DAY, THURSDAY - DAY]
    answer = found([*office(), *(calls(day, 300, hour) for day in (*before, THURSDAY) for hour in WORK)])
    assert {one.day for one in answer.anomalies} == {THURSDAY - DAY, THURSDAY}
    assert {one.usual_usd for one in answer.anomalies} == {Decimal(10)}


def test_steady_growth_is_no_news() -> None:
    made = [calls(day, round(100 * 1.03**number), hour) for number, day in enumerate(DAYS[:-1]) for hour in WORK]
    assert not found(made).anomalies


def test_a_new_level_is_news_for_some_days_only() -> None:
    made = [calls(day, 300 if day >= TODAY - 14 * DAY else 100, hour) for day in DAYS[:-1] for hour in WORK]
    assert not found(made, days=3).anomalies


def test_work_after_a_week_without_is_no_news() -> None:
    off = [THURSDAY - step * DAY for step in range(2, 10)]
    quiet = [calls(day, 5, hour) for day in off for hour in WORK]
    assert not found([*(each for each in office() if each.day not in off), *quiet]).anomalies


def test_what_never_changes_may_change_a_little() -> None:
    assert not found([*office(), *(calls(THURSDAY, 30, hour) for hour in WORK)]).anomalies


@pytest.mark.parametrize(("floor", "told"), [("30", 1), ("30.01", 0)])
def test_below_the_floor_nothing_is_told(floor: str, told: int) -> None:
    made = [*office(), *(calls(THURSDAY, 300, hour) for hour in WORK)]
    assert len(found(made, floor=floor).anomalies) == told


@pytest.mark.parametrize(
    ("number", "size", "output", "cause"),
    [
        (400, 12_500, 0, "more_calls"),
        (100, 50_000, 0, "more_tokens_per_call"),
        (100, 500, 12_000, "dearer_tokens"),
    ],
)
def test_the_cause_is_what_grew_the_most(number: int, size: int, output: int, cause: str) -> None:
    made = [each for each in office() if each.day != THURSDAY]
    spike = [calls(THURSDAY, number, hour, size=size, output=output) for hour in WORK]
    assert the_one(found([*made, *spike])).cause == cause


def test_who_calls_for_the_first_time_is_new() -> None:
    one = the_one(found([*office(), calls(THURSDAY, 200, who="role/new")]))
    assert (one.principal, one.cause, one.z) == ("role/new", "new", None)
    assert [one.cost_usd, one.usual_usd, one.excess_usd] == [2, 0, 2]


def test_who_is_new_is_told_once_and_again_only_if_it_grows_to_thrice_as_much() -> None:
    days = [TODAY - step * DAY for step in (6, 5, 4, 3, 2)]
    made = [calls(day, number, who="role/new") for day, number in zip(days, (50, 200, 300, 950, 1_000), strict=True)]
    answer = found([*office(), *made])
    assert sorted((one.day, one.cause) for one in answer.anomalies) == [(days[1], "new"), (days[3], "new")]


def test_where_the_logs_begin_nobody_is_new() -> None:
    answer = found(office([day for day in DAYS if day >= TODAY - 5 * DAY]))
    assert not answer.anomalies
    assert answer.history_days == 0
    assert lead(answer).startswith("Nothing can be said to stand out: it takes 7 whole days of history")


def test_batches_at_whatever_hour_are_no_news() -> None:
    dice = random.Random(4)  # noqa: S311
    made = [calls(day, 400, dice.randrange(24)) for day in DAYS[:-1] for _ in range(2)]
    assert not found(made).anomalies


def test_a_weekly_batch_is_no_news() -> None:
    made = [*office(), *(calls(day, 900, 3) for day in DAYS if day.weekday() == THURSDAY.weekday())]
    assert not found(made).anomalies


def test_the_whole_is_told_where_no_single_one_explains_it() -> None:
    few = [office(who=f"role/team-{number}", number=10) for number in range(20)]
    more = [calls(THURSDAY, 9, hour, f"role/team-{number}") for number in range(20) for hour in WORK]
    one = the_one(found([*(each for team in few for each in team), *more]))
    assert (one.model, one.principal, one.day) == (None, None, THURSDAY)
    assert [one.cost_usd, one.usual_usd] == [38, 20]


def test_the_whole_is_not_told_where_one_of_them_explains_it() -> None:
    answer = found([*office(), *office(who="role/other"), *(calls(THURSDAY, 300, hour) for hour in WORK)])
    assert the_one(answer).principal == WHO


def test_of_very_many_the_dearest_are_listed_and_the_others_counted() -> None:
    whos = [f"role/team-{number:03}" for number in range(MOST_TOLD + 20)]
    usual = [calls(day, 100, who=who) for who in whos for day in DAYS[:-1]]
    spikes = [calls(THURSDAY, 400 + number, 14, who) for number, who in enumerate(whos)]
    answer = found([*usual, *spikes], BY_DAY)
    assert (len(answer.anomalies), answer.others) == (MOST_TOLD, 20)
    assert answer.anomalies[0].principal == whos[-1]
    assert answer.excess_usd == sum((Decimal(400 + number) / 100 for number in range(len(whos))), Decimal(0))
    told = telling_of(answer)
    assert told.lead.startswith(f"{MOST_TOLD + 20} things stand out")
    assert told.grids[0].left_out == 20


def test_days_without_any_price_are_no_history_of_zero() -> None:
    unpriced = [Calls(day, usage(5, 500), model="acme.unheard-of-v1:0", who=WHO) for day in DAYS]
    answer = found([*office(), *unpriced])
    assert not answer.anomalies
    assert telling_of(answer).faults == ("unpriced: 245 requests, 24,500 tokens",)


def test_who_called_without_a_price_for_weeks_is_not_new_on_the_first_priced_day() -> None:
    llama = "us.meta.llama3-3-70b-instruct-v1:0"  # without a rate for tokens from the cache
    days = [day for day in DAYS[20:] if day < THURSDAY]
    before = [Calls(day, usage(5, read=500), model=llama, who="role/late") for day in days]
    after = Calls(THURSDAY, usage(200, 10**7), model=llama, who="role/late")
    assert the_one(found([*office(), after])).cause == "new"
    assert not found([*office(), *before, after]).anomalies


def test_the_hour_that_comes_twice_is_read_as_two() -> None:
    zone = ZoneInfo("America/New_York")
    now = datetime(2026, 11, 3, 12, tzinfo=UTC)
    asked = anomalies_window(7, now, zone)
    night = [
        Calls(day, usage(50, 50 * 12_500), model=NOVA, who=WHO, hour=hour)
        for step in range(48, 0, -1)
        for day in [now.date() - step * DAY]
        for hour in (4, 5, 6, 7)
    ]
    twice = [Calls(date(2026, 11, 1), usage(400, 400 * 12_500), model=NOVA, who=WHO, hour=hour) for hour in (5, 6)]
    answer = anomalies_of(report([*night, *twice], asked, ANOMALIES_BY), 7, now, Decimal(1))
    assert the_one(answer).day == date(2026, 11, 1)


def test_hours_in_a_row_stay_in_a_row_when_the_clocks_go_back() -> None:
    zone = ZoneInfo("America/New_York")
    now = datetime(2026, 11, 3, 12, tzinfo=UTC)
    days = [now.date() - step * DAY for step in range(47, 0, -1)]
    even = [Calls(day, usage(100, 1_250_000), model=NOVA, who=WHO, hour=hour) for day in days for hour in range(24)]
    spike = [Calls(date(2026, 11, 1), usage(150, 1_875_000), model=NOVA, who=WHO, hour=hour) for hour in (5, 6)]
    one = the_one(anomalies_of(report([*even, *spike], anomalies_window(7, now, zone), ANOMALIES_BY), 7, now))
    assert one.hour == datetime(2026, 11, 1, 1, tzinfo=zone)
    assert one.hours == 2


@pytest.mark.parametrize("by", [ANOMALIES_BY, BY_DAY])
def test_however_much_was_read_a_day_is_judged_by_the_same_days(by: tuple[str, ...]) -> None:
    long = [TODAY - step * DAY for step in range(72, 0, -1)]
    # Dearer the longer ago: whoever looks further back finds more to be usual.
    made = [calls(day, 40 + 2 * (TODAY - day).days, hour) for day in long for hour in WORK]
    made += [calls(day, 2_000, 10) for day in long[-6::2]]
    made += [calls(long[5], 3, who="role/rare"), calls(THURSDAY, 400, who="role/rare")]

    def judged(days: int) -> list[Anomaly]:
        since = (anomalies_window(days, NOW, ZONE).since or NOW).date()
        answer = found([each for each in made if each.day >= since], by, days)
        return [one for one in answer.anomalies if one.day > TODAY - 7 * DAY]

    assert len(judged(7)) == 4
    assert judged(30) == judged(7)


def test_whole_days_at_the_end_without_any_call_are_told_first() -> None:
    answer = found(office([day for day in DAYS if day < TODAY - 3 * DAY]))
    assert (answer.last_call_on, answer.silent_days) == (date(2026, 11, 18), 3)
    assert (
        telling_of(answer)
        .sentences[0]
        .startswith("No call counted here is logged after Nov 18: the 3 whole days since count as $0.")
    )
    assert found(office()).silent_days == 0


def test_an_anomaly_is_told_in_a_sentence() -> None:
    made = [*office(), *(calls(THURSDAY, 300, hour) for hour in WORK), calls(THURSDAY, 200, who="role/new\x1b[2J")]
    telling = telling_of(found(made))
    assert telling.lead == "2 things stand out, $32.00 more than usual in all."
    assert telling.sentences == (
        "Nov 19: role/rag-api with Nova Pro cost $40.00 instead of $10.00 (4.0 times as much): "
        "4,000 calls instead of 1,000.",
        "Nov 19: role/new<U+001B>[2J with Nova Pro is new: $2.00 for 200 calls.",
    )
    assert len(telling.grids[0].rows) == 2


def test_only_so_many_days_can_be_asked_for() -> None:
    with pytest.raises(UsageError, match="not 0"):
        anomalies_window(0, NOW, ZONE)


made_up = st.lists(
    st.builds(
        calls,
        st.sampled_from(DAYS[:-1]),
        st.integers(1, 2_000),
        st.integers(0, 23),
        st.sampled_from([WHO, "role/other", "role/third"]),
    ),
    max_size=40,
)


@settings(max_examples=25, deadline=None)
@given(made_up, st.randoms())
def test_the_order_of_rows_does_not_matter(made: list[Calls], dice: random.Random) -> None:
    rows = [*office(DAYS[:20]), *made, Calls(THURSDAY, usage(3, 10**7), model=SONNET, who=WHO)]
    first = found(rows)
    dice.shuffle(rows)
    assert as_json(found(rows)) == as_json(first)


@settings(max_examples=25, deadline=None)
@given(made_up, st.decimals("0.01", 100, places=2))
def test_whatever_is_told_costs_the_floor_more_than_usual(made: list[Calls], floor: Decimal) -> None:
    answer = found([*office(DAYS[:20]), *made], floor=str(floor))
    assert all(one.excess_usd >= floor - Decimal("0.00001") for one in answer.anomalies)
    assert all(answer.first <= one.day <= answer.last for one in answer.anomalies)
