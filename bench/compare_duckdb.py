#!/usr/bin/env python3
"""tollbook beside DuckDB: the same question of the same files, as whole processes in turn.

    compare_duckdb.py [--full] [--by day,model,principal] [--runs 5] [--cache .cache/bench] [--way hash]

Both must give the same figures for every group before anything is timed. `bench/README.md` says what is measured.
"""

import argparse
import csv
import gzip
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
BY: Final = "day,model,principal"
"""What the table of `tollbook report` shows."""
COUNTS: Final = ("calls", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
RECORDS: Final = {"small": 300_000, "body10k": 60_000}
RECORDS_IN_FULL: Final = {"small": 1_000_000, "body10k": 200_000}
_DUPES: Final = "0.01"
_SAMPLE_S: Final = 0.01

Groups = dict[tuple[str, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Program:
    """A command to which the file's name is to be added."""

    name: str
    words: tuple[str, ...]

    def command(self, file: Path) -> list[str]:
        return [*self.words, str(file)]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a process took, its children included.

    Attributes:
        cpu_s: user and system time.
        rss_mb: the resident memory of the largest process.
    """

    cpu_s: float
    wall_s: float
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Result:
    """The medians over the runs.

    Attributes:
        pss_mb: the most that all processes together held at one time, shared memory counted once.
    """

    cpu_s: float
    wall_s: float
    rss_mb: float
    pss_mb: float


def programs(way: str, by: str) -> tuple[Program, Program]:
    python = sys.executable
    report = ("report", "--by", by, "--format", "csv")
    return (
        Program("tollbook", (python, "-m", "tollbook", *report)),
        Program("DuckDB", (python, str(HERE / "duckdb_report.py"), "--way", way, "--by", by)),
    )


def inputs(cache: Path, records: dict[str, int]) -> list[Path]:
    """The files, made where they do not lie in `cache` yet."""
    cache.mkdir(parents=True, exist_ok=True)
    files = []
    for profile, count in records.items():
        plain = cache / f"{profile}-{count}.jsonl"
        packed = plain.with_suffix(".jsonl.gz")
        if not plain.exists():
            _say(f"making {plain}")
            making = plain.with_suffix(".part")
            words = ("--events", str(count), "--profile", profile, "--dupes", _DUPES, "--out", str(making))
            subprocess.run([sys.executable, str(HERE / "gen_logs.py"), *words], check=True, stdout=subprocess.DEVNULL)
            making.rename(plain)
        if not packed.exists():
            _say(f"making {packed}")
            making = packed.with_suffix(".part")
            with plain.open("rb") as source, gzip.open(making, "wb", compresslevel=6) as target:
                shutil.copyfileobj(source, target, 1 << 20)
            making.rename(packed)
        files += [plain, packed]
    return files


def checked(one: Program, other: Program, by: str, file: Path) -> int:
    """The number of groups, once both programs give the same figures for each.

    Raises:
        SystemExit: they do not.
    """
    first, second = _groups(one, by, file), _groups(other, by, file)
    if first == second:
        return len(first)
    keys = [key for key in first.keys() | second.keys() if first.get(key) != second.get(key)]
    lines = [f"{key}: {one.name} {first.get(key)}, {other.name} {second.get(key)}" for key in sorted(keys)[:5]]
    raise SystemExit("\n".join([f"{file}: {len(keys)} groups differ", *lines]))


def _groups(program: Program, by: str, file: Path) -> Groups:
    with subprocess.Popen(program.command(file), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        rows = csv.DictReader(process.stdout)
        groups = {tuple(row[name] for name in by.split(",")): tuple(int(row[name]) for name in COUNTS) for row in rows}
    if process.returncode:
        raise SystemExit(f"{program.name} failed on {file}")
    return groups


def run(program: Program, file: Path) -> Run:
    began = time.monotonic()
    process = subprocess.Popen(program.command(file), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{program.name} failed on {file}")
    return Run(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def peak_pss_mb(program: Program, file: Path) -> float:
    """The most memory that the program's processes held together, looked at every 10 ms."""
    peak = 0
    process = subprocess.Popen(program.command(file), stdout=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, sum(map(_pss_kb, _tree(process.pid))))
        time.sleep(_SAMPLE_S)
    return peak / 1024


def _tree(pid: int) -> list[int]:
    try:
        children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _words(task / "children")]
    except OSError:  # it has ended meanwhile
        return []
    return [pid, *(process for child in children for process in _tree(child))]


def _words(file: Path) -> list[str]:
    return file.read_text().split()


def _pss_kb(pid: int) -> int:
    """Memory with each shared page split among those that share it, so that a sum counts it once."""
    try:
        words = _words(Path(f"/proc/{pid}/smaps_rollup"))
    except OSError:
        return 0
    return int(words[words.index("Pss:") + 1]) if "Pss:" in words else 0


def compared(one: Program, other: Program, file: Path, runs: int) -> tuple[Result, Result]:
    """Both after a warm-up, in turn."""
    pair = (one, other)
    for program in pair:
        run(program, file)
    taken: dict[str, list[Run]] = {program.name: [] for program in pair}
    for _ in range(runs):
        for program in pair:
            taken[program.name].append(run(program, file))
    first, second = (_medians(taken[program.name], peak_pss_mb(program, file)) for program in pair)
    return first, second


def _medians(runs: list[Run], pss_mb: float) -> Result:
    return Result(
        statistics.median(run.cpu_s for run in runs),
        statistics.median(run.wall_s for run in runs),
        statistics.median(run.rss_mb for run in runs),
        pss_mb,
    )


def _row(title: str, ours: Result, theirs: Result) -> str:
    cells = [title]
    for mine, other, digits in (
        (ours.cpu_s, theirs.cpu_s, 2),
        (ours.wall_s, theirs.wall_s, 2),
        (ours.pss_mb, theirs.pss_mb, 0),
        (ours.rss_mb, theirs.rss_mb, 0),
    ):
        cells.append(f"{mine:.{digits}f} / {other:.{digits}f} = {mine / other:.2f}")
    return f"| {' | '.join(cells)} |"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="1,000,000 small and 200,000 large records")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="timed runs of each (default: 5)")
    parser.add_argument("--cache", type=Path, default=HERE.parent / ".cache/bench", help="where the inputs lie")
    parser.add_argument("--way", default="hash", help="how DuckDB leaves copies out; see duckdb_report.py")
    parser.add_argument("--by", default=BY, metavar="DIMENSIONS", help=f"what to group by (default: {BY})")
    options = parser.parse_args()
    ours, theirs = programs(options.way, options.by)
    files = inputs(options.cache, RECORDS_IN_FULL if options.full else RECORDS)
    machine = f"{len(os.sched_getaffinity(0))} processors, {platform.system()} {platform.machine()}"
    versions = f"Python {platform.python_version()}, tollbook {version('tollbook')}, DuckDB {version('duckdb')}"
    print(f"{machine}; {versions}; medians of {options.runs} runs in turn; tollbook / DuckDB = ratio\n")
    print("| input | CPU s | wall s | peak MB, all processes (PSS, sampled) | peak MB, largest process (max RSS) |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for file in files:
        # Apart, for a process inherits the peak of the one that starts it: this one must stay small.
        with ProcessPoolExecutor(1, get_context("spawn")) as apart:
            groups = apart.submit(checked, ours, theirs, options.by, file).result()
        _say(f"{file.name}: the same in all {groups:,} groups")
        title = f"{file.name}, {file.stat().st_size / 1e6:,.0f} MB"
        print(_row(title, *compared(ours, theirs, file, options.runs)), flush=True)


if __name__ == "__main__":
    main()
