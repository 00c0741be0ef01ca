"""The fixtures as they are deployed: one instance, or several behind a round robin, with a store that they share."""

import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.conformance.round_robin import RoundRobin

ROOT: Final = Path(__file__).parents[2]
START_S: Final = 60
END_S: Final = 15


class Stack:
    """A running stack.

    Attributes:
        url: of its MCP endpoint.
    """

    def __init__(self, ports: Sequence[int], front: RoundRobin | None) -> None:
        self.url = f"http://127.0.0.1:{front.port if front else ports[0]}/mcp"
        self._ports, self._front = ports, front

    def turns(self) -> Sequence[int]:
        """How many requests each instance was given so far; empty where there is only one."""
        return [self._front.requests[port] for port in self._ports] if self._front else []


@contextmanager
def stack(instances: int) -> Iterator[Stack]:
    """Runs the fixtures in `instances` processes, and ends every one of them.

    Raises:
        RuntimeError: an instance does not start; with what it printed.
    """
    with ExitStack() as running:
        folder = Path(running.enter_context(TemporaryDirectory(prefix="tollbook-conformance-")))
        store = f"sqlite:{folder / 'store.db'}"
        started = {
            running.enter_context(_instance(store, log)): log
            for log in (folder / f"instance-{n}.log" for n in range(instances))
        }
        for port, log in started.items():
            _greet(port, log)
        front = running.enter_context(RoundRobin(list(started))) if instances > 1 else None
        yield Stack(list(started), front)


@contextmanager
def _instance(store: str, log: Path) -> Iterator[int]:
    """Runs one instance on a free port, which it is handed open: no one else takes it, and no one comes too early."""
    with log.open("wb") as output, socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.conformance.fixture_server", str(listening.fileno())],
            pass_fds=[listening.fileno()],
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env={**os.environ, "SESSION_STORE": store},
        )
    try:
        yield port
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _greet(port: int, log: Path) -> None:
    """Waits until the instance answers anything at all. If its process ends instead, its port is closed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_S)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        raise RuntimeError(f"The fixture server does not start.\n{log.read_text()}") from error
    finally:
        connection.close()
