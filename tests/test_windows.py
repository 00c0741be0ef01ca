"""Which stretch of time a report covers, and whose days those are."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.logs import Ask, call, write


def at(*times: str) -> list[dict[str, Any]]:
    return [call(timestamp=time) for time in times]


def report(ask: Ask, tmp_path: Path, times: list[str], *words: str) -> Any:
    return ask("report", write(tmp_path / "log.jsonl", *at(*times)), "--format", "json", *words).json


EDGES = ["2026-11-18T23:59:59Z", "2026-11-19T00:00:00Z", "2026-11-20T23:59:59Z", "2026-11-21T00:00:00Z"]


@pytest.mark.parametrize(
    ("words", "calls", "since", "until"),
    [
        ("--days 1 --now 2026-11-20T12:00Z", 1, "2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00"),
        ("--days 2 --now 2026-11-20T00:00Z", 2, "2026-11-19T00:00:00+00:00", "2026-11-21T00:00:00+00:00"),
        ("--since 2026-11-19 --until 2026-11-20", 2, "2026-11-19T00:00:00+00:00", "2026-11-21T00:00:00+00:00"),
        ("--since 2026-11-19T00:00:01Z", 2, "2026-11-19T00:00:01+00:00", "2026-11-22T00:00:00+00:00"),
        ("--until 2026-11-20T23:59:59Z", 2, "2026-11-18T00:00:00+00:00", "2026-11-20T23:59:59+00:00"),
        ("--since 2026-11-20 --tz America/New_York", 2, "2026-11-20T00:00:00-05:00", "2026-11-21T00:00:00-05:00"),
        ("--since 2026-11-20T19:00 --tz America/New_York", 1, "2026-11-20T19:00:00-05:00", "2026-11-21T00:00:00-05:00"),
        ("", 4, "2026-11-18T00:00:00+00:00", "2026-11-22T00:00:00+00:00"),
        ("--tz Asia/Kolkata", 4, "2026-11-19T00:00:00+05:30", "2026-11-22T00:00:00+05:30"),
    ],
)
def test_a_window_begins_and_ends_where_it_was_asked_to(
    ask: Ask, tmp_path: Path, words: str, calls: int, since: str, until: str
) -> None:
    found = report(ask, tmp_path, EDGES, *words.split())
    assert found["totals"]["calls"] == calls
    assert (found["window"]["since"], found["window"]["until"]) == (since, until)
    left_out = [note for note in found["notes"] if "outside the window" in note]
    assert bool(left_out) == (calls < 4)


def test_days_are_those_of_the_zone(ask: Ask, tmp_path: Path) -> None:
    times = ["2026-11-20T18:29:59Z", "2026-11-20T18:30:00Z"]
    found = report(ask, tmp_path, times, "--by", "day", "--tz", "Asia/Kolkata")
    assert [group["day"] for group in found["groups"]] == ["2026-11-20", "2026-11-21"]


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-29", 23), ("2026-03-30", 24), ("2026-10-25", 25)],
    ids=["the clocks go forward", "a plain day", "the clocks go back"],
)
def test_daylight_saving_days_have_23_or_25_hours(ask: Ask, tmp_path: Path, day: str, hours: int) -> None:
    every_hour = [f"2026-{month}-{date:02}T{hour:02}:30:00Z" for month, date in _around(day) for hour in range(24)]
    words = ("--since", day, "--until", day, "--tz", "Europe/Berlin", "--by", "hour")
    found = report(ask, tmp_path, every_hour, *words)
    assert [group["calls"] for group in found["groups"]] == [1] * hours
    starts = [group["hour"] for group in found["groups"]]
    assert len(set(starts)) == hours
    assert starts == sorted(starts, key=datetime.fromisoformat)


def _around(day: str) -> list[tuple[str, int]]:
    _, month, date = day.split("-")
    return [(month, int(date) + step) for step in (-1, 0, 1)]


def test_hours_of_zones_off_the_full_hour(ask: Ask, tmp_path: Path) -> None:
    times = ["2026-11-20T08:14:59Z", "2026-11-20T08:15:00Z", "2026-11-20T09:14:59Z"]
    found = report(ask, tmp_path, times, "--by", "hour", "--tz", "Asia/Kathmandu")
    groups = [(group["hour"], group["calls"]) for group in found["groups"]]
    assert groups == [("2026-11-20T13:00:00+05:45", 1), ("2026-11-20T14:00:00+05:45", 2)]


def test_the_day_of_the_price_is_the_day_in_utc(ask: Ask, tmp_path: Path) -> None:
    prices = tmp_path / "prices.json"
    entry = '{"model": "m.x", "scope": "in-region", "since": "2026-11-%s", "input": "%s"}'
    head = '{"schema": "tollbook.prices/1", "currency": "USD", "unit": "per_million_tokens", "prices": ['
    prices.write_text(head + entry % ("01", "1") + "," + entry % ("20", "3") + "]}")
    records = [
        call(model="m.x", tokens=(10**6, 0), timestamp=f"2026-11-{time}Z") for time in ("19T23:59:59", "20T00:00:00")
    ]
    log = write(tmp_path / "log.jsonl", *records)
    words = ("--by", "day", "--tz", "America/New_York", "--prices", str(prices), "--format", "json")
    (group,) = ask("report", log, *words).json["groups"]
    assert (group["day"], group["cost_usd"]) == ("2026-11-19", "4")


def test_times_with_an_offset_are_the_instants_they_name(ask: Ask, tmp_path: Path) -> None:
    times = ["2026-11-20T23:30:00-01:00", "2026-11-21T00:29:59+01:00", "2026-11-21T01:00:00.123+00:00"]
    found = report(ask, tmp_path, times, "--by", "hour")
    assert [(group["hour"][:13], group["calls"]) for group in found["groups"]] == [
        ("2026-11-20T23", 1),
        ("2026-11-21T00", 1),
        ("2026-11-21T01", 1),
    ]


def test_a_log_without_records_has_no_window(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_bytes(b"")
    for form in ("json", "text", "csv", "markdown", "table"):
        answer = ask("report", str(path), "--format", form)
        assert answer.code == 0
    found = ask("report", str(path), "--format", "json").json
    assert found["window"] == {"since": None, "until": None, "tz": "UTC"}
    assert found["totals"]["cost_usd"] == "0"
