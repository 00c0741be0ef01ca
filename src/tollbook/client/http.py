"""Streamable HTTP: a POST a message, answers as JSON or as a stream of events, and broken streams taken up again.

Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http and
https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, nullcontext
from typing import Any, Final

import httpx2
import msgspec

from tollbook.client.carrier import MOST_BYTES, Cut, Lost, Patience
from tollbook.client.status import ILL_HEADER, misconfigured, refusal, shown, unreachable
from tollbook.client.trouble import ClientError, Misbehaved, Refused, Unreachable
from tollbook.core import jsonrpc
from tollbook.core.jsonrpc import Id, Message, Response
from tollbook.core.text import printable

_SESSION: Final = "mcp-session-id"
_PATIENCE: Final = "patience"
_ACCEPT: Final = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
_CONNECT_S: Final = 10.0
_ATTEMPTS: Final = 5
"""To take up a stream, without a single event in between."""
_RETRY_S: Final = 1.0
_LONGEST_RETRY_S: Final = 30.0
_REDIRECTS: Final = 3
_ASK: Final = "Check the address; if it is right, tell the server's owner."
_SESSION_ID: Final = re.compile(r"[\x21-\x7e]{1,1024}")  # what the specification allows, and an end
_EVENT_ID: Final = re.compile(r"[\x20-\x7e]{1,1024}")  # what a header takes


class Http:
    """A way to the endpoint at `url`.

    Args:
        headers: to be sent with every request.
        debug: is told in short what is sent and what comes; nothing that is secret.
        resumed: is called when a broken stream was taken up again.
    """

    closing_cancels = True

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        auth: httpx2.Auth | None,
        debug: Callable[[str], None],
        resumed: Callable[[], None],
    ) -> None:
        self._url, self._debug, self._resumed = url, debug, resumed
        self._session: str | None = None
        try:
            self._client = httpx2.AsyncClient(
                auth=auth and _Unhurried(auth),
                headers=_encoded(headers),
                timeout=httpx2.Timeout(None, connect=_CONNECT_S),
                # Plain http shows no certificate, and loading those to check it with takes 30 ms.
                verify=not url.startswith("http://"),
            )
        except (ImportError, OSError, ValueError, httpx2.InvalidURL) as fault:
            raise misconfigured(fault) from None  # it may quote a password

    @property
    def has_session(self) -> bool:
        return self._session is not None

    async def exchange(
        self, request_id: Id, body: bytes, headers: Mapping[str, str], patience: Patience
    ) -> AsyncGenerator[Message, None]:
        stream = _Stream(_ignored)
        async with self._answer("POST", {**_ACCEPT, **headers}, patience, body) as (response, error):
            if error is not None:
                yield Response(request_id, error)
                return
            if not _is_stream(response):
                yield await self._whole(response, request_id)
                return
            async with aclosing(stream.messages(response, request_id)) as messages:
                async for message in messages:
                    yield message
                    if _answers(message, request_id):
                        return
        while stream.last_id and self._session:
            self._debug(f"The stream ended early{stream.ending}; taking it up after event {stream.last_id}.")
            async with aclosing(self._resume(stream, headers, patience, self._resumed)) as messages:
                async for message in messages:
                    yield message
                    if _answers(message, request_id):
                        return
        raise Cut(f"the stream ended without an answer{stream.ending}")

    async def send(self, body: bytes, headers: Mapping[str, str], patience: Patience) -> None:
        async with self._answer("POST", {**_ACCEPT, **headers}, patience, body):
            pass  # 202, with nothing in it

    async def unasked(self, headers: Mapping[str, str], begun: Callable[[], None]) -> AsyncGenerator[Message, None]:
        stream = _Stream(begun)
        while self._session:
            try:
                async with aclosing(self._resume(stream, headers, _ENDLESS, _ignored)) as messages:
                    async for message in messages:
                        yield message
            except (ClientError, Cut, Lost):
                return

    async def end(self, headers: Mapping[str, str], patience: Patience) -> bool:
        if self._session is None:
            return False
        try:
            async with self._answer("DELETE", headers, patience) as (response, _):
                if not response.is_success:
                    return False
        except Lost:
            pass
        except Refused as refused:
            if refused.status != 405:  # of a server that alone decides when sessions end
                raise
            return False
        self._session = None
        return True

    async def close(self) -> None:
        await self._client.aclose()

    async def _resume(
        self, stream: "_Stream", headers: Mapping[str, str], patience: Patience, resumed: Callable[[], None]
    ) -> AsyncGenerator[Message, None]:
        """What comes after the last event that was seen, until the stream ends once more."""
        if stream.fruitless >= _ATTEMPTS:
            raise Cut(f"the stream ended without an answer, and could not be taken up again{stream.ending}")
        if stream.began:
            await asyncio.sleep(min(stream.retry_s * 2 ** max(0, stream.fruitless - 1), _LONGEST_RETRY_S))
            patience.alive()
        stream.fruitless += 1
        last = {"last-event-id": stream.last_id} if stream.last_id else {}
        try:
            async with self._answer("GET", {"accept": "text/event-stream", **headers, **last}, patience) as (
                response,
                error,
            ):
                if error is not None or not _is_stream(response):
                    raise Refused("it answered with something else", response.status_code)
                if stream.broke:  # not if the server ended it, for us to ask later
                    resumed()
                async with aclosing(stream.messages(response)) as messages:
                    async for message in messages:
                        yield message
        except (Unreachable, Refused, Cut, Lost) as fault:
            stream.failed(fault)

    @asynccontextmanager
    async def _answer(
        self, method: str, headers: Mapping[str, str], patience: Patience, body: bytes | None = None
    ) -> AsyncIterator[tuple[httpx2.Response, dict[str, Any] | None]]:
        """The response to a request, if it answers: with 2xx, or with a JSON-RPC error, which comes beside it."""
        held = {_SESSION: self._session} if self._session else {}
        with _translated(self._url):
            request = self._client.build_request(
                method, self._url, content=body, headers={**headers, **held}, extensions={_PATIENCE: patience}
            )
            response = await self._sent(request)
        try:
            response.stream = _Heard(response.stream, patience.alive)
            self._debug(_in_short(request, response))
            error = await self._check(response, bool(held))
            if "mcp-method" not in headers:  # the modern era has no sessions
                self._keep_session(response)
            with _translated(self._url):
                yield response, error
        finally:
            await response.aclose()

    async def _sent(self, request: httpx2.Request) -> httpx2.Response:
        """Follows redirects that stay on this origin and keep the method: everything sent is for this server alone."""
        for _ in range(_REDIRECTS):
            response = await self._client.send(request, stream=True)
            onward = response.next_request
            if onward is None or onward.method != request.method or _origin(onward.url) != _origin(request.url):
                return response
            await response.aclose()
            request = onward
        raise Misbehaved(f"{shown(self._url)} redirects again and again. Check the address, or ask its owner.")

    async def _check(self, response: httpx2.Response, in_session: bool) -> dict[str, Any] | None:
        """The JSON-RPC error of a response that is none of 2xx; raises what its status means if there is none."""
        if response.is_success:
            return None
        with _translated(self._url):
            text = await _bytes_of(response)
        error = _error_in(text)
        # Before 2025-06-18 the specification left the status open; 400 is what its examples answered.
        if in_session and (
            response.status_code == 404 or (response.status_code == 400 and b"session" in text[:1000].lower())
        ):
            raise Lost
        if error is None or response.status_code in (401, 403):
            raise refusal(response, text)
        return error

    def _keep_session(self, response: httpx2.Response) -> None:
        given = response.headers.get(_SESSION)
        if given is None:
            return
        if not _SESSION_ID.fullmatch(given):
            raise Misbehaved(
                "The server gave a session id that is not plain text of up to 1,024 characters. Tell its owner."
            )
        self._session = given

    async def _whole(self, response: httpx2.Response, request_id: Id) -> Message:
        """The one message of a JSON body."""
        text = await _bytes_of(response)
        if error := _error_in(text):
            return Response(request_id, error)
        if not text.strip():
            raise Misbehaved(f"{shown(self._url)} answered {response.status_code} with nothing in it. {_ASK}")
        kind = printable(response.headers.get("content-type", "something without a name")[:100])
        try:
            message = jsonrpc.message_of(msgspec.json.decode(text))
        except (jsonrpc.Malformed, msgspec.DecodeError, ValueError, RecursionError) as fault:
            where = shown(self._url)
            if "json" in kind.lower():
                raise Misbehaved(f"{where} answered with JSON that is no message of MCP. {_ASK}") from fault
            raise Misbehaved(
                f"At {where} is no MCP server: it answered with {kind}. Check the address; most end in /mcp."
            ) from fault
        if not _answers(message, request_id):
            raise Misbehaved(f"{shown(self._url)} answered something other than what it was asked. {_ASK}")
        return message


class _Stream:
    """How far a stream of events has come, over all its connections.

    Args:
        begun: is called whenever there is a connection.

    Attributes:
        last_id: of the last event that had one; resuming begins after it.
        retry_s: how long the server asks to wait before that.
        fruitless: how often it was taken up in vain.
        broke: whether it ended otherwise than by the server's will.
        ending: why, as the end of a sentence.
    """

    def __init__(self, begun: Callable[[], None]) -> None:
        self._begun = begun
        self.last_id = ""
        self.retry_s = _RETRY_S
        self.fruitless = 0
        self.began = self.broke = False
        self.ending = ""

    def failed(self, fault: Exception) -> None:
        """It could not be taken up just now; raises where there is no use in trying again."""
        if not self.began:
            raise fault
        if isinstance(fault, Lost):
            raise Cut("the stream ended, and the server has forgotten the session", ends_session=True) from fault
        if isinstance(fault, Refused) and fault.status < 500:
            raise Cut(f"the stream ended, and the server does not resume it: it answered {fault.status}") from fault
        self.broke, self.ending = True, f" ({fault})"

    async def messages(self, response: httpx2.Response, request_id: Id | None = None) -> AsyncGenerator[Message, None]:
        """What comes on one connection.

        Args:
            request_id: of the request that it answers, if it is sure that it answers one.
        """
        self.began, self.broke, self.ending = True, False, ""
        self._begun()
        try:
            async for event in httpx2.EventSource(response, max_event_size=MOST_BYTES):
                message = _message_in(event.data, request_id) if event.event == "message" and event.data else None
                self.fruitless = 0
                if event.retry is not None:
                    self.retry_s = min(max(event.retry / 1000, 0.0), _LONGEST_RETRY_S)
                if event.id:  # of one that no header takes, nothing can be taken up
                    self.last_id = event.id if _EVENT_ID.fullmatch(event.id) else ""
                if message is not None:
                    yield message
        except httpx2.SSEError as fault:
            raise Misbehaved(
                f"The server's stream has an event of more than {MOST_BYTES // 2**20} MiB. Ask for less."
            ) from fault
        except httpx2.TransportError:
            self.broke = True


class _Unhurried(httpx2.Auth):
    """Puts a login on requests. The time that it takes is not the server's: a user may be at a login page."""

    def __init__(self, auth: httpx2.Auth) -> None:
        self._auth = auth

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        patience: Patience = request.extensions[_PATIENCE]
        response: Any = None
        async with aclosing(self._auth.async_auth_flow(request)) as steps:
            while True:
                with patience.pause():
                    try:
                        asked = await steps.asend(response)
                    except StopAsyncIteration:
                        return
                response = yield asked


