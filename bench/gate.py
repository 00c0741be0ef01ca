#!/usr/bin/env python3
"""What one `tools/call` of a tool that greets costs: the SDK's server alone, fastmcp, and tollbook, in turn.

    gate.py [--seconds 4] [--rounds 7] [--only hosted,serve] [--quick] [--table]

`bench/README.md` says what is measured; `--table` writes the result there.
"""

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from gate_issuer import Issuer
from gate_load import HANDSHAKE, MODERN, clients, greetings, load
from gate_processes import TOLLBOOK, Running, Server, gated, running, say, write_into_readme

HERE: Final = Path(__file__).parent
ERAS: Final = (HANDSHAKE, MODERN)
CLIENTS: Final = (1, 8)
TARGET: Final = 1.2
_BARE: Final = "bare"
_WARM_UP: Final = 400

Where = tuple[str, int]
"""An era and a number of clients."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What the calls of one window cost."""

    per_second: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Start:
    """What it took until `initialize` was answered, and what was resident then."""

    wall_s: float
    cpu_s: float
    rss_mb: float


Costs = Mapping[Where, Mapping[str, Sequence[Cost]]]
"""Those of every round, by the server's name."""


def servers(fastmcp: Path | None, issuer: Issuer) -> list[Server]:
    program = str(HERE / "gate_servers.py")
    ours = (sys.executable, program)
    peers = [
        Server(_BARE, "the SDK's app", (*ours, "bare", "PORT")),
        Server("stateless", "the SDK's app, stateless", (*ours, "stateless", "PORT")),
    ]
    if fastmcp is not None:
        peers.append(Server("fastmcp", "fastmcp", (str(fastmcp), program, "fastmcp", "PORT")))
    hosted = Server("hosted", "`tollbook.hosting.host`", (*ours, "hosted", "PORT", "STORE"))
    return [*peers, hosted, gated(issuer), TOLLBOOK]


def fastmcp_in(folder: Path) -> Path:
    """The Python of a virtual environment that has fastmcp, which may want another `mcp` than ours."""
    python = folder / "bin/python"
    if not python.exists():
        say("installing fastmcp")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = (str(python), "-m", "pip", "--disable-pip-version-check")
        subprocess.run([*pip, "install", "--quiet", "fastmcp"], check=True)
    return python


async def costs(compared: Sequence[Server], seconds: float, rounds: int) -> Costs:
    """Of every server, in every era that it speaks, for every number of clients: one after the other in each round."""
    found: dict[Where, dict[str, list[Cost]]] = {(era, number): {} for era in ERAS for number in CLIENTS}
    with ExitStack() as stack:
        processes = {server.name: stack.enter_context(running(server)) for server in compared}
        for process in processes.values():
            await process.answer()
        silent = {name for name, process in processes.items() if not await _speaks_modern(process)}
        for number in range(rounds):
            for where, taken in found.items():
                for name, process in processes.items():
                    if where[0] != MODERN or name not in silent:
                        taken.setdefault(name, []).append(await _cost(process, where, seconds))
            say(f"round {number + 1} of {rounds}")
    return found


async def _speaks_modern(process: Running) -> bool:
    async with clients(process.port, MODERN, 1, process.token) as (client,):
        try:
            await client.discover()
        except SystemExit:
            return False
    return True


