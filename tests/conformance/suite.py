"""The conformance suite: runs it, and reads what it found."""

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import msgspec

from tests.conformance.node import HERE, PACKAGES, install, node
from tests.conformance.stack import stack
from tests.fakes.processes import unmeasured

SUITE: Final = PACKAGES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
REVISIONS: Final = ("2025-11-25", "2026-07-28")
RUN_S: Final = 300
CLIENT_S: Final = 100
"""For one scenario of the client: all of a revision run at once."""

Side = Literal["server", "client"]
Result = Literal["passed", "failed", "skipped"]
SIDES: Final[Sequence[Side]] = ("server", "client")


class Subject(msgspec.Struct, frozen=True):
    """What the suite examines.

    Attributes:
        instances: of the server; 0 of the client.
    """

    name: str
    side: Side
    instances: int = 0


SUBJECTS: Final = (
    Subject("one instance", "server", 1),
    Subject("two instances", "server", 2),
    Subject("our client", "client"),
)


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
        refusal: why the client did not go on, in its words; empty if it did.
    """

    name: str
    unscored: str
    checks: Sequence[Check]
    refusal: str = ""

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
    """All scenarios of a revision that are for a subject, in the suite's order.

    Attributes:
        turns: how many of the requests each instance was given; empty where there are not several.
    """

    revision: str
    subject: Subject
    scenarios: Sequence[Scenario]
    turns: Sequence[int] = ()

    def count(self, result: Result, *, scored: bool) -> int:
        """How many scenarios came out so, of those that the revision requires or of the others."""
        return sum(each.result == result and (each.unscored == "") is scored for each in self.scenarios)


class Examined(msgspec.Struct, frozen=True):
    """A subject, ready to be examined.

    Attributes:
        words: of the suite's command line that lead to it.
        turns: gives how many requests each of several instances was given so far.
    """

    words: Sequence[str]
    turns: Callable[[], Sequence[int]]


@contextmanager
def ready(subject: Subject) -> Iterator[Examined]:
    """Runs the server, or says how the client is run; see `stack`."""
    if subject.side == "client":
        program = shlex.join([sys.executable, str(HERE / "client.py")])
        yield Examined(["client", "--command", program, "--timeout", str(CLIENT_S * 1000)], lambda: ())
        return
    with stack(subject.instances) as running:
        yield Examined(["server", "--url", running.url], running.turns)


def runs(revisions: Iterable[str], subjects: Iterable[Subject]) -> Iterator[Run]:
    """Runs the suite for each revision with each subject."""
    revisions = tuple(revisions)
    for subject in subjects:
        with ready(subject) as examined:
            for revision in revisions:
                before = examined.turns()
                with TemporaryDirectory(prefix="tollbook-conformance-") as output:
                    scenarios = run(subject.side, examined.words, revision, Path(output))
                turns = [now - then for now, then in zip(examined.turns(), before, strict=True)]
                yield Run(revision, subject, scenarios, turns)


@cache
def requirements(side: Side, revision: str) -> dict[str, str]:
    """The scenarios of a revision for that side, in the suite's order, and why each is not scored: empty if it is."""
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
        elif part.startswith(f"{side.capitalize()} scenarios") and (scored := re.fullmatch(r"  - (\S+)", line)):
            asked[scored[1]] = ""
        elif unscored := re.fullmatch(rf"    - (\S+) \[{side}\]", line):
            asked[unscored[1]] = reason
    return asked


def run(side: Side, words: Sequence[str], revision: str, output: Path) -> Sequence[Scenario]:
    """Runs all that a revision asks of a side.

    Args:
        words: see `Examined`.
        output: an empty folder for what the suite writes.

    Raises:
        RuntimeError: the suite and we do not come to the same judgement; with what it printed.
    """
    asked = requirements(side, revision)
    words = [*words, "--requirements", revision, "-o", str(output)]
    # Other tests measure the client, of which it starts one for each scenario.
    done = node(SUITE, words, timeout_s=RUN_S, environment=unmeasured())
    scenarios = [_scenario(output, side, name, unscored) for name, unscored in asked.items()]
    conforms = all(scenario.result != "failed" for scenario in scenarios if not scenario.unscored)
    if conforms != (done.returncode == 0):
        raise RuntimeError(f"The suite judges {revision} otherwise than we do.\n{done.stdout}\n{done.stderr}")
    return scenarios


def run_one(words: Sequence[str], revision: str, name: str) -> tuple[bool, str]:
    """Runs one scenario; says whether it passed, and what the suite printed."""
    install()
    words = [*words, "--scenario", name, "--spec-version", revision, "--force", "--verbose"]
    done = node(SUITE, words, timeout_s=RUN_S)
    return done.returncode == 0, done.stdout + done.stderr


def _scenario(output: Path, side: Side, name: str, unscored: str) -> Scenario:
    """What the suite wrote of a scenario, in `server-NAME-TIME` or, of the client, in `NAME-TIME`."""
    called = re.escape(f"server-{name}" if side == "server" else name)
    for file in output.rglob("checks.json"):
        folder = file.parent
        if re.fullmatch(rf"{called}-\d{{4}}-\d\d-\d\dT[\d-]+Z", folder.relative_to(output).as_posix()):
            checks = msgspec.json.decode(file.read_bytes(), type=list[Check])
            return Scenario(name, unscored, checks, (folder / "stderr.txt").read_text() if side == "client" else "")
    return Scenario(name, unscored, ())
