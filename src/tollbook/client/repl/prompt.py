"""The prompt at a terminal."""

import asyncio
import signal
import sys
import termios
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer
from prompt_toolkit.completion import Completion as Proposal
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples, fragment_list_width
from prompt_toolkit.history import History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from tollbook.client.protocol import Answer, Elicitation
from tollbook.client.repl.commands import COMMANDS, run
from tollbook.client.repl.completion import Completion
from tollbook.client.repl.conversation import Conversation
from tollbook.client.repl.history import KeptLines
from tollbook.client.repl.questions import Questions
from tollbook.client.repl.setup import Setup
from tollbook.client.screen import Screen
from tollbook.client.trouble import LoginNeeded
from tollbook.core.text import printable

_MENU_LINES: Final = 6
_LONGEST_NAME: Final = 24
_STYLE: Final = Style.from_dict(
    {
        "name": "bold",
        "place": "",
        "state": "ansibrightblack",
        "mark": "ansicyan bold",
        "auto-suggestion": "ansibrightblack",
        "completion-menu": "bg:default fg:default",
        "completion-menu.completion": "bg:default fg:default",
        "completion-menu.completion.current": "reverse",
        "completion-menu.meta.completion": "bg:default fg:ansibrightblack",
        "completion-menu.meta.completion.current": "bg:default fg:ansibrightblack",
        "scrollbar.background": "bg:default",
        "scrollbar.button": "bg:ansibrightblack",
    }
)
"""In the terminal's own colours, so that it can be read on a dark ground and on a light one."""


async def converse(setup: Setup, screen: Screen, clock: Callable[[], float]) -> int:
    """Talks with the person at the terminal until he leaves."""
    history = KeptLines(setup.history)
    terminal = Terminal(screen, history, setup.open_page)
    talk = Conversation(setup, screen, clock, terminal, history)
    screen.say(_GREETING)
    try:
        await terminal.obey(talk)
    finally:
        await talk.disconnect()
    return 0


_GREETING: Final = "Type a command; Tab completes it, 'help' lists them all, Ctrl-D leaves."


class Terminal:
    """A person at a terminal; a `Person` of the conversation, and the `Lines` of its questions."""

    is_there = True

    def __init__(self, screen: Screen, history: KeptLines, open_page: Callable[[str], bool]) -> None:
        self._screen, self._history = screen, history
        self._questions = Questions(self, screen, open_page)
        self._turn = asyncio.Lock()
        self._asking: PromptSession[str] = PromptSession(
            history=InMemoryHistory(), complete_while_typing=True, reserve_space_for_menu=_MENU_LINES, style=_STYLE
        )

    async def agrees(self, question: str) -> bool:
        while True:
            try:
                typed = (await self.line(f"{question} [Y/n] ")).lower()
            except (EOFError, KeyboardInterrupt):
                return False
            if typed in ("", "y", "yes", "n", "no"):
                return typed in ("", "y", "yes")

    async def elicit(self, asked: Elicitation, who: str) -> Answer:
        async with self._turn:  # a server may ask several things at once
            return await self._questions.ask(asked, who)

    async def line(self, label: str, choices: Sequence[str] = (), *, may_list: bool = False) -> str:
        typed = await self._asking.prompt_async(
            label,
            completer=_Choices(choices, may_list=may_list),
            reserve_space_for_menu=min(len(choices), _MENU_LINES),
            handle_sigint=False,  # it would take away what ends the call
        )
        return typed.strip()

    async def obey(self, talk: Conversation) -> None:
        """Reads commands and does them."""
        prompt = _Prompt(talk, self._history)
        if talk.target is not None:
            prompt.expect(talk.begin())
        while not talk.is_over:
            try:
                line = await prompt.line()
            except EOFError:
                return
            except _MayLogIn as may:
                await _until_cancelled(talk, talk.report(talk.connected, may.needed))
            else:
                await _until_cancelled(talk, run(talk, line))


async def _until_cancelled(talk: Conversation, work: Coroutine[Any, Any, object]) -> None:
    """Works until Ctrl-C, which ends what is being done, and not the program."""
    working = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, working.cancel)
    try:
        with _quiet_keyboard():
            await working
    except asyncio.CancelledError:
        if not working.cancelled():
            raise
        talk.screen.say("Cancelled.")
    finally:
        loop.remove_signal_handler(signal.SIGINT)


