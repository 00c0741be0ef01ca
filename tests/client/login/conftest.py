"""What the tests of logins use. None of them touches a keyring of this machine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.auth_servers.fixtures import auth_server, canary, cognito_login, issuer
from tests.client.login.protected import Protected
from tests.fakes.keyrings import FolderKeyring
from tests.hosting.serving import SetClock

__all__ = ["auth_server", "canary", "cognito_login", "issuer"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_keyring_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def keyring(tmp_path: Path) -> FolderKeyring:
    return FolderKeyring.at(tmp_path / "keyring")


@pytest.fixture
async def protected() -> AsyncIterator[Protected]:
    async with Protected() as running:
        yield running
