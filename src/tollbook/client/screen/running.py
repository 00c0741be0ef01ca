"""What a running call says, as it says it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import msgspec
from rich.text import Text

from tollbook.client.protocol import Answer, Elicitation
from tollbook.client.screen import words
from tollbook.client.screen.terminal import Screen

Ask = Callable[[Elicitation], Awaitable[Answer]]

PATIENCE_S: Final = 0.5
"""What is answered sooner shows no live line, unless it says how far it is."""
_TICK_S: Final = 0.1
_SELDOM_S: Final = 5.0
"""Between two lines on progress where there is no live line."""
_OFTEN_S: Final = 0.05
"""Between two drawings of one, however often a server says how far it is."""

_LEVELS: Final = {
    "debug": "dim",
    "info": "cyan",
    "notice": "bold cyan",
    "warning": "yellow",
    "error": "red",
    "critical": "bold red",
    "alert": "bold red",
    "emergency": "bold red",
}
_SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_SPINNER: Final = "|/-\\"
_LONGEST_LOG: Final = 1_000


class Progress(msgspec.Struct, frozen=True):
    """How far a call is; `total` is None where nobody knows."""

    done: float
    total: float | None
    message: str | None

    @property
    def share(self) -> float | None:
        """0 to 1."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total and self.total > 0 else None


class _Call(msgspec.Struct):
    what: str
    began: float
    drawn: float = 0.0
    progress: Progress | None = None


class Running:
    """The host of a connection whose user looks at a screen.

    Attributes:
        shows_debug: whether to show what goes over the wire.
    """

    def __init__(self, screen: Screen, clock: Callable[[], float], elicit: Ask | None = None) -> None:
        """
        Args:
            clock: seconds, from whenever.
            elicit: asks the user; without it every question is declined.
        """
        self._screen, self._clock, self._elicit = screen, clock, elicit
        self._call: _Call | None = None
        self.shows_debug = False

    @asynccontextmanager
    async def during(self, what: str) -> AsyncIterator[None]:
        """Shows that `what`, a tool or whatever takes long, is running for as long as it does."""
        before, self._call = self._call, _Call(words.line(what, 60), self._clock())
        ticking = asyncio.create_task(self._tick()) if self._screen.is_live else None
        try:
            yield
        finally:
            if ticking:
                ticking.cancel()
                with suppress(asyncio.CancelledError):
                    await ticking
            self._call = before
            self._screen.live(None)

    def log(self, level: str, logger: str | None, data: Any) -> None:
        text = words.line(data, _LONGEST_LOG) if isinstance(data, str) else words.json_line(data, _LONGEST_LOG)
        line = Text.assemble((f"{words.line(level, 20):<7}", _LEVELS.get(level, "")), " ")
        if logger:
            line.append(f"{words.line(logger, 60)}  ", style="dim")
        self._screen.add(line.append(text, style="dim" if level == "debug" else ""))

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        if (call := self._call) is None:
            return
        is_first, now = call.progress is None, self._clock()
        call.progress = Progress(done, total, None if message is None else words.line(message, 200))
        if is_first or now - call.drawn >= (_OFTEN_S if self._screen.is_live else _SELDOM_S):
            call.drawn = now
            if self._screen.is_live:
                self.draw()
            else:
                self._screen.add(Text(f"{call.what}: {_so_far(call.progress)}"))

    def notice(self, text: str) -> None:
        self._screen.say(text)

    def debug(self, text: str) -> None:
        if self.shows_debug:
            self._screen.add(Text(words.line(text, _LONGEST_LOG), style="dim"))

    async def elicit(self, asked: Elicitation) -> Answer:
        if self._elicit is None:
            return Answer(action="decline")
        with self._screen.held():
            return await self._elicit(asked)

    def draw(self) -> None:
        """Draws the live line as it should be now."""
        if self._call is not None:
            seconds = self._clock() - self._call.began
            room = self._screen.width - 1
            self._screen.live(live_line(self._call.what, seconds, self._call.progress, room, self._screen.is_ascii))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self.draw()


def live_line(what: str, seconds: float, progress: Progress | None, room: int, is_ascii: bool = False) -> Text | None:
    """The one line that says what is running, how far it is and for how long, in `room` columns."""
    if progress is None and seconds < PATIENCE_S:
        return None
    tail = Text(f"  {_duration(seconds)} · Ctrl-C cancels", style="dim")
    if progress is None:
        spinner = _ASCII_SPINNER if is_ascii else _SPINNER
        line = Text.assemble((spinner[int(seconds / _TICK_S) % len(spinner)], "cyan"), f" {what}")
    else:
        bar = max(8, min(24, room // 4))
        line = Text.assemble(f"{what}  ", _bar(progress.share, seconds, bar), f"  {_figure(progress)}")
        if progress.message:
            line.append(f"  {progress.message}")
    if line.cell_len + tail.cell_len > room:
        line.truncate(max(1, room - tail.cell_len), overflow="ellipsis")
    line = line.append_text(tail)
    line.truncate(room, overflow="ellipsis")
    return line


def _bar(share: float | None, seconds: float, width: int) -> Text:
    if share is None:  # a third of the bar, to and fro
        part = max(1, width // 3)
        way = width - part
        at = int(seconds / _TICK_S) % (2 * way)
        start = at if at <= way else 2 * way - at
        return Text.assemble(("─" * start, "dim"), ("━" * part, "cyan"), ("─" * (way - start), "dim"))
    full = int(share * width)
    return Text.assemble(("━" * full, "cyan"), ("─" * (width - full), "dim"))


def _figure(progress: Progress) -> str:
    return f"{int(progress.share * 100):>3} %" if progress.share is not None else _count(progress.done)


def _so_far(progress: Progress) -> str:
    return _figure(progress).strip() + (f"  {progress.message}" if progress.message else "")


def _count(done: float) -> str:
    """`1,234`, `2.5`; never a line of digits."""
    if abs(done) >= 1e15:
        return f"{done:.3g}"
    return f"{int(done):,}" if done == int(done) else f"{done:,.1f}"


def _duration(seconds: float) -> str:
    """`7 s`, `2 m 05 s`, `1 h 02 m`."""
    minutes, rest = divmod(int(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} m"
    return f"{minutes} m {rest:02} s" if minutes else f"{rest} s"
