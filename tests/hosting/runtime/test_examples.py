"""The servers of docs/host-your-own.md on Lambda, as it says, and the app in it."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx2
import pytest

from tests.auth_servers.issuer import SCOPE, Issuer
from tests.fakes.lambda_service import Configuration, deployed, function_url
from tests.fakes.lambda_service.function_urls import DOMAIN
from tests.hosting.runtime.deployment import LOOP, Table, environment_for
from tests.hosting.serving import modern, request
from tests.hosting.wire import ROOT, initialize

pytestmark = pytest.mark.anyio

EXAMPLES: Final = ROOT / "examples"
PAGE: Final = (ROOT / "docs" / "host-your-own.md").read_text(encoding="utf-8")
URL: Final = f"https://{DOMAIN}/mcp"


async def test_the_guarded_example_is_served_by_the_command_of_its_dockerfile(
    tmp_path: Path, issuer: Issuer, a_table: Callable[[], Table]
) -> None:
    entry_point = re.search(r"^ENTRYPOINT \[(.+)\]$", PAGE, re.MULTILINE)
    command = re.search(r"^CMD \[(.+)\]$", PAGE, re.MULTILINE)
    assert entry_point is not None
    assert command is not None
    words = [word.strip(' "') for word in f"{entry_point[1]},{command[1]}".split(",")]
    configuration = Configuration(
        command=[sys.executable, *words[1:]],
        folder=tmp_path,
        working_folder=EXAMPLES,
        environment={**environment_for(issuer, a_table()), "PUBLIC_URL": URL},
    )
    async with (
        deployed(configuration, provisioned=2) as function,
        function_url(function) as address,
        httpx2.AsyncClient(timeout=20) as http,
    ):
        message, headers = modern(request("tools/call", name="roll", arguments={}))
        refused = await http.post(f"{address}/mcp", json=message, headers=headers)
        assert refused.status_code == 401
        http.headers["authorization"] = f"Bearer {issuer.token(aud=URL, scope=SCOPE)}"
        served = await http.post(f"{address}/mcp", json=message, headers=headers)
        assert 1 <= int(served.json()["result"]["structuredContent"]["result"]) <= 6
        session = await initialize(http, f"{address}/mcp")
        for number in range(4):
            rolled = await session.call(f"{address}/mcp", "roll", number, sides=3)
            assert rolled["structuredContent"]["result"] in (1, 2, 3)


async def test_the_app_that_works_on_after_its_answer_is_one(tmp_path: Path) -> None:
    (code,) = (block for block in re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL) if "wait_until" in block)
    (tmp_path / "works_on.py").write_text(code)
    configuration = Configuration(command=(*LOOP, "works_on:app"), folder=tmp_path, working_folder=tmp_path)
    async with (
        deployed(configuration, provisioned=1) as function,
        function_url(function) as address,
        httpx2.AsyncClient(timeout=20) as http,
    ):
        assert (await http.get(f"{address}/")).status_code == 202
        await function.invocations[0].over.wait()
