"""python -m tests.conformance: the official conformance suite against our hosting, and its table."""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.conformance.stack import stack
from tests.conformance.suite import INSTANCES, REVISIONS, Run, run_one, runs
from tests.conformance.table import table


def main(words: Sequence[str] | None = None) -> int:
    """0 if everything that the revisions require passes, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--revision", choices=REVISIONS, help="only this revision of the protocol")
    parser.add_argument("--instances", type=int, choices=INSTANCES, help="only against so many instances")
    parser.add_argument("--scenario", metavar="NAME", help="one scenario, with all that the suite says of it")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table of everything here")
    asked = parser.parse_args(words)
    if asked.table and (asked.revision or asked.instances or asked.scenario):
        parser.error("--table needs everything: leave out --revision, --instances and --scenario")
    revisions = (asked.revision,) if asked.revision else REVISIONS
    instances = (asked.instances,) if asked.instances else INSTANCES
    if asked.scenario:
        return _show(asked.scenario, revisions, instances)

    found = []
    for run in runs(revisions, instances):
        print("\n".join(_in_words(run)), flush=True)
        found.append(run)
    if asked.table:
        asked.table.write_text(table(found))
    return int(any(each.result != "passed" for run in found for each in run.scenarios if not each.unscored))


def _show(scenario: str, revisions: Sequence[str], instances: Sequence[int]) -> int:
    failed = False
    for number in instances:
        with stack(number) as running:
            for revision in revisions:
                passed, said = run_one(running.url, revision, scenario)
                print(f"--- {revision}, instances: {number}\n{said}", flush=True)
                failed |= not passed
    return int(failed)


def _in_words(run: Run) -> Iterator[str]:
    yield f"{run.revision}, instances: {run.instances}: {_counts(run, True)}; not scored: {_counts(run, False)}"
    for scenario in run.scenarios:
        if scenario.result != "passed" and scenario.unscored:
            yield f"  {scenario.result}: {scenario.name} (not scored: {scenario.unscored})"
        elif scenario.result != "passed":
            yield f"  {scenario.result}: {scenario.name}"
            yield from (f"    {each.id}: {each.message}" for each in scenario.checks if each.status == "FAILURE")


def _counts(run: Run, scored: bool) -> str:
    passed, failed, skipped = (run.count(result, scored=scored) for result in ("passed", "failed", "skipped"))
    return f"{passed} passed, {failed} failed, {skipped} skipped"


def _end(number: int, frame: object) -> None:
    sys.exit(128 + number)  # so that what was started is ended


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