class _Heard(httpx2.AsyncByteStream):
    """A body that says whenever some of it comes: also of comments, by which a server says that it is alive."""

    def __init__(self, stream: Any, alive: Callable[[], None]) -> None:
        self._stream, self._alive = stream, alive

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._alive()
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bytes_of(response: httpx2.Response) -> bytes:
    parts, size = [], 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > MOST_BYTES:
            raise Misbehaved(
                f"The server's answer is larger than {MOST_BYTES // 2**20} MiB, and was not read. Ask for less."
            )
        parts.append(chunk)
    return b"".join(parts)


def _message_in(data: str, request_id: Id | None) -> Message:
    if request_id is not None and (error := _error_in(data)) and error.get("id") is None:
        return Response(request_id, error)
    try:
        return jsonrpc.message_of(msgspec.json.decode(data))
    except (jsonrpc.Malformed, msgspec.DecodeError, ValueError, RecursionError) as fault:
        raise Misbehaved(f"The server's stream has an event that is no message of MCP. {_ASK}") from fault


def _error_in(text: bytes | str) -> dict[str, Any] | None:
    """The JSON-RPC error in a body, also one that names no request, or null."""
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    is_error = (
        isinstance(document, dict) and document.get("jsonrpc") == "2.0" and isinstance(document.get("error"), dict)
    )
    return document if is_error else None


