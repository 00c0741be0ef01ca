#!/usr/bin/env python3
"""What one request costs through the loop on AWS Lambda, beside uvicorn; and the memory of a response that is streamed.

    loop.py [--calls 2000] [--rounds 9] [--quick] [--table]

`bench/README.md` says what is measured; `--table` writes the result there.
"""

import argparse
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Protocol

from gate_processes import cpu_clock, memory_mb, say, write_into_readme
from lambda_function import Function, Response, on_lambda, rest_event, url_event

HERE: Final = Path(__file__).parent
SIZES_MB: Final = (1, 10, 100)
BUDGET_MB: Final = 5
_SLOW: Final = 50 << 20  # bytes a second
_LOOP: Final = (sys.executable, "-m", "tollbook.hosting.runtime.lambda_loop", "loop_apps:app")
_HEADERS: Final = {"accept": "application/json", "user-agent": "bench", "x-request": "1"}
_UVICORN: Final = "uvicorn, h11"
_PATIENCE_S: Final = 60.0
_WARM_UP: Final = 300


class Server(Protocol):
    """Something that answers requests one after the other."""

    def ask(self, path: str, *, is_kept: bool = True, bytes_per_s: float = 0) -> Response: ...

    def cpu_s(self) -> float:
        """User and system time so far."""
        ...

    @property
    def pid(self) -> int: ...


class OnLambda:
    """The app in the loop."""

    def __init__(self, function: Function, is_rest: bool) -> None:
        self._function, self._event = function, rest_event if is_rest else url_event
        self.pid = function.pid

    def ask(self, path: str, *, is_kept: bool = True, bytes_per_s: float = 0) -> Response:
        return self._function.ask(self._event("GET", path, _HEADERS), is_kept=is_kept, bytes_per_s=bytes_per_s)

    def cpu_s(self) -> float:
        return self._function.rest()


