"""A server on Lambda with all that belongs to it: instances, a table, an issuer, and a front door."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

import boto3
import httpx2

from tests.auth_servers.issuer import AUDIENCE, SCOPE, Issuer
from tests.fakes.lambda_service import Configuration, Function, Instance, RestApi, deployed, function_url, rest_api
from tests.fakes.lambda_service.function_urls import DOMAIN
from tests.fakes.moto import REGION
from tests.hosting.runtime.deployed_server import CANCELLED, ENTERED, GO
from tests.hosting.serving import until
from tests.hosting.wire import ROOT, Wire, initialize
from tollbook.hosting.stores.dynamodb import create_table

LOOP: Final = (sys.executable, "-m", "tollbook.hosting.runtime.lambda_loop")
SMALL: Final = "tests.hosting.runtime.deployed_server:app"
REST_API, FUNCTION_URL = "REST API", "function URL"
DOORS: Final = (REST_API, FUNCTION_URL)

_STARTS_WITHIN_S: Final = 60
_STEP_S: Final = 0.02


class Table(NamedTuple):
    """A table of DynamoDB, and where that is."""

    name: str
    endpoint: str


def create_a_table(endpoint: str) -> Table:
    """A new table of DynamoDB there."""
    session = boto3.session.Session("testing", "testing", region_name=REGION)
    client = session.client("dynamodb", endpoint_url=endpoint)
    name = f"tollbook-{uuid4().hex}"
    create_table(client, name)
    client.close()
    return Table(name, endpoint)


class Deployment:
    """A running deployment.

    Attributes:
        url: of the MCP endpoint.
        http: a client with a good token.
        notes: the folder of its tools' files.
    """

    def __init__(self, function: Function, instances: int, url: str, http: httpx2.AsyncClient, notes: Path) -> None:
        self.function, self.url, self.http, self.notes = function, url, http, notes
        self._instances = instances

    async def session(self) -> Wire:
        """A new session of the handshake era."""
        return await initialize(self.http, self.url)

    async def entered(self) -> None:
        """Waits until a tool that waits was called."""
        await until((self.notes / ENTERED).exists)

    @property
    def was_cancelled(self) -> bool:
        return (self.notes / CANCELLED).exists()

    def go(self) -> None:
        """Lets the tools that wait go on."""
        (self.notes / GO).touch()

    def clear(self) -> None:
        """Forgets what the tools noted, and lets those wait that will be called."""
        for name in (ENTERED, CANCELLED, GO):
            (self.notes / name).unlink(missing_ok=True)

    @property
    def working(self) -> Sequence[Instance]:
        """The instances that have an invocation."""
        return [each for each in self.function.instances if not each.is_free]

    async def quiet(self) -> None:
        """Waits until every instance is done."""
        await until(lambda: all(each.is_free for each in self.function.instances))

    async def whole(self) -> None:
        """Waits until there are as many instances as there should be, and every one is done."""
        async with asyncio.timeout(_STARTS_WITHIN_S):
            while len(self.function.instances) - len(self.working) < self._instances:
                await asyncio.sleep(_STEP_S)

    def log(self) -> list[Any]:
        """All that the instances wrote to their log."""
        logs = (path.read_text() for path in sorted(self.notes.glob("instance-*.log")))
        return [json.loads(line) for text in logs for line in text.splitlines()]


def environment_for(issuer: Issuer, table: Table) -> dict[str, str]:
    """The variables of a function that trusts `issuer` and keeps its sessions in `table`."""
    return {
        "PUBLIC_URL": AUDIENCE,
        "OAUTH_ISSUER": issuer.url,
        "OAUTH_REQUIRED_SCOPE": SCOPE,
        "SESSION_STORE": f"dynamodb:{table.name}",
        "AWS_ENDPOINT_URL_DYNAMODB": table.endpoint,
        "AWS_REGION": REGION,
        "REQUEST_STATE_KEYS": "a key of 32 characters for tests only",
    }


@asynccontextmanager
async def on_lambda(
    folder: Path,
    issuer: Issuer,
    table: Table,
    *,
    door: str = REST_API,
    api: RestApi | None = None,
    app: str = SMALL,
    instances: int = 3,
    environment: Mapping[str, str] | None = None,
    **settings: Any,
) -> AsyncIterator[Deployment]:
    """A deployment whose instances are there from the beginning.

    Args:
        settings: see `Configuration`.
    """
    configuration = Configuration(
        command=(*LOOP, app),
        folder=folder,
        working_folder=ROOT,
        environment={
            **environment_for(issuer, table),
            "ALLOWED_HOSTS": DOMAIN,
            "NOTES": str(folder),
            **(environment or {}),
        },
        **settings,
    )
    async with deployed(configuration, provisioned=instances, most=instances + 2) as function:
        opened = rest_api(function, api or RestApi()) if door == REST_API else function_url(function)
        headers = {"authorization": f"Bearer {issuer.token()}"}
        async with opened as address, httpx2.AsyncClient(timeout=30, headers=headers) as http:
            yield Deployment(function, instances, f"{address}/mcp", http, folder)