async def _cost(process: Running, where: Where, seconds: float) -> Cost:
    era, number = where
    async with clients(process.port, era, number, process.token) as callers:
        await greetings(callers, _WARM_UP // number)
        before = process.cpu_s()
        seen = await load(callers, seconds)
        cpu_s = process.cpu_s() - before
    calls, percentiles = len(seen.latencies_s), statistics.quantiles(seen.latencies_s, n=100)
    return Cost(calls / seen.wall_s, cpu_s / calls * 1e3, percentiles[49] * 1e3, percentiles[98] * 1e3)


def starts(compared: Sequence[Server], rounds: int) -> dict[str, list[Start]]:
    found: dict[str, list[Start]] = {server.name: [] for server in compared}
    for _ in range(rounds):
        for server in compared:
            found[server.name].append(_start(server))
    return found


def _start(server: Server) -> Start:
    began = time.monotonic()
    with running(server) as process:
        asyncio.run(process.answer())
        return Start(time.monotonic() - began, process.cpu_s(), process.rss_mb())


async def grown_mb(server: Server, calls: int) -> float:
    """What is resident after so many calls, of eight clients of the handshake era."""
    with running(server) as process:
        await process.answer()
        async with clients(process.port, HANDSHAKE, 8, process.token) as callers:
            await greetings(callers, calls // 8)
        return process.rss_mb()


def cost_table(compared: Sequence[Server], found: Costs) -> Iterator[str]:
    yield "| era | clients | server | CPU ms a call | beside the SDK's app | calls/s | p50 ms | p99 ms |"
    yield "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |"
    for (era, number), taken in found.items():
        for server in compared:
            if server.name in taken:
                runs = taken[server.name]
                cells = [
                    era,
                    str(number),
                    server.title,
                    f"{statistics.median(run.cpu_ms for run in runs):.2f}",
                    f"{ratio(taken, server.name):.2f}",
                    f"{statistics.median(run.per_second for run in runs):,.0f}",
                    f"{statistics.median(run.p50_ms for run in runs):.1f}",
                    f"{statistics.median(run.p99_ms for run in runs):.1f}",
                ]
                yield f"| {' | '.join(cells)} |"
            else:
                yield f"| {era} | {number} | {server.title} | does not speak it | | | | |"


def ratio(taken: Mapping[str, Sequence[Cost]], name: str) -> float:
    """The CPU of a call beside the SDK's app: the median of the rounds' ratios."""
    pairs = zip(taken[name], taken[_BARE], strict=True)
    return statistics.median(ours.cpu_ms / theirs.cpu_ms for ours, theirs in pairs)


def start_table(
    compared: Sequence[Server], found: Mapping[str, Sequence[Start]], grown: Mapping[str, float], calls: int
) -> Iterator[str]:
    yield f"| server | CPU s | beside the SDK's app | wall s | MB resident | after {calls:,} calls |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for server in compared:
        runs = found[server.name]
        beside = (ours.cpu_s / theirs.cpu_s for ours, theirs in zip(runs, found[_BARE], strict=True))
        cells = [
            server.title,
            f"{statistics.median(run.cpu_s for run in runs):.2f}",
            f"{statistics.median(beside):.2f}",
            f"{statistics.median(run.wall_s for run in runs):.2f}",
            f"{statistics.median(run.rss_mb for run in runs):.0f}",
            f"{grown[server.name]:.0f}",
        ]
        yield f"| {' | '.join(cells)} |"


def verdicts(compared: Sequence[Server], found: Costs) -> Iterator[str]:
    """Whether the target is met, in a line for each of tollbook's servers and each era."""
    for server in compared:
        for era in ERAS:
            if server.name in ("hosted", "gated", "serve"):
                ratios = [ratio(found[era, number], server.name) for number in CLIENTS]
                said = " and ".join(f"{each:.2f} with {number}" for each, number in zip(ratios, CLIENTS, strict=True))
                word = "met" if max(ratios) <= TARGET else "missed"
                yield f"- {server.title}, {era}: {said} clients; the target of at most {TARGET} is {word}."


def _head(fastmcp: Path | None, seconds: float, rounds: int) -> str:
    machine = f"{len(os.sched_getaffinity(0))} processors, {platform.system()} {platform.machine()}"
    names = [f"Python {platform.python_version()}"]
    names += [f"{each} {version(each)}" for each in ("tollbook", "mcp", "uvicorn")]
    if fastmcp is not None:
        asked = 'from importlib.metadata import version as v; print("fastmcp", v("fastmcp"), "with mcp", v("mcp"))'
        words = [str(fastmcp), "-c", asked]
        names.append(subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip())
    command = f"`python bench/gate.py --seconds {seconds:g} --rounds {rounds}`"
    return f"{datetime.now(UTC):%Y-%m-%d}; {machine}; {', '.join(names)}; {command}; medians"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4, metavar="S", help="of each window (default: 4)")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="windows of each (default: 7)")
    parser.add_argument("--only", default="", metavar="NAMES", help="these servers, beside the SDK's app")
    parser.add_argument("--quick", action="store_true", help="three rounds of one second: a look, not a result")
    parser.add_argument("--table", action="store_true", help="write the result into bench/README.md")
    parser.add_argument("--cache", type=Path, default=HERE.parent / ".cache/bench", help="where fastmcp is installed")
    options = parser.parse_args()
    seconds, rounds, calls = (1.0, 3, 1_000) if options.quick else (options.seconds, options.rounds, 10_000)
    names = {_BARE, *options.only.split(",")} if options.only else {"fastmcp"}
    fastmcp = fastmcp_in(options.cache / "fastmcp") if "fastmcp" in names else None
    with Issuer() as issuer:
        compared = [server for server in servers(fastmcp, issuer) if not options.only or server.name in names]
        found = asyncio.run(costs(compared, seconds, rounds))
        lines = [_head(fastmcp, seconds, rounds), "", *cost_table(compared, found), "", *verdicts(compared, found)]
        grown = {server.name: asyncio.run(grown_mb(server, calls)) for server in compared}
        lines += ["", "From the start of the process to its first answer to `initialize`:", ""]
        lines += start_table(compared, starts(compared, rounds), grown, calls)
    print("\n".join(lines))
    if options.table:
        write_into_readme("gate", lines)


if __name__ == "__main__":
    main()
