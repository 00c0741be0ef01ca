"""Bytes of a log file, plain or gzip, as blocks of whole lines or as the objects of a JSON document."""

import re
from collections.abc import Callable, Generator, Iterator
from itertools import chain
from typing import IO, Final

from isal import isal_zlib

from tollbook.core.errors import TollbookError

BLOCK: Final = 1 << 16
"""Bytes read at once, plain or inflated: small enough to stay in the processor's cache."""

LONGEST_LINE: Final = 64 << 20
"""Bytes. CloudWatch takes events of up to 1 MiB, S3 records hold bodies of up to 100 KB; a longer line is no log."""

GZIP: Final = b"\x1f\x8b"
_COMPRESSED_BLOCK: Final = 1 << 15
_INFLATE_ERROR: Final[type[Exception]] = isal_zlib.error  # type: ignore[assignment]  # isal's stub types an instance


class Truncated(TollbookError):
    """Compressed data ends, or breaks, before its end; all before that was given out."""


class BrokenDocument(TollbookError):
    """A JSON document ends in the middle, or holds an object longer than `LONGEST_LINE`."""


def inflated(file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of `file`, inflated if it is gzip (RFC 1952, any number of members), in blocks of any size.

    Raises:
        Truncated: after all that could be read.
    """
    start = file.read(_COMPRESSED_BLOCK)
    if not start.startswith(GZIP):
        while start:
            yield start
            start = file.read(BLOCK)
        return
    try:
        while start:
            start = yield from _member(file, start)
    except _INFLATE_ERROR as fault:
        raise Truncated("its data is damaged") from fault


def _member(file: IO[bytes], data: bytes) -> Generator[bytes, None, bytes]:
    """Inflates the gzip member that begins with `data`; gives what follows it, without zeros that pad a file."""
    member = isal_zlib.decompressobj(wbits=31)
    while True:
        piece = member.decompress(data, BLOCK)
        yield piece
        if member.eof:
            break
        data = member.unconsumed_tail
        if not data and len(piece) < BLOCK:  # a full piece may have more behind it
            data = file.read(_COMPRESSED_BLOCK)
            if not data:
                raise Truncated("it ends in the middle")
    data = member.unused_data
    while not (data := data.lstrip(b"\0")):
        data = file.read(_COMPRESSED_BLOCK)
        if not data:
            break
    return data


def whole_lines(pieces: Iterator[bytes], too_long: Callable[[], None]) -> Iterator[bytes]:
    """`pieces` cut anew, each at the end of a line; the last may lack its line break.

    Args:
        too_long: called for each line longer than `LONGEST_LINE`, which is left out.

    Raises:
        Truncated: as `pieces` does, after what was readable.
    """
    rest: list[bytes] = []
    size, dropping = 0, False
    try:
        for piece in pieces:
            cut = piece.rfind(b"\n") + 1
            if dropping and cut:
                piece = piece[piece.find(b"\n") + 1 :]
                cut, dropping = piece.rfind(b"\n") + 1, False
            if cut:
                yield b"".join((*rest, piece[:cut]))
                rest, size = [piece[cut:]], len(piece) - cut
            elif not dropping:
                rest.append(piece)
                size += len(piece)
            if size > LONGEST_LINE:
                rest, size, dropping = [], 0, True
                too_long()
    except Truncated:
        yield b"".join(rest)
        raise
    if size:
        yield b"".join(rest)


_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def begun(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first line of `pieces`, or as much of it as a block holds; and all of them, without a byte-order mark."""
    first, size = [], 0
    for piece in pieces:
        first.append(piece)
        size += len(piece)
        if b"\n" in piece or size >= BLOCK:
            break
    start = b"".join(first).removeprefix(_BYTE_ORDER_MARK)
    return start.lstrip().partition(b"\n")[0].rstrip(), chain([start], pieces)


# A bracket; a string, whole or up to where the data ends for now, with the colon that makes it a key; or what
# is neither, nor space: numbers, words, and text that is no JSON. Possessive, so that it never backtracks.
_TOKEN = re.compile(
    rb"""[{}\[\]]"""
    rb"""|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"(?:(?P<key>\s*+:)|(?P<edge>\s*+\Z))?|(?P<unfinished>\\?\Z))"""
    rb"""|[^\s{}\[\]",:][^\n{}\[\]"]*+""",
    re.DOTALL,
)
_EVENTS: Final = b'"events"'
_DEEPEST: Final = 1000
_OPENS: Final = {b"}": b"{", b"]": b"["}


def objects(pieces: Iterator[bytes], not_json: Callable[[], None]) -> Iterator[bytes]:
    """The records and events of JSON documents, one after another, each as its JSON; documents are not held whole.

    They are the elements of a list at the top, those of the list `events` of an object at the top, as the AWS
    command line prints it, and otherwise the objects at the top themselves.

    Args:
        not_json: called for what stands at the top and is no object or list.

    Raises:
        BrokenDocument: after what was readable.
        Truncated: as `pieces` does.
    """
    scan = _Scan(not_json)
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        # An unfinished string is looked at anew only when there is twice as much: else its length counts squared.
        if size >= scan.wanted:
            yield from scan.feed(b"".join(waiting))
            waiting, size = [], 0
    yield from scan.feed(b"".join(waiting))
    if scan.is_inside:
        raise BrokenDocument("it ends in the middle")


class _Scan:
    """How far a document is understood.

    Attributes:
        wanted: bytes without which a further look is in vain.
    """

    def __init__(self, not_json: Callable[[], None]) -> None:
        self.wanted = 0
        self._not_json = not_json
        self._buffer = b""
        self._position = 0  # up to where the buffer is understood
        self._start = -1  # where the object begins that is being taken, or -1
        self._open: list[bytes] = []  # the brackets around the position
        self._taken_at = 0  # how many of them are open within the object that is being taken
        self._in_events = False
        self._key = b""  # of the value that follows, at the first level

    @property
    def is_inside(self) -> bool:
        return bool(self._open) or self._position < len(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes]:
        keep = self._start if self._start >= 0 else self._position
        self._buffer = self._buffer[keep:] + data
        self._position -= keep
        self._start = 0 if self._start >= 0 else -1
        if len(self._buffer) > LONGEST_LINE:
            raise BrokenDocument(f"it holds an object longer than {LONGEST_LINE >> 20} MiB")
        for token in _TOKEN.finditer(self._buffer, self._position):
            # The colon that makes a key of a string may come with the next piece.
            if token["unfinished"] is not None or (token["edge"] is not None and len(self._open) == 1):
                self._position = token.start()
                break
            self._position = token.end()
            yield from self._take(token)
        else:
            self._position = len(self._buffer)
        self.wanted = len(self._buffer) - (self._start if self._start >= 0 else self._position)

    def _take(self, token: re.Match[bytes]) -> Iterator[bytes]:
        text = token[0]
        if text in (b"{", b"["):
            at_top = self._open in ([], [b"["]) or (self._in_events and self._open == [b"{", b"["])
            if text == b"[" and self._open == [b"{"] and self._key == _EVENTS:
                self._in_events = True
                self._start, self._taken_at = -1, 0  # the object at the top was only their wrapping
            elif text == b"{" and at_top and not self._taken_at:
                self._start, self._taken_at = token.start(), len(self._open) + 1
            self._open.append(text)
            if len(self._open) > _DEEPEST:
                raise BrokenDocument(f"it is nested deeper than {_DEEPEST} levels")
        elif text in (b"}", b"]"):
            if self._open[-1:] != [_OPENS[text]]:
                raise BrokenDocument("a bracket is closed that was not opened")
            if self._open and len(self._open) == self._taken_at:
                yield self._buffer[self._start : self._position]
                self._start, self._taken_at = -1, 0
            del self._open[-1:]
            self._in_events = self._in_events and len(self._open) > 1
        elif not self._open:
            self._not_json()
        elif token["key"] and len(self._open) == 1:
            self._key = text.removesuffix(token["key"])
