"""The server of the documentation, which is not ours, hosted as the documentation says."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.hosting.wire import ROOT, initialize, request


@pytest.fixture
def dice(tmp_path: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = ["--app-dir", str(ROOT / "examples"), "own_server:app", "--port", str(port), "--log-level", "warning"]
    command = [sys.executable, "-m", "uvicorn", *words]
    with subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        try:
            asyncio.run(_started(f"http://127.0.0.1:{port}/healthz"))
            yield f"http://127.0.0.1:{port}/mcp"
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


async def _started(url: str) -> None:
    async with httpx2.AsyncClient() as http, asyncio.timeout(60):
        while True:
            try:
                if (await http.get(url)).status_code == 200:
                    return
            except httpx2.ConnectError:
                await asyncio.sleep(0.05)
