"""S3, played by moto; and a bucket that hangs."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config

from tests.fakes.moto import REGION, go_to_moto, moto_server

BUCKET: Final = "results"


@pytest.fixture(scope="session")
def buckets_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that runs as long as the tests do."""
    with moto_server(tmp_path_factory.mktemp("moto") / "buckets.log") as url:
        yield url


@pytest.fixture
def bucket(buckets_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A client of boto3's, whose bucket `BUCKET` is there and empty; whoever makes another reaches the same server."""
    go_to_moto("S3", buckets_server, monkeypatch, tmp_path)
    client = boto3.session.Session().client("s3", config=Config(retries={"total_max_attempts": 1}))
    with contextlib.closing(client):
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield client
        for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            client.delete_object(Bucket=BUCKET, Key=found["Key"])
        client.delete_bucket(Bucket=BUCKET)


@contextlib.contextmanager
def hanging_bucket() -> Iterator[Any]:
    """A client of boto3's whose requests are taken and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = boto3.session.Session().client(
            "s3",
            region_name=REGION,
            endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",  # noqa: S106
            config=Config(read_timeout=0.5, retries={"total_max_attempts": 1}),
        )
        with contextlib.closing(client):
            yield client
