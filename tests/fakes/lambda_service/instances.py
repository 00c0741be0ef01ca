"""An execution environment of a function: one process, which has a Runtime API of its own and one invocation at a time.

Sources:
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
    https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html
"""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Literal

import msgspec

from tests.fakes.lambda_service.connections import listening
from tests.fakes.lambda_service.invocations import LARGEST_STREAM, FunctionError, Invocation, platform_error
from tests.fakes.lambda_service.runtime_api import Phase, RuntimeApi

REGION: Final = "eu-west-1"
ACCOUNT: Final = "123456789012"

_LAST_WORDS_S: Final = 10

Start = Literal["on-demand", "provisioned-concurrency", "snap-start"]


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """How a function is configured, and how it is played.

    Attributes:
        command: the image's entry point and command.
        environment: the variables that were set for the function, besides Lambda's own.
        folder: where the processes' output goes, to `instance-NAME-N.log`.
        timeout_s: what an invocation may take.
        start: how instances begin; see AWS_LAMBDA_INITIALIZATION_TYPE.
        init_s: what a process may take until it asks for its first invocation. Lambda gives 10 s, then begins anew in
            the time of the first invocation; a machine of two busy cores needs more.
        freezes: whether a process is stopped while it has no invocation, as Lambda does.
        tells_who_left: whether the connection of a response that nobody waits for is reset. Documented is that
            such a response is neither interrupted nor stopped
            (https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html), and not whether the
            function is told; so tests try both.
        largest_stream: bytes of a streamed response.
    """

    command: Sequence[str]
    folder: Path
    name: str = "tollbook"
    environment: Mapping[str, str] = {}
    working_folder: Path = Path.cwd()
    timeout_s: float = 900
    start: Start = "on-demand"
    init_s: float = 60
    freezes: bool = True
    tells_who_left: bool = False
    largest_stream: int = LARGEST_STREAM

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.name}"


class Instance:
    """A running process.

    Attributes:
        number: of it among those of its function.
        address: of its Runtime API.
        invocations: those it was given.
        dead: it is no more.
    """

    def __init__(
        self,
        number: int,
        address: str,
        configuration: Configuration,
        process: asyncio.subprocess.Process,
        api: RuntimeApi,
    ) -> None:
        self.number, self.address, self.invocations = number, address, list[Invocation]()
        self._configuration, self._process, self._api = configuration, process, api
        self.dead = asyncio.Event()
        self._is_taken = self._is_stopping = False
        self._watching = asyncio.create_task(self._watch())
        api.rested = self._freeze

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_free(self) -> bool:
        """Whether it waits for an invocation."""
        return self._api.is_ready.is_set() and not self._is_taken and not self.dead.is_set()

    @property
    def is_coming(self) -> bool:
        """Whether it starts, and has no invocation that waits for it."""
        return not (self._api.is_ready.is_set() or self._is_taken or self.dead.is_set())

    def take(self) -> None:
        """Keeps it from others until `run` has ended."""
        self._is_taken = True

    @property
    def refused(self) -> Sequence[str]:
        """What the Runtime API answered with an error, as `STATUS errorType`."""
        return self._api.refused

    async def start(self) -> None:
        """Waits until it asks for an invocation, or to be restored.

        Raises:
            FunctionError: it does not, and is dead.
        """
        await self._ready_within(self._configuration.init_s)

    async def run(self, invocation: Invocation) -> None:
        """Gives it an invocation, and waits until it is done with it, or dead.

        What goes wrong is the invocation's failure.
        """
        try:
            await self._run(invocation)
        finally:
            self._is_taken = False

    async def _run(self, invocation: Invocation) -> None:
        invocation.instance = self.number
        self.invocations.append(invocation)
        timeout_s = self._configuration.timeout_s
        try:
            if self._api.phase is not Phase.READY:
                await self._ready_within(self._configuration.init_s)
            if self._api.phase is Phase.RESTORE_READY:
                self._thaw()
                self._api.is_ready.clear()
                self._api.restore()
                await self._ready_within(self._configuration.init_s)
        except FunctionError as failure:
            invocation.fail(failure)
            invocation.over.set()
            return
        self._thaw()
        self._api.give(invocation, self._headers(invocation))
        try:
            async with asyncio.timeout(timeout_s):
                await invocation.over.wait()
        except TimeoutError:
            # https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-invoke
            message = f"{invocation.id} Task timed out after {timeout_s:.2f} seconds"
            invocation.fail(platform_error("Sandbox.Timedout", message))
            await self.kill()

    def _headers(self, invocation: Invocation) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self._configuration.timeout_s) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self._configuration.arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_id,
            "Content-Length": str(len(invocation.event)),
        }

    async def kill(self) -> None:
        """Ends it at once, as if its machine went away, and waits for its end."""
        self._signal(signal.SIGKILL)
        await self.dead.wait()

    async def stop(self) -> None:
        """Ends it, and lets it write what was measured of it."""
        self._is_stopping = True
        self._thaw()
        self._signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self.dead.wait()
        await self.kill()

    async def _ready_within(self, timeout_s: float) -> None:
        ready, dead = asyncio.create_task(self._api.is_ready.wait()), asyncio.create_task(self.dead.wait())
        await asyncio.wait((ready, dead), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        dead.cancel()
        if self.dead.is_set():
            raise self._api.failure or _exit_error(self._process.returncode)
        if not self._api.is_ready.is_set():
            await self.kill()
            raise platform_error("Sandbox.Timedout", f"The runtime was not ready within {timeout_s:g} s.")

    async def _watch(self) -> None:
        code = await self._process.wait()
        self.dead.set()
        if (invocation := self._api.invocation) is not None:
            invocation.fail(_exit_error(code))
            invocation.over.set()

    def _freeze(self) -> None:
        """Stops it until it has something to do.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle
        """
        if self._configuration.freezes and not self._is_stopping:
            self._signal(signal.SIGSTOP)

    def _thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)  # Process.send_signal looks first whether it has ended, and so hides its end


@asynccontextmanager
async def an_instance(number: int, configuration: Configuration) -> AsyncIterator[Instance]:
    """Starts a process, and ends it with the block."""
    api = RuntimeApi(
        snap_start=configuration.start == "snap-start",
        tells_who_left=configuration.tells_who_left,
        largest_stream=configuration.largest_stream,
    )
    log = configuration.folder / f"instance-{configuration.name}-{number}.log"
    async with listening(api.serve) as port:
        address = f"127.0.0.1:{port}"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *configuration.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(configuration, address),
                cwd=configuration.working_folder,
            )
        instance = Instance(number, address, configuration, process, api)
        try:
            yield instance
        finally:
            await instance.stop()


def _environment(configuration: Configuration, address: str) -> dict[str, str]:
    """All that a process is told; of the tests' own environment, how Python is measured and what it imports."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE_", "COV_", "PYTHON"))}
    return {
        **kept,
        "PATH": os.defpath,
        "HOME": str(configuration.folder),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
        "AWS_LAMBDA_FUNCTION_NAME": configuration.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{configuration.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"2026/01/01/[$LATEST]{secrets.token_hex(16)}",
        "AWS_LAMBDA_INITIALIZATION_TYPE": configuration.start,
        "LAMBDA_TASK_ROOT": str(configuration.working_folder),
        **configuration.environment,
        "AWS_LAMBDA_RUNTIME_API": address,
    }


def _exit_error(code: int | None) -> FunctionError:
    """What Lambda says of a process that ended without a word."""
    how = f"signal: {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit status {code}"
    return platform_error("Runtime.ExitError", f"Runtime exited with error: {how}")
