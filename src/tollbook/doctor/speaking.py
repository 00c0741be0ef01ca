"""Whether the server speaks MCP to whoever may ask: in both eras, in streams, in sessions.

Source: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any, Final

import httpx2

from tollbook.client.connection import Connection
from tollbook.client.host import Nobody
from tollbook.client.protocol import Era, Tool
from tollbook.client.targets import Target
from tollbook.client.trouble import ClientError, LoginNeeded, Refused, RpcError, TimedOut
from tollbook.core.stores import Clock
from tollbook.doctor.finding import Finding, failed, failed_with, foreign, ok, skipped, unknown

TOKEN: Final = "token"  # noqa: S105 - the name of a check
MODERN: Final = "2026-07-28"
HANDSHAKE: Final = "initialize"
TOOLS: Final = "tools"
STREAMING: Final = "streaming"
SESSION: Final = "session"

SLOW_TOOL: Final = "multi-greet"
"""Of tollbook's server: tells of itself at once, and a second apart, before its result."""
_AHEAD_S: Final = 0.5
"""By so much must its first word come before its result, where nothing on the way holds it back."""
_SPANS: Final = 3
"""Of the patience: so long may take all that is asked in one era, and so long a call."""
_FAREWELL_S: Final = 3.0
_BUFFERED: Final = (
    "An HTTP API of API Gateway cannot stream: use a REST API with ResponseTransferMode STREAM, or a function URL with "
    "RESPONSE_STREAM. Else see LAMBDA_RESPONSE_MODE, and whether a proxy buffers (nginx: proxy_buffering off)."
)


class Who(Nobody):
    """A host that takes note of when a server first spoke up.

    Attributes:
        first: by the clock; None if it said nothing.
    """

    def __init__(self, elapsed: Clock) -> None:
        self._elapsed = elapsed
        self.first: float | None = None

    def forget(self) -> None:
        """Listens anew."""
        self.first = None

    def log(self, level: str, logger: str | None, data: Any) -> None:  # noqa: ARG002 - when, not what
        self._heard()

    def progress(self, done: float, total: float | None, message: str | None) -> None:  # noqa: ARG002
        self._heard()

    def _heard(self) -> None:
        if self.first is None:
            self.first = self._elapsed()


