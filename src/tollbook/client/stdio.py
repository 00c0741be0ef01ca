"""A server that is a process of this machine: a message a line on its standard input and output.

Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio
"""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final

import msgspec

from tollbook.client.carrier import MOST_BYTES, Cut, Patience
from tollbook.client.targets import Target
from tollbook.client.trouble import Unreachable
from tollbook.core import jsonrpc
from tollbook.core.jsonrpc import Id, Message, Notification, Response
from tollbook.core.text import printable

_MOST_OF_A_LOG_LINE: Final = 500
_CHUNK: Final = 1 << 16
_PATIENCE_S: Final = 2.0
"""For a process that is asked to end, before it is made to."""


class Stdio:
    """A way to the process that `start` began."""

    has_session = False
    closing_cancels = False

    def __init__(self, process: asyncio.subprocess.Process, debug: Callable[[str], None]) -> None:
        self._process, self._debug = process, debug
        self._running: dict[Id, tuple[asyncio.Queue[Message | None], Callable[[], None]]] = {}
        self._unasked: asyncio.Queue[Message | None] = asyncio.Queue()
        self._said = ""
        """The last line of its log."""
        self._ending = ""
        """Why nothing that it says is read any more."""
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._read_log())]

    async def exchange(
        self, request_id: Id, body: bytes, headers: Mapping[str, str], patience: Patience
    ) -> AsyncGenerator[Message, None]:
        messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._running[request_id] = messages, patience.alive
        try:
            await self.send(body, headers, patience)
            while (message := await messages.get()) is not None:
                yield message
                if isinstance(message, Response):
                    return
            raise Cut(await self._end(), ends_session=True)
        finally:
            del self._running[request_id]

    async def send(
        self,
        body: bytes,
        headers: Mapping[str, str],  # noqa: ARG002 - a pipe has no headers
        patience: Patience,  # noqa: ARG002 - nor a login
    ) -> None:
        pipe = self._process.stdin
        if pipe is None or self._tasks[0].done():
            raise Unreachable(f"Nothing was sent: {await self._end()}.")
        try:
            pipe.write(body + b"\n")
            await pipe.drain()
        except (BrokenPipeError, ConnectionResetError) as fault:
            raise Cut(await self._end(), ends_session=True) from fault

    async def unasked(
        self,
        headers: Mapping[str, str],  # noqa: ARG002
        begun: Callable[[], None],
    ) -> AsyncGenerator[Message, None]:
        begun()
        while (message := await self._unasked.get()) is not None:
            yield message

    async def end(self, headers: Mapping[str, str], patience: Patience) -> bool:  # noqa: ARG002
        return False

    async def close(self) -> None:
        """Closes its input, and sees to it that it ends.

        Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#stdio
        """
        if self._process.stdin is not None:
            self._process.stdin.close()
        # Its children may outlive it, and hold its pipes.
        waiting: set[asyncio.Task[Any]] = {asyncio.create_task(self._process.wait()), *self._tasks}
        try:
            for sent in (None, signal.SIGTERM, signal.SIGKILL):
                if sent is not None:
                    os.killpg(self._process.pid, sent)
                _, waiting = await asyncio.wait(waiting, timeout=_PATIENCE_S)
                if not waiting:
                    break
        except (ProcessLookupError, PermissionError):
            pass  # what is left is not of its group
        finally:
            for task in waiting:
                task.cancel()
            self._process._transport.close()  # type: ignore[attr-defined] # no public name closes the pipes
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _read(self) -> None:
        output = self._process.stdout
        try:
            while output is not None and (line := await output.readline()):
                if (message := self._message_in(line)) is not None:
                    self._pass_on(message)
        except ValueError:  # longer than the limit: what follows cannot be told apart
            self._ending = f"the server's process sent a line of more than {MOST_BYTES // 2**20} MiB"
        finally:
            for messages, _ in self._running.values():
                messages.put_nowait(None)
            self._unasked.put_nowait(None)

    def _message_in(self, line: bytes) -> Message | None:
        try:
            document = msgspec.json.decode(line)
            if isinstance(document, dict) and "error" in document and document.get("id") is None:
                # It could not read what it was sent, and does not say which; most likely the last.
                document = {**document, "id": next(reversed(self._running), None)}
            return jsonrpc.message_of(document)
        except (jsonrpc.Malformed, msgspec.DecodeError, ValueError, RecursionError):
            self._debug(f"Not a message: {printable(line[:200].decode(errors='replace').rstrip())}")
            return None

    def _pass_on(self, message: Message) -> None:
        """To the exchange it belongs to, as far as one can see; what belongs to none is unasked."""
        for _, alive in self._running.values():
            alive()
        if isinstance(message, Response):
            if message.id in self._running:
                self._running[message.id][0].put_nowait(message)
            return
        token = (message.params or {}).get("progressToken") if isinstance(message, Notification) else None
        if jsonrpc.is_id(token) and token in self._running:
            messages, _ = self._running[token]
        elif self._running:
            messages, _ = next(reversed(self._running.values()))
        else:
            messages = self._unasked
        messages.put_nowait(message)

    async def _read_log(self) -> None:
        """Its standard error is its log: shown to whoever wants to know, and quoted when it dies."""
        log, begun = self._process.stderr, b""
        while log is not None and (more := await log.read(_CHUNK)):
            *lines, rest = (begun + more).split(b"\n")
            begun = rest[:_MOST_OF_A_LOG_LINE]
            for line in lines:
                self._logged(line)
        self._logged(begun)

    def _logged(self, line: bytes) -> None:
        if text := printable(line[:_MOST_OF_A_LOG_LINE].decode(errors="replace").rstrip()):
            self._said = text
            self._debug(f"stderr: {text}")

    async def _end(self) -> str:
        """How the process ended, as a part of a sentence."""
        if self._ending:
            return self._ending
        try:
            code = await asyncio.wait_for(self._process.wait(), _PATIENCE_S)
            await asyncio.wait_for(asyncio.shield(self._tasks[1]), _PATIENCE_S)
        except TimeoutError:
            return "the server's process closed its output"
        how = f"ended with code {code}" if code >= 0 else f"was ended by signal {-code}"
        last = f", and said last: '{self._said}'" if self._said else ""
        return f"the server's process {how}{last}"


async def start(target: Target, debug: Callable[[str], None]) -> Stdio:
    """Starts the process of `target`, in a group of its own: Ctrl-C is for this program, not for it.

    Raises:
        Unreachable: it cannot be started.
    """
    program = printable(target.command[0])
    try:
        process = await asyncio.create_subprocess_exec(
            *target.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(target.environment),
            cwd=target.folder,
            limit=MOST_BYTES,
            start_new_session=True,
        )
    except FileNotFoundError as fault:
        if target.folder is not None and fault.filename == target.folder:
            raise Unreachable(f"There is no folder '{printable(target.folder)}'. Check its name.") from fault
        raise Unreachable(
            f"There is no program '{program}'. Check its name; programs are looked for along PATH."
        ) from fault
    except (OSError, ValueError) as fault:
        reason = (getattr(fault, "strerror", None) or str(fault)).lower()
        raise Unreachable(f"'{program}' cannot be started: {reason}. Check its command and its folder.") from fault
    return Stdio(process, debug)
