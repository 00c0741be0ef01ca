"""The doctor at a server on Lambda, behind a REST API whose gateway responses nobody has set."""

from pathlib import Path

import pytest

from tests.auth_servers.issuer import Issuer
from tests.doctor.patients import cause, examined, found
from tests.fakes.dynamodb import dynamodb_server as dynamodb_server
from tests.hosting.runtime.deployment import create_a_table, on_lambda
from tollbook.doctor.finding import exit_code

pytestmark = pytest.mark.anyio


async def test_the_gateway_that_renames_the_challenge_is_named_first(
    tmp_path: Path, issuer: Issuer, dynamodb_server: str
) -> None:
    async with on_lambda(tmp_path, issuer, create_a_table(dynamodb_server), instances=1) as deployment:
        findings = await examined(deployment.url, token=issuer.token())
    assert cause(findings).check == "challenge"
    assert "API Gateway renames" in cause(findings).said
    assert "UNAUTHORIZED and ACCESS_DENIED" in cause(findings).remedy
    assert {found(findings, check).status for check in ("token", "2026-07-28", "initialize", "session")} == {"ok"}
    assert exit_code(findings) == 1
