"""What has ended is forgotten: a real server, its memory and its store."""

import http.client
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.hosting.wire import Instance, instances, request

_HEADERS: Final = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
_PARAMS: Final = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "many", "version": "1"}}
_INITIALIZE: Final = json.dumps(request("initialize", 0, **_PARAMS))

_MOST_MORE_MB: Final = 2.0
"""Four thousand sessions that were kept would take more than 3; nothing but noise takes up to 0.4."""


class Held(NamedTuple):
    """What a server and its store hold."""

    memory_mb: float
    rows: int
    file_bytes: int


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells of another process's memory so")
def test_five_thousand_sessions_that_were_opened_and_ended_leave_nothing_behind(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    # What coverage itself keeps of the server would count as the server's, and it takes twice the time.
    with instances(
        tmp_path, 1, ["--session-store", f"sqlite:{store}"], {"COVERAGE_PROCESS_CONFIG": "", "LOG_LEVEL": "warning"}
    ) as (instance,):
        _open_and_end(instance, 1_000)
        early = _held(instance, store)
        _open_and_end(instance, 4_000)
        late = _held(instance, store)

    assert late.memory_mb - early.memory_mb < _MOST_MORE_MB
    assert early.rows == late.rows == 0
    assert late.file_bytes == early.file_bytes


def _open_and_end(instance: Instance, sessions: int) -> None:
    address = instance.url.removeprefix("http://").removesuffix("/mcp")
    with closing(http.client.HTTPConnection(address)) as connection:
        for _ in range(sessions):
            connection.request("POST", "/mcp", _INITIALIZE, _HEADERS)
            opened = connection.getresponse()
            opened.read()
            session = opened.headers["mcp-session-id"]
            connection.request("DELETE", "/mcp", headers={**_HEADERS, "mcp-session-id": session})
            ended = connection.getresponse()
            ended.read()
            assert (opened.status, ended.status) == (200, 200)


def _held(instance: Instance, store: Path) -> Held:
    words = Path(f"/proc/{instance.process.pid}/status").read_text().split()
    with closing(sqlite3.connect(store)) as connection:
        ((rows,),) = connection.execute("SELECT count(*) FROM records").fetchall()
    return Held(int(words[words.index("VmRSS:") + 1]) / 1024, rows, store.stat().st_size)
