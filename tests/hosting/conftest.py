"""A host, its store and its clock, as a test needs them."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from tests.hosting.serving import Serve, SetClock, Stage, a_server, serving
from tollbook.core.stores import Store
from tollbook.hosting import HostSettings, host
from tollbook.hosting.app import Authenticate, anyone
from tollbook.hosting.stores.memory import MemoryStore


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store(clock: SetClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
async def stage() -> Stage:
    return Stage()


@pytest.fixture
def serve(store: MemoryStore, stage: Stage, clock: SetClock) -> Serve:
    """Serves `a_server` on `stage`, with `store` or another one, at the time of `clock`."""
    usual: Store = store

    @asynccontextmanager
    async def serve(
        settings: HostSettings | None = None, *, authenticate: Authenticate = anyone, store: Store | None = None
    ) -> AsyncIterator[str]:
        at = usual if store is None else store
        async with serving(host(a_server(stage), at, settings, authenticate=authenticate, clock=clock)) as url:
            try:
                yield url
            finally:
                stage.go.set()  # whoever waits still need not be waited for

    return serve


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading the system's certificates takes its time
    async with httpx2.AsyncClient(timeout=10, limits=httpx2.Limits(max_connections=600), verify=no_tls) as client:
        yield client
