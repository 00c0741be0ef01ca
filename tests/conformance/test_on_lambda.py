"""The official suite passes on Lambda: a login, and three instances that come and go, with sessions in DynamoDB."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

import httpx2
import pytest
from anyio.from_thread import start_blocking_portal

from tests.auth_servers.issuer import Issuer
from tests.conformance.suite import REVISIONS, Scenario, run
from tests.fakes.bearer_proxy import BearerProxy
from tests.fakes.dynamodb import dynamodb_server
from tests.fakes.lambda_service import Configuration, Function, RestApi, deployed, rest_api
from tests.hosting.runtime.deployment import LOOP, create_a_table, environment_for
from tests.hosting.wire import ROOT

__all__ = ["dynamodb_server"]

INSTANCES: Final = 3
MORTALITY: Final = 0.03
"""How likely an instance ends after an invocation."""

Found = Mapping[str, Sequence[Scenario]]


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture(scope="module")
def function(
    tmp_path_factory: pytest.TempPathFactory, issuer: Issuer, dynamodb_server: str
) -> Iterator[tuple[Function, str]]:
    """The function, and the address of its API."""
    configuration = Configuration(
        command=(*LOOP, "tests.conformance.deployed_server:app"),
        folder=tmp_path_factory.mktemp("lambda"),
        working_folder=ROOT,
        environment=environment_for(issuer, create_a_table(dynamodb_server)),
    )
    fleet = deployed(configuration, provisioned=INSTANCES, most=3 * INSTANCES, mortality=MORTALITY)
    with ExitStack() as running:
        portal = running.enter_context(start_blocking_portal())
        function = running.enter_context(portal.wrap_async_context_manager(fleet))
        yield function, running.enter_context(portal.wrap_async_context_manager(rest_api(function, RestApi())))


@pytest.fixture(scope="module")
def found(
    function: tuple[Function, str], issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Sequence[Scenario]]:
    """What the suite finds, by revision."""
    _, address = function
    with BearerProxy(httpx2.URL(address).port or 0, issuer.token()) as proxy:
        words = ["server", "--url", f"http://127.0.0.1:{proxy.port}/mcp"]
        return {each: run("server", words, each, tmp_path_factory.mktemp("found")) for each in REVISIONS}


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_scenario_that_a_revision_requires_passes(found: Found, revision: str) -> None:
    required = [scenario for scenario in found[revision] if not scenario.unscored]
    assert len(required) >= 18
    assert [scenario for scenario in required if scenario.result != "passed"] == []


def test_many_instances_had_their_turns_and_some_ended_between(found: Found, function: tuple[Function, str]) -> None:
    fleet, _ = function
    served = {each.instance for each in fleet.invocations}
    assert len(served) > INSTANCES
    assert fleet.deaths > 1
    assert [each.failure for each in fleet.invocations if each.failure is not None] == []


def test_nobody_is_served_without_a_token(function: tuple[Function, str]) -> None:
    _, address = function
    assert httpx2.post(f"{address}/mcp", json={}).status_code == 401
