"""The client put together: which server, with which login, before whom."""

import asyncio
import gc
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx2
import msgspec

from tollbook.app.logins import KeptLogins, Manner, open_page
from tollbook.client.connection import Connection
from tollbook.client.host import Host
from tollbook.client.oneshot import Found, Reporter, Say
from tollbook.client.settings import read_client_settings
from tollbook.client.targets import Target, header_of, names_in, target_of
from tollbook.client.trouble import ClientError
from tollbook.core.errors import UsageError
from tollbook.core.text import printable

if TYPE_CHECKING:
    from tollbook.client.protocol import Answer, Elicitation
    from tollbook.client.screen import Screen

Question = Callable[[Connection, Say], Awaitable[Found]]
"""What is asked of a server; is told whom to tell of remarks."""

_FAREWELL_S: Final = 2.0
_TOOL_FAILED: Final = 5
_STDIN: Final = "-"


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer is printed, and how much beside it."""

    is_json: bool = False
    is_quiet: bool = False
    is_verbose: bool = False


class Client:
    """What was said on the command line and in the environment.

    Args:
        target: which server; None: the one that is set.
        flags: settings by their names.

    Raises:
        UsageError: something of it makes no sense.
    """

    def __init__(
        self,
        target: str | None,
        flags: Mapping[str, str | None],
        *,
        headers: Sequence[str] = (),
        config: Path | None = None,
    ) -> None:
        if flags.get("token") == _STDIN:
            flags = {**flags, "token": sys.stdin.readline().strip()}
        self.settings = read_client_settings(os.environ, {**flags, "server": target})
        self._headers, self._config = dict(map(header_of, headers)), config
        self.is_named = target is not None or bool(os.environ.get("MCP_SERVER_URL"))
        self._first = target_of(self.settings.server, os.environ, Path(), config)
        self.target = self.find(self.settings.server)
        if self._headers and self.target.url is None:
            raise UsageError("A process takes no headers. Leave out --header.")

    def find(self, text: str) -> Target:
        """The server that the user calls `text`."""
        target = target_of(text, os.environ, Path(), self._config)
        headers = self._headers if self.may_know(target) else {}
        return msgspec.structs.replace(target, headers={**target.headers, **headers})

    def may_know(self, target: Target) -> bool:
        """Whether the headers and the token that were given are meant for `target`.

        If a server was named with them, they are that server's: who goes on to another at the prompt does not take them
        there.
        """
        first = self._first.url
        if target.url is None or first is None:
            return target == self._first
        return not self.is_named or httpx2.URL(target.url).origin == httpx2.URL(first).origin

    def logins(self, say: Say, manner: Manner | None = None) -> KeptLogins:
        return KeptLogins(self.settings, say, self.may_know, manner)

    @property
    def names(self) -> Sequence[str]:
        return names_in(Path(), self._config)


def ask(client: Client, what: str, question: Question, form: Form) -> int:
    """Asks a server one question and prints the answer; gives the exit code.

    Args:
        what: the question in a word, to be shown while it takes.
    """
    return asyncio.run(_asked(client, what, question, form))


def stdin_for(words: Sequence[str]) -> Callable[[], str]:
    """Reads the standard input if one of `words` stands for it: before anything is asked, so that Ctrl-C ends it."""
    text = sys.stdin.read() if _STDIN in words else ""
    return lambda: text


async def _asked(client: Client, what: str, question: Question, form: Form) -> int:
    host, during = _host(client, what, form)
    hears_logs = not isinstance(host, Reporter) or host.logs
    connection = Connection(
        client.target,
        host,
        auth=client.logins(host.notice).auth(client.target, client.settings.auth_method),
        era=client.settings.transport_era,
        timeout_s=client.settings.timeout,
        log_level="debug" if hears_logs else None,
        may_elicit=not isinstance(host, Reporter) and sys.stdin.isatty(),
    )
    try:
        async with during:
            found = await question(connection, host.notice)
        return await _print(found, form)
    finally:
        with suppress(ClientError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await connection.terminate()


def _host(client: Client, what: str, form: Form) -> tuple[Host, AbstractAsyncContextManager[None]]:
    """Who is told what happens, and what is shown while it does."""
    debugs = form.is_verbose or client.settings.debug
    if form.is_quiet or not sys.stderr.isatty():
        say = (lambda _: None) if form.is_quiet else _say
        return Reporter(say, logs=form.is_verbose and not form.is_quiet, debugs=debugs), nullcontext()
    from tollbook.client.screen import Running

    running = Running(screen := _screen(), time.monotonic, _elicit(screen, client) if sys.stdin.isatty() else None)
    running.shows_debug = debugs
    return running, running.during(what)


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr)


def _screen() -> "Screen":
    from tollbook.client.screen import Screen

    return Screen(sys.stdout, sys.stderr, os.environ)


def _elicit(screen: "Screen", client: Client) -> "Callable[[Elicitation], Awaitable[Answer]]":
    async def elicit(asked: "Elicitation") -> "Answer":
        from tollbook.client.repl.history import KeptLines
        from tollbook.client.repl.prompt import Terminal

        return await Terminal(screen, KeptLines(None), open_page).elicit(asked, client.target.name)

    return elicit


async def _print(found: Found, form: Form) -> int:
    is_terminal = sys.stdout.isatty()
    if form.is_json:
        print(found.as_json(indented=is_terminal))
    elif is_terminal:
        screen = _screen()
        for part in found.for_screen():
            await screen.show(part)
    elif found.failed:
        _say(f"tollbook: {found.failed}:")
        sys.stderr.write(found.as_text())
    elif found.blob is not None:
        sys.stdout.buffer.write(found.blob)
    else:
        sys.stdout.write(found.as_text())
    sys.stdout.flush()
    return _TOOL_FAILED if found.failed else 0


def connect(client: Client, *, is_verbose: bool) -> int:
    """Talks with a server until the user leaves; gives the exit code."""
    from platformdirs import user_state_path

    from tollbook.client.repl import Setup
    from tollbook.client.repl import connect as talk

    gc.enable()  # this may last
    settings, screen = client.settings, _screen()
    is_person = sys.stdin.isatty() and sys.stdout.isatty()
    setup = Setup(
        target=client.target,
        find=client.find,
        names=client.names,
        logins=client.logins(screen.say),
        method=settings.auth_method,
        era=settings.transport_era,
        timeout_s=settings.timeout,
        debug=settings.debug or is_verbose,
        history=user_state_path("tollbook", appauthor=False) / "history" if is_person else None,
        open_page=open_page,
    )
    return talk(setup, screen, time.monotonic, None if is_person else sys.stdin.fileno())


def log_in(client: Client, manner: Manner) -> int:
    try:
        print(asyncio.run(client.logins(_say, manner).log_in(client.target)), file=sys.stderr)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    return 0


def log_out(client: Client) -> int:
    print(asyncio.run(client.logins(_say).log_out(client.target)), file=sys.stderr)
    return 0


def status(client: Client) -> int:
    """Tells of the login at a server, or of all where none is named."""
    logins = client.logins(_say)
    told = [asyncio.run(logins.status(client.target))] if client.is_named else asyncio.run(logins.every())
    print("\n\n".join("\n".join(f"{name}: {value}" for name, value in rows) for rows in told) or "There is no login.")
    return 0
