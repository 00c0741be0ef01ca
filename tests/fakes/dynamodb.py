"""DynamoDB, played by moto's server in a process of its own.

Programs find it as they would find any other endpoint, by the variables that every AWS SDK reads:
https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3
import pytest

REGION: Final = "eu-west-1"
_STARTS_WITHIN_S: Final = 60
_SERVER: Final = """
import sys, threading
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

application, turn = DomainDispatcherApplication(create_backend_app), threading.Lock()

def one_at_a_time(environ, start_response):
    with turn:
        return application(environ, start_response)

run_simple("127.0.0.1", int(sys.argv[1]), one_at_a_time, threaded=True)
"""


@pytest.fixture(scope="session")
def dynamodb_server() -> Iterator[str]:
    """The address of a server that runs as long as the tests do.

    AWS checks a condition and writes in one step, moto in two; so here one request follows the other.

    Sources:
        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithItems.html
        https://docs.getmoto.org/en/latest/docs/server_mode.html
    """
    port = free_port()
    words = [sys.executable, "-c", _SERVER, str(port)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture
def dynamodb(dynamodb_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A client of boto3's; whoever makes another in this test, or in a process it starts, reaches the same server."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_server,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        # https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        # https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.session.Session().client("dynamodb")
    with contextlib.closing(client):
        yield client


def free_port() -> int:
    """A port of 127.0.0.1 where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    ends = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < ends and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError("moto's server does not start.")
