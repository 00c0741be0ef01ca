"""Clients that other people wrote get on with us in either era, though each request meets the other instance."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.node import HERE, PACKAGES, install, node
from tests.conformance.stack import stack

INSPECTOR = PACKAGES / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
SERVER_INFO = "io.modelcontextprotocol/serverInfo"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    install()
    with stack(2) as running:
        yield running.url


def inspect(url: str, era: str, home: Path, method: str, *words: str) -> Mapping[str, Any]:
    """What the Inspector's command line gives for a method; its files lie in `home`."""
    options = [
        "--cli",
        url,
        "--transport",
        "http",
        "--protocol-era",
        era,
        "--format",
        "json",
        "--method",
        method,
        *words,
    ]
    done = node(INSPECTOR, options, timeout_s=60, environment={**os.environ, "HOME": str(home)})
    assert done.returncode == 0, done.stderr
    result: Mapping[str, Any] = json.loads(done.stdout)["result"]
    return result


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_lists_the_tools(url: str, era: str, tmp_path: Path) -> None:
    result = inspect(url, era, tmp_path, "tools/list")
    assert {"test_simple_text", "test_tool_with_progress"} <= {tool["name"] for tool in result["tools"]}


@pytest.mark.parametrize(("era", "says_who_it_is"), [("legacy", False), ("modern", True)])
def test_the_inspector_calls_a_tool(url: str, era: str, says_who_it_is: bool, tmp_path: Path) -> None:
    """Only the later era's results say which server they are from."""
    result = inspect(
        url, era, tmp_path, "tools/call", "--tool-name", "test_x_mcp_header", "--tool-arg", "region=eu-west-1"
    )
    assert result["content"] == [{"type": "text", "text": "region=eu-west-1"}]
    assert (SERVER_INFO in result.get("_meta", {})) is says_who_it_is


@pytest.mark.parametrize(("mode", "version"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
def test_the_typescript_sdk_sees_progress_is_asked_and_gets_its_results(url: str, mode: str, version: str) -> None:
    done = node(HERE / "typescript_client.mjs", [url, mode], timeout_s=60)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["version"] == version
    assert "test_tool_with_progress" in seen["tools"]
    assert seen["progress"] == [
        {"progress": step, "total": 100, "message": f"Completed step {step} of 100"} for step in (0, 50, 100)
    ]
    assert seen["counted"] == "Three steps were reported."
    assert seen["asked"] == ["Please confirm"]
    assert seen["confirmed"] == "state-ok: confirmed=True"
    assert seen["failed"] is True
    assert json.loads(seen["read"])["data"] == "Data for ID: 7"
