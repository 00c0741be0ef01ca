"""The one place that knows the SDK's inside.

`serve_one`, `Connection`, `_lowlevel_server`, `_request_handlers` and `_mcp_param_rejection` are no public API of
`mcp`: its version is pinned exactly, and the conformance suite says whether they still do what is expected of them.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, NoReturn, Protocol

import anyio
import msgspec
from mcp.server._streamable_http_modern import _mcp_param_rejection
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.connection import Connection
from mcp.server.lowlevel.server import Server
from mcp.server.mcpserver import MCPServer
from mcp.server.runner import ServerRunner, modern_error_data, serve_one
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.shared.inbound import (
    ERROR_CODE_HTTP_STATUS,
    InboundLadderRejection,
    InboundModernRoute,
    classify_inbound_request,
    find_duplicated_routing_header,
    unsupported_protocol_version_rejection,
)
from mcp.shared.jsonrpc_dispatcher import progress_token_from_params
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import HEADER_MISMATCH, PROTOCOL_VERSION_META_KEY, REQUEST_TIMEOUT, JSONRPCRequest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION
from starlette.requests import Request as HTTPRequest

from tollbook.core.caller import Caller
from tollbook.core.jsonrpc import INTERNAL_ERROR, Id, Params, Request
from tollbook.hosting.answers import Scope

HANDSHAKE_VERSIONS: Final = frozenset(HANDSHAKE_PROTOCOL_VERSIONS)
PRIMED_VERSION: Final = LATEST_HANDSHAKE_VERSION
"""2025-11-25, the one version whose clients understand an event without data."""

HTTP_STATUS: Final = ERROR_CODE_HTTP_STATUS
VERSION_KEY: Final = PROTOCOL_VERSION_META_KEY

AnyServer = MCPServer[Any] | Server[Any]

_MOST_PAGES: Final = 10  # of a list of tools


def tell_caller(caller: Caller) -> None:
    """Lets `mcp.server.auth`'s `get_access_token()` find who sent the request, in this context and those in it.

    The token itself is not handed on: a server that passed it to another would be a confused deputy.
    https://modelcontextprotocol.io/specification/2025-11-25/basic/security_best_practices#token-passthrough
    """
    token = AccessToken(
        token="",
        client_id=caller.client,
        scopes=sorted(caller.scopes),
        expires_at=None if caller.expires is None else int(caller.expires),
        subject=caller.subject,
        claims={**caller.claims, "iss": caller.issuer},
    )
    auth_context_var.set(AuthenticatedUser(token))


class Fault(Exception):
    """What a request is answered with instead of a result."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code, self.data = code, data


class Outlet(Protocol):
    """Where what a handler sends meanwhile goes."""

    async def notify(self, _method: str, _params: Params | None, /) -> None: ...

    async def ask(self, _method: str, _params: Params | None, _timeout_s: float | None, /) -> Mapping[str, Any]:
        """Asks the client; gives the message it answered with."""
        ...

    async def detach(self) -> None:
        """Ends the client's stream, and not the work."""
        ...


class _Nowhere:
    async def notify(self, _method: str, _params: Params | None) -> None:
        """Lets go of it."""

    async def ask(self, _method: str, _params: Params | None, _timeout_s: float | None) -> NoReturn:
        raise TimeoutError

    async def detach(self) -> None:
        """There is nothing to end."""


NOWHERE: Final = _Nowhere()
"""The outlet of what is answered at once: there is no stream for anything else."""


class Client(msgspec.Struct, frozen=True):
    """Who is at the other end, as he said himself.

    Attributes:
        version: the revision of the protocol that is spoken with him.
        session_id: only one who has a session can be asked something while a request of his runs.
    """

    version: str
    info: Any
    capabilities: Any
    session_id: str | None = None


