"""How a user or a program logs in at a server."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Sequence
from typing import Final

import httpx2
import msgspec

from tollbook import __version__
from tollbook.client.login import code, machine, password
from tollbook.client.login.browser import Person
from tollbook.client.login.guard import Guard, Resolve, looked_up, realm_of
from tollbook.client.login.login import Login, canonical, shown
from tollbook.client.login.provider import Challenge, Nowhere, challenge_of
from tollbook.client.login.secrets import VaultError
from tollbook.client.login.vault import Vault
from tollbook.client.login.ways import Ways
from tollbook.client.protocol import MODERN_VERSIONS
from tollbook.client.trouble import ClientError, LoginNeeded
from tollbook.core.loopback import is_loopback
from tollbook.core.stores import Clock
from tollbook.core.text import printable

_MOST_STEPS_UP: Final = 3


async def log_in(
    resource: str,
    ways: Ways,
    vault: Vault,
    person: Person | None,
    clock: Clock,
    *,
    more: Sequence[str] = (),
    resolve: Resolve = looked_up,
    trust: ssl.SSLContext | None = None,
) -> Login:
    """Logs in at a server because the user wants it: `tollbook login`. The login is in the vault.

    Args:
        more: scopes that the server wants besides those of the login that there is.
        person, resolve, trust: see `Flow`.

    Raises:
        LoginNeeded, ClientError: there is no login; with what to do.
        UsageError: something to log in with is missing.
    """
    flow = Flow(resource, ways, vault, person, clock, resolve=resolve, trust=trust)
    return await flow.log_in_at_once(more)


class Flow:
    """Logs in at one server, as often as it asks for that: a `bearer.Flow`.

    Args:
        person: who can be asked; None: nobody, and then only what needs nobody is done.
        resolve, trust: how names are looked up, and whose certificates are believed.
    """

    def __init__(
        self,
        resource: str,
        ways: Ways,
        vault: Vault,
        person: Person | None,
        clock: Clock,
        *,
        resolve: Resolve = looked_up,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._resource, self._ways, self._vault = canonical(resource), ways, vault
        self._person, self._clock, self._resolve, self._trust = person, clock, resolve, trust
        self._wanted: set[str] = set()
        self._steps_up = 0

    async def __call__(
        self, request: httpx2.Request, response: httpx2.Response, login: Login | None
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Logs in after a refusal. It yields nothing: whatever a login asks for goes through a guard of its own."""
        stream = response.extensions.get("network_stream")
        peer = None if stream is None else stream.get_extra_info("server_addr")
        challenge = challenge_of(response)
        if challenge.status == 403:
            self._check_step_up(challenge, login)
        async with await self._guard(str(peer[0]) if peer else None) as guard:
            await self._keep(await self._made(guard, challenge, login))
        return
        yield request

    async def log_in_at_once(self, more: Sequence[str] = ()) -> Login:
        """Logs in without waiting for a refusal; see `log_in`."""
        before = await asyncio.to_thread(self._vault.find, self._resource) if more else None
        async with await self._guard() as guard:
            response = await guard.send(_probe(self._resource))
            if response.status_code >= 500:
                raise ClientError(
                    f"{shown(self._resource)} answers with status {response.status_code}; try again later."
                )
            # Some answer this of anyone, or do not know it, and say nevertheless where to log in.
            challenge = challenge_of(response) if response.status_code == 401 else Challenge(401)
            if before is not None:
                challenge = Challenge(403, challenge.metadata, tuple(more), "insufficient_scope")
            try:
                login = await self._made(guard, challenge, before)
            except Nowhere:
                if response.is_success:
                    raise ClientError(f"{shown(self._resource)} asks for no login; use it as it is.") from None
                raise
        await self._keep(login)
        return login

    async def _guard(self, peer: str | None = None) -> Guard:
        url = httpx2.URL(self._resource)
        if url.scheme != "https" and not is_loopback(url.host):  # RFC 6750 §5.3
            raise ClientError(
                f"{shown(self._resource)} has no TLS, and whoever is on the way could use a login there; use its https"
                " address."
            )
        realm = await realm_of(self._resource, self._resolve, peer)
        return Guard(realm, server=self._resource, resolve=self._resolve, trust=self._trust)

    def _check_step_up(self, challenge: Challenge, login: Login | None) -> None:
        """Sees to it that nobody is sent to the login page for ever: each time must be for something new.

        Source: https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#scope-challenge-handling
        """
        wanted, server = set(challenge.scopes), shown(self._resource)
        if challenge.error != "insufficient_scope" or not wanted:
            raise LoginNeeded(f"{server} lets this login not do that; ask whoever runs it, or log in as someone else.")
        known = self._wanted.union(() if login is None else login.scopes)
        self._wanted |= wanted
        self._steps_up += 1
        if wanted <= known or self._steps_up > _MOST_STEPS_UP:
            raise LoginNeeded(
                f"{server} still wants {printable(' '.join(sorted(wanted)))}, which was asked for before; ask whoever"
                f" runs it for these scopes, and then run 'tollbook login {server}'."
            )

    async def _made(self, guard: Guard, challenge: Challenge, login: Login | None) -> Login:
        ways, resource = self._ways, self._resource
        challenge = self._with_wishes(challenge)
        if ways.grant == "client_credentials":
            return await machine.log_in(resource, ways, guard, challenge, self._clock)
        if self._person is None:
            raise LoginNeeded(f"{shown(resource)} wants a login; run 'tollbook login {shown(resource)}'.")
        if ways.grant == "password":
            if challenge.status == 403:
                raise LoginNeeded(
                    f"{shown(resource)} wants more than a login by password may do; log in with the browser."
                )
            return await password.log_in(resource, ways, guard, challenge, self._person, self._clock)
        return await code.log_in(resource, ways, guard, challenge, login, self._person, self._clock)

    def _with_wishes(self, challenge: Challenge) -> Challenge:
        """The challenge with the scopes that the user wants in place of those that the server names, or beside them."""
        wishes = self._ways.scopes
        if not wishes:
            return challenge
        beside = challenge.scopes if challenge.status == 403 else ()
        return msgspec.structs.replace(challenge, scopes=tuple(dict.fromkeys((*wishes, *beside))))

    async def _keep(self, login: Login) -> None:
        """Puts a login into the vault, in the place of the one that was used so far."""
        async with self._vault.lock(self._resource):
            try:
                before = await asyncio.to_thread(self._vault.find, self._resource)
                await asyncio.to_thread(self._vault.keep, login)
                if before is not None and (before.issuer, before.client_id) != (login.issuer, login.client_id):
                    await asyncio.to_thread(self._vault.forget, before)
            except VaultError as fault:
                if self._person is not None:
                    self._person.tell(f"{fault} It holds as long as this program runs.")


def _probe(resource: str) -> httpx2.Request:
    """Asks a server what it is; one that wants a login refuses that."""
    version = MODERN_VERSIONS[0]
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "tollbook", "version": __version__},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": meta}}
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": version,
        "mcp-method": "server/discover",
    }
    return httpx2.Request("POST", resource, json=message, headers=headers)
