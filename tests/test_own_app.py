"""An MCP server of somebody's own, served instead of tollbook's: `--app`, and TOLLBOOK_APP on AWS Lambda."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from mcp.server import MCPServer
from mcp.server.lowlevel.server import Server

from tests.auth_servers.issuer import AUDIENCE, Issuer
from tests.fakes.lambda_service import Configuration, deployed
from tests.fakes.lambda_service.invocations import FunctionError
from tests.fakes.processes import free_port, listening
from tests.hosting.auth.asking import bearer, environment_for
from tests.hosting.runtime.conftest import a_table as a_table
from tests.hosting.runtime.conftest import dynamodb_server as dynamodb_server
from tests.hosting.runtime.conftest import issuer as issuer
from tests.hosting.runtime.deployment import LOOP, Deployment, Table, on_lambda
from tests.hosting.serving import messages, modern, request, tool
from tests.hosting.wire import ROOT, initialize
from tests.test_on_lambda import NEEDED
from tollbook.app.on_lambda import lambda_settings
from tollbook.app.own_server import own_server
from tollbook.app.settings import read_settings
from tollbook.core.errors import TollbookError, UsageError

pytestmark = pytest.mark.anyio

EXAMPLE: Final = ROOT / "examples" / "own_server.py"
KINDS: Final = """
from mcp.server import MCPServer
from mcp.server.lowlevel.server import Server

high, low, number = MCPServer("high"), Server("low"), 1


def make():
    return MCPServer("made")


def make_for(name):
    return MCPServer(name)


async def make_later():
    return MCPServer("later")


def fail():
    raise ValueError("a-secret-of-its-own")
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with modules; what is imported from it is forgotten."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "own_kinds.py").write_text(KINDS)
    (tmp_path / "own_lacking.py").write_text("import no_such_package_at_all\n")
    (tmp_path / "src" / "own_package").mkdir(parents=True)
    (tmp_path / "src" / "own_package" / "__init__.py").write_text("")
    (tmp_path / "src" / "own_package" / "server.py").write_text(KINDS)
    for name in ("own_kinds", "own_lacking", "own_package", "own_package.server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


class TestTheName:
    @pytest.mark.parametrize(
        ("name", "kind", "called"),
        [
            ("own_kinds:high", MCPServer, "high"),
            ("own_kinds:low", Server, "low"),
            ("own_kinds:make", MCPServer, "made"),
            ("own_package.server:high", MCPServer, "high"),
        ],
    )
    def test_is_that_of_a_server_or_of_what_makes_one(
        self, folder: Path, name: str, kind: type[Any], called: str
    ) -> None:
        found = own_server(name, folder)
        assert isinstance(found, kind)
        assert found.name == called

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("own_cards:server", "there is no module 'own_cards'. It is looked for in"),
            ("own_kinds.cards:server", "there is no module 'own_kinds.cards'"),
            ("own_lacking:server", "'own_lacking' needs a package 'no_such_package_at_all', which is not installed"),
            ("own_kinds:number", "'own_kinds:number' is neither a server of the official SDK"),
            ("own_kinds:missing", "'own_kinds:missing' is neither a server of the official SDK"),
            ("own_kinds:make_for", "nor a function without parameters that makes one"),
            ("own_kinds:make_later", "nor a function without parameters that makes one"),
            ("own_kinds:fail", "'own_kinds:fail' fails with ValueError at own_kinds.py:21 while it is loaded."),
        ],
    )
    def test_of_anything_else_is_refused_in_a_sentence(self, folder: Path, name: str, says: str) -> None:
        with pytest.raises(TollbookError) as fault:
            own_server(name, folder)
        assert fault.value.message.startswith("--app (TOLLBOOK_APP): ")
        assert says in fault.value.message
        assert "a-secret-of-its-own" not in str(fault.value)

    @pytest.mark.parametrize("text", ["server", "a-b:server", "a:b:c", "../a:server", "a:", "a.:b"])
    def test_is_a_module_and_a_name(self, text: str) -> None:
        with pytest.raises(UsageError) as fault:
            read_settings({"TOLLBOOK_APP": text}, {})
        assert "--app (TOLLBOOK_APP): MODULE:NAME is wanted, such as my_server:server" in "".join(fault.value.more)


class TestSettings:
    def test_ask_nobody_who_sees_what_of_bedrock(self) -> None:
        given = {name: value for name, value in NEEDED.items() if name != "SEES_ALL"}
        assert lambda_settings({**given, "TOLLBOOK_APP": "own_server:server"}).app == "own_server:server"
        with pytest.raises(UsageError, match="nobody would see any calls"):
            lambda_settings(given)

    def test_ask_for_a_login_all_the_same(self) -> None:
        with pytest.raises(UsageError, match=r"\(OAUTH_ISSUER\): it is missing"):
            lambda_settings({**NEEDED, "TOLLBOOK_APP": "own_server:server", "OAUTH_ISSUER": ""})


