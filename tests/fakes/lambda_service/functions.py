"""A function: who of its instances gets an invocation, and how many there are.

Sources:
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
    https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from tests.fakes.lambda_service.instances import Configuration, Instance, an_instance
from tests.fakes.lambda_service.invocations import LARGEST_EVENT, FunctionError, Invocation, a_trace_id


class Throttled(Exception):
    """All instances are at work, and there may be no more: `TooManyRequestsException`, 429."""


class EventTooLarge(Exception):
    """An event has more than 6 MB: `RequestTooLargeException`, 413."""


class Function:
    """See `deployed`.

    Attributes:
        instances: those that live, the oldest first.
        invocations: all there were, the oldest first.
        deaths: how many instances ended so far.
    """

    def __init__(
        self, configuration: Configuration, provisioned: int, most: int, mortality: float, chance: random.Random
    ) -> None:
        self.configuration = configuration
        self._provisioned, self._most, self._mortality, self._chance = provisioned, most, mortality, chance
        self.instances: list[Instance] = []
        self.invocations: list[Invocation] = []
        self.deaths = 0
        self._started = self._starting = 0
        self._lives: dict[Instance, AsyncExitStack] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._mourners: list[asyncio.Task[None]] = []

    async def invoke(self, event: bytes, trace_id: str = "") -> Invocation:
        """Gives an event to one of the instances that are free, whichever; or to a new one.

        Raises:
            EventTooLarge: it has more bytes than an event may have.
            Throttled: there are as many instances as there may be, and all are at work.
        """
        if len(event) > LARGEST_EVENT:
            raise EventTooLarge
        free = [each for each in self.instances if each.is_free] or [each for each in self.instances if each.is_coming]
        if not free and len(self.instances) + self._starting >= self._most:
            raise Throttled
        instance = self._chance.choice(free) if free else await self._start()
        instance.take()
        invocation = Invocation(event, trace_id or a_trace_id(time.time()))
        self.invocations.append(invocation)
        self._do(self._run(instance, invocation))
        return invocation

    async def provision(self) -> None:
        """Starts as many instances as are to be there before anybody asks, and waits until they are ready.

        Raises:
            FunctionError: one does not start.
        """
        missing = range(self._provisioned - len(self.instances) - self._starting)
        started = await asyncio.gather(*(self._start() for _ in missing))
        await asyncio.gather(*(each.start() for each in started))

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._provisioned = 0
        for mourner in self._mourners:  # more of them while one instance takes the place of another
            await asyncio.gather(*(life.aclose() for life in list(self._lives.values())))
            await mourner

    async def _start(self) -> Instance:
        number, life = self._started, AsyncExitStack()
        self._started += 1
        self._starting += 1
        try:
            instance = await life.enter_async_context(an_instance(number, self.configuration))
        finally:
            self._starting -= 1
        self._lives[instance] = life
        self.instances.append(instance)
        self._mourners.append(asyncio.create_task(self._mourn(instance)))
        return instance

    async def _run(self, instance: Instance, invocation: Invocation) -> None:
        await instance.run(invocation)
        if self._chance.random() < self._mortality:
            instance.take()  # so that nobody else gets it
            await instance.kill()

    async def _mourn(self, instance: Instance) -> None:
        """Takes its place away from one that died, and starts another where there are to be as many."""
        await instance.dead.wait()
        self.deaths += 1
        self.instances.remove(instance)
        await self._lives.pop(instance).aclose()
        with suppress(FunctionError):  # whoever invokes the function next is told
            await self.provision()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def deployed(
    configuration: Configuration,
    *,
    provisioned: int = 0,
    most: int = 10,
    mortality: float = 0,
    chance: random.Random | None = None,
) -> AsyncIterator[Function]:
    """A function that can be invoked until the end of the block.

    Args:
        provisioned: instances that are there before anybody asks; one that dies is replaced.
        most: instances that there may be: its reserved concurrency.
        mortality: how likely an instance ends after an invocation, between 0 and 1.
        chance: chooses.
    """
    function = Function(configuration, provisioned, most, mortality, chance or random.Random(1))  # noqa: S311 - no secret
    try:
        await function.provision()
        yield function
    finally:
        await function.close()
