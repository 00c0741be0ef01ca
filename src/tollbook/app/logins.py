"""Logins as the client's commands need them: made, kept, told of and ended."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from tollbook.client.settings import AuthMethod, ClientSettings
from tollbook.client.targets import Target
from tollbook.client.trouble import LoginNeeded
from tollbook.core.errors import UsageError
from tollbook.core.text import printable

if TYPE_CHECKING:
    import httpx2

    from tollbook.client.login.login import Login
    from tollbook.client.login.vault import Vault
    from tollbook.client.login.ways import Ways

Say = Callable[[str], None]

_SPANS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How to log in, where that is not a setting.

    Attributes:
        user: logs in with a password.
        is_program: logs in without any user, as the client itself.
        pastes: a browser on another machine is used.
    """

    user: str | None = None
    is_program: bool = False
    pastes: bool = False


class KeptLogins:
    """The logins of this user on this machine; a `Logins` of the prompt.

    Args:
        say: is told what happens besides.
        has_token: whether the token of the settings is meant for a server.
    """

    def __init__(
        self, settings: ClientSettings, say: Say, has_token: Callable[[Target], bool], manner: Manner | None = None
    ) -> None:
        self._settings, self._say, self._manner = settings, say, manner or Manner()
        self._is_meant = has_token
        self._opened: Vault | None = None

    @property
    def _vault(self) -> "Vault":
        if self._opened is None:
            from platformdirs import user_data_path

            from tollbook.client.login.vault import Vault

            folder = user_data_path("tollbook", appauthor=False) / "logins"
            self._opened = Vault(folder, self._settings.keep_in, time.time, say=self._say)
        return self._opened

    def auth(self, target: Target, method: AuthMethod) -> "httpx2.Auth | None":
        """What puts credentials on requests to `target`; None where it has its own, or needs none.

        Raises:
            UsageError: the access token would go where anyone can read it.
        """
        if target.url is None or "authorization" in map(str.lower, target.headers):
            return None
        from tollbook.client.login.bearer import Bearer, Fixed

        if self._has_token(target, method):
            return Fixed(target.url, self._settings.token or "")
        return None if method == "lambda" else Bearer(target.url, self._vault, time.time, say=self._say)

    async def log_in(self, target: Target, needed: LoginNeeded | None = None) -> str:
        """Logs in; a sentence says who is logged in now."""
        from tollbook.client.login.flow import log_in
        from tollbook.client.login.login import shown

        more = needed.scopes if needed else ()
        login = await log_in(_url(target), self._ways(), self._vault, _Person(), time.time, more=more)
        who = f" as {login.subject}" if login.subject else ""
        return f"Logged in at {shown(login.resource)}{who}, {_until(login, time.time())}."

    async def log_out(self, target: Target) -> str:
        """Takes the login back and forgets it; a sentence says so."""
        from tollbook.client.login.login import shown
        from tollbook.client.login.logout import log_out

        done = await log_out(_url(target), self._vault, time.time)
        for sentence in done.left:
            self._say(sentence)
        where = shown(_url(target))
        return f"Logged out at {where}." if done.logins else f"There was no login at {where}."

    async def refresh(self, target: Target) -> str:
        """Fetches a new access token; a sentence says how long it holds."""
        from tollbook.client.login.login import shown
        from tollbook.client.login.refresh import renew

        url = _url(target)
        login = await asyncio.to_thread(self._vault.find, url)
        if login is None:
            raise LoginNeeded(f"There is no login at {shown(url)} to renew. Log in first.")
        login = await renew(url, self._vault, time.time, instead_of=login, say=self._say)
        return f"The access token is new, {_until(login, time.time())}."

    async def status(self, target: Target) -> Sequence[tuple[str, str]]:
        """Who is logged in there, with which scopes, for how long."""
        rows = [("server", printable(target.url or target.name))]
        if target.url is None:
            return [*rows, ("login", "none is needed: it is a process of this machine")]
        if "authorization" in map(str.lower, target.headers):
            return [*rows, ("login", "the Authorization header that was given is sent")]
        if self._has_token(target, self._settings.auth_method):
            return [*rows, ("login", "the access token that was given is sent")]
        login = await asyncio.to_thread(self._vault.find, target.url)
        return [*rows, *(_facts(login, time.time()) if login else [("login", "none")])]

    async def every(self) -> Sequence[Sequence[tuple[str, str]]]:
        """What is known of each login that is kept."""
        now = time.time()
        logins = await asyncio.to_thread(self._vault.all)
        return [[("server", printable(login.resource)), *_facts(login, now)] for login in logins]

    def _has_token(self, target: Target, method: AuthMethod) -> bool:
        return self._settings.token is not None and method != "oauth" and self._is_meant(target)

    def _ways(self) -> "Ways":
        from tollbook.client.login.ways import Ways

        settings, manner = self._settings, self._manner
        return Ways(
            grant="client_credentials" if manner.is_program else "password" if manner.user else "authorization_code",
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            client_key=settings.client_key,
            client_metadata_url=settings.client_metadata_url,
            issuer=settings.issuer,
            redirect_uri=settings.redirect_uri,
            scopes=settings.scopes,
            paste=manner.pastes,
            user=manner.user,
        )


class _Person:
    """Whoever sits at the terminal; a `Person` of the login."""

    def tell(self, text: str) -> None:
        # Not by way of the screen, which breaks lines: an address must be copied whole.
        print(text, file=sys.stderr, flush=True)

    def open_page(self, url: str) -> bool:
        return open_page(url)

    async def read(self, question: str) -> str:
        return await self._typed(question, is_secret=False)

    async def read_secretly(self, question: str) -> str:
        return await self._typed(question, is_secret=True)

    async def _typed(self, question: str, *, is_secret: bool) -> str:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise LoginNeeded("This login needs someone to answer. Run it at a terminal.")
        from prompt_toolkit import PromptSession
        from prompt_toolkit.output import create_output

        session: PromptSession[str] = PromptSession(output=create_output(sys.stderr))
        try:
            # Its own handling of SIGINT would take ours away, and a second Ctrl-C would end the program.
            return await session.prompt_async(question, is_password=is_secret, handle_sigint=False)
        except KeyboardInterrupt:
            raise asyncio.CancelledError from None
        except EOFError as fault:
            raise LoginNeeded("The login was broken off.") from fault


def open_page(url: str) -> bool:
    """Opens a page in the user's browser; False where none has a window to open."""
    if sys.platform == "linux" and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))):
        return False  # the browser found would be one of text, and take the terminal
    import webbrowser

    return webbrowser.open(url)


def _url(target: Target) -> str:
    if target.url is None:
        raise UsageError(f"'{target.name}' is a process of this machine: there is nowhere to log in.")
    return target.url


def _facts(login: "Login", now: float) -> Iterator[tuple[str, str]]:
    if login.subject:
        yield "logged in as", printable(login.subject)
    yield "issuer", printable(login.issuer)
    yield "client", printable(login.client_id)
    yield "scopes", printable(" ".join(login.scopes)) or "not said"
    yield "access token", _until(login, now)


def _until(login: "Login", now: float) -> str:
    renews = "; it renews itself" if login.is_renewable else ""
    if login.expires is None:
        return f"good until the server refuses it{renews}"
    ends = (
        f"good for {_span(login.expires - now)}" if now < login.expires else f"ended {_span(now - login.expires)} ago"
    )
    return ends + renews


def _span(seconds: float) -> str:
    size, unit = next(((size, unit) for size, unit in _SPANS if seconds >= size), _SPANS[-1])
    number = round(seconds / size)
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