@contextmanager
def served(folder: Path, *words: str, **environment: str) -> Iterator[str]:
    """The URL of the example, as `tollbook serve` serves it from a folder."""
    port, log = free_port(), folder / "instance-0.log"
    shutil.copy(EXAMPLE, folder)
    store = ["--session-store", f"sqlite:{folder / 'sessions.db'}"]
    command = [sys.executable, "-m", "tollbook", "serve", "--port", str(port), *store, *words]
    with listening(command, port, log, {**os.environ, **environment}):
        yield f"http://127.0.0.1:{port}/mcp"


class TestServed:
    @pytest.mark.parametrize("workers", ["1", "2"])
    async def test_by_any_worker_with_sessions(self, tmp_path: Path, workers: str) -> None:
        with served(tmp_path, "--app", "own_server:server", "--workers", workers) as url:
            async with httpx2.AsyncClient(timeout=30, trust_env=False) as http:
                session = await initialize(http, url)
                for number in range(4):
                    rolled = await session.call(url, "roll", number, sides=3)
                    assert rolled["structuredContent"]["result"] in (1, 2, 3)
        first, second, *_ = (tmp_path / "instance-0.log").read_text().splitlines()
        assert first.endswith(f" serves {url}")
        assert second.startswith("There is no login: every program on this machine can call the server.")

    async def test_behind_a_login(self, tmp_path: Path, issuer: Issuer) -> None:
        settings = {**environment_for(issuer), "TOLLBOOK_APP": "own_server:server", "ALLOWED_HOSTS": "127.0.0.1:*"}
        message, headers = modern(tool("roll", sides=1))
        with served(tmp_path, **settings) as url:
            async with httpx2.AsyncClient(timeout=30, trust_env=False, headers=headers) as http:
                refused = await http.post(url, json=message)
                answered = await http.post(url, json=message, headers={"authorization": bearer(issuer)})
        assert refused.status_code == 401
        assert "/.well-known/oauth-protected-resource" in refused.headers["www-authenticate"]
        assert messages(answered)[-1]["result"]["structuredContent"] == {"result": 1}

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["--app", "own_cards:server"], "tollbook: --app (TOLLBOOK_APP): there is no module 'own_cards'."),
            (["--app", "own_server:server", "--stdio"], "tollbook: --stdio serves tollbook's own server."),
        ],
    )
    def test_not_where_it_cannot_be(self, tmp_path: Path, words: list[str], says: str) -> None:
        command = [sys.executable, "-m", "tollbook", "serve", "--port", "0", "--session-store", "memory", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith(says)


@pytest.fixture(scope="module")
async def dice(
    tmp_path_factory: pytest.TempPathFactory, issuer: Issuer, a_table: Callable[[], Table]
) -> AsyncIterator[Deployment]:
    """The example on two instances of a function, with nothing set that is about Bedrock."""
    folder = tmp_path_factory.mktemp("dice")
    app, environment = "tollbook.app.on_lambda:app", {"TOLLBOOK_APP": "examples.own_server:server"}
    async with on_lambda(folder, issuer, a_table(), app=app, instances=2, environment=environment) as deployment:
        yield deployment


class TestOnLambda:
    async def test_it_serves_those_who_log_in_and_nobody_else(self, dice: Deployment) -> None:
        message, headers = modern(request("tools/list"))
        listed = messages(await dice.http.post(dice.url, json=message, headers=headers))[-1]["result"]["tools"]
        assert [each["name"] for each in listed] == ["roll"]
        refused = await dice.http.post(dice.url, json=message, headers={**headers, "authorization": "Bearer x"})
        assert refused.status_code == 401

    async def test_any_instance_serves_any_session(self, dice: Deployment) -> None:
        session = await dice.session()
        await dice.quiet()
        before = {each.instance for each in dice.function.invocations}
        await next(each for each in dice.function.instances if each.number in before).kill()
        rolled = await session.call(dice.url, "roll", sides=1)
        assert rolled["structuredContent"] == {"result": 1}

    async def test_each_call_is_measured_as_tollbooks_are(self, dice: Deployment) -> None:
        message, headers = modern(tool("roll", sides=2))
        await dice.http.post(dice.url, json=message, headers=headers)
        await dice.quiet()
        measured = [line for line in dice.log() if "_aws" in line]
        assert "roll" in {line["tool"] for line in measured}

    async def test_it_says_what_it_cannot_start_with(self, tmp_path: Path) -> None:
        environment: Mapping[str, str] = {**NEEDED, "PUBLIC_URL": AUDIENCE, "TOLLBOOK_APP": "own_cards:server"}
        configuration = Configuration(
            command=(*LOOP, "tollbook.app.on_lambda:app"), folder=tmp_path, environment=environment
        )
        with pytest.raises(FunctionError) as fault:
            async with deployed(configuration, provisioned=1):
                """It never comes so far."""
        assert "there is no module 'own_cards'" in fault.value.message
