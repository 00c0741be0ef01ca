"""Servers that run in processes of their own, on loopback, as long as a test needs them."""

import contextlib
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_STARTS_WITHIN_S: Final = 60
_ENDS_WITHIN_S: Final = 10
_STEP_S: Final = 0.02
_FIRST: Final = 10_240
_PORTS: Final = 22_000


def free_port() -> int:
    """A port of 127.0.0.1 where nothing listens, for a program that is told to.

    It is none of those that systems give to whoever asks for any (from 32768 on): tests run beside each other, and one
    of these could be given away before the program has it.
    """
    while True:
        port = _FIRST + secrets.randbelow(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def unmeasured(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment for programs that run nothing of ours: coverage, which would look for it, makes them half as fast.

    Source: https://coverage.readthedocs.io/en/latest/subprocess.html
    """
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE_PROCESS_")}


@contextmanager
def listening(
    command: Sequence[str], port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs a program from when it listens at `port` of 127.0.0.1 to the end of the block.

    Args:
        log: takes all that it prints.
        environment: the whole of it; by default that of the tests.

    Raises:
        RuntimeError: it does not listen; with what it printed.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd=log.parent
        )
    try:
        _wait_for(process, port, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    ends = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < ends and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(_STEP_S)
    raise RuntimeError(f"The server that writes {log.name} does not start.\n{log.read_text(errors='replace')}")
