"""The way of a host to a server and through its login, walked step by step: the first failure is the cause.

Whatever depends on what failed is skipped, so that what is said last is not what is mended first.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final

import httpx2
import msgspec

from tollbook import __version__
from tollbook.client.login.bearer import Fixed
from tollbook.client.login.guard import Guard, Realm, looked_up, realm_of
from tollbook.client.login.provider import Challenge
from tollbook.client.status import shown
from tollbook.client.targets import Target, url_of
from tollbook.client.trouble import ClientError
from tollbook.core.stores import Clock
from tollbook.doctor import challenge, hosts, metadata, preflight, reach, speaking
from tollbook.doctor.asking import PATIENCE_S, Asker, Reply, fetched
from tollbook.doctor.finding import SHORT, Finding, failed, failed_with, ok, skipped, unknown, without
from tollbook.doctor.metadata import Document

_OF_SERVER: Final = (metadata.SERVER, metadata.PKCE, metadata.PUBLIC, metadata.CLIENTS, metadata.KEYS)
_ALL_OF_LOGIN: Final = (metadata.RESOURCE, metadata.SCOPES, *(host.check for host in hosts.HOSTS), *_OF_SERVER)
_OF_SPEAKING: Final = (
    speaking.TOKEN,
    speaking.MODERN,
    speaking.HANDSHAKE,
    speaking.TOOLS,
    speaking.STREAMING,
    speaking.SESSION,
)
_POST: Final = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
_FIRST: Final = msgspec.json.encode(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "tollbook doctor", "version": __version__},
        },
    }
)


async def chain(
    url: str,
    *,
    now: Clock,
    elapsed: Clock,
    token: str | None = None,
    auth: httpx2.Auth | None = None,
    headers: Mapping[str, str] | None = None,
    patience_s: float = PATIENCE_S,
) -> AsyncIterator[Finding]:
    """What is found at the server at `url`, in order, as it is found. Every request is bounded in time and size.

    A server may say again what it was sent: no token that it got, and no value of `headers`, stands in a finding.

    Args:
        url: of its MCP endpoint.
        now: the time, in seconds since 1970.
        elapsed: seconds since whenever, for spans.
        token: an access token or an API key, if there is one.
        auth: puts a login on requests, if there is one; `token` goes before it.
        headers: of every request to the server.

    Raises:
        UsageError: `url` is no address of a server; or the token would go where anyone can read it.
    """
    url = url_of(url)
    credential = Fixed(url, token) if token else auth
    secrets = {token or "", *(secret for value in (headers or {}).values() for secret in _secrets_of(value))}
    noted = _Noted(credential, secrets) if credential else None
    async for finding in _found(url, now, elapsed, noted, headers or {}, patience_s):
        yield without(finding, secrets)


async def _found(
    url: str, now: Clock, elapsed: Clock, credential: httpx2.Auth | None, headers: Mapping[str, str], patience_s: float
) -> AsyncIterator[Finding]:
    # What a host is told that has no token is seen without one.
    plain = {name: value for name, value in headers.items() if name.lower() != "authorization"}
    async with Asker(url, patience_s, plain) as asker:
        walk = _Walk(url, asker, patience_s)
        async for finding in walk.findings(now):
            yield finding
    if walk.ends:
        for finding in _skipped(_OF_SPEAKING, walk.ends):
            yield finding
        return
    conversation = speaking.Conversation(
        Target(name=shown(url), url=url, headers=headers),
        credential,
        has_token=credential is not None or len(plain) < len(headers),
        wants_login=not walk.is_open,
        can_log_in=walk.can_log_in,
        elapsed=elapsed,
        patience_s=patience_s,
    )
    async for finding in conversation.findings():
        yield finding


class _Noted(httpx2.Auth):
    """Does what `auth` does, and adds what it sends to `secrets`: a login may be renewed on the way."""

    def __init__(self, auth: httpx2.Auth, secrets: set[str]) -> None:
        self._auth, self._secrets = auth, secrets

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        async with aclosing(self._auth.async_auth_flow(request)) as flow:
            response: Any = None
            while True:
                try:
                    asked = await flow.asend(response)
                except StopAsyncIteration:
                    return
                self._secrets.update(_secrets_of(asked.headers.get("authorization", "")))
                response = yield asked


def _secrets_of(value: str) -> Sequence[str]:
    """What of a header's value must not be shown: all of it, a token without its scheme, and the values of cookies."""
    parts = [part for part in re.split(r"[\s,;]+", value) if len(part) >= SHORT]
    return [value, re.sub(r"^\w+ +", "", value), *parts, *re.findall(r"=([^\s,;=]{4,})", value)]


