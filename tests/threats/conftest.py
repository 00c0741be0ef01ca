"""Doors with a clock that a test sets, an issuer who keeps the same time, and a canary."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import pytest

from tests.auth_servers.fixtures import auth_server, canary
from tests.auth_servers.forgeries import FORGERIES
from tests.auth_servers.issuer import Canary, Issuer
from tests.hosting.conftest import anyio_backend, clock, http, stage, store
from tests.hosting.serving import SetClock, Stage
from tests.threats.door import ERAS, Door, OpenDoor, a_door
from tollbook.hosting.auth.gate import FetchKeys
from tollbook.hosting.stores.memory import MemoryStore

__all__ = ["anyio_backend", "auth_server", "canary", "clock", "http", "stage", "store"]


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    """The revision of the protocol that is spoken: the newest with a handshake, and the one without."""
    return str(request.param)


@pytest.fixture(scope="module")
async def door() -> AsyncIterator[Door]:
    """One for all tests of a module; each moves its clock on before it does wrong, so that it is not held back."""
    clock = SetClock()
    with Issuer(clock=clock) as issuer:
        async with a_door(issuer, MemoryStore(clock), Stage(), clock) as opened:
            yield opened


@pytest.fixture
def issuer(clock: SetClock) -> Iterator[Issuer]:
    with Issuer(clock=clock) as running:
        yield running


@pytest.fixture
def open_door(issuer: Issuer, store: MemoryStore, stage: Stage, clock: SetClock) -> OpenDoor:
    """Opens a door of the test's own to whoever `issuer` vouches for, as the environment sets it."""

    def opened(*, keys: FetchKeys | None = None, **environment: str) -> AbstractAsyncContextManager[Door]:
        return a_door(issuer, store, stage, clock, keys, environment)

    return opened


class Refuses(Protocol):
    """See `refuses`."""

    async def __call__(self, number: int, name: str, *because: str) -> bool: ...


@pytest.fixture
def refuses(door: Door, era: str, canary: Canary, reasons: Callable[[], list[str]]) -> Refuses:
    """Whether a forgery is turned away, for one of some reasons, where a good token is let in before and after."""

    async def refuses(number: int, name: str, *because: str) -> bool:
        good = door.issuer.token(exp=door.issuer.now() + 100)
        session = await door.session(era, good)
        assert await door.lets_in(era, good, session)
        door.clock.now += 31  # so that the issuer would be asked for another key
        forged = FORGERIES[number][name](door.issuer, canary)
        assert not await door.lets_in(era, forged, session)
        assert reasons()[-1] in because
        assert await door.lets_in(era, good, session)
        assert canary.visits == 0
        return True

    return refuses


@pytest.fixture
def reasons(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Why requests were refused so far: the log is told, the client is not."""
    caplog.set_level("INFO", "tollbook.requests")
    return lambda: [record.reason for record in caplog.records if hasattr(record, "reason")]
