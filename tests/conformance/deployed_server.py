"""The fixtures as they are deployed on Lambda: behind a login, with a store that the instances share."""

import os
from urllib.parse import urlsplit

from tests.conformance.fixture_server import server
from tollbook.hosting import HostSettings, host, log_as_json
from tollbook.hosting.app import Host
from tollbook.hosting.auth.gate import Gate
from tollbook.hosting.auth.settings import auth_settings_from
from tollbook.hosting.stores import open_store


def app() -> Host:
    """As the environment sets it."""
    log_as_json("warning")
    access, store = auth_settings_from(os.environ), open_store(os.environ["SESSION_STORE"])
    gate = Gate(access, store)
    settings = HostSettings(allowed_hosts=(urlsplit(access.public_url).netloc,))
    return host(server, store, settings, authenticate=gate.authenticate, pages=gate.pages)
