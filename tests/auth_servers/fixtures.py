"""The authorization servers as fixtures; a conftest.py beside whoever uses them imports what it needs."""

from collections.abc import Iterator

import pytest

from tests.auth_servers.cognito import CognitoLogin, cognito
from tests.auth_servers.issuer import Canary, Issuer
from tests.auth_servers.others import AuthServer, nanoidp, oidc_provider


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """One of the tests' own; see `Issuer` for how it signs, and `Loopback` for how it fails."""
    with Issuer() as running:
        yield running


@pytest.fixture
def canary() -> Iterator[Canary]:
    """Where no one has any business."""
    with Canary() as running:
        yield running


@pytest.fixture(scope="session", params=[nanoidp, oidc_provider], ids=["nanoidp", "oidc-provider"])
def auth_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """Each of the authorization servers that are not ours and have a login."""
    with request.param(tmp_path_factory.mktemp("auth-server")) as running:
        yield running


@pytest.fixture(scope="session")
def cognito_login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CognitoLogin]:
    """A user of moto's Cognito who gave his password, and what he got for it."""
    with cognito(tmp_path_factory.mktemp("cognito") / "moto.log") as login:
        yield login
