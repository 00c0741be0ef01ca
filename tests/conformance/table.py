"""docs/conformance.md: what the suite found, and why what does not pass does not pass."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from typing import Any, Final

import msgspec

from tests.conformance.node import HERE
from tests.conformance.suite import REVISIONS, SIDES, SUBJECTS, Run, Scenario, Subject

REASONS: Final[Mapping[str, str]] = {
    "tasks-*": (
        "the tasks extension (SEP-2663) is optional, and the SDK does not have it. The suite skips "
        "`tasks-status-notifications` for every server."
    ),
    "server-stateless": (
        "`subscriptions/listen` is a stream without an end, which would hold an instance for ever. It is not served, "
        "and no capability says otherwise; then the suite skips the checks of it."
    ),
    "request-metadata": "our client has no roots and no model to sample, and does not say that it had.",
    "http-standard-headers": "the suite would look at the headers of `initialize`, which 2026-07-28 does not have.",
    "auth/dpop*": "tokens bound to a key (SEP-1932) are optional, and the SDK's login does not have them.",
    "auth/enterprise-managed-authorization": (
        "a login by a company's own identity provider (SEP-990) is optional, and our client does not have it."
    ),
    "auth/wif-jwt-bearer": (
        "a login by the identity of a workload (SEP-1933) is optional, and our client does not have it."
    ),
}
"""Why scenarios (a pattern of their names) do not pass, or not with every check. One that is not needed is a fault."""

_INTRODUCTION: Final = """\
# Conformance

What the official suite, `@modelcontextprotocol/conformance` {suite}, finds:

- of the server, when `tollbook.hosting` serves `tests/conformance/fixture_server.py`: from one instance, and from two
  behind a round robin, which share a store and of which each gets every other request;
- of the client, when `tests/conformance/client.py` uses the suite's own servers by `tollbook.client`. It is not told
  which revision a server speaks.

`python -m tests.conformance --table docs/conformance.md` writes this page, and the tests fail where it is not what
they find. Of the scenarios that a revision does not require, `extension` is optional, `added-after-release` is younger
than the revision, and `pending` is what the suite's own reference server does not pass yet.
"""


def table(runs: Sequence[Run]) -> str:
    """The page.

    Args:
        runs: one for each revision and each subject.

    Raises:
        LookupError: something does not pass and `REASONS` does not say why, or says why something fails that passes.
    """
    found = {(run.revision, run.subject): run.scenarios for run in runs}
    parts = [_INTRODUCTION.format(suite=_suite_version()), _totals(runs)]
    notes: dict[str, list[str]] = {}
    for revision in REVISIONS:
        for side in SIDES:
            subjects = [subject for subject in SUBJECTS if subject.side == side]
            parts.append(f"## {revision}, {side}\n\n{_head('scenario', 'required', *(each.name for each in subjects))}")
            for scenario in zip(*(found[revision, subject] for subject in subjects), strict=True):
                required = f"no: {scenario[0].unscored}" if scenario[0].unscored else "yes"
                parts[-1] += _row(f"`{scenario[0].name}`", required, *map(_in_words, scenario))
                if missed := _missed(revision, subjects, scenario):
                    notes.setdefault(_reason_for(revision, scenario[0].name), []).append(missed)
    if unneeded := REASONS.keys() - notes.keys():
        raise LookupError(f"table.py has reasons that nothing needs: {sorted(unneeded)}")
    parts.append("## What does not pass, and why\n")
    parts += [f"**`{pattern}`**: {REASONS[pattern]}\n\n{''.join(notes[pattern])}" for pattern in notes]
    return "\n".join(parts)


def _totals(runs: Sequence[Run]) -> str:
    lines = _head("revision", "of", "required scenarios", "passed", "others", "passed")
    for run in sorted(runs, key=lambda run: (run.revision, SUBJECTS.index(run.subject))):
        required = sum(not each.unscored for each in run.scenarios)
        passed, others = run.count("passed", scored=True), run.count("passed", scored=False)
        lines += _row(run.revision, run.subject.name, required, passed, len(run.scenarios) - required, others)
    return lines


def _head(*cells: str) -> str:
    return f"{_row(*cells)}|{'---|' * len(cells)}\n"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |\n"


def _in_words(scenario: Scenario) -> str:
    counts = [
        f"{len(checks)} {word}"
        for word, status in (("failed", "FAILURE"), ("warned", "WARNING"), ("skipped", "SKIPPED"))
        if (checks := scenario.checks_that(status)) and word != scenario.result
    ]
    return ", ".join([scenario.result, *counts])


def _reason_for(revision: str, name: str) -> str:
    for pattern in REASONS:
        if fnmatch(name, pattern):
            return pattern
    raise LookupError(f"{name} of {revision} does not pass as a whole. Mend it, or say why in REASONS of table.py.")


def _missed(revision: str, subjects: Sequence[Subject], scenario: Sequence[Scenario]) -> str:
    """A line for the checks that did not pass, or one for each subject where they differ."""
    missed = [each.checks_that("FAILURE", "WARNING", "SKIPPED") if each.checks else ("not run",) for each in scenario]
    where = {f", {subject.name}": checks for subject, checks in zip(subjects, missed, strict=True)}
    if len(set(missed)) == 1:
        where = {"": missed[0]}
    return "".join(
        f"- {revision}, `{scenario[0].name}`{subject}: {', '.join(f'`{check}`' for check in checks)}\n"
        for subject, checks in where.items()
        if checks
    )


def _suite_version() -> str:
    package: Any = msgspec.json.decode((HERE / "package.json").read_bytes())
    return str(package["dependencies"]["@modelcontextprotocol/conformance"])
