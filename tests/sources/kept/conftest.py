"""Days to keep, and places to keep them in."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from hypothesis import strategies as st

from tests.fakes.moto import go_to_moto, moto_server
from tests.logs import ACCOUNT
from tollbook.sources.kept.days import KeptDay, KeptDays, Key, key_of
from tollbook.sources.kept.s3 import S3Days
from tollbook.sources.kept.sqlite import SqliteDays
from tollbook.sources.reading import Place
from tollbook.spend.record import Reason
from tollbook.spend.usage import RowKey, Usage, UsageRow

PLACE: Final = Place(ACCOUNT, "us-east-1", "/aws/bedrock/modelinvocations")
DAY: Final = date(2026, 11, 20)
NOON: Final = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
START_S: Final = 1_800_000_000
DAY_S: Final = 86_400

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
maybe = st.none() | names
counts = st.integers(0, 2**63 - 1)
times = st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))


def row_of(day: date, quarter: int, kind: tuple[Any, ...], usage: Usage, traits: int) -> UsageRow:
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    return UsageRow(RowKey(day.toordinal(), midnight + 900 * quarter, *kind), usage, traits)


@st.composite
def kept_days(draw: st.DrawFn) -> tuple[Key, KeptDay]:
    """Any day that can be kept, with its key."""
    day = draw(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
    tags = tuple(draw(st.lists(names, max_size=3, unique=True)))
    values = st.none() | st.tuples(*(maybe for _ in tags))
    kinds = st.tuples(st.booleans(), names, maybe, names, counts, names, maybe, maybe, maybe, maybe, maybe, values)
    usages = st.builds(Usage, *(counts for _ in Usage.__struct_fields__))
    rows = st.builds(row_of, st.just(day), st.integers(0, 95), kinds, usages, st.integers(0, 255))
    place = Place(ACCOUNT, draw(st.sampled_from(["us-east-1", "eu-west-1"])), draw(names))
    key = key_of(place, day, draw(st.booleans()), tags)
    sentences = st.lists(names, max_size=2).map(tuple)
    return key, KeptDay(
        day,
        rows=tuple(draw(st.lists(rows, max_size=6))),
        tags=tags,
        quarters=key.quarters,
        engine=draw(names),
        blind_to=draw(sentences),
        notes=draw(sentences),
        rejected=draw(st.dictionaries(st.sampled_from(Reason), counts, max_size=3)),
        duplicates=draw(counts),
        tokenless=draw(counts),
        permission_lines=draw(counts),
        openai=draw(sentences),
        read_at=draw(times),
        bytes=draw(counts),
    )


def a_day(key: Key, calls: int = 1, rows: int = 1) -> KeptDay:
    """A day of `key` with so many rows of so many calls."""
    kind = (False, "amazon.nova-micro-v1:0", "us-east-1", "", 0, "", "role/a", ACCOUNT, None, "Converse", None)
    return KeptDay(
        key.day,
        rows=tuple(
            row_of(key.day, 4 * (number % 24), (*kind, tuple(f"{number}" for _ in key.tags)), Usage(calls, input=7), 1)
            for number in range(rows)
        ),
        tags=key.tags,
        quarters=key.quarters,
        engine="FilterLogEvents",
        blind_to=("what it cannot see",),
        notes=("a note",),
        rejected={Reason.NOT_JSON: 2},
        duplicates=3,
        tokenless=4,
        permission_lines=1,
        openai=(),
        read_at=NOON,
        bytes=1000,
    )


class SetClock:
    """A clock that stands."""

    def __init__(self) -> None:
        self.now = float(START_S)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of moto's server, which runs as long as the tests do."""
    with moto_server(tmp_path_factory.mktemp("moto") / "kept-days.log") as url:
        yield url


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A client of boto3's; its bucket `kept` is there, and empty."""
    go_to_moto("S3", s3_server, monkeypatch, tmp_path)
    settings = Config(retries={"total_max_attempts": 1}, max_pool_connections=32, s3={"addressing_style": "path"})
    client = boto3.session.Session().client("s3", region_name="us-east-1", config=settings)
    with contextlib.closing(client):
        client.create_bucket(Bucket="kept")
        yield client
        for found in client.list_objects_v2(Bucket="kept").get("Contents", []):
            client.delete_object(Bucket="kept", Key=found["Key"])
        client.delete_bucket(Bucket="kept")


@pytest.fixture(params=["sqlite", "s3"])
def open_it(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> Callable[[], KeptDays]:
    """Opens the same place, each time as another process would."""
    if request.param == "sqlite":
        return lambda: SqliteDays(tmp_path / "cache" / "days.db", clock)
    client = request.getfixturevalue("s3")
    return lambda: S3Days(client, "s3://kept/tollbook/days", pauses=())


@pytest.fixture
def days(open_it: Callable[[], KeptDays]) -> KeptDays:
    return open_it()
