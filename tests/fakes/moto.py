"""AWS, played by moto's server in a process of its own.

Programs find it as they would find any other endpoint, by the variables that every AWS SDK reads:
https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.fakes.processes import free_port, listening, unmeasured

REGION: Final = "eu-west-1"
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


@contextmanager
def moto_server(log: Path) -> Iterator[str]:
    """The address of a server that plays all of AWS until the end of the block; `log` takes what it prints.

    AWS checks a condition and writes in one step, moto in two; so here one request follows the other.

    Sources:
        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithItems.html
        https://docs.getmoto.org/en/latest/docs/server_mode.html
    """
    port = free_port()
    with listening([sys.executable, "-c", _SERVER, str(port)], port, log, unmeasured()):
        yield f"http://127.0.0.1:{port}"


def go_to_moto(service: str, url: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Makes `url` the endpoint of a service, for boto3 in this test and in the processes it starts; and hides what
    this machine knows of AWS.

    Args:
        service: as it stands in the name of the variable, such as `DYNAMODB`.
        folder: where no configuration of AWS lies.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        f"AWS_ENDPOINT_URL_{service}": url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        # https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html
        "AWS_CONFIG_FILE": str(folder / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "no-credentials"),
        # https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
