"""Several requests at once, and the same request again when AWS asks for time."""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tollbook.core.errors import SourceError
from tollbook.sources.aws.trouble import is_passing, is_throttling
from tollbook.sources.reading import Watch

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_NO_MORE: Final[Any] = object()

PAUSES: Final = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 5.0, 5.0, 5.0, 5.0)
"""Seconds to wait before the same request is made again; 26 in all, then it has failed."""


def patiently(request: Callable[[], Answer], watch: Watch, pauses: Sequence[float] = PAUSES) -> Answer:
    """What `request` gives, made again while AWS asks for time or fails in passing.

    Raises:
        ClientError, BotoCoreError, ResponseParserError: it was refused, or failed to the last.
        Halted: see `Watch`.
    """
    for pause in pauses:
        watch.go_on()
        try:
            return request()
        except (ClientError, BotoCoreError, ResponseParserError) as fault:
            if not is_throttling(fault) and not is_passing(fault):
                raise
        watch.wait(pause)
    watch.go_on()
    return request()


def abreast(items: Iterable[Item], do: Callable[[Item], None], threads: int) -> None:
    """Does `do` for each of `items`, in so many threads at once.

    Raises:
        Exception: the first that `do` raised; when it did, no further item was begun, and those begun have ended.
    """
    waiting, turn, faults = iter(items), threading.Lock(), list[BaseException]()

    def work() -> None:
        while not faults:
            try:
                with turn:
                    item = next(waiting, _NO_MORE)
                if item is _NO_MORE:
                    return
                do(item)
            except BaseException as fault:
                faults.append(fault)

    crew = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    try:
        for member in crew:
            member.start()
        for member in crew:
            member.join()
    except BaseException as fault:  # Ctrl-C, which the main thread alone hears
        faults.append(fault)
        raise
    if faults:
        raise faults[0]


class Losses:
    """Whether anything could be read at all, and whether it is worth going on. For any thread."""

    def __init__(self, most: int) -> None:
        """
        Args:
            most: what may fail before no further attempt is made.
        """
        self._most, self._turn = most, threading.Lock()
        self._number, self._gained = 0, False
        self._first: SourceError | None = None

    @property
    def gives_up(self) -> SourceError | None:
        """What failed first, if so much failed that no further attempt is to be made."""
        return self._first if self._number >= self._most else None

    def add(self, fault: SourceError) -> None:
        with self._turn:
            self._number += 1
            self._first = self._first or fault

    def gain(self) -> None:
        """Something was read."""
        self._gained = True

    def raise_if_all(self) -> None:
        """
        Raises:
            SourceError: what failed first, if nothing was read.
        """
        if self._first is not None and not self._gained:
            raise self._first
