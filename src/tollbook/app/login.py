"""How callers of the server prove who they are, as it was told."""

import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tollbook.app.settings import DEV_LOGIN, ServerSettings
from tollbook.core.caller import Caller
from tollbook.core.loopback import is_loopback
from tollbook.core.stores import Store
from tollbook.hosting.answers import Exchange, Page, Refusal, Scope
from tollbook.hosting.app import Authenticate, anyone
from tollbook.hosting.auth.gate import Gate
from tollbook.hosting.auth.settings import AuthSettings
from tollbook.hosting.auth.token import Rules

_DEV_SCOPE: Final = "tollbook"


class Login(msgspec.Struct, frozen=True):
    """What a host needs to know who asks: see `tollbook.hosting.host`."""

    authenticate: Authenticate = anyone
    pages: Mapping[str, Page] = {}


def login_of(settings: ServerSettings, store: Store) -> Login:
    """The login that `settings` ask for.

    Raises:
        UsageError: it is one that may not be offered here.
    """
    if settings.access is not None:
        gate = Gate(settings.access, store)
        return Login(gate.authenticate, gate.pages)
    login = _dev_login(settings, store) if settings.auth == DEV_LOGIN else Login()
    return _on_this_machine(login) if settings.is_local_only else login


def _on_this_machine(login: Login) -> Login:
    """`login`, for whoever reaches the server at a loopback address; nobody else gets an answer.

    The settings say as much, but who runs the app under a server of his own may have that listen anywhere.
    """

    async def authenticate(scope: Scope) -> Caller:
        _check_address(scope)
        return await login.authenticate(scope)

    def near(page: Page) -> Page:
        async def answer(exchange: Exchange) -> None:
            _check_address(exchange.scope)
            await page(exchange)

        return answer

    return Login(authenticate, {path: near(page) for path, page in login.pages.items()})


def _check_address(scope: Scope) -> None:
    address, port = scope.get("server") or ("", 0)
    if port is not None and not is_loopback(address):  # a socket of the file system has no port, and is here
        raise Refusal(403, "This server answers the machine that it runs on, and no other.")


def saying(settings: ServerSettings) -> str:
    """What whoever starts the server should know of it."""
    if settings.auth == DEV_LOGIN:
        from tollbook.app.people import people

        names = ", ".join(f"{person.name} ({person.title})" for person in people())
        return f"Clients log in in the browser, as {names}. That proves nothing: it is there to try."
    if settings.access is not None:
        return f"Callers log in with {settings.access.rules.issuer}, or send an API key."
    what = "call the server" if settings.app else "read the report"
    if settings.public_url:
        return f"There is no login: anyone who can reach {settings.public_url} can {what}."
    if settings.is_loopback:
        return f"There is no login: every program on this machine can {what}. --auth dev shows one."
    return f"There is no login: anyone who can reach this address can {what}."


def _dev_login(settings: ServerSettings, store: Store) -> Login:
    from tollbook.app.people import people
    from tollbook.hosting.dev_login import DevLogin, refuse_elsewhere

    refuse_elsewhere(os.environ, settings.host)
    resource = settings.public_url or settings.local_url
    parts = urlsplit(resource)
    base = f"{parts.scheme}://{parts.netloc}"
    dev = DevLogin(store, base=base, resource=resource, scopes=(_DEV_SCOPE,), users=people())
    access = AuthSettings(
        rules=Rules(issuer=dev.issuer, audience=resource),
        public_url=resource,
        scopes=(_DEV_SCOPE,),
        offered_scopes=(_DEV_SCOPE,),
    )
    gate = Gate(access, store, keys=dev.jwks)
    return Login(gate.authenticate, {**gate.pages, **dev.pages})
