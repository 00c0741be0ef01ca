"""Whole deployments, with a table and an issuer of their own."""

from collections.abc import Callable, Iterator

import pytest

from tests.auth_servers.issuer import Issuer
from tests.fakes.dynamodb import dynamodb_server
from tests.hosting.runtime.deployment import Table, create_a_table

__all__ = ["dynamodb_server"]


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture(scope="module")
def a_table(dynamodb_server: str) -> Callable[[], Table]:
    """Makes a table of DynamoDB."""
    return lambda: create_a_table(dynamodb_server)
