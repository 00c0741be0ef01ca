"""The conformance suite: runs it, and reads what it found."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import msgspec

from tests.conformance.node import PACKAGES, install, node
from tests.conformance.stack import stack

SUITE: Final = PACKAGES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
REVISIONS: Final = ("2025-11-25", "2026-07-28")
RUN_S: Final = 300

INSTANCES: Final = (1, 2)

Result = Literal["passed", "failed", "skipped"]


class Check(msgspec.Struct, frozen=True):
    """One thing that a scenario looked at, in the suite's words."""

    id: str
    status: Literal["SUCCESS", "FAILURE", "WARNING", "SKIPPED", "INFO"]
    message: str = msgspec.field(name="errorMessage", default="")


class Scenario(msgspec.Struct, frozen=True):
    """A scenario that was run.

    Attributes:
        unscored: why the revision does not require it, in the suite's word; empty if it does.
        checks: empty if the suite did not get as far as to write them.
    """

    name: str
    unscored: str
    checks: Sequence[Check]

    @property
    def result(self) -> Result:
        """As the suite judges: one failure is enough to fail, and a warning is none. Nothing checked is no pass."""
        found = {check.status for check in self.checks}
        if "FAILURE" in found or not found:
            return "failed"
        return "passed" if "SUCCESS" in found else "skipped"

    def checks_that(self, *statuses: str) -> Sequence[str]:
        """The ids of its checks that came out so, each once, in the suite's order."""
        return tuple(dict.fromkeys(check.id for check in self.checks if check.status in statuses))


class Run(msgspec.Struct, frozen=True):
    """All scenarios of a revision against so many instances, in the suite's order.

    Attributes:
        turns: how many of the requests each instance was given; empty where there is only one.
    """

    revision: str
    instances: int
    scenarios: Sequence[Scenario]
    turns: Sequence[int]

    def count(self, result: Result, *, scored: bool) -> int:
        """How many scenarios came out so, of those that the revision requires or of the others."""
        return sum(each.result == result and (each.unscored == "") is scored for each in self.scenarios)


def runs(revisions: Iterable[str], instances: Iterable[int]) -> Iterator[Run]:
    """Runs the suite for each revision against each number of instances."""
    revisions = tuple(revisions)
    for number in instances:
        with stack(number) as running:
            for revision in revisions:
                before = running.turns()
                with TemporaryDirectory(prefix="tollbook-conformance-") as output:
                    scenarios = run(running.url, revision, Path(output))
                turns = [now - then for now, then in zip(running.turns(), before, strict=True)]
                yield Run(revision, number, scenarios, turns)


@cache
def requirements(revision: str) -> dict[str, str]:
    """The server scenarios of a revision, in the suite's order, and why each is not scored: empty if it is."""
    install()
    listed = node(SUITE, ["list", "--requirements", revision], timeout_s=60)
    if listed.returncode != 0:
        raise RuntimeError(f"The suite does not list {revision}.\n{listed.stderr}")
    asked: dict[str, str] = {}
    part = reason = ""
    for line in listed.stdout.splitlines():
        if not line.startswith(" "):
            part = line
        elif heading := re.fullmatch(r"  ([a-z-]+) \(\d+\):", line):
            reason = heading[1]
        elif part.startswith("Server scenarios") and (scored := re.fullmatch(r"  - (\S+)", line)):
            asked[scored[1]] = ""
        elif unscored := re.fullmatch(r"    - (\S+) \[server\]", line):
            asked[unscored[1]] = reason
    return asked


def run(url: str, revision: str, output: Path) -> Sequence[Scenario]:
    """Runs all that a revision asks of a server at `url`; `output` is an empty folder for what the suite writes.

    Raises:
        RuntimeError: the suite and we do not come to the same judgement; with what it printed.
    """
    asked = requirements(revision)
    done = node(SUITE, ["server", "--url", url, "--requirements", revision, "-o", output], timeout_s=RUN_S)
    scenarios = [Scenario(name, unscored, _checks(output, name)) for name, unscored in asked.items()]
    conforms = all(scenario.result != "failed" for scenario in scenarios if not scenario.unscored)
    if conforms != (done.returncode == 0):
        raise RuntimeError(f"The suite judges {revision} otherwise than we do.\n{done.stdout}\n{done.stderr}")
    return scenarios


def run_one(url: str, revision: str, name: str) -> tuple[bool, str]:
    """Runs one scenario; says whether it passed, and what the suite printed."""
    install()
    words = ["server", "--url", url, "--scenario", name, "--spec-version", revision, "--verbose"]
    done = node(SUITE, words, timeout_s=RUN_S)
    return done.returncode == 0, done.stdout + done.stderr


def _checks(output: Path, name: str) -> Sequence[Check]:
    """What the suite wrote of a scenario, in `server-NAME-TIME/checks.json`."""
    written = [
        folder / "checks.json"
        for folder in output.glob(f"server-{name}-*")
        if re.fullmatch(rf"server-{re.escape(name)}-\d{{4}}-\d\d-\d\dT[\d-]+Z", folder.name)
    ]
    return msgspec.json.decode(written[0].read_bytes(), type=list[Check]) if written else ()
