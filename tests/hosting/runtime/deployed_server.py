"""A small server with a login and a store that its instances share, as a deployment has it.

Its tools wait for a file where those of `a_server` wait for a test, and note in others what became of them.
"""

import asyncio
import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.hosting.serving import Stage
from tests.threats.door import a_small_server
from tollbook.hosting import HostSettings, host, log_as_json
from tollbook.hosting.app import Host
from tollbook.hosting.auth.gate import Gate
from tollbook.hosting.auth.settings import auth_settings_from
from tollbook.hosting.stores import open_store

ENTERED: Final = "entered"
CANCELLED: Final = "cancelled"
GO: Final = "go"
_STEP_S: Final = 0.02


class Notes(Stage):
    """A stage whose test is in another process."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    async def wait(self) -> None:
        (self._folder / ENTERED).touch()
        try:
            while not (self._folder / GO).exists():
                await asyncio.sleep(_STEP_S)
        except asyncio.CancelledError:
            (self._folder / CANCELLED).touch()
            raise


def app() -> Host:
    """As the environment sets it: NOTES is the folder of the files, UNHEARD_SECONDS the grace of who has left."""
    log_as_json()
    access, store = auth_settings_from(os.environ), open_store(os.environ["SESSION_STORE"])
    gate = Gate(access, store)
    settings = HostSettings(
        allowed_hosts=(urlsplit(access.public_url).netloc, os.environ["ALLOWED_HOSTS"]),
        unheard_s=float(os.environ.get("UNHEARD_SECONDS", "60")),
    )
    server = a_small_server(Notes(Path(os.environ["NOTES"])))
    return host(server, store, settings, authenticate=gate.authenticate, pages=gate.pages)
