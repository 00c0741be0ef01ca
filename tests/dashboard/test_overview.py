"""What the dashboard is given: one document whose figures are those of the report."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.answers.rows import HAIKU, NOVA, OPUS, SONNET, Calls, report, usage, window
from tollbook.spend.answers.explain import explanation_of, last_whole_days
from tollbook.spend.answers.forecast import forecast_of, forecast_window
from tollbook.spend.answers.overview import MOST_LINES, Line, Lines, overview_of, overview_window
from tollbook.spend.render.dashboard.page import app_html, html_of
from tollbook.spend.report import Report
from tollbook.spend.window import Window, zone_of

FIRST, TODAY = date(2026, 9, 28), date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAYS = (TODAY - FIRST).days + 1

some_calls = st.builds(
    Calls,
    day=st.dates(FIRST, TODAY),
    usage=st.builds(usage, *(st.integers(1, 10**6) for _ in range(5))),
    model=st.sampled_from([SONNET, HAIKU, OPUS, NOVA, "deepseek.unheard-of-v9:0"]),
    who=st.sampled_from(["role/rag-api", "user/alice", "unknown"]),
    failed=st.booleans(),
)


def steadily(principals: int, days: int = DAYS) -> list[Calls]:
    """Calls of many principals on each day, the first the dearest."""
    return [
        Calls(
            TODAY - timedelta(days=back), usage(3, 90_000 - 100 * place, 2_000), model=SONNET, who=f"role/app-{place}"
        )
        for place in range(principals)
        for back in range(days)
    ]


def read(calls: list[Calls], asked: Window | None = None) -> Report:
    return report(calls, asked or window(FIRST, TODAY))


def summed(lines: Lines) -> tuple[int, int, Decimal]:
    """The calls, tokens and dollars of a table."""
    every = [*lines.top, *([lines.rest] if lines.rest else [])]
    return (
        sum(line.calls for line in every),
        sum(map(tokens, every)),
        sum((line.usd or Decimal(0) for line in every), Decimal(0)),
    )


def tokens(line: Line) -> int:
    return line.input_tokens + line.output_tokens + line.cache_read_tokens + line.cache_write_tokens


@given(st.lists(some_calls, max_size=30))
def test_each_table_adds_up_to_the_reports_total(calls: list[Calls]) -> None:
    whole = read(calls)
    overview = overview_of(whole, NOW)
    total = whole.total
    for lines in (overview.models, overview.principals):
        count, used, money = summed(lines)
        assert (count, used) == (total.calls, total.tokens)
        assert abs(money - (total.usd or Decimal(0))) <= Decimal("0.000001") * 10
    assert overview.total.calls == total.calls
    assert abs(sum(overview.total.daily_millionths) - (total.usd or Decimal(0)) * 10**6) <= len(overview.days)


@given(st.lists(some_calls, max_size=30).flatmap(lambda calls: st.tuples(st.just(calls), st.permutations(calls))))
def test_the_order_of_rows_does_not_matter(both: tuple[list[Calls], list[Calls]]) -> None:
    calls, shuffled = both
    assert overview_of(read(calls), NOW) == overview_of(read(shuffled), NOW)


def test_of_many_principals_the_dearest_are_told_and_the_others_summed_in_little_space() -> None:
    whole = read(steadily(500, 30))
    overview = overview_of(whole, NOW, 30, is_detailed=False)
    assert (len(overview.principals.top), overview.principals.others) == (MOST_LINES, 400)
    assert overview.principals.top[0].name == "role/app-0"
    assert summed(overview.principals)[0] == overview.total.calls == 500 * 30 * 3
    assert len(msgspec.json.encode(overview)) < 250_000


def test_the_days_asked_for_are_shown_and_whole_weeks_of_them_compared_with_as_many_before() -> None:
    whole = read(steadily(2))
    overview = overview_of(whole, NOW, 30)
    assert (overview.days[0], overview.days[-1], overview.whole_days) == (date(2026, 10, 24), TODAY, 29)
    before, after = last_whole_days(28, NOW, zone_of("UTC"))
    assert overview.explanation == explanation_of(whole, before, after, NOW)


def test_a_week_with_today_is_compared_with_seven_whole_days() -> None:
    explanation = overview_of(read(steadily(2)), NOW, 7).explanation
    assert explanation is not None
    assert explanation.after_period.since == datetime(2026, 11, 15, tzinfo=UTC)
    assert explanation.before_period.since == datetime(2026, 11, 8, tzinfo=UTC)


def test_of_all_that_was_read_the_later_half_is_compared_with_the_former() -> None:
    explanation = overview_of(read(steadily(2)), NOW).explanation
    assert explanation is not None
    assert (explanation.before_period.since, explanation.before_period.until, explanation.after_period.until) == (
        datetime(2026, 10, 11, tzinfo=UTC),
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 22, tzinfo=UTC),
    )


def test_the_forecast_is_the_one_that_is_told_when_it_is_asked_for_alone() -> None:
    zone = zone_of("UTC")
    asked = overview_window(90, NOW, zone)
    calls = steadily(2, 170)
    forecast = overview_of(read(calls, asked), NOW, 90).forecast
    alone = forecast_window(NOW, zone)
    assert alone.since is not None
    recent = [one for one in calls if one.day >= alone.since.date()]
    assert forecast is not None
    assert forecast.mid_usd == forecast_of(read(recent, alone), NOW).mid_usd


def test_days_that_are_over_are_all_whole() -> None:
    last = datetime(2026, 11, 21, 23, 59, 59, 999999, tzinfo=UTC)
    overview = overview_of(read(steadily(2)), last, 14)
    assert (overview.whole_days, overview.days[-1]) == (14, date(2026, 11, 21))
    assert overview.explanation is not None
    assert overview.explanation.after_period.since == datetime(2026, 11, 8, tzinfo=UTC)


def test_logs_of_long_ago_foretell_nothing_of_this_month() -> None:
    overview = overview_of(read(steadily(2)), NOW + timedelta(days=400))
    assert overview.forecast is None
    assert overview.explanation is not None
    assert overview.whole_days == len(overview.days) == DAYS


def test_too_few_days_leave_out_what_cannot_be_told() -> None:
    overview = overview_of(read([Calls(TODAY, usage(1, 1000))], window(TODAY, TODAY)), NOW)
    assert (overview.explanation, overview.forecast, overview.anomalies) == (None, None, None)
    assert overview.days == (TODAY,)


def test_what_stands_out_is_told_with_the_days() -> None:
    spike = Calls(date(2026, 11, 18), usage(900, 90_000_000, 2_000_000), who="role/app-0")
    anomalies = overview_of(read([*steadily(2), spike]), NOW, 30).anomalies
    assert anomalies is not None
    assert [(one.day, one.principal) for one in anomalies.anomalies] == [(date(2026, 11, 18), "role/app-0")]


def test_nothing_is_read_that_lies_after_now() -> None:
    for days in (1, 30):
        assert overview_window(days, NOW, zone_of("Europe/Berlin")).until == NOW


def test_there_is_no_change_from_days_without_records() -> None:
    asked = overview_window(60, NOW, zone_of("UTC"))
    calls = steadily(2, 40)
    assert overview_of(read(calls, asked), NOW, 60).explanation is None
    assert overview_of(read([*calls, Calls(date(2026, 9, 20), usage(1, 1000))], asked), NOW, 60).explanation


def test_days_with_calls_that_have_no_price_are_named() -> None:
    unpriced = Calls(date(2026, 11, 3), usage(1, 1000), model="deepseek.unheard-of-v9:0")
    assert overview_of(read([*steadily(2), unpriced]), NOW, 30).unpriced_days == (date(2026, 11, 3),)


def test_the_overview_window_holds_all_that_is_compared_and_judged() -> None:
    zone = zone_of("Europe/Berlin")
    for days in (1, 7, 30, 90):
        asked = overview_window(days, NOW, zone)
        assert asked.since is not None
        assert asked.since.astimezone(zone).hour == 0
        assert (TODAY - asked.since.astimezone(zone).date()).days >= max(2 * ((days - 1) // 7 * 7), 56)


def embedded(html: str) -> str:
    found = re.search(r'<script type="application/json" id="overview">(.*?)</script>', html, re.DOTALL)
    assert found
    return found[1]


def assert_holds(whole: Any, part: Any) -> None:
    """Whether `part` says nothing but what `whole` does; it may leave out fields."""
    if isinstance(part, dict):
        for name, value in part.items():
            assert_holds(whole[name], value)
    elif isinstance(part, list):
        assert len(whole) == len(part)
        for ours, theirs in zip(whole, part, strict=True):
            assert_holds(ours, theirs)
    else:
        assert whole == part


def test_what_is_embedded_is_the_overview_and_cannot_leave_its_element() -> None:
    name = "</script><!--<script>\u2028\u2029"
    overview = overview_of(read([Calls(TODAY, usage(1, 1000), who=name)]), NOW)
    inside = embedded(html_of(overview))
    assert not set("<\u2028\u2029") & set(inside)
    assert json.loads(inside)["principals"]["top"][0]["name"] == name
    assert_holds(msgspec.to_builtins(overview), json.loads(inside))


def test_the_page_is_small_and_holds_all_it_needs() -> None:
    page = app_html()
    assert len(page.encode()) < 100_000
    assert not embedded(page)
    assert not re.search(
        r"fetch\(|XMLHttpRequest|WebSocket|import\(|eval\(|innerHTML|document\.write|new Function", page
    )
    addresses = set(re.findall(r"https?://[^\s\"']+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}


def test_the_page_of_a_month_stays_below_a_hundred_thousand_bytes() -> None:
    overview = overview_of(read(steadily(8)), NOW, 30)
    assert len(html_of(overview).encode()) < 100_000
