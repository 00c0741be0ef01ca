"""The installed folder: made once, since that takes half a minute."""

import pytest

from tests.auth_servers.fixtures import issuer
from tests.fakes.dynamodb import dynamodb_server
from tests.fakes.emulator import emulator
from tests.hosting.runtime.conftest import a_table
from tests.image.installed import Image, step

__all__ = ["a_table", "dynamodb_server", "emulator", "issuer"]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """What the Dockerfile's first stage makes."""
    folder = tmp_path_factory.mktemp("image") / "tollbook"
    done = step("environment", folder)
    assert done.returncode == 0, done.stderr
    return Image(folder)
