"""How callers of the server prove who they are, as it was told."""

import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tollbook.app.settings import DEV_LOGIN, NO_LOGIN, ServerSettings
from tollbook.core.stores import Store
from tollbook.hosting.answers import Page
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
    if settings.auth == NO_LOGIN:
        return Login()
    if settings.auth == DEV_LOGIN:
        return _dev_login(settings, store)
    assert settings.access is not None  # noqa: S101 - `read_settings` saw to it
    gate = Gate(settings.access, store)
    return Login(gate.authenticate, gate.pages)


def saying(settings: ServerSettings) -> str:
    """What whoever starts the server should know of it."""
    if settings.auth == DEV_LOGIN:
        from tollbook.app.people import people

        names = ", ".join(person.name for person in people())
        return f"Clients log in in the browser, as one of {names}. That proves nothing: it is there to try."
    if settings.access is not None:
        return f"Callers log in with {settings.access.rules.issuer}, or send an API key."
    if settings.is_loopback:
        return "There is no login: every program on this machine can read the report. --auth dev shows one."
    return "There is no login: anyone who can reach this address can read the report."


def _dev_login(settings: ServerSettings, store: Store) -> Login:
    from tollbook.app.people import people
    from tollbook.hosting.dev_login import DevLogin, refuse_elsewhere

    refuse_elsewhere(os.environ, settings.host)
    parts = urlsplit(settings.local_url)
    base = f"{parts.scheme}://{parts.netloc}"
    dev = DevLogin(store, base=base, resource=settings.local_url, scopes=(_DEV_SCOPE,), users=people())
    access = AuthSettings(
        rules=Rules(issuer=dev.issuer, audience=settings.local_url),
        public_url=settings.local_url,
        scopes=(_DEV_SCOPE,),
        offered_scopes=(_DEV_SCOPE,),
    )
    gate = Gate(access, store, keys=dev.jwks)
    return Login(gate.authenticate, {**gate.pages, **dev.pages})
