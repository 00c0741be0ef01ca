"""Log files, read by as many processes as there is work for."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tollbook.core.errors import SourceError
from tollbook.core.text import printable
from tollbook.sources.blocks import BLOCK, ObjectTooLong, Truncated, inflated, objects, whole_lines
from tollbook.sources.crew import Crew, processors
from tollbook.sources.discovery import STDIN, LogFile, log_files, why
from tollbook.sources.seen import SeenIds
from tollbook.spend.query import Query
from tollbook.spend.record import Reason
from tollbook.spend.tally import Counted, Tally

Progress = Callable[[int, int], None]
"""Told the bytes read and the bytes in all, of the files as they lie there."""

_SHARE: Final = 32 << 20  # bytes of a plain file that are worth a process's while
_STRIPED: Final = 4 << 20  # bytes of a compressed file above which several processes inflate it together
_OBJECTS_AT_ONCE: Final = 64
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a file: the lines that begin from `start` to before `end`, and of those blocks every
    `stripes`-th, from block `stripe` on."""

    file: LogFile
    start: int = 0
    end: int | None = None
    stripe: int = 0
    stripes: int = 1


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: the counts, and sentences on what could not be read."""

    counted: Counted
    notes: tuple[str, ...]


def read_files(sources: Sequence[str], query: Query, progress: Progress, processes: int | None = None) -> Reading:
    """Counts the records in `sources`: files, folders, globs, or `-` for the standard input.

    Args:
        processes: at most so many; by default one for each processor.

    Raises:
        SourceError: something cannot be read.
    """
    files = log_files(sources)
    most = processes or processors()
    if any(file.is_stream for file in files):
        most = 1
    shares = [share for file in files for share in _shares(file, most)]
    crew = Crew(min(most, len(shares)))
    total = sum(file.size for file in files)
    with SeenIds(_expected_ids(files), crew.lock) as seen:

        def work(mine: Iterator[Share], done: Callable[[int], None]) -> Reading:
            tally = Tally(query, seen.claim)
            notes = [note for share in mine for note in _read(share, tally, done)]
            return Reading(tally.counted(), tuple(notes))

        readings = crew.run(work, shares, lambda done: progress(done, total))
    counted = Counted()
    for reading in readings:
        counted.add(reading.counted)
    return Reading(counted, tuple(sorted({note for reading in readings for note in reading.notes})))


def _shares(file: LogFile, most: int) -> Iterator[Share]:
    if most > 1 and file.size > _STRIPED:
        with _opened(file) as stream:
            start = stream.read(BLOCK)
        if start.startswith(_GZIP):
            yield from (Share(file, stripe=stripe, stripes=most) for stripe in range(most))
            return
        if not _is_document(start):
            edges = [*range(0, file.size, _SHARE), file.size]
            yield from (Share(file, start, end) for start, end in itertools.pairwise(edges))
            return
    yield Share(file)


def _read(share: Share, tally: Tally, done: Callable[[int], None]) -> Iterator[str]:
    """Counts the records of `share`; yields a sentence for what could not be read."""
    name = printable(share.file.name)
    try:
        with _opened(share.file) as stream:
            pieces = _told(
                inflated(stream) if share.end is None else _between(stream, share.start, share.end), stream, share, done
            )
            first = next(pieces, b"")
            pieces = itertools.chain([first], pieces)
            if share.end is None and _is_document(first):
                _count_objects(objects(pieces), tally)
            else:
                _count_lines(pieces, share, tally)
    except Truncated as fault:
        yield f"{name} is no whole gzip file ({fault}); what came before that was counted"
    except ObjectTooLong as fault:
        tally.reader.reject(Reason.TOO_LONG)
        yield f"{name} was read only in part: {fault}"
    except OSError as fault:
        raise SourceError(f"Cannot read {name}: {why(fault)}.") from fault


def _told(pieces: Iterator[bytes], stream: IO[bytes], share: Share, done: Callable[[int], None]) -> Iterator[bytes]:
    """`pieces`, while `done` is told how far they have come in the file."""
    position = share.start
    for piece in pieces:
        yield piece
        if not share.file.is_stream:
            now = stream.tell()
            done((now - position) // share.stripes)
            position = now


def _count_lines(pieces: Iterator[bytes], share: Share, tally: Tally) -> None:
    def too_long() -> None:
        if share.stripe == 0:  # every stripe meets it, one counts it
            tally.reader.reject(Reason.TOO_LONG)

    for number, block in enumerate(whole_lines(pieces, too_long)):
        if number % share.stripes == share.stripe:
            tally.read(block)


def _count_objects(texts: Iterator[bytes], tally: Tally) -> None:
    while batch := list(itertools.islice(texts, _OBJECTS_AT_ONCE)):
        tally.read_each(batch)


def _is_document(start: bytes) -> bool:
    """Whether a file that begins so is one JSON document, as the AWS command line prints it, and not lines."""
    line = start.lstrip().partition(b"\n")[0].rstrip()
    return line in (b"{", b"[") or line.startswith((b"[", b'{"events"', b'{ "events"'))


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


def _opened(file: LogFile) -> IO[bytes]:
    # A copy of the descriptor: whoever closes it leaves the standard input open.
    return os.fdopen(os.dup(0), "rb") if file.path == Path(STDIN) else file.path.open("rb")


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
