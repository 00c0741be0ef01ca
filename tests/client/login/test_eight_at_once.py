"""Threat 38: of as many processes as there may be, none loses the login for the others."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from tests.auth_servers.issuer import SCOPE
from tests.auth_servers.others import AuthServer
from tests.client.login.making import login, real_login
from tests.client.login.protected import Protected
from tests.fakes.keyrings import FolderKeyring
from tests.hosting.serving import modern, request
from tests.hosting.wire import ROOT, instances
from tollbook.client.login.login import Login
from tollbook.client.login.secrets import Backend
from tollbook.client.login.vault import Preference, Vault

pytestmark = pytest.mark.anyio

_EIGHT: Final = 8
GOOD, REFUSED = "good", "refused"


def ask(number: int, url: str, folder: Path, secrets: Preference, environment: Mapping[str, str]) -> list[Any]:
    """What so many processes say that ask `url` at the same moment."""
    message, headers = modern(request("tools/call", name="whoami", arguments={}))
    order = {"folder": str(folder), "secrets": secrets, "url": url, "message": message, "headers": headers}
    words = [sys.executable, "-m", "tests.client.login.one_of_eight"]
    with ExitStack() as held:
        started = []
        for _ in range(number):
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=ROOT,
                env={**os.environ, **environment},
                text=True,
            )
            held.enter_context(process)
            held.callback(process.kill)
            started.append(process)
            assert process.stdin
            process.stdin.write(f"{json.dumps(order)}\n")
            process.stdin.flush()
        for process in started:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        return [json.loads(process.communicate(timeout=120)[0]) for process in started]


def digest(known: Login) -> str:
    return hashlib.sha256(known.access_token.encode()).hexdigest()


@pytest.mark.parametrize("secrets", ["file", "keyring"])
async def test_threat_38_eight_processes_renew_a_login_once_and_all_go_on_with_it(
    auth_server: AuthServer, secrets: Preference, keyring: FolderKeyring, tmp_path: Path
) -> None:
    folder = tmp_path / "logins"

    def backend() -> Backend:
        return keyring

    def vault() -> Vault:
        return Vault(folder, secrets, time.time, backend=backend)

    environment = {"AUTH_METHOD": "oauth", "OAUTH_REQUIRED_SCOPE": SCOPE, "OAUTH_ISSUER": auth_server.issuer}
    environment |= {"SEES_ALL": "anyone"}
    with instances(tmp_path, 1, ["--session-store", f"sqlite:{tmp_path / 'store.db'}"], environment) as (running,):
        first = await real_login(auth_server, running.url)
        now = time.time()
        vault().keep(msgspec.structs.replace(first, issued=now - 90, expires=now + 10))

        said = ask(_EIGHT, running.url, folder, secrets, keyring.environment)
        second = vault().find(running.url)
        assert second is not None
        assert second.refresh_token != first.refresh_token, (
            "an authorization server that keeps refresh tokens proves little"
        )
        assert [(each["status"], each["token"]) for each in said] == [(200, digest(second))] * _EIGHT
        assert digest(second) != digest(first)

        vault().keep(msgspec.structs.replace(second, access_token=REFUSED))
        said = ask(_EIGHT, running.url, folder, secrets, keyring.environment)
        third = vault().find(running.url)
        assert third is not None
        assert [(each["status"], each["token"]) for each in said] == [(200, digest(third))] * _EIGHT
        assert digest(third) not in (digest(first), digest(second))
    assert not [each["said"] for each in said if each["said"]]


async def test_whoever_has_no_login_does_not_pay_for_keyring_and_locks(protected: Protected, tmp_path: Path) -> None:
    protected.good.add("nobody's")
    Vault(tmp_path / "logins", "file", time.time).keep(login("https://elsewhere.example/mcp"))
    protected.redirects["/mcp"] = "/elsewhere"
    (said,) = await _in_thread(protected.url, tmp_path / "logins")
    assert said == {"status": 307, "said": [], "token": "", "modules": []}
    assert protected.tokens == [None]


@pytest.mark.parametrize("renewable", [{}, {"refresh_token": None, "issued": 0.0}], ids=["holds", "cannot be renewed"])
async def test_whoever_has_one_in_a_file_does_not_either_unless_it_is_renewed(
    protected: Protected, tmp_path: Path, renewable: dict[str, Any]
) -> None:
    protected.good.add(GOOD)
    now = time.time()
    known = login(protected.url, **{"access_token": GOOD, "issued": now, "expires": now + 3600, **renewable})
    Vault(tmp_path / "logins", "file", time.time).keep(known)
    (said,) = await _in_thread(protected.url, tmp_path / "logins")
    assert said == {"status": 200, "said": [], "token": digest(known), "modules": []}


async def _in_thread(url: str, folder: Path) -> list[Any]:
    environment = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    return await asyncio.to_thread(ask, 1, url, folder, "auto", environment)
