"""What is longer than the terminal, in the user's pager.

That of $PAGER, else `less`. Where there is neither, everything is written at once: terminals scroll, and a pager of
our own would be one more set of keys to learn. rich's and pydoc's are not used: they read the environment by
themselves, hold up the event loop, on which the server's pings must be answered, and leave Ctrl-C to whoever it hits.
"""

import asyncio
import shlex
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import Final, TextIO

_LESS: Final = "FRX"
"""As git sets it: no paging of what fits, colours, and the text stays on the terminal afterwards."""


def command(environment: Mapping[str, str]) -> Sequence[str] | None:
    """The pager and its words; None where there is none, or the user wants none: PAGER empty, or `cat`."""
    wanted = environment.get("PAGER")
    if wanted is None:
        found = shutil.which("less", path=environment.get("PATH"))
        return [found, "-R"] if found else None
    try:
        words = shlex.split(wanted)
    except ValueError:  # a quotation that does not end
        return None
    if not words or words == ["cat"]:
        return None
    return [*words, "-R"] if PurePath(words[0]).stem == "less" else words


async def page(text: str, command: Sequence[str], environment: Mapping[str, str], out: TextIO) -> bool:
    """Shows `text`, and waits for the user to leave it; False if there is no such program."""
    settings = {"LESS": _LESS, **environment}
    if out.encoding.lower().startswith("utf"):
        settings.setdefault("LESSCHARSET", "utf-8")  # also where the locale says less than the terminal can
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=out, env=settings
        )
    except OSError:
        return False
    try:
        with _deaf():
            await process.communicate(text.encode(out.encoding, "replace"))
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    return True


@contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl-C is the pager's, which the terminal tells of it, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
