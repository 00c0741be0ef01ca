"""The official conformance suite passes: of the server, one instance and two that take turns, and of the client."""

import json
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from tests.conformance.node import HERE
from tests.conformance.stack import ROOT
from tests.conformance.suite import REVISIONS, SUBJECTS, Check, Run, Scenario, Subject, runs
from tests.conformance.table import table


@pytest.fixture(scope="module")
def found() -> Sequence[Run]:
    return list(runs(REVISIONS, SUBJECTS))


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
@pytest.mark.parametrize("revision", REVISIONS)
def test_every_scenario_that_a_revision_requires_passes(found: Sequence[Run], revision: str, subject: Subject) -> None:
    (run,) = (run for run in found if (run.revision, run.subject) == (revision, subject))
    required = [scenario for scenario in run.scenarios if not scenario.unscored]
    assert len(required) >= 18
    assert [scenario for scenario in required if scenario.result != "passed"] == []


def test_each_of_two_instances_answers_every_other_request(found: Sequence[Run]) -> None:
    for run in found:
        if run.subject.instances == 2:
            one, other = run.turns
            assert one + other > len(run.scenarios)
            assert abs(one - other) <= 1


def test_the_client_goes_on_unless_it_must_refuse(found: Sequence[Run]) -> None:
    """The suite does not mind how its client ends."""
    refused = {each.name for run in found for each in run.scenarios if each.refusal and each.result == "passed"}
    assert refused == {
        "auth/iss-normalized",
        "auth/iss-supported-missing",
        "auth/iss-unexpected",
        "auth/iss-wrong-issuer",
        "auth/metadata-issuer-mismatch",
        "auth/resource-mismatch",
        "auth/scope-retry-limit",
    }


def test_the_committed_table_is_what_this_run_gives(found: Sequence[Run]) -> None:
    """If it is not: `python -m tests.conformance --table docs/conformance.md`, and look at the difference."""
    assert (ROOT / "docs" / "conformance.md").read_text() == table(found)


def test_what_does_not_pass_needs_a_reason(found: Sequence[Run]) -> None:
    broken = Scenario("ping", "", [Check("ping", "FAILURE", "no answer")])
    runs_with_it = [
        replace(run, scenarios=[broken, *run.scenarios]) if run.revision == REVISIONS[0] else run for run in found
    ]
    with pytest.raises(LookupError, match=r"^ping of 2025-11-25 does not pass"):
        table(runs_with_it)


def test_a_reason_that_nothing_needs_any_more_is_a_fault(found: Sequence[Run]) -> None:
    only_required = [replace(run, scenarios=[each for each in run.scenarios if not each.unscored]) for run in found]
    with pytest.raises(LookupError, match=r"tasks-\*"):
        table(only_required)


def test_the_lock_file_carries_hashes_and_no_address_to_download_from() -> None:
    packages = json.loads((HERE / "package-lock.json").read_text())["packages"]
    locked = {name: package for name, package in packages.items() if name}
    assert len(locked) > 100
    assert all(package["integrity"].startswith("sha512-") for package in locked.values())
    assert [name for name, package in locked.items() if "resolved" in package] == []
