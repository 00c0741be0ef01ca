"""Servers for prompts to talk to."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.client.repl.program import TOKEN
from tests.client.repl.typist import ROOT
from tests.fakes.processes import free_port, listening
from tests.hosting.wire import instances


@pytest.fixture(scope="package")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a `tollbook serve`."""
    with instances(tmp_path_factory.mktemp("ours"), 1) as (instance,):
        yield instance.url


@pytest.fixture(scope="package")
def agency(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that asks its user."""
    with _agency(tmp_path_factory.mktemp("agency") / "agency.log") as url:
        yield url


@pytest.fixture(scope="package")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one that wants a token."""
    with _agency(tmp_path_factory.mktemp("guarded") / "agency.log", TOKEN) as url:
        yield url


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the prompt of this test keeps its lines."""
    file = tmp_path / "state" / "tollbook" / "history"
    monkeypatch.setenv("HISTORY", str(file))
    return file


@contextmanager
def _agency(log: Path, *words: str) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "tests.client.repl.asking", str(port), *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
    with listening(command, port, log, environment):
        yield f"http://127.0.0.1:{port}/mcp"
