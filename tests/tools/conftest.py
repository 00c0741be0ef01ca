from collections.abc import Iterator

import pytest

from tests.fakes.buckets import bucket as bucket
from tests.fakes.buckets import buckets_server as buckets_server
from tests.fakes.cloudwatch_logs import Logs, cloudwatch_logs


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def cloudwatch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logs]:
    """A server that runs as long as the tests do; each test makes log groups of its own."""
    with cloudwatch_logs(tmp_path_factory.mktemp("cloudwatch") / "logs.log") as logs:
        yield logs
