"""The app that runs on AWS Lambda, with what is usual there: `tollbook.app.on_lambda:app` makes it.

Instances of a function share nothing but what lies outside of them, and can write below the folder for temporary files
alone: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html

Neither a web server nor the library of AWS is imported before it is needed, and the SDK as far as it must be: a start
is somebody's first request.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import msgspec

from tollbook.app.book import content_of, price_book
from tollbook.app.settings import OAUTH, SETTINGS, ServerSettings, read_settings
from tollbook.app.telemetry import export_spans
from tollbook.core.errors import UsageError
from tollbook.hosting.light_import import light_import
from tollbook.hosting.log import log_as_json
from tollbook.hosting.stores import open_blobs
from tollbook.sources.named import USUAL, one_kind
from tollbook.spend.model import read_names

if TYPE_CHECKING:
    from tollbook.app.server import App
    from tollbook.tools import Asker, Prepared, Question

_DEFAULTS: Final = {
    "AUTH_METHOD": OAUTH[0],
    "SESSION_STORE": "dynamodb:tollbook",
    "TOLLBOOK_METRICS": "emf",
    "TOLLBOOK_SOURCE": USUAL,
}
"""What counts where a variable is not set."""

_ANYWHERE: Final = {"host": "0.0.0.0"}  # noqa: S104 # nothing listens there, and no name of this machine is a client's
_LABELS: Final = {setting.name: setting.label for setting in SETTINGS}


def app() -> "App":
    """The ASGI app as the environment sets it: tollbook's server, or the one that TOLLBOOK_APP names.

    Raises:
        UsageError: with every problem of the environment.
        TollbookError: a file that it names cannot be used.
    """
    settings = lambda_settings(os.environ)
    log_as_json(settings.log_level)
    if not settings.app:
        _check(settings)
    send_last_spans = export_spans(os.environ)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(send_last_spans)

    with light_import():
        from tollbook.app.server import hosted, opened

        return opened(hosted(settings, lambda: _asker(settings)), lifespan)


def lambda_settings(environment: Mapping[str, str]) -> ServerSettings:
    """The settings that `environment` comes to. Whatever it says, others than this machine are expected to ask.

    Raises:
        UsageError: with every problem, each on a line that begins with its flag and variable.
    """
    given = {**_DEFAULTS, **{name: value for name, value in environment.items() if value}}
    problems = [*_unshared(given)]
    try:
        settings = read_settings(given, _ANYWHERE)
        if not problems:
            # What others keep in the user's folders: there is no user.
            aws = msgspec.structs.replace(settings.aws, cache=Path(tempfile.gettempdir()) / "tollbook")
            return msgspec.structs.replace(settings, aws=aws)
    except UsageError as fault:
        problems = [*fault.more, *problems]
    raise UsageError("The server cannot start on Lambda:", problems)


def _unshared(given: Mapping[str, str]) -> Iterator[str]:
    """What instances would have each for itself."""
    store, closed_days = given["SESSION_STORE"], given.get("TOLLBOOK_CLOSED_DAYS", "")
    if store == "memory" or store.startswith("sqlite:"):
        yield f"{_LABELS['session_store']}: instances do not share it; name a table as dynamodb:TABLE."
    if not given.get("REQUEST_STATE_KEYS"):
        yield (
            f"{_LABELS['request_state_keys']}: it is missing; give a secret of 32 characters or more, which every "
            "instance has."
        )
    if closed_days.startswith("s3://"):
        try:
            open_blobs(closed_days)
        except UsageError as fault:
            yield f"{_LABELS['closed_days']}: {fault}"


def _check(settings: ServerSettings) -> None:
    """Looks at the files that every question needs.

    Raises:
        TollbookError: one of them cannot be used.
    """
    if settings.prices is not None:
        price_book(settings.prices)
    if settings.names is not None:
        read_names(content_of(settings.names), str(settings.names))
    settings.aws.listed()


def _asker(settings: ServerSettings) -> "Asker":
    from tollbook.app.server import asker_of

    sources = one_kind(settings.source)
    return asker_of(settings) if not sources or sources[0].kind == "files" else _Late(lambda: asker_of(settings))


class _Late:
    """What answers questions to AWS, made when the first one comes."""

    def __init__(self, make: Callable[[], "Asker"]) -> None:
        self._make, self._making = make, anyio.Lock()
        self._asker: Asker | None = None

    async def prepare(self, question: "Question") -> "Prepared":
        """See `Asker`."""
        async with self._making:
            if self._asker is None:
                self._asker = await anyio.to_thread.run_sync(self._make)
        return await self._asker.prepare(question)
