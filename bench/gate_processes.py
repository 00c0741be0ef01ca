"""Servers in processes of their own, and what `/proc` says of them."""

import asyncio
import ctypes
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gate_issuer import Issuer
from gate_load import HANDSHAKE, clients

HERE: Final = Path(__file__).parent
README: Final = HERE / "README.md"
_PATIENCE_S: Final = 30.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A program that serves; PORT and STORE in its words stand for those of each start.

    Attributes:
        token: what its clients must send, if anything.
    """

    name: str
    title: str
    words: tuple[str, ...]
    token: str = ""

    def command(self, port: int, store: Path) -> list[str]:
        known = {"PORT": str(port), "STORE": f"sqlite:{store}"}
        return [known.get(word, word) for word in self.words]


TOLLBOOK: Final = Server(
    "serve",
    "`tollbook serve`",
    (sys.executable, "-m", "tollbook", "serve", "--port", "PORT", "--session-store", "STORE"),
)


def gated(issuer: Issuer) -> Server:
    """The SDK's server behind tollbook's host and gate, for those alone who have a token of `issuer`."""
    variables = [f"{name}={value}" for name, value in issuer.environment.items()]
    words = (sys.executable, str(HERE / "gate_servers.py"), "gated", "PORT", "STORE", *variables)
    return Server("gated", "`tollbook.hosting.host`, token asked for", words, issuer.token())


class Running:
    """A server's process.

    Attributes:
        store: the file that lies under its store, once it has made one.
        token: what its clients must send, if anything.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, store: Path, token: str = "") -> None:
        self.process, self.port, self.store, self.token = process, port, store, token

    def cpu_s(self) -> float:
        """User and system time of the process and its children so far."""
        return sum(map(_cpu_s, _tree(self.process.pid)))

    def rss_mb(self) -> float:
        return sum(map(memory_mb, _tree(self.process.pid)))

    async def answer(self) -> None:
        """Waits for the first `initialize` that it answers."""
        end = time.monotonic() + _PATIENCE_S
        while True:
            with suppress(OSError):
                async with clients(self.port, HANDSHAKE, 1, self.token):
                    return
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit("A server did not start.")
            await asyncio.sleep(0.005)


@contextmanager
def running(server: Server) -> Iterator[Running]:
    """A server, started; it may not answer yet. What it logs goes to a file, as in production."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="tollbook-gate-") as made, (Path(made) / "log").open("wb") as log:
        store = Path(made) / "store.db"
        process = subprocess.Popen(server.command(port, store), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield Running(process, port, store, server.token)
        except BaseException:
            say((Path(made) / "log").read_text()[-2000:])
            raise
        finally:
            process.terminate()
            process.wait(_PATIENCE_S)


def _tree(pid: int) -> list[int]:
    try:
        children = [int(each) for task in Path(f"/proc/{pid}/task").iterdir() for each in _words(task / "children")]
    except OSError:  # it has ended meanwhile
        return []
    return [pid, *(process for child in children for process in _tree(child))]


def _words(file: Path) -> list[str]:
    return file.read_text().split()


def _cpu_s(pid: int) -> float:
    # After the name, which may hold anything: utime, stime and those of the children that have ended.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    """What is resident of a process; with `VmHWM`, the most that ever was."""
    words = _words(Path(f"/proc/{pid}/status"))
    return int(words[words.index(f"{field}:") + 1]) / 1024


def cpu_clock(pid: int) -> int:
    """The clock of a process's user and system time, for `time.clock_gettime`: in nanoseconds, where `/proc` has ticks.

    Source: https://man7.org/linux/man-pages/man3/clock_getcpuclockid.3.html
    """
    clock = ctypes.c_int()
    if fault := ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise OSError(fault, os.strerror(fault))
    return clock.value


def write_into_readme(name: str, lines: Sequence[str]) -> None:
    """Puts lines where README.md has room for them: between two comments with that name."""
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    text = README.read_text()
    if first not in text or last not in text:
        raise SystemExit(f"{README.name} has no place for it: {first} and {last}.")
    block = "\n".join([first, "", *lines, "", last])
    README.write_text(re.sub(f"{re.escape(first)}.*?{re.escape(last)}", lambda _: block, text, flags=re.DOTALL))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
