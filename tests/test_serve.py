"""`tollbook serve`, as who types it meets it."""

import asyncio
import contextlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters, stdio_client

from tests.hosting.serving import modern, tool
from tests.hosting.wire import LOGS, initialize, instances
from tests.logs import Ask
from tollbook.app.settings import SETTINGS

NOW = "2026-11-22T12:00Z"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def store(tmp_path: Path) -> list[str]:
    return ["--session-store", f"sqlite:{tmp_path / 'store.db'}"]


@pytest.mark.anyio
async def test_the_report_over_http_is_that_of_the_command_line(tmp_path: Path, store: list[str], ask: Ask) -> None:
    with instances(tmp_path, 1, [*store, "--now", NOW]) as (server,):
        async with Client(server.url) as client:
            result = await client.call_tool("get_bedrock_usage_report", {"days": 14})
    asked = ask("report", str(LOGS), "--days", "14", "--now", NOW, "--format", "json")
    assert result.structured_content is not None
    assert result.structured_content["totals"] == json.loads(asked.out)["totals"]


@pytest.mark.anyio
async def test_a_local_host_is_served_on_the_standard_input_and_output(tmp_path: Path, store: list[str]) -> None:
    words = ["-m", "tollbook", "serve", "--stdio", "--source", str(LOGS), "--now", NOW, *store]
    with (tmp_path / "log").open("w") as log:
        parameters = StdioServerParameters(command=sys.executable, args=words, env=dict(os.environ))
        async with Client(stdio_client(parameters, errlog=log)) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            result = await client.call_tool("get_bedrock_usage_report", {"days": 14})
    assert "get_bedrock_usage_report" in tools
    assert "Total Requests: 443" in result.content[0].text  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "http"], "--port (PORT): a whole number from 0 to 65,535 is wanted, not 'http'"),
        (["--host", "0.0.0.0"], "--auth (AUTH_METHOD): 0.0.0.0 can be reached from elsewhere"),  # noqa: S104
        (["--host", "0.0.0.0"], "--allowed-hosts (ALLOWED_HOSTS): 0.0.0.0"),  # noqa: S104
        (["--auth-method", "oauth"], "--oauth-issuer (OAUTH_ISSUER): it is missing; name the issuer"),
        (["--auth", "oauth"], "--oauth-required-scope (OAUTH_REQUIRED_SCOPE): it is missing; name the scope"),
        (["--auth", "password"], "--auth (AUTH_METHOD): one of oauth, lambda, dev, none is wanted, not 'password'"),
        (["--session-store", "redis"], "redis"),
        (["--workers", "2", "--session-store", "memory"], "--workers: several workers cannot share"),
        (["--request-state-keys", "short-secret"], "keys of 32 characters or more"),
        (["--allowed-hosts", "*"], "--allowed-hosts (ALLOWED_HOSTS): names separated by commas are wanted"),
        (["--allowed-hosts", "https://example.com"], "--allowed-hosts (ALLOWED_HOSTS): names separated by commas"),
        (["--allowed-origins", "example.com"], "an origin begins with http:// or https://"),
        (["--session-idle", "60"], "--session-idle: a session must not end before a call in it may"),
        (["--region", "mars"], "a region such as us-east-1, or all, is wanted, not 'mars'"),
        (["--now", "yesterday"], "yesterday"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(ask: Ask, words: list[str], said: str) -> None:
    answer = ask("serve", *words)
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert "short-secret" not in answer.err


def test_every_problem_is_named_at_once_with_its_variable(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "-1")
    monkeypatch.setenv("CALL_LIMIT_SECONDS", "soon")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    answer = ask("serve")
    assert answer.code == 2
    assert all(f"({name})" in answer.err for name in ("PORT", "CALL_LIMIT_SECONDS", "LOG_LEVEL"))


def test_each_problem_stands_on_a_line_of_its_own(ask: Ask) -> None:
    lines = ask("serve", "--port", "http", "--region", "mars").err.splitlines()
    assert lines[0] == "tollbook: The server cannot start:"
    assert [line.split(" ")[2] for line in lines[1:]] == ["--region", "--port"]


@pytest.mark.parametrize(
    ("flag", "said"), [("--names", "no such file"), ("--prices", "no such file"), ("--session-store", "is no store")]
)
def test_a_file_that_no_answer_can_do_without_is_missed_at_the_start(
    ask: Ask, tmp_path: Path, store: list[str], flag: str, said: str
) -> None:
    (tmp_path / "text").write_text("This is no database, and says so at some length. " * 100)
    value = f"sqlite:{tmp_path / 'text'}" if flag == "--session-store" else str(tmp_path / "missing")
    answer = ask("serve", "--source", str(LOGS), *store, flag, value)
    assert answer.code == 1
    assert said in answer.err


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("source", "said"),
    [("", "This server has no logs to read"), ("missing.jsonl", "There is no file or folder missing")],
)
async def test_a_server_without_logs_says_so_at_the_start_and_to_whoever_asks(
    tmp_path: Path, store: list[str], source: str, said: str
) -> None:
    with instances(tmp_path, 1, [*store, "--source", source]) as (server,):
        async with Client(server.url) as client:
            result = await client.call_tool("get_bedrock_usage_report", {})
        assert result.is_error
        assert said in result.content[0].text  # type: ignore[union-attr]
        log = server.log.read_text()
    assert "There is nothing to report on yet: name logs with --source." in log or said in log


