"""A bar on standard error for as long as something is read, if that takes long enough to be worth one."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

_PATIENCE_S: Final = 0.5


@contextmanager
def reading() -> Iterator[Callable[[int, int], None]]:
    """A function that is told the bytes read and the bytes in all, 0 where that is not known."""
    columns = (TextColumn("Reading"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    # No thread of its own: it would be lost in the processes that are forked to read.
    bar = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
    task = bar.add_task("Reading")
    began = time.monotonic()

    def tell(done: int, total: int) -> None:
        if time.monotonic() - began > _PATIENCE_S:
            bar.update(task, completed=min(done, total or done), total=total or None)
            bar.start()
            bar.refresh()

    try:
        yield tell
    finally:
        bar.stop()
