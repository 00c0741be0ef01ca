"""Log files, read by as many processes as there is work for."""

import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import msgspec

from tollbook.core.errors import SourceError, why
from tollbook.core.text import printable
from tollbook.sources.blocks import BLOCK, GZIP, BrokenDocument, Truncated, begun, inflated, objects, whole_lines
from tollbook.sources.discovery import STDIN, LogFile, log_files
from tollbook.sources.seen import SeenIds
from tollbook.spend.model import Named
from tollbook.spend.query import Query
from tollbook.spend.record import Reason
from tollbook.spend.tally import Counted, Tally

if TYPE_CHECKING:
    from tollbook.sources.crew import Crew

Progress = Callable[[int, int], None]
"""Told the bytes read and the bytes in all, of the files as they lie there."""

_SHARE: Final = 32 << 20  # bytes of a plain file that are worth a process's while
_STRIPED: Final = 4 << 20  # bytes of a compressed file, or in all, above which several processes are worth it


class Share(msgspec.Struct, frozen=True):
    """A part of a file: the lines that begin from `start` to before `end`, and of those blocks every
    `stripes`-th, from block `stripe` on."""

    file: LogFile
    start: int = 0
    end: int | None = None
    stripe: int = 0
    stripes: int = 1


class Reading(msgspec.Struct, frozen=True):
    """What was read: the counts, and sentences on what could not be read."""

    counted: Counted
    notes: tuple[str, ...]


def read_files(
    sources: Sequence[str],
    query: Query,
    progress: Progress,
    processes: int | None = None,
    names: Mapping[str, Named] | None = None,
) -> Reading:
    """Counts the records in `sources`: files, folders, globs, or `-` for the standard input.

    Raises:
        SourceError: something cannot be read.
    """
    return read_found(log_files(sources), query, progress, processes, names)


def read_found(
    files: Sequence[LogFile],
    query: Query,
    progress: Progress,
    processes: int | None = None,
    names: Mapping[str, Named] | None = None,
) -> Reading:
    """Counts the records in `files`.

    Args:
        progress: called after every block; what it raises ends the reading, where one process reads.
        names: what opaque model ids stand for.
        processes: at most so many; by default one for each processor.

    Raises:
        SourceError: something cannot be read.
    """
    total = sum(file.size for file in files)
    is_small = processes is None and total < _STRIPED
    most = 1 if is_small or any(file.is_stream for file in files) else processes or _processors()
    shares = [share for file in files for share in _shares(file, most)]
    most = min(most, len(shares))

    def reader_of(seen: SeenIds) -> Callable[[Iterator[Share], Callable[[int], None]], Reading]:
        def read(mine: Iterator[Share], done: Callable[[int], None]) -> Reading:
            tally = Tally(query, seen.claim, names)
            notes = [note for share in mine for note in _read(share, tally, done)]
            return Reading(tally.counted(), tuple(notes))

        return read

    if most > 1 and (crew := _crew(most)):
        with SeenIds(_expected_ids(files), crew.lock) as seen:
            readings = crew.run(reader_of(seen), shares, lambda done: progress(done, total))
    else:
        with SeenIds(_expected_ids(files), nullcontext()) as seen:
            readings = [reader_of(seen)(iter(shares), _summed(progress, total))]
    counted = Counted()
    for reading in readings:
        counted.add(reading.counted)
    return Reading(counted, tuple(sorted({note for reading in readings for note in reading.notes})))


def _crew(size: int) -> "Crew | None":
    """So many processes; None where the system has no means to share memory and locks, as AWS Lambda has none."""
    from tollbook.sources.crew import Crew  # importing it takes longer than reading a small log

    try:
        return Crew(size)
    except OSError:
        return None


def _processors() -> int:
    """The processors this process may use; 1 where processes cannot be forked."""
    if not hasattr(os, "fork"):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _summed(progress: Progress, total: int) -> Callable[[int], None]:
    so_far = 0

    def add(done: int) -> None:
        nonlocal so_far
        so_far += done
        progress(so_far, total)

    return add


def _shares(file: LogFile, most: int) -> Iterator[Share]:
    """The parts of `file` that are worth a process's while. A document is one: where its objects begin is not known."""
    if most > 1 and file.size > _STRIPED:
        with _opened(file) as stream:
            compressed = stream.read(len(GZIP)) == GZIP
            stream.seek(0)
            is_document = _is_document(_first_line(stream))
        if compressed and not is_document:
            yield from (Share(file, stripe=stripe, stripes=most) for stripe in range(most))
            return
        if not is_document:
            edges = [*range(0, file.size, _SHARE), file.size]
            yield from (Share(file, start, end) for start, end in itertools.pairwise(edges))
            return
    yield Share(file)


