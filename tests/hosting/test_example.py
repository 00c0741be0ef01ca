"""The servers of the documentation, which are not ours, hosted as the documentation says."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.auth_servers.issuer import SCOPE, Issuer
from tests.fakes.dynamodb import free_port
from tests.hosting.serving import modern, request
from tests.hosting.wire import ROOT, Instance, initialize, wait_for


@contextmanager
def example(name: str, folder: Path, words: tuple[str, ...] = (), **environment: str) -> Iterator[str]:
    """The URL of the MCP endpoint of an example."""
    port, log = free_port(), folder / "instance-0.log"
    url = f"http://127.0.0.1:{port}/mcp"
    given: Mapping[str, str] = {name: value.format(url=url) for name, value in environment.items()}
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(ROOT / "examples"), f"{name}:app"]
    command += ["--port", str(port), "--log-level", "warning", *words]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, env={**os.environ, "PYTHONPATH": str(ROOT), **given}
        ) as process,
    ):
        try:
            wait_for(Instance(url, process, log))
            yield url
        finally:
            process.terminate()


def test_a_server_of_ten_lines_is_hosted(tmp_path: Path) -> None:
    async def roll(dice: str) -> int:
        async with httpx2.AsyncClient(timeout=20) as http:
            session = await initialize(http, dice)
            listed = (await session.send(dice, request("tools/list", 1))).json()["result"]["tools"]
            assert [tool["name"] for tool in listed] == ["roll"]
            return int((await session.call(dice, "roll", sides=3))["structuredContent"]["result"])

    with example("own_server", tmp_path) as url:
        assert asyncio.run(roll(url)) in (1, 2, 3)


def test_the_same_server_with_a_login_asks_for_one(tmp_path: Path) -> None:
    message, headers = modern(request("tools/call", name="roll", arguments={}))
    with Issuer() as issuer:
        environment = {"OAUTH_ISSUER": issuer.url, "OAUTH_REQUIRED_SCOPE": SCOPE, "PUBLIC_URL": "{url}"}
        words = ("--no-proxy-headers", "--http", "h11")
        with example("guarded_server", tmp_path, words, **environment) as url:
            refused = httpx2.post(url, json=message, headers=headers)
            assert refused.status_code == 401
            where = refused.headers["www-authenticate"].split('"')[1]
            assert httpx2.get(where).json()["authorization_servers"] == [issuer.url]
            token = issuer.token(aud=url)
            served = httpx2.post(url, json=message, headers={**headers, "authorization": f"Bearer {token}"})
            assert 1 <= int(served.json()["result"]["structuredContent"]["result"]) <= 6
