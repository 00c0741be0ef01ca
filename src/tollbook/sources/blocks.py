"""Bytes of a log file, plain or gzip, as blocks of whole lines or as the objects of a JSON document."""

import re
from collections.abc import Iterator
from typing import IO, Final

from isal import isal_zlib

from tollbook.core.errors import TollbookError

BLOCK: Final = 1 << 17
"""Bytes read at once, plain or inflated: small enough to stay in the processor's cache."""

LONGEST_LINE: Final = 64 << 20
"""Bytes. CloudWatch takes events of up to 1 MiB, S3 records hold bodies of up to 100 KB; a longer line is no log."""

_GZIP: Final = b"\x1f\x8b"
_COMPRESSED_BLOCK: Final = 1 << 15
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Truncated(TollbookError):
    """Compressed data ends, or breaks, before its end; all before that was given out."""


class LineTooLong(TollbookError):
    """A line is longer than `LONGEST_LINE`."""


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
    member, data = isal_zlib.decompressobj(wbits=31), start
    try:
        while data:
            yield member.decompress(data, BLOCK)
            if not member.eof:
                data = member.unconsumed_tail or file.read(_COMPRESSED_BLOCK)
                continue
            data = (member.unused_data or file.read(_COMPRESSED_BLOCK)).lstrip(b"\0")  # zeros may pad the end
            member = isal_zlib.decompressobj(wbits=31)
            data = data or file.read(_COMPRESSED_BLOCK).lstrip(b"\0")
            if not data:
                return
    except isal_zlib.error as fault:
        raise Truncated(str(fault)) from fault
    raise Truncated("the data ends in the middle")


def whole_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """`pieces` cut anew, each at the end of a line; the last may lack its line break.

    Raises:
        LineTooLong: where a line exceeds `LONGEST_LINE`; nothing after it is read.
        Truncated: as `pieces` does, after what was readable.
    """
    rest: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            cut = piece.rfind(b"\n") + 1
            if cut:
                yield b"".join((*rest, piece[:cut]))
                rest, size = [piece[cut:]], len(piece) - cut
            else:
                rest.append(piece)
                size += len(piece)
            if size > LONGEST_LINE:
                raise LineTooLong(f"a line is longer than {LONGEST_LINE >> 20} MiB")
    except Truncated:
        yield b"".join(rest)
        raise
    if size:
        yield b"".join(rest)


# A string, whole; or a bracket. Everything else of JSON lies between them.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)


def objects(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The objects that lie in an array, at any depth but inside no other such object, each as its JSON.

    So `[{…}, {…}]` gives its elements and `{"events": [{…}, …], …}`, as the AWS command line prints it, its
    events: one after another, without holding the document.

    Raises:
        LineTooLong: where an object exceeds `LONGEST_LINE`; nothing after it is read.
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
            raise LineTooLong(f"an object is longer than {LONGEST_LINE >> 20} MiB")
        for token in _TOKEN.finditer(buffer, position):
            bracket = token[0]
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
        # A string that is not whole yet starts after the last token: look at it again with the next piece.
