"""Several processes at one piece of work, forked so that they share memory."""

import gc
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final, TypeVar, cast

import msgspec

from tollbook.core.errors import SourceError

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Iterator[Item], Callable[[int], None]], Result]
"""Takes its share of the items, one after another, and something to call with the units done."""

_UPDATE_S: Final = 0.1


class Crew:
    """So many processes.

    Attributes:
        lock: excludes them from one another.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._fork = multiprocessing.get_context("fork")
        self.lock: AbstractContextManager[object] = self._fork.Lock()

    def run(self, work: Work[Item, Result], items: Sequence[Item], progress: Callable[[int], None]) -> list[Result]:
        """Has each process do `work` on items that no other has taken; gives their results.

        Args:
            progress: told, now and then, the units done by all together.

        Raises:
            TollbookError: as `work` does.
            SourceError: a process was killed.
        """
        taken, units = self._fork.Value("Q", 0), self._fork.RawArray("Q", self._size)
        pipes: dict[Connection, BaseProcess] = {}
        try:
            for number in range(self._size):
                mine, theirs = self._fork.Pipe(duplex=False)
                labour = _Labour(number, items, taken, units, theirs)
                process = self._fork.Process(target=labour.do, args=(work,), daemon=True)
                process.start()
                theirs.close()  # so that the end of the process shows as the end of the pipe
                pipes[mine] = process
            return list(_results(pipes, lambda: progress(sum(units))))
        finally:
            for pipe, member in pipes.items():
                member.terminate()
                member.join()
                pipe.close()


def _results(pipes: Iterable[Connection], update: Callable[[], None]) -> Iterator[Any]:
    waiting = set(pipes)
    while waiting:
        for pipe in cast(list[Connection], wait(waiting, _UPDATE_S)):
            try:
                result = pipe.recv()
            except EOFError:
                raise SourceError("A process that read logs was killed, likely for want of memory.") from None
            if isinstance(result, Exception):
                raise result
            waiting.discard(pipe)
            yield result
        update()


class _Labour(msgspec.Struct, frozen=True):
    """What one of several processes does."""

    number: int
    items: Sequence[Any]
    taken: Any  # a shared count of the items that some process has taken
    units: Any  # a shared array of the units each process has done
    results: Connection

    def do(self, work: Work[Any, Any]) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
        gc.disable()  # a short life without cycles; looking for them would cost a third of it
        try:
            self.results.send(work(self._take(), self._count))
        except Exception as fault:  # raised again where the results are awaited
            self.results.send(fault)

    def _take(self) -> Iterator[Any]:
        while True:
            with self.taken.get_lock():
                index = self.taken.value
                self.taken.value += 1
            if index >= len(self.items):
                return
            yield self.items[index]

    def _count(self, units: int) -> None:
        self.units[self.number] += units