class _Walk:
    """As far as one gets without a token.

    Attributes:
        ends: why there is no use in going on; empty where there is.
        is_open: nobody is asked to log in.
        can_log_in: `tollbook login` learns where.
    """

    def __init__(self, url: str, asker: Asker, patience_s: float) -> None:
        self._url, self._asker, self._patience_s = url, asker, patience_s
        self._realm: Realm = "public"
        self.ends, self.is_open, self.can_log_in = "", False, False

    async def findings(self, now: Clock) -> AsyncIterator[Finding]:
        try:
            healthy = await self._asker.ask("GET", reach.health_of(self._url))
            received = now()
            self._realm = await _realm(self._url)
        except ClientError as fault:
            self.ends = f"'{reach.ADDRESS}' failed"
            yield failed_with(reach.ADDRESS, fault)
            for finding in _skipped(
                (reach.HEALTH, reach.CLOCK, challenge.CHECK, *_ALL_OF_LOGIN, preflight.CHECK), self.ends
            ):
                yield finding
            return
        yield ok(reach.ADDRESS, f"{shown(self._url)} answers.", realm=self._realm)
        health = reach.judged_health(healthy, self._url)
        yield health
        yield reach.judged_clock(healthy.headers.get("date"), received)
        async for finding in self._login(health):
            yield finding
        async for finding in self._pages():
            yield finding

    async def _login(self, health: Finding) -> AsyncIterator[Finding]:
        if health.status == "failed":
            self.ends = f"'{reach.HEALTH}' failed"
            for finding in _skipped((challenge.CHECK, *_ALL_OF_LOGIN), self.ends):
                yield finding
            return
        try:
            asked = await self._asked()
        except ClientError as fault:
            asked = challenge.Asked(failed_with(challenge.CHECK, fault))
        yield asked.finding
        self.is_open = asked.is_open
        if not asked.wants_login:
            why = "it asks nobody to log in" if asked.is_open else f"'{challenge.CHECK}' failed"
            self.ends = "" if asked.is_open else why
            for finding in _skipped(_ALL_OF_LOGIN, why):
                yield finding
            return
        async with Guard(self._realm, server=self._url, patience_s=self._patience_s) as guard:
            # Without the header hosts look at the well-known places all the same.
            async for finding in self._metadata(guard, asked.challenge or Challenge(401)):
                yield finding

    async def _asked(self) -> challenge.Asked:
        """What is answered to whoever has no token; a session that this opens is ended."""
        reply = await self._asker.ask("POST", self._url, _POST, _FIRST)
        session = reply.headers.get("mcp-session-id", "")
        if reply.status < 300 and session.isascii() and session.isprintable() and session:
            with suppress(ClientError):
                await self._asker.ask("DELETE", self._url, {**_POST, "mcp-session-id": session})
        return challenge.judged(reply, self._url, self._realm)

    async def _metadata(self, guard: Guard, asked: Challenge) -> AsyncIterator[Finding]:
        places = hosts.places(self._url, asked.metadata)
        documents: dict[str, Document] = {}
        faults: dict[str, Finding] = {}
        for place in dict.fromkeys(places.values()):
            found = await _document(guard, place, metadata.RESOURCE)
            if isinstance(found, Finding):
                faults[place] = found
            else:
                documents[place] = found
        if asked.metadata is None and not documents:
            for finding in _skipped(_ALL_OF_LOGIN, f"'{challenge.CHECK}' failed"):
                yield finding
            return
        named = asked.metadata or next(iter(documents))
        resource = documents.get(named)
        if resource is None:
            yield faults[named]
            yield skipped(metadata.SCOPES, f"'{metadata.RESOURCE}' failed")
        else:
            judged = metadata.judged_resource(resource, self._url, named)
            yield judged
            yield metadata.judged_scopes(resource, asked.scopes)
            resource = resource if judged.status == "ok" else None
        for host in hosts.HOSTS:
            walked = hosts.walked(host, self._url, places, documents)
            self.can_log_in = walked.status == "ok" if host.name == hosts.OURS else self.can_log_in
            yield walked
        if resource is None:
            for finding in _skipped(_OF_SERVER, f"'{metadata.RESOURCE}' failed"):
                yield finding
            return
        async for finding in self._server(guard, resource["authorization_servers"][0]):
            yield finding

    async def _server(self, guard: Guard, issuer: str) -> AsyncIterator[Finding]:
        """The authorization server that comes first, which is the one that hosts take."""
        checks = list(_OF_SERVER)
        document: Document | None = None
        async for finding, found in _server_of(guard, issuer):
            document = found
            checks.remove(finding.check)
            yield finding
        if document is not None:
            keys = document.get("jwks_uri")
            checks.remove(metadata.KEYS)
            if isinstance(keys, str):
                yield await _keys(guard, keys)
            else:
                yield unknown(metadata.KEYS, "The login server does not say where its keys are (jwks_uri).")
        for finding in _skipped(checks, f"'{metadata.SERVER}' failed"):
            yield finding

    async def _pages(self) -> AsyncIterator[Finding]:
        if self.ends:
            yield skipped(preflight.CHECK, self.ends)
            return
        try:
            yield preflight.judged(await self._asker.ask("OPTIONS", self._url, preflight.REQUEST))
            if self._realm == "loopback":
                strange = {**_POST, "origin": preflight.STRANGE_PAGE}
                yield preflight.judged_strange(await self._asker.ask("POST", self._url, strange, _FIRST))
        except ClientError as fault:
            yield failed_with(preflight.CHECK, fault)


