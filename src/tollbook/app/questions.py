"""Questions of MCP clients, answered from files."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import msgspec

from tollbook.app.book import content_of, price_book
from tollbook.core import measures
from tollbook.core.errors import SourceError, UsageError
from tollbook.core.text import printable
from tollbook.sources.discovery import STDIN, log_files
from tollbook.sources.files import read_found
from tollbook.sources.reading import Estimate
from tollbook.spend.model import Named, read_names
from tollbook.spend.render.words import counted, measure
from tollbook.spend.report import Report, report_of
from tollbook.tools.asking import Prepared, Question, Stage, Tell

_AT_ONCE: Final = 4  # readings; more would only take turns, and each holds its rows


class _Left(Exception):
    """Nobody waits for the answer any more."""


class FileAsker:
    """Answers questions from log files, each in a thread of its own."""

    def __init__(
        self, sources: Sequence[str], *, price_file: Path | None = None, names_file: Path | None = None
    ) -> None:
        """Reads nothing yet.

        Args:
            sources: files, folders and globs.
            price_file: rates that go before the book's.
            names_file: what opaque model ids stand for.

        Raises:
            UsageError: a source is the standard input, which can be read once only.
        """
        if STDIN in sources:
            raise UsageError("A server cannot read the standard input. Name log files, folders or globs.")
        self._sources, self._price_file, self._names_file = tuple(sources), price_file, names_file
        self._turns = anyio.CapacityLimiter(_AT_ONCE)

    def check(self) -> str:
        """Looks at what every question needs, before there is one.

        Returns: what is the matter with the sources, or nothing: they may still come.

        Raises:
            TollbookError: the prices or the names cannot be read.
        """
        price_book(self._price_file)
        self._names()
        try:
            log_files(self._sources)
        except SourceError as fault:
            return str(fault)
        return "" if self._sources else "There is nothing to report on yet: name logs with --source."

    def _names(self) -> Mapping[str, Named]:
        return {} if self._names_file is None else read_names(content_of(self._names_file), str(self._names_file))

    async def prepare(self, question: Question) -> Prepared:
        """See `Asker`. Files cost nothing."""
        return _Files(self, question)

    async def answer(self, question: Question, tell: Tell) -> Report:
        """See `Prepared`. What is cancelled stops reading after the block, of 64 KB at most, that it is at.

        Raises:
            TollbookError: a source, the prices or the names cannot be read.
        """
        left = threading.Event()

        def go_on() -> None:
            if left.is_set():
                raise _Left

        try:
            return await anyio.to_thread.run_sync(
                self._read, question, tell, go_on, abandon_on_cancel=True, limiter=self._turns
            )
        finally:
            left.set()

    def _read(self, question: Question, tell: Tell, go_on: Callable[[], None]) -> Report:
        if not self._sources:
            raise SourceError("This server has no logs to read: whoever runs it names them with --source.")
        files = log_files(self._sources)
        words = _Words(len(files), sum(file.size for file in files))
        tell(Stage(0, words.total, words.beginning))

        def progress(done: int, _: int) -> None:
            go_on()
            tell(words.stage(done))

        book, price_notes = price_book(self._price_file)
        try:
            names = self._names()
        except UsageError as fault:  # whoever runs the server can mend that, and nobody who asks
            raise SourceError(str(fault)) from fault
        # One process: a server has threads, and a fork of it might wait for a lock that no one holds there.
        reading = read_found(files, question.query, progress, processes=1, names=names)
        go_on()
        measures.add("ScannedBytes", words.total, "Bytes")
        notes = (*reading.notes, *price_notes)
        return report_of(reading.counted, question.query, question.by, book, names, notes, _unused(question))


class _Files(msgspec.Struct, frozen=True):
    """A question to files."""

    asker: FileAsker
    question: Question
    estimate: Estimate = Estimate()

    async def answer(self, tell: Tell) -> Report:
        return await self.asker.answer(self.question, tell)


def _unused(question: Question) -> Sequence[str]:
    if question.log_group == question.usual_log_group:
        return ()
    return (f"log_group_name {printable(question.log_group)} is not used: this server reads files",)


class _Words(msgspec.Struct, frozen=True):
    """What to call a reading of so many files and bytes."""

    files: int
    total: int

    @property
    def beginning(self) -> str:
        return f"reading {counted(self.files, 'file')}, {measure(self.total)}"

    def stage(self, done: int) -> Stage:
        message = f"read {measure(done)} of {measure(self.total)} of {counted(self.files, 'file')}"
        return Stage(done, self.total, message)
