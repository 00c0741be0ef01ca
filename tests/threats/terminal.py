"""`tollbook` as a process of a user who logs in with it, and whose browser is the test."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from tests.client.login.people import SignIn, fetched, nobody
from tests.client.shop import Program, Ran

IN_FILES: Final = {"TOLLBOOK_KEEP_IN": "file"}


class LoggingIn:
    """A `tollbook login` that has said where to log in, or has given up before.

    Attributes:
        page: the address of the login page; empty if there is none.
    """

    def __init__(self, page: str) -> None:
        self.page = page
        self._ended: Ran | None = None

    @property
    def asked(self) -> dict[str, str]:
        """What stands in that address."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.page).query).items()}

    @property
    def ran(self) -> Ran:
        """What it came to; only once it has ended."""
        assert self._ended is not None
        return self._ended

    async def comes_back(self, sign_in: SignIn) -> str:
        """Signs in, and goes where the login page sends the browser; gives that address."""
        back = await sign_in(self.page)
        assert (await fetched(back)).status_code == 200
        return back


@asynccontextmanager
async def logging_in(
    tollbook: Program, url: str, words: Sequence[str] = (), **variables: str
) -> AsyncIterator[LoggingIn]:
    """Runs it from when a user can do something to its end; where nobody comes back, the block must not be left."""
    process = await tollbook.start("login", url, *words, **{**IN_FILES, **variables})
    assert process.stderr
    said: list[bytes] = []
    try:
        while (line := await process.stderr.readline()) and not line.startswith(b"http"):
            said.append(line)
        login = LoggingIn(line.decode().strip())
        yield login
        code, out, err = await tollbook.end(process)
        login._ended = Ran(code, out, f"{b''.join([*said, line]).decode()}{err}")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def logged_in(tollbook: Program, url: str, sign_in: SignIn = nobody, *words: str, **variables: str) -> LoggingIn:
    """A whole login, for better or worse; `nobody` where no user may be sent anywhere."""
    async with logging_in(tollbook, url, words, **variables) as login:
        if login.page:
            await login.comes_back(sign_in)
    return login


def kept_by(tollbook: Program) -> list[Path]:
    """The files with secrets in them."""
    return sorted(tollbook.folder.glob("data/tollbook/logins/*.login"))
