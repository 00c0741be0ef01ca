"""Which server is meant, the connection to it, and what is done when it wants to know who asks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, Literal, Protocol
from urllib.parse import urlsplit

from tollbook.client.arguments import nearest
from tollbook.client.protocol import Answer, Elicitation, Server, Tool
from tollbook.client.repl.history import KeptLines
from tollbook.client.repl.setup import Setup
from tollbook.client.screen import Running, Screen
from tollbook.client.targets import Target
from tollbook.client.trouble import ClientError, LoginNeeded, Unreachable
from tollbook.core.errors import TollbookError, UsageError
from tollbook.core.text import printable

if TYPE_CHECKING:
    from tollbook.client.connection import Connection

_FAREWELL_S: Final = 2.0
"""For a server to end the session of a user who leaves."""
State = Literal["no server", "not connected", "connecting", "connected", "away"]


class Person(Protocol):
    """Whoever gives the commands."""

    @property
    def is_there(self) -> bool:
        """Whether he can be asked anything."""

    async def agrees(self, question: str) -> bool: ...

    async def elicit(self, asked: Elicitation, who: str) -> Answer: ...


class Conversation:
    """What commands work on.

    Attributes:
        target: the server that is meant.
        is_over: whether the user has left.
    """

    def __init__(
        self, setup: Setup, screen: Screen, clock: Callable[[], float], person: Person, history: KeptLines
    ) -> None:
        self.target, self.method = setup.target, setup.method
        self.setup, self.screen, self.history = setup, screen, history
        self.running = Running(screen, clock, self._elicit)
        self.running.shows_debug = setup.debug
        self.connection: Connection | None = None
        self.is_over = False
        self._person = person
        self._opening: asyncio.Task[Connection] | None = None
        self._waiting = 0
        self._is_away = False

    @property
    def server(self) -> Server | None:
        """What is known of the server; None while there is no connection."""
        return self.connection.server if self.connection else None

    @property
    def state(self) -> State:
        if self.target is None:
            return "no server"
        if self._opening is not None:
            return "connecting"
        if self.connection is None:
            return "not connected"
        return "away" if self._is_away else "connected"

    @property
    def where(self) -> str:
        """What the user calls the server: the name he gave it, or its host and port."""
        return "" if self.target is None else where(self.target)

    def needed_target(self) -> Target:
        """Raises UsageError: no server is known."""
        if self.target is None:
            raise UsageError("No server is named yet. Say which: connect URL")
        return self.target

    async def begin(self) -> LoginNeeded | None:
        """Connects while the user may already type, and says how that went; gives what he may mend by a login."""
        try:
            await self._joined()
        except asyncio.CancelledError:
            if self._opening is not None:
                raise
        except TollbookError as fault:
            if self._waiting:  # a command will say so
                return None
            if isinstance(fault, LoginNeeded) and self.can_log_in:
                return fault
            self.fail(fault)
        return None

    async def connected(self) -> "Connection":
        """The connection; it is made if there is none.

        Raises:
            ClientError: it cannot be made.
        """
        if self.connection is not None:
            return self.connection
        async with self.asking("connect"):
            return await self._joined()

    async def _joined(self) -> "Connection":
        """The connection that is being made."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._opened(self.needed_target()))
        opening = self._opening
        self._waiting += 1
        try:
            # A command that is cancelled while it waits cancels this too.
            self.connection = await opening
        finally:
            self._waiting -= 1
            if self._opening is opening:
                self._opening = None
        return self.connection

    async def _opened(self, target: Target) -> "Connection":
        from tollbook.client.connection import Connection

        connection = Connection(
            target,
            self.running,
            auth=self.setup.logins.auth(target, self.method),
            era=self.setup.era,
            timeout_s=self.setup.timeout_s,
            may_elicit=self._person.is_there,
            listens=True,
        )
        server = await connection.open()
        self._is_away = False
        self.screen.say(f"Connected to {_introduced(server, where(target))}.")
        return connection

    async def connect(self, target: Target | None = None) -> None:
        """To `target`, or anew to the server that is meant. A connection that there is ends before."""
        await self.disconnect()
        if target is not None:
            self.target = target
        await self.connected()

    async def disconnect(self, *, ends_session: bool = True) -> bool:
        """Lets go of the server; says whether it had one to let go of, or with `ends_session`, ended a session."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        connection, self.connection = self.connection, None
        if connection is None:
            return False
        if not ends_session:
            await connection.close()
            return True
        with suppress(ClientError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                return await connection.terminate()
        await connection.close()
        return False

    async def report(self, work: Callable[[], Awaitable[object]], needed: LoginNeeded | None = None) -> int:
        """Attempts `work`, and says what goes wrong with it; gives the exit code."""
        try:
            await self.attempt(work, needed)
        except TollbookError as fault:
            self.fail(fault)
            return fault.exit_code
        return 0

    async def attempt(self, work: Callable[[], Awaitable[object]], needed: LoginNeeded | None = None) -> None:
        """Does `work`; if the server wants to know who asks, asks the user whether to log in, and does it once more.

        Args:
            needed: what the server has already refused.
        """
        if needed is None:
            try:
                await work()
                return
            except LoginNeeded as fault:
                if not self.can_log_in:
                    raise
                needed = fault
        scopes = printable(" ".join(needed.scopes))
        why = f"asks for a login with {scopes}" if scopes else "wants to know who asks"
        if not await self._person.agrees(f"{self.where} {why}. Log in now?"):
            raise LoginNeeded("Not logged in. 'auth login' does it.") from needed
        await self.log_in(needed)
        await work()

    @property
    def can_log_in(self) -> bool:
        return self._person.is_there and self.method != "lambda"

    async def log_in(self, needed: LoginNeeded | None = None) -> None:
        try:
            said = await self.setup.logins.log_in(self.needed_target(), needed)
        except KeyboardInterrupt:  # Ctrl-C at a question of the login
            raise asyncio.CancelledError from None
        self.screen.say(said)

    @asynccontextmanager
    async def asking(self, what: str) -> AsyncIterator[None]:
        """While the server is asked for `what`: shows that, and notices whether it is there at all."""
        async with self.running.during(what):
            try:
                yield
            except Unreachable:
                self._is_away = True
                raise
        self._is_away = False

    async def tool(self, name: str) -> Tool:
        """The server's tool of that name.

        Raises:
            UsageError: it has none.
        """
        tools = {tool.name: tool for tool in await (await self.connected()).tools()}
        if name in tools:
            return tools[name]
        raise UsageError(f"{self.where} has no tool '{name}'.{_guess(name, tools)} 'list-tools' shows what it has.")

    def fail(self, fault: TollbookError) -> None:
        """Says what went wrong."""
        self.screen.fail(fault.message)
        for line in fault.more:
            self.screen.say(f"  {line}")

    async def _elicit(self, asked: Elicitation) -> Answer:
        return await self._person.elicit(asked, self.where)


def where(target: Target) -> str:
    """What the user calls `target`: the name he gave it, or its host and port."""
    if target.url is None or target.name != target.url:
        return target.name
    return urlsplit(target.url).netloc.rpartition("@")[2]


def _introduced(server: Server, place: str) -> str:
    info = server.info
    name = " ".join(filter(None, (info.name, info.version))) if info else "a server without a name"
    return f"{name} at {place} (MCP {server.version})"


def _guess(name: str, names: "dict[str, Tool]") -> str:
    near = nearest(name, names)
    return f" Did you mean '{near}'?" if near else ""
