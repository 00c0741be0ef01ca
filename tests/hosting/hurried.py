"""An event loop whose seconds pass at once where nobody has anything to do, and a store that does as it is told."""

import asyncio
import selectors
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
import pytest

from tollbook.core.errors import StoreDown
from tollbook.core.stores import Clock, Record
from tollbook.hosting.stores.memory import MemoryStore

WHY: Final = "table 'salaries' answered AccessDenied"
_IDLE_S: Final = 0.001
"""Where client and server share a loop, and no byte has come for so long, none will before the next timer."""


class _Impatient(selectors.DefaultSelector):
    """Waits for no timer; remembers how long it would have had to."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= _IDLE_S:
            return super().select(timeout)
        ready = super().select(_IDLE_S)
        if not ready:
            self.skipped_s += timeout - _IDLE_S
        return ready


class Hurried(asyncio.SelectorEventLoop):
    """A lease lapses, a pulse beats and a client stalls in it as ever, and no test waits for them."""

    def __init__(self) -> None:
        self._impatient = _Impatient()
        super().__init__(self._impatient)

    def time(self) -> float:
        return super().time() + self._impatient.skipped_s


HURRIED: Final = ("asyncio", {"loop_factory": Hurried})
"""What the fixture `anyio_backend` gives for tests in such a loop."""


def clock_of_the_loop(ahead_s: float = 0) -> Clock:
    """The time of day that passes with the loop's, so many seconds ahead of others'."""
    return lambda: 1_800_000_000 + asyncio.get_running_loop().time() + ahead_s


async def comes_true(holds: Callable[[], object], within_s: float = 100) -> None:
    """Waits until a condition is true, for so many seconds of the loop's at most."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def patient_client() -> AsyncIterator[httpx2.AsyncClient]:
    """One that waits as long as it must, and has a new connection for each request."""
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading the system's certificates takes its time
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with httpx2.AsyncClient(timeout=None, limits=limits, verify=no_tls) as client:
        yield client


Before = Callable[[str, str, bytes], Awaitable[None]]
"""Told of an operation, its key or partition, and its value, before it is done; what it raises, the store raises."""


class Obedient(MemoryStore):
    """Does `before` before each operation."""

    before: Before | None = None

    async def _begin(self, operation: str, name: str, value: bytes = b"") -> None:
        if self.before is not None:
            await self.before(operation, name, value)

    async def add(self, record: Record) -> bool:
        await self._begin("add", record.key, record.value)
        return await super().add(record)

    async def replace(self, record: Record) -> bool:
        await self._begin("replace", record.key, record.value)
        return await super().replace(record)

    async def put(self, record: Record) -> None:
        await self._begin("put", record.key, record.value)
        await super().put(record)

    async def get(self, partition: str, key: str) -> Record | None:
        await self._begin("get", key)
        return await super().get(partition, key)

    async def list(self, partition: str, prefix: str = "", after: str = "") -> Sequence[Record]:
        await self._begin("list", prefix)
        return await super().list(partition, prefix, after)

    async def count(self, partition: str) -> int:
        await self._begin("count", partition)
        return await super().count(partition)

    async def remove(self, partition: str, key: str) -> bool:
        await self._begin("remove", key)
        return await super().remove(partition, key)

    async def clear(self, partition: str) -> None:
        await self._begin("clear", partition)
        await super().clear(partition)


class Meets:
    """Counts the operations of one kind: their name, how their key begins, and what their value holds.

    Attributes:
        met: how many there were.
    """

    def __init__(self, operation: str, prefix: str = "", holding: bytes = b"") -> None:
        self._kind = operation, prefix, holding
        self.met = 0

    async def __call__(self, operation: str, name: str, value: bytes) -> None:
        wanted, prefix, holding = self._kind
        if operation == wanted and name.startswith(prefix) and holding in value:
            self.met += 1
            await self.meet()

    async def meet(self) -> None:
        """Lets it happen."""


class Refuses(Meets):
    """The first `times` of them fail."""

    def __init__(self, operation: str, prefix: str = "", holding: bytes = b"", *, times: float = float("inf")) -> None:
        super().__init__(operation, prefix, holding)
        self.times = times

    async def meet(self) -> None:
        if self.times > 0:
            self.times -= 1
            raise StoreDown(WHY)


class Holds(Meets):
    """Each of them waits until `go` is set."""

    def __init__(self, *kind: Any) -> None:
        super().__init__(*kind)
        self.go = asyncio.Event()

    async def meet(self) -> None:
        await self.go.wait()


@pytest.fixture(scope="module")
def anyio_backend() -> object:
    return HURRIED


@pytest.fixture
async def store() -> Obedient:
    return Obedient(clock_of_the_loop())


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with patient_client() as client:
        yield client