async def _realm(url: str) -> Realm:
    """Where the server is. Behind a proxy its name need not lead anywhere from here; then it is taken to be public."""
    try:
        return await realm_of(url, looked_up)
    except ClientError:
        return "public"


async def _document(guard: Guard, place: str, check: str) -> Document | Finding:
    """The JSON object at `place`, or why there is none."""
    try:
        reply = await fetched(guard, place)
    except ClientError as fault:
        return failed_with(check, fault, place=place)
    return _object(reply, place, check)


def _object(reply: Reply, place: str, check: str) -> Document | Finding:
    if reply.status != 200:
        said = f"The metadata that the server names is not at {shown(place)} (status {reply.status})."
        remedy = "Serve it there without a login; behind API Gateway, leave /.well-known/{proxy+} open."
        return failed(check, said, remedy, status=reply.status, place=place)
    document = reply.document
    if document is None:
        said = f"What lies at {shown(place)} is no JSON object."
        return failed(check, said, "See whether a page of a web site is served in its place.", place=place)
    return document


async def _server_of(guard: Guard, issuer: str) -> AsyncIterator[tuple[Finding, Document | None]]:
    """What is found of an authorization server, each with its metadata if that can be used."""
    first: Finding | None = None
    try:
        places: Sequence[str] = metadata.addresses_of(issuer)
    except ValueError:
        places = ()
    for place in places:
        found = await _document(guard, place, metadata.SERVER)
        if isinstance(found, Finding):
            first = first or found
            continue
        for finding in metadata.judged_server(found, issuer, place):
            yield finding, None if finding.status == "failed" and finding.check == metadata.SERVER else found
        return
    yield first or failed(metadata.SERVER, "The issuer that is named is no web address.", "Check OAUTH_ISSUER."), None


async def _keys(guard: Guard, place: str) -> Finding:
    try:
        reply = await fetched(guard, place)
    except ClientError as fault:
        return failed_with(metadata.KEYS, fault, place=place)
    return metadata.judged_keys(reply.document, reply.status, place)


def _skipped(checks: Sequence[str], why: str) -> Sequence[Finding]:
    return [skipped(check, why) for check in checks]
