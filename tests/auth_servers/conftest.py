"""What the tests of the authorization servers use."""

import pytest

from tests.auth_servers.fixtures import auth_server, canary, cognito_login, issuer

__all__ = ["auth_server", "canary", "cognito_login", "issuer"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