class Channel:
    """The SDK's `DispatchContext` of one request."""

    def __init__(self, scope: Scope, request: Request, outlet: Outlet, can_ask: bool, can_detach: bool) -> None:
        http = HTTPRequest(scope)
        self.transport = TransportContext(kind="streamable-http", can_send_request=can_ask, headers=http.headers)
        self.request_id: Id | None = request.id
        self.message_metadata = ServerMessageMetadata(
            request_context=http, close_sse_stream=outlet.detach if can_detach else None
        )
        self.can_send_request = can_ask
        self._cancel_requested: anyio.Event | None = None
        self._progress_token = progress_token_from_params(request.params)
        self._outlet = outlet

    @property
    def cancel_requested(self) -> anyio.Event:
        if self._cancel_requested is None:
            self._cancel_requested = anyio.Event()
        return self._cancel_requested

    async def send_raw_request(
        self, method: str, params: Params | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        if not self.can_send_request:
            raise NoBackChannelError(method)
        try:
            reply = await self._outlet.ask(method, params, (opts or {}).get("timeout"))
        except TimeoutError as late:
            raise MCPError(code=REQUEST_TIMEOUT, message="The client did not answer in time.") from late
        if "error" in reply:
            fault = reply["error"] if isinstance(reply["error"], dict) else {}
            code, message = fault.get("code"), fault.get("message")
            raise MCPError(
                code=code if isinstance(code, int) else INTERNAL_ERROR,
                message=message if isinstance(message, str) else "The client answered with an error.",
                data=fault.get("data"),
            )
        return reply["result"] if isinstance(reply["result"], dict) else {}

    async def notify(self, method: str, params: Params | None, opts: CallOptions | None = None) -> None:  # noqa: ARG002
        await self._outlet.notify(method, params)

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        if self._progress_token is None:
            return
        params: dict[str, Any] = {"progressToken": self._progress_token, "progress": progress}
        if total is not None:
            params["total"] = total
        if message is not None:
            params["message"] = message
        await self._outlet.notify("notifications/progress", params)


class Kernel:
    """An MCP server, asked one request at a time."""

    def __init__(self, server: AnyServer) -> None:
        self._server: Server[Any] = server._lowlevel_server if isinstance(server, MCPServer) else server
        # A stream that never ends would hold an instance for ever.
        self._server._request_handlers.pop("subscriptions/listen", None)
        self._state: Any = None
        self.keeps_log_level = self._server.get_request_handler("logging/setLevel") is not None

    def running(self) -> AbstractAsyncContextManager[Any]:
        """The server's own lifespan; what it gives is handed to `start`."""
        return self._server.lifespan(self._server)

    def start(self, state: object) -> None:
        self._state = state

    async def initialize(self, scope: Scope, request: Request, outlet: Outlet) -> tuple[dict[str, Any], str]:
        """The handshake: its result and the version agreed on.

        Raises:
            Fault: it failed.
        """
        channel = Channel(scope, request, outlet, can_ask=False, can_detach=False)
        connection = Connection.for_loop(channel)
        answer = await self._answer(channel, request, connection)
        return answer, connection.protocol_version

    async def answer(self, scope: Scope, request: Request, client: Client, outlet: Outlet) -> dict[str, Any]:
        """The result of `request`.

        Raises:
            Fault: it failed.
        """
        can_ask, can_detach = client.session_id is not None, client.version == PRIMED_VERSION
        channel = Channel(scope, request, outlet, can_ask, can_detach)
        return await self._answer(channel, request, _connection(client, channel))

    async def _answer(self, channel: Channel, request: Request, connection: Connection) -> dict[str, Any]:
        try:
            return await serve_one(
                self._server,
                channel,
                request.method,
                request.params,
                connection=connection,
                lifespan_state=self._state,
            )
        except Exception as raised:
            error = modern_error_data(raised)
            raise Fault(error.code, error.message, error.data) from raised

    async def tools(self) -> frozenset[str]:
        """The names of the server's tools, as it lists them to a client of which nothing is known.

        Raises:
            Fault: it lists none.
        """
        client, names = Client(PRIMED_VERSION, None, None), set[str]()
        params: dict[str, Any] = {}
        for _ in range(_MOST_PAGES):
            scope: Scope = {"type": "http", "headers": ()}
            page = await self.answer(scope, Request("", "tools/list", params), client, NOWHERE)
            names.update(tool["name"] for tool in page["tools"])
            if not page.get("nextCursor"):
                break
            params = {"cursor": page["nextCursor"]}
        return frozenset(names)

    async def hear(self, scope: Scope, method: str, params: Params | None, client: Client, outlet: Outlet) -> None:
        """Hands a notification to the server, if it has a handler for it."""
        if self._server.get_notification_handler(method) is None:
            return
        channel = Channel(scope, Request("", method, params), outlet, can_ask=False, can_detach=False)
        channel.request_id = None
        await ServerRunner(self._server, _connection(client, channel), self._state).on_notify(channel, method, params)

    async def route(self, scope: Scope, request: Request, body: Mapping[str, Any]) -> Client:
        """Whom a request of the 2026-07-28 era is from: its headers must say what its body says.

        Raises:
            Fault: they do not.
        """
        http = HTTPRequest(scope)
        if (twice := find_duplicated_routing_header(http.headers.items())) is not None:
            raise Fault(HEADER_MISMATCH, f"{twice} header appears more than once")
        verdict = _routed(classify_inbound_request(body, headers=dict(http.headers)))
        parsed = JSONRPCRequest.model_construct(
            jsonrpc="2.0", id=request.id, method=request.method, params=request.params
        )
        if (refused := await _mcp_param_rejection(self._server, http, parsed, verdict, self._state)) is not None:
            _routed(refused)
        return Client(verdict.protocol_version, verdict.client_info, verdict.client_capabilities)


def _connection(client: Client, channel: Channel) -> Connection:
    if client.session_id is None:
        return Connection.from_envelope(client.version, client.info, client.capabilities)
    connection = Connection.from_envelope(client.version, client.info, client.capabilities, outbound=channel)
    connection.session_id = client.session_id
    return connection


def _routed(verdict: InboundModernRoute | InboundLadderRejection) -> InboundModernRoute:
    if isinstance(verdict, InboundLadderRejection):
        raise Fault(verdict.code, verdict.message, verdict.data)
    return verdict


def check_version(version: str) -> None:
    """Refuses a version of the later era that is not served.

    Raises:
        Fault: with the versions that are.
    """
    if (refused := unsupported_protocol_version_rejection(version)) is not None:
        raise Fault(refused.code, refused.message, refused.data)