class Listening:
    """The app under uvicorn, on one kept connection."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.pid = process.pid
        self._clock = cpu_clock(process.pid)
        self._line = _connected(port)
        lines = ("GET {} HTTP/1.1", f"Host: 127.0.0.1:{port}", *(f"{name}: {each}" for name, each in _HEADERS.items()))
        self._request = "\r\n".join([*lines, "", ""])

    def ask(self, path: str, *, is_kept: bool = True, bytes_per_s: float = 0) -> Response:
        self._line.sendall(self._request.format(path).encode())
        began = time.perf_counter()
        received = self._line.recv(256 << 10)
        first_s = time.perf_counter() - began
        head, _, body = received.partition(b"\r\n\r\n")
        size, length = len(body), int(head.lower().partition(b"content-length:")[2].split(b"\r")[0])
        while size < length:
            if bytes_per_s:
                time.sleep(max(0.0, size / bytes_per_s - (time.perf_counter() - began)))
            size += len(piece := self._line.recv(256 << 10))
            if not piece:
                raise SystemExit("uvicorn hung up in the middle of a response.")
            received += piece if is_kept else b""
        return Response(received, size, first_s, time.perf_counter() - began, self.cpu_s())

    def cpu_s(self) -> float:
        return time.clock_gettime(self._clock)

    def close(self) -> None:
        self._line.close()


def _connected(port: int) -> socket.socket:
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        try:
            line = socket.create_connection(("127.0.0.1", port))
        except OSError:
            time.sleep(0.01)
        else:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return line
    raise SystemExit("uvicorn did not start.")


@contextmanager
def in_the_loop(is_rest: bool, mode: str = "") -> Iterator[Server]:
    environment = {"PYTHONPATH": str(HERE), "LAMBDA_RESPONSE_MODE": mode}
    with on_lambda(_LOOP, environment) as function:
        yield OnLambda(function, is_rest)


@contextmanager
def under_uvicorn() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryFile() as log:
        words = (sys.executable, str(HERE / "loop_apps.py"), str(port))
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            server = Listening(process, port)
            yield server
            server.close()
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True, slots=True)
class Cost:
    """What the requests of one window cost."""

    cpu_ms: float
    first_ms: float
    first_p99_ms: float
    whole_ms: float


def costs(calls: int, rounds: int) -> dict[str, list[Cost]]:
    """One window of each server in each round, one request at a time."""
    with ExitStack() as stack:
        servers = {
            _UVICORN: stack.enter_context(under_uvicorn()),
            "the loop, function URL": stack.enter_context(in_the_loop(is_rest=False)),
            "the loop, REST API": stack.enter_context(in_the_loop(is_rest=True)),
            "the loop, REST API, buffered": stack.enter_context(in_the_loop(is_rest=True, mode="buffered")),
        }
        found: dict[str, list[Cost]] = {name: [] for name in servers}
        for number in range(rounds + 1):
            for name, server in servers.items():
                cost = _cost(server, calls if number else _WARM_UP)
                if number:
                    found[name].append(cost)
            say(f"round {number} of {rounds}")
    return found


def _cost(server: Server, calls: int) -> Cost:
    before = server.cpu_s()
    responses = [server.ask("/") for _ in range(calls)]
    cpu_s = server.cpu_s() - before
    if any(b'{"said":"' not in each.content and rb"{\"said\":\"" not in each.content for each in responses):
        raise SystemExit("An answer is none.")
    firsts, wholes = [each.first_s * 1e3 for each in responses], [each.whole_s * 1e3 for each in responses]
    percentiles = statistics.quantiles(firsts, n=100)
    return Cost(cpu_s / calls * 1e3, percentiles[49], percentiles[98], statistics.median(wholes))


def cost_table(found: Mapping[str, Sequence[Cost]]) -> Iterator[str]:
    yield "| server | CPU ms a request | beside uvicorn | to the first byte, ms | p99 | whole, ms |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name, runs in found.items():
        beside = statistics.median(
            ours.cpu_ms / theirs.cpu_ms for ours, theirs in zip(runs, found[_UVICORN], strict=True)
        )
        medians = (
            statistics.median(getattr(run, field) for run in runs) for field in ("first_ms", "first_p99_ms", "whole_ms")
        )
        cells = [name, f"{statistics.median(run.cpu_ms for run in runs):.3f}", f"{beside:.2f}"]
        yield f"| {' | '.join([*cells, *(f'{each:.2f}' for each in medians)])} |"


@dataclass(frozen=True, slots=True)
class Streamed:
    """A response that was streamed by a process of its own.

    Attributes:
        before_mb, peak_mb: the most that was resident before it, and with it.
    """

    before_mb: float
    peak_mb: float
    cpu_s: float
    wall_s: float


def streamed(megabytes: int, bytes_per_s: float) -> Streamed:
    with in_the_loop(is_rest=False) as server:
        server.ask("/")
        before_mb, cpu_s = memory_mb(server.pid, "VmHWM"), server.cpu_s()
        response = server.ask(f"/{megabytes}", is_kept=False, bytes_per_s=bytes_per_s)
        if response.size < megabytes << 20:
            raise SystemExit(f"Of {megabytes} MB came {response.size:,} bytes.")
        return Streamed(before_mb, memory_mb(server.pid, "VmHWM"), server.cpu_s() - cpu_s, response.whole_s)


def streams(rounds: int) -> dict[tuple[int, float], list[Streamed]]:
    found = {}
    for speed in (0.0, _SLOW):
        for megabytes in SIZES_MB:
            found[megabytes, speed] = [streamed(megabytes, speed) for _ in range(rounds)]
            say(f"{megabytes} MB streamed")
    return found


def stream_table(found: Mapping[tuple[int, float], Sequence[Streamed]]) -> Iterator[str]:
    yield "| response | read | MB at most, before | MB at most, with it | CPU s | wall s |"
    yield "| ---: | --- | ---: | ---: | ---: | ---: |"
    for (megabytes, speed), runs in found.items():
        cells = [
            f"{megabytes} MB",
            f"at {speed / (1 << 20):.0f} MB/s" if speed else "as it comes",
            f"{statistics.median(run.before_mb for run in runs):.1f}",
            f"{statistics.median(run.peak_mb for run in runs):.1f}",
            f"{statistics.median(run.cpu_s for run in runs):.2f}",
            f"{statistics.median(run.wall_s for run in runs):.2f}",
        ]
        yield f"| {' | '.join(cells)} |"


def stream_verdict(found: Mapping[tuple[int, float], Sequence[Streamed]]) -> str:
    peaks = [statistics.median(run.peak_mb for run in runs) for runs in found.values()]
    grows = max(peaks) - min(peaks)
    word = "flat" if grows < BUDGET_MB else "not flat"
    return f"- From {min(SIZES_MB)} to {max(SIZES_MB)} MB the peak differs by {grows:.1f} MB: memory is {word}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2_000, metavar="N", help="requests of each window (default: 2000)")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="windows of each (default: 9)")
    parser.add_argument("--quick", action="store_true", help="two rounds of 500: a look, not a result")
    parser.add_argument("--table", action="store_true", help="write the result into bench/README.md")
    options = parser.parse_args()
    calls, rounds = (500, 2) if options.quick else (options.calls, options.rounds)
    machine = f"{len(os.sched_getaffinity(0))} processors, {platform.system()} {platform.machine()}"
    names = [f"Python {platform.python_version()}"]
    names += [f"{each} {version(each)}" for each in ("tollbook", "h11", "uvicorn")]
    command = f"`python bench/loop.py --calls {calls} --rounds {rounds}`"
    found, sizes = costs(calls, rounds), streams(max(1, rounds // 3))
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}; {machine}; {', '.join(names)}; {command}; medians",
        "",
        *cost_table(found),
        "",
        *stream_table(sizes),
        "",
        stream_verdict(sizes),
    ]
    print("\n".join(lines))
    if options.table:
        write_into_readme("loop", lines)


if __name__ == "__main__":
    main()
