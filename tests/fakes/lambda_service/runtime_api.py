"""The Runtime API of one instance: what the process in it may ask, when, and what it is answered.

Sources:
    the requests and their statuses: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    what may follow what, and the words of errors, of which the documentation is silent: Lambda's own implementation, in
    https://github.com/aws/aws-lambda-runtime-interface-emulator (internal/lambda/rapi/handler and internal/lambda/core)
"""

import asyncio
import json
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from tests.fakes.lambda_service.connections import Connection, Gone, Request, TooLarge
from tests.fakes.lambda_service.invocations import (
    LARGEST_EVENT,
    LARGEST_STREAM,
    FunctionError,
    Invocation,
    platform_error,
)

ROOT: Final = "/2018-06-01/runtime"

_INVOCATION: Final = re.compile(rf"{ROOT}/invocation/([^/]+)/(response|error)")
_MODE: Final = "Lambda-Runtime-Function-Response-Mode"


class Phase(StrEnum):
    """Where a process is in its life, in the emulator's words."""

    STARTED = "Started"
    INIT_ERROR = "InitError"
    RESTORE_READY = "RestoreReady"
    RESTORING = "Restoring"
    RESTORE_ERROR = "RestoreError"
    READY = "Ready"
    RUNNING = "Running"
    RESPONDING = "InvocationResponse"
    RESPONSE_SENT = "ResponseSent"


_MAY_FOLLOW: Final = {
    Phase.READY: {Phase.STARTED, Phase.RESTORING, Phase.RESPONSE_SENT},
    Phase.RESTORE_READY: {Phase.STARTED},
    Phase.RESPONDING: {Phase.RUNNING},
    Phase.INIT_ERROR: {Phase.STARTED},
    Phase.RESTORE_ERROR: {Phase.RESTORING},
}


