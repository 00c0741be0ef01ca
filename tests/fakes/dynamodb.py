"""DynamoDB, played by moto."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.fakes.moto import REGION as REGION
from tests.fakes.moto import go_to_moto, moto_server
from tests.fakes.processes import free_port as free_port


@pytest.fixture(scope="session")
def dynamodb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that runs as long as the tests do."""
    with moto_server(tmp_path_factory.mktemp("moto") / "dynamodb.log") as url:
        yield url


@pytest.fixture
def dynamodb(dynamodb_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A client of boto3's; whoever makes another in this test, or in a process it starts, reaches the same server."""
    go_to_moto("DYNAMODB", dynamodb_server, monkeypatch, tmp_path)
    client = boto3.session.Session().client("dynamodb")
    with contextlib.closing(client):
        yield client
