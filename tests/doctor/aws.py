"""An AWS account that moto plays."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx2
import pytest

from tests.fakes.moto import REGION, go_to_moto, moto_server


class Aws:
    """Clients of the account that moto plays, which is empty at the beginning of each test."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, service: str) -> Any:
        return boto3.session.Session().client(service, region_name=REGION)


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("moto") / "aws.log") as url:
        yield url


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Aws:
    go_to_moto("STS", moto, monkeypatch, tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    httpx2.post(f"{moto}/moto-api/reset", timeout=30).raise_for_status()
    return Aws(moto)
