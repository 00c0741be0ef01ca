"""The authorization server's endpoints.

The SDK's handlers do what the RFCs say of each. What is here is done before and after them: what they let pass, what
they cannot know, and `iss`.
"""

import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from mcp.server.auth.handlers.authorize import AuthorizationHandler
from mcp.server.auth.handlers.register import RegistrationHandler
from mcp.server.auth.handlers.revoke import RevocationHandler
from mcp.server.auth.handlers.token import TokenHandler
from mcp.server.auth.middleware.client_auth import ClientAuthenticator
from mcp.server.auth.settings import ClientRegistrationOptions
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tollbook.core.stores import Clock, Store
from tollbook.core.text import printable
from tollbook.hosting.answers import Exchange, Page, Refusal, check_method
from tollbook.hosting.auth.metadata import SERVER
from tollbook.hosting.dev_login import page
from tollbook.hosting.dev_login.clients import Clients
from tollbook.hosting.dev_login.keys import Signer
from tollbook.hosting.dev_login.metadata import (
    AUTHORIZE,
    GRANT_TYPES,
    JWKS,
    REGISTER,
    REVOKE,
    SIGN_IN,
    TOKEN,
    metadata,
)
from tollbook.hosting.dev_login.provider import Provider
from tollbook.hosting.dev_login.tickets import Asked
from tollbook.hosting.dev_login.users import DevUser
from tollbook.hosting.edge import body_of

_LARGEST_BODY: Final = 16 << 10
_MOST_FIELDS: Final = 50
_NO_STORE: Final = {"cache-control": "no-store"}
_FORM: Final = "application/x-www-form-urlencoded"
_EXPIRED: Final = "It has expired, or was answered before. Start again where you came from."

_log: Final = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]


