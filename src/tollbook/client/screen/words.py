"""Texts of a server as a terminal may show them: harmless, and not endless."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tollbook.core.jsonrpc import written
from tollbook.core.text import json_safe, printable

MOST_LINES: Final = 5_000
"""Of one text."""
LONGEST_LINE: Final = 10_000
"""In characters, here and below."""
MOST_CHARACTERS: Final = 400_000
ALL: Final = "--json gives all"

_BREAK: Final = re.compile(r"\r\n?|\n")
_BLANKS: Final = re.compile(r"[\r\n\t]+")
_SENTENCE: Final = re.compile(r".+?[.!?](?= +[^a-z ]|$)")
_PARAGRAPH: Final = re.compile(r"(?:\r\n?|\n)[ \t]*(?:\r\n?|\n)")


def line(text: str, longest: int = 500) -> str:
    """`text` on one line, each break of it a blank; cut where it is longer than `longest` characters."""
    text = _BLANKS.sub(" ", text[: 2 * longest + 100].strip("\r\n").rstrip())
    return printable(text if len(text) <= longest else f"{text[: longest - 1]}…")


def lines(text: str, most: int = MOST_LINES) -> tuple[Sequence[str], str | None]:
    """The lines of `text`, tabs as blanks, and what to say if not all of it is there."""
    taken, cut = [], len(text) > MOST_CHARACTERS
    every = _BREAK.split(text[:MOST_CHARACTERS].removesuffix("\n"))
    for each in every[:most]:
        cut |= len(each) > LONGEST_LINE
        taken.append(printable(each[:LONGEST_LINE].expandtabs()) + ("…" if len(each) > LONGEST_LINE else ""))
    if not cut and len(every) <= most:
        return taken, None
    rest = len(_BREAK.findall(text.removesuffix("\n"))) + 1 - len(taken)
    return taken, more(rest, "line") if rest else f"… cut after {sum(map(len, taken)):,} characters; {ALL}"


def more(number: int, noun: str) -> str:
    """`… 3,211 more lines; --json gives all`."""
    return f"… {number:,} more {noun}{'' if number == 1 else 's'}; {ALL}"


def counted(number: int, noun: str) -> str:
    """`1 tool`, `12 tools`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def first_sentence(text: str) -> str:
    """The first sentence of a description, or its first paragraph where that has no end."""
    paragraph = line(" ".join(_PARAGRAPH.split(text.strip(), maxsplit=1)[0].split()), 1_000)
    sentence = _SENTENCE.match(paragraph)
    return line(sentence[0] if sentence else paragraph, 300)


def size(number: int) -> str:
    """`512 B`, `1.4 KB`, `20.0 MB`, in powers of 1000."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number} B"


def size_of_base64(text: str) -> str:
    """Of what `text` holds, undecoded: four characters are three bytes."""
    return size(max(0, len(text) * 3 // 4 - text[-2:].count("=")))


def json_line(value: Any, longest: int = 500) -> str:
    """`value` as JSON on one line, cut where it is longer than `longest`."""
    try:
        text = json_safe(written(value).decode())
    except (RecursionError, msgspec.MsgspecError, TypeError, ValueError):
        return f"… nested too deeply to be shown; {ALL}"
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