def _is_stream(response: httpx2.Response) -> bool:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream"


def _answers(message: Message, request_id: Id) -> bool:
    return isinstance(message, Response) and message.id == request_id


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _in_short(request: httpx2.Request, response: httpx2.Response) -> str:
    kind = printable(response.headers.get("content-type", "")[:100])
    return f"{request.method} {request.url.path}: {response.status_code} {kind}".rstrip()


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """RFC 9110 §5.5: what is no ASCII is opaque to HTTP, and has been Latin-1."""
    try:
        return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    except UnicodeEncodeError:
        raise Unreachable(ILL_HEADER) from None  # it holds the value


def _how(fault: httpx2.TransportError) -> str:
    """How a connection ended, as a part of a sentence; "" where what came is no HTTP."""
    if not isinstance(fault, httpx2.RemoteProtocolError):
        return "the connection broke off"
    if str(fault).startswith("Server disconnected"):
        return "the server closed the connection without an answer"
    return "the connection was closed in the middle of the answer" if str(fault).startswith("peer closed") else ""


def _without_stop(fault: Exception) -> str:
    return printable(str(fault)).rstrip(".")


def _ignored() -> None:
    """Nobody needs to know."""


class _Endless:
    """Nobody waits. A `Patience`."""

    def alive(self) -> None: ...

    def pause(self) -> AbstractContextManager[None]:
        return nullcontext()


_ENDLESS: Final = _Endless()


class _translated:  # noqa: N801 - reads as a word in `with _translated(url):`
    """Turns what httpx2 raises into our errors."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, fault: BaseException | None, _trace: object) -> None:
        if isinstance(fault, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
            raise unreachable(self._url, fault) from fault
        if isinstance(fault, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
            raise Unreachable(
                f"{shown(self._url)} is no address of a server: {_without_stop(fault)}. Check its spelling."
            ) from fault
        if isinstance(fault, httpx2.LocalProtocolError | UnicodeEncodeError):
            raise Unreachable(ILL_HEADER) from None  # it quotes the header
        if isinstance(fault, httpx2.DecodingError):
            raise Misbehaved(f"{shown(self._url)} answered with something that cannot be unpacked. {_ASK}") from fault
        if isinstance(fault, httpx2.TransportError):
            if how := _how(fault):
                raise Cut(how) from fault
            raise Misbehaved(
                f"What comes from {shown(self._url)} is no HTTP. Check the port, and whether it is https://."
            ) from fault
