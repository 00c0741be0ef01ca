"""A connection that does not give up: what can be taken up again is, and what cannot be is said."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Literal, Self

import httpx2
import msgspec

from tollbook.client import mirrored, stdio
from tollbook.client.carrier import Carrier, Cut, Lost
from tollbook.client.host import Host
from tollbook.client.http import Http
from tollbook.client.protocol import Era, Json, Prompt, Resource, ResourceTemplate, Server, Tool, read
from tollbook.client.session import EraChoice, Session, negotiate
from tollbook.client.targets import Target
from tollbook.client.trouble import CallLost, Misbehaved, RpcError, Unreachable

_PAGES: Final = 1000
_HEADER_MISMATCH: Final = -32020
_WAITS_S: Final = (0.5, 2.0)
"""Before a server that has gone is tried again: it may be starting anew."""

_FORGETFUL: Final = "The server forgets each session at once. Tell its owner: its instances may not share them."

Listed = Literal["tools", "resources", "resourceTemplates", "prompts"]
_METHODS: Final[Mapping[Listed, str]] = {
    "tools": "tools/list",
    "resources": "resources/list",
    "resourceTemplates": "resources/templates/list",
    "prompts": "prompts/list",
}


class Connection:
    """This client's connection to one server.

    Args:
        auth: puts the login on requests.
        timeout_s: the longest silence that is borne while an answer is awaited.
        log_level: the least serious log lines that are wanted (RFC 5424); None: none.
        may_elicit: whether the host can ask a user.
        listens: whether to hear what the server says unasked, such as that its tools have changed.
    """

    def __init__(
        self,
        target: Target,
        host: Host,
        *,
        auth: httpx2.Auth | None = None,
        era: EraChoice = "auto",
        timeout_s: float = 60.0,
        log_level: str | None = "debug",
        may_elicit: bool = False,
        listens: bool = False,
    ) -> None:
        self.target, self._host, self._auth = target, host, auth
        self._choice, self._timeout_s, self._log_level = era, timeout_s, log_level
        self._may_elicit, self._listens = may_elicit, listens
        self._session: Session | None = None
        self._left: list[Session] = []
        self._lists: dict[str, Sequence[Json]] = {}
        self._changes: Counter[str] = Counter()
        """How often each of them was said to have changed."""
        self._opening = asyncio.Lock()
        self.server: Server | None = None
        """What is known of the server; None while there is no connection."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> Server:
        """Connects, unless it is connected.

        Raises:
            ClientError: it cannot.
        """
        await self._ready()
        assert self.server is not None  # noqa: S101 - `_ready` sees to it
        return self.server

    async def close(self) -> None:
        """Lets go of the server. Its session lives on there; `terminate` ends it."""
        left = [*self._left, *filter(None, [self._session])]
        self._session, self.server, self._left = None, None, []
        self._lists.clear()
        for session in left:
            await session.close()

    async def terminate(self) -> bool:
        """Ends the session on the server and closes; False if the server keeps none."""
        try:
            return self._session is not None and await self._session.end()
        except (Cut, Lost):
            return False
        finally:
            await self.close()

    async def tools(self) -> Sequence[Tool]:
        """All that it has, kept until it says that they changed. Those marked ill are left out, as they must be."""
        tools = read(await self.listed("tools"), list[Tool])
        return [tool for tool in tools if not self._is_modern or mirrored.is_marked_well(tool.input_schema)]

    async def resources(self) -> Sequence[Resource]:
        return read(await self.listed("resources"), list[Resource])

    async def templates(self) -> Sequence[ResourceTemplate]:
        return read(await self.listed("resourceTemplates"), list[ResourceTemplate])

    async def prompts(self) -> Sequence[Prompt]:
        return read(await self.listed("prompts"), list[Prompt])

    async def call_tool(self, name: str, arguments: Json) -> Json:
        """The result, as the server sent it: `protocol.ToolResult` reads it.

        Raises:
            CallLost: the answer was lost, and the tool is not one that may be called twice.
        """
        for is_second in (False, True):
            tool = next((tool for tool in await self.tools() if tool.name == name), None)
            headers = mirrored.mirrored(tool.input_schema, arguments) if tool and self._is_modern else {}
            try:
                return await self._ask(
                    "tools/call",
                    {"name": name, "arguments": arguments},
                    headers=headers,
                    only_once=None if tool and tool.is_repeatable else name,
                )
            except RpcError as fault:
                if fault.code != _HEADER_MISMATCH or is_second:
                    raise
                self._lists.pop("tools", None)  # its schema is not what we know of it
        raise AssertionError

    async def read_resource(self, uri: str) -> Json:
        return await self._ask("resources/read", {"uri": uri})

    async def get_prompt(self, name: str, arguments: Mapping[str, str]) -> Json:
        return await self._ask("prompts/get", {"name": name, "arguments": arguments} if arguments else {"name": name})

    async def complete(self, ref: Json, argument: str, value: str, others: Mapping[str, str]) -> Sequence[str]:
        """What the server proposes for an argument of a prompt or of a resource template.

        Args:
            ref: `{"type": "ref/prompt", "name": …}` or `{"type": "ref/resource", "uri": …}`.
            others: the arguments that are known already.
        """
        asked: dict[str, Any] = {"ref": ref, "argument": {"name": argument, "value": value}}
        if others:
            asked["context"] = {"arguments": others}
        completion = (await self._ask("completion/complete", asked)).get("completion")
        values = completion.get("values") if isinstance(completion, dict) else None
        return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []

    async def set_log_level(self, level: str) -> None:
        """The least serious log lines that are wanted from now on (RFC 5424)."""
        self._log_level = level
        session = await self._ready()
        session.log_level = level
        if not self._is_modern and "logging" in self._capabilities:
            await self._ask("logging/setLevel", {"level": level})

    @property
    def _is_modern(self) -> bool:
        return self.server is not None and self.server.era == "modern"

    @property
    def _capabilities(self) -> Json:
        return self.server.capabilities if self.server is not None else {}

    async def listed(self, what: Listed) -> Sequence[Json]:
        """All of a list, as the server sent it."""
        await self._ready()
        method = _METHODS[what]
        if what not in self._lists:
            if method.partition("/")[0] not in self._capabilities:
                return ()
            found: list[Json] = []
            cursor: Any = None
            changes = self._changes[what]
            for _ in range(_PAGES):
                page = await self._ask(method, {} if cursor is None else {"cursor": cursor})
                found += read(page.get(what, ()), list[dict[str, Any]])
                cursor = page.get("nextCursor")
                if not cursor:
                    break
            else:
                raise Misbehaved(f"The server's answer to {method} does not end; after {_PAGES} pages it was left.")
            if changes != self._changes[what]:  # while it was read
                return found
            self._lists[what] = found
        return self._lists[what]

    async def _ask(
        self, method: str, params: Json, *, headers: Mapping[str, str] | None = None, only_once: str | None = None
    ) -> Json:
        """The result of a request, over a session opened anew where that is needed.

        Args:
            only_once: the name of a tool that may not be called twice; None: what is asked may be repeated.
        """
        recovery = _Recovery(self._host, only_once)
        while True:
            session = await self._ready()
            try:
                return await session.ask(method, params, headers)
            except Lost:
                self._drop(session)
                if only_once:
                    await self._ready()
                recovery.forgotten()
            except Unreachable as fault:
                if self.target.url is None:
                    self._drop(session)
                await recovery.gone(fault)
            except Cut as cut:
                if cut.ends_session:
                    self._drop(session)
                await recovery.cut(cut)

    async def _ready(self) -> Session:
        """The session; a new one if there is none."""
        async with self._opening:
            if self._session is None:
                self._session, self.server = await self._opened()
                # Servers may ask outside of any call's stream, too.
                wanted = self._listens or self._may_elicit
                if self.target.url is None or (wanted and not self._is_modern and self.server.has_session):
                    await self._session.listen()
            return self._session

    def _drop(self, session: Session) -> None:
        """Has the next request open another session. What is under way over this one ends by itself."""
        if self._session is session:
            self._session = None
            self._left.append(session)

    async def _opened(self) -> tuple[Session, Server]:
        carrier, ids = await self._carrier(), itertools.count(1)
        try:
            session, server = await negotiate(
                lambda era: self._begun(carrier, ids, era), self._choice, is_process=self.target.url is None
            )
            if server.era == "handshake" and self._log_level and "logging" in server.capabilities:
                with suppress(RpcError):  # some say that they log, and take no level
                    await session.ask("logging/setLevel", {"level": self._log_level})
        except Cut as cut:
            await carrier.close()
            raise Unreachable(f"There is no connection to '{self.target.name}': {cut}. Is it an MCP server?") from None
        except Lost:
            await carrier.close()
            raise Misbehaved(_FORGETFUL) from None
        except BaseException:
            await carrier.close()
            raise
        self._lists.clear()
        return session, msgspec.structs.replace(server, has_session=carrier.has_session)

    async def _carrier(self) -> Carrier:
        if self.target.url is None:
            return await stdio.start(self.target, self._host.debug)
        return Http(self.target.url, self.target.headers, self._auth, self._host.debug, self._resumed)

    def _begun(self, carrier: Carrier, ids: Iterator[int], era: Era) -> Session:
        return Session(
            carrier,
            self._host,
            ids=ids,
            era=era,
            may_elicit=self._may_elicit,
            log_level=self._log_level,
            timeout_s=self._timeout_s,
            changed=self._changed,
        )

    def _resumed(self) -> None:
        self._host.notice("The stream broke off; it is taken up where it ended.")

    def _changed(self, what: str) -> None:
        lists = ("resources", "resourceTemplates") if what == "resources" else (what,)
        self._changes.update(lists)
        if [each for each in lists if self._lists.pop(each, None) is not None]:
            self._host.notice(f"The server's {what} have changed.")


