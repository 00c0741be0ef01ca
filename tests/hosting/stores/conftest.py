"""Stores to be tested, at a time that is set."""

import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.fakes.buckets import bucket as bucket
from tests.fakes.buckets import buckets_server as buckets_server
from tests.fakes.dynamodb import dynamodb as dynamodb
from tests.fakes.dynamodb import dynamodb_server as dynamodb_server
from tollbook.core.stores import Store
from tollbook.hosting.stores import open_store


class SetClock:
    """A clock that stands."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.25

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=["memory", "sqlite", "dynamodb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where records are kept, in the words of `open_store`."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/store.db"
    if request.param == "dynamodb":
        from tollbook.hosting.stores.dynamodb import create_table

        table = f"records-{uuid.uuid4()}"
        create_table(request.getfixturevalue("dynamodb"), table)
        return f"dynamodb:{table}"
    return "memory"


@pytest.fixture
async def another(place: str, clock: SetClock) -> AsyncIterator[Callable[[], Store]]:
    """Opens the place once more, as another instance does; what lies in memory has one instance only."""
    opened: list[Store] = []

    def open_it() -> Store:
        if not opened or place != "memory":
            opened.append(open_store(place, clock))
        return opened[-1]

    yield open_it
    for store in opened:
        await store.aclose()


@pytest.fixture
def store(another: Callable[[], Store]) -> Store:
    return another()
