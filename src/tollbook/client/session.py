"""One conversation with a server, in the era that both speak.

Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle and
https://modelcontextprotocol.io/specification/2026-07-28/basic
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, aclosing, contextmanager, suppress
from typing import Any, Final, Literal

from tollbook import __version__
from tollbook.client.carrier import Carrier, Cut, Lost
from tollbook.client.host import Host
from tollbook.client.mirrored import header_safe
from tollbook.client.protocol import (
    HANDSHAKE_VERSIONS,
    MODERN_VERSIONS,
    Elicitation,
    Era,
    Implementation,
    Json,
    Server,
    read,
)
from tollbook.client.questions import answer_to, question_in
from tollbook.client.trouble import ClientError, Misbehaved, Refused, RpcError, TimedOut
from tollbook.core import jsonrpc
from tollbook.core.jsonrpc import Id, Notification, Request, Response
from tollbook.core.text import printable

EraChoice = Literal["auto", "handshake", "modern"]

_VERSION: Final = "mcp-protocol-version"
_META: Final = "io.modelcontextprotocol/"
_NAMED_BY: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Where a request's params have what the header Mcp-Name says again."""
_ROUNDS: Final = 10
"""How often a server may ask for more within one call."""
_PROBE_S: Final = 5.0
"""For a process to answer a question that older servers do not know; some say nothing at all."""
_LISTEN_S: Final = 2.0
"""For a server to begin to speak unasked. Some do not even say that they will before they have something to say."""
_FAREWELL_S: Final = 2.0
_MOST_ASKED: Final = 100
"""By a server at once, before anything of it is answered."""
_ILL_ASKED: Final = "The server asks for input, but not in MCP's form. Tell its owner."
_UNSUPPORTED_VERSION: Final = -32022
_METHOD_NOT_FOUND: Final = -32601
_URL_NEEDED: Final = -32042

Changed = Callable[[str], None]
"""Is told which list of the server has changed: tools, resources or prompts."""