def _first_line(stream: IO[bytes]) -> bytes:
    try:
        return begun(inflated(stream))[0]
    except Truncated:
        return b""


def _read(share: Share, tally: Tally, done: Callable[[int], None]) -> Iterator[str]:
    """Counts the records of `share`; yields a sentence for what could not be read."""
    name = printable(share.file.name)
    try:
        with _opened(share.file) as stream:
            pieces = inflated(stream) if share.end is None else _between(stream, share.start, share.end)
            pieces = _told(pieces, stream, share, done)
            if share.start:
                _count_lines(pieces, share, tally)
                return
            first_line, pieces = begun(pieces)
            if share.stripes == 1 and _is_document(first_line):
                _count_objects(pieces, tally)
            else:
                _count_lines(pieces, share, tally)
    except Truncated as fault:
        yield f"{name} is no whole gzip file ({fault}); what came before that was counted"
    except BrokenDocument as fault:
        tally.reader.reject(Reason.NOT_JSON)
        yield f"{name} is no whole JSON document ({fault}); what came before that was counted"


def _told(pieces: Iterator[bytes], stream: IO[bytes], share: Share, done: Callable[[int], None]) -> Iterator[bytes]:
    """`pieces`, while `done` is told how far they have come in the file."""
    position = share.start
    for piece in pieces:
        yield piece
        now = position if share.file.is_stream else stream.tell()
        done((now - position) // share.stripes)
        position = now


def _count_lines(pieces: Iterator[bytes], share: Share, tally: Tally) -> None:
    def too_long() -> None:
        if share.stripe == 0:  # every stripe meets it, one counts it
            tally.reader.reject(Reason.TOO_LONG)

    for number, block in enumerate(whole_lines(pieces, too_long)):
        if number % share.stripes == share.stripe:
            tally.read(block)


def _count_objects(pieces: Iterator[bytes], tally: Tally) -> None:
    texts = objects(pieces, lambda: tally.reader.reject(Reason.NOT_JSON))
    # One by one: what was readable is counted even if the document breaks off.
    for text in texts:
        tally.read_each([text])


def _is_document(line: bytes) -> bool:
    """Whether what begins with `line` is JSON as the AWS command line prints it, and not JSON lines."""
    if line in (b"{", b"[") or line.startswith(b"["):
        return True
    try:
        return b'"events"' in line and "events" in msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _BEGINS_EVENTS.match(line) is not None  # a page on one line that is longer than a block


# An object whose `events` come first, or after nothing but texts, numbers and words, such as a token.
_BEGINS_EVENTS: Final = re.compile(rb'\{\s*(?:"[^"]*"\s*:\s*(?:"[^"]*"|[\w.+-]+)\s*,\s*)*"events"\s*:')


def _between(stream: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    """The lines of a plain file that begin from `start` to before `end`, in pieces."""
    if start:
        stream.seek(start - 1)
        for _ in _to_line_end(stream):
            pass
    last = b"\n"
    while (left := end - stream.tell()) > 0 and (piece := stream.read(min(BLOCK, left))):
        yield piece
        last = piece
    if not last.endswith(b"\n"):
        yield from _to_line_end(stream)


def _to_line_end(stream: IO[bytes]) -> Iterator[bytes]:
    """What is left of the line, with its line break."""
    while piece := stream.readline(BLOCK):
        yield piece
        if piece.endswith(b"\n"):
            return


@contextmanager
def _opened(file: LogFile) -> Iterator[IO[bytes]]:
    """`file`, to be read; a fault of the system while it is read becomes a sentence."""
    try:
        # A copy of the descriptor: whoever closes it leaves the standard input open.
        with os.fdopen(os.dup(0), "rb") if file.path == Path(STDIN) else file.path.open("rb") as stream:
            yield stream
    except OSError as fault:
        raise SourceError(f"Cannot read {file.name}: {why(fault)}.") from fault


def _expected_ids(files: Sequence[LogFile]) -> int:
    """About how many records `files` hold, judged by the first lines of the largest."""
    largest = max(files, key=lambda file: file.size)
    if not largest.size:
        return 0
    with _opened(largest) as stream:
        try:
            start = next(inflated(stream), b"")
        except Truncated:
            return 0
        ratio = len(start) / max(1, min(stream.tell(), largest.size))
    lines = start.count(b"\n")
    return int(sum(file.size for file in files) * max(1.0, ratio) * lines / max(1, len(start)))
