"""AWS, played by ministack in a process of its own: CloudFormation, and the services that a deployment is made of.

ministack wants another botocore than ours, so that it lies in an environment of its own beside ours, made by `make`.

What was seen of it, in version 1.5.33, where it differs from AWS:

- Nothing takes time: a change set is there at once, a stack within a second. Nothing is throttled, denied (unless it is
  started with `AUTH=true`) or stuck: no stack ends in `UPDATE_ROLLBACK_FAILED` or `DELETE_FAILED` by itself.
- A change set is not looked through before it is executed, and one of outputs alone is none at all.
- An update tells of every resource, also of those that it leaves alone.
- No image is looked for: a function is made of any `ImageUri`; one of the name of another takes its place.
- Buckets do not get the tags of their stack, and GetResources knows no log groups.
- It knows no `AWS::Cognito::ManagedLoginBranding`, and gives first passwords that a strict pool refuses:
  `ministack_main.py` teaches it better. Nor does it know `AWS::Budgets::Budget`, `AWS::BedrockAgentCore::Runtime`, and
  the attribute `ProviderURL` of a user pool.
- No request goes through an API with `ResponseTransferMode: STREAM`, or through a function URL.

Sources: https://pypi.org/project/ministack/, https://github.com/ministackorg/ministack
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.fakes.moto import REGION
from tests.fakes.processes import free_port, listening

ACCOUNT: Final = "000000000000"
PYTHON: Final = Path(sys.prefix) / "ministack" / "bin" / "python"


@contextmanager
def ministack_server(folder: Path) -> Iterator[str]:
    """The address of a server that plays all of AWS until the end of the block.

    Args:
        folder: takes what it writes; `ministack.log` is what it printed.
    """
    port = free_port()
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{folder / 'no-docker'}",
    }
    # -P: beside it lies a module called ministack, which is this one
    command = [str(PYTHON), "-P", str(Path(__file__).with_name("ministack_main.py"))]
    with listening(command, port, folder / "ministack.log", environment):
        yield f"http://127.0.0.1:{port}"


def go_to_ministack(url: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Makes `url` the endpoint of every service, for boto3 in this test and in the processes it starts; and hides what
    this machine knows of AWS.

    Args:
        folder: where no configuration of AWS lies.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": str(folder / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server for the tests of a module; each test takes stacks with names of its own."""
    with ministack_server(tmp_path_factory.mktemp("ministack")) as url:
        yield url
