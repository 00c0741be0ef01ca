"""The start: what it does without, and that nobody can tell from an answer."""

import re
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.auth_servers.issuer import Issuer
from tests.hosting.runtime.deployment import SMALL, Deployment, Table, on_lambda
from tests.hosting.serving import messages, modern, request, tool
from tests.hosting.wire import LOGS, initialize

DEPLOYED: Final = "tollbook.app.on_lambda:app"
APPS: Final = "tests.hosting.runtime.start_apps"
TOLLBOOK: Final = {
    "SEES_ALL": "anyone",
    "TOLLBOOK_SOURCE": str(LOGS),
    "TOLLBOOK_NOW": "2026-11-22T12:00Z",
}
REPORT: Final = "get_bedrock_usage_report"

LATE: Final = ("boto3", "botocore", "rich", "uvicorn", "click", "mcp.client", "httpx2._client", "tollbook.client")
"""What a first answer of 2026-07-28 does without."""

TOLLBOOKS: Final = (
    request("tools/list"),
    request("prompts/list"),
    request("resources/list"),
    request("resources/templates/list"),
    request("resources/read", uri="https://example.com/greetings/default"),
    request("resources/read", uri="tollbook://nothing"),
    request("prompts/get", name="greeting-template", arguments={"name": "Ada"}),
    request("prompts/get", name="greeting-template", arguments={}),
    request("completion/complete", ref={"type": "ref/prompt", "name": "greeting-template"}, argument={"name": "name"}),
    request("no/such/method"),
    tool("greet", name="Ada"),
    tool("greet", name=7),
    tool("greet"),
    tool("greet", name="Ada", other="x"),
    tool("no-such-tool"),
    tool("whoami"),
    tool(REPORT, days=7),
    tool(REPORT, days=7, group_by="model,day", tz="Europe/Berlin"),
    tool(REPORT, days="many"),
    tool(REPORT, days=10**12),
)
OWN: Final = (
    request("tools/list"),
    tool("who"),
    tool("needs"),
    tool("says_all_levels"),
    tool("slow", waits=False),
    tool("slow", waits=False, steps=-1),
    tool("counts_stars"),
    tool("breaks", word="x"),
    tool("big", size=100),
    tool("big", size="large"),
)
OLDER: Final = (
    request("ping"),
    request("logging/setLevel", level="debug"),
    request("logging/setLevel", level="loud"),
    request("tools/call", name={}),
    request("tools/call", name="greet", arguments=[]),
    request("tools/call"),
)
CAPABILITIES: Final[Any] = {"elicitation": {"form": {}}}
VERSIONS: Final = ("2025-03-26", "2025-11-25")

pytestmark = pytest.mark.anyio


async def answers(http: httpx2.AsyncClient, url: str, asked: Sequence[dict[str, Any]]) -> list[str]:
    """What a server says to all of them, in both eras, as it is on the wire but for what is another each time."""
    found = []
    for message in (request("server/discover"), *asked):
        whole, headers = modern(message)
        whole["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = CAPABILITIES
        found.append(_said(await http.post(url, json=whole, headers=headers)))
    for version in VERSIONS:
        session = await initialize(http, url, version)
        found += [_said(await session.send(url, message)) for message in (*asked, *OLDER)]
    return found


def _said(response: httpx2.Response) -> str:
    """How far the reading of files has come is told as time goes."""
    events = [each for each in response.text.split("\n\n") if '"message":"read ' not in each]
    of_its_own = r'(?m)^id: .*$|(?<=reports/)[\w-]+|"(requestState|expires)":"[^"]+"'
    return re.sub(of_its_own, "…", "\n\n".join([str(response.status_code), *events]))


@pytest.mark.parametrize(
    ("light", "full", "asked"),
    [(DEPLOYED, f"{APPS}:deployed_in_full", TOLLBOOKS), (f"{APPS}:own_lightly", SMALL, OWN)],
    ids=["tollbook", "a server of one's own"],
)
async def test_every_answer_is_the_same_with_and_without_a_light_start(
    light: str, full: str, asked: Sequence[dict[str, Any]], tmp_path: Path, issuer: Issuer, a_table: Callable[[], Table]
) -> None:
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(
                on_lambda(folder, issuer, a_table(), app=app, instances=1, environment=TOLLBOOK)
            )
            for app, folder in ((light, _made(tmp_path / "light")), (full, _made(tmp_path / "full")))
        ]
        lightly, fully = [await answers(one.http, url, asked) for url in (one.url, other.url)]
    assert lightly == fully
    assert len(set(fully)) > len(asked)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


