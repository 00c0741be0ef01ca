"""Bytes of a log file, plain or gzip, as blocks of whole lines or as the objects of a JSON document."""

import re
from collections.abc import Callable, Generator, Iterator
from typing import IO, Final

from isal import isal_zlib

from tollbook.core.errors import TollbookError

BLOCK: Final = 1 << 17
"""Bytes read at once, plain or inflated: small enough to stay in the processor's cache."""

LONGEST_LINE: Final = 64 << 20
"""Bytes. CloudWatch takes events of up to 1 MiB, S3 records hold bodies of up to 100 KB; a longer line is no log."""

_GZIP: Final = b"\x1f\x8b"
_COMPRESSED_BLOCK: Final = 1 << 15
_INFLATE_ERROR: Final[type[Exception]] = isal_zlib.error  # type: ignore[assignment]  # isal's stub types an instance
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Truncated(TollbookError):
    """Compressed data ends, or breaks, before its end; all before that was given out."""


class ObjectTooLong(TollbookError):
    """An object in a document is longer than `LONGEST_LINE`."""


def inflated(file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of `file`, inflated if it is gzip (RFC 1952, any number of members), in blocks of any size.

    Raises:
        Truncated: after all that could be read.
    """
    start = file.read(_COMPRESSED_BLOCK)
    if not start.startswith(_GZIP):
        start = start.removeprefix(_BYTE_ORDER_MARK)
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


# A string, whole or up to where the data ends for now; or a bracket. All else of JSON lies between them.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|(?P<unfinished>\\?\Z))|[{}\[\]]', re.DOTALL)


def objects(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The objects that lie in an array, at any depth but inside no other such object, each as its JSON.

    So `[{…}, {…}]` gives its elements and `{"events": [{…}, …], …}`, as the AWS command line prints it, its
    events: one after another, without holding the document.

    Raises:
        ObjectTooLong: where an object exceeds `LONGEST_LINE`; nothing after it is read.
        Truncated: as `pieces` does.
    """
    buffer, position, start = b"", 0, -1
    inside: list[bytes] = []  # the brackets that are open
    depth = 0  # of the object that is being taken, 0 outside of one
    for piece in pieces:
        keep = start if start >= 0 else position
        buffer, position = buffer[keep:] + piece, position - keep
        start = 0 if start >= 0 else -1
        if len(buffer) > LONGEST_LINE:
            raise ObjectTooLong(f"an object is longer than {LONGEST_LINE >> 20} MiB")
        for token in _TOKEN.finditer(buffer, position):
            bracket = token[0]
            if token["unfinished"] is not None:
                break  # looked at again with the next piece
            position = token.end()
            if bracket in (b"{", b"["):
                if bracket == b"{" and inside[-1:] == [b"["] and not depth:
                    start, depth = token.start(), len(inside) + 1
                inside.append(bracket)
            elif bracket in (b"}", b"]") and inside:
                if len(inside) == depth:
                    yield buffer[start:position]
                    start, depth = -1, 0
                inside.pop()
