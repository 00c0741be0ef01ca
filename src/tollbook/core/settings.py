"""How a program is told what to do: by the environment, or by flags, which win.

Each setting stands once, in a table of whatever part needs it: its variable, its flag, how it is read, what it means.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from tollbook.core.errors import UsageError


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be set.

    Attributes:
        name: by which its value is known; its flag is made of it.
        variable: its variable in the environment.
        read: turns what was written into its value; raises ValueError with what is wanted instead.
        what: what it means, for --help.
        default: as it would be written; None where nothing is.
        unset: its value where nothing is written and there is no default.
        other_flags, other_variables: further names for it, which mean the same; the first that is given counts.
    """

    name: str
    variable: str
    metavar: str
    read: Callable[[str], Any]
    what: str
    default: str | None = None
    unset: Any = None
    other_flags: tuple[str, ...] = ()
    other_variables: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        return f"--{self.name.replace('_', '-')}"

    @property
    def flags(self) -> tuple[str, ...]:
        """Its own flag, and others that mean the same."""
        return (self.flag, *self.other_flags)

    @property
    def label(self) -> str:
        """What a problem with it begins with."""
        return f"{self.flag} ({self.variable})"

    def written(self, environment: Mapping[str, str], flags: Mapping[str, str | None]) -> str | None:
        """What was written of it, or its default. An empty variable counts as none."""
        given = flags.get(self.name)
        if given is not None:
            return given
        found = (environment.get(variable) for variable in (self.variable, *self.other_variables))
        return next(filter(None, found), self.default)


def read_values(
    table: Iterable[Setting], environment: Mapping[str, str], flags: Mapping[str, str | None]
) -> tuple[dict[str, Any], list[str]]:
    """The values of the settings in `table`, by name; and what is wrong with those that are not among them.

    Args:
        flags: what was given on the command line, by the settings' names.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for setting in table:
        text = setting.written(environment, flags)
        try:
            values[setting.name] = setting.unset if text is None else setting.read(text)
        except (ValueError, UsageError) as fault:
            problems.append(f"{setting.label}: {fault}")
    return values, problems


def words(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(filter(None, (word.strip() for word in text.split(","))))


def whole(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"a whole number from {least:,} to {most:,} is wanted, not '{text}'")
        return int(text)

    return read


def seconds(least: float, most: float) -> Callable[[str], float]:
    """Reads a span of time."""

    def read(text: str) -> float:
        if not (re.fullmatch(r"\d{1,9}(\.\d{1,3})?", text) and least <= float(text) <= most):
            raise ValueError(f"seconds from {least:g} to {most:,.0f} are wanted, not '{text}'")
        return float(text)

    return read


def module_and_name(text: str) -> str:
    """Reads what stands for something in a module of Python: `my_server:server`."""
    if not _MODULE_AND_NAME.fullmatch(text):
        raise ValueError(f"MODULE:NAME is wanted, such as my_server:server, not '{text}'")
    return text


_MODULE_AND_NAME: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


def choice(*choices: str) -> Callable[[str], str]:
    """Reads one of `choices`, in any case."""

    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"one of {', '.join(choices)} is wanted, not '{text}'")
        return text.lower()

    return read
