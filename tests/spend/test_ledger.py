"""Rows as days are kept answer like the records themselves, whatever is asked of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.logs import SONNET, call, lines
from tollbook.spend import prices
from tollbook.spend.ledger import can_answer, folded, is_on_grid, ledger_query, needs_quarters
from tollbook.spend.query import DIMENSIONS, Filter, Query
from tollbook.spend.render.machine import as_json
from tollbook.spend.report import report_of
from tollbook.spend.sight import EVERYTHING, NOTHING, Pattern, Sight
from tollbook.spend.tally import Counted, Tally
from tollbook.spend.usage import RowKey, Usage, UsageRow
from tollbook.spend.window import Window, between, zone_of

BOOK: Final = prices.load()
TAGS: Final = ("team", "cost")
ROUTER: Final = "arn:aws:bedrock:us-east-1:111122223333:default-prompt-router/anthropic.claude:1"
ZONES: Final = (
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/New_York",
    "Australia/Lord_Howe",
)
MIDDLES: Final = [
    datetime(2026, month, day, tzinfo=UTC)
    # The clocks of Berlin, of New York and of Lord Howe Island change, there and back; and a day like others.
    for month, day in [(3, 29), (10, 25), (3, 8), (11, 1), (4, 4), (10, 3), (11, 20)]
]
SPAN: Final = timedelta(hours=36)  # about a middle

tokens = st.sampled_from([None, 0, 1, 999, 90_000, 150_000, 300_000])
cached = st.none() | st.tuples(st.integers(0, 150_000), st.integers(0, 150_000))
some_tags = st.dictionaries(st.sampled_from([*TAGS, "other"]), st.sampled_from(["", "search", "ads"]))


@st.composite
def logs(draw: st.DrawFn, middle: datetime) -> list[dict[str, Any]]:
    """Records within `SPAN` of `middle`."""
    times = st.integers(0, 2 * int(SPAN.total_seconds()) - 1).map(lambda seconds: middle - SPAN + timedelta(0, seconds))
    records = st.builds(
        call,
        model=st.sampled_from([SONNET, "amazon.nova-micro-v1:0", "us.openai.gpt-5.6-sol", "unknown.model", ROUTER]),
        tokens=st.tuples(tokens, tokens),
        cache=cached,
        arn=st.sampled_from(
            [None, "arn:aws:iam::1:root", "arn:aws:sts::1:assumed-role/a/b", "arn:aws:sts::1:assumed-role/a/c"]
        ),
        body=st.sampled_from(
            [
                None,
                {"serviceTier": {"type": "flex"}},
                {"usage": {"cacheDetails": [{"ttl": "1h", "inputTokens": 5}]}},
                {"trace": {"promptRouter": {"invokedModelId": SONNET}}},
            ]
        ),
        timestamp=times.map(lambda time: time.isoformat().replace("+00:00", "Z")),
        accountId=st.sampled_from([None, "111122223333", "444455556666"]),
        region=st.sampled_from([None, "us-east-1", "eu-west-1"]),
        inferenceRegion=st.sampled_from([None, "us-west-2"]),
        operation=st.sampled_from([None, "", "Converse", "InvokeModel"]),
        errorCode=st.sampled_from([None, None, None, "", "ThrottlingException"]),
        requestMetadata=st.none() | some_tags,
    )
    return draw(st.lists(records, max_size=25))


filters = st.builds(
    Filter,
    region=st.sampled_from(["", "", "us-east-1"]),
    account=st.sampled_from(["", "", "111122223333"]),
    principal=st.sampled_from(["", "", "ROLE/a", "root"]),
    model=st.sampled_from(["", "", "sonnet", "nova"]),
)
sights = st.sampled_from(
    [
        EVERYTHING,
        EVERYTHING,
        NOTHING,
        Sight("team", "your team's calls", tags=(("team", "search"), ("cost", ""))),
    ]
)
groupings = st.lists(
    st.sampled_from([*(name for name in DIMENSIONS if name != "session"), *(f"tag:{key}" for key in TAGS)]),
    min_size=1,
    max_size=5,
    unique=True,
).map(tuple)


@st.composite
def queries(draw: st.DrawFn, middle: datetime) -> tuple[Query, bool]:
    """A query that begins and ends on the grid of rows, and whether these are to tell quarters."""
    zone = zone_of(draw(st.sampled_from(ZONES)))
    query = Query(Window(None, None, zone), draw(groupings), draw(filters), draw(sights))
    quarters = needs_quarters(query) or draw(st.booleans())
    step = timedelta(minutes=15) if quarters else timedelta(hours=1)
    edges = st.none() | st.integers(0, 2 * SPAN // step).map(lambda number: middle - SPAN + number * step)
    since, until = draw(st.tuples(edges, edges))
    if since is not None and until is not None:
        since, until = min(since, until), max(since, until) + step
    return Query(Window(since, until, zone), query.by, query.only, query.sight), quarters


def counted(records: Iterable[object], query: Query) -> Counted:
    tally = Tally(query, lambda hashes: [True] * len(hashes))
    tally.read(lines(records))
    return tally.counted()


def ledger(records: Sequence[object], middle: datetime, tags: Sequence[str], quarters: bool) -> list[UsageRow]:
    """The rows of each day about `middle`, read for itself as a day that is kept."""
    midnights = [middle + timedelta(days=number) for number in range(-2, 2)]
    queries = [ledger_query(since, since + timedelta(days=1), tags, quarters=quarters) for since in midnights]
    return [row for query in queries for row in counted(records, query).rows()]


def answer(of: Counted, query: Query) -> str:
    """The JSON report, without what is counted beside rows."""
    of.outside = of.tokenless = of.duplicates = of.permission_lines = 0
    of.rejected = Counter()
    return as_json(report_of(of, query, query.by, BOOK, {}))


def added_up(rows: Iterable[UsageRow]) -> dict[RowKey, tuple[Usage, int]]:
    sums: dict[RowKey, tuple[Usage, int]] = {}
    for row in rows:
        usage, traits = sums.get(row.key, (Usage(), 0))
        sums[row.key] = usage + row.usage, traits | row.traits
    return sums


cases = st.sampled_from(MIDDLES).flatmap(
    lambda middle: st.tuples(st.just(middle), logs(middle), queries(middle), st.permutations(TAGS))
)


@settings(max_examples=250, deadline=None)
@given(cases)
def test_kept_rows_give_the_report_that_the_records_give(
    case: tuple[datetime, list[dict[str, Any]], tuple[Query, bool], Sequence[str]],
) -> None:
    middle, records, (query, quarters), tags = case
    assert can_answer(query, tags)
    direct, kept = counted(records, query), folded(ledger(records, middle, tags, quarters), query, tags)
    rows = list(kept.rows())
    assert added_up(rows) == added_up(direct.rows())
    assert len({row.key for row in rows}) == len(rows)
    assert answer(kept, query) == answer(direct, query)


def calls_by(by: tuple[str, ...], records: Sequence[object], window: Window, quarters: bool) -> dict[str, int]:
    """The calls by the first of `by`, from kept rows."""
    query = Query(window, by)
    middle = datetime(window.since.year, window.since.month, window.since.day, tzinfo=UTC) if window.since else None
    assert middle is not None
    report = report_of(folded(ledger(records, middle, (), quarters), query), query, by, BOOK, {})
    return {str(group.values[0]): group.sum.calls for group in report.groups}


def every(step: timedelta, window: Window) -> list[dict[str, Any]]:
    """A call in each `step` of a window."""
    assert window.since is not None
    assert window.until is not None
    number = (window.until - window.since) // step
    return [call(timestamp=(window.since + place * step).isoformat()) for place in range(number)]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Asia/Kathmandu", "2026-04-05", 24),
    ],
)
def test_a_day_has_the_hours_that_its_clocks_give_it(zone: str, day: str, hours: float) -> None:
    window = between(day, day, zone_of(zone))
    around = Window(window.since and window.since - timedelta(hours=6), window.until, window.zone)
    quarters = needs_quarters(Query(window))
    calls = calls_by(("day",), every(timedelta(minutes=15), around), window, quarters)
    assert calls == {day: hours * 4}


def test_an_hour_that_the_clocks_repeat_by_half_has_six_quarters() -> None:
    window = between("2026-04-05", "2026-04-05", zone_of("Australia/Lord_Howe"))
    calls = calls_by(("hour",), every(timedelta(minutes=15), window), window, True)
    assert calls["2026-04-05T00:00:00+11:00"] == 4
    assert calls["2026-04-05T01:00:00+11:00"] == 6
    assert calls["2026-04-05T02:00:00+10:30"] == 4
    assert len(calls) == 24


@pytest.mark.parametrize(
    ("query", "answers"),
    [
        (lambda window: Query(window, tuple(name for name in DIMENSIONS if name != "session")), True),
        (lambda window: Query(window, ("tag:team", "tag:cost")), True),
        (lambda window: Query(window, ("day",), sight=Sight("team", "", tags=(("cost", "x"),))), True),
        (lambda window: Query(window, ("session",)), False),
        (lambda window: Query(window, ("day", "tag:other")), False),
        (lambda window: Query(window, ("day",), sight=Sight("team", "", tags=(("other", "x"),))), False),
        (lambda window: Query(window, ("day",), sight=Sight("own", "", (Pattern(("user/alice",)),))), False),
    ],
)
def test_what_rows_do_not_tell_they_are_not_asked(query: Callable[[Window], Query], answers: bool) -> None:
    """Sessions, tags that nobody configured, and what those may see who see by their session."""
    assert can_answer(query(Window(None, None, zone_of("UTC"))), TAGS) is answers


@pytest.mark.parametrize(("zone", "needs"), [*zip(ZONES, [False, False, True, True, False, True], strict=True)])
def test_quarters_are_needed_where_hours_do_not_begin_with_those_of_utc(zone: str, needs: bool) -> None:
    window = Window(None, None, zone_of(zone))
    assert needs_quarters(Query(window)) is needs
    assert needs_quarters(Query(window, quarters=True))


@pytest.mark.parametrize(
    ("time", "hours", "quarters"), [("09:00:00", True, True), ("09:45:00", False, True), ("09:45:01", False, False)]
)
def test_a_window_fits_rows_if_it_begins_and_ends_with_them(time: str, hours: bool, quarters: bool) -> None:
    instant = datetime.fromisoformat(f"2026-11-20T{time}Z")
    assert is_on_grid(instant, quarters=False) is hours
    assert is_on_grid(instant, quarters=True) is quarters


def test_calls_that_differ_in_nothing_that_was_asked_are_one_row() -> None:
    """Tiers that the log does not tell, and tags."""
    records = [
        call(operation=operation, requestMetadata={"team": team}, tokens=(10, 1))
        for operation in ("Converse", "InvokeModel")
        for team in ("search", "ads")
    ]
    rows = ledger(records, datetime(2026, 11, 20, tzinfo=UTC), TAGS, False)
    assert len(rows) == 4
    (row,) = folded(rows, Query(Window(None, None, zone_of("UTC")), ("day", "model")), TAGS).rows()
    assert (row.usage.calls, row.usage.input, row.usage.output) == (4, 40, 4)


def test_rows_that_were_read_without_tags_have_none() -> None:
    (row,) = ledger([call(requestMetadata={"team": "search"})], datetime(2026, 11, 20, tzinfo=UTC), (), False)
    (blind,) = folded([row], Query(Window(None, None, zone_of("UTC")), ("tag:team",)), TAGS).rows()
    assert blind.key.tags == (None,)
