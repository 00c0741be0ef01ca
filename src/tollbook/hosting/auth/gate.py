"""The gate: says who sent a request, or refuses it before anything is done for it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tollbook.core.caller import Caller
from tollbook.core.errors import StoreDown
from tollbook.core.stores import Clock, Store
from tollbook.hosting.answers import Answer, Exchange, Page, Refusal, Scope, check_method
from tollbook.hosting.auth import metadata, token
from tollbook.hosting.auth.apikeys import ApiKeys, is_api_key
from tollbook.hosting.auth.challenge import Challenges, too_many
from tollbook.hosting.auth.credential import bearer, is_bearer
from tollbook.hosting.auth.fetching import PATIENCE_S, NotFetched
from tollbook.hosting.auth.issuer import Issuer
from tollbook.hosting.auth.keys import Age, Key, KeySet
from tollbook.hosting.auth.settings import AuthSettings, allows
from tollbook.hosting.auth.throttle import Throttle
from tollbook.hosting.invocation import Invocation, invocation_of

FetchKeys = Callable[[], Awaitable[bytes]]
"""Gives an issuer's key set as he writes it; raises NotFetched, or StoreDown where it lies in a store."""

_log: Final = logging.getLogger(__name__)
_CACHED: Final = ((b"cache-control", b"public, max-age=300"),)


class Gate:
    """Lets in who proves who he is with an access token or an API key.

    Give `authenticate` and `pages` to `tollbook.hosting.host`.
    """

    def __init__(
        self,
        settings: AuthSettings,
        store: Store,
        *,
        path: str = "/mcp",
        keys: FetchKeys | None = None,
        clock: Clock = time.time,
    ) -> None:
        """Asks nobody yet.

        Args:
            store: where API keys are.
            path: of the MCP endpoint, as this server knows it.
            keys: gives the issuer's keys; from the network, unless they are nearer.
        """
        self._settings, self._clock = settings, clock
        self._issuer = Issuer(settings)
        self._places = metadata.places_of(settings.public_url, path)
        self._challenges = Challenges(self._places.document, settings.scopes)
        self._remembered = token.Remembered()
        self._keys = _IssuerKeys(keys or self._keys_from_afar, self._remembered.forget, clock)
        self._api_keys = ApiKeys(store, clock)
        self._throttle = Throttle()
        self._shim = _Shim(self._settings, self._places, self._issuer, clock)
        resource = _constant(metadata.resource_document(settings, self._places))
        self.pages: Mapping[str, Page] = dict.fromkeys(self._places.paths, resource)
        if settings.has_shim:
            self.pages |= {metadata.SERVER: self._shim.page, metadata.OPENID: self._shim.page}
        else:
            elsewhere = metadata.addresses_of(settings.rules.issuer)[0]
            self.pages |= {metadata.SERVER: _redirect(elsewhere)}

    async def authenticate(self, scope: Scope) -> Caller:
        """Who sent a request.

        Raises:
            Refusal: it is not proven, or does not suffice.
            StoreDown: an API key cannot be looked up.
        """
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if not any(map(is_bearer, given)):
            raise self._challenges.login()
        now = self._clock()
        credential = bearer(given)
        caller = self._remembered.get(credential, now)
        if caller is None:
            peer = (scope.get("client") or ("",))[0]
            wait_s = self._throttle.wait_s(peer, now)
            if wait_s and not self._remembered.knew(credential, now):
                raise too_many(wait_s)
            try:
                caller = await self._verified(credential, now, invocation_of(scope))
            except token.BadToken as bad:
                self._remembered.drop(credential)
                if (
                    self._keys.are_usable or bad.reason != token.UNKNOWN_KEY
                ):  # else it may be good, and the issuer is away
                    self._throttle.failed(peer, now)
                raise self._challenges.invalid(bad.reason) from None
        if not allows(caller, self._settings):
            raise self._challenges.insufficient()
        return caller

    async def _verified(self, credential: str, now: float, invocation: Invocation | None) -> Caller:
        if not credential:
            raise token.BadToken("no bearer token")
        if is_api_key(credential):
            caller = await self._api_keys.caller(credential)
            if caller is None:
                raise token.BadToken("API key")
            self._remembered.add(credential, caller, now, is_believed=False)  # by the next time it may be revoked
            return caller
        unsigned = token.read(credential, self._settings.rules, now)
        caller = token.verified(unsigned, await self._keys.get(unsigned.kid, unsigned.algorithm, invocation))
        self._remembered.add(credential, caller, now)
        return caller

    async def _keys_from_afar(self) -> bytes:
        return await asyncio.to_thread(self._issuer.keys)


