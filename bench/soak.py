#!/usr/bin/env python3
"""Whether `tollbook serve` forgets what has ended: sessions opened and ended, a great many, on the SQLite store.

    soak.py [--pairs 100000] [--table]

`bench/README.md` says what is measured; `--table` writes the result there.
"""

import argparse
import asyncio
import os
import platform
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from gate_load import HANDSHAKE, Client, clients
from gate_processes import TOLLBOOK, Running, running, say, write_into_readme

_CLIENTS: Final = 8
_SAMPLES: Final = 10
_GREETED: Final = 10  # a session in so many calls a tool


@dataclass(frozen=True, slots=True)
class Sample:
    """How the server stands after so many pairs.

    Attributes:
        cpu_ms: of a pair, since the sample before.
        rows: all that the store holds; `sessions` of them are sessions.
        log_mb: the write-ahead log beside the store's file.
    """

    pairs: int
    cpu_ms: float
    rss_mb: float
    rows: int
    sessions: int
    file_mb: float
    log_mb: float


async def soaked(pairs: int) -> list[Sample]:
    with running(TOLLBOOK) as process:
        await process.answer()
        cpu_s, done = process.cpu_s(), 0
        samples = [_sample(process, 0, 0.0)]
        async with clients(process.port, HANDSHAKE, _CLIENTS) as callers:
            for client in callers:
                await client.end()
            # The first thousand tells the memory of a server at work from that of one just started.
            for until in sorted({1_000, *(pairs * number // _SAMPLES for number in range(1, _SAMPLES + 1))}):
                numbers = iter(range(done, until))
                await asyncio.gather(*(_pairs(client, numbers) for client in callers))
                before, cpu_s = cpu_s, process.cpu_s()
                samples.append(_sample(process, until, (cpu_s - before) / (until - done) * 1e3))
                done = until
                say(f"{done:,} of {pairs:,}")
    return samples


async def _pairs(client: Client, numbers: Iterator[int]) -> None:
    for number in numbers:
        await client.open()
        if number % _GREETED == 0:
            await client.greet()
        await client.end()


def _sample(process: Running, pairs: int, cpu_ms: float) -> Sample:
    store = process.store
    with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as connection:
        ((rows, sessions),) = connection.execute(
            "SELECT count(*), count(CASE WHEN partition = 'sessions' THEN 1 END) FROM records"
        ).fetchall()
    file_mb, log_mb = (_size_mb(file) for file in (store, store.with_name(f"{store.name}-wal")))
    return Sample(pairs, cpu_ms, process.rss_mb(), rows, sessions, file_mb, log_mb)


def _size_mb(file: Path) -> float:
    return file.stat().st_size / 1e6 if file.exists() else 0.0


def table(samples: Sequence[Sample]) -> Iterator[str]:
    yield "| pairs | MB resident | rows | sessions | store MB | its log MB | CPU ms a pair |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for each in samples:
        cells = [
            f"{each.pairs:,}",
            f"{each.rss_mb:.1f}",
            f"{each.rows}",
            f"{each.sessions}",
            f"{each.file_mb:.2f}",
            f"{each.log_mb:.2f}",
            f"{each.cpu_ms:.2f}",
        ]
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100_000, metavar="N", help="sessions (default: 100,000)")
    parser.add_argument("--table", action="store_true", help="write the result into bench/README.md")
    options = parser.parse_args()
    samples = asyncio.run(soaked(options.pairs))
    machine = f"{len(os.sched_getaffinity(0))} processors, {platform.system()} {platform.machine()}"
    versions = f"Python {platform.python_version()}, tollbook {version('tollbook')}, mcp {version('mcp')}"
    head = f"{datetime.now(UTC):%Y-%m-%d}; {machine}; {versions}; `python bench/soak.py --pairs {options.pairs}`"
    lines = [head, "", *table(samples)]
    print("\n".join(lines))
    if options.table:
        write_into_readme("soak", lines)


if __name__ == "__main__":
    main()
