"""docs/conformance.md: what the suite found, and why what does not pass does not pass."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from typing import Any, Final

import msgspec

from tests.conformance.node import HERE
from tests.conformance.suite import INSTANCES, REVISIONS, Run, Scenario

REASONS: Final[Mapping[tuple[str, str], str]] = {
    ("2026-07-28", "tasks-*"): (
        "the tasks extension (SEP-2663) is optional, and the SDK does not have it. The suite skips "
        "`tasks-status-notifications` for every server."
    ),
    ("2026-07-28", "server-stateless"): (
        "`subscriptions/listen` is a stream without an end, which would hold an instance for ever. It is not served, "
        "and no capability says otherwise; then the suite skips the checks of it."
    ),
}
"""Why scenarios (a pattern of their names) do not pass, or not with every check. One that is not needed is a fault."""

_HEAD: Final = """\
# Conformance

What the official suite, `@modelcontextprotocol/conformance` {suite}, finds when `tollbook.hosting` serves
`tests/conformance/fixture_server.py`: from one instance, and from two behind a round robin, which share a store and of
which each gets every other request.

`python -m tests.conformance --table docs/conformance.md` writes this page, and the tests fail where it is not what
they find. Of the scenarios that a revision does not require, `extension` is optional, `added-after-release` is younger
than the revision, and `pending` is what the suite's own reference server does not pass yet.
"""


def table(runs: Sequence[Run]) -> str:
    """The page.

    Args:
        runs: one for each revision and each number of instances.

    Raises:
        LookupError: something does not pass and `REASONS` does not say why, or says why something fails that passes.
    """
    found = {(run.revision, run.instances): run for run in runs}
    parts = [_HEAD.format(suite=_suite_version()), _totals(runs)]
    notes: dict[tuple[str, str], list[str]] = {}
    for revision in REVISIONS:
        columns = [found[revision, number].scenarios for number in INSTANCES]
        parts.append(f"## {revision}\n\n| scenario | required | one instance | two instances |\n|---|---|---|---|\n")
        for scenario in zip(*columns, strict=True):
            required = f"no: {scenario[0].unscored}" if scenario[0].unscored else "yes"
            parts[-1] += f"| `{scenario[0].name}` | {required} | {' | '.join(map(_in_words, scenario))} |\n"
            if missed := _missed(scenario):
                notes.setdefault(_reason_for(revision, scenario[0].name), []).append(missed)
    if unneeded := REASONS.keys() - notes.keys():
        raise LookupError(f"table.py has reasons that nothing needs: {sorted(unneeded)}")
    parts.append("## What does not pass, and why\n")
    parts += [
        f"**{at}, `{pattern}`**: {REASONS[at, pattern]}\n\n{''.join(notes[at, pattern])}" for at, pattern in notes
    ]
    return "\n".join(parts)


def _totals(runs: Sequence[Run]) -> str:
    lines = ["| revision | instances | required scenarios | passed | others | passed |", "|---|---|---|---|---|---|"]
    for run in sorted(runs, key=lambda run: (run.revision, run.instances)):
        required = sum(not each.unscored for each in run.scenarios)
        passed, others = run.count("passed", scored=True), run.count("passed", scored=False)
        cells = [run.revision, run.instances, required, passed, len(run.scenarios) - required, others]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _in_words(scenario: Scenario) -> str:
    counts = [
        f"{len(checks)} {word}"
        for word, status in (("failed", "FAILURE"), ("warned", "WARNING"), ("skipped", "SKIPPED"))
        if (checks := scenario.checks_that(status)) and word != scenario.result
    ]
    return ", ".join([scenario.result, *counts])


def _reason_for(revision: str, name: str) -> tuple[str, str]:
    for at, pattern in REASONS:
        if at == revision and fnmatch(name, pattern):
            return at, pattern
    raise LookupError(f"{name} of {revision} does not pass as a whole. Mend it, or say why in REASONS of table.py.")


def _missed(scenario: Sequence[Scenario]) -> str:
    """A line for the checks that did not pass, or one for each number of instances where they differ."""
    missed = [each.checks_that("FAILURE", "WARNING", "SKIPPED") if each.checks else ("not run",) for each in scenario]
    where = dict(zip((" from one instance", " from two instances"), missed, strict=True))
    if len(set(missed)) == 1:
        where = {"": missed[0]}
    return "".join(
        f"- `{scenario[0].name}`{instances}: {', '.join(f'`{check}`' for check in checks)}\n"
        for instances, checks in where.items()
        if checks
    )


def _suite_version() -> str:
    package: Any = msgspec.json.decode((HERE / "package.json").read_bytes())
    return str(package["dependencies"]["@modelcontextprotocol/conformance"])