class _FaultError(Exception):
    """What a client's request is answered with: RFC 6749 §5.2."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


class DevLogin:
    """A development authorization server, beside the MCP endpoint that its tokens are for.

    Args:
        store: everything lies in it, so that several instances go on with each other's sign-ins.
        base: the origin at which all of them are reached, such as `http://127.0.0.1:3000`: the issuer, as it is.
        resource: the MCP endpoint's URL: what tokens are for.
        scopes: those there are. A client that names none asks for all.
        users: who may be chosen, in this order.
        clock: that of the store.

    Attributes:
        pages: by path, as `hosting.host` takes them.
    """

    def __init__(
        self,
        store: Store,
        *,
        base: str,
        resource: str,
        scopes: Sequence[str],
        users: Sequence[DevUser],
        clock: Clock = time.time,
    ) -> None:
        if base != "{0.scheme}://{0.netloc}".format(urlsplit(base)):
            raise ValueError(f"'{base}' is no origin: scheme, host and port, and nothing after them, are wanted.")
        self.issuer = base
        self._resource, self._scopes = resource, tuple(scopes)
        self._users = {user.name: user for user in users}
        # Servers at several ports may share a store, and none is to accept what another gave.
        partition = f"dev-login/{hashlib.sha256(base.encode()).hexdigest()[:16]}"
        self._signer = Signer(store, partition, clock)
        clients = Clients(store, partition, scopes, clock)
        provider = Provider(store, partition, base, resource, self._users, clients, self._signer, clock)
        authenticator = ClientAuthenticator(provider)
        self._provider = provider
        self._authorization = AuthorizationHandler(provider)
        self._token = TokenHandler(provider, authenticator)
        self._registration = RegistrationHandler(provider, ClientRegistrationOptions(enabled=True))
        self._revocation = RevocationHandler(provider, authenticator)
        self.pages: Mapping[str, Page] = {
            SERVER: _page(self._tell_metadata, "GET", "HEAD"),
            JWKS: _page(self._tell_keys, "GET", "HEAD"),
            AUTHORIZE: self._for_a_person(_page(self._authorize, "GET")),
            SIGN_IN: self._for_a_person(_page(self._sign_in, "GET", "POST")),
            TOKEN: _page(self._give_tokens, "POST"),
            REGISTER: _page(self._register, "POST"),
            REVOKE: _page(self._revoke, "POST"),
        }

    async def jwks(self) -> bytes:
        """The key set that its tokens are verified with, as JSON.

        Raises:
            StoreDown: the store is.
        """
        return await self._signer.jwks()

    def _for_a_person(self, page: Page) -> Page:
        """`page`, for whoever opens it in a window: no other page may read it, answer it, or load it unseen."""

        async def answer(exchange: Exchange) -> None:
            exchange.also = ()
            origin = exchange.header(b"origin")
            # https://w3c.github.io/webappsec-fetch-metadata/: what a browser says, and no script can.
            fetched = (exchange.header(b"sec-fetch-mode"), exchange.header(b"sec-fetch-dest"))
            own = (None, self.issuer, f"http://{exchange.header(b'host')}")
            if origin not in own or fetched not in ((None, None), ("navigate", "document")):
                raise Refusal(403, "This page is for people: open it in a window of its own.")
            await page(exchange)

        return answer

    async def _tell_metadata(self, _request: Request) -> Response:
        return _json(metadata(self.issuer, self._scopes))

    async def _tell_keys(self, _request: Request) -> Response:
        return _json(await self.jwks())

    async def _register(self, request: Request) -> Response:
        body = await _body(request, "application/json")
        response = await self._registration.handle(_again(request, body=body))
        response.headers.update(_NO_STORE)  # RFC 7591 §3.2.1
        return response

    async def _authorize(self, request: Request) -> Response:
        try:
            asked = self._parameters(request.scope["query_string"].decode("latin-1"))
        except _FaultError as fault:
            return page.stopped(400, f"What the program asked for is malformed. {fault}")
        if await self._provider.get_client(asked.get("client_id", "")) is None:
            return page.stopped(400, "This server does not know the program. Let it register again.")
        asked.setdefault("code_challenge_method", "plain")  # RFC 7636 §4.3: what its absence means
        response = await self._authorization.handle(_again(request, query=asked))
        location = response.headers.get("location")
        if location is None:  # RFC 6749 §4.1.2.1: the user is told, and nobody else
            why = msgspec.json.decode(bytes(response.body), type=dict[str, Any]).get("error_description")
            return page.stopped(response.status_code, f"What the program asked for cannot be done. {why}")
        if not location.startswith("/"):  # to the client, and not to our page
            response.headers["location"] = _with_query(location, iss=self.issuer)
        return response

    async def _sign_in(self, request: Request) -> Response:
        """The user's page, and his answer."""
        if request.method == "POST":
            return await self._take_answer(request)
        pending = request.query_params.get("pending", "")
        asked = await self._provider.pending.get(pending)
        if asked is None:
            return page.stopped(404, _EXPIRED)
        return page.sign_in(asked, pending, self._resource, tuple(self._users.values()))

    async def _take_answer(self, request: Request) -> Response:
        """What he chose; it is known by the id in his page, and counts once."""
        answer = dict(_pairs((await _body(request, _FORM)).decode("latin-1")))
        user, denies = self._users.get(answer.get("user", "")), "deny" in answer
        if user is None and not denies:
            return page.stopped(400, "There is no such user. Go back, and choose one of those that are shown.")
        pending = answer.get("pending", "")
        asked = await self._provider.pending.get(pending)
        if asked is None or not await self._provider.pending.remove(pending):
            return page.stopped(404, _EXPIRED)
        if user is None or denies:
            return self._back(asked, error="access_denied", error_description="The user said no.")
        wanted = self._scopes if asked.scopes is None else asked.scopes
        scopes = tuple(scope for scope in wanted if scope in user.scopes)
        if wanted and not scopes:
            return self._back(asked, error="access_denied", error_description="This user may allow nothing of it.")
        code = await self._provider.grant(asked, user, scopes)
        _log.info("signed in", extra={"user": user.name, "client": printable(asked.client_name[:80])})
        return self._back(asked, code=code)

    def _back(self, asked: Asked, **said: str) -> Response:
        """Sends the user back to the client: RFC 6749 §4.1.2, RFC 9207 §2."""
        state = {} if asked.state is None else {"state": asked.state}
        location = _with_query(asked.redirect_uri, **said, **state, iss=self.issuer)
        # RFC 9700 §4.12: 303, by which the browser does not post the form once more
        return RedirectResponse(location, 303, {**_NO_STORE, "referrer-policy": "no-referrer"})

    async def _give_tokens(self, request: Request) -> Response:
        form = self._parameters((await _body(request, _FORM)).decode("latin-1"))
        if form.get("grant_type", GRANT_TYPES[0]) not in GRANT_TYPES:
            raise _FaultError("unsupported_grant_type", f"grant_type must be one of {', '.join(GRANT_TYPES)}.")
        if form.get("resource", self._resource) != self._resource:  # RFC 8707 §2
            raise _FaultError("invalid_target", "Another resource's tokens are not made here.")
        response: Response = await self._token.handle(_again(request, form=form))
        return response

    async def _revoke(self, request: Request) -> Response:
        form = self._parameters((await _body(request, _FORM)).decode("latin-1"))
        if form.get("token", "").count(".") == 2:
            # RFC 7009 §2.2.1. It ends by itself; its refresh token can be revoked.
            raise _FaultError("unsupported_token_type", "Access tokens cannot be revoked. They end within ten minutes.")
        form.pop("token_type_hint", None)  # RFC 7009 §2.1: it may be ignored, and unknown ones must be
        # The SDK wants a client that has no secret to send one.
        return await self._revocation.handle(_again(request, form={**form, "client_secret": ""}))

    def _parameters(self, text: str) -> dict[str, str]:
        """The parameters in a query or a form.

        RFC 6749 §3.1: one without a value counts as omitted, and none comes twice. But for `resource`, RFC 8707 §2: of
        several, one that is not ours is given, if there is any.

        Raises:
            _FaultError: one comes twice, or there are too many.
        """
        parameters: dict[str, str] = {}
        for name, value in _pairs(text):
            if name == "resource":
                if parameters.get(name, self._resource) == self._resource:
                    parameters[name] = value
            elif name in parameters:
                raise _FaultError("invalid_request", "A parameter comes twice.")
            else:
                parameters[name] = value
        return parameters


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise _FaultError("invalid_request", "There are too many parameters.") from None


def _page(endpoint: Endpoint, *methods: str) -> Page:
    """`endpoint` as the host calls it, for requests by these methods."""

    async def serve(exchange: Exchange) -> None:
        check_method(exchange, *methods)
        try:
            response = await endpoint(Request(exchange.scope, exchange.receive))
        except _FaultError as fault:
            response = _json(msgspec.json.encode({"error": fault.error, "error_description": str(fault)}), 400)
        await response(exchange.scope, exchange.receive, exchange.send)

    return serve


async def _body(request: Request, kind: str) -> bytes:
    return await body_of(request.scope, request.receive, kind, _LARGEST_BODY)


def _again(
    request: Request,
    *,
    query: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Request:
    """The same request with another query, form or body."""
    scope = dict(request.scope)
    if query is not None:
        scope["query_string"] = urlencode(query).encode()
    if form is not None:
        body = urlencode(form).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(scope, receive)


def _json(document: bytes, status: int = 200) -> Response:
    return Response(document, status, _NO_STORE, "application/json")


def _with_query(url: str, **said: str) -> str:
    """`url` with that in its query, after what it has there already, which stays as it is: RFC 6749 §3.1.2."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(said)}"
