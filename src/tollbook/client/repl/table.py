"""What a command is, how one is found in a line, and what is said of it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from tollbook.client.arguments import nearest
from tollbook.client.repl.words import Word, words_of
from tollbook.core.errors import UsageError

if TYPE_CHECKING:
    from tollbook.client.repl.conversation import Conversation

Kind = Literal["text", "server", "tool", "prompt", "resource", "command"]
"""What an argument names, for its completion."""
Do = Callable[["Conversation", Sequence[str]], Awaitable[None]]


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a command's line.

    Attributes:
        choices: all that may stand there; empty for anything.
        is_rest: it is all that follows, blanks included; only of the last.
        is_many: any number of words, NAME=VALUE or JSON; only of the last.
    """

    name: str
    kind: Kind = "text"
    is_required: bool = False
    choices: Sequence[str] = ()
    is_rest: bool = False
    is_many: bool = False

    @property
    def label(self) -> str:
        """As it stands in the help."""
        name = "|".join(self.choices) or f"{self.name}{'...' if self.is_many else ''}"
        return f"<{name}>" if self.is_required else f"[{name}]"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Something that can be typed.

    Attributes:
        name: one word or two.
        what: it does; for the help.
        more: a further paragraph of it.
        do: is given the arguments that were typed, in their order.
        aliases: other names.
    """

    name: str
    what: str
    do: Do
    arguments: Sequence[Argument] = ()
    more: str = ""
    aliases: Sequence[str] = ()

    @property
    def usage(self) -> str:
        return " ".join((self.name, *(argument.label for argument in self.arguments)))

    @property
    def names(self) -> Sequence[str]:
        return (self.name, *self.aliases)

    def argument_at(self, place: int) -> Argument | None:
        """The argument that the word at `place` belongs to; the first word after the name is 0."""
        if place < len(self.arguments):
            return self.arguments[place]
        return self.arguments[-1] if self.arguments and self.arguments[-1].is_many else None

    def arguments_in(self, line: str, words: Sequence[Word]) -> Sequence[str]:
        """What was typed after the name.

        Args:
            words: those after the name.

        Raises:
            UsageError: too few, too many, or not what may stand there.
        """
        last = self.arguments[-1] if self.arguments else None
        if last and last.is_rest and len(words) >= len(self.arguments):
            first = words[len(self.arguments) - 1]
            whole = first.text if first is words[-1] and first.is_closed else line[first.begin :].strip()
            given = [word.text for word in words[: len(self.arguments) - 1]] + [whole]
        else:
            given = [word.text for word in words]
            if any(not word.is_closed for word in words):
                raise UsageError("A quotation mark is not closed. Close it, or put a backslash before it.")
        for place, argument in enumerate(self.arguments):
            if argument.is_required and place >= len(given):
                raise UsageError(f"'{self.name}' needs {_article(argument)}: {self.usage}")
            if argument.choices and place < len(given) and given[place] not in argument.choices:
                choices = ", ".join(argument.choices)
                raise UsageError(f"'{self.name}' takes one of {choices}, not '{given[place]}'.")
        if len(given) > len(self.arguments) and not (last and last.is_many):
            raise UsageError(f"'{given[len(self.arguments)]}' is too much. It is: {self.usage}")
        return given


def _article(argument: Argument) -> str:
    return f"one of {', '.join(argument.choices)}" if argument.choices else f"a {argument.name}"


class Table:
    """The commands, by their names."""

    def __init__(self, commands: Iterable[Command]) -> None:
        self.commands: Final = tuple(commands)
        self._by_name = {name: command for command in self.commands for name in command.names}
        self.names: Final = tuple(self._by_name)

    def find(self, line: str) -> tuple[Command, Sequence[str]] | None:
        """The command of `line` and its arguments; None where nothing is typed.

        Raises:
            UsageError: there is no such command, or it cannot be typed like that.
        """
        words = words_of(line)
        if not words:
            return None
        command, begun = self.command_of([word.text for word in words])
        if command is None:
            raise UsageError(self._unknown([word.text for word in words]))
        return command, command.arguments_in(line, words[begun:])

    def command_of(self, words: Sequence[str]) -> tuple[Command | None, int]:
        """The command that `words` begin with, and how many of them name it."""
        for length in (2, 1):
            name = " ".join(words[:length]).lower()
            if len(words) >= length and name in self._by_name:
                return self._by_name[name], length
        return None, 0

    def named(self, name: str) -> Sequence[Command]:
        """The commands that are called so, or whose names begin with that word.

        Raises:
            UsageError: there is none.
        """
        words = name.lower().split()
        found = [each for each in self.commands if any(other.split()[: len(words)] == words for other in each.names)]
        if not found:
            raise UsageError(self._unknown(words))
        return found

    def _unknown(self, words: Sequence[str]) -> str:
        family = [name for name in self.names if name.startswith(f"{words[0].lower()} ")]
        if family:
            return f"'{words[0]}' needs a second word: {', '.join(family)}."
        near = nearest(words[0], self.names) or nearest(" ".join(words[:2]), self.names)
        return f"There is no command '{words[0]}'. {f'Did you mean {near!r}?' if near else ''} 'help' lists them all."
