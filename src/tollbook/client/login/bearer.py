"""Credentials on requests: of a login, which renews itself, or a token that was given.

Neither goes to another origin than the server's, and over plain http neither leaves this machine.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from typing import Final

import httpx2

from tollbook.client.login.login import Login, canonical, is_token, shown
from tollbook.client.login.secrets import Say
from tollbook.client.login.vault import Vault
from tollbook.client.status import refusal
from tollbook.client.trouble import ClientError, LoginNeeded
from tollbook.core.errors import UsageError
from tollbook.core.loopback import is_loopback
from tollbook.core.stores import Clock

Flow = Callable[[httpx2.Request, httpx2.Response, Login | None], AsyncGenerator[httpx2.Request, httpx2.Response]]
"""Logs in: is told what was asked, how that was refused (without its body), and with which login it was asked.

It yields requests and gets their responses. At its end the vault has another login, or it raises ClientError."""

_PAUSE_S: Final = 30.0  # between attempts to renew a login that still holds


class Bearer(httpx2.Auth):
    """The login that `vault` has for the server at `resource`, whoever made it and whenever.

    It is renewed when most of its life is over, and when it is refused. Where that does not help, or there is none,
    `flow` makes a new one; without a `flow`, requests that are refused raise LoginNeeded.

    Args:
        say: is told what does not work and does no harm yet.
    """

    def __init__(
        self, resource: str, vault: Vault, clock: Clock, *, flow: Flow | None = None, say: Say = lambda _: None
    ) -> None:
        self._resource = canonical(resource)
        self._server = httpx2.URL(self._resource)
        self._vault, self._clock, self._flow, self._say = vault, clock, flow, say
        self._turn = asyncio.Lock()
        self._ended: str | None = None  # the access token of a login that cannot be renewed any more
        self._pause_ends = 0.0

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        if not self._is_ours(request):
            yield request
            return
        login = await self._login()
        response = yield _with(login, request)
        needed = await self._needed(response)
        if needed is not None and response.status_code == 401 and login is not None:
            try:
                login = await self._renewed(login)
            except LoginNeeded as ended:
                needed = ended
            else:
                response = yield _with(login, request)
                needed = await self._needed(response)
        refusals: set[int] = set()
        while needed is not None:
            # RFC 6750 §3.1: 401 asks for a login, and 403 for one that may do more. Each is tried once.
            if self._flow is None or response.status_code in refusals or not _is_safe(self._server):
                raise needed
            refusals.add(response.status_code)
            async with self._turn:
                new = await self._found()
                if not _is_another(new, login):  # nobody logged in while this request waited for its turn
                    async with aclosing(self._flow(request, response, login)) as steps:
                        answer: httpx2.Response | None = None
                        while (asked := await _next(steps, answer)) is not None:
                            answer = yield asked
                    new = await self._found()
            if not _is_another(new, login):
                raise needed
            login = new
            response = yield _with(login, request)
            needed = await self._needed(response)

    async def _login(self) -> Login | None:
        """What to begin with: renewed, if it is time."""
        login = await self._found()
        now = self._clock()
        if login is None or not login.is_due(now) or not login.is_renewable or login.access_token == self._ended:
            return login
        is_alive = login.is_alive(now)
        if is_alive and now < self._pause_ends:
            return login
        try:
            return await self._renewed(login)
        except LoginNeeded:
            # The server may know better than the clock of this machine, and says how to log in if it does not.
            self._ended = login.access_token
            return await self._found()
        except ClientError as fault:
            if not is_alive:
                raise
            self._pause_ends = now + _PAUSE_S
            self._say(f"{fault} It still holds for {(login.expires or now) - now:.0f} s.")
            return login

    async def _found(self) -> Login | None:
        if not _is_safe(self._server) or not self._vault.has(self._resource):
            return None
        return await asyncio.to_thread(self._vault.find, self._resource)

    async def _renewed(self, login: Login) -> Login:
        from tollbook.client.login.refresh import renew  # seldom needed, and it needs much

        async with self._turn:
            return await renew(self._resource, self._vault, self._clock, instead_of=login, say=self._say)

    async def _needed(self, response: httpx2.Response) -> LoginNeeded | None:
        """What is to be said if a response asks for a login, or for another one."""
        if response.status_code not in (401, 403) or not self._is_ours(response.request):  # it may have been redirected
            return None
        fault = refusal(response, b"")
        if not isinstance(fault, LoginNeeded):
            return None
        # httpx2 reads the body before the next request: all of it, however much and however slowly it comes.
        await response.stream.aclose()  # type: ignore[union-attr]  # that of an AsyncClient
        response.stream = httpx2.ByteStream(b"")
        response.headers.pop("content-encoding", None)
        if not _is_safe(self._server):
            return LoginNeeded(
                f"{shown(self._resource)} wants to know who asks, and over plain http anyone on the way could read it."
                " Use its https address."
            )
        return fault

    def _is_ours(self, request: httpx2.Request) -> bool:
        return request.url.origin == self._server.origin


class Fixed(httpx2.Auth):
    """A token that the user gave, for the server at `resource`.

    Raises:
        UsageError: it is no token, or would leave this machine over plain http.
    """

    def __init__(self, resource: str, token: str) -> None:
        self._server, self._token = httpx2.URL(canonical(resource)), token
        if not is_token(token):
            raise UsageError("The token that was given has blanks, line breaks or other signs that no token has.")
        if not _is_safe(self._server):
            raise UsageError(
                f"The token that was given would go to {shown(resource)} where anyone on the way could read it."
                " Use an https address."
            )

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        if request.url.origin != self._server.origin:
            yield request
            return
        request.headers["authorization"] = f"Bearer {self._token}"
        response = yield request
        if response.status_code == 401 and response.request.url.origin == self._server.origin:
            raise LoginNeeded(
                f"{shown(str(self._server))} refuses the token that was given: it has expired, or is for another"
                " server. Give another, or none and log in."
            )


def _is_safe(server: httpx2.URL) -> bool:
    return server.scheme == "https" or is_loopback(server.host)


def _with(login: Login | None, request: httpx2.Request) -> httpx2.Request:
    if login is not None:
        request.headers["authorization"] = f"Bearer {login.access_token}"
    return request


def _is_another(new: Login | None, login: Login | None) -> bool:
    return new is not None and (login is None or new.access_token != login.access_token)


async def _next(
    steps: AsyncGenerator[httpx2.Request, httpx2.Response], answer: httpx2.Response | None
) -> httpx2.Request | None:
    """What a flow asks for next; None at its end."""
    try:
        return await (anext(steps) if answer is None else steps.asend(answer))
    except StopAsyncIteration:
        return None
