"""A line that was typed, in words: as a shell reads them, but JSON may stand in it as it is."""

import json
import re
from collections.abc import Sequence
from typing import Final

import msgspec

_JSON: Final = json.JSONDecoder()
_NAMED: Final = re.compile(r"[^\s'\"\\=]+:=(?=[\[{\"])")  # argument:=JSON
_SPACES: Final = re.compile(r"\s+")
_PLAIN: Final = re.compile(r"[^\s'\"\\]+")
_QUOTED: Final = re.compile(r"'([^']*)('?)|\"((?:[^\"\\]|\\.)*)(\"?)", re.DOTALL)


class Word(msgspec.Struct, frozen=True):
    """A word of a line.

    Attributes:
        text: what it says, without its quotation marks.
        begin, end: where it stands.
        is_closed: whether no quotation mark in it is left open.
    """

    text: str
    begin: int
    end: int
    is_closed: bool = True


def words_of(line: str) -> Sequence[Word]:
    """The words of `line`.

    What begins with a brace, and what begins with a bracket, a brace or a quotation mark after `:=`, is read as one
    value of JSON if it is one. All else is read as in a shell: quotation marks hold words together, a backslash takes
    the meaning from what follows.
    """
    words: list[Word] = []
    at = 0
    while at < len(line):
        if space := _SPACES.match(line, at):
            at = space.end()
        else:
            words.append(_json_word(line, at) or _shell_word(line, at))
            at = words[-1].end
    return words


def _json_word(line: str, begin: int) -> Word | None:
    named = _NAMED.match(line, begin)
    start = named.end() if named else begin
    if not named and line[begin] != "{":
        return None
    try:
        _, end = _JSON.raw_decode(line, start)
    except (ValueError, RecursionError):
        end = begin
    if end != begin and (end == len(line) or line[end].isspace()):
        return Word(line[begin:end], begin, end)
    # Braces that hold no JSON are shown to be wrong as they were typed, not in pieces.
    return None if named else Word(line[begin:].rstrip(), begin, len(line.rstrip()))


def _shell_word(line: str, begin: int) -> Word:
    text, at, is_closed = "", begin, True
    while at < len(line) and not line[at].isspace():
        if plain := _PLAIN.match(line, at):
            text, at = text + plain[0], plain.end()
        elif quoted := _QUOTED.match(line, at):
            single, end, double, other_end = quoted.groups()
            # In double quotation marks a backslash counts before these alone, as POSIX has it (XCU 2.2.3).
            text += single if single is not None else re.sub(r'\\(["\\])', r"\1", double)
            is_closed, at = bool(end or other_end), quoted.end()
        else:  # a backslash
            text, at = text + line[at + 1 : at + 2], min(at + 2, len(line))
    return Word(text, begin, at, is_closed)
