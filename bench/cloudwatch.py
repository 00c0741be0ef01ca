#!/usr/bin/env python3
"""A log group read by FilterLogEvents, beside boto3's paginator and the standard library, from a server on loopback.

    cloudwatch.py [--rounds 5] [--quick] [--table]

`bench/README.md` says what is measured; `--table` writes the result there.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from gate_processes import say, write_into_readme

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.fakes.cloudwatch_logs import ACCOUNT, REGION, Faults, Logs, Setting, Stats, cloudwatch_logs  # noqa: E402
from tests.fakes.invocations import Rendered  # noqa: E402

from tollbook.sources.aws.cloudwatch.events import Events  # noqa: E402
from tollbook.sources.aws.cloudwatch.pace import Pace  # noqa: E402
from tollbook.sources.reading import Place, Stretch, Watch  # noqa: E402
from tollbook.spend.query import Query  # noqa: E402
from tollbook.spend.usage import Usage  # noqa: E402
from tollbook.spend.window import Window  # noqa: E402

FIRST: Final = datetime(2026, 11, 1, tzinfo=UTC)
DAYS: Final = 7
EVENTS: Final = 100_000
LATENCY_S: Final = 0.1
QUOTAS: Final = (25, 100)
ORIGINAL: Final = 4_900
"""Events a second that the original system reads, at 100 ms a page."""
BUDGET_US: Final = 16
BUDGET_MB: Final = 40
NO_QUOTA: Final = 10_000
READERS: Final = ("tollbook", "boto3's paginator")


@dataclass(frozen=True, slots=True)
class Run:
    """What one reading took, without the start of its process.

    Attributes:
        sums: calls, and the four kinds of tokens.
        rss_mb: the most that was resident, the start included.
    """

    wall_s: float
    cpu_s: float
    rss_mb: float
    sums: Sequence[int]


@dataclass(frozen=True, slots=True)
class Case:
    """A log group and how it answers."""

    title: str
    events: int
    quota: int = NO_QUOTA
    latency_s: float = 0.0
    peaks: bool = False

    def setting(self) -> Setting:
        span = (FIRST, FIRST + timedelta(days=DAYS))
        since, until = (int(time.timestamp() * 1000) for time in span)
        events = Rendered(self.events, since, until, peaks=self.peaks, pages_kept=200)
        return Setting("/bench", rendered=events, faults=self.faults())

    def faults(self) -> Faults:
        return Faults(latency_s=self.latency_s, quota=self.quota if self.quota < NO_QUOTA else 0)


@dataclass(frozen=True, slots=True)
class Result:
    """What the rounds of one reader came to, and what the server saw."""

    runs: Sequence[Run]
    stats: Sequence[Stats]

    def median(self, name: str) -> float:
        return float(statistics.median(getattr(run, name) for run in self.runs))


def read_by_tollbook(logs: Logs, quota: int) -> Sequence[int]:
    stretches = [Stretch(FIRST + timedelta(days=day), FIRST + timedelta(days=day + 1)) for day in range(DAYS)]
    query = Query(Window(None, None, ZoneInfo("UTC")), ("day", "model", "principal"))
    source = Events(logs.client(), Place(ACCOUNT, REGION, "/bench"), Pace(quota))
    taken = source.read(stretches, query, Watch())
    total = sum((row.usage for one in taken for row in one.counted.rows()), Usage())
    return total.calls, total.input, total.output, total.cache_read, total.cache_write


def read_by_paginator(logs: Logs) -> Sequence[int]:
    """One page after another, as the original does and as most scripts do; the same groups, every record once."""
    client = logs.client(retries={"mode": "standard"})
    since, until = (int(time.timestamp() * 1000) for time in (FIRST, FIRST + timedelta(days=DAYS)))
    seen: set[str] = set()
    groups: dict[tuple[str, ...], list[int]] = {}
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName="/bench", startTime=since, endTime=until - 1
    )
    for page in pages:
        for event in page["events"]:
            record = json.loads(event["message"])
            if record["requestId"] in seen:
                continue
            seen.add(record["requestId"])
            key = (record["timestamp"][:10], record["modelId"], record["identity"]["arn"])
            given, made = record["input"], record["output"]
            sums = groups.setdefault(key, [0] * 5)
            sums[0] += 1
            sums[1] += given["inputTokenCount"]
            sums[2] += made["outputTokenCount"]
            sums[3] += given["cacheReadInputTokenCount"]
            sums[4] += given["cacheWriteInputTokenCount"]
    return [sum(column) for column in zip(*groups.values(), strict=True)]


def child(reader: str, url: str, quota: int) -> None:
    """One reading in a process of its own; prints what it took."""
    logs = Logs(url)
    logs.client().describe_log_groups(limit=1)  # what boto3 reads from its files once is no part of it
    began, before = time.perf_counter(), time.process_time()
    sums = read_by_tollbook(logs, quota) if reader == READERS[0] else read_by_paginator(logs)
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - before
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(asdict(Run(wall_s, cpu_s, rss_mb, sums))))


def run(reader: str, logs: Logs, case: Case) -> tuple[Run, Stats]:
    logs.reset("/bench", case.faults())
    command = [sys.executable, __file__, "--child", reader, "--url", logs.url, "--quota", str(case.quota)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return Run(**json.loads(done.stdout)), logs.stats("/bench")


def measured(logs: Logs, case: Case, rounds: int, readers: Sequence[str] = READERS) -> Mapping[str, Result]:
    """Readers in turn, after one round to warm up; all must give the sums that the server knows.

    Raises:
        SystemExit: one of them gives others.
    """
    setting = case.setting()
    logs.set(setting)
    assert setting.rendered is not None
    truth = logs.truth("/bench", setting.rendered.since_ms, setting.rendered.until_ms)
    expected = [truth.calls, truth.input, truth.output, truth.cache_read, truth.cache_write]
    found: dict[str, list[tuple[Run, Stats]]] = {reader: [] for reader in readers}
    for number in range(rounds + 1):
        for reader in readers:
            one = run(reader, logs, case)
            if list(one[0].sums) != expected:
                raise SystemExit(f"{reader} counts {one[0].sums}, not {expected}.")
            if number:
                found[reader].append(one)
    say(f"{case.title}: done")
    return {reader: Result(*map(list, zip(*some, strict=True))) for reader, some in found.items()}


def speed_table(results: Mapping[Case, Mapping[str, Result]]) -> Iterator[str]:
    yield (
        "| log | quota, requests/s | reader | s | events/s | beside the original's 4,900 | requests/s | of the quota "
        "| most in any second | refused | CPU us an event |"
    )
    yield f"| --- | ---: | --- |{' ---: |' * 8}"
    for case, found in results.items():
        for reader, result in found.items():
            wall_s = result.median("wall_s")
            sent = statistics.median(stats.requests for stats in result.stats) / wall_s
            cells = [
                case.title,
                f"{case.quota}" if case.quota < NO_QUOTA else "none",
                reader,
                f"{wall_s:.2f}",
                f"{case.events / wall_s:,.0f}",
                f"{case.events / wall_s / ORIGINAL:.1f}" if case.latency_s else "",
                f"{sent:.1f}",
                f"{sent / case.quota:.0%}" if case.quota < NO_QUOTA else "",
                f"{max(stats.most_a_second for stats in result.stats)}",
                f"{max(stats.refused for stats in result.stats)}",
                f"{result.median('cpu_s') / case.events * 1e6:.1f}",
            ]
            yield f"| {' | '.join(cells)} |"


def memory_table(results: Mapping[Case, Mapping[str, Result]]) -> Iterator[str]:
    yield "| events | reader | peak MB | CPU us an event |"
    yield "| ---: | --- | ---: | ---: |"
    for case, found in results.items():
        for reader, result in found.items():
            cpu_us = result.median("cpu_s") / case.events * 1e6
            yield f"| {case.events:,} | {reader} | {result.median('rss_mb'):.1f} | {cpu_us:.1f} |"


def verdicts(speeds: Mapping[Case, Mapping[str, Result]], sizes: Mapping[Case, Mapping[str, Result]]) -> Iterator[str]:
    limited = {case: found[READERS[0]] for case, found in speeds.items() if case.quota < NO_QUOTA}
    over = max(stats.most_a_second - case.quota for case, result in limited.items() for stats in result.stats)
    yield f"- The server {'never' if over <= 0 else 'at times'} saw more requests in a second than the quota."
    cpu_us = max(
        result.median("cpu_s") / case.events * 1e6 for case, found in speeds.items() for result in [found[READERS[0]]]
    )
    yield f"- CPU an event: at most {cpu_us:.1f} us; the target of {BUDGET_US} is {_met(cpu_us <= BUDGET_US)}."
    small, *_, large = (found[READERS[0]].median("rss_mb") for found in sizes.values())
    grows = large - small
    few, *_, many = (case.events for case in sizes)
    yield (
        f"- From {few:,} to {many:,} events memory grows by {grows:.1f} MB; the target of less than {BUDGET_MB} is "
        f"{_met(grows < BUDGET_MB)}."
    )


def _met(is_so: bool) -> str:
    return "met" if is_so else "missed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="timed rounds of each (default: 5)")
    parser.add_argument("--quick", action="store_true", help="one round of a tenth: a look, not a result")
    parser.add_argument("--table", action="store_true", help="write the result into bench/README.md")
    for name in ("--child", "--url"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--quota", type=int, help=argparse.SUPPRESS)
    options: Any = parser.parse_args()
    if options.child:
        child(options.child, options.url, options.quota)
        return
    rounds, scale = (1, 10) if options.quick else (options.rounds, 1)
    events = EVENTS // scale
    limited = [
        Case(f"{events:,} events, {how}, 100 ms a page", events, quota, LATENCY_S, peaks)
        for quota in QUOTAS
        for how, peaks in (("evenly", False), ("in peaks", True))
    ]
    unlimited = Case(f"{events:,} events, no latency", events)
    growing = [Case("memory", number // scale) for number in (10_000, 100_000, 1_000_000)]
    with (
        tempfile.TemporaryDirectory(prefix="tollbook-cloudwatch-") as folder,
        cloudwatch_logs(Path(folder, "log")) as logs,
    ):
        speeds = {case: measured(logs, case, rounds) for case in (*limited, unlimited)}
        sizes = {case: measured(logs, case, max(1, rounds // 2), READERS[:1]) for case in growing}
    machine = f"{len(os.sched_getaffinity(0))} processors, {platform.system()} {platform.machine()}"
    names = [f"Python {platform.python_version()}", *(f"{each} {version(each)}" for each in ("tollbook", "boto3"))]
    command = f"`python bench/cloudwatch.py --rounds {rounds}`"
    head = f"{datetime.now(UTC):%Y-%m-%d}; {machine}; {', '.join(names)}; {command}; medians"
    lines = [head, "", *speed_table(speeds), "", *memory_table(sizes), "", *verdicts(speeds, sizes)]
    print("\n".join(lines))
    if options.table:
        write_into_readme("cloudwatch", lines)


if __name__ == "__main__":
    main()
