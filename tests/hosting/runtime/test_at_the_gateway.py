"""The real authorizer before the real server: who is refused, by which of them, and by which header he learns it."""

import json
from collections.abc import AsyncIterator, Callable, Generator
from typing import Final, NamedTuple

import httpx2
import pytest

from tests.auth_servers.issuer import SCOPE, Issuer
from tests.fakes.lambda_service import Authorizer, Configuration, Function, RestApi, deployed
from tests.hosting.runtime.deployment import LOOP, Deployment, Table, environment_for, on_lambda
from tests.hosting.serving import SetClock, modern, request, text_of, tool, until
from tests.hosting.wire import ROOT, initialize
from tests.threats.door import INVALID, LOGIN, METADATA
from tollbook.client.connection import Connection
from tollbook.client.host import Nobody
from tollbook.client.targets import Target
from tollbook.client.trouble import LoginNeeded

pytestmark = pytest.mark.anyio

TTL_S: Final = 60
INSUFFICIENT: Final = f'Bearer error="insufficient_scope", resource_metadata="{METADATA}", scope="{SCOPE}"'
RESPONSES: Final = {"UNAUTHORIZED": {"WWW-Authenticate": LOGIN}, "ACCESS_DENIED": {"WWW-Authenticate": INSUFFICIENT}}
Reached = Callable[[], tuple[int, int]]
RENAMED: Final = "x-amzn-remapped-www-authenticate"


class Gateway(NamedTuple):
    """A deployment whose API asks an authorizer, and the same server behind an API that asks none."""

    guarded: Deployment
    bare: Deployment
    authorizer: Function
    clock: SetClock

    async def ask(self, token: str, *, bare: bool = False) -> httpx2.Response:
        """Calls a tool with a token."""
        message, headers = modern(tool("who"))
        deployment = self.bare if bare else self.guarded
        await self.quiet()
        async with httpx2.AsyncClient(timeout=30) as http:  # one that has no token of its own
            given = {**headers, "authorization": f"Bearer {token}"} if token else headers
            return await http.post(deployment.url, json=message, headers=given)

    async def quiet(self) -> None:
        """Waits until nothing is at work."""
        functions = (self.guarded.function, self.bare.function, self.authorizer)
        await until(lambda: all(each.is_free for function in functions for each in function.instances))


@pytest.fixture(scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, issuer: Issuer, a_table: Callable[[], Table]
) -> AsyncIterator[Gateway]:
    folders = [tmp_path_factory.mktemp(name) for name in ("authorizer", "guarded", "bare")]
    table, clock = a_table(), SetClock()
    configuration = Configuration(
        command=(*LOOP, "tollbook.hosting.auth.authorizer:handler"),
        folder=folders[0],
        name="authorizer",
        working_folder=ROOT,
        environment=environment_for(issuer, table),
    )
    async with deployed(configuration, provisioned=1) as function:
        api = RestApi(authorizer=Authorizer(function, clock, ttl_s=TTL_S), responses=RESPONSES)
        async with (
            on_lambda(folders[1], issuer, table, api=api, instances=1) as guarded,
            on_lambda(folders[2], issuer, table, instances=1) as bare,
        ):
            yield Gateway(guarded, bare, function, clock)


@pytest.fixture
def reached(gateway: Gateway) -> Reached:
    """How often the authorizer, and the server behind it, were called since the test began."""
    functions = (gateway.authorizer, gateway.guarded.function)
    before = [len(function.invocations) for function in functions]

    def reached() -> tuple[int, int]:
        asked, served = (len(each.invocations) - then for each, then in zip(functions, before, strict=True))
        return asked, served

    return reached


async def test_a_good_token_is_let_in_and_the_server_behind_verifies_it_again(
    gateway: Gateway, issuer: Issuer, reached: Reached
) -> None:
    answer = await gateway.ask(issuer.token(sub="ada"))
    assert json.loads(text_of(answer))["subject"] == "ada"
    assert reached() == (1, 1)