@contextmanager
def _quiet_keyboard() -> Iterator[None]:
    """What is typed while a call runs does not show up in its output; it stands at the next prompt."""
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    quiet = termios.tcgetattr(keyboard)
    quiet[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(keyboard, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSANOW, before)


class _MayLogIn(Exception):
    """The prompt is left, to ask whether to log in."""

    def __init__(self, needed: LoginNeeded) -> None:
        super().__init__()
        self.needed = needed


class _Prompt:
    """Where commands are typed."""

    def __init__(self, talk: Conversation, history: KeptLines) -> None:
        self._talk = talk
        self._above: list[str] = []
        self._showing: asyncio.Task[None] | None = None
        self._beginning: asyncio.Task[LoginNeeded | None] | None = None
        self._session: PromptSession[str] = PromptSession(
            self._label,
            completer=_Completer(Completion(talk, COMMANDS)),
            complete_while_typing=True,
            reserve_space_for_menu=_MENU_LINES,
            auto_suggest=_Suggestion(self._room),
            history=_History(history),
            key_bindings=_keys(),
            style=_STYLE,
        )

    async def line(self) -> str:
        """The next command. What is said meanwhile appears above the prompt.

        Raises:
            EOFError: Ctrl-D.
            _MayLogIn: the server wants to know who asks, and nothing had been typed yet.
        """
        try:
            with self._talk.screen.diverted(self._show_above):
                return await self._session.prompt_async(handle_sigint=False)
        finally:
            if self._showing is not None:
                await self._showing

    def expect(self, beginning: Coroutine[Any, Any, LoginNeeded | None]) -> None:
        """Follows the connection that is being made."""
        self._beginning = asyncio.create_task(beginning)
        self._beginning.add_done_callback(self._begun)

    def _begun(self, beginning: "asyncio.Task[LoginNeeded | None]") -> None:
        needed = None if beginning.cancelled() else beginning.result()
        app = self._session.app
        if needed and app.is_running and not self._session.default_buffer.text:
            app.exit(exception=_MayLogIn(needed))
        elif needed:
            self._talk.screen.fail(f"{self._talk.where} wants to know who asks. 'auth login' logs in.")
        app.invalidate()

    def _show_above(self, text: str) -> None:
        self._above.append(text if text.endswith("\n") else f"{text}\n")
        if self._showing is None or self._showing.done():
            self._showing = asyncio.create_task(self._show())

    async def _show(self) -> None:
        while self._above:
            await run_in_terminal(self._write)

    def _write(self) -> None:
        text = "".join(self._above)
        self._above.clear()
        self._session.output.write_raw(text)
        self._session.output.flush()

    def _room(self) -> int:
        """Columns for a line of one row."""
        return self._session.output.get_size().columns - fragment_list_width(self._label()) - 1

    def _label(self) -> StyleAndTextTuples:
        talk, state = self._talk, self._talk.state
        place = printable(talk.where)
        mark = ("class:mark", " › ")
        if state == "no server":
            return [("class:state", "no server"), mark]
        if state != "connected":
            return [("class:place", place), ("class:state", f" ({state})"), mark]
        info = talk.server.info if talk.server else None
        name = printable(info.name) if info else ""
        short = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
        return [("class:name", short), ("class:place", f"@{place}" if short else place), mark]


class _Completer(Completer):
    def __init__(self, completion: Completion) -> None:
        self._completion = completion

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Proposal]:  # noqa: ARG002
        return ()

    async def get_completions_async(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002
    ) -> AsyncGenerator[Proposal, None]:
        for each in await self._completion.of(document.text_before_cursor):
            yield Proposal(each.text, -each.length, display=each.label, display_meta=each.what)


class _Suggestion(AutoSuggestFromHistory):
    """The end of a line that was typed before, if it has room: on a second row it would lie below the list."""

    def __init__(self, room: Callable[[], int]) -> None:
        self._room = room

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        found = super().get_suggestion(buffer, document)
        return found if found and get_cwidth(document.text + found.text) <= self._room() else None


class _Choices(Completer):
    """Of an answer, or of the last in a list of them."""

    def __init__(self, choices: Sequence[str], *, may_list: bool) -> None:
        self._choices, self._may_list = choices, may_list

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Proposal]:  # noqa: ARG002
        typed = document.text_before_cursor
        last = (typed.rpartition(",")[2] if self._may_list else typed).lstrip()
        for choice in self._choices:
            if choice.lower().startswith(last.lower()) and choice != last:
                yield Proposal(choice, -len(last))


class _History(History):
    def __init__(self, kept: KeptLines) -> None:
        super().__init__()
        self._kept = kept

    def load_history_strings(self) -> Iterable[str]:
        return reversed(self._kept.lines)

    def append_string(self, string: str) -> None:
        if self._kept.keep(string):
            super().append_string(string)

    def store_string(self, string: str) -> None:
        """It is kept already."""


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("c-c")
    @keys.add("<sigint>")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.reset()

    return keys
