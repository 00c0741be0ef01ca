"""A stretch of time cut in slices, for several threads to read: few at first, more where there is most left.

The pages of one slice come one after another, so what is read at once is as much as there are slices. But the last
page of a slice is half empty on average, and a page counts as a request: so there are no more slices than needed.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

_WORTH_PAGES: Final = 3.0  # a slice with fewer left, the one under way included, is not split
_LOOKS_EVERY_S: Final = 0.005  # at most


class Slice:
    """The events whose time is from `start` to just before `end`, in milliseconds since 1970.

    Attributes:
        asked_until: the end that its requests name: a token is good for the request it came with alone.
        position: up to where its events were read.
        token: of the page to be read next.
        ended: no page follows.
        circles: its pages lead to one that was read before.
    """

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end, self.asked_until = start, end, end
        self.position = start
        self.token: str | None = None
        self.ended = self.circles = False
        self._page_spans = 0  # milliseconds that its last page with events covered
        self._in_order = True
        self._tokens: set[int] = set()
        self._pages: set[int] = set()

    def is_again(self, ids: Sequence[str]) -> bool:
        """Whether a page with events of these ids was read before; it is from now on."""
        page = hash(tuple(ids))
        if page in self._pages:
            return True
        self._pages.add(page)
        return False

    def pass_page(self, times: Sequence[int], token: str | None) -> None:
        """Takes note of a page: the times of its events, and the token of the page that follows it."""
        if times:
            first, last = min(times), max(times)
            self._in_order = self._in_order and self.position <= first and sorted(times) == list(times)
            self._page_spans = max(last - self.position, 1)
            self.position = max(self.position, last)
        self.token = token
        # AWS gives events in the order of their time. If it did not, events of before `end` could still follow.
        self.ended = token is None or (self._in_order and self.position >= self.end)
        self.circles = not self.ended and hash(token) in self._tokens
        self._tokens.add(hash(token))

    @property
    def pages_left(self) -> float:
        """About how many pages are left, judged by the last one; 0 before the first."""
        return (self.end - self.position) / self._page_spans if self._page_spans else 0.0

    def split(self) -> "Slice":
        """Gives away the later half of what lies beyond the page under way."""
        middle = (self.position + self._page_spans + self.end) // 2
        given, self.end = Slice(middle, self.end), middle
        return given


class Slices:
    """All that is to be read, shared out among threads. Each slice is in the hands of one of them."""

    def __init__(self, spans: Sequence[tuple[int, int]], at_first: int, free_in: Callable[[], float]) -> None:
        """
        Args:
            spans: of time, apart from one another.
            at_first: about how many slices there are to begin with.
            free_in: the seconds until there is a turn that nobody waits for.
        """
        whole = sum(end - start for start, end in spans)
        self._waiting = deque(
            piece for start, end in spans for piece in _cut(start, end, max(1, at_first * (end - start) // whole))
        )
        self._taken: set[Slice] = set()
        self._free_in = free_in
        self._is_looked_out = False
        self._closed = False
        self._changed = threading.Condition()  # its lock may be taken again by who has it

    def take(self) -> Slice | None:
        """A slice whose next page is to be read, once there is one; None when there will be none."""
        with self._changed:
            while not self._closed and (self._waiting or self._taken):
                if piece := self.take_now():
                    self._changed.notify()
                    return piece
                self._wait()
            return None

    def take_now(self) -> Slice | None:
        """A slice whose next page is to be read; None if there is none just now.

        Where all are in other hands and a turn would pass unused, one of them is split.
        """
        with self._changed:
            if self._waiting:
                piece = self._waiting.popleft()
            elif (whole := self._splittable()) and self._free_in() <= 0:
                piece = whole.split()
            else:
                return None
            self._taken.add(piece)
            return piece

    def _wait(self) -> None:
        """Waits for a change; one of those who wait looks out for a turn that is free."""
        if self._is_looked_out or self._splittable() is None:
            self._changed.wait()
            return
        self._is_looked_out = True
        self._changed.wait(max(self._free_in(), _LOOKS_EVERY_S))
        self._is_looked_out = False

    def pass_page(self, piece: Slice, times: Sequence[int], token: str | None) -> int:
        """Takes note of a page of `piece`; gives the end before which its events are those of the slice.

        What is split off from now on begins after the last event of the page.
        """
        with self._changed:
            piece.pass_page(times, token)
            return piece.end

    def give_back(self, piece: Slice) -> None:
        """Ends what `take` began; a slice that has not ended waits for its next page."""
        with self._changed:
            self._taken.discard(piece)
            if not piece.ended:
                self._waiting.append(piece)
            if self._waiting or self._taken:
                self._changed.notify()
            else:
                self._changed.notify_all()

    def give_up(self, piece: Slice) -> tuple[int, int]:
        """Ends `piece` before its time; gives from where to where its events were not read."""
        with self._changed:
            piece.ended = True
            return piece.position, piece.end

    def close(self) -> list[tuple[int, int]]:
        """Gives out nothing any more; gives from where to where events were not read."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            return [(piece.position, piece.end) for piece in (*self._waiting, *self._taken) if not piece.ended]

    def _splittable(self) -> Slice | None:
        """The slice with most left, if it is worth while."""
        pieces = (piece for piece in self._taken if not piece.ended and piece.pages_left >= _WORTH_PAGES)
        return max(pieces, key=lambda piece: piece.pages_left, default=None)


def _cut(start: int, end: int, number: int) -> list[Slice]:
    edges = [start + (end - start) * place // number for place in range(number + 1)]
    return [Slice(first, last) for first, last in pairwise(edges) if first < last]
