"""A healthy server for each test, which may spoil it."""

from collections.abc import AsyncIterator

import pytest

from tests.auth_servers.fixtures import issuer as issuer
from tests.auth_servers.issuer import SCOPE, Issuer
from tests.doctor.aws import aws as aws
from tests.doctor.aws import moto as moto
from tests.doctor.patients import Patient, protected


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_proxies_of_the_user_and_a_wide_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def patient(issuer: Issuer) -> AsyncIterator[Patient]:
    """A server that wants a token, and a login server that hosts can use."""
    for document in issuer.documents.values():
        document["scopes_supported"] = [SCOPE]
    async with protected(issuer) as served:
        yield served