class Conversation:
    """What is asked of one server by one caller.

    Args:
        auth: puts a credential on requests; None where there is none.
        has_token: whether a credential was given or kept.
        wants_login: whether the server said so.
        can_log_in: whether a login of ours would learn where to begin.
        patience_s: the longest silence that is borne.
    """

    def __init__(
        self,
        target: Target,
        auth: httpx2.Auth | None,
        *,
        has_token: bool,
        wants_login: bool,
        can_log_in: bool,
        elapsed: Clock,
        patience_s: float,
    ) -> None:
        self._target, self._auth, self._elapsed = target, auth, elapsed
        self._patience_s, self._longest_s = patience_s, _SPANS * patience_s
        self._has_token, self._wants_login, self._can_log_in = has_token, wants_login, can_log_in

    async def findings(self) -> AsyncIterator[Finding]:
        """All of it, as it is found."""
        if self._wants_login and not self._has_token:
            login = f"Run 'tollbook login {self._target.name}', or give" if self._can_log_in else "Give"
            login += " a token in ACCESS_TOKEN, and ask again."
            yield skipped(TOKEN, "a login is needed to go on", login, needs_login=True)
            for check in (MODERN, HANDSHAKE, TOOLS, STREAMING, SESSION):
                yield skipped(check, "a login is needed")
            return
        modern, tools, streaming = await self._of_2026()
        if modern.check == TOKEN:
            yield modern
            for check in (MODERN, HANDSHAKE, TOOLS, STREAMING, SESSION):
                yield skipped(check, "a login is needed" if modern.needs_login else f"'{TOKEN}' failed")
            return
        handshake, of_handshake, session = await self._of_2025()
        if self._wants_login and "ok" in (modern.status, handshake.status):
            yield ok(TOKEN, "The server takes the token.")
        # A server need not speak both.
        yield _bearable(modern, handshake)
        yield _bearable(handshake, modern)
        yield tools or of_handshake or skipped(TOOLS, f"'{HANDSHAKE}' failed")
        yield streaming or skipped(STREAMING, f"'{MODERN}' failed")
        yield session or skipped(SESSION, f"'{HANDSHAKE}' failed")

    async def _of_2026(self) -> tuple[Finding, Finding | None, Finding | None]:
        """The revision; its tools; whether it streams."""
        who = Who(self._elapsed)
        connection = self._connection("modern", who)
        try:
            async with asyncio.timeout(self._longest_s):
                server = await connection.open()
                tools = await connection.tools()
            name = foreign(server.info.name) if server.info else "The server"
            spoken = ok(MODERN, f"{name} speaks the revision of 2026-07-28.", server=name, version=server.version)
            return spoken, _told(tools), await self._streams(connection, tools, who)
        except (ClientError, TimeoutError) as fault:
            return self._failure(MODERN, fault), None, None
        finally:
            await _closed(connection)

    async def _of_2025(self) -> tuple[Finding, Finding | None, Finding | None]:
        """The handshake; its tools; whether its sessions last."""
        connection = self._connection("handshake", Nobody())
        try:
            async with asyncio.timeout(self._longest_s):
                server = await connection.open()
                spoken = ok(HANDSHAKE, f"It speaks the handshake too, in {server.version}.", version=server.version)
                try:
                    tools = await connection.tools()
                except ClientError as fault:
                    return spoken, None, failed_with(SESSION, fault)
                if not server.has_session:
                    return spoken, _told(tools), ok(SESSION, "It keeps no sessions, and answers without them.")
                is_ended = await connection.terminate()
                end = "is gone when it is ended" if is_ended else "ends when the server wants it"
                return spoken, _told(tools), ok(SESSION, f"A session lasts from one request to the next, and {end}.")
        except (ClientError, TimeoutError) as fault:
            return self._failure(HANDSHAKE, fault), None, None
        finally:
            await _closed(connection)

    async def _streams(self, connection: Connection, tools: Sequence[Tool], who: Who) -> Finding:
        if SLOW_TOOL not in (each.name for each in tools):
            said = f"There is no tool '{SLOW_TOOL}' to try with whether its answers stream."
            return unknown(STREAMING, said)
        who.forget()
        try:
            async with asyncio.timeout(self._longest_s):
                await connection.call_tool(SLOW_TOOL, {"name": "tollbook doctor"})
        except (ClientError, TimeoutError) as fault:
            return failed_with(STREAMING, fault if isinstance(fault, ClientError) else self._endless())
        ended = self._elapsed()
        ahead = 0.0 if who.first is None else ended - who.first
        if ahead >= _AHEAD_S:
            said = f"Answers stream: the first word came {ahead:.1f} s before the result."
            return ok(STREAMING, said, seconds_ahead=round(ahead, 2))
        if who.first is None:
            said = "Answers do not stream: of what a tool says while it runs nothing came, only its result."
        else:
            said = "Answers do not stream: what a tool says while it runs came with its result, all at once."
        return failed(STREAMING, said, _BUFFERED, seconds_ahead=round(ahead, 2))

    def _connection(self, era: Era, host: Nobody) -> Connection:
        return Connection(self._target, host, auth=self._auth, era=era, timeout_s=self._patience_s)

    def _failure(self, check: str, fault: Exception) -> Finding:
        if isinstance(fault, LoginNeeded):
            if self._has_token:
                another = f"Run 'tollbook login {self._target.name}'" if self._can_log_in else "Give another token"
                return failed(
                    TOKEN,
                    "The server refuses the token: it has ended, is meant for another server, or lacks a scope.",
                    f"{another}. If that does not help, compare OAUTH_AUDIENCE, OAUTH_REQUIRED_SCOPE and "
                    "COGNITO_ALLOWED_CLIENT_IDS with what the token says.",
                )
            login = f"Run 'tollbook login {self._target.name}', and ask again."
            return skipped(TOKEN, "a login is needed to go on", login, needs_login=True)
        if isinstance(fault, ClientError):
            return failed_with(check, fault, is_answer=isinstance(fault, RpcError | Refused))
        return failed_with(check, self._endless())

    def _endless(self) -> TimedOut:
        return TimedOut(f"The server does not get done within {self._longest_s:g} s. See why it hangs.")


def _bearable(finding: Finding, other: Finding) -> Finding:
    """A server that says no to one era, and speaks the other, is well."""
    if finding.status != "failed" or other.status != "ok" or not finding.facts.get("is_answer"):
        return finding
    return unknown(finding.check, f"It does not speak this era, and answers in the other ({other.check}).")


def _told(tools: Sequence[Tool]) -> Finding:
    names = [foreign(each.name) for each in tools]
    return ok(TOOLS, f"It has {len(names)} {'tool' if len(names) == 1 else 'tools'}.", names=names)


async def _closed(connection: Connection) -> None:
    with suppress(ClientError, TimeoutError):
        async with asyncio.timeout(_FAREWELL_S):
            await connection.close()