async def test_a_session_of_the_older_era_passes_the_authorizer_once(
    gateway: Gateway, issuer: Issuer, reached: Reached
) -> None:
    url = gateway.guarded.url
    async with httpx2.AsyncClient(timeout=30, headers={"authorization": f"Bearer {issuer.token()}"}) as http:
        session = await initialize(http, url)
        assert (await session.send(url, request("tools/list", 1))).status_code == 200
        assert (await session.end(url)).status_code == 200
    assert reached() == (1, 3)


async def test_the_authorizers_answer_is_believed_for_a_minute_and_the_servers_never(
    gateway: Gateway, issuer: Issuer, reached: Reached
) -> None:
    token = issuer.token()
    for _ in range(2):
        assert (await gateway.ask(token)).status_code == 200
    assert reached() == (1, 2)
    gateway.clock.now += TTL_S
    assert (await gateway.ask(token)).status_code == 200
    assert reached() == (2, 3)


async def test_without_a_token_the_gateway_itself_refuses_by_the_real_header(
    gateway: Gateway, reached: Reached
) -> None:
    answer = await gateway.ask("")
    assert (answer.status_code, answer.headers.get_list("www-authenticate")) == (401, [LOGIN])
    assert reached() == (0, 0)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda issuer: issuer.token(exp=issuer.now() - 31),
        lambda issuer: issuer.token(aud="https://other.example/mcp"),
        lambda issuer: issuer.token()[:-4],
        lambda issuer: issuer.id_token(),
        lambda issuer: "nonsense",
    ],
)
async def test_a_bad_token_is_refused_by_the_authorizer_and_the_real_header(
    gateway: Gateway, issuer: Issuer, reached: Reached, spoil: Callable[[Issuer], str]
) -> None:
    answer = await gateway.ask(spoil(issuer))
    assert (answer.status_code, answer.headers.get_list("www-authenticate")) == (401, [LOGIN])
    assert reached() == (1, 0)


async def test_a_token_that_may_too_little_is_refused_by_the_authorizer_and_the_real_header(
    gateway: Gateway, issuer: Issuer, reached: Reached
) -> None:
    answer = await gateway.ask(issuer.token(scope="other"))
    assert (answer.status_code, answer.headers.get_list("www-authenticate")) == (403, [INSUFFICIENT])
    assert reached() == (1, 0)


@pytest.mark.parametrize(
    ("spoil", "status", "challenge"),
    [
        (lambda issuer: "", 401, LOGIN),
        (lambda issuer: "nonsense", 401, INVALID),
        (lambda issuer: issuer.token(scope="other"), 403, INSUFFICIENT),
    ],
)
async def test_where_nothing_stands_before_it_the_server_refuses_and_the_gateway_renames_its_header(
    gateway: Gateway, issuer: Issuer, spoil: Callable[[Issuer], str], status: int, challenge: str
) -> None:
    answer = await gateway.ask(spoil(issuer), bare=True)
    assert (answer.status_code, answer.headers.get_list(RENAMED)) == (status, [challenge])
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("bare", [False, True])
async def test_our_client_understands_either(gateway: Gateway, issuer: Issuer, bare: bool) -> None:
    await gateway.quiet()
    url = (gateway.bare if bare else gateway.guarded).url
    for token, scopes in (("", ()), (issuer.token(scope="other"), (SCOPE,))):
        connection = Connection(Target(name=url, url=url), Nobody(), auth=Token(token))
        with pytest.raises(LoginNeeded) as needed:
            await connection.open()
        assert needed.value.scopes == scopes


async def test_whoever_is_refused_can_read_where_to_log_in(gateway: Gateway, issuer: Issuer, reached: Reached) -> None:
    async with httpx2.AsyncClient(timeout=30) as http:
        for path in ("", "/mcp"):
            await gateway.quiet()
            url = gateway.guarded.url.replace("/mcp", f"/.well-known/oauth-protected-resource{path}")
            assert (await http.get(url)).json()["authorization_servers"] == [issuer.url]
        await gateway.quiet()
        assert (await http.get(gateway.guarded.url.replace("/mcp", "/healthz"))).json() == {"status": "ok"}
    assert reached() == (0, 3)


class Token(httpx2.Auth):
    """Sends a token, if it has one."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        if self._token:
            request.headers["authorization"] = f"Bearer {self._token}"
        yield request
