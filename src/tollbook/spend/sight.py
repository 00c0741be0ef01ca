"""Whose calls a report may tell of. How a caller comes by his sight is no matter of the book: see `tools.sight`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from tollbook.core.text import printable

Extent = Literal["all", "team", "own", "none"]

_LONGEST_WORDS: Final = 400  # characters; a claim may be as long as a token


class Pattern(msgspec.Struct, frozen=True):
    """Some of those who call, by the text that reports show as `session`: `role/NAME/SESSION`, `user/NAME`.

    Attributes:
        parts: what must stand there, letter for letter. Between one part and the next there may be anything but `/`.
            They are kept apart, since a part may itself hold a `*`, which then means nothing but itself.
    """

    parts: tuple[str, ...]

    def matches(self, who: str) -> bool:
        """Whether `who` is one of them, upper and lower case told apart."""
        wanted, found = _segments(self.parts), who.split("/")
        return len(wanted) == len(found) and all(map(fits, wanted, found))

    def __str__(self) -> str:
        return "*".join(self.parts)


def _segments(parts: Sequence[str]) -> list[list[str]]:
    """What `parts` want before, between and after each `/`, which nothing but a `/` of their own stands for."""
    segments: list[list[str]] = [[]]
    for part in parts:
        first, *others = part.split("/")
        segments[-1].append(first)
        segments += ([other] for other in others)
    return segments


def fits(parts: Sequence[str], text: str) -> bool:
    """Whether `text` consists of `parts`, in order, with anything in between. In a time that grows with its length."""
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return text == first
    at, end = len(first), len(text) - len(last)
    if at > end or not (text.startswith(first) and text.endswith(last)):
        return False
    for part in parts[1:-1]:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


class Sight(msgspec.Struct, frozen=True):
    """Which calls may be counted for someone. Whoever is given nothing sees nothing.

    Attributes:
        extent: in a word.
        whose: the same in words to him, such as `your own calls`.
        principals, tags: unless `all` is seen, a call is that matches one of them. Tags are keys of the request
            metadata with the one value that is meant.
    """

    extent: Extent = "none"
    whose: str = "no calls"
    principals: tuple[Pattern, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def is_all(self) -> bool:
        return self.extent == "all"

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of request metadata it looks at."""
        return tuple(dict.fromkeys(key for key, _ in self.tags))

    def sees(self, who: str | None, tags: Mapping[str, str | None]) -> bool:
        """Whether a call is seen.

        Args:
            who: who called, as `session_of` has it.
            tags: the request metadata, of `keys` at least.
        """
        if self.is_all:
            return True
        is_seen = who is not None and any(pattern.matches(who) for pattern in self.principals)
        return is_seen or any(tags.get(key) == value for key, value in self.tags)

    @property
    def words(self) -> str:
        """What is seen, for whoever sees it: `your own calls: role/AWSReservedSSO_*/ana@example.com`."""
        text = printable(", ".join(self._names()))
        text = text if len(text) <= _LONGEST_WORDS else f"{text[: _LONGEST_WORDS - 1]}…"
        return f"{self.whose}: {text}" if text else self.whose

    def _names(self) -> Iterator[str]:
        yield from map(str, self.principals)
        yield from (f"tag:{key}={value}" for key, value in self.tags)


EVERYTHING: Final = Sight("all", "all calls")
NOTHING: Final = Sight()
