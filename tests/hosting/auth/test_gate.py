"""The gate in its corners: what it remembers, what is served before it, and where it stands."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.auth_servers.issuer import SCOPE, Issuer
from tests.hosting.auth.asking import environment_for
from tests.hosting.hurried import WHY, Obedient
from tests.hosting.serving import SetClock, a_server, ask, modern, request, serving
from tollbook.app.login import login_of
from tollbook.app.settings import read_settings
from tollbook.core.caller import Caller
from tollbook.core.errors import StoreDown
from tollbook.core.stores import Store
from tollbook.hosting import host
from tollbook.hosting.answers import Refusal
from tollbook.hosting.auth.apikeys import ApiKeys
from tollbook.hosting.auth.gate import Gate
from tollbook.hosting.auth.settings import auth_settings_from
from tollbook.hosting.auth.throttle import BURST
from tollbook.hosting.auth.token import Remembered
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def gated(issuer: Issuer, store: Store, clock: SetClock) -> AsyncIterator[str]:
    gate = Gate(auth_settings_from(environment_for(issuer)), store, clock=clock)
    app = host(a_server(), store, authenticate=gate.authenticate, pages=gate.pages, clock=clock)
    async with serving(app) as url:
        yield url


async def status(http: httpx2.AsyncClient, url: str, credential: str) -> int:
    message, headers = modern(request("tools/list"))
    return (
        await http.post(url, json=message, headers={**headers, "authorization": f"Bearer {credential}"})
    ).status_code


@pytest.fixture
def keeper(store: MemoryStore, clock: SetClock) -> ApiKeys:
    return ApiKeys(store, clock)


async def test_a_key_that_was_good_gets_past_a_full_throttle_and_one_that_is_revoked_does_not(
    http: httpx2.AsyncClient, store: MemoryStore, clock: SetClock, keeper: ApiKeys
) -> None:
    good, _ = await keeper.create("nightly", [SCOPE], clock() + 3600, {})
    other, _ = await keeper.create("weekly", [SCOPE], clock() + 3600, {})
    with Issuer(clock=clock) as issuer:
        async with gated(issuer, store, clock) as url:
            assert await status(http, url, good) == 200
            tried = [await status(http, url, f"tbk_{number:016x}_{0:064x}") for number in range(BURST + 5)]
            assert tried == [401] * BURST + [429] * 5
            assert await status(http, url, good) == 200
            assert await status(http, url, other) == 429
            await keeper.revoke(good.split("_")[1])
            assert [await status(http, url, good) for _ in range(2)] == [401, 429]


async def test_a_key_is_looked_up_anew_however_the_clock_goes(
    http: httpx2.AsyncClient, store: MemoryStore, clock: SetClock, keeper: ApiKeys
) -> None:
    good, key = await keeper.create("nightly", [SCOPE], clock() + 3600, {})
    with Issuer(clock=clock) as issuer:
        async with gated(issuer, store, clock) as url:
            assert await status(http, url, good) == 200
            await keeper.revoke(key.id)
            clock.now -= 100
            assert await status(http, url, good) == 401


async def test_without_its_store_no_key_is_known_and_tokens_are(
    http: httpx2.AsyncClient, clock: SetClock, keeper: ApiKeys
) -> None:
    good, _ = await keeper.create("nightly", [SCOPE], clock() + 3600, {})

    async def away(*_: object) -> None:
        raise StoreDown(WHY)

    with Issuer(clock=clock) as issuer:
        gone = Obedient(clock)
        gone.before = away
        async with gated(issuer, gone, clock) as url:
            assert await status(http, url, good) == 503
            assert await status(http, url, issuer.token()) == 200


async def test_a_page_of_an_allowed_origin_may_ask_for_the_metadata_first(
    http: httpx2.AsyncClient, store: MemoryStore, clock: SetClock
) -> None:
    with Issuer(clock=clock) as issuer:
        async with gated(issuer, store, clock) as url:
            address = url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")
            headers = {"origin": "http://localhost:6274", "access-control-request-method": "GET"}
            response = await http.request("OPTIONS", address, headers=headers)
            assert response.status_code == 204
            assert response.headers["access-control-allow-origin"] == "http://localhost:6274"
            assert (await http.post(address)).status_code == 405


def test_the_most_recent_tokens_are_remembered_and_older_ones_are_not(clock: SetClock) -> None:
    remembered, caller = Remembered(), Caller("ann", expires=clock() + 3600)
    for number in range(4097):
        remembered.add(f"token-{number}", caller, clock())
    assert remembered.get("token-0", clock()) is None
    assert remembered.get("token-1", clock()) == caller
    assert remembered.get("token-1", clock() + 301) is None
    assert remembered.knew("token-1", clock() + 301)
    assert not remembered.knew("token-1", clock() + 3601)


class TestALoginForThisMachineOnly:
    """Whoever runs the app under a server of his own may have it listen anywhere."""

    @pytest.mark.parametrize("auth", ["dev", None])
    @pytest.mark.parametrize(
        ("server", "is_served"),
        [
            (("127.0.0.1", 3000), True),
            (("::1", 3000), True),
            (("::ffff:127.0.0.1", 3000), True),
            (("a.socket", None), True),
            (("192.0.2.7", 3000), False),
            (("::ffff:192.0.2.7", 3000), False),
            (None, False),
        ],
        ids=str,
    )
    async def test_answers_who_came_by_an_address_of_this_machine(
        self, store: MemoryStore, auth: str | None, server: Any, is_served: bool
    ) -> None:
        login = login_of(read_settings({}, {"auth": auth}), store)
        scope = {"type": "http", "headers": [], "server": server}
        try:
            await login.authenticate(scope)
            status = 200
        except Refusal as refusal:
            status = refusal.status
        assert status == ({"dev": 401, None: 200}[auth] if is_served else 403)

    async def test_answers_anyone_where_that_was_said(self, store: MemoryStore) -> None:
        login = login_of(read_settings({}, {"auth": "none"}), store)
        assert not (await login.authenticate({"headers": [], "server": ("192.0.2.7", 3000)})).is_proven

    async def test_serves_its_pages_to_nobody_else_either(self, store: MemoryStore) -> None:
        login = login_of(read_settings({}, {"auth": "dev"}), store)

        async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "server": ("192.0.2.7", 80)} if scope["type"] == "http" else scope, receive, send)

        app = host(a_server(), store, authenticate=login.authenticate, pages=login.pages)
        async with serving(elsewhere) as url:  # type: ignore[arg-type]
            for path in login.pages:
                assert (await ask(url, "GET", path=path)).status == 403


async def test_nothing_of_aws_is_imported_for_a_token(tmp_path: Path) -> None:
    """boto3 alone takes longer to start than the authorizer may."""
    program = (
        "import json, sys; from tollbook.hosting.auth.authorizer import handler;"
        "print(handler(json.loads(sys.argv[1]))['policyDocument']['Statement'][0]['Effect'], 'boto3' in sys.modules)"
    )
    with Issuer() as issuer:
        arn = "arn:aws:execute-api:eu-west-1:123456789012:abc/prod/POST/mcp"
        event = {"type": "TOKEN", "authorizationToken": f"Bearer {issuer.token()}", "methodArn": arn}
        words = [sys.executable, "-c", program, json.dumps(event)]
        environment = {**os.environ, **environment_for(issuer), "SESSION_STORE": "dynamodb:keys"}
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["Allow", "False"]
