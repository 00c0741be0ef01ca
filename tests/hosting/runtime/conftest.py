"""Whole deployments, with a table and an issuer of their own."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import boto3
import pytest

from tests.auth_servers.issuer import Issuer
from tests.fakes.dynamodb import dynamodb_server
from tests.fakes.moto import REGION
from tests.hosting.runtime.deployment import Table
from tollbook.hosting.stores.dynamodb import create_table

__all__ = ["dynamodb_server"]


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture(scope="module")
def a_table(dynamodb_server: str) -> Callable[[], Table]:
    """Makes a table of DynamoDB."""

    def a_table() -> Table:
        session = boto3.session.Session("testing", "testing", region_name=REGION)
        client = session.client("dynamodb", endpoint_url=dynamodb_server)
        name = f"tollbook-{uuid4().hex}"
        create_table(client, name)
        client.close()
        return Table(name, dynamodb_server)

    return a_table