class RuntimeApi:
    """Serves the process of one instance.

    Attributes:
        phase: where the process is.
        invocation: what it works on, until it asks for the next.
        failure: why it could not start, if it said so.
        refused: what was answered with an error, as `STATUS errorType`, for tests.
        is_ready: it has asked for an invocation, or for its restoration, and has none.
        rested: called when that begins.
    """

    def __init__(self, *, snap_start: bool, tells_who_left: bool, largest_stream: int = LARGEST_STREAM) -> None:
        """
        Args:
            snap_start: whether the process may ask to be restored.
            tells_who_left: whether the connection of a response that nobody waits for is reset.
            largest_stream: bytes of a streamed response.
        """
        self._snap_start, self._tells_who_left, self._largest_stream = snap_start, tells_who_left, largest_stream
        self.phase = Phase.STARTED
        self.invocation: Invocation | None = None
        self.failure: FunctionError | None = None
        self.refused: list[str] = []
        self.is_ready = asyncio.Event()
        self.rested: Callable[[], None] = lambda: None
        self._restored = asyncio.Event()
        self._given: asyncio.Future[tuple[Invocation, dict[str, str]]] = asyncio.get_running_loop().create_future()

    def give(self, invocation: Invocation, headers: dict[str, str]) -> None:
        """Answers the process that is ready, or will be, with an invocation."""
        self._given.set_result((invocation, headers))

    def restore(self) -> None:
        """Lets a process go on that waits for it."""
        self._restored.set()

    async def serve(self, connection: Connection, request: Request) -> None:
        """Answers one request of the process."""
        match request.method, request.path:
            case "GET", path if path == f"{ROOT}/invocation/next":
                await self._next(connection)
            case "GET", path if path == f"{ROOT}/restore/next" and self._snap_start:
                await self._restore(connection)
            case "POST", path if path == f"{ROOT}/restore/error" and self._snap_start:
                await self._take_failure(connection, request, Phase.RESTORE_ERROR)
            case "POST", path if path == f"{ROOT}/init/error":
                # As the emulator has it: runtimes report the hooks of a restoration here as well.
                is_restoring = self.phase is Phase.RESTORING
                await self._take_failure(connection, request, Phase.RESTORE_ERROR if is_restoring else Phase.INIT_ERROR)
            case "POST", path if (found := _INVOCATION.fullmatch(path)) is not None:
                await self._end(connection, request, *found.groups())
            case _:
                await connection.body(LARGEST_EVENT)
                await self._refuse(connection, 404, "NotFound", "404 page not found")

    async def _next(self, connection: Connection) -> None:
        if not await self._moves_on(connection, Phase.READY):
            return
        if self.invocation is not None:
            self.invocation.over.set()
            self.invocation = None
        self._rest()
        given = await connection.unless_left(asyncio.shield(self._given))
        self.is_ready.clear()
        self._given = asyncio.get_running_loop().create_future()
        self.invocation, headers = given
        self.phase = Phase.RUNNING
        await connection.answer(200, headers.items(), self.invocation.event)

    async def _restore(self, connection: Connection) -> None:
        if await self._moves_on(connection, Phase.RESTORE_READY):
            self._rest()
            await connection.unless_left(self._restored.wait())
            self.is_ready.clear()
            self.phase = Phase.RESTORING
            await connection.answer(200)

    def _rest(self) -> None:
        self.is_ready.set()
        self.rested()

    async def _take_failure(self, connection: Connection, request: Request, phase: Phase) -> None:
        document = await connection.body(LARGEST_EVENT)
        if await self._moves_on(connection, phase):
            self.failure = FunctionError(request.value("Lambda-Runtime-Function-Error-Type"), document)
            await _accept(connection)

    async def _end(self, connection: Connection, request: Request, invocation_id: str, how: str) -> None:
        invocation = self.invocation
        if invocation is None or invocation.id != invocation_id:
            await connection.body(LARGEST_STREAM)
            await self._refuse(connection, 400, "InvalidRequestID", "Invalid request ID")
        elif self.phase is not Phase.RUNNING:
            await connection.body(LARGEST_STREAM)
            await self._moves_on(connection, Phase.RESPONDING)
        elif how == "error":
            document = await connection.body(LARGEST_EVENT)
            invocation.fail(FunctionError(request.value("Lambda-Runtime-Function-Error-Type"), document))
            self.phase = Phase.RESPONSE_SENT
            await _accept(connection)
        elif (mode := request.value(_MODE)) not in ("", "streaming"):
            await connection.body(LARGEST_STREAM)
            invocation.fail(platform_error("Runtime.InvalidResponseModeHeader", mode))
            self.phase = Phase.RESPONSE_SENT
            await self._refuse(connection, 400, "InvalidFunctionResponseMode", "Invalid function response mode")
        else:
            self.phase = Phase.RESPONDING
            invocation.begin("streaming" if mode else "buffered", request.value("Content-Type"))
            try:
                await self._take_response(connection, invocation)
            finally:
                self.phase = Phase.RESPONSE_SENT

    async def _take_response(self, connection: Connection, invocation: Invocation) -> None:
        most = self._largest_stream if invocation.mode == "streaming" else LARGEST_EVENT
        if self._tells_who_left:
            invocation.when_left(connection.reset)
        try:
            if invocation.mode == "streaming":
                await self._take_parts(connection, invocation)
            else:
                await invocation.put(await connection.body(LARGEST_EVENT))
        except TooLarge:
            invocation.fail(platform_error("Function.ResponseSizeTooLarge", "Response payload size exceeded"))
            self.phase = Phase.RESPONSE_SENT
            message = f"Exceeded maximum allowed payload size ({most} bytes)."
            await self._refuse(connection, 413, "RequestEntityTooLarge", message)
            async for _ in connection.parts():  # so that the answer can be read: RFC 9112 §9.6
                pass
            return
        except Gone:
            invocation.fail(platform_error("Runtime.TruncatedResponse", "The response ended too early."))
            raise
        finally:
            invocation.when_left(lambda: None)
        invocation.end(connection.trailers)
        self.phase = Phase.RESPONSE_SENT
        await _accept(connection)

    async def _take_parts(self, connection: Connection, invocation: Invocation) -> None:
        async for part in connection.parts():
            if invocation.size + len(part) > self._largest_stream:
                raise TooLarge
            await invocation.put(part)

    async def _moves_on(self, connection: Connection, phase: Phase) -> bool:
        """Whether the process may go on to that phase; if not, it is told so."""
        if self.phase in _MAY_FOLLOW[phase]:
            self.phase = phase
            return True
        message = f"State transition from {self.phase} to {phase} failed for runtime."
        await self._refuse(connection, 403, "InvalidStateTransition", message)
        return False

    async def _refuse(self, connection: Connection, status: int, kind: str, message: str) -> None:
        self.refused.append(f"{status} {kind}")
        body = json.dumps({"errorMessage": message, "errorType": kind}).encode()
        await connection.answer(status, (("Content-Type", "application/json"),), body)


async def _accept(connection: Connection) -> None:
    await connection.answer(202, (("Content-Type", "application/json"),), b'{"status":"OK"}\n')
