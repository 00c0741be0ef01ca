"""AWS's own emulator of the Lambda service, the Runtime Interface Emulator, without a container.

It lies in the wheel of aws-sam-cli, which `make` downloads and nobody installs. What it cannot show: it waits for the
end of a response, gives prelude and body as they came, and leaves the trailers of a failed one out.

Source: https://github.com/aws/aws-lambda-runtime-interface-emulator
"""

import contextlib
import json
import platform
import re
import shutil
import socket
import socketserver
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2
import pytest

from tests.fakes.processes import free_port, listening

_PINNED: Final = Path(__file__).parents[2] / "requirements" / "emulator.txt"
_ARCHITECTURE: Final = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
_INVOKE: Final = "/2015-03-31/functions/function/invocations"


class Answer(NamedTuple):
    """What the emulator gives whoever invoked the function."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def head(self) -> Any:
        """The prelude of a streamed response."""
        return json.loads(self.body.partition(bytes(8))[0])

    @property
    def content(self) -> bytes:
        """What follows the prelude."""
        return self.body.partition(bytes(8))[2]


class Emulator(NamedTuple):
    """One that runs, and the function in it.

    Attributes:
        log: all that it and the function print.
        wire: what went between the function and the Runtime API.
    """

    url: str
    log: Path
    wire: "Wire"

    def invoke(self, event: Any) -> Answer:
        response = httpx2.post(self.url, json=event, timeout=60, trust_env=False)
        return Answer(response.status_code, response.content)

    @property
    def starts(self) -> int:
        """How often it started the function."""
        return self.log.read_text().count("INIT START")

    def statuses_of_answers(self) -> list[int]:
        """What the function was told of each of its answers, errors among them: those of other requests are 200."""
        return [status for status in self.wire.statuses if status != 200]


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program."""
    found = re.match(r"aws-sam-cli==(\S+)", _PINNED.read_text())
    assert found is not None
    # Beside the environment that runs the tests: .venv/emulator, where `make` puts it.
    wheel = Path(sys.prefix) / "emulator" / f"aws_sam_cli-{found[1]}-py3-none-any.whl"
    program = tmp_path_factory.mktemp("emulator") / "aws-lambda-rie"
    with zipfile.ZipFile(wheel) as archive, program.open("wb") as file:
        shutil.copyfileobj(archive.open(f"samcli/local/rapid/aws-lambda-rie-{_ARCHITECTURE}"), file)
    program.chmod(0o700)
    return program


@contextmanager
def emulated(
    emulator: Path, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]
) -> Iterator[Emulator]:
    """Runs a function to the end of the block; it starts with the first invocation.

    Args:
        command: what a container would run.
        folder: where it runs, and its log lies.
        environment: the whole of it, but for what Lambda sets.
    """
    port, api_port, log = free_port(), free_port(), folder / "instance-emulated.log"
    with Wire(api_port) as wire:
        words = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
        words += ["--runtime-api-address", f"127.0.0.1:{api_port}"]
        by_wire = ["/usr/bin/env", f"AWS_LAMBDA_RUNTIME_API={wire.address}"]
        with listening([str(emulator), *words, *by_wire, *map(str, command)], port, log, environment):
            yield Emulator(f"http://127.0.0.1:{port}{_INVOKE}", log, wire)


class Wire:
    """Passes on, from `with` to the end of its block, what the function and the Runtime API say to each other.

    Attributes:
        address: as AWS_LAMBDA_RUNTIME_API has it.
        said: all that the function sent.
        heard: all that it was answered.
    """

    def __init__(self, port: int) -> None:
        self.said, self.heard, self._port = bytearray(), bytearray(), port
        wire = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                wire._connect(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Wire":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def statuses(self) -> list[int]:
        """Those of all answers that the function got."""
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.heard)]

    def _connect(self, function: socket.socket) -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port)) as api:
            back = threading.Thread(target=_pass_on, args=(api, function, self.heard), daemon=True)
            back.start()
            _pass_on(function, api, self.said)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket, seen: bytearray) -> None:
    with contextlib.suppress(OSError):  # whichever of the two has ended
        while data := source.recv(1 << 16):
            seen += data
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