class Session:
    """A conversation that has begun.

    Args:
        ids: of requests, as yet unused on this way to the server.
        log_level: the least serious log lines that are wanted; None: none.
        timeout_s: the longest silence that is borne while an answer is awaited.
    """

    def __init__(
        self,
        carrier: Carrier,
        host: Host,
        *,
        ids: Iterator[int],
        era: Era,
        may_elicit: bool,
        log_level: str | None,
        timeout_s: float,
        changed: Changed,
    ) -> None:
        self._carrier, self._host, self._changed = carrier, host, changed
        self.log_level, self._timeout_s = log_level, timeout_s
        self._ids = ids
        self.capabilities: Json = {"elicitation": {"form": {}, "url": {}}} if may_elicit else {}
        self._era = era
        self.version = MODERN_VERSIONS[0] if era == "modern" else ""
        """That both speak; empty before `initialize` is answered."""
        self._listener: asyncio.Task[None] | None = None
        self._waiting: set[_Patience] = set()

    async def ask(self, method: str, params: Json, mirrored: Mapping[str, str] | None = None) -> Json:
        """The result of a request. What the server asks meanwhile is answered by the host.

        Args:
            mirrored: further headers of this request.

        Raises:
            Lost, Cut: see `carrier`.
            RpcError: the server's error.
            TimedOut: it was silent for too long.
        """
        further: dict[str, Any] = {}
        for attempt in range(_ROUNDS):
            result = await self._once(method, {**params, **further}, mirrored or {})
            if self._era == "handshake" or result.get("resultType", "complete") != "input_required":
                return result
            wanted = result.get("inputRequests") or {}
            if not isinstance(wanted, dict):
                raise Misbehaved(_ILL_ASKED)
            if not wanted:  # it only wants to be asked once more
                await asyncio.sleep(min(0.05 * 2**attempt, 1.0))
            further = {"inputResponses": {key: await self._input(request) for key, request in wanted.items()}}
            if "requestState" in result:
                further["requestState"] = result["requestState"]
            if not wanted:
                del further["inputResponses"]
        raise Misbehaved(f"The server asked for more input {_ROUNDS} times in one call, and was not asked again.")

    async def tell(self, method: str, params: Json | None = None) -> None:
        """Sends a notification."""
        await self._send(jsonrpc.notification(method, params), self._headers(method, params or {}))

    async def end(self) -> bool:
        """Ends the session on the server; see `Carrier.end`."""
        try:
            async with (patience := _Patience(self._timeout_s)).limit:
                return await self._carrier.end({_VERSION: self.version}, patience)
        except TimeoutError:
            raise self._silence() from None

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        await self._carrier.close()

    async def listen(self) -> None:
        """Begins to hear what the server says of itself. Where it begins at once, nothing that it asks is missed."""
        begun = asyncio.Event()
        self._listener = asyncio.create_task(self._hear(begun.set))
        self._listener.add_done_callback(lambda _: begun.set())
        with suppress(TimeoutError):
            async with asyncio.timeout(_LISTEN_S):
                await begun.wait()

    async def _hear(self, begun: Callable[[], None]) -> None:
        replies: set[asyncio.Task[None]] = set()
        with suppress(ClientError, Cut, Lost):
            async with aclosing(self._carrier.unasked({_VERSION: self.version}, begun)) as messages:
                async for message in messages:
                    if isinstance(message, Request):
                        self._begin_reply(message, replies)
                    elif isinstance(message, Notification):
                        self._heard(message)

    async def _once(self, method: str, params: Json, mirrored: Mapping[str, str]) -> Json:
        request_id = next(self._ids)
        body = jsonrpc.request(request_id, method, self._stamped(method, params, request_id))
        headers = {**self._headers(method, params), **mirrored}
        self._host.debug(f"{method} as request {request_id}")
        patience = _Patience(self._timeout_s)
        self._waiting.add(patience)
        replies: set[asyncio.Task[None]] = set()
        try:
            async with (
                patience.limit,
                aclosing(self._carrier.exchange(request_id, body, headers, patience)) as messages,
            ):
                async for message in messages:
                    match message:
                        case Response() if message.id == request_id:
                            return self._result(message, method)
                        case Request():
                            self._begin_reply(message, replies)
                        case Notification():
                            self._heard(message)
            raise Cut("no answer came")
        except TimeoutError:
            await self._cancel(request_id, method, "It took too long.")
            raise self._silence() from None
        except asyncio.CancelledError:
            await self._cancel(request_id, method, "The user cancelled it.")
            raise
        finally:
            self._waiting.discard(patience)
            for reply in tuple(replies):
                reply.cancel()

    def _stamped(self, method: str, params: Json, request_id: Id) -> Json:
        """`params` with what every request says about itself."""
        meta: dict[str, Any] = dict(params.get("_meta") or {})
        if method in _NAMED_BY:
            meta["progressToken"] = request_id
        if self._era == "modern":
            meta[f"{_META}protocolVersion"] = self.version
            meta[f"{_META}clientInfo"] = _OURSELVES
            meta[f"{_META}clientCapabilities"] = self.capabilities
            if self.log_level:
                meta[f"{_META}logLevel"] = self.log_level
        return {**params, "_meta": meta} if meta else params

    def _headers(self, method: str, params: Json) -> dict[str, str]:
        headers = {_VERSION: self.version} if self.version else {}
        if self._era == "modern":
            headers["mcp-method"] = method
            if isinstance(name := params.get(_NAMED_BY.get(method, "")), str):
                headers["mcp-name"] = header_safe(name)
        return headers

    def _result(self, response: Response, method: str) -> Json:
        if "error" in response.body:
            raise rpc_error(response.body["error"], method)
        result = response.body.get("result")
        if not isinstance(result, dict):
            raise Misbehaved(f"The server's result of {method} is no object, as MCP wants it. Tell its owner.")
        return result

    async def _cancel(self, request_id: Id, method: str, reason: str) -> None:
        """Tells the server that no one waits any more, where closing the stream does not say so."""
        if method in ("initialize", "server/discover") or (self._era == "modern" and self._carrier.closing_cancels):
            return
        with suppress(ClientError, Cut, Lost, TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await self.tell("notifications/cancelled", {"requestId": request_id, "reason": reason})

    def _heard(self, said: Notification) -> None:
        params = said.params or {}
        if said.method == "notifications/message":
            logger = params.get("logger")
            self._host.log(
                str(params.get("level", "info")), logger if isinstance(logger, str) else None, params.get("data")
            )
        elif said.method == "notifications/progress":
            done, total, message = params.get("progress"), params.get("total"), params.get("message")
            if isinstance(done, int | float):
                self._host.progress(
                    done,
                    total if isinstance(total, int | float) else None,
                    message if isinstance(message, str) else None,
                )
        elif said.method.endswith("/list_changed"):
            self._changed(said.method.split("/")[1])
        else:
            self._host.debug(f"The server says {printable(said.method)}.")

    def _begin_reply(self, request: Request, replies: set[asyncio.Task[None]]) -> None:
        """Answers a request of the server meanwhile; `replies` are those under way."""
        if len(replies) >= _MOST_ASKED:
            raise Misbehaved(f"The server asks more than {_MOST_ASKED} things at once, and was left. Tell its owner.")
        reply = asyncio.create_task(self._reply(request))
        replies.add(reply)
        reply.add_done_callback(replies.discard)

    async def _reply(self, request: Request) -> None:
        """Answers a request of the server."""
        try:
            body = jsonrpc.result(request.id, await self._answer(request.method, request.params or {}))
        except RpcError as fault:
            body = jsonrpc.error(request.id, fault.code, fault.text)
        with suppress(ClientError, Cut, Lost):
            await self._send(body, self._headers("", {}))

    async def _send(self, body: bytes, headers: Mapping[str, str]) -> None:
        try:
            async with (patience := _Patience(self._timeout_s)).limit:
                await self._carrier.send(body, headers, patience)
        except TimeoutError:
            raise self._silence() from None

    def _silence(self) -> TimedOut:
        return TimedOut(
            f"The server said nothing for {self._timeout_s:g} s and was not waited for any longer. Ask for less, "
            "or wait longer with --timeout."
        )

    async def _input(self, request: Any) -> Json:
        """The answer to a request that stands in a result."""
        if not isinstance(request, dict) or not isinstance(request.get("params", {}), dict):
            raise Misbehaved(_ILL_ASKED)
        return await self._answer(str(request.get("method")), request.get("params", {}))

    async def _answer(self, method: str, params: Json) -> Json:
        if method == "ping":
            return {}
        if method == "elicitation/create" and self.capabilities:
            question: Elicitation = question_in(params)
            with self._unhurried():
                return answer_to(question, await self._host.elicit(question))
        raise RpcError(
            f"The server asks this client for {printable(method)}, which it does not do.",
            _METHOD_NOT_FOUND,
            f"This client does not do {method}.",
        )

    @contextmanager
    def _unhurried(self) -> Iterator[None]:
        """While the user is asked, no call is given up. Servers may ask on another stream than that of the call."""
        with ExitStack() as paused:
            for patience in self._waiting:
                paused.enter_context(patience.pause())
            yield


class _Patience:
    """How long an answer is waited for: anew after every sign of life. A `carrier.Patience`."""

    def __init__(self, seconds: float) -> None:
        self.limit = asyncio.timeout(seconds)
        self._seconds, self._pauses = seconds, 0

    def alive(self) -> None:
        if not self._pauses and not self.limit.expired():
            self.limit.reschedule(asyncio.get_running_loop().time() + self._seconds)

    @contextmanager
    def pause(self) -> Iterator[None]:
        self._pauses += 1
        with suppress(RuntimeError):  # the call is over
            self.limit.reschedule(None)
        try:
            yield
        finally:
            self._pauses -= 1
            with suppress(RuntimeError):
                self.alive()


async def negotiate(make: Callable[[Era], Session], choice: EraChoice, *, is_process: bool) -> tuple[Session, Server]:
    """Finds out which era the server speaks, and begins the conversation in it.

    Args:
        make: a session of an era, over a way to the server that is already there.
        is_process: whether the server is a process, of which some do not answer at all to what they do not know.
    """
    if choice != "handshake":
        session = make("modern")
        try:
            async with asyncio.timeout(_PROBE_S if is_process and choice == "auto" else None):
                return session, _discovered(await _discover(session), session)
        except (RpcError, Misbehaved, Refused, TimedOut, TimeoutError) as fault:
            if choice == "modern" or not _spoken(fault, HANDSHAKE_VERSIONS):
                raise
    session = make("handshake")
    return session, await _initialized(session)


async def _discover(session: Session) -> Json:
    try:
        return await session.ask("server/discover", {})
    except RpcError as fault:
        if fault.code != _UNSUPPORTED_VERSION or not (spoken := _spoken(fault, MODERN_VERSIONS)):
            raise
        session.version = spoken[0]
    return await session.ask("server/discover", {})


async def _initialized(session: Session) -> Server:
    asked = {"protocolVersion": HANDSHAKE_VERSIONS[0], "capabilities": session.capabilities, "clientInfo": _OURSELVES}
    result = await session.ask("initialize", asked)
    version = result.get("protocolVersion")
    if version not in HANDSHAKE_VERSIONS:
        raise Misbehaved(
            f"The server speaks MCP {printable(str(version)[:40])}, and this client "
            f"{', '.join((*MODERN_VERSIONS, *HANDSHAKE_VERSIONS))}."
        )
    session.version = version
    await session.tell("notifications/initialized")
    return _server(result, result.get("serverInfo"), version, "handshake")


def _discovered(result: Json, session: Session) -> Server:
    versions = result.get("supportedVersions")
    if not isinstance(versions, list) or session.version not in versions:
        raise Misbehaved("The server answers server/discover, but does not say that it speaks what this client speaks.")
    meta = result.get("_meta")
    info = meta.get(f"{_META}serverInfo") if isinstance(meta, dict) else None
    return _server(result, info, session.version, "modern")


def _server(result: Json, info: Any, version: str, era: Era) -> Server:
    capabilities, instructions = result.get("capabilities"), result.get("instructions")
    return Server(
        info=read(info, Implementation) if isinstance(info, dict) else None,
        capabilities=capabilities if isinstance(capabilities, dict) else {},
        instructions=instructions if isinstance(instructions, str) else None,
        version=version,
        era=era,
    )


def _spoken(fault: Exception, ours: Sequence[str]) -> Sequence[str]:
    """Which of our versions a server that refused a request may speak: all, unless it says which it does."""
    if not isinstance(fault, RpcError) or fault.code != _UNSUPPORTED_VERSION or not isinstance(fault.data, dict):
        return ours
    supported = fault.data.get("supported")
    return [version for version in ours if version in supported] if isinstance(supported, list) else ours


def rpc_error(error: Any, method: str) -> RpcError:
    """What a JSON-RPC error means, in a sentence."""
    error = error if isinstance(error, dict) else {}
    code = error.get("code")
    code = code if isinstance(code, int) else 0
    text, data = str(error.get("message", "")), error.get("data")
    shown = f": {printable(text[:1000]).rstrip('.')}" if text else ""
    if code == _METHOD_NOT_FOUND:
        sentence = f"The server does not do {method}{shown}."
    elif code == jsonrpc.INVALID_PARAMS:
        sentence = f"The server does not take what it was asked{shown}."
    elif code == _URL_NEEDED:
        pages = data.get("elicitations") if isinstance(data, dict) else None
        urls = [str(page.get("url")) for page in pages or () if isinstance(page, dict)]
        pages_named = printable(" ".join(urls))[:2000]
        sentence = f"The server wants you to open a page first, and then to ask again: {pages_named}"
    elif code or shown:
        sentence = f"The server answered {method} with error {code}{shown}."
    else:
        sentence = f"The server answered {method} with an error that it does not explain. Tell its owner."
    return RpcError(sentence, code, text, data)


_OURSELVES: Final = {"name": "tollbook", "version": __version__}
