"""A client in front of a server, as a test needs them."""

from collections.abc import Mapping
from typing import Protocol

import httpx2
import pytest

from tests.client.wire.watching import Watching
from tollbook.client.connection import Connection
from tollbook.client.protocol import Era
from tollbook.client.session import EraChoice
from tollbook.client.targets import Target


class Connect(Protocol):
    """Makes a connection of the fixture `user` to the server at an address; `async with` opens it."""

    def __call__(
        self,
        url: str,
        era: EraChoice = "auto",
        *,
        headers: Mapping[str, str] | None = None,
        auth: httpx2.Auth | None = None,
        timeout_s: float = 60.0,
        log_level: str | None = "debug",
        may_elicit: bool = False,
        listens: bool = False,
    ) -> Connection: ...


@pytest.fixture(scope="session")
def anyio_backend() -> object:
    return "asyncio"


@pytest.fixture(params=["handshake", "modern"])
def era(request: pytest.FixtureRequest) -> Era:
    """Each of both."""
    chosen: Era = request.param
    return chosen


@pytest.fixture
def user() -> Watching:
    return Watching()


@pytest.fixture
def connect(user: Watching) -> Connect:
    def connect(
        url: str,
        era: EraChoice = "auto",
        *,
        headers: Mapping[str, str] | None = None,
        auth: httpx2.Auth | None = None,
        timeout_s: float = 60.0,
        log_level: str | None = "debug",
        may_elicit: bool = False,
        listens: bool = False,
    ) -> Connection:
        return Connection(
            Target(name="it", url=url, headers=headers or {}),
            user,
            auth=auth,
            era=era,
            timeout_s=timeout_s,
            log_level=log_level,
            may_elicit=may_elicit,
            listens=listens,
        )

    return connect
