"""The fixtures as they are deployed on Lambda: imported lightly, behind a login, with a store that instances share."""

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tollbook.hosting.auth.gate import Gate
from tollbook.hosting.auth.settings import auth_settings_from
from tollbook.hosting.light_import import light_import
from tollbook.hosting.log import log_as_json
from tollbook.hosting.settings import HostSettings
from tollbook.hosting.stores import open_store

if TYPE_CHECKING:
    from tollbook.hosting.app import Host


def app() -> "Host":
    """As the environment sets it."""
    log_as_json("warning")
    access, store = auth_settings_from(os.environ), open_store(os.environ["SESSION_STORE"])
    gate = Gate(access, store)
    settings = HostSettings(allowed_hosts=(urlsplit(access.public_url).netloc,))
    with light_import():
        from tests.conformance.fixture_server import server
        from tollbook.hosting import host

        return host(server, store, settings, authenticate=gate.authenticate, pages=gate.pages)