def test_a_flag_goes_before_its_variable(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "none")
    assert "(PORT)" not in ask("serve", "--port", "3000", "--workers", "0").err


def test_a_port_that_is_taken_is_said_in_one_sentence(ask: Ask, store: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = ask("serve", "--port", port, *store)
    assert answer.code == 1
    assert f"Cannot listen at 127.0.0.1:{port}: address already in use. Choose another with --port" in answer.err


def test_the_help_documents_every_setting(ask: Ask) -> None:
    said = " ".join(ask("serve", "--help").out.split())
    assert all(setting.flag in said and f"[{setting.variable}]" in said for setting in SETTINGS)


def test_greetings_arrive_one_by_one(tmp_path: Path, store: list[str]) -> None:
    async def heard(url: str) -> list[tuple[Any, float]]:
        async with httpx2.AsyncClient(timeout=30) as http:
            session = await initialize(http, url)
            async with session.calling(url, "multi-greet", name="Ann") as events:
                return [(event.message, event.at) async for event in events if event.message]

    async def heard_in_2026(url: str) -> list[tuple[Any, float]]:
        message, headers = modern(tool("multi-greet", name="Ann"))
        message["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = "debug"
        async with (
            httpx2.AsyncClient(timeout=30) as http,
            http.stream("POST", url, json=message, headers=headers) as response,
        ):
            return [
                (json.loads(line.removeprefix("data: ")), time.monotonic())
                async for line in response.aiter_lines()
                if line.startswith("data: ")
            ]

    with instances(tmp_path, 1, store) as (server,):
        for events in (asyncio.run(heard(server.url)), asyncio.run(heard_in_2026(server.url))):
            logs = [(each["params"], at) for each, at in events if each.get("method") == "notifications/message"]
            assert [params["level"] for params, _ in logs] == ["debug", "info", "info"]
            # Had they been held back, they would have come with the result, all at once.
            assert logs[-1][1] - logs[0][1] > 0.9
            assert events[-1][1] - logs[0][1] > 1.9
            assert events[-1][0]["result"]["content"][0]["text"] == "Good morning, Ann!"


def test_spans_go_where_the_standard_variable_says(tmp_path: Path, store: list[str]) -> None:
    with _collector() as (url, received):
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
        with instances(tmp_path, 1, store, environment) as (server,):
            asyncio.run(_greet(server.url))
    (spans,) = received
    assert b"tools/call greet" in spans
    assert b"Ann" not in spans


def test_a_missing_exporter_is_named(ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    hidden = tmp_path / "opentelemetry" / "sdk"
    hidden.mkdir(parents=True)
    code = (
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        "from tollbook.cli import main; sys.exit(main(['serve', '--stdio']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "pip install '.[otel]'" in done.stderr


async def _greet(url: str) -> None:
    async with Client(url) as client:
        await client.call_tool("greet", {"name": "Ann"})


@contextlib.contextmanager
def _collector() -> Iterator[tuple[str, list[bytes]]]:
    """A collector of OTLP/HTTP that keeps what it is sent."""
    received: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()