class _Asking:
    """Asks an issuer for something, once at a time, whoever waits for it."""

    def __init__(self, what: str, ask: Callable[[], Awaitable[None]]) -> None:
        self._what, self._ask = what, ask
        self._task: asyncio.Task[None] | None = None

    def begin(self, invocation: Invocation | None) -> None:
        """Asks, unless it is asking.

        Args:
            invocation: must last until there is an answer, for whoever does not wait for that.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._try())
        if invocation is not None:
            invocation.wait_until(self._task)

    async def wait(self) -> None:
        """Waits for the answer, if it was asked for. Who leaves meanwhile does not end what others wait for."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def _try(self) -> None:
        try:
            # Two places of the metadata, then the keys; and no name is looked up for ever.
            async with asyncio.timeout(3 * PATIENCE_S + 1):
                await self._ask()
        except (NotFetched, StoreDown, ValueError, TimeoutError) as fault:
            _log.warning(
                f"the issuer's {self._what} cannot be had", extra={"reason": str(fault) or type(fault).__name__}
            )
        except Exception:
            _log.exception(f"the issuer's {self._what} could not be read")
        finally:
            self._task = None


class _IssuerKeys:
    """An issuer's keys. Old ones are good while he is asked for new ones, and while he is away."""

    def __init__(self, get: FetchKeys, forget: Callable[[], None], clock: Clock) -> None:
        self._get, self._forget, self._clock = get, forget, clock
        self._set = KeySet()
        self._asking = _Asking("keys", self._ask)

    async def get(self, kid: str, algorithm: str, invocation: Invocation | None) -> Key | None:
        """The key of that id, if the issuer has it."""
        now = self._clock()
        if self._set.is_due(kid, algorithm, now):
            self._set.ask(now)
            self._asking.begin(invocation)
        found = self._set.find(kid, algorithm, now)
        if found is None:
            await self._asking.wait()
            found = self._set.find(kid, algorithm, self._clock())
        return found

    @property
    def are_usable(self) -> bool:
        return self._set.is_usable(self._clock())

    async def _ask(self) -> None:
        if self._set.take(await self._get(), self._clock()):
            self._forget()


class _Shim:
    """The authorization server's metadata, made whole. An old one is good for as long as old keys are."""

    def __init__(self, settings: AuthSettings, places: metadata.Places, issuer: Issuer, clock: Clock) -> None:
        self._settings, self._places, self._issuer, self._clock = settings, places, issuer, clock
        self._document, self._age = b"", Age()
        self._asking = _Asking("metadata", self._ask)

    async def page(self, exchange: Exchange) -> None:
        check_method(exchange, "GET", "HEAD")
        now = self._clock()
        if self._age.is_due(now):
            self._age.ask(now)
            self._asking.begin(exchange.invocation)
        if not self._age.is_usable(now):
            await self._asking.wait()
        if not self._age.is_usable(self._clock()):
            raise Refusal(503, "The authorization server cannot be reached.", headers=((b"retry-after", b"30"),))
        await exchange.answer(Answer(200, self._document, _CACHED))

    async def _ask(self) -> None:
        theirs = await asyncio.to_thread(self._issuer.metadata)
        self._document = metadata.shim_document(self._settings, self._places, theirs)
        self._age.answer(self._clock())


def _constant(document: bytes) -> Page:
    async def page(exchange: Exchange) -> None:
        check_method(exchange, "GET", "HEAD")
        await exchange.answer(Answer(200, document, _CACHED))

    return page


def _redirect(url: str) -> Page:
    async def page(exchange: Exchange) -> None:
        check_method(exchange, "GET", "HEAD")
        await exchange.answer(Answer(302, b"", ((b"location", url.encode("ascii")), *_CACHED)))

    return page