class TestTheDeployedServer:
    """Its first answers, in a process that says what it has imported."""

    @pytest.fixture
    async def deployment(
        self, tmp_path: Path, issuer: Issuer, a_table: Callable[[], Table]
    ) -> AsyncIterator[Deployment]:
        app = f"{APPS}:telling"
        async with on_lambda(tmp_path, issuer, a_table(), app=app, instances=1, environment=TOLLBOOK) as running:
            yield running

    async def test_answers_a_list_without_what_only_others_need(self, deployment: Deployment) -> None:
        message, headers = modern(request("tools/list"))
        answer = await deployment.http.post(deployment.url, json=message, headers=headers)
        assert messages(answer)[0]["result"]["tools"]
        assert set(LATE).isdisjoint(await self.told(deployment, "modules"))

    async def test_opens_a_session_without_boto3(self, deployment: Deployment) -> None:
        await initialize(deployment.http, deployment.url)
        modules = await self.told(deployment, "modules")
        assert "botocore" in modules
        assert {"boto3", "s3transfer"}.isdisjoint(modules)

    async def test_builds_what_a_request_needs_and_no_more(self, deployment: Deployment) -> None:
        before = await self.told(deployment, "unbuilt")
        message, headers = modern(request("tools/list"))
        await deployment.http.post(deployment.url, json=message, headers=headers)
        after = await self.told(deployment, "unbuilt")
        assert {"ListToolsResult", "CreateMessageResult"} <= set(before)
        assert set(before) - set(after) >= {"ListToolsResult"}
        assert "CreateMessageResult" in after

    async def told(self, deployment: Deployment, what: str) -> list[str]:
        await deployment.quiet()  # else another instance might answer, now or next
        answer = await deployment.http.get(f"{deployment.url.removesuffix('/mcp')}/{what}")
        await deployment.quiet()
        return [str(name) for name in answer.json()]


class TestALightImport:
    """In a process of its own each, since this one has imported everything."""

    def test_leaves_every_name_of_a_package_to_whoever_asks_for_it(self) -> None:
        said = printed("""
            with light_import():
                import mcp.server, httpx2._urls
            import mcp, httpx2, sys
            print("mcp.client" in sys.modules, "httpx2._client" in sys.modules)
            print(mcp.ClientSession.__name__, httpx2.AsyncClient.__name__)
            from mcp import Client, stdio_client
            print(Client.__module__, mcp.server.__name__, hasattr(mcp, "nothing"), hasattr(httpx2, "nothing"))
        """)
        assert said == ["False False", "ClientSession AsyncClient", "mcp.client.client mcp.server False False"]

    def test_changes_nothing_that_was_imported_before(self) -> None:
        said = printed("""
            import mcp, httpx2, mcp_types, sys
            before = [sys.modules[name] for name in ("mcp", "httpx2", "uvicorn")]
            with light_import():
                from mcp.server import MCPServer
                print([sys.modules[name] for name in ("mcp", "httpx2", "uvicorn")] == before)
            print(mcp_types.Tool.__pydantic_complete__)
        """)
        assert said == ["True", "True"]

    def test_is_over_at_its_end_even_if_something_fails(self) -> None:
        said = printed("""
            from pydantic import BaseModel, TypeAdapter
            try:
                with light_import():
                    raise ImportError
            except ImportError:
                pass
            class Model(BaseModel):
                size: int
            print(Model.__pydantic_complete__, TypeAdapter(int | str).pydantic_complete, BaseModel.model_config)
        """)
        assert said == ["True True {}"]

    def test_leaves_uvicorn_to_whoever_imports_it_himself(self) -> None:
        said = printed("""
            import sys
            with light_import():
                import mcp.server, sse_starlette
                print("uvicorn" in sys.modules)
                import uvicorn
                print(uvicorn.Server.__name__)
        """)
        assert said == ["False", "Server"]

    def test_puts_off_models_and_adapters_of_every_kind(self) -> None:
        said = printed("""
            with light_import():
                from pydantic import BaseModel, TypeAdapter
                class Model(BaseModel):
                    size: int
                models, unions = TypeAdapter(Model), TypeAdapter(list[Model] | int)
            print(Model.__pydantic_complete__, models.pydantic_complete, unions.pydantic_complete)
            print(models.validate_python({"size": "7"}), unions.validate_json('[{"size": 8}]'))
            class Child(Model):
                name: str
            print(Child(size=9, name="x"))
        """)
        assert said == ["False False False", "size=7 [Model(size=8)]", "size=9 name='x'"]

    def test_lets_threads_use_a_model_for_the_first_time_together(self) -> None:
        said = printed("""
            from concurrent.futures import ThreadPoolExecutor
            from threading import Barrier
            with light_import():
                import mcp_types
            barrier = Barrier(8)
            def first(number):
                barrier.wait()
                return mcp_types.CallToolResult.model_validate({"content": [{"type": "text", "text": str(number)}]})
            with ThreadPoolExecutor(8) as threads:
                results = list(threads.map(first, range(8)))
            print([result.content[0].text for result in results])
        """)
        assert said == [str([str(number) for number in range(8)])]


def printed(program: str) -> list[str]:
    """The lines that a program prints, which has `light_import`."""
    whole = f"from tollbook.hosting.light_import import light_import\n{textwrap.dedent(program)}"
    done = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
