"""The server of the documentation, which is not ours, hosted as the documentation says."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.fakes.dynamodb import free_port
from tests.hosting.wire import ROOT, Instance, initialize, request, wait_for


@pytest.fixture
def dice(tmp_path: Path) -> Iterator[str]:
    port, log = free_port(), tmp_path / "log"
    words = ["--app-dir", str(ROOT / "examples"), "own_server:app", "--port", str(port), "--log-level", "warning"]
    command = [sys.executable, "-m", "uvicorn", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=output, env=environment) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}/mcp"
            wait_for(Instance(url, process, log))
            yield url
        finally:
            process.terminate()


def test_a_server_of_ten_lines_is_hosted(dice: str) -> None:
    async def roll() -> int:
        async with httpx2.AsyncClient(timeout=20) as http:
            session = await initialize(http, dice)
            listed = (await session.send(dice, request("tools/list", 1))).json()["result"]["tools"]
            assert [tool["name"] for tool in listed] == ["roll"]
            return int((await session.call(dice, "roll", sides=3))["structuredContent"]["result"])

    assert asyncio.run(roll()) in (1, 2, 3)
