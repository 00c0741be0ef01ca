"""Who asks, as the tests of the authorizer have him: with a token, or with an API key."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.auth_servers.issuer import AUDIENCE, SCOPE, Issuer
from tollbook.core.stores import Clock
from tollbook.hosting.auth.apikeys import ApiKeys
from tollbook.hosting.stores.sqlite import SqliteStore

HOUR_S: Final = 3600.0


def environment_for(issuer: Issuer) -> dict[str, str]:
    return {"OAUTH_ISSUER": issuer.url, "PUBLIC_URL": AUDIENCE, "OAUTH_REQUIRED_SCOPE": SCOPE}


def bearer(issuer: Issuer, **claims: Any) -> str:
    return f"Bearer {issuer.token(**claims)}"


def an_api_key(path: Path, clock: Clock, scopes: Sequence[str] = (SCOPE,), *, revoked: bool = False) -> str:
    async def make() -> str:
        store = SqliteStore(path, clock)
        try:
            keys = ApiKeys(store, clock)
            text, key = await keys.create("build-server", scopes, clock() + HOUR_S, {})
            if revoked:
                await keys.revoke(key.id)
            return text
        finally:
            await store.aclose()

    return asyncio.run(make())