class _Recovery:
    """How often one request was tried again, and whether it may be once more.

    Args:
        only_once: the name of a tool that may not be called twice; None: the request may be repeated.
    """

    def __init__(self, host: Host, only_once: str | None) -> None:
        self._host, self._only_once = host, only_once
        self._waits = iter(_WAITS_S)
        self._was_forgotten = False

    def forgotten(self) -> None:
        """The server knew no such session, as after a restart; a new one will be opened."""
        if self._was_forgotten:
            raise Misbehaved(_FORGETFUL)
        self._was_forgotten = True
        if self._only_once:
            raise CallLost(
                f"The server had forgotten the session; a new one is open. '{self._only_once}' was not called "
                "again: the server does not say that it may be called twice. Call it again if you want it."
            )
        self._host.debug("The server had forgotten the session; a new one is opened.")

    async def gone(self, fault: Unreachable) -> None:
        """Nothing was sent, so that anything may be sent again: a server that starts anew takes a moment."""
        wait = next(self._waits, None)
        if wait is None:
            raise fault
        self._host.notice("The server is away; trying again …")
        await asyncio.sleep(wait)

    async def cut(self, cut: Cut) -> None:
        """The answer was lost on its way."""
        if self._only_once:
            raise CallLost(
                f"The answer of '{self._only_once}' was lost: {cut}. Whether it was done is not known, and the server "
                "does not say that it may be called twice. Look before you call it again."
            )
        wait = next(self._waits, None)
        if wait is None:
            raise Unreachable(f"The answer broke off three times: {cut}. Try again later, or tell the server's owner.")
        self._host.notice(f"The answer broke off ({cut}); asking again …")
        await asyncio.sleep(wait)
