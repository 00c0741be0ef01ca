"""python -m tests.conformance: the official conformance suite against our hosting and our client, and its table."""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.conformance.suite import REVISIONS, SUBJECTS, Run, Subject, ready, requirements, run_one, runs
from tests.conformance.table import table


def main(words: Sequence[str] | None = None) -> int:
    """0 if everything that the revisions require passes, 1 if not."""
    names = {subject.name.replace(" ", "-"): subject for subject in SUBJECTS}
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--revision", choices=REVISIONS, help="only this revision of the protocol")
    parser.add_argument("--only", choices=names, help="only this of what is examined")
    parser.add_argument("--scenario", metavar="NAME", help="one scenario, with all that the suite says of it")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table of everything here")
    asked = parser.parse_args(words)
    if asked.table and (asked.revision or asked.only or asked.scenario):
        parser.error("--table needs everything: leave out --revision, --only and --scenario")
    revisions = (asked.revision,) if asked.revision else REVISIONS
    subjects = (names[asked.only],) if asked.only else SUBJECTS
    if asked.scenario:
        known = {
            name for subject in subjects for revision in revisions for name in requirements(subject.side, revision)
        }
        if asked.scenario not in known:
            parser.error(f"there is no scenario {asked.scenario}; these are: {' '.join(sorted(known))}")
        return _show(asked.scenario, revisions, subjects)

    found = []
    for run in runs(revisions, subjects):
        print("\n".join(_in_words(run)), flush=True)
        found.append(run)
    if asked.table:
        asked.table.write_text(table(found))
    return int(any(each.result != "passed" for run in found for each in run.scenarios if not each.unscored))


def _show(scenario: str, revisions: Sequence[str], subjects: Sequence[Subject]) -> int:
    failed = False
    for subject in subjects:
        of = [revision for revision in revisions if scenario in requirements(subject.side, revision)]
        if not of:
            continue
        with ready(subject) as examined:
            for revision in of:
                passed, said = run_one(examined.words, revision, scenario)
                print(f"--- {revision}, {subject.name}\n{said}", flush=True)
                failed |= not passed
    return int(failed)


def _in_words(run: Run) -> Iterator[str]:
    yield f"{run.revision}, {run.subject.name}: {_counts(run, True)}; not scored: {_counts(run, False)}"
    for scenario in run.scenarios:
        if scenario.result != "passed" and scenario.unscored:
            yield f"  {scenario.result}: {scenario.name} (not scored: {scenario.unscored})"
        elif scenario.result != "passed":
            yield f"  {scenario.result}: {scenario.name}"
            yield from (f"    {each.id}: {each.message}" for each in scenario.checks if each.status == "FAILURE")
            yield from (f"    {line}" for line in scenario.refusal.splitlines())


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
